/* SPDX-License-Identifier: GPL-3.0-or-later
 * head.h - one contiguous area of bytes that a message's head is written to, and fields are taken back from.
 *
 *   | start line | field | field | field ... | (small body, chunk lines, trailers) |
 *   0                                        ^ used                                ^ room
 *
 * Lies in a pool buffer while it fits (then `buf` is that buffer and bytes can be sent from where they are), else in memory of its
 * owner's choosing: `grow` moves it.
 */
#pragma once
#include "core/buf.h"
#include <stdbool.h>
#include <string.h>

struct head {
    uint8_t *data;
    uint32_t used, room;
    struct buf *buf; /* NULL: other memory */
    /* Makes room for `need` more bytes, keeping the first `used`. False: no memory. NULL: the room is what it is. */
    bool (*grow)(struct head *, size_t need);
};

static inline bool head_reserve(struct head *h, size_t need) {
    return __builtin_expect(h->room - h->used >= need, 1) || (h->grow && h->grow(h, need));
}
static inline bool head_put(struct head *h, const void *data, size_t length) {
    if (!head_reserve(h, length))
        return false;
    memcpy(h->data + h->used, data, length);
    h->used += (uint32_t)length;
    return true;
}
#define head_puts(h, literal) head_put((h), (literal), sizeof(literal) - 1)
bool head_put_number(struct head *, uint64_t);
bool head_insert(struct head *, uint32_t at, const void *data, size_t length);

/* Fields: lines "name: value\r\n" from `from` to `used`. */
struct head_field {
    uint32_t at, end; /* the whole line */
    uint32_t name_length, value_at, value_length;
};
/* The field that starts at `at`; false at the end. */
bool head_next(const struct head *, uint32_t at, struct head_field *ret);
/* The first field of that name (lower case) at or after `from`. */
bool head_find(const struct head *, uint32_t from, const char *lower, size_t length,
               struct head_field *ret);
/* Takes away every field of that name; returns how many. */
unsigned head_remove(struct head *, uint32_t from, const char *lower, size_t length);

/* The next element of a comma-separated list, without the space around it. False: no more. */
bool list_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret, size_t *ret_length);
