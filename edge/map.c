/* SPDX-License-Identifier: GPL-3.0-or-later
 * map.c - a chained hash table that doubles. FNV-1a will do: keys are names of files the operator put there.
 */
#include "edge/map.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *key) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

static struct map_item **find(const struct map *m, const char *key) {
    struct map_item **at = &m->slot[hash(key) & (m->slots - 1)];
    while (*at && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static bool grow(struct map *m) {
    struct map bigger = {.slots = m->slots ? m->slots * 2 : 64, .count = m->count};
    bigger.slot = calloc(bigger.slots, sizeof *bigger.slot);
    if (!bigger.slot)
        return m->slots != 0; /* fuller chains are slower, not wrong */
    for (size_t i = 0; i < m->slots; i++)
        for (struct map_item *item = m->slot[i], *next; item; item = next) {
            next = item->next;
            struct map_item **at = &bigger.slot[hash(item->key) & (bigger.slots - 1)];
            item->next = *at;
            *at = item;
        }
    free(m->slot);
    *m = bigger;
    return true;
}

void *map_get(const struct map *m, const char *key) {
    struct map_item *item = m->slots ? *find(m, key) : NULL;
    return item ? item->value : NULL;
}

bool map_set(struct map *m, const char *key, void *value) {
    if (m->count >= m->slots && !grow(m))
        return false;
    struct map_item **at = find(m, key);
    if (!*at) {
        size_t length = strlen(key) + 1;
        struct map_item *item = malloc(sizeof *item + length);
        if (!item)
            return false;
        item->next = NULL;
        memcpy(item->key, key, length);
        *at = item;
        m->count++;
    }
    (*at)->value = value;
    return true;
}

void *map_remove(struct map *m, const char *key) {
    struct map_item **at = m->slots ? find(m, key) : NULL;
    if (!at || !*at)
        return NULL;
    struct map_item *item = *at;
    void *value = item->value;
    *at = item->next;
    m->count--;
    free(item);
    return value;
}

void map_each(struct map *m, void (*each)(void *, const char *, void *), void *user) {
    for (size_t i = 0; i < m->slots; i++)
        for (struct map_item *item = m->slot[i], *next; item; item = next) {
            next = item->next;
            each(user, item->key, item->value);
        }
}

void map_fini(struct map *m) {
    for (size_t i = 0; i < m->slots; i++)
        for (struct map_item *item = m->slot[i], *next; item; item = next) {
            next = item->next;
            free(item);
        }
    free(m->slot);
    *m = (struct map){0};
}
