/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_session.c - one connection that speaks HTTP/2: feeding nghttp2, its callbacks, and what it sends, see h2_session.h.
 *
 * nghttp2 calls back while it reads or sends. What those callbacks lead to may submit frames and give streams up, but a stream's memory
 * goes only when nghttp2 has forgotten it (role->closed), and a session's never from inside.
 */
#include "modules/http/h2_session.h"
#include <pthread.h>
#include <stdlib.h>

static struct h2_stream *stream_find(struct h2_session *s, int32_t id) {
    return nghttp2_session_get_stream_user_data(s->ng, id);
}

/* Also one that we reset while its client was still sending: a trailer section may have been under way (RFC 9113 section 5.1), which
 * nghttp2 reads for its tables' sake and ignores. */
static bool stream_is_open(void *user, int32_t id) {
    const struct h2_session *s = user;
    for (unsigned i = 0; i < H2_LEFT; i++)
        if (s->left[i] == id)
            return true;
    return stream_find(user, id) != NULL;
}

static void stream_was_left(struct h2_session *s, int32_t id) {
    const struct h2_stream *st = stream_find(s, id);
    if (st && !st->end_seen)
        s->left[s->left_next++ % H2_LEFT] = id;
}

void h2_session_kick(struct h2_session *s) {
    worker_later(s->worker, &s->flush);
}

static void session_calmed(struct h2_session *s) {
    unsigned units = budget_tell(&s->guard.budget, 1);
    if (units)
        s->role->waste(s, units);
    s->role->calmed(s);
}

void h2_session_goaway(struct h2_session *s, uint32_t error) {
    if (s->ending || s->broken)
        return;
    s->ending = true;
    s->calmed = error == NGHTTP2_ENHANCE_YOUR_CALM;
    if (error == NGHTTP2_ENHANCE_YOUR_CALM && s->role->server)
        session_calmed(s);
    if (nghttp2_session_terminate_session(s->ng, error))
        s->broken = true;
    h2_session_kick(s);
}

/* ---- the budget: only a client can waste our work ---- */

static void session_debit(struct h2_session *s, unsigned cost) {
    if (s->role->server && !budget_debit(&s->guard.budget, worker_now_ms(s->worker), cost))
        h2_session_goaway(s, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* The tenant's budget is for what its connections waste together. Over it, those go who are wasting; the others are not asked. A block that
 * is not whole yet may be of a request that is answered. */
static void session_tell(struct h2_session *s) {
    struct h2_budget *b = &s->guard.budget;
    unsigned units = s->role->server && !s->guard.in_block ? budget_tell(b, H2_TELL) : 0;
    if (units && !s->role->waste(s, units) && b->waste > H2_SPARED)
        h2_session_goaway(s, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void session_earn(struct h2_session *s, size_t bytes) {
    s->earned += (uint32_t)bytes;
    if (s->earned >> H2_EARN_SHIFT)
        budget_earn(&s->guard.budget, s->earned >> H2_EARN_SHIFT);
    s->earned &= (1u << H2_EARN_SHIFT) - 1;
}

/* ---- what came and is not used yet ---- */

static void session_brake(struct h2_session *s, bool on) {
    if (s->braked == on)
        return;
    s->braked = on;
    s->role->pace(s);
}

/* A window is granted for more than a tenant may have that holds too much already. So while what came on a paused stream of such a one is
 * not used, nothing is read of all the connection. */
static void brake_judge(const struct h2_stream *st) {
    if (st->paused && st->unread && st->payer &&
        queue_is_much(st->stream.worker, st->payer, st->unread))
        session_brake(st->session, true);
}

/* ---- what nghttp2 has read ---- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user) {
    struct h2_session *s = user;
    struct h2_stream *st = stream_find(s, frame->hd.stream_id);
    if (!st && s->role->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        st = s->role->opened(s, frame->hd.stream_id);
        s->begun++;
        if (!st)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, st);
    }
    s->reading = st && !st->closed ? st : NULL;
    s->fields = s->expanded = 0;
    block_begin(&s->block);
    return 0;
}

/* An entry of HPACK's table is named by one byte and checked by nghttp2 each time: 34 KiB could come to 130 MB, and take a tenth of a
 * second. False: that is enough, and nothing more is read. */
static bool block_expands(struct h2_session *s, size_t name_length, size_t value_length) {
    enum { FIELD = 32 };
    uint32_t before = s->expanded > HEAD_MAX ? s->expanded : HEAD_MAX;
    s->expanded += (uint32_t)(name_length + value_length + FIELD);
    if (s->expanded > before)
        session_debit(s, (s->expanded >> COST_BLOCK_SHIFT) - (before >> COST_BLOCK_SHIFT));
    if (s->expanded > H2_EXPANDED_MAX)
        h2_session_goaway(s, NGHTTP2_ENHANCE_YOUR_CALM);
    return !s->ending && !s->broken;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user) {
    struct h2_session *s = user;
    struct h2_stream *st = s->reading;
    struct message *m = st ? s->role->message(st) : NULL;
    (void)ng, (void)frame, (void)flags;
    if (++s->fields % 4 == 0)
        session_debit(s, COST_FIELD);
    if (!block_expands(s, name_length, value_length))
        return NGHTTP2_ERR_PAUSE;
    if (!m)
        return 0;
    if (m->complete)
        s->role->trailer(st, name, name_length, value, value_length);
    else
        block_field(&s->block, m, name, name_length, value, value_length);
    return 0;
}

/* nghttp2 would leave these out and go on. A field without a name stands for one that can't be, among trailers. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_length, const uint8_t *value, size_t value_length,
                             uint8_t flags, void *user) {
    struct h2_session *s = user;
    struct h2_stream *st = s->reading;
    const struct message *m = st ? s->role->message(st) : NULL;
    (void)ng, (void)frame, (void)name, (void)value, (void)flags;
    if (!block_expands(s, name_length, value_length))
        return NGHTTP2_ERR_PAUSE;
    if (m && m->complete)
        s->role->trailer(st, (const uint8_t *)"", 0, (const uint8_t *)"", 0);
    else if (!s->block.status)
        s->block.status = s->role->server ? 400 : 502;
    return 0;
}

static void block_end(struct h2_session *s, const nghttp2_frame *frame) {
    struct h2_stream *st = s->reading;
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct message *m = st ? s->role->message(st) : NULL;
    s->reading = NULL;
    if (!st)
        return;
    uint32_t cost =
        (uint32_t)(COST_STREAM + (s->guard.block >> COST_BLOCK_SHIFT) + s->fields / 4 * COST_FIELD);
    st->debited += cost;
    budget_hold(&s->guard.budget, cost);
    st->end_seen |= ended;
    if (m && !m->complete)
        s->role->head(st, ended);
    else if (ended)
        s->role->end(st);
}

static void reset_came(struct h2_session *s, const nghttp2_frame *frame) {
    struct h2_stream *st = stream_find(s, frame->hd.stream_id);
    if (!st || !st->end_sent)
        session_debit(s, COST_RESET);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user) {
    struct h2_session *s = user;
    struct h2_stream *st;
    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        block_end(s, frame);
        break;
    case NGHTTP2_DATA:
        st = stream_find(s, frame->hd.stream_id);
        if (!st || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            break;
        st->end_seen = true;
        if (!st->closed)
            s->role->end(st);
        break;
    case NGHTTP2_RST_STREAM:
        reset_came(s, frame);
        break;
    case NGHTTP2_SETTINGS:
        if (s->role->settings && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
            s->role->settings(s);
        break;
    case NGHTTP2_GOAWAY:
        if (s->role->goaway)
            s->role->goaway(s, frame->goaway.last_stream_id);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *user) {
    struct h2_session *s = user;
    struct h2_stream *st = stream_find(s, id);
    nghttp2_session_consume_connection(ng, length);
    session_earn(s, length);
    if (!st || st->closed) {
        nghttp2_session_consume_stream(ng, id, length);
        return 0;
    }
    struct slice part = {.buf = s->source->buf, .data = data, .length = (uint32_t)length};
    if (part.buf)
        buf_ref(part.buf);
    buf_charge(s->worker, part.buf, st->payer);
    h2_stream_came(st, (uint32_t)length);
    st->ends_here |= flags & NGHTTP2_FLAG_END_STREAM && !s->guard.left;
    s->role->data(st, part);
    h2_stream_used(st, 0);
    brake_judge(st);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user) {
    struct h2_session *s = user;
    struct h2_stream *st = stream_find(s, id);
    (void)ng;
    if (!st)
        return 0;
    if (s->reading == st)
        s->reading = NULL;
    if (st->end_sent && !error) {
        budget_return(&s->guard.budget, st->debited);
        budget_earn(&s->guard.budget, COST_WHOLE);
    } else {
        budget_lose(&s->guard.budget, st->debited);
    }
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    s->role->closed(st, error);
    return 0;
}

/* ---- what nghttp2 sends ---- */

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user) {
    struct h2_session *s = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        stream_was_left(s, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code)
        session_debit(s, COST_RESET); /* the peer made us: CVE-2025-8671 */
    bool ends = (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_stream *st = ends ? stream_find(s, frame->hd.stream_id) : NULL;
    if (!st)
        return 0;
    st->end_sent = true;
    if (st->rest_unwanted && !st->end_seen) /* RFC 9113 section 8.1 */
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, st->rest_error);
    return 0;
}

static int trailers_submit(struct h2_stream *st) {
    nghttp2_nv pairs[PAIRS_MAX];
    struct head lines = {
        .data = st->trailers, .used = st->trailers_length, .room = st->trailers_length};
    size_t count = lines_to_fields(&lines, 0, lines.used, pairs);
    return nghttp2_submit_trailer(st->session->ng, st->id, pairs, count);
}

ssize_t h2_read(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags,
                nghttp2_data_source *source, void *user) {
    struct h2_stream *st = source->ptr;
    (void)ng, (void)id, (void)buffer, (void)user;
    if (st->closed || st->session->full || (!st->out.bytes && !st->out_ended)) {
        st->waiting = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = length < st->out.bytes ? length : st->out.bytes;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == st->out.bytes && st->out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (st->trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (trailers_submit(st))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)n;
}

static void wire_note(struct h2_session *s, int result) {
    s->full |= result == 1;
    s->broken |= result < 0;
}

static void list_drained(struct h2_stream *st) {
    struct h2_session *s = st->session;
    if (!st->full || st->listed || st->out.bytes > H2_QUEUE_LOW)
        return;
    st->listed = true;
    st->next_drained = s->drained;
    s->drained = st;
}

static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head,
                        size_t length, nghttp2_data_source *source, void *user) {
    struct h2_session *s = user;
    struct h2_stream *st = source->ptr;
    (void)ng, (void)frame;
    wire_note(s, stream_write_copy(s->wire, head, 9));
    wire_note(s, slices_send(s->worker, &st->out, length, s->wire));
    session_earn(s, length);
    list_drained(st);
    return 0;
}

static void drained_tell(struct h2_session *s) {
    while (s->drained) {
        struct h2_stream *st = s->drained;
        s->drained = st->next_drained;
        st->listed = false;
        h2_stream_emptied(st);
        if (!st->closed && st->stream.events->drain)
            st->stream.events->drain(&st->stream, st->stream.user);
    }
}

static void session_flush(struct flush *f) {
    struct h2_session *s = (struct h2_session *)((char *)f - offsetof(struct h2_session, flush));
    stream_pays(s->wire);
    while (!s->full && !s->broken) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(s->ng, &data);
        if (n == 0)
            break;
        if (n < 0)
            s->broken = true;
        else
            wire_note(s, stream_write_copy(s->wire, data, (size_t)n));
    }
    drained_tell(s);
    if (s->braked && !s->unread)
        session_brake(s, false);
    s->role->sent(s); /* may be its end */
}

void h2_session_drained(struct h2_session *s) {
    s->full = false;
    for (struct h2_stream *st = s->streams; st; st = st->next)
        h2_stream_resume(st);
    h2_session_kick(s);
}

/* ---- reading ---- */

static bool verdict_act(struct h2_session *s, enum h2_verdict verdict) {
    if (verdict == H2_GOOD)
        return true;
    h2_session_goaway(s, verdict == H2_CALM ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    return false;
}

/* nghttp2 says GOAWAY by itself for most of what it refuses; floods it can't answer any more. */
static void recv_failed(struct h2_session *s, ssize_t error) {
    if (error == NGHTTP2_ERR_FLOODED || error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS ||
        error == NGHTTP2_ERR_TOO_MANY_SETTINGS)
        h2_session_goaway(s, NGHTTP2_ENHANCE_YOUR_CALM);
    else
        s->broken = true;
}

bool h2_session_feed(struct h2_session *s, struct slice *slice) {
    int64_t now = worker_now_ms(s->worker);
    unsigned begun = s->begun;
    s->source = slice;
    while (slice->length && !s->broken && !s->ending) {
        enum h2_verdict verdict;
        size_t n =
            guard_next(&s->guard, slice->data, slice->length, now, stream_is_open, s, &verdict);
        if (!verdict_act(s, verdict))
            break;
        ssize_t used = nghttp2_session_mem_recv(s->ng, slice->data, n);
        if (used < 0)
            recv_failed(s, used);
        slice->data += n;
        slice->length -= (uint32_t)n;
        if (s->begun != begun && slice->length && s->role->rests && s->role->rests(s))
            break;
    }
    if (s->broken || s->ending)
        slice->length = 0;
    session_tell(s);
    if (!s->broken && !nghttp2_session_want_read(s->ng))
        s->ending = true;
    h2_session_kick(s);
    return !s->broken && !s->ending;
}

/* ---- life ---- */

static nghttp2_session_callbacks *callbacks_new(void) {
    nghttp2_session_callbacks *c;
    if (nghttp2_session_callbacks_new(&c))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
    return c;
}

static nghttp2_option *option_new(bool server) {
    nghttp2_option *o;
    if (nghttp2_option_new(&o))
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, 100);
    /* It counts each piece that a frame's header comes in; the guard has counted the frames. */
    nghttp2_option_set_max_continuations(o, (H2_CONTINUATIONS_MAX + 1) * (size_t)FRAME_HEAD);
    if (!server) /* until its SETTINGS have come */
        nghttp2_option_set_peer_max_concurrent_streams(o, H2_STREAMS_MAX);
    return o;
}

static bool settings_submit(struct h2_session *s) {
    const nghttp2_settings_entry server[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MAX},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    const nghttp2_settings_entry client[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MAX},
    };
    int failed = s->role->server ? nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, server,
                                                           sizeof server / sizeof *server)
                                 : nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, client,
                                                           sizeof client / sizeof *client);
    return !failed &&
           !nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_ALL);
}

/* nghttp2 makes each frame in a buffer of 16 KiB that every session has, and that holds nothing between two flushes: a frame which was
 * begun is finished (bodies are never in it, and wait in h2_read). So one buffer serves all clients' sessions of a worker, and an idle one
 * costs no page of it. It is the first allocation of that size while a session is made. A session to a pod keeps its own: its preface is
 * written there before the first flush. */
enum { FRAME_ROOM = 20 * 1024, FRAME_LEAST = 16 * 1024 };
static _Thread_local uint8_t frame_room[FRAME_ROOM] __attribute__((aligned(64)));
static _Thread_local bool frame_wanted;

static void *memory_realloc(void *old, size_t size, void *user) {
    (void)user;
    if (frame_wanted && !old && size >= FRAME_LEAST && size <= FRAME_ROOM) {
        frame_wanted = false;
        return frame_room;
    }
    return old == frame_room ? NULL : realloc(old, size);
}

static void *memory_malloc(size_t size, void *user) {
    return memory_realloc(NULL, size, user);
}

static void *memory_calloc(size_t count, size_t size, void *user) {
    (void)user;
    return calloc(count, size);
}

static void memory_free(void *memory, void *user) {
    (void)user;
    if (memory != frame_room)
        free(memory);
}

static nghttp2_mem memory = {.malloc = memory_malloc,
                             .free = memory_free,
                             .calloc = memory_calloc,
                             .realloc = memory_realloc};

/* The same for all; made once, kept for ever. */
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void shared_make(void) {
    callbacks = callbacks_new();
    options[0] = option_new(false);
    options[1] = option_new(true);
}

bool h2_session_init(struct h2_session *s, const struct h2_role *role, struct worker *worker,
                     struct stream *wire, bool tls) {
    pthread_once(&once, shared_make);
    memset(s, 0, offsetof(struct h2_session, block));
    s->role = role;
    s->worker = worker;
    s->wire = wire;
    s->tls = tls;
    s->flush.run = session_flush;
    guard_init(&s->guard, worker_now_ms(worker), role->server);
    if (!callbacks || !options[0] || !options[1])
        return false;
    frame_wanted = role->server;
    int failed = role->server
                     ? nghttp2_session_server_new3(&s->ng, callbacks, s, options[1], &memory)
                     : nghttp2_session_client_new3(&s->ng, callbacks, s, options[0], &memory);
    frame_wanted = false;
    if (failed) {
        s->ng = NULL;
        return false;
    }
    if (!settings_submit(s)) {
        h2_session_fini(s);
        return false;
    }
    h2_session_kick(s);
    return true;
}

void h2_session_fini(struct h2_session *s) {
    flush_forget(&s->flush);
    if (s->ng)
        nghttp2_session_del(s->ng);
    s->ng = NULL;
}
