/* SPDX-License-Identifier: GPL-3.0-or-later
 * top.h - which few of very many keys come most often, in bounded memory: SpaceSaving (Metwally et al., 2005), cut into small sets so
 * that counting is one look at one place. One per worker.
 *
 *   key --bits--> set of four ways: there? weight + 1     not there? the lightest way is his now, with its weight + 1
 *
 * A way's weight ranks it and is halved now and then, so that what was popular long ago makes room. Its `hits` are exact since the key
 * has had the way. Only its worker writes; any thread may read, and skips a way that changes its key meanwhile.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOP_WAYS = 4, TOP_AGE = 1 << 20 /* counts between two halvings */ };

struct top_way {
    uint64_t key; /* 0: nobody's */
    uint64_t hits;
    uint64_t weight;
};

struct top_set {
    struct top_way way[TOP_WAYS];
} __attribute__((aligned(32)));

struct top {
    uint64_t mask, counted;
    struct top_set set[];
};

/* Room for eight times `most` keys at least; a key that is among the `most` keeps its way then, nearly always. NULL: no memory. */
struct top *top_new(unsigned most);
size_t top_ways(const struct top *);
/* One more of a key (not 0, bits well mixed). On its worker. */
void top_count(struct top *, uint64_t key);
/* The i-th way as it stands. False: nobody's, or just changing hands. Any thread. */
bool top_read(const struct top *, size_t i, struct top_way *ret);
