/* SPDX-License-Identifier: GPL-3.0-or-later
 * heap.h - what is due next: a binary heap of items embedded in what owns them.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct heap_item {
    int64_t key; /* the smallest comes first */
    size_t at;   /* its place + 1; 0: in no heap */
};
struct heap { /* all zero: empty */
    struct heap_item **item;
    size_t count, room;
};

struct heap_item *heap_first(const struct heap *); /* NULL: empty */
/* Puts it in, or moves it to where its new key belongs. */
void heap_put(struct heap *, struct heap_item *, int64_t key);
void heap_take(struct heap *, struct heap_item *); /* fine when it is not in */
void heap_fini(struct heap *);
