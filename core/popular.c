/* SPDX-License-Identifier: GPL-3.0-or-later
 * popular.c - see popular.h.
 *
 *   ways of all workers -> one row a key -> the names of all published hosts, asked for their keys -> the heaviest
 *
 * Workers keep no names, only keys: a tenant that is gone takes its names along, and its keys then name nothing.
 */
#include "core/popular.h"
#include "core/map.h"
#include "core/process.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void host_count(struct worker *w, const struct host *h) {
    if (w->top && h->host_key)
        top_count(w->top, h->host_key);
}

static uint64_t key_of(const struct tenant *t, const struct host *h) {
    char text[512];
    int n = snprintf(text, sizeof text, "%s/%s", t->uid, h->name);
    return hash_bytes(text, (size_t)n) | 1;
}

void popular_keys_set(struct tenant *t) {
    for (size_t i = 0; i < t->host_count; i++)
        t->host[i].host_key = key_of(t, &t->host[i]);
    struct host *any = (struct host *)(uintptr_t)t->any;
    if (any)
        any->host_key = key_of(t, any);
}

struct row {
    uint64_t key;
    struct popular found;
};
struct rows {
    struct row *row;
    size_t count;
};

static int by_key(const void *a, const void *b) {
    uint64_t x = ((const struct row *)a)->key, y = ((const struct row *)b)->key;
    return (x > y) - (x < y);
}

static int by_weight(const void *a, const void *b) {
    const struct popular *x = &((const struct row *)a)->found, *y = &((const struct row *)b)->found;
    if (!x->tenant != !y->tenant)
        return x->tenant ? -1 : 1;
    return (x->weight < y->weight) - (x->weight > y->weight);
}

static void ways_gather(struct rows *r, const struct top *t) {
    struct top_way way;
    for (size_t i = 0; i < top_ways(t); i++)
        if (top_read(t, i, &way))
            r->row[r->count++] =
                (struct row){.key = way.key, .found = {.hits = way.hits, .weight = way.weight}};
}

static void rows_merge(struct rows *r) {
    size_t kept = 0;
    qsort(r->row, r->count, sizeof *r->row, by_key);
    for (size_t i = 0; i < r->count; i++) {
        if (kept && r->row[kept - 1].key == r->row[i].key) {
            r->row[kept - 1].found.hits += r->row[i].found.hits;
            r->row[kept - 1].found.weight += r->row[i].found.weight;
        } else {
            r->row[kept++] = r->row[i];
        }
    }
    r->count = kept;
}

static void row_name(const struct tenant *t, const struct host *h, void *user) {
    struct rows *r = user;
    struct row *found =
        bsearch(&(struct row){.key = h->host_key}, r->row, r->count, sizeof *r->row, by_key);
    if (!found)
        return;
    found->found.tenant = t->name;
    found->found.host = h->name;
}

size_t popular_find(struct popular *ret, size_t most) {
    size_t room = 0, n = 0;
    for (unsigned i = 0; i < process.workers; i++)
        room += process.worker[i]->top ? top_ways(process.worker[i]->top) : 0;
    struct row *row = room ? calloc(room, sizeof *row) : NULL;
    if (!row)
        return 0;
    struct rows r = {.row = row};
    for (unsigned i = 0; i < process.workers; i++)
        if (process.worker[i]->top)
            ways_gather(&r, process.worker[i]->top);
    rows_merge(&r);
    if (r.count)
        published_hosts(row_name, &r);
    qsort(row, r.count, sizeof *row, by_weight);
    for (; n < r.count && n < most && row[n].found.tenant; n++)
        ret[n] = row[n].found;
    free(row);
    return n;
}
