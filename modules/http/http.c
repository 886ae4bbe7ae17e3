/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.c - one client, what it has received and not yet used, its timer; and the client that is an HTTP/1.1 connection.
 *
 *   IDLE --byte--> HEAD --head--> SEND --body--> WAIT --response--> PASS --end--> IDLE ... --close--> LINGER --> GONE
 *                    '----------- no body ------^  '---101---> TUNNEL
 *
 * Requests are answered one after the other: what comes in during an exchange is held (and the client paused when that is much). The
 * exchange itself is exchange.c. Never parses; allocates only to hold.
 */
#include "modules/http/http.h"
#include "core/full.h"
#include "modules/http/h2_front.h"
#include <strings.h>

static struct worker *worker_of(const struct http_conn *hc) {
    return conn_worker(hc->conn);
}

void http_enter(struct http_conn *hc, enum client_state state) {
    /* the first request's head has no more time than the connection had from its opening */
    hc->timed = state == CLIENT_HEAD && hc->first && hc->timed;
    hc->state = (uint8_t)state;
    hc->hurried = false;
}

/* ---- what is held back ---- */

void http_hold_free(struct http_conn *hc) {
    struct hold *hold = hc->hold;
    if (!hold)
        return;
    while (hold->first < hold->end)
        slice_drop(worker_of(hc), &hold->item[hold->first++]);
    worker_free(worker_of(hc), hold, sizeof *hold + hold->room * sizeof *hold->item);
    hc->hold = NULL;
}

/* What has been taken from the front leaves room at the end. */
static void hold_close_up(struct hold *hold) {
    hold->end -= hold->first;
    memmove(hold->item, hold->item + hold->first, hold->end * sizeof *hold->item);
    hold->first = 0;
}

static bool hold_grow(struct http_conn *hc) {
    struct hold *old = hc->hold;
    uint32_t room = old ? old->room * 2 : 6;
    struct hold *hold = old && old->end >= HOLD_MAX
                            ? NULL
                            : worker_alloc(worker_of(hc), sizeof *hold + room * sizeof *hold->item);
    if (!hold)
        return false;
    *hold = (struct hold){.room = room};
    if (old) {
        hold->first = old->first;
        hold->end = old->end;
        memcpy(hold->item, old->item, old->end * sizeof *old->item);
        worker_free(worker_of(hc), old, sizeof *old + old->room * sizeof *old->item);
    }
    hc->hold = hold;
    return true;
}

bool http_hold_put(struct http_conn *hc, struct slice slice, bool front) {
    if (front && hc->hold && hc->hold->first > 0) {
        hc->hold->item[--hc->hold->first] = slice;
        return true;
    }
    /* One who always sends more before all is taken is never at the beginning again by itself. */
    if (hc->hold && hc->hold->end == hc->hold->room && hc->hold->first >= hc->hold->room / 2)
        hold_close_up(hc->hold);
    if ((!hc->hold || hc->hold->end == hc->hold->room) && !hold_grow(hc)) {
        slice_drop(worker_of(hc), &slice);
        return false;
    }
    hc->hold->item[hc->hold->end++] = slice;
    buf_charge(worker_of(hc), slice.buf, hc->ops->account(hc));
    return true;
}

struct slice http_hold_take(struct http_conn *hc) {
    return hc->hold->item[hc->hold->first++];
}

bool http_holds_much(const struct http_conn *hc) {
    const struct account_worker *payer = http_holds(hc) ? hc->ops->account(hc) : NULL;
    uint32_t count = http_holds(hc) ? hc->hold->end - hc->hold->first : 0;
    return count >= HOLD_PAUSE ||
           (payer && queue_is_much(worker_of(hc), payer, (size_t)count * BUF_SIZE));
}

/* ---- bytes from the client ---- */

static bool accepts(const struct http_conn *hc) {
    switch (hc->state) {
    case CLIENT_IDLE:
        return !hc->full && !hc->ahead && !hc->rests;
    case CLIENT_LINGER:
        return true;
    default:
        return hc->exchange && exchange_accepts(hc->exchange);
    }
}

/* RFC 9112 section 2.2: empty lines before a request are skipped. */
static void skip_empty_lines(struct slice *s) {
    while (s->length && (*s->data == '\r' || *s->data == '\n')) {
        s->data++;
        s->length--;
    }
}

/* One step with what has come. Takes from the slice. False: the connection is gone. */
static bool client_step(struct http_conn *hc, struct slice *s) {
    if (hc->state == CLIENT_LINGER) {
        s->length = 0;
        return true;
    }
    if (hc->state == CLIENT_IDLE) {
        skip_empty_lines(s);
        if (s->length == 0)
            return true;
        if (!exchange_begin(hc)) { /* no memory: not even for an answer */
            http_close(hc, true);
            return false;
        }
        http_enter(hc, CLIENT_HEAD);
    }
    return exchange_request(hc->exchange, s);
}

static void client_rested(struct conn *conn, void *user) {
    struct http_conn *hc = user;
    (void)conn;
    hc->rests = false;
    http_continue(hc);
}

/* What the edge answers itself takes no time, and a buffer holds a hundred requests: the next one may have to wait for its turn. */
static void rest(struct http_conn *hc) {
    if (hc->state == CLIENT_IDLE)
        hc->rests = conn_rest(hc->conn, client_rested, hc);
}

/* Takes the slice. False: the connection is gone. */
static bool take(struct http_conn *hc, struct slice slice, bool from_hold) {
    struct worker *worker = worker_of(hc);
    bool alive = true;
    while (alive && slice.length) {
        if (!accepts(hc)) {
            if (http_hold_put(hc, slice, from_hold))
                return true;
            hc->ops->close(hc, true);
            return false;
        }
        alive = hc->ops->step(hc, &slice);
        if (alive && slice.length)
            rest(hc);
    }
    slice_drop(worker, &slice);
    return alive;
}

bool http_hold_run(struct http_conn *hc) {
    while (http_holds(hc) && accepts(hc)) {
        if (!take(hc, http_hold_take(hc), true))
            return false;
        if (http_holds(hc) && accepts(hc))
            rest(hc);
    }
    if (hc->hold && !http_holds(hc))
        http_hold_free(hc);
    return true;
}

static bool hold_last(struct http_conn *hc, struct slice slice) {
    if (http_hold_put(hc, slice, false))
        return true;
    hc->ops->close(hc, true);
    return false;
}

bool http_take(struct http_conn *hc, struct slice slice) {
    /* first come, first served */
    return http_holds(hc) ? hold_last(hc, slice) : take(hc, slice, false);
}

/* ---- time and pace ---- */

/* Who sends a byte now and then is never idle, but holds a pod: an announced body must come at BODY_RATE_MIN, measured in windows of
 * `body_idle`. A chunked one may be a stream that has nothing to say; time in which the pod does not read is not the client's. */
static void window_move(struct exchange *ex) {
    int64_t idle = edge_timeouts()->body_idle;
    bool enough = ex->window_bytes >= (uint64_t)idle * BODY_RATE_MIN / 1000;
    if (ex->window_end && !enough && ex->request.framing == FRAMING_LENGTH && !ex->up.full &&
        !ex->held)
        return;
    ex->window_end = worker_now_ms(ex->worker) + idle;
    ex->window_bytes = 0;
}

static int64_t window_left(const struct exchange *ex) {
    int64_t left = ex->window_end - worker_now_ms(ex->worker);
    return left > 0 ? left : 1;
}

/* Time in which a limit of ours kept bytes waiting is taken from no one's: how much there was since the last look. */
static int64_t held_back(struct http_conn *hc) {
    uint32_t held = conn_held_ms(hc->conn), before = held < hc->held_ms ? 0 : hc->held_ms;
    hc->held_ms = held;
    if (hc->exchange && hc->exchange->window_end)
        hc->exchange->window_end += held - before;
    return held - before;
}

static int64_t patience(const struct http_conn *hc) {
    const struct timeouts *t = edge_timeouts();
    switch (hc->state) {
    case CLIENT_IDLE:
        return hc->first ? t->header : t->keepalive;
    case CLIENT_HEAD:
        return t->header;
    case CLIENT_SEND:
        return window_left(hc->exchange);
    case CLIENT_WAIT:
        return hc->exchange->stall_ms ? hc->exchange->stall_ms : t->response;
    case CLIENT_LINGER:
        return conn_draining(hc->conn) ? DRAIN_LINGER_MS : LINGER_MS;
    default:
        return t->body_idle;
    }
}

static void pace_one(struct stream *s, bool want, bool is) {
    if (want && !is)
        stream_pause(s);
    else if (!want && is)
        stream_resume(s);
}

static void pace(struct http_conn *hc) {
    struct exchange *ex = hc->exchange;
    bool client = http_holds_much(hc) || (ex && ex->up.full);
    bool pod = ex && ex->pod && hc->full;
    pace_one(hc->client, client, hc->client_paused);
    if (ex && ex->pod)
        pace_one(ex->pod, pod, hc->pod_paused);
    hc->client_paused = client;
    hc->pod_paused = pod;
}

/* The client has ended and said nothing that is still to be answered. One that ends while it stands in line has left it: nearly
 * nobody who ends his half still waits, and the place is worth more to the next. */
static bool is_over(const struct http_conn *hc) {
    if (!hc->eof)
        return false;
    if (hc->exchange && hc->exchange->wait && upstream_wait_in_line(hc->exchange->wait))
        return true;
    if (http_holds(hc))
        return false;
    return hc->state <= CLIENT_HEAD || hc->state == CLIENT_LINGER ||
           (hc->exchange && !hc->exchange->request_done);
}

void http_continue(struct http_conn *hc) {
    if (!hc->ops->resume(hc))
        return;
    bool drained = hc->state == CLIENT_IDLE && !http_holds(hc) && conn_draining(hc->conn);
    if (is_over(hc) || drained) {
        hc->ops->close(hc, false);
        return;
    }
    pace(hc);
    if (hc->timed && hc->state != CLIENT_SEND && hc->state != CLIENT_PASS)
        return;
    held_back(hc);
    if (hc->state == CLIENT_SEND)
        window_move(hc->exchange);
    hc->timed = true;
    timer_set(worker_of(hc), &hc->timer, patience(hc));
}

/* A queue that shrinks too slowly for `drain` is progress, too: time is given while it does. */
static bool is_being_read(struct http_conn *hc) {
    struct exchange *ex = hc->exchange;
    const struct stream *reader = hc->full                       ? hc->client
                                  : ex && ex->pod && ex->up.full ? ex->pod
                                                                 : NULL;
    size_t queued = reader ? stream_queued(reader) : 0;
    bool progress = queued && (!hc->queued || queued < hc->queued);
    hc->queued = (uint32_t)queued;
    return progress;
}

void http_on_time(struct timer *timer) {
    struct http_conn *hc = (struct http_conn *)((char *)timer - offsetof(struct http_conn, timer));
    conn_pays(hc->conn);
    int64_t held = held_back(hc);
    if (held && hc->state != CLIENT_WAIT) { /* there it is the pod that has to say something */
        timer_set(worker_of(hc), timer, held);
        return;
    }
    hc->timed = false;
    if ((hc->state == CLIENT_PASS || hc->state == CLIENT_SEND) && is_being_read(hc)) {
        http_continue(hc);
        return;
    }
    if (hc->exchange) {
        if (exchange_expired(hc->exchange))
            http_continue(hc);
        return;
    }
    hc->ops->close(hc, false); /* nothing was asked: nothing is answered */
}

/* ---- the end ---- */

void http_let_go(struct http_conn *hc) {
    hc->state = CLIENT_GONE;
    timer_stop(&hc->timer);
    if (hc->ahead)
        conn_look_away(hc->conn);
    if (hc->exchange)
        exchange_drop(hc->exchange);
    http_hold_free(hc);
}

void http_close(struct http_conn *hc, bool reset) {
    http_let_go(hc);
    hc->client = NULL;
    conn_close(hc->conn, reset);
}

/* Closing with unread input makes the kernel send RST, which can overtake the answer: read on a little (RFC 9112 section 9.6). */
bool http_end(struct http_conn *hc, bool unread) {
    if ((!unread && !http_holds(hc)) || hc->eof) {
        http_close(hc, false);
        return false;
    }
    http_hold_free(hc);
    stream_shutdown(hc->client);
    http_enter(hc, CLIENT_LINGER);
    return true;
}

static bool client_answer(struct http_conn *hc, const struct reply *r) {
    hc->full |= stream_write_copy(hc->client, r->text, r->length) == 1;
    if (r->page)
        hc->full |= stream_write_copy(hc->client, r->page, r->page_length) == 1;
    if (r->over) {
        http_close(hc, false);
        return false;
    }
    if (r->close)
        return http_end(hc, r->unread);
    http_enter(hc, CLIENT_IDLE);
    return true;
}

static bool client_end(struct http_conn *hc, bool keep, bool unread) {
    if (!keep)
        return http_end(hc, unread);
    http_enter(hc, CLIENT_IDLE);
    return true;
}

/* After 101: hands both streams to the host, joined; what was held is the tunnel's. */
static void client_tunnel(struct http_conn *hc, struct stream *pod) {
    while (http_holds(hc))
        stream_write(pod, http_hold_take(hc));
    http_let_go(hc);
    hc->state = CLIENT_TUNNEL;
    hc->client = NULL;
    conn_relay_stream(hc->conn, pod);
}

static void client_tell_at_end(struct http_conn *hc, const struct access_record *record) {
    access_write_at_end(hc->conn, record);
}

static bool client_charge(struct http_conn *hc, struct version *version) {
    return conn_version(hc->conn) == version || conn_charge(hc->conn, version);
}

static struct account_worker *client_account(const struct http_conn *hc) {
    return conn_account(hc->conn);
}

static const struct client_ops client_ops = {.step = client_step,
                                             .resume = http_hold_run,
                                             .answer = client_answer,
                                             .end = client_end,
                                             .close = http_close,
                                             .tunnel = client_tunnel,
                                             .tell_at_end = client_tell_at_end,
                                             .charge = client_charge,
                                             .account = client_account};

/* ---- events of the client's stream ---- */

/* Where the value of a Host field seems to begin, not far from the start; a guess that only warms caches. */
static const uint8_t *host_guess(const struct slice *s, size_t *ret_length) {
    enum { FAR = 512 };
    const uint8_t *at = s->data, *end = at + (s->length < FAR ? s->length : FAR);
    while ((at = memchr(at, '\n', (size_t)(end - at))) && end - ++at > 6) {
        if (strncasecmp((const char *)at, "host:", 5))
            continue;
        at += 5 + (at[5] == ' ');
        const uint8_t *stop = memchr(at, '\r', (size_t)(end - at));
        *ret_length = stop ? (size_t)(stop - at) : 0;
        return stop ? at : NULL;
    }
    return NULL;
}

static void client_warm(struct conn *conn, void *user) {
    struct http_conn *hc = user;
    (void)conn;
    hc->ahead = false;
    http_continue(hc);
}

/* The first bytes of a request wait, until the end of this turn at most, for what routing them will read. */
static bool client_looks_ahead(struct http_conn *hc, const struct slice *s) {
    size_t length = 0;
    if (hc->state != CLIENT_IDLE || hc->full || hc->ahead)
        return false;
    const uint8_t *host = host_guess(s, &length);
    hc->ahead = host && conn_look_ahead(hc->conn, (const char *)host, length, client_warm, hc);
    return hc->ahead;
}

/* HTTP/2 by prior knowledge begins with a text that is no request. What came of it before something else did is only counted, since it
 * can be told again. False: it is HTTP/2, or too early to tell, and the slice was taken. */
static bool preface_done(struct http_conn *hc, struct slice *s) {
    static const char preface[] = H2_PREFACE;
    size_t want = sizeof preface - 1 - hc->preface, have = s->length < want ? s->length : want;
    size_t seen = hc->preface;
    struct worker *worker = worker_of(hc); /* which outlives the client */
    if (memcmp(preface + seen, s->data, have) != 0) {
        struct slice again = {.data = (const uint8_t *)preface, .length = (uint32_t)seen};
        hc->preface = 0;
        if (!seen || http_take(hc, again))
            return true;
        slice_drop(worker, s);
        return false;
    }
    hc->preface = (uint8_t)(seen + have);
    if (have == want) {
        s->data += have;
        s->length -= (uint32_t)have;
        if (h2_front_start(hc, sizeof preface - 1) && s->length) {
            hc->client->events->data(hc->client, hc->client->user, *s);
            return false;
        }
    }
    slice_drop(worker, s);
    return false;
}

static void client_data(struct stream *s, void *user, struct slice slice) {
    struct http_conn *hc = user;
    (void)s;
    bool may_be_h2 =
        hc->first && !hc->http1 && !hc->tls && hc->state == CLIENT_IDLE && !http_holds(hc);
    if (may_be_h2 && !preface_done(hc, &slice))
        return;
    hc->http1 = true;
    bool held = http_holds(hc) || client_looks_ahead(hc, &slice);
    if (held ? hold_last(hc, slice) : http_take(hc, slice))
        http_continue(hc);
}

static void client_eof(struct stream *s, void *user) {
    struct http_conn *hc = user;
    (void)s;
    hc->eof = true;
    http_continue(hc);
}

static void client_drain(struct stream *s, void *user) {
    struct http_conn *hc = user;
    (void)s;
    hc->full = false;
    hc->queued = 0;
    http_continue(hc);
}

static void client_error(struct stream *s, void *user, int error) {
    (void)s;
    (void)error;
    http_close(user, true);
}

static const struct stream_events client_events = {
    .data = client_data, .eof = client_eof, .drain = client_drain, .error = client_error};

/* ---- the module ---- */

static enum verdict http_on_stream(struct conn *conn, void *state, struct stream *stream) {
    struct http_conn *hc = state;
    *hc = (struct http_conn){.ops = &client_ops,
                             .conn = conn,
                             .client = stream,
                             .first = true,
                             .tls = conn_is_tls(conn)};
    hc->trust = edge_trusts_proxy(conn);
    hc->peer_length = (uint8_t)strnlen(conn_peer(conn, hc->peer), sizeof hc->peer);
    timer_init(&hc->timer, http_on_time);
    stream_consume(stream, &client_events, hc);
    hc->timed = true;
    timer_set(worker_of(hc), &hc->timer, edge_timeouts()->header);
    if (strcmp(conn_alpn(conn), "h2") == 0)
        h2_front_start(hc, 0);
    return VERDICT_WAIT;
}

static void http_on_close(struct conn *conn, void *state) {
    struct http_conn *hc = state;
    (void)conn;
    if (hc->h2)
        h2_front_gone(hc->h2);
    else if (hc->client && hc->state != CLIENT_GONE)
        http_let_go(hc);
}

/* Half a head is not worth the whole of `drain`: its sender gets a moment for the rest, then 408. */
static void http_on_drain(struct conn *conn, void *state) {
    struct http_conn *hc = state;
    int64_t header = edge_timeouts()->header;
    (void)conn;
    if (hc->h2)
        h2_front_drain(hc->h2);
    else if (hc->client && hc->state == CLIENT_IDLE && !http_holds(hc))
        http_close(hc, false);
    else if (hc->client && hc->state == CLIENT_HEAD && !hc->exchange->request.complete &&
             !hc->hurried) {
        hc->hurried = true;
        timer_set(worker_of(hc), &hc->timer, header < DRAIN_HEAD_MS ? header : DRAIN_HEAD_MS);
    }
}

static bool http_on_withdraw(struct conn *conn, void *state, const struct account *account,
                             struct version *now) {
    const struct http_conn *hc = state;
    (void)conn;
    return hc->h2 && h2_front_withdraw(hc->h2, account, now);
}

static const struct conf_field http_fields[] = {
    {.name = "https_port",
     .type = CONF_INT,
     .offset = offsetof(struct http_conf, https_port),
     .min = 1,
     .max = 65535,
     .fallback = "443",
     .doc = "the port that clients reach https on, named in redirects unless it is 443"},
    {.name = "begin_trace",
     .type = CONF_BOOL,
     .offset = offsetof(struct http_conf, begin_trace),
     .fallback = "false",
     .doc = "requests without a traceparent get one, of every tenant"},
    CONF_END,
};

RINGRESS_MODULE(.name = "http", .version = "1",
                .summary = "HTTP/1.1 and HTTP/2 reverse proxy by host and path",
                .listeners = LISTENER_HTTP | LISTENER_HTTPS, .conf = http_fields,
                .conf_size = sizeof(struct http_conf), .conn_size = sizeof(struct http_conn),
                .alpn = "h2,http/1.1", .on_stream = http_on_stream, .on_close = http_on_close,
                .on_drain = http_on_drain, .on_withdraw = http_on_withdraw);

_Static_assert(sizeof(struct http_conn) <= 192, "an idle connection is nearly free");
