/* SPDX-License-Identifier: GPL-3.0-or-later
 * access_ring.h - a ring of bytes with one writer and one reader, each on a thread of its own, without locks.
 *
 *   data:  . . . [tail] lines that wait [head] . . .      both only grow; the place is the value modulo the size
 *
 * Each side's index lies in a cache line of its own, and the writer looks at the reader's only when it seems to be full.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct access_ring {
    char *data;
    uint64_t size;              /* a power of two */
    _Alignas(64) uint64_t head; /* the writer's */
    uint64_t tail_seen;
    uint64_t lines, lost;
    _Alignas(64) uint64_t tail; /* the reader's */
};

/* `most`: of the ring's bytes, that may wait with this line among them. */
static inline bool access_ring_put(struct access_ring *r, const char *line, size_t length,
                                   uint64_t most) {
    uint64_t head = r->head, at = head & (r->size - 1), first = r->size - at;
    if (head - r->tail_seen + length > most)
        r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    if (head - r->tail_seen + length > most) {
        __atomic_store_n(&r->lost, r->lost + 1, __ATOMIC_RELAXED);
        return false;
    }
    if (first > length)
        first = length;
    memcpy(r->data + at, line, first);
    memcpy(r->data, line + first, length - first);
    __atomic_store_n(&r->head, head + length, __ATOMIC_RELEASE);
    __atomic_store_n(&r->lines, r->lines + 1, __ATOMIC_RELAXED);
    return true;
}
