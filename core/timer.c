/* SPDX-License-Identifier: GPL-3.0-or-later
 * timer.c - the wheel: WHEEL_SLOTS lists of timers, one tick apart.
 *
 *   timer_set links a timer at its deadline's slot; a later deadline for a timer that is already linked earlier only writes
 *   the number, and timers_run moves it when the old slot comes (most timeouts never fire, so most moves never happen).
 *
 * Ten thousand may be due at once: connections that were given the same time to say something, say. What a turn has no time for
 * stays in the list of those due, and the wheel stands still until that is empty. They get little of a turn: who asks for something
 * meanwhile waits for several turns.
 *
 * What ends a connection takes the kernel as long as a request, and goes to a list of its own where others are served (timer_may_end),
 * one at a time and with pauses (lull.h): so the wheel goes on, and nobody else's timeouts are late for it.
 */
#include "core/worker.h"

enum { TIMERS_US = 25 }; /* of a turn, with what the kernel takes for it */

static uint32_t tick_of(const struct worker *w, int64_t now_ns) {
    return (uint32_t)((now_ns - w->tick_base_ns) / (TIMER_TICK_MS * 1000000LL)) + 1;
}

static void timer_unlink(struct timer *t) {
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->link = NULL;
}

static void list_push(struct timer **list, struct timer *t) {
    t->next = *list;
    if (t->next)
        t->next->link = &t->next;
    t->link = list;
    *list = t;
}

static void timer_link(struct worker *w, struct timer *t) {
    /* Beyond one round: as far as the wheel reaches; looked at again there. */
    uint32_t ahead = t->deadline - w->tick;
    if ((int32_t)ahead < 1)
        ahead = 1;
    if (ahead >= WHEEL_SLOTS)
        ahead = WHEEL_SLOTS - 1;
    t->slot_tick = w->tick + ahead;
    unsigned at = t->slot_tick % WHEEL_SLOTS;
    w->wheel_bits[at / 64] |= 1ull << (at % 64);
    list_push(&w->wheel[at], t);
}

void timer_set(struct worker *w, struct timer *t, int64_t ms) {
    int64_t ticks = (ms + TIMER_TICK_MS - 1) / TIMER_TICK_MS;
    if (ticks < 1)
        ticks = 1;
    if (ticks > INT32_MAX / 2)
        ticks = INT32_MAX / 2;
    t->deadline = tick_of(w, w->now_ns) + (uint32_t)ticks;
    if (!t->deadline)
        t->deadline = 1; /* 0 says "not set" */
    if (t->link) {
        if ((int32_t)(t->slot_tick - t->deadline) <= 0)
            return;
        timer_unlink(t);
    }
    timer_link(w, t);
}

void timer_stop(struct timer *t) {
    timer_unlink(t);
    t->deadline = 0;
}

/* They stay linked, so that what fires may stop any of them. */
static void slot_take(struct worker *w, uint32_t tick) {
    unsigned at = tick % WHEEL_SLOTS;
    w->due = w->wheel[at];
    w->wheel[at] = NULL;
    w->wheel_bits[at / 64] &= ~(1ull << (at % 64));
    if (w->due)
        w->due->link = &w->due;
}

static void due_run(struct worker *w, struct timer *t) {
    timer_unlink(t);
    if (!t->deadline)
        return;
    if ((int32_t)(t->deadline - w->tick) > 0) {
        timer_link(w, t);
        return;
    }
    t->deadline = 0;
    t->fire(t);
}

bool timer_may_end(struct worker *w, struct timer *t) {
    if (!w->turn.several || w->draining || w->ending)
        return true;
    t->deadline = w->tick ? w->tick : 1;
    t->slot_tick = t->deadline;
    list_push(&w->ends_next, t);
    return false;
}

static bool ends_wait(const struct worker *w) {
    return w->ends || w->ends_next;
}

/* The next of those: true where it was one, which was not stopped or put off meanwhile. */
static bool end_run(struct worker *w) {
    if (!w->ends) {
        w->ends = w->ends_next;
        w->ends->link = &w->ends;
        w->ends_next = NULL;
    }
    struct timer *t = w->ends;
    bool fires = t->deadline && (int32_t)(t->deadline - w->tick) <= 0;
    w->ending = true;
    due_run(w, t);
    w->ending = false;
    return fires;
}

static void ends_run(struct worker *w, uint64_t until) {
    bool paces = w->turn.several && !w->draining, fired = false;
    if (paces && pause_wait_ns(w, &w->ends_pause))
        return;
    while (ends_wait(w) && !(fired && paces) && turn_reaches(&w->turn, sys_cycles()) < until)
        fired = end_run(w) || fired;
    if (fired)
        pause_begin(w, &w->ends_pause);
}

void timers_run(struct worker *w) {
    enum { LEAST = 2 }; /* of those due, however long the turn has been */
    uint64_t until = turn_reaches(&w->turn, sys_cycles()) + TIMERS_US * w->turn.cycles_us;
    uint32_t now = tick_of(w, w->now_ns);
    unsigned ran = 0;
    if ((int32_t)(now - w->tick) > WHEEL_SLOTS)
        w->tick = now - WHEEL_SLOTS; /* slept long: one round sees every slot */
    while (w->due || (int32_t)(now - w->tick) > 0) {
        if (!w->due)
            slot_take(w, ++w->tick);
        else if (ran++ < LEAST ||
                 (!turn_is_over(&w->turn) && turn_reaches(&w->turn, sys_cycles()) < until))
            due_run(w, w->due);
        else
            break;
    }
    ends_run(w, until);
}

/* Ticks from now to the next slot that may hold something; a bit left by a stopped timer only wakes us once in vain. */
static unsigned wheel_next(const struct worker *w) {
    unsigned from = (w->tick + 1) % WHEEL_SLOTS;
    for (unsigned step = 0; step < WHEEL_SLOTS;) {
        unsigned at = (from + step) % WHEEL_SLOTS;
        uint64_t bits = w->wheel_bits[at / 64] >> (at % 64);
        if (bits)
            return step + 1 + (unsigned)__builtin_ctzll(bits);
        step += 64 - at % 64;
    }
    return 0;
}

static int64_t wheel_wait_ns(const struct worker *w) {
    unsigned ticks = wheel_next(w);
    if (!ticks)
        return -1;
    int64_t due = w->tick_base_ns + (int64_t)(w->tick + ticks - 1) * TIMER_TICK_MS * 1000000LL;
    return due > w->now_ns ? due - w->now_ns : 1;
}

bool timers_are_next(const struct worker *w) {
    return w->due || (ends_wait(w) && !pause_wait_ns(w, &w->ends_pause));
}

int64_t timers_wait_ns(const struct worker *w) {
    if (timers_are_next(w))
        return 0;
    int64_t tick = wheel_wait_ns(w);
    return ends_wait(w) ? ns_sooner(tick, pause_wait_ns(w, &w->ends_pause)) : tick;
}
