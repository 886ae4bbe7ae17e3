/* SPDX-License-Identifier: MIT
 * stash.h - memory that is given back all at once: one stash per document, per tenant, per answer.
 *
 * For boot and configuration only (the data path has slabs and buffers). Allocation never returns
 * NULL: whoever reads
 * text has bounded it first, so a failing malloc of this size means the machine is out of memory,
 * and the process ends.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct stash;

struct stash *stash_new(void);
/* Wipes before it frees: a stash may hold private keys. NULL is fine. */
void stash_free(struct stash *);
void *stash_alloc(struct stash *, size_t size); /* zeroed, aligned for anything */
void *stash_array(struct stash *, size_t count, size_t size);
/* `array` of `count` items with room for one more: call before each append, rooms are powers of
 * two. */
void *stash_room(struct stash *, void *array, size_t count, size_t size);
char *stash_text(struct stash *, const char *text); /* NULL stays NULL */
char *stash_slice(struct stash *, const char *text, size_t length);
char *stash_lower(struct stash *, const char *text); /* ASCII */
char *stash_format(struct stash *, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull));
char *stash_format_list(struct stash *, const char *format, va_list)
    __attribute__((format(printf, 2, 0), nonnull(1, 2)));
