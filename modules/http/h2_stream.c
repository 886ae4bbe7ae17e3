/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_stream.c - one stream of HTTP/2 as a `struct stream`, and as a way for heads and bodies to go out, see h2_session.h.
 *
 *   write, body_part --> out --nghttp2, as the peer's windows allow--> wire
 *   pause: what came is kept in the account of what is unread, so that the peer's window closes; resume gives it back
 */
#include "modules/http/h2_session.h"
#include <errno.h>

void h2_stream_resume(struct h2_stream *st) {
    if (!st->waiting || st->id < 0 || st->closed || (!st->out.bytes && !st->out_ended))
        return;
    st->waiting = false;
    nghttp2_session_resume_data(st->session->ng, st->id);
}

static void out_more(struct h2_stream *st) {
    h2_stream_resume(st);
    h2_session_kick(st->session);
}

static int out_result(struct h2_stream *st, bool ok) {
    if (!ok) { /* what is not whole must not end as if it were */
        h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
        return -ENOMEM;
    }
    if (st->out.bytes >= H2_QUEUE_HIGH ||
        (st->payer && queue_is_much(st->stream.worker, st->payer, st->out.bytes))) {
        st->full = true;
        if (st->payer)
            full_add(st->stream.worker, st->payer, &st->full_queue);
    }
    out_more(st);
    return st->full;
}

void h2_stream_emptied(struct h2_stream *st) {
    st->full = false;
    if (st->payer)
        full_remove(st->stream.worker, st->payer, &st->full_queue);
}

static void stream_yield(struct full *f) {
    struct h2_stream *st = (struct h2_stream *)((char *)f - offsetof(struct h2_stream, full_queue));
    st->session->role->yield(st);
}

void h2_stream_came(struct h2_stream *st, uint32_t bytes) {
    st->unread += bytes;
    st->session->unread += bytes;
}

static void stream_read(struct h2_stream *st) {
    st->session->unread -= st->unread;
    st->unread = 0;
}

void h2_stream_charge(struct h2_stream *st, struct account_worker *payer) {
    full_move(st->stream.worker, st->payer, payer, &st->full_queue);
    st->payer = payer;
}

/* ---- the stream ---- */

static bool is_writable(const struct h2_stream *st) {
    return !st->closed && !st->out_ended && !st->session->broken;
}

static int op_write(struct stream *s, struct slice slice) {
    struct h2_stream *st = h2_stream_of(s);
    if (is_writable(st))
        return out_result(st, slices_put(s->worker, &st->out, slice));
    slice_drop(s->worker, &slice);
    return -EPIPE;
}

static int op_write_copy(struct stream *s, const void *data, size_t length) {
    struct h2_stream *st = h2_stream_of(s);
    if (!is_writable(st))
        return -EPIPE;
    return out_result(st, slices_put_copy(s->worker, &st->out, data, length));
}

static void op_pause(struct stream *s) {
    h2_stream_of(s)->paused = true;
}

static void op_resume(struct stream *s) {
    struct h2_stream *st = h2_stream_of(s);
    st->paused = false;
    h2_stream_used(st, 0);
}

void h2_stream_used(struct h2_stream *st, size_t bytes) {
    h2_stream_came(st, (uint32_t)bytes);
    if (st->paused || st->closed || !st->unread || st->id < 0)
        return;
    nghttp2_session_consume_stream(st->session->ng, st->id, st->unread);
    stream_read(st);
    h2_session_kick(st->session);
}

static void op_shutdown(struct stream *s) {
    struct h2_stream *st = h2_stream_of(s);
    if (st->closed)
        return;
    st->out_ended = true;
    out_more(st);
}

void h2_stream_reset(struct h2_stream *st, uint32_t error) {
    if (st->closed)
        return;
    st->closed = true;
    slices_drop(st->session->worker, &st->out);
    h2_stream_emptied(st);
    if (st->id > 0)
        nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, error);
    h2_session_kick(st->session);
}

/* An exchange gives its pod's stream back. What is over at both ends, nghttp2 forgets by itself. */
static void exchange_left(struct h2_stream *st) {
    if (st->end_seen && st->end_sent)
        st->closed = true;
    else
        h2_stream_reset(st, NGHTTP2_CANCEL);
    if (st->id < 0 && !st->leaving) /* nghttp2 has never heard of it */
        st->session->role->closed(st, 0);
}

static void op_close(struct stream *s, bool reset) {
    struct h2_stream *st = h2_stream_of(s);
    if (!st->session->role->server) {
        exchange_left(st);
        return;
    }
    if (reset) {
        h2_stream_reset(st, NGHTTP2_CANCEL);
        return;
    }
    st->rest_unwanted = true;
    st->paused = false;
    op_shutdown(s);
}

static size_t op_queued(const struct stream *s) {
    return ((const struct h2_stream *)s)->out.bytes;
}

static struct stream *op_below(const struct stream *s) {
    return ((const struct h2_stream *)s)->session->wire;
}

static const struct stream_ops ops = {.write = op_write,
                                      .write_copy = op_write_copy,
                                      .pause = op_pause,
                                      .resume = op_resume,
                                      .shutdown = op_shutdown,
                                      .close = op_close,
                                      .queued = op_queued,
                                      .below = op_below};

void h2_stream_init(struct h2_stream *st, struct h2_session *s, int32_t id,
                    struct account_worker *payer) {
    st->stream = (struct stream){.ops = &ops, .worker = s->worker};
    st->session = s;
    st->id = id;
    st->payer = payer;
    st->full_queue.yield = stream_yield;
    st->next = s->streams;
    st->link = &s->streams;
    if (st->next)
        st->next->link = &st->next;
    s->streams = st;
    s->count++;
}

static void drained_forget(struct h2_stream *st) {
    struct h2_stream **link = &st->session->drained;
    while (st->listed && *link != st)
        link = &(*link)->next_drained;
    if (st->listed)
        *link = st->next_drained;
}

void h2_stream_fini(struct h2_stream *st) {
    struct worker *worker = st->session->worker;
    drained_forget(st);
    *st->link = st->next;
    if (st->next)
        st->next->link = st->link;
    st->session->count--;
    stream_read(st);
    slices_drop(worker, &st->out);
    h2_stream_emptied(st);
    if (st->trailers)
        worker_free(worker, st->trailers, st->trailers_length);
}

/* ---- heads ---- */

/* RFC 8441 section 5.1: the answer to a handshake is a plain success, and needs no proof. */
static size_t accepted(nghttp2_nv *pairs, size_t count) {
    static const char proof[] = "sec-websocket-accept";
    size_t kept = 1;
    pairs[0].value = (uint8_t *)(uintptr_t) "200";
    for (size_t i = 1; i < count; i++)
        if (pairs[i].namelen != sizeof proof - 1 || memcmp(pairs[i].name, proof, sizeof proof - 1))
            pairs[kept++] = pairs[i];
    return kept;
}

static bool response_submit(struct h2_stream *st, struct head *h, uint32_t from, uint32_t end,
                            bool last) {
    nghttp2_nv pairs[PAIRS_MAX];
    nghttp2_data_provider body = {.source = {.ptr = st}, .read_callback = h2_read};
    int status = 0;
    size_t count = head_to_response(h, from, end, pairs, &status);
    if (status == 101)
        count = accepted(pairs, count);
    st->head_sent = status >= 200 || status == 101;
    if (!count)
        return false;
    if (!st->head_sent)
        return !nghttp2_submit_headers(st->session->ng, NGHTTP2_FLAG_NONE, st->id, NULL, pairs,
                                       count, NULL);
    return !nghttp2_submit_response(st->session->ng, st->id, pairs, count, last ? NULL : &body);
}

static bool request_submit(struct h2_stream *st, struct head *h, uint32_t from, uint32_t end,
                           bool last) {
    nghttp2_nv pairs[PAIRS_MAX];
    nghttp2_data_provider body = {.source = {.ptr = st}, .read_callback = h2_read};
    size_t count = head_to_request(h, from, end, st->session->tls, pairs);
    st->head_sent = true;
    if (!count)
        return false;
    int32_t id =
        nghttp2_submit_request(st->session->ng, NULL, pairs, count, last ? NULL : &body, st);
    if (id > 0)
        st->id = id;
    return id > 0;
}

static void head_submit(struct body_out *o, uint32_t end, bool last) {
    struct h2_stream *st = h2_stream_of(o->to);
    uint32_t from = o->sent;
    o->sent = end;
    o->bytes += end - from;
    if (st->closed || st->session->broken) {
        o->dead = true;
        return;
    }
    if (st->session->role->server ? !response_submit(st, o->head, from, end, last)
                                  : !request_submit(st, o->head, from, end, last))
        o->failed = true;
    h2_session_kick(st->session);
}

/* ---- a message's way out ---- */

static void way_flush(struct body_out *o, uint32_t end) {
    if (!h2_stream_of(o->to)->head_sent && end > o->sent)
        head_submit(o, end, false);
}

static void way_part(struct body_out *o, const struct slice *source, const uint8_t *at,
                     size_t length) {
    way_flush(o, o->head->used);
    o->direct = true;
    if (o->dead)
        return;
    int result;
    if (source->buf && length > BODY_SMALL / 4) {
        buf_ref(source->buf);
        result = stream_write(
            o->to, (struct slice){.buf = source->buf, .data = at, .length = (uint32_t)length});
    } else {
        result = stream_write_copy(o->to, at, length);
    }
    o->full |= result == 1;
    o->dead |= result < 0;
    o->failed |= result == -ENOMEM;
    o->bytes += length;
}

/* Behind `sent` only trailers follow. */
static void way_last(struct body_out *o) {
    way_flush(o, o->head->used);
}

static bool trailers_keep(struct h2_stream *st, const struct body_out *o) {
    size_t length = o->head->used - o->sent;
    if (!length)
        return true;
    st->trailers = worker_alloc(st->session->worker, length);
    if (!st->trailers)
        return false;
    memcpy(st->trailers, o->head->data + o->sent, length);
    st->trailers_length = (uint32_t)length;
    return true;
}

static void way_end(struct body_out *o) {
    struct h2_stream *st = h2_stream_of(o->to);
    if (!st->head_sent) {
        head_submit(o, o->head->used, true);
        st->out_ended = true;
        return;
    }
    if (st->closed || st->out_ended)
        return;
    o->failed |= !trailers_keep(st, o);
    st->out_ended = true;
    out_more(st);
}

const struct body_way h2_way = {
    .flush = way_flush, .part = way_part, .last = way_last, .end = way_end};

bool h2_stream_answer(struct h2_stream *st, const struct reply *r) {
    char *blank = memmem(r->text, r->length, "\r\n\r\n", 4);
    size_t head = blank ? (size_t)(blank + 4 - r->text) : r->length;
    struct head h = {.data = (uint8_t *)r->text, .used = (uint32_t)head, .room = (uint32_t)head};
    struct body_out o = {.way = &h2_way, .to = &st->stream, .head = &h};
    static const struct slice nowhere;
    if (r->length > head)
        way_part(&o, &nowhere, h.data + head, r->length - head);
    if (r->page_length)
        way_part(&o, &nowhere, (const uint8_t *)r->page, r->page_length);
    way_end(&o);
    return !o.failed;
}
