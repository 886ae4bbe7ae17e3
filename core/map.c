/* SPDX-License-Identifier: GPL-3.0-or-later
 * map.c - open addressing with linear probing and backward-shift deletion; and the keyed hash all tables use.
 */
#include "core/map.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t key0, key1;

static void key_draw(void) {
    uint64_t k[2] = {0x736f6d6570736575ull, 0x646f72616e646f6dull};
    if (getrandom(k, sizeof k, 0) != sizeof k)
        k[0] ^= (uintptr_t)&k; /* no entropy source at all: the address space's own */
    key0 = k[0];
    key1 = k[1];
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define ROUND()                                                   \
    do {                                                          \
        v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0, v0 = ROTL(v0, 32); \
        v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2;                    \
        v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0;                    \
        v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2, v2 = ROTL(v2, 32); \
    } while (0)

uint64_t hash_bytes(const void *data, size_t length) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, key_draw);
    const uint8_t *p = data;
    uint64_t v0 = key0 ^ 0x736f6d6570736575ull, v1 = key1 ^ 0x646f72616e646f6dull;
    uint64_t v2 = key0 ^ 0x6c7967656e657261ull, v3 = key1 ^ 0x7465646279746573ull;
    uint64_t m, last = (uint64_t)length << 56;
    for (; length >= 8; length -= 8, p += 8) {
        memcpy(&m, p, 8);
        v3 ^= m;
        ROUND();
        v0 ^= m;
    }
    m = 0;
    memcpy(&m, p, length);
    last |= m;
    v3 ^= last;
    ROUND();
    v0 ^= last;
    v2 ^= 0xff;
    ROUND();
    ROUND();
    ROUND();
    return v0 ^ v1 ^ v2 ^ v3;
}

static size_t map_find(const struct map *m, const char *key, uint64_t hash) {
    size_t at = hash & (m->room - 1);
    while (m->slot[at].key && (m->slot[at].hash != hash || strcmp(m->slot[at].key, key)))
        at = (at + 1) & (m->room - 1);
    return at;
}

void *map_get(const struct map *m, const char *key) {
    return m->room ? m->slot[map_find(m, key, hash_bytes(key, strlen(key)))].value : NULL;
}

static bool map_grow(struct map *m) {
    struct map bigger = {.room = m->room ? m->room * 2 : 16, .count = m->count};
    bigger.slot = calloc(bigger.room, sizeof *bigger.slot);
    if (!bigger.slot)
        return false;
    for (size_t i = 0; i < m->room; i++)
        if (m->slot[i].key)
            bigger.slot[map_find(&bigger, m->slot[i].key, m->slot[i].hash)] = m->slot[i];
    free(m->slot);
    *m = bigger;
    return true;
}

bool map_put(struct map *m, const char *key, void *value) {
    if (m->count * 4 >= m->room * 3 && !map_grow(m))
        return false;
    uint64_t hash = hash_bytes(key, strlen(key));
    struct map_slot *s = &m->slot[map_find(m, key, hash)];
    if (!s->key) {
        s->key = strdup(key);
        if (!s->key)
            return false;
        s->hash = hash;
        m->count++;
    }
    s->value = value;
    return true;
}

void *map_remove(struct map *m, const char *key) {
    if (!m->room)
        return NULL;
    size_t at = map_find(m, key, hash_bytes(key, strlen(key)));
    if (!m->slot[at].key)
        return NULL;
    void *value = m->slot[at].value;
    free(m->slot[at].key);
    m->count--;
    /* Whoever was pushed past the hole moves back into it. */
    for (size_t next = (at + 1) & (m->room - 1); m->slot[next].key;
         next = (next + 1) & (m->room - 1)) {
        size_t home = m->slot[next].hash & (m->room - 1);
        if (((next - home) & (m->room - 1)) >= ((next - at) & (m->room - 1))) {
            m->slot[at] = m->slot[next];
            at = next;
        }
    }
    m->slot[at] = (struct map_slot){0};
    return value;
}

void map_fini(struct map *m) {
    for (size_t i = 0; i < m->room; i++)
        free(m->slot[i].key);
    free(m->slot);
    *m = (struct map){0};
}

void map_clear(struct map *m, void (*end)(void *value)) {
    for (size_t i = 0; i < m->room; i++)
        if (m->slot[i].key)
            end(m->slot[i].value);
    map_fini(m);
}
