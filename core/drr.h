/* SPDX-License-Identifier: GPL-3.0-or-later
 * drr.h - deficit round robin: lines of items are served in turn, each for a quantum of time. Pure: who serves says what it cost.
 *
 *   drr_put -> line -> drr_take: the head of the round, while it has credit -> serve -> drr_paid: credit - cost
 *                            no credit left: to the end of the round, and a quantum is granted for the next visit
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
    struct drr_item *first, *last; /* none: it is not in the round */
    unsigned count, weight;
    int64_t credit;
    uint64_t ready, waited; /* it could have been served since; how long others were in its way */
};

struct drr { /* quantum > 0, all else zeroed */
    struct drr_line *first, *last;
    unsigned count; /* items of all lines */
    int64_t quantum;
    uint64_t now; /* by the clock of who serves; only `waited` needs it */
};

static inline void drr_append(struct drr *d, struct drr_line *l) {
    l->next = NULL;
    if (d->last)
        d->last->next = l;
    else
        d->first = l;
    d->last = l;
}

static inline void drr_pop(struct drr *d) {
    d->first = d->first->next;
    if (!d->first)
        d->last = NULL;
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
        l->credit = l->credit < 0 ? l->credit : 0;
        drr_grant(d, l);
        drr_append(d, l);
    }
    l->last = i;
    l->count++;
    d->count++;
}

/* The first item of a line that is in the round. */
static inline struct drr_item *drr_line_take(struct drr *d, struct drr_line *l) {
    struct drr_item *i = l->first;
    l->first = i->next;
    l->count--;
    d->count--;
    return i;
}

/* The next to be served, of *ret_line; NULL: nothing waits. */
static inline struct drr_item *drr_take(struct drr *d, struct drr_line **ret_line) {
    struct drr_line *l;
    while ((l = d->first) && l->credit <= 0) {
        drr_pop(d);
        drr_grant(d, l);
        drr_append(d, l);
    }
    if (!l)
        return NULL;
    struct drr_item *i = drr_line_take(d, l);
    if (!l->first)
        drr_pop(d);
    l->waited = d->now > l->ready ? d->now - l->ready : 0;
    l->ready = d->now;
    *ret_line = l;
    return i;
}

/* Out of turn: the first item of this line. NULL: it has none. */
static inline struct drr_item *drr_take_of(struct drr *d, struct drr_line *l) {
    if (!l->first)
        return NULL;
    struct drr_item *i = drr_line_take(d, l);
    if (l->first)
        return i;
    struct drr_line *before = NULL;
    for (struct drr_line *at = d->first; at != l; at = at->next)
        before = at;
    if (before)
        before->next = l->next;
    else
        d->first = l->next;
    if (d->last == l)
        d->last = before;
    return i;
}

static inline void drr_paid(struct drr *d, struct drr_line *l, int64_t cost) {
    int64_t least = -DRR_DEBT_MOST * d->quantum;
    l->ready += (uint64_t)cost; /* its own doing */
    l->credit = l->credit - cost < least ? least : l->credit - cost;
}
