/* SPDX-License-Identifier: GPL-3.0-or-later
 * body.c - one direction's way out, see body.h. Never waits, never fails: a stream that takes no more makes it `dead`.
 */
#include "modules/http/body.h"

static void note(struct body_out *o, int result) {
    o->full |= result == 1;
    o->dead |= result < 0;
}

static void write_slice(struct body_out *o, struct buf *buf, const uint8_t *at, size_t length) {
    if (buf)
        buf_ref(buf);
    note(o,
         stream_write(o->to, (struct slice){.buf = buf, .data = at, .length = (uint32_t)length}));
}

void body_flush(struct body_out *o, uint32_t end) {
    if (o->way) {
        o->way->flush(o, end);
        return;
    }
    struct head *h = o->head;
    uint32_t from = o->sent;
    if (end == from)
        return;
    o->sent = end;
    if (o->dead)
        return;
    o->bytes += end - from;
    if (h->buf)
        write_slice(o, h->buf, h->data + from, end - from);
    else
        note(o, stream_write_copy(o->to, h->data + from, end - from));
}

/* RFC 9112 section 7.1: "\r\n" of the chunk before, if any, then the size of this one. */
static size_t chunk_line(struct body_out *o, size_t length, char line[24]) {
    size_t at = 24;
    line[--at] = '\n';
    line[--at] = '\r';
    do
        line[--at] = "0123456789abcdef"[length & 15];
    while (length >>= 4);
    if (o->open) {
        line[--at] = '\n';
        line[--at] = '\r';
    }
    o->open = true;
    return at;
}

void body_part(struct body_out *o, const struct slice *source, const uint8_t *at, size_t length) {
    if (o->way) {
        o->way->part(o, source, at, length);
        return;
    }
    char line[24];
    size_t from = o->chunked ? chunk_line(o, length, line) : sizeof line,
           extra = sizeof line - from;
    struct head *h = o->head;
    if (h->buf && length <= BODY_SMALL && h->room - h->used >= extra + length) {
        memcpy(h->data + h->used, line + from, extra);
        memcpy(h->data + h->used + extra, at, length);
        h->used += (uint32_t)(extra + length);
        return;
    }
    body_flush(o, h->used);
    o->direct = true;
    if (o->dead)
        return;
    o->bytes += extra + length;
    if (extra)
        note(o, stream_write_copy(o->to, line + from, extra));
    if (source->buf && length > BODY_SMALL / 4)
        write_slice(o, source->buf, at, length);
    else
        note(o, stream_write_copy(o->to, at, length));
}

void body_last(struct body_out *o) {
    if (o->way && o->to)
        o->way->last(o);
    if (o->way || !o->chunked)
        return;
    o->failed |= !(o->open ? head_puts(o->head, "\r\n0\r\n") : head_puts(o->head, "0\r\n"));
    o->open = false;
}

/* While there is no stream yet (it is waited for), what has no end in the text ends when there is one. */
void body_end(struct body_out *o) {
    if (o->way && o->to)
        o->way->end(o);
    else if (o->way)
        return;
    else if (o->chunked)
        o->failed |= !head_puts(o->head, "\r\n");
}

void body_replay(struct body_out *o, struct stream *to) {
    o->to = to;
    o->sent = 0;
    o->full = o->dead = false;
}
