/* SPDX-License-Identifier: GPL-3.0-or-later
 * map.h - text to pointer, for the control thread's own tables. Keys are copied.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    char *key;
    void *value;
    uint64_t hash;
};
struct map { /* zero is empty */
    struct map_slot *slot;
    size_t room, count;
};

void *map_get(const struct map *, const char *key);
bool map_put(struct map *, const char *key, void *value); /* false: no memory */
void *map_remove(struct map *, const char *key);          /* the value that was there, or NULL */
void map_fini(struct map *);                              /* forgets; values are the caller's */
void map_clear(struct map *, void (*end)(void *value));   /* the same, when each value was ended */

/* SipHash-1-3 under a key drawn at start: a tenant can't choose names that collide. */
uint64_t hash_bytes(const void *data, size_t length);
