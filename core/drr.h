/* SPDX-License-Identifier: GPL-3.0-or-later
 * drr.h - deficit round robin: lines of items are served in turn, each for a quantum of time. Pure: who serves says what it cost.
 *
 *   drr_put -> a line that was in no round: fresh, before the round, for one quantum; then one of the round
 *              drr_take: the head, while it has credit -> serve -> drr_paid: credit - cost
 *                        no credit left: to the end of the round, and a quantum is granted for the next visit
 *
 * Fresh lines come first, so that who asks for little waits for one item, not for a round of those who always ask for more. A line
 * that runs empty keeps its place until the round comes to it: only then can it be fresh again, so nobody is fresh twice a round.
 *
 * What an item costs is known only when it has been served, so a line may come to owe: it then misses visits until it has paid.
 * From the moment two lines both have something waiting, and as long as they do, what they were given differs by at most a quantum
 * (times its weight) and one item; between any two later moments by a quantum and two items (tests/unit/test_drr.c). A line that
 * runs empty loses what credit it had, never what it owes.
 *
 * What a line waits for others is known, too (`waited`, after each drr_take): neither its own items nor what it owes are in it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DRR_DEBT_MOST = 64
}; /* quanta: one item that took very long must not shut its line out for ever */

struct drr_item {
    struct drr_item *next;
};

struct drr_line { /* weight > 0, all else zeroed */
    struct drr_line *next;
    struct drr_item *first, *last;
    unsigned count, weight;
    bool in; /* among the fresh or in the round, perhaps with nothing left */
    int64_t credit;
    uint64_t ready, waited; /* it could have been served since; how long others were in its way */
};

struct drr_lines {
    struct drr_line *first, *last;
};

struct drr { /* quantum > 0, all else zeroed */
    struct drr_lines fresh, round;
    unsigned count; /* items of all lines */
    int64_t quantum;
    uint64_t now; /* by the clock of who serves; only `waited` needs it */
};

static inline void drr_append(struct drr_lines *of, struct drr_line *l) {
    l->next = NULL;
    if (of->last)
        of->last->next = l;
    else
        of->first = l;
    of->last = l;
}

static inline void drr_pop(struct drr_lines *of) {
    of->first = of->first->next;
    if (!of->first)
        of->last = NULL;
}

static inline void drr_grant(struct drr *d, struct drr_line *l) {
    l->credit += d->quantum * l->weight;
    l->ready = d->now; /* until now it was empty, or what it owed was in its way */
}

static inline void drr_put(struct drr *d, struct drr_line *l, struct drr_item *i) {
    i->next = NULL;
    if (l->first) {
        l->last->next = i;
    } else {
        l->first = i;
        l->ready = d->now;
    }
    l->last = i;
    l->count++;
    d->count++;
    if (l->in)
        return;
    l->in = true;
    bool owes = l->credit < 0;
    l->credit = owes ? l->credit : 0;
    drr_grant(d, l);
    drr_append(owes ? &d->round : &d->fresh, l);
}

/* The first item of a line that has one. */
static inline struct drr_item *drr_line_take(struct drr *d, struct drr_line *l) {
    struct drr_item *i = l->first;
    l->first = i->next;
    l->count--;
    d->count--;
    return i;
}

/* Whoever was fresh is one of the round from now on; one of the round with nothing left is out of it. */
static inline void drr_pass(struct drr *d, struct drr_line *l, bool fresh) {
    drr_pop(fresh ? &d->fresh : &d->round);
    if (!fresh && !l->first) {
        l->in = false;
        return;
    }
    if (l->credit <= 0)
        drr_grant(d, l);
    drr_append(&d->round, l);
}

/* Whose item is the next to be served; NULL: nothing waits. */
static inline struct drr_line *drr_next(struct drr *d) {
    while (d->count) { /* so one of them has a line */
        bool fresh = d->fresh.first;
        struct drr_line *l = fresh ? d->fresh.first : d->round.first;
        if (!l || (l->first && l->credit > 0))
            return l;
        drr_pass(d, l, fresh);
    }
    return NULL;
}

/* Of a line that is the next. */
static inline bool drr_is_fresh(const struct drr *d, const struct drr_line *next) {
    return next == d->fresh.first;
}

/* Its item. */
static inline struct drr_item *drr_take_next(struct drr *d, struct drr_line *next) {
    next->waited = d->now > next->ready ? d->now - next->ready : 0;
    next->ready = d->now;
    return drr_line_take(d, next);
}

/* Both; NULL: nothing waits. */
static inline struct drr_item *drr_take(struct drr *d, struct drr_line **ret_line) {
    struct drr_line *next = drr_next(d);
    if (!next)
        return NULL;
    *ret_line = next;
    return drr_take_next(d, next);
}

/* Out of turn: the first item of this line. NULL: it has none. */
static inline struct drr_item *drr_take_of(struct drr *d, struct drr_line *l) {
    return l->first ? drr_line_take(d, l) : NULL;
}

/* What it costs and was not, or will not be, spent by the clock of who serves. */
static inline void drr_owes(struct drr *d, struct drr_line *l, int64_t cost) {
    int64_t least = -DRR_DEBT_MOST * d->quantum;
    l->credit = l->credit - cost < least ? least : l->credit - cost;
}

static inline void drr_paid(struct drr *d, struct drr_line *l, int64_t cost) {
    l->ready += (uint64_t)cost; /* its own doing */
    drr_owes(d, l, cost);
}

static inline void drr_leave(struct drr_lines *of) {
    while (of->first) {
        of->first->in = false;
        drr_pop(of);
    }
}

/* Its memory ends; what waits in it is lost. */
static inline void drr_remove(struct drr *d, struct drr_line *l) {
    struct drr_lines *of[] = {&d->fresh, &d->round};
    for (int i = 0; l->in && i < 2; i++) {
        struct drr_line *before = NULL, *at = of[i]->first;
        while (at && at != l) {
            before = at;
            at = at->next;
        }
        if (!at)
            continue;
        *(before ? &before->next : &of[i]->first) = l->next;
        of[i]->last = of[i]->last == l ? before : of[i]->last;
        l->in = false;
    }
    d->count -= l->count;
    l->count = 0;
    l->first = NULL;
}

/* Nothing waits: every line is out of the round, and its memory is its owner's again. */
static inline void drr_rest(struct drr *d) {
    drr_leave(&d->fresh);
    drr_leave(&d->round);
}
