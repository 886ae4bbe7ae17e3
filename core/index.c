/* SPDX-License-Identifier: GPL-3.0-or-later
 * index.c - see index.h. Open addressing, linear probing, at most 4/5 full; a removed object leaves a mark that ends no probe.
 */
#include "core/index.h"
#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

struct index_table {
    size_t mask, used; /* used: objects and marks */
    void *slot[];
};

enum { ROOM_LEAST = 16 };

static char gone; /* its address is the mark */

static struct index_table *table_new(size_t room) {
    struct index_table *t = calloc(1, sizeof *t + room * sizeof *t->slot);
    if (t)
        t->mask = room - 1;
    return t;
}

static void table_put(struct index_table *t, uint64_t hash, void *object) {
    size_t at = hash & t->mask;
    while (t->slot[at] && t->slot[at] != &gone)
        at = (at + 1) & t->mask;
    t->used += !t->slot[at];
    __atomic_store_n(&t->slot[at], object, __ATOMIC_RELEASE);
}

static size_t table_find(const struct index_table *t, uint64_t hash, const void *object) {
    size_t at = hash & t->mask;
    while (t->slot[at] && t->slot[at] != object)
        at = (at + 1) & t->mask;
    return at;
}

static unsigned keys_count(const struct index *x, const void *object) {
    unsigned n = 0;
    for (uint64_t hash; x->hash_of(object, n, &hash); n++)
        ;
    return n;
}

static void keys_put(const struct index *x, struct index_table *t, void *object) {
    uint64_t hash;
    for (unsigned n = 0; x->hash_of(object, n, &hash); n++)
        table_put(t, hash, object);
}

/* Each object once: where its first key is found first. */
static bool is_first(const struct index *x, const struct index_table *t, size_t at) {
    uint64_t hash;
    const void *object = t->slot[at];
    return object && object != &gone && x->hash_of(object, 0, &hash) &&
           table_find(t, hash, object) == at;
}

/* A copy without marks, with room for `more` keys, in place of the old one. */
static bool table_rebuild(struct index *x, size_t more) {
    struct index_table *old = x->table;
    size_t keys = more, room = ROOM_LEAST;
    for (size_t i = 0; old && i <= old->mask; i++)
        keys += old->slot[i] && old->slot[i] != &gone;
    while (room * 4 / 5 <= keys)
        room *= 2;
    struct index_table *t = table_new(room);
    if (!t)
        return false;
    for (size_t i = 0; old && i <= old->mask; i++)
        if (is_first(x, old, i))
            keys_put(x, t, old->slot[i]);
    __atomic_store_n(&x->table, t, __ATOMIC_RELEASE);
    if (old)
        urcu_qsbr_synchronize_rcu();
    free(old);
    return true;
}

bool index_add(struct index *x, void *object) {
    unsigned keys = keys_count(x, object);
    if ((!x->table || (x->table->used + keys) * 5 > (x->table->mask + 1) * 4) &&
        !table_rebuild(x, keys))
        return false;
    keys_put(x, x->table, object);
    return true;
}

void index_remove(struct index *x, const void *object) {
    uint64_t hash;
    for (unsigned n = 0; x->table && x->hash_of(object, n, &hash); n++) {
        size_t at = table_find(x->table, hash, object);
        if (x->table->slot[at])
            __atomic_store_n(&x->table->slot[at], &gone, __ATOMIC_RELEASE);
    }
}

void index_fini(struct index *x) {
    free(x->table);
    x->table = NULL;
}

void *index_each(const struct index *x, size_t *at) {
    while (x->table && *at <= x->table->mask) {
        void *object = x->table->slot[(*at)++];
        if (object && object != &gone)
            return object;
    }
    return NULL;
}

size_t index_bytes(const struct index *x) {
    return x->table ? sizeof *x->table + (x->table->mask + 1) * sizeof *x->table->slot : 0;
}

struct index_walk index_walk(const struct index *x, uint64_t hash) {
    const struct index_table *t = __atomic_load_n(&x->table, __ATOMIC_ACQUIRE);
    return (struct index_walk){t, t ? hash & t->mask : 0};
}

void *index_next(struct index_walk *w) {
    if (!w->table)
        return NULL;
    for (;;) {
        void *object = __atomic_load_n(&w->table->slot[w->at], __ATOMIC_ACQUIRE);
        if (!object)
            return NULL;
        w->at = (w->at + 1) & w->table->mask;
        if (object != &gone)
            return object;
    }
}
