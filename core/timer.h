/* SPDX-License-Identifier: MIT
 * timer.h - a timer wheel per worker: coarse (TIMER_TICK_MS), intrusive, O(1). A timer fires once, at or up to one tick
 * after its time. Moving a deadline later costs nothing: the wheel looks again when the old one comes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct worker;
enum { TIMER_TICK_MS = 5 };

struct timer {
    struct timer *next, **link; /* in a wheel slot; link NULL: not in the wheel */
    void (*fire)(struct timer *);
    uint32_t deadline;  /* ticks; 0: not set */
    uint32_t slot_tick; /* where it stands in the wheel */
};

static inline void timer_init(struct timer *t, void (*fire)(struct timer *)) {
    *t = (struct timer){.fire = fire};
}
static inline bool timer_is_set(const struct timer *t) {
    return t->deadline != 0;
}
/* (Re)sets: fires `ms` from now. */
void timer_set(struct worker *, struct timer *, int64_t ms);
/* Asked by what has just fired, and is going to end a connection, before it does. False: that is called once more, in a moment, if `t` is
 * neither stopped nor set again by then. */
bool timer_may_end(struct worker *, struct timer *);
/* Will not fire any more; also unlinks, so that its memory may go. */
void timer_stop(struct timer *);
/* Will not fire until it is set again, but stays in the wheel, so that its neighbours there are not touched. */
static inline void timer_rest(struct timer *t) {
    t->deadline = 0;
}
