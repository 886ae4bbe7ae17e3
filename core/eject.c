/* SPDX-License-Identifier: GPL-3.0-or-later
 * eject.c - see eject.h. Pure: no clock, no lists.
 */
#include "core/eject.h"

enum { DOUBLINGS_MOST = 20 };

#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELAXED)

bool ejection_failed(struct ejection *e, const struct policy *p, int64_t now_ms) {
    if (!p->eject_after ||
        ejection_is(e, now_ms)) /* what was under way when it was ejected says nothing new */
        return false;
    uint32_t failures = __atomic_add_fetch(&e->failures, 1, __ATOMIC_RELAXED);
    return failures >= p->eject_after;
}

static int64_t spell(const struct policy *p, uint32_t times) {
    int64_t ms = p->eject_ms;
    for (uint32_t i = 0; i < times && i < DOUBLINGS_MOST && ms < p->eject_most_ms; i++)
        ms *= 2;
    return ms < p->eject_most_ms ? ms : p->eject_most_ms;
}

void ejection_begin(struct ejection *e, const struct policy *p, int64_t now_ms, uint64_t random) {
    uint32_t times = LOAD(e->times);
    int64_t ms = spell(p, times);
    ms += (int64_t)(random % (uint64_t)(ms / 4 + 1));
    STORE(e->spell_ms, ms);
    STORE(e->times, times < DOUBLINGS_MOST ? times + 1 : times);
    STORE(e->failures, (uint32_t)p->eject_after - 1);
    STORE(e->until_ms, now_ms + ms);
}

void ejection_passed(struct ejection *e, int64_t now_ms) {
    if (LOAD(e->failures))
        STORE(e->failures, 0);
    if (LOAD(e->times) && now_ms >= LOAD(e->until_ms) + LOAD(e->spell_ms))
        STORE(e->times, 0);
}
