/* SPDX-License-Identifier: GPL-3.0-or-later
 * http_pipe.h - for fuzz targets: one message in, parsed to types by modules/http, one message out, as it would go to the other side.
 *
 *   bytes --cut into pieces--> message_feed --> head, body_out --> pipe.sent
 *
 * Two pipes of the same bytes cut differently must come to the same end, and what was sent must be exactly one message again.
 */
#pragma once
#include "modules/http/body.h"
#include <stdlib.h>
#include <strings.h>

struct pipe {
    struct message message; /* first: the sink finds us by it */
    struct body_out out;
    struct stream stream;
    struct buf buf;
    const struct slice *source;
    struct delivery delivery; /* of a response */
    enum framing framing_out;
    enum step step;
    size_t used; /* bytes of the input that are the message's */
    char *sent;  /* framing and all */
    size_t sent_length, sent_room;
    char *body; /* as parsed */
    size_t body_length, body_room;
};

static void must(bool truth) {
    if (!truth)
        abort();
}

static void grow_put(char **to, size_t *length, size_t *room, const void *data, size_t n) {
    if (*length + n + 1 > *room)
        must((*to = realloc(*to, *room = 2 * (*length + n + 64))) != NULL);
    memcpy(*to + *length, data, n);
    *length += n;
    (*to)[*length] = 0;
}

static int pipe_write_copy(struct stream *s, const void *data, size_t length) {
    struct pipe *p = s->user;
    grow_put(&p->sent, &p->sent_length, &p->sent_room, data, length);
    return 0;
}

static int pipe_write(struct stream *s, struct slice slice) {
    pipe_write_copy(s, slice.data, slice.length);
    if (slice.buf)
        slice.buf->refs--;
    return 0;
}

static const struct stream_ops pipe_ops = {.write = pipe_write, .write_copy = pipe_write_copy};

static bool pipe_head_grow(struct head *h, size_t need) {
    size_t room = h->room < BUF_SIZE ? BUF_SIZE : h->room;
    while (room - h->used < need)
        room *= 2;
    uint8_t *data = malloc(room);
    must(data && room < 1 << 20); /* limits hold */
    memcpy(data, h->data, h->used);
    if (!h->buf)
        free(h->data);
    h->data = data;
    h->room = (uint32_t)room;
    h->buf = NULL;
    return true;
}

static int pipe_head_done(struct message *m) {
    struct pipe *p = (struct pipe *)m;
    if (m->request) {
        static const struct forwarding f = {.peer = "192.0.2.1", .peer_length = 9, .id = {1, 2}};
        must(request_finish(m, &f));
        p->out.chunked = m->framing == FRAMING_CHUNKED;
    } else {
        must(response_finish(m, &p->delivery, &p->framing_out));
        p->out.chunked = p->framing_out == FRAMING_CHUNKED;
    }
    m->keep_trailers = p->out.chunked;
    return 0;
}

static void pipe_body(struct message *m, const uint8_t *at, size_t length) {
    struct pipe *p = (struct pipe *)m;
    must(m->complete);
    grow_put(&p->body, &p->body_length, &p->body_room, at, length);
    body_part(&p->out, p->source, at, length);
}

static void pipe_body_last(struct message *m) {
    body_last(&((struct pipe *)m)->out);
}

static const struct message_sink pipe_sink = {
    .head_done = pipe_head_done, .body = pipe_body, .body_last = pipe_body_last};

static void pipe_init(struct pipe *p, bool request) {
    memset(p, 0, sizeof *p);
    p->buf = (struct buf){.refs = 1, .data = malloc(BUF_SIZE)};
    p->stream = (struct stream){.ops = &pipe_ops, .user = p};
    p->message.head = (struct head){
        .data = p->buf.data, .room = BUF_SIZE, .buf = &p->buf, .grow = pipe_head_grow};
    p->out = (struct body_out){.to = &p->stream, .head = &p->message.head};
    message_init(&p->message, request, &pipe_sink);
    grow_put(&p->sent, &p->sent_length, &p->sent_room, "", 0);
    grow_put(&p->body, &p->body_length, &p->body_room, "", 0);
}

static void pipe_flush(struct pipe *p, bool whole) {
    struct message *m = &p->message;
    if (m->complete)
        body_flush(&p->out, m->trailing && !whole ? m->name : m->head.used);
}

static void pipe_end(struct pipe *p) {
    if (p->out.chunked) {
        if (!p->message.trailing)
            body_last(&p->out);
        body_end(&p->out);
    }
    pipe_flush(p, true);
}

/* Feeds pieces of `piece` bytes, each a block of exactly its size. `eof`: the sender ends after them. */
static void pipe_feed(struct pipe *p, const uint8_t *data, size_t size, size_t piece, bool eof) {
    p->step = STEP_MORE;
    while (p->used < size && p->step == STEP_MORE) {
        size_t n = size - p->used < piece ? size - p->used : piece, used = 0;
        struct buf buf = {.refs = 1, .data = malloc(n)};
        memcpy(buf.data, data + p->used, n);
        struct slice s = {&buf, buf.data, (uint32_t)n};
        p->source = &s;
        p->step = message_feed(&p->message, s.data, n, &used);
        must(used <= n);
        p->used += used;
        if (p->step != STEP_BAD)
            pipe_flush(p, false);
        must(buf.refs == 1);
        free(buf.data);
    }
    if (p->step == STEP_MORE && eof && message_ends_here(&p->message))
        p->step = STEP_DONE;
    if (p->step == STEP_DONE)
        pipe_end(p);
    must(p->message.complete ||
         p->sent_length == 0); /* nothing goes out before all of the head was judged */
}

static void pipe_fini(struct pipe *p) {
    free(p->message.head.buf ? p->buf.data : p->message.head.data);
    if (!p->message.head.buf)
        free(p->buf.data);
    free(p->sent);
    free(p->body);
}

static bool same_bytes(const char *a, size_t a_length, const char *b, size_t b_length) {
    return a_length == b_length && memcmp(a, b, a_length) == 0;
}

static bool is_too_large(const struct pipe *p) {
    return p->message.refusal == 414 || p->message.refusal == 431;
}

/* However it was cut, it is the same. What is too large and malformed as well may be refused for either: llhttp tells of a word when
 * it ends, or when the data does. */
static void pipes_agree(const struct pipe *a, const struct pipe *b) {
    must(a->step == b->step);
    if (a->step == STEP_BAD) {
        must(a->message.refusal >= 400 && b->message.refusal >= 400);
        must(a->message.refusal == b->message.refusal || is_too_large(a) || is_too_large(b));
        return;
    }
    must(a->used == b->used && a->message.complete == b->message.complete);
    must(same_bytes(a->body, a->body_length, b->body, b->body_length));
}

static unsigned lines_count(const char *head, const char *end, const char *name) {
    unsigned count = 0;
    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))) && ++at < end;)
        count += (size_t)(end - at) > strlen(name) && strncasecmp(at, name, strlen(name)) == 0;
    return count;
}

/* The head that was sent: CRLF only, no NUL, no obs-fold, one framing. Returns where it ends. */
static const char *head_check(const struct pipe *p) {
    const char *end = memmem(p->sent, p->sent_length, "\r\n\r\n", 4);
    must(end != NULL);
    end += 2;
    for (const char *at = p->sent; at < end; at++) {
        must(*at != 0);
        must((*at == '\n') == (at > p->sent && at[-1] == '\r'));
        must(*at != '\n' || (at[1] != ' ' && at[1] != '\t'));
    }
    must(lines_count(p->sent, end, "content-length:") +
             lines_count(p->sent, end, "transfer-encoding:") <=
         1);
    must(lines_count(p->sent, end, "transfer_encoding:") +
             lines_count(p->sent, end, "content_length:") ==
         0);
    must(lines_count(p->sent, end, "connection:") <= 1);
    must(lines_count(p->sent, end, "keep-alive:") + lines_count(p->sent, end, "proxy-") == 0);
    return end + 2;
}
