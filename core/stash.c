/* SPDX-License-Identifier: GPL-3.0-or-later
 * stash.c - a chain of growing blocks; a piece is cut from the newest, all of them go together.
 *   newest block -> older -> oldest
 * What is larger than a block gets a block of its own. Never gives a single piece back. Many of them stay, each of a tenant's: blocks are as
 * large as malloc has them, to the byte, and of what all of them hold a fifth is unused, at most.
 */
#include "core/stash.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *older;
    size_t used, size;
    alignas(max_align_t) unsigned char byte[];
};

struct stash {
    struct block *newest;
    size_t total; /* of all blocks */
};

enum { BLOCK_LEAST = 1024, BLOCK_LARGEST = 64 * 1024, UNUSED_PART = 4 /* of what is there */ };

static void *memory_or_die(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) {
        fputs("ringress: out of memory while reading configuration\n", stderr);
        abort();
    }
    return memory;
}

struct stash *stash_new(void) {
    return memory_or_die(1, sizeof(struct stash));
}

void stash_free(struct stash *stash) {
    if (!stash)
        return;
    for (struct block *block = stash->newest, *older; block; block = older) {
        older = block->older;
        explicit_bzero(block->byte, block->used);
        free(block);
    }
    free(stash);
}

static struct block *stash_grow(struct stash *stash, size_t size) {
    size_t whole = BLOCK_LEAST;
    while (whole < BLOCK_LARGEST && whole * 2 * UNUSED_PART <= stash->total)
        whole *= 2;
    size_t room = whole - sizeof(struct block) > size ? whole - sizeof(struct block) : size;
    struct block *block = memory_or_die(1, sizeof *block + room);
    block->size = room;
    block->older = stash->newest;
    stash->newest = block;
    stash->total += sizeof *block + room;
    return block;
}

static void *stash_cut(struct stash *stash, size_t size, size_t alignment) {
    struct block *block = stash->newest;
    if (size > SIZE_MAX - sizeof(struct block))
        abort(); /* an overflow is a bug of the caller: sizes are bounded before */
    size_t at = block ? (block->used + alignment - 1) & ~(alignment - 1) : 0;
    if (!block || at > block->size || block->size - at < size) {
        block = stash_grow(stash, size);
        at = 0;
    }
    block->used = at + size;
    return block->byte + at;
}

void *stash_alloc(struct stash *stash, size_t size) {
    return stash_cut(stash, size, alignof(max_align_t));
}

void *stash_array(struct stash *stash, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        abort();
    return stash_alloc(stash, bytes);
}

void *stash_room(struct stash *stash, void *array, size_t count, size_t size) {
    if (count && (count & (count - 1)))
        return array; /* between two powers of two there is room left */
    void *larger = stash_array(stash, count ? count * 2 : 1, size);
    if (count)
        memcpy(larger, array, count * size);
    return larger;
}

char *stash_slice(struct stash *stash, const char *text, size_t length) {
    char *copy = stash_cut(stash, length + 1, 1);
    memcpy(copy, text, length);
    return copy;
}

char *stash_text(struct stash *stash, const char *text) {
    return text ? stash_slice(stash, text, strlen(text)) : NULL;
}

char *stash_lower(struct stash *stash, const char *text) {
    char *copy = stash_text(stash, text);
    for (char *at = copy; at && *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    return copy;
}

char *stash_format_list(struct stash *stash, const char *format, va_list list) {
    va_list again;
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    char *text = stash_cut(stash, (size_t)(length < 0 ? 0 : length) + 1, 1);
    if (length > 0)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *stash_format(struct stash *stash, const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *text = stash_format_list(stash, format, list);
    va_end(list);
    return text;
}
