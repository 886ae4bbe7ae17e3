/* SPDX-License-Identifier: MIT
 * buf.h - fixed-size, counted buffers of one worker, and slices of them.
 *
 *   pool --provide--> kernel --receive--> slice -> (parsed, forwarded as it is) -> last unref --> pool
 *
 * The same buffers serve receives and whatever the program writes itself. A slice owns one reference; passing a slice on
 * passes the reference on. Never shared between workers, so counts are plain integers.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct worker;

enum { BUF_SIZE = 4096 };

struct buf {
    uint32_t refs; /* 0: free */
    uint16_t id;
    uint16_t
        used; /* bytes a writer has filled from the start (stream_write_copy coalesces into the rest); while free: since when */
    uint8_t *data; /* BUF_SIZE bytes */
    struct buf *next;
};

struct slice {
    struct buf *buf; /* one reference; NULL: `data` is static memory */
    const uint8_t *data;
    uint32_t length;
};

/* refs = 1, used = 0; NULL when this worker's memory is used up. */
struct buf *buf_get(struct worker *);
static inline void buf_ref(struct buf *b) {
    b->refs++;
}
void buf_unref(struct worker *, struct buf *);
static inline void slice_drop(struct worker *w, struct slice *s) {
    if (s->buf)
        buf_unref(w, s->buf);
    *s = (struct slice){0};
}
