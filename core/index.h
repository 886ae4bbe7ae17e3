/* SPDX-License-Identifier: GPL-3.0-or-later
 * index.h - hash -> objects, eight bytes a slot: one thread writes, any thread that reads the directory reads, without locks.
 *
 * An object may stand in it under several keys, and several under one: whoever looks compares. Objects that were removed are
 * freed after a grace period (retire.h); a table that grew is, by index_add itself.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_table;

struct index { /* zero but for hash_of: empty */
    struct index_table *table;
    /* The hash of the object's n-th key; false: it has no more. */
    bool (*hash_of)(const void *object, unsigned n, uint64_t *ret_hash);
};

struct index_walk { /* over what may have one hash */
    const struct index_table *table;
    size_t at;
};

bool index_add(struct index *,
               void *object); /* under all of its keys; false: no memory, it is under none */
void index_remove(struct index *, const void *object);
void index_fini(struct index *); /* objects are the caller's */
/* All of them, for the writer, who may remove what he gets; `*at` begins as 0. Once under each of its keys that is not removed. */
void *index_each(const struct index *, size_t *at);
size_t index_bytes(const struct index *);

struct index_walk index_walk(const struct index *, uint64_t hash);
void *index_next(struct index_walk *); /* NULL: that was all */
