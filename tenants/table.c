/* SPDX-License-Identifier: GPL-3.0-or-later
 * table.c - open addressing with linear probing; a removal moves the followers back, so there are
 * no tombstones.
 * The hash is seeded at random: tenants choose the keys and must not choose the collisions.
 */
#include "tenants/table.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t text_hash(uint64_t seed, const char *text, size_t length) {
    uint64_t hash = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    hash = (hash ^ (hash >> 32)) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static size_t slot_find(const struct table *table, const char *key, size_t length, uint64_t hash) {
    size_t at = hash & (table->room - 1);
    for (; table->slot[at].key; at = (at + 1) & (table->room - 1))
        if (table->slot[at].hash == hash && !strncmp(table->slot[at].key, key, length) &&
            !table->slot[at].key[length])
            break;
    return at;
}

void *table_get_slice(const struct table *table, const char *key, size_t length) {
    if (!table->count)
        return NULL;
    return table->slot[slot_find(table, key, length, text_hash(table->seed, key, length))].value;
}

void *table_get(const struct table *table, const char *key) {
    return table_get_slice(table, key, strlen(key));
}

static void table_grow(struct table *table) {
    struct table old = *table;
    if (!old.room && getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) < 0)
        table->seed = (uintptr_t)table;
    table->room = old.room ? old.room * 2 : 16;
    table->slot = calloc(table->room, sizeof *table->slot);
    if (!table->slot)
        abort(); /* as in core/stash.c: the machine is out of memory */
    for (size_t i = 0; i < old.room; i++) {
        if (!old.slot[i].key)
            continue;
        uint64_t hash = text_hash(table->seed, old.slot[i].key, strlen(old.slot[i].key));
        size_t at = slot_find(table, old.slot[i].key, strlen(old.slot[i].key), hash);
        table->slot[at] = (struct table_slot){old.slot[i].key, old.slot[i].value, hash};
    }
    free(old.slot);
}

void table_put(struct table *table, const char *key, void *value) {
    if (table->count * 4 >= table->room * 3)
        table_grow(table);
    uint64_t hash = text_hash(table->seed, key, strlen(key));
    size_t at = slot_find(table, key, strlen(key), hash);
    table->count += !table->slot[at].key;
    table->slot[at] = (struct table_slot){key, value, hash};
}

void table_drop(struct table *table, const char *key) {
    size_t mask = table->room - 1;
    if (!table_get(table, key))
        return;
    size_t hole = slot_find(table, key, strlen(key), text_hash(table->seed, key, strlen(key)));
    for (size_t at = (hole + 1) & mask; table->slot[at].key; at = (at + 1) & mask) {
        size_t home = table->slot[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* it stands between its home and the hole: it may stay */
        table->slot[hole] = table->slot[at];
        hole = at;
    }
    table->slot[hole] = (struct table_slot){0};
    table->count--;
}

void *table_next(const struct table *table, size_t *at) {
    while (*at < table->room) {
        const struct table_slot *slot = &table->slot[(*at)++];
        if (slot->key)
            return slot->value;
    }
    return NULL;
}

void table_fini(struct table *table) {
    free(table->slot);
    *table = (struct table){0};
}
