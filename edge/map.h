/* SPDX-License-Identifier: GPL-3.0-or-later
 * map.h - text to pointer, for the control thread's tables of tenants. Owns its keys, never its values.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct map_item {
    struct map_item *next;
    void *value;
    char key[];
};
struct map {
    struct map_item **slot;
    size_t slots, count;
};

void *map_get(const struct map *, const char *key); /* NULL: none */
bool map_set(struct map *, const char *key, void *value); /* value not NULL; replaces. False: no memory */
void *map_remove(struct map *, const char *key); /* the value it had */
/* Calls `each` for all; it may remove the item it is called with, and no other. */
void map_each(struct map *, void (*each)(void *user, const char *key, void *value), void *user);
void map_fini(struct map *); /* the values are the caller's */
