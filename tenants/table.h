/* SPDX-License-Identifier: GPL-3.0-or-later
 * table.h - text to pointer, for the registry's indices. Keys stay the caller's and live as long
 * as their entry.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    const char *key; /* NULL: empty */
    void *value;
    uint64_t hash;
};
struct table { /* all zero: empty */
    struct table_slot *slot;
    size_t count, room; /* room: a power of two, or 0 */
    uint64_t seed;
};

void *table_get(const struct table *, const char *key); /* NULL: not there */
void *table_get_slice(const struct table *, const char *key, size_t length);
void table_put(struct table *, const char *key, void *value); /* the key must not be there */
void table_drop(struct table *, const char *key);
/* Values in no order: for (size_t at = 0; (value = table_next(t, &at));). Not while the table
 * changes. */
void *table_next(const struct table *, size_t *at);
void table_fini(struct table *);
