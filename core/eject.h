/* SPDX-License-Identifier: GPL-3.0-or-later
 * eject.h - passive ejection: a pod that fails several times in a row is left alone for a while, longer each time.
 *
 *   IN --failures in a row--> EJECTED until a time --time--> IN, on probation: one more failure ejects again, twice as long
 *                                                             a success ends it; as long in peace as it was out forgets the past
 *
 * One for each pod, shared by all workers without a lock: plain words, written atomically. Two workers that write at once can lose
 * one count, never the meaning of the struct.
 */
#pragma once
#include "tenants/compiled.h"

struct ejection {
    int64_t until_ms;  /* monotonic; 0: never */
    int64_t spell_ms;  /* how long the latest was */
    uint32_t failures; /* in a row */
    uint32_t times;    /* ejections that are not forgotten */
};

static inline bool ejection_is(const struct ejection *e, int64_t now_ms) {
    return __atomic_load_n(&e->until_ms, __ATOMIC_RELAXED) > now_ms;
}

/* A failure. True: that was one too many; whoever may spare it calls ejection_begin. */
bool ejection_failed(struct ejection *, const struct policy *, int64_t now_ms);
/* Out for eject_ms, doubled for each time before, at most eject_most_ms; then up to a quarter more, by `random`, so that pods which
 * failed together don't come back together. */
void ejection_begin(struct ejection *, const struct policy *, int64_t now_ms, uint64_t random);
/* A success. Costs a read while all is well. */
void ejection_passed(struct ejection *, int64_t now_ms);

static inline bool ejection_is_clean(const struct ejection *e) {
    return !__atomic_load_n(&e->failures, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&e->times, __ATOMIC_RELAXED);
}

/* May one more of `count` be out when `out` are? At least one never is. */
static inline bool ejection_allowed(const struct policy *p, unsigned count, unsigned out) {
    return out + 1 < count &&
           (uint64_t)(out + 1) * 100 <= (uint64_t)count * (uint64_t)p->eject_percent;
}
