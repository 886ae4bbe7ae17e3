/* SPDX-License-Identifier: MIT
 * buf.h - fixed-size, counted buffers of one worker, and slices of them.
 *
 *   pool --provide--> kernel --receive--> slice -> (parsed, forwarded as it is) -> last unref --> pool
 *
 * The same buffers serve receives and whatever the program writes itself. A slice owns one reference; passing a slice on
 * passes the reference on. Never shared between workers, so counts are plain integers.
 *
 * Each one in use is somebody's, wherever it waits: whose receive brought it, or on whose account it was made. Who keeps one that has
 * turned out to be another's says so (buf_charge).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct worker;
struct account_worker;

enum { BUF_SIZE = 4096 };

struct buf {
    uint32_t refs; /* 0: free */
    uint16_t id;
    uint16_t
        used; /* bytes a writer has filled from the start (stream_write_copy coalesces into the rest); while free: since when */
    uint8_t *data; /* BUF_SIZE bytes */
    union {
        struct buf *next;             /* while it is free, or waits in a lane */
        struct account_worker *payer; /* while it is in use */
    };
};

struct slice {
    struct buf *buf; /* one reference; NULL: `data` is static memory */
    const uint8_t *data;
    uint32_t length;
};

/* refs = 1, used = 0, charged to whoever pays now; NULL when this worker's memory is used up. */
struct buf *buf_get(struct worker *);
/* Somebody else's from now on, where there is one; `to` NULL: it is not known whose. */
void buf_charge(struct worker *, struct buf *, struct account_worker *to);
static inline void buf_ref(struct buf *b) {
    b->refs++;
}
void buf_unref(struct worker *, struct buf *);
static inline void slice_drop(struct worker *w, struct slice *s) {
    if (s->buf)
        buf_unref(w, s->buf);
    *s = (struct slice){0};
}
