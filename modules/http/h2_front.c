/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_front.c - a client's connection that speaks HTTP/2: its streams as clients of exchanges, its life, its timer.
 *
 *   HEADERS --> h2_client + exchange --> ... answer --> END_STREAM --> forgotten
 *                    '-- :protocol websocket, 101 --> relay of the stream and the pod
 *
 * Each stream has its own time and pace (http.c), its own tenant, pinned version and account. The connection itself is charged to the
 * tenant of the latest. An idle one holds this struct and nghttp2's session. Never pushes.
 */
#include "modules/http/h2_front.h"
#include "core/relay.h"
#include "modules/http/h2_session.h"
#include <errno.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/hash.h>

enum { KEY_LENGTH = 24, PROOF_LENGTH = 28, LATE_MAX = 8 * 1024 };

/* What the connection's timer is for. */
enum timing { TIMING_NONE, TIMING_IDLE, TIMING_BLOCK, TIMING_LINGER };

struct h2_front {
    struct h2_session session; /* first */
    struct http_conn *hc;      /* the connection's own; no exchange ever runs there */
    struct timer timer;
    uint8_t timing;
    bool first : 1; /* nothing was asked yet */
    bool draining : 1;
};

struct h2_client {
    struct h2_stream st; /* first */
    struct http_conn hc;
    struct version *version; /* pinned */
    struct relay *relay;     /* after a WebSocket's handshake */
    struct flow *flow;       /* what its line will tell */
    struct relay_tally *tally;
    uint64_t received; /* bytes of the body */
    uint8_t *late;     /* trailers as they came: lines "name: value\r\n" */
    uint32_t late_used;
    bool ended : 1; /* END_STREAM came */
    bool late_bad : 1;
    bool last_held : 1; /* the body's last byte, which waits for END_STREAM */
    uint8_t last;
    char key[KEY_LENGTH];
};

static const struct client_ops h2_client_ops;
static const struct stream_events stream_events, wire_events;

static struct h2_front *front_of(struct h2_session *s) {
    return (struct h2_front *)s;
}
static struct h2_client *client_of(struct h2_stream *st) {
    return (struct h2_client *)st;
}
static struct h2_client *client_of_hc(const struct http_conn *hc) {
    return (struct h2_client *)((char *)(uintptr_t)hc - offsetof(struct h2_client, hc));
}

static void tunnel_forget(struct h2_client *c) {
    c->relay = NULL;
    /* The relay is gone; what is queued may still drain, and tells the exchange, which has ended. */
    stream_consume(&c->st.stream, &stream_events, c);
}

/* ---- a stream begins and ends ---- */

/* What nghttp2 keeps, about: of a session with its header tables, and of a stream. */
enum { NG_SESSION = 6 * 1024, NG_STREAM = 512 };

static void client_free(struct h2_client *c, bool reset) {
    struct worker *worker = c->st.session->worker;
    conn_holds(c->hc.conn, -(int64_t)(sizeof *c + NG_STREAM));
    if (c->relay) {
        relay_cut(c->relay, reset);
        tunnel_forget(c);
    }
    if (c->flow)
        access_end(c->hc.conn, c->flow);
    if (c->hc.state != CLIENT_GONE)
        http_let_go(&c->hc);
    if (c->version)
        version_unpin(c->version, worker);
    if (c->late)
        worker_free(worker, c->late, LATE_MAX);
    h2_stream_fini(&c->st);
    worker_free(worker, c, sizeof *c);
}

static struct h2_stream *role_opened(struct h2_session *s, int32_t id) {
    struct h2_front *front = front_of(s);
    const struct http_conn *own = front->hc;
    struct h2_client *c = front->draining ? NULL : worker_alloc(s->worker, sizeof *c);
    if (!c)
        return NULL;
    h2_stream_init(&c->st, s, id, NULL);
    stream_consume(&c->st.stream, &stream_events, c);
    c->hc = (struct http_conn){.ops = &h2_client_ops,
                               .conn = own->conn,
                               .client = &c->st.stream,
                               .trust = own->trust,
                               .tls = own->tls,
                               .peer_length = own->peer_length};
    conn_holds(own->conn, sizeof *c + NG_STREAM);
    memcpy(c->hc.peer, own->peer, sizeof own->peer);
    timer_init(&c->hc.timer, http_on_time);
    front->first = false;
    if (!exchange_begin(&c->hc)) {
        client_free(c, true);
        return NULL;
    }
    http_enter(&c->hc, CLIENT_HEAD);
    return &c->st;
}

static void role_closed(struct h2_stream *st, uint32_t error) {
    client_free(client_of(st), error != 0);
}

/* ---- the request ---- */

static struct message *role_message(struct h2_stream *st) {
    struct h2_client *c = client_of(st);
    return c->hc.exchange ? &c->hc.exchange->request : NULL;
}

static void key_make(struct h2_client *c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct worker *worker = c->st.session->worker;
    uint64_t random[2] = {worker_random(worker), worker_random(worker)};
    for (int i = 0; i < 21; i++)
        c->key[i] = digits[random[i > 10] >> 6 * (i % 10) & 63];
    c->key[21] = 'A'; /* 128 bits end with four that are zero */
    c->key[22] = c->key[23] = '=';
}

static void role_head(struct h2_stream *st, bool ended) {
    struct h2_client *c = client_of(st);
    struct exchange *ex = c->hc.exchange;
    if (st->session->block.protocol_seen)
        key_make(c);
    int status = block_request_done(&st->session->block, &ex->request, ended, c->key);
    /* after a handshake nothing of HTTP follows, though the stream is open */
    bool whole = !status && (ended || ex->request.upgrade);
    if (!status && !whole && ex->request.framing == FRAMING_LENGTH && !ex->request.length)
        ex->withheld = true; /* as the last byte of a longer body, see client_step */
    if (whole ? exchange_request_end(ex) : exchange_request_head(ex, status))
        http_continue(&c->hc);
}

/* Trailers wait until the body before them has been used. */
static void role_trailer(struct h2_stream *st, const uint8_t *name, size_t name_length,
                         const uint8_t *value, size_t value_length) {
    struct h2_client *c = client_of(st);
    size_t length = name_length + value_length + 4;
    if (!c->late)
        c->late = worker_alloc(st->session->worker, LATE_MAX);
    if (!c->late || !name_length || length > LATE_MAX - c->late_used ||
        memchr(value, '\n', value_length) || memchr(name, ':', name_length)) {
        c->late_bad = true;
        return;
    }
    struct head h = {.data = c->late, .used = c->late_used, .room = LATE_MAX};
    head_put(&h, name, name_length);
    head_puts(&h, ": ");
    head_put(&h, value, value_length);
    head_puts(&h, "\r\n");
    c->late_used = h.used;
}

/* Those of a request of known length are judged as well, but not passed on. */
static bool late_use(struct h2_client *c, struct message *m) {
    struct head h = {.data = c->late, .used = c->late_used, .room = LATE_MAX};
    struct head_field f;
    if (c->late_bad)
        return false;
    for (uint32_t at = 0; head_next(&h, at, &f); at = f.end)
        if (trailer_field(m, h.data + f.at, f.name_length, h.data + f.value_at, f.value_length))
            return false;
    return true;
}

static bool stream_fail(struct h2_client *c, uint32_t error) {
    http_let_go(&c->hc);
    h2_stream_reset(&c->st, error);
    return false;
}

static bool request_end(struct h2_client *c) {
    struct message *m = &c->hc.exchange->request;
    if (m->framing == FRAMING_LENGTH && c->received != m->length)
        return stream_fail(c, NGHTTP2_PROTOCOL_ERROR); /* RFC 9113 section 8.1.1 */
    if (m->framing == FRAMING_CHUNKED)
        message_body_end(m);
    if (c->late && (m->framing != FRAMING_CHUNKED ? c->late_bad : !late_use(c, m)))
        return stream_fail(c, NGHTTP2_PROTOCOL_ERROR);
    struct slice last = {.data = &c->last, .length = 1};
    if (c->last_held && !exchange_request_body(c->hc.exchange, &last))
        return false;
    return exchange_request_end(c->hc.exchange);
}

/* RFC 9113 section 8.1.1: that a body is of its length is known when its end has come. The last byte waits for that, so that no pod ever
 * holds the whole of a request that is malformed. */
static void last_hold(struct h2_client *c, struct slice *s) {
    c->last = s->data[--s->length];
    c->last_held = true;
}

static bool client_step(struct http_conn *hc, struct slice *s) {
    struct h2_client *c = client_of_hc(hc);
    const struct message *m = &hc->exchange->request;
    c->received += s->length;
    if (m->framing == FRAMING_LENGTH && c->received > m->length)
        return stream_fail(c, NGHTTP2_PROTOCOL_ERROR);
    if (m->framing == FRAMING_LENGTH && c->received == m->length && !c->st.ends_here && !c->ended)
        last_hold(c, s);
    return s->length ? exchange_request_body(hc->exchange, s) : true;
}

static bool client_resume(struct http_conn *hc) {
    struct h2_client *c = client_of_hc(hc);
    if (!http_hold_run(hc))
        return false;
    if (!c->ended || http_holds(hc) || !hc->exchange || !exchange_accepts(hc->exchange))
        return true;
    return request_end(c);
}

static void role_data(struct h2_stream *st, struct slice slice) {
    struct h2_client *c = client_of(st);
    if (c->relay)
        st->stream.events->data(&st->stream, st->stream.user, slice);
    else if (!c->hc.exchange)
        slice_drop(st->session->worker, &slice); /* it was answered already */
    else if (http_take(&c->hc, slice))
        http_continue(&c->hc);
}

static void role_end(struct h2_stream *st) {
    struct h2_client *c = client_of(st);
    c->ended = true;
    if (c->relay) {
        st->stream.events->eof(&st->stream, st->stream.user);
    } else if (c->hc.exchange) {
        c->hc.eof = c->hc.exchange->request.upgrade;
        http_continue(&c->hc);
    }
}

/* ---- the answer ---- */

static void stream_drain(struct stream *s, void *user) {
    struct h2_client *c = user;
    (void)s;
    if (!c->hc.exchange)
        return;
    c->hc.full = false;
    c->hc.queued = 0;
    http_continue(&c->hc);
}

/* Until a WebSocket has come about, only `drain` is of use: the rest comes by the role. */
static const struct stream_events stream_events = {.drain = stream_drain};

/* The exchange is over; what is queued goes out as the client's window allows, while it makes progress. */
static bool client_leave(struct h2_client *c, uint32_t rest_error) {
    c->st.rest_unwanted = true;
    c->st.rest_error = rest_error;
    c->st.paused = false;
    h2_stream_used(&c->st, 0);
    c->hc.full = true;
    http_enter(&c->hc, CLIENT_PASS);
    timer_set(c->st.session->worker, &c->hc.timer, edge_timeouts()->body_idle);
    return false;
}

static bool client_end(struct http_conn *hc, bool keep, bool unread) {
    (void)keep, (void)unread;
    return client_leave(client_of_hc(hc), NGHTTP2_NO_ERROR);
}

static bool client_answer(struct http_conn *hc, const struct reply *r) {
    struct h2_client *c = client_of_hc(hc);
    bool malformed = strncmp(r->text, "HTTP/1.1 400", 12) == 0;
    if (!h2_stream_answer(&c->st, r))
        return stream_fail(c, NGHTTP2_INTERNAL_ERROR);
    if (r->over)
        h2_session_goaway(c->st.session, NGHTTP2_ENHANCE_YOUR_CALM);
    return client_leave(c, malformed ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR);
}

static void client_close(struct http_conn *hc, bool reset) {
    stream_fail(client_of_hc(hc), reset ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
}

/* ---- WebSocket: RFC 8441 ---- */

static void tunnel_ended(void *user, bool reset) {
    struct h2_client *c = user;
    tunnel_forget(c);
    stream_close(&c->st.stream, reset);
}

bool h2_front_withdraw(struct h2_front *front, const struct account *account, struct version *now) {
    enum { AT_ONCE = 4 };
    unsigned ended = 0;
    for (struct h2_stream *st = front->session.streams; st && ended < AT_ONCE; st = st->next) {
        struct h2_client *c = client_of(st); /* which goes only when nghttp2 has forgotten it */
        if (!c->relay || c->version->account != account || upstream_stays(relay_far(c->relay), now))
            continue;
        relay_cut(c->relay, true);
        tunnel_ended(c, true);
        ended++;
    }
    return ended == AT_ONCE;
}

static void client_tell_at_end(struct http_conn *hc, const struct access_record *record) {
    struct h2_client *c = client_of_hc(hc);
    c->flow = access_begin(hc->conn, record, &c->tally);
}

static void client_tunnel(struct http_conn *hc, struct stream *pod) {
    struct h2_client *c = client_of_hc(hc);
    while (http_holds(hc))
        stream_write(pod, hc->hold->item[hc->hold->first++]);
    http_let_go(hc);
    c->relay = relay_new(&c->st.stream, pod, tunnel_ended, c, c->tally);
    if (c->relay)
        return;
    stream_close(pod, true);
    h2_stream_reset(&c->st, NGHTTP2_INTERNAL_ERROR);
}

/* RFC 6455 section 4.2.2: the pod must prove that it took the key for what it is. */
static bool client_upgraded(struct http_conn *hc, const struct message *response) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const struct h2_client *c = client_of_hc(hc);
    uint8_t text[KEY_LENGTH + sizeof guid - 1], digest[WC_SHA_DIGEST_SIZE];
    uint8_t proof[PROOF_LENGTH + 4];
    word32 length = sizeof proof;
    struct head_field f;
    memcpy(text, c->key, KEY_LENGTH);
    memcpy(text + KEY_LENGTH, guid, sizeof guid - 1);
    return head_find(&response->head, response->fields, "sec-websocket-accept", 20, &f) &&
           wc_ShaHash(text, sizeof text, digest) == 0 &&
           Base64_Encode_NoNl(digest, sizeof digest, proof, &length) == 0 &&
           f.value_length == length && memcmp(response->head.data + f.value_at, proof, length) == 0;
}

/* ---- who pays ---- */

static bool client_charge(struct http_conn *hc, struct version *version) {
    struct h2_client *c = client_of_hc(hc);
    struct worker *worker = c->st.session->worker;
    if (conn_version(hc->conn) != version && !conn_charge(hc->conn, version))
        return false;
    if (c->version == version)
        return true;
    version_pin(version, worker);
    if (c->version)
        version_unpin(c->version, worker);
    c->version = version;
    h2_stream_charge(&c->st, &version->account->w[worker_id(worker)]);
    return true;
}

static struct account_worker *client_account(const struct http_conn *hc) {
    const struct h2_client *c = client_of_hc(hc);
    return c->version ? &c->version->account->w[worker_id(c->st.session->worker)]
                      : conn_account(hc->conn);
}

static const struct version *client_version(const struct http_conn *hc) {
    return client_of_hc(hc)->version;
}

static const struct client_ops h2_client_ops = {.down = &h2_way,
                                                .step = client_step,
                                                .resume = client_resume,
                                                .answer = client_answer,
                                                .end = client_end,
                                                .close = client_close,
                                                .upgraded = client_upgraded,
                                                .tunnel = client_tunnel,
                                                .tell_at_end = client_tell_at_end,
                                                .charge = client_charge,
                                                .account = client_account,
                                                .version = client_version};

/* ---- the connection's end ---- */

static void front_free(struct h2_front *front) {
    struct worker *worker = front->session.worker;
    while (front->session.streams)
        client_free(client_of(front->session.streams), true);
    timer_stop(&front->timer);
    http_hold_free(front->hc);
    h2_session_fini(&front->session);
    conn_holds(front->hc->conn, -(int64_t)(sizeof *front + NG_SESSION));
    front->hc->h2 = NULL;
    front->hc->client = NULL;
    front->hc->state = CLIENT_GONE;
    worker_free(worker, front, sizeof *front);
}

void h2_front_gone(struct h2_front *front) {
    front_free(front);
}

static void front_close(struct h2_front *front, bool reset) {
    struct conn *conn = front->hc->conn;
    front_free(front);
    conn_close(conn, reset);
}

/* GOAWAY is out: what runs is given up, and input read on a little so that a reset does not overtake it. */
static void front_linger(struct h2_front *front, int64_t ms) {
    for (struct h2_stream *st = front->session.streams; st; st = st->next)
        if (client_of(st)->hc.state != CLIENT_GONE)
            http_let_go(&client_of(st)->hc);
    stream_shutdown(front->session.wire);
    front->timing = TIMING_LINGER;
    timer_set(front->session.worker, &front->timer, ms);
}

/* ---- time ---- */

static enum timing timing_wanted(const struct h2_front *front) {
    const struct h2_session *s = &front->session;
    if (s->guard.in_block)
        return TIMING_BLOCK;
    return s->count ? TIMING_NONE : TIMING_IDLE;
}

static void front_time(struct h2_front *front) {
    const struct timeouts *t = edge_timeouts();
    enum timing wanted = timing_wanted(front);
    if (wanted == front->timing)
        return;
    front->timing = (uint8_t)wanted;
    timer_stop(&front->timer);
    if (wanted == TIMING_BLOCK || (wanted == TIMING_IDLE && front->first))
        timer_set(front->session.worker, &front->timer, t->header);
    else if (wanted == TIMING_IDLE)
        timer_set(front->session.worker, &front->timer, t->keepalive);
}

static void on_front_time(struct timer *timer) {
    struct h2_front *front = (struct h2_front *)((char *)timer - offsetof(struct h2_front, timer));
    stream_pays(front->session.wire);
    if (front->timing == TIMING_LINGER)
        front_close(front, false);
    else
        h2_session_goaway(&front->session, NGHTTP2_NO_ERROR);
}

/* Everything that could be sent has been: the end of a turn in which anything happened. */
static void role_sent(struct h2_session *s) {
    struct h2_front *front = front_of(s);
    if (s->broken) {
        front_close(front, true);
        return;
    }
    if (front->timing == TIMING_LINGER)
        return;
    bool over = !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng);
    if (s->calmed && !s->full)
        front_linger(front, CALM_LINGER_MS);
    else if ((s->ending && !s->full) || over)
        front_linger(front, conn_draining(front->hc->conn) ? DRAIN_LINGER_MS : LINGER_MS);
    else
        front_time(front);
}

/* The connection's tenant is that of its latest request, of the name in TLS before the first; without either nobody pays. */
static bool role_waste(struct h2_session *s, unsigned units) {
    const struct conn *conn = front_of(s)->hc->conn;
    const struct version *v = conn_version(conn);
    return !v || account_waste(v->account, conn_account(conn), worker_now_ms(s->worker), units);
}

static void role_calmed(struct h2_session *s) {
    const struct conn *conn = front_of(s)->hc->conn;
    if (conn_version(conn))
        ACCOUNT_ADD(conn_account(conn)->calmed, 1);
}

/* What it keeps waiting is needed elsewhere. */
static void role_yield(struct h2_stream *st) {
    struct h2_client *c = client_of(st);
    if (c->relay)
        st->stream.events->error(&st->stream, st->stream.user, -ENOBUFS);
    else
        stream_fail(c, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void front_pace(struct h2_front *front) {
    struct http_conn *hc = front->hc;
    bool much = http_holds_much(hc) || front->session.braked;
    if (much && !hc->client_paused)
        stream_pause(front->session.wire);
    else if (!much && hc->client_paused)
        stream_resume(front->session.wire);
    hc->client_paused = much;
}

static void role_pace(struct h2_session *s) {
    front_pace(front_of(s));
}

static void front_rested(struct conn *, void *);

/* Each stream is a request, and a buffer holds a hundred of them. */
static bool role_rests(struct h2_session *s) {
    struct http_conn *hc = front_of(s)->hc;
    hc->rests = conn_rest(hc->conn, front_rested, front_of(s));
    return hc->rests;
}

static const struct h2_role front_role = {.server = true,
                                          .opened = role_opened,
                                          .message = role_message,
                                          .head = role_head,
                                          .trailer = role_trailer,
                                          .data = role_data,
                                          .end = role_end,
                                          .closed = role_closed,
                                          .sent = role_sent,
                                          .waste = role_waste,
                                          .calmed = role_calmed,
                                          .yield = role_yield,
                                          .pace = role_pace,
                                          .rests = role_rests};

/* ---- events of the connection's stream ---- */

static void front_hold(struct h2_front *front, struct slice slice, bool first) {
    if (http_hold_put(front->hc, slice, first))
        return;
    front->session.broken = true;
    h2_session_kick(&front->session);
}

/* Takes the slice. */
static void front_feed(struct h2_front *front, struct slice slice) {
    h2_session_feed(&front->session, &slice);
    if (slice.length)
        front_hold(front, slice, true);
    else
        slice_drop(front->session.worker, &slice);
}

static void front_rested(struct conn *conn, void *user) {
    struct h2_front *front = user;
    struct http_conn *hc = front->hc;
    (void)conn;
    hc->rests = false;
    while (http_holds(hc) && !hc->rests && front->timing != TIMING_LINGER) {
        front_feed(front, http_hold_take(hc));
        if (http_holds(hc) && !hc->rests)
            role_rests(&front->session);
    }
    if (!hc->rests)
        http_hold_free(hc);
    front_pace(front);
}

static void wire_data(struct stream *s, void *user, struct slice slice) {
    struct h2_front *front = user;
    if (front->timing == TIMING_LINGER)
        slice_drop(s->worker, &slice);
    else if (http_holds(front->hc))
        front_hold(front, slice, false);
    else
        front_feed(front, slice);
    front_pace(front);
}

/* Whoever ends his half can give no windows and finish no request any more: he has left. */
static void wire_eof(struct stream *s, void *user) {
    (void)s;
    front_close(user, false);
}

static void wire_drain(struct stream *s, void *user) {
    struct h2_front *front = user;
    (void)s;
    h2_session_drained(&front->session);
}

static void wire_error(struct stream *s, void *user, int error) {
    (void)s, (void)error;
    front_close(user, true);
}

static const struct stream_events wire_events = {
    .data = wire_data, .eof = wire_eof, .drain = wire_drain, .error = wire_error};

/* ---- the connection's beginning ---- */

bool h2_front_start(struct http_conn *hc, size_t preface) {
    struct worker *worker = conn_worker(hc->conn);
    struct h2_front *front = worker_alloc(worker, sizeof *front);
    struct stream *wire = hc->client;
    timer_stop(&hc->timer);
    if (!front || !h2_session_init(&front->session, &front_role, worker, wire, hc->tls)) {
        if (front) {
            h2_session_fini(&front->session);
            worker_free(worker, front, sizeof *front);
        }
        http_close(hc, true);
        return false;
    }
    front->hc = hc;
    conn_holds(hc->conn, sizeof *front + NG_SESSION);
    front->first = true;
    timer_init(&front->timer, on_front_time);
    hc->h2 = front;
    stream_consume(wire, &wire_events, front);
    struct slice read = {.data = (const uint8_t *)H2_PREFACE, .length = (uint32_t)preface};
    if (preface)
        h2_session_feed(&front->session, &read);
    front_time(front);
    return true;
}

void h2_front_drain(struct h2_front *front) {
    struct h2_session *s = &front->session;
    front->draining = true;
    if (!s->count)
        h2_session_goaway(s, NGHTTP2_NO_ERROR);
    else if (nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE,
                                   nghttp2_session_get_last_proc_stream_id(s->ng), NGHTTP2_NO_ERROR,
                                   NULL, 0))
        s->broken = true;
    h2_session_kick(s);
}
