/* SPDX-License-Identifier: GPL-3.0-or-later
 * pool.c - see pool.h.
 */
#include "core/pool.h"
#include <stdlib.h>
#include <string.h>

struct pool *pool_new(const char *key, unsigned workers) {
    size_t size = sizeof(struct pool) + workers * sizeof(struct pool_slot);
    struct pool *p = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!p)
        return NULL;
    memset(p, 0, size);
    p->key = strdup(key);
    if (!p->key) {
        free(p);
        return NULL;
    }
    p->workers = workers;
    p->refs = 1;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void pool_ref(struct pool *p) {
    p->refs++;
}

bool pool_unref(struct pool *p) {
    if (--p->refs)
        return false;
    pthread_mutex_destroy(&p->lock);
    trust_put(p->speech.trust);
    free(p->speech.server_name);
    free(p->key);
    free(p);
    return true;
}

/* ---- the newest set ---- */

struct upstream_set *upstream_set_new(struct pool *pool, const struct policy *policy,
                                      unsigned room) {
    size_t size = sizeof(struct upstream_set) + room * sizeof(struct upstream *);
    struct upstream_set *set = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!set)
        return NULL;
    memset(set, 0, size);
    set->pool = pool;
    set->policy = policy;
    set->pod_connections = (uint32_t)policy->pod_connections;
    set->balance = (uint8_t)policy->balance;
    return set;
}

/* A cap that was there once is still somebody's turn when connections end. */
static void member_list(struct upstream *up, bool capped) {
    if (!up->listed++)
        upstream_stay(up);
    for (unsigned i = 0; capped && i < up->workers; i++)
        __atomic_store_n(&up->w[i].capped, 1, __ATOMIC_RELAXED);
}

void pool_list(struct upstream_set *set) {
    for (unsigned i = 0; i < set->count; i++)
        member_list(set->member[i], set->pod_connections);
    __atomic_store_n(&set->pool->set, set, __ATOMIC_RELEASE);
}

void pool_unlist(struct upstream_set *set, struct worker *const *workers, struct ring *from) {
    if (set->pool->set == set)
        __atomic_store_n(&set->pool->set, NULL, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < set->count; i++)
        if (!--set->member[i]->listed)
            upstream_leave(set->member[i], workers, from);
}

/* ---- ejection ---- */

static unsigned out_count(const struct upstream_set *set, int64_t now_ms) {
    unsigned out = 0;
    for (unsigned i = 0; i < set->count; i++)
        out += ejection_is(&set->member[i]->ejection, now_ms) || upstream_is_out(set->member[i]);
    return out;
}

static void ejected(struct upstream *up, const struct policy *p, int64_t now_ms, uint64_t random) {
    ejection_begin(&up->ejection, p, now_ms, random);
    for (unsigned i = 0; i < up->workers; i++)
        __atomic_store_n(&up->w[i].ejected_until_ms, up->ejection.until_ms, __ATOMIC_RELAXED);
}

/* One judge at a time, or two pods that fail at once could both be the last that may go. Who comes second does not wait: the next
 * failure asks again. */
void pool_eject(struct pool *p, struct upstream *up, int64_t now_ms, uint64_t random) {
    if (__atomic_exchange_n(&p->ejecting, 1, __ATOMIC_ACQUIRE))
        return;
    const struct upstream_set *set = __atomic_load_n(&p->set, __ATOMIC_ACQUIRE);
    if (set && ejection_allowed(set->policy, set->count, out_count(set, now_ms)))
        ejected(up, set->policy, now_ms, random);
    __atomic_store_n(&p->ejecting, 0, __ATOMIC_RELEASE);
}
