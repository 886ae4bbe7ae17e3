/* SPDX-License-Identifier: GPL-3.0-or-later
 * slices.c - see slices.h.
 */
#include "modules/http/slices.h"
#include "core/module.h"
#include <errno.h>
#include <string.h>

static uint32_t room_of(const struct slices *q) {
    return q->room ? q->room : SLICES_PLACE;
}

static struct slice *item_at(struct slices *q, uint32_t i) {
    return (q->room ? q->more : q->place) + (q->first + i) % room_of(q);
}

static bool slices_grow(struct worker *w, struct slices *q) {
    uint32_t room = q->room ? q->room * 2 : 4 * SLICES_PLACE;
    struct slice *more = worker_alloc(w, room * sizeof *more);
    if (!more)
        return false;
    for (uint32_t i = 0; i < q->count; i++)
        more[i] = *item_at(q, i);
    if (q->room)
        worker_free(w, q->more, q->room * sizeof *q->more);
    q->more = more;
    q->room = room;
    q->first = 0;
    return true;
}

bool slices_put(struct worker *w, struct slices *q, struct slice s) {
    if (q->count == room_of(q) && !slices_grow(w, q)) {
        slice_drop(w, &s);
        return false;
    }
    q->count++;
    *item_at(q, q->count - 1) = s;
    q->bytes += s.length;
    return true;
}

/* Behind the last slice, when this queue made its buffer and only it knows of it. */
static size_t slices_append(struct slices *q, const void *data, size_t length) {
    struct slice *last = q->count ? item_at(q, q->count - 1) : NULL;
    if (!last || !last->buf || last->buf->refs != 1 ||
        last->data + last->length != last->buf->data + last->buf->used)
        return 0;
    size_t room = (size_t)(BUF_SIZE - last->buf->used), n = length < room ? length : room;
    memcpy(last->buf->data + last->buf->used, data, n);
    last->buf->used = (uint16_t)(last->buf->used + n);
    last->length += (uint32_t)n;
    q->bytes += (uint32_t)n;
    return n;
}

bool slices_put_copy(struct worker *w, struct slices *q, const void *data, size_t length) {
    const uint8_t *at = data;
    for (size_t n; length; at += n, length -= n) {
        n = slices_append(q, at, length);
        if (n)
            continue;
        struct buf *b = buf_get(w);
        if (!b || !slices_put(w, q, (struct slice){.buf = b, .data = b->data}))
            return false;
    }
    return true;
}

int slices_send(struct worker *w, struct slices *q, size_t bytes, struct stream *to) {
    int result = 0;
    q->bytes -= (uint32_t)bytes;
    while (bytes) {
        struct slice *s = item_at(q, 0), part = *s;
        if (part.length > bytes) {
            part.length = (uint32_t)bytes;
            s->data += bytes;
            s->length -= (uint32_t)bytes;
            if (part.buf)
                buf_ref(part.buf);
        } else {
            q->first = (q->first + 1) % room_of(q);
            q->count--;
        }
        bytes -= part.length;
        int wrote = stream_write(to, part);
        result = result < 0 ? result : wrote;
    }
    if (!q->count && q->room)
        slices_drop(w, q);
    return result;
}

void slices_drop(struct worker *w, struct slices *q) {
    for (uint32_t i = 0; i < q->count; i++)
        slice_drop(w, item_at(q, i));
    if (q->room)
        worker_free(w, q->more, q->room * sizeof *q->more);
    *q = (struct slices){0};
}
