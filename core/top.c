/* SPDX-License-Identifier: GPL-3.0-or-later
 * top.c - see top.h.
 */
#include "core/top.h"
#include <stdlib.h>
#include <string.h>

#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define STORE(p, n) __atomic_store_n(&(p), (n), __ATOMIC_RELAXED)

struct top *top_new(unsigned most) {
    size_t sets = 64;
    while (sets * TOP_WAYS < 8 * (size_t)most)
        sets *= 2;
    size_t size = (sizeof(struct top) + sets * sizeof(struct top_set) + 63) & ~(size_t)63;
    struct top *t = aligned_alloc(64, size);
    if (!t)
        return NULL;
    memset(t, 0, size);
    t->mask = sets - 1;
    return t;
}

size_t top_ways(const struct top *t) {
    return (t->mask + 1) * TOP_WAYS;
}

static void age(struct top *t) {
    for (size_t i = 0; i <= t->mask; i++)
        for (int k = 0; k < TOP_WAYS; k++)
            STORE(t->set[i].way[k].weight, t->set[i].way[k].weight / 2);
}

/* Readers look at the key before and after the rest: who sees a count of the new key sees that the old one is gone. */
static void way_take(struct top_way *w, uint64_t key) {
    STORE(w->key, 0);
    __atomic_store_n(&w->hits, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&w->weight, w->weight + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&w->key, key, __ATOMIC_RELEASE);
}

/* All four are looked at, without a branch: where a key stands is anybody's guess, and a wrong one costs more. */
void top_count(struct top *t, uint64_t key) {
    struct top_way *way = t->set[key >> 32 & t->mask].way;
    unsigned least = 0, found = TOP_WAYS;
    if (++t->counted % TOP_AGE == 0)
        age(t);
    for (unsigned i = 0; i < TOP_WAYS; i++) {
        least = way[i].weight < way[least].weight ? i : least;
        found = way[i].key == key ? i : found;
    }
    if (found == TOP_WAYS) {
        way_take(&way[least], key);
        return;
    }
    STORE(way[found].hits, way[found].hits + 1);
    STORE(way[found].weight, way[found].weight + 1);
}

bool top_read(const struct top *t, size_t i, struct top_way *ret) {
    const struct top_way *w = &t->set[i / TOP_WAYS].way[i % TOP_WAYS];
    ret->key = __atomic_load_n(&w->key, __ATOMIC_ACQUIRE);
    ret->hits = __atomic_load_n(&w->hits, __ATOMIC_ACQUIRE);
    ret->weight = __atomic_load_n(&w->weight, __ATOMIC_ACQUIRE);
    return ret->key && LOAD(w->key) == ret->key;
}
