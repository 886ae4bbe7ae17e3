/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod_h2.c - pods that speak HTTP/2: connections that many exchanges share, each exchange a stream.
 *
 *   exchange --ask--> [pod's connections on this worker] --room--> stream --> HEADERS ... END_STREAM --> forgotten
 *                              '-- none has room: a new connection
 *
 *                              '-- nor may one be made (max-connections-per-pod): in line
 *
 * As many streams on one as the pod's SETTINGS say and H2_STREAMS_MAX. A connection that was told GOAWAY takes no new ones; what it did
 * not look at may be asked again. Owned by whoever made it: this worker, for this pod of this service of this tenant.
 */
#include "modules/http/h2_session.h"
#include <errno.h>

enum { IDLE_MS = 55000 };

struct pod_conn {
    struct h2_session session; /* first */
    struct pod_home *home;
    struct pod_conn *next, **link; /* in home->conns; link NULL: takes no new streams */
    struct timer idle;
    uint32_t most;      /* streams at once */
    bool connected : 1; /* the connection is up */
    bool
        yields : 1; /* another worker waits for its end: no new streams while he is the first in line */
};

struct pod_home {
    struct upstream_shared shared; /* first */
    struct upstream *up;
    struct worker *worker;
    struct pod_conn *conns;
    uint32_t most;  /* streams at once, as the latest connection was told */
    unsigned count; /* also those that are not in `conns` any more */
};

struct pod_stream {
    struct h2_stream st; /* first */
    uint64_t received;
    bool reused : 1;
    bool failed : 1; /* its trailers were no good */
    /* RFC 9113 section 8.1.1: an answer is of its length only when its end has come, and no client is to hold the whole of one that is
     * not. So the body's last byte waits for END_STREAM, and the head where no body is to come. */
    bool last_held : 1;
    bool head_held : 1;
    uint8_t last;
};

static const struct stream_events wire_events;

static struct pod_conn *conn_of(struct h2_session *s) {
    return (struct pod_conn *)s;
}

/* ---- a pod's connections ---- */

static void conn_unlink(struct pod_conn *c) {
    if (!c->link)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->link = NULL;
}

static void home_free_if_empty(struct pod_home *home) {
    if (home->count)
        return;
    *upstream_shared(home->up, home->worker) = NULL;
    worker_free(home->worker, home, sizeof *home);
}

/* ---- those in line ---- */

static bool conn_takes(const struct pod_conn *c) {
    return c->session.count < c->most && !c->session.ending && !c->session.broken && !c->yields;
}

static bool home_room(const struct upstream_shared *shared) {
    for (struct pod_conn *c = ((const struct pod_home *)shared)->conns; c; c = c->next)
        if (conn_takes(c))
            return true;
    return false;
}

/* One connection at a time is finished for another worker, the one that will be sooner. */
static void home_yield(struct pod_home *home) {
    struct pod_conn *least = NULL;
    for (struct pod_conn *c = home->conns; c; c = c->next) {
        if (c->yields)
            return;
        if (!least || c->session.count < least->session.count)
            least = c;
    }
    if (!least)
        return;
    least->yields = true;
    h2_session_kick(&least->session); /* its end, when it has no streams */
}

static unsigned home_free(const struct pod_home *home) {
    unsigned free = 0;
    for (struct pod_conn *c = home->conns; c; c = c->next)
        free += conn_takes(c) ? c->most - c->session.count : 0;
    return free;
}

/* Streams can't change workers: ours are called to what is free here, for others a connection ends. */
static void home_serve(struct upstream_shared *shared) {
    struct pod_home *home = (struct pod_home *)shared;
    if (upstream_first(home->up, home->worker) == FIRST_OTHERS)
        home_yield(home);
    else
        for (struct pod_conn *c = home->conns; c; c = c->next)
            c->yields = false;
    unsigned called = upstream_called(home->up, home->worker), free = home_free(home);
    while (called < free && upstream_call(home->up, home->worker))
        called++;
}

/* The exchange that has the stream hears of its end, then the stream goes. */
static void stream_end(struct pod_stream *p, int error) {
    struct h2_stream *st = &p->st;
    st->leaving = true;
    if (!st->closed && error)
        st->stream.events->error(&st->stream, st->stream.user, error);
    struct pod_home *home = conn_of(st->session)->home;
    upstream_carry(home->up, st->session->worker, -1);
    h2_stream_fini(st);
    worker_free(st->stream.worker, p, sizeof *p);
    home_serve(&home->shared);
}

/* The connection ends, with all that is on it. */
static void conn_end(struct pod_conn *c, int error, bool reset) {
    struct pod_home *home = c->home;
    conn_unlink(c); /* nobody may ask again here */
    while (c->session.streams)
        stream_end((struct pod_stream *)c->session.streams, error);
    timer_stop(&c->idle);
    stream_close(c->session.wire, reset);
    h2_session_fini(&c->session);
    worker_free(home->worker, c, sizeof *c);
    home->count--;
    home_free_if_empty(home);
}

/* No new streams; those that run are finished. */
static void conn_leave(struct pod_conn *c) {
    conn_unlink(c);
    h2_session_kick(&c->session); /* its end, when it has none */
}

static void home_leave(struct upstream_shared *shared) {
    struct pod_home *home = (struct pod_home *)shared;
    while (home->conns)
        conn_leave(home->conns);
}

static void idle_expired(struct timer *t) {
    struct pod_conn *c = (struct pod_conn *)((char *)t - offsetof(struct pod_conn, idle));
    stream_pays(c->session.wire);
    conn_leave(c);
}

/* ---- the answer ---- */

static struct exchange *exchange_of(struct h2_stream *st) {
    return st->closed ? NULL : st->stream.user;
}

static struct message *role_message(struct h2_stream *st) {
    struct exchange *ex = exchange_of(st);
    return ex ? &ex->response : NULL;
}

static void go_on(struct http_conn *hc, bool alive) {
    if (alive)
        http_continue(hc);
}

/* An answer that is no good costs its exchange, not the others on this connection. */
static void answer_fail(struct h2_stream *st) {
    st->stream.events->error(&st->stream, st->stream.user, -EPROTO);
}

static void role_head(struct h2_stream *st, bool ended) {
    struct exchange *ex = exchange_of(st);
    struct http_conn *hc = ex->hc;
    const struct message *m = &ex->response;
    int status = block_response_done(&st->session->block, &ex->response, ended);
    if (!status && !ended && m->complete && m->framing == FRAMING_LENGTH && !m->length &&
        response_has_body(m)) {
        ((struct pod_stream *)st)->head_held = true;
        return;
    }
    bool alive = exchange_response_head(ex, status, ended);
    if (alive && ended && exchange_of(st) == ex)
        alive = exchange_response_end(ex);
    go_on(hc, alive);
}

static void role_data(struct h2_stream *st, struct slice slice) {
    struct pod_stream *p = (struct pod_stream *)st;
    struct worker *worker = st->session->worker;
    struct exchange *ex = exchange_of(st);
    const struct message *m = &ex->response;
    struct slice whole = slice; /* the other one is used up */
    p->received += slice.length;
    if (!m->complete || !response_has_body(m) ||
        (m->framing == FRAMING_LENGTH && p->received > m->length)) {
        answer_fail(st);
    } else {
        struct http_conn *hc = ex->hc;
        if (m->framing == FRAMING_LENGTH && p->received == m->length && !st->ends_here) {
            p->last = slice.data[--slice.length];
            p->last_held = true;
        }
        go_on(hc, !slice.length || exchange_response_body(ex, &slice));
    }
    slice_drop(worker, &whole);
}

static void role_trailer(struct h2_stream *st, const uint8_t *name, size_t name_length,
                         const uint8_t *value, size_t value_length) {
    struct message *m = role_message(st);
    if (!m->trailing)
        message_body_end(m);
    if (trailer_field(m, name, name_length, value, value_length)) /* also one without a name */
        ((struct pod_stream *)st)->failed = true;
}

/* The answer is whole, and of its length. False: the client's connection is gone. */
static bool answer_end(struct pod_stream *p, struct exchange *ex) {
    struct slice last = {.data = &p->last, .length = 1};
    bool alive = true;
    if (p->head_held)
        alive = exchange_response_head(ex, 0, true);
    if (p->last_held)
        alive = exchange_response_body(ex, &last);
    return alive && exchange_of(&p->st) == ex ? exchange_response_end(ex) : alive;
}

static void role_end(struct h2_stream *st) {
    struct pod_stream *p = (struct pod_stream *)st;
    struct exchange *ex = exchange_of(st);
    if (!ex)
        return;
    const struct message *m = &ex->response;
    struct http_conn *hc = ex->hc;
    bool short_of =
        m->framing == FRAMING_LENGTH && response_has_body(m) && p->received != m->length;
    if (!m->complete || short_of || p->failed)
        answer_fail(st);
    else
        go_on(hc, answer_end(p, ex));
}

/* RFC 9113 section 8.7: a stream that was refused has not been looked at. */
static void role_closed(struct h2_stream *st, uint32_t error) {
    struct exchange *ex = exchange_of(st);
    if (ex && error == NGHTTP2_REFUSED_STREAM)
        ex->unseen = true;
    stream_end((struct pod_stream *)st, -ECONNRESET);
}

/* What waits for the pod's window is needed elsewhere. */
static void role_yield(struct h2_stream *st) {
    if (!st->closed)
        st->stream.events->error(&st->stream, st->stream.user, -ENOBUFS);
}

/* ---- the connection ---- */

static void role_pace(struct h2_session *s) {
    if (s->braked)
        stream_pause(s->wire);
    else
        stream_resume(s->wire);
}

static void role_settings(struct h2_session *s) {
    uint32_t most =
        nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    conn_of(s)->most = conn_of(s)->home->most = most < H2_STREAMS_MAX ? most : H2_STREAMS_MAX;
    home_serve(&conn_of(s)->home->shared);
}

static void role_goaway(struct h2_session *s, int32_t last) {
    (void)last; /* nghttp2 closes those above as refused */
    conn_unlink(conn_of(s));
}

static void role_sent(struct h2_session *s) {
    struct pod_conn *c = conn_of(s);
    /* After what the protocol forbids nghttp2 says GOAWAY by itself, and wants no more. */
    if (s->broken || s->ending || !nghttp2_session_want_read(s->ng))
        conn_end(c, -EPROTO, s->broken);
    else if (s->count)
        timer_stop(&c->idle);
    else if (!c->link || c->yields || !upstream_may_keep(c->home->up, s->worker))
        conn_end(c, 0, false);
    else if (!timer_is_set(&c->idle))
        timer_set(s->worker, &c->idle, IDLE_MS);
}

static const struct h2_role pod_role = {.message = role_message,
                                        .head = role_head,
                                        .trailer = role_trailer,
                                        .data = role_data,
                                        .end = role_end,
                                        .closed = role_closed,
                                        .settings = role_settings,
                                        .goaway = role_goaway,
                                        .sent = role_sent,
                                        .yield = role_yield,
                                        .pace = role_pace};

static void wire_data(struct stream *s, void *user, struct slice slice) {
    struct pod_conn *c = user;
    h2_session_feed(&c->session, &slice);
    slice_drop(s->worker, &slice);
}

static void wire_eof(struct stream *s, void *user) {
    (void)s;
    conn_end(user, -ECONNRESET, false);
}

static void wire_error(struct stream *s, void *user, int error) {
    (void)s;
    conn_end(user, error, true);
}

static void wire_drain(struct stream *s, void *user) {
    struct pod_conn *c = user;
    (void)s;
    h2_session_drained(&c->session);
}

static void wire_connected(struct stream *s, void *user) {
    struct pod_conn *c = user;
    (void)s;
    c->connected = true;
    for (struct h2_stream *st = c->session.streams, *next; st; st = next) {
        next = st->next; /* who hears of it may give this one up */
        if (!st->closed)
            st->stream.events->connected(&st->stream, st->stream.user);
    }
    h2_session_kick(&c->session);
}

static const struct stream_events wire_events = {.data = wire_data,
                                                 .eof = wire_eof,
                                                 .drain = wire_drain,
                                                 .error = wire_error,
                                                 .connected = wire_connected};

/* ---- asking ---- */

static struct pod_home *home_of(struct upstream *up, struct worker *worker) {
    struct upstream_shared **at = upstream_shared(up, worker);
    struct pod_home *home = (struct pod_home *)*at;
    if (home || !(home = worker_alloc(worker, sizeof *home)))
        return home;
    home->shared =
        (struct upstream_shared){.leave = home_leave, .room = home_room, .serve = home_serve};
    home->up = up;
    home->worker = worker;
    home->most = H2_STREAMS_MAX;
    *at = &home->shared;
    return home;
}

static void conn_link(struct pod_conn *c, struct pod_home *home) {
    c->home = home;
    c->link = &home->conns;
    c->next = home->conns;
    if (c->next)
        c->next->link = &c->next;
    home->conns = c;
    home->count++;
}

/* Takes the wire, also when it fails (no memory). */
static struct pod_conn *conn_over(struct pod_home *home, struct stream *wire) {
    struct pod_conn *c = worker_alloc(home->worker, sizeof *c);
    bool good =
        c && h2_session_init(&c->session, &pod_role, home->worker, wire, upstream_is_secure(wire));
    if (good) {
        c->most = home->most;
        timer_init(&c->idle, idle_expired);
        stream_consume(wire, &wire_events, c);
        conn_link(c, home);
        return c;
    }
    if (c)
        worker_free(home->worker, c, sizeof *c);
    stream_close(wire, true);
    return NULL;
}

static struct pod_conn *conn_new(struct pod_home *home, struct upstream_set *set, int *ret_error) {
    struct stream *wire = upstream_dial(home->worker, set, home->up, ret_error);
    struct pod_conn *c = wire ? conn_over(home, wire) : NULL;
    if (wire && !c)
        *ret_error = -ENOMEM;
    return c;
}

/* One with room. None: all are full, or `fresh` wants none that others have used. */
static struct pod_conn *conn_find(struct pod_home *home, bool fresh) {
    for (struct pod_conn *c = home->conns; c && !fresh; c = c->next)
        if (conn_takes(c))
            return c;
    return NULL;
}

static struct stream *stream_on(struct pod_conn *c) {
    struct pod_home *home = c->home;
    struct pod_stream *p = worker_alloc(home->worker, sizeof *p);
    if (!p)
        return NULL;
    h2_stream_init(&p->st, &c->session, -1, stream_payer(c->session.wire));
    p->reused = c->connected;
    upstream_carry(home->up, home->worker, 1);
    h2_session_kick(&c->session);
    return &p->st.stream;
}

static struct stream *stream_new(struct pod_home *home, struct upstream_set *set, bool fresh,
                                 int *ret_error) {
    struct pod_conn *c = conn_find(home, fresh);
    if (!c && !(c = conn_new(home, set, ret_error)))
        return NULL;
    *ret_error = -ENOMEM;
    return stream_on(c);
}

/* A new connection was waited for, and here it is; those behind may use it, too. Or there is none, or (no error) room on another. */
static void turn_came(void *user, struct stream *wire, int error) {
    struct exchange *ex = user;
    struct pod_home *home = wire ? home_of(upstream_of(wire), ex->worker) : NULL;
    struct pod_conn *c = home ? conn_over(home, wire) : NULL;
    struct stream *s = c ? stream_on(c) : NULL;
    if (wire && !home)
        stream_close(wire, true);
    if (home && !c)
        home_free_if_empty(home);
    exchange_turn(ex, s, wire && !s ? -ENOMEM : error);
    if (c)
        home_serve(&c->home->shared); /* a connection ends from the loop only: it is still there */
}

static struct stream *pod_take(struct exchange *ex, const struct upstream_want *want,
                               int *ret_error) {
    struct upstream *up = upstream_choose(ex->worker, ex->set, want, ret_error);
    struct pod_home *home = up ? home_of(up, ex->worker) : NULL;
    if (up && !home)
        *ret_error = -ENOMEM;
    if (!home)
        return NULL;
    struct stream *s = stream_new(home, ex->set, want->fresh, ret_error);
    if (!s)
        home_free_if_empty(home);
    return s;
}

static struct stream *pod_ask(struct exchange *ex, const struct upstream_want *want,
                              struct upstream_wait **ret_wait, int *ret_error) {
    struct upstream_want asked = *want;
    asked.instead = NULL; /* a stream ends for it, its connection does not */
    asked.turn = want->turn ? turn_came : NULL;
    bool behind = asked.turn && !asked.called && upstream_lines(ex->set, ex->worker);
    struct stream *s = behind ? NULL : pod_take(ex, &asked, ret_error);
    if (!s && asked.turn && (behind || *ret_error == -EBUSY))
        *ret_error = upstream_line(ex->worker, ex->set, &asked, ret_wait);
    return s;
}

static bool pod_is_reused(const struct stream *s) {
    return ((const struct pod_stream *)s)->reused;
}

static struct upstream *pod_upstream(const struct stream *s) {
    return conn_of(((const struct h2_stream *)s)->session)->home->up;
}

static void pod_keep(struct stream *s, unsigned keep_s) {
    (void)keep_s;           /* a field of HTTP/1 (RFC 9113 section 8.2.2) */
    stream_close(s, false); /* the connection stays in any case */
}

/* Before the preface, which goes out at the end of the turn; and nobody else may use that connection. */
static void pod_introduce(struct stream *s, const void *data, size_t length) {
    struct h2_session *session = ((struct h2_stream *)s)->session;
    stream_write_copy(stream_base(session->wire), data, length);
    conn_unlink(conn_of(session));
}

const struct pod_ops pods_h2 = {.up = &h2_way,
                                .ask = pod_ask,
                                .is_reused = pod_is_reused,
                                .upstream = pod_upstream,
                                .keep = pod_keep,
                                .introduce = pod_introduce};
