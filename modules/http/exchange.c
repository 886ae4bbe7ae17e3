/* SPDX-License-Identifier: GPL-3.0-or-later
 * exchange.c - one request and its response, between a client and a pod, each of which speaks HTTP/1.1 or HTTP/2.
 *
 *   client --message_feed--> request  --head_done: route, open pod--> up   --> pod
 *   client <-- down <--head_done: framing, Connection-- response <--message_feed-- pod
 *
 * HTTP/2 comes in by exchange_request_* and exchange_response_* in the place of message_feed, and goes out by another `way` of
 * body_out; what is in between is the same. Owns the pod's stream until it is kept, closed or joined; lives in the pool buffer the request's head is written to. Nothing of a
 * pod's answer is invented: when a pod breaks after the response has begun, the client is cut; before that, the edge answers
 * itself, or asks again where RFC 9110 section 9.2.2 allows it.
 */
#include "modules/http/affinity.h"
#include "modules/http/answer.h"
#include "modules/http/http.h"
#include <errno.h>

static const struct stream_events pod_events;
static const struct message_sink request_sink, response_sink;

static struct exchange *exchange_of_request(struct message *m) {
    return (struct exchange *)((char *)m - offsetof(struct exchange, request));
}

struct exchange *exchange_of_response(struct message *m) {
    return (struct exchange *)((char *)m - offsetof(struct exchange, response));
}

/* ---- memory ---- */

static int64_t head_holds(const struct head *h) {
    return h->buf || !h->data ? 0 : h->room;
}

/* Into memory of its own. What is still to be sent from the pool buffer has its own references. */
static bool head_move(struct exchange *ex, struct head *h, size_t need) {
    struct worker *worker = ex->worker;
    int64_t held = head_holds(h);
    size_t room = h->room < BUF_SIZE ? BUF_SIZE : h->room;
    while (room - h->used < need)
        room *= 2;
    uint8_t *data = worker_alloc(worker, room);
    if (!data)
        return false;
    memcpy(data, h->data, h->used);
    if (!h->buf)
        worker_free(worker, h->data, h->room);
    h->data = data;
    h->room = (uint32_t)room;
    h->buf = NULL;
    conn_holds(ex->hc->conn, head_holds(h) - held);
    return true;
}

static bool request_head_grow(struct head *h, size_t need) {
    struct message *m = (struct message *)((char *)h - offsetof(struct message, head));
    return head_move(exchange_of_request(m), h, need); /* `home` stays: the exchange lies there */
}

static bool response_head_grow(struct head *h, size_t need) {
    struct message *m = (struct message *)((char *)h - offsetof(struct message, head));
    struct exchange *ex = exchange_of_response(m);
    struct buf *buf = h->buf;
    if (!head_move(ex, h, need))
        return false;
    if (buf)
        buf_unref(ex->worker, buf);
    return true;
}

bool exchange_begin(struct http_conn *hc) {
    struct worker *worker = conn_worker(hc->conn);
    struct buf *home = buf_get(worker);
    if (!home)
        return false;
    home->used = BUF_SIZE; /* nobody appends */
    struct exchange *ex = (struct exchange *)home->data;
    memset(ex, 0, offsetof(struct exchange, request));
    ex->response.head = (struct head){0}; /* none yet */
    ex->response.begun = ex->response.complete = false;
    ex->hc = hc;
    ex->worker = worker;
    ex->home = home;
    ex->request.head = (struct head){.data = home->data + sizeof *ex,
                                     .room = (uint32_t)(BUF_SIZE - sizeof *ex),
                                     .buf = home,
                                     .grow = request_head_grow};
    message_init(&ex->request, true, &request_sink);
    ex->request.trust = hc->trust;
    hc->exchange = ex;
    record_begin(ex);
    return true;
}

/* It has turned out whose it is, and so is what brought it: a body behind the head waits in the same buffer. */
void exchange_charged(struct exchange *ex) {
    struct account_worker *payer = ex->hc->ops->account(ex->hc);
    buf_charge(ex->worker, ex->home, payer);
    if (ex->source)
        buf_charge(ex->worker, ex->source->buf, payer);
}

static void exchange_free(struct exchange *ex) {
    struct worker *worker = ex->worker;
    struct head *request = &ex->request.head, *response = &ex->response.head;
    record_end(ex);
    if (ex->stall_ms)
        conn_stalled(ex->hc->conn);
    conn_holds(ex->hc->conn, -(head_holds(request) + head_holds(response)));
    ex->hc->exchange = NULL;
    ex->hc->pod_paused = false;
    ex->hc->queued = 0;
    if (response->buf)
        buf_unref(worker, response->buf);
    else if (response->data)
        worker_free(worker, response->data, response->room);
    if (!request->buf)
        worker_free(worker, request->data, request->room);
    buf_unref(worker, ex->home);
}

static void pod_close(struct exchange *ex, bool reset) {
    if (ex->pod)
        stream_close(ex->pod, reset);
    ex->pod = NULL;
}

void exchange_drop(struct exchange *ex) {
    pod_close(ex, true);
    if (ex->wait)
        upstream_wait_cancel(ex->wait);
    exchange_free(ex);
}

/* ---- the edge's own answers ---- */

/* Bytes behind a request to upgrade may be meant for the other protocol, when they come before the client has read the answer as
 * well: after any answer but 101 none may be read as a request, which whoever made them up would have smuggled in. */
static bool may_be_early(const struct exchange *ex) {
    return ex->request.upgrade;
}

static bool client_keeps(const struct exchange *ex) {
    const struct message *m = &ex->request;
    return m->complete && !m->close && (!m->http_1_0 || m->keep_alive) &&
           !conn_draining(ex->hc->conn) && !may_be_early(ex);
}

/* "https://host/path?query": the host as normalised, the target as it would have been forwarded. */
static void location_set(const struct exchange *ex, struct answer *a, char *out, size_t room) {
    const struct message *m = &ex->request;
    const struct http_conf *conf = module_conf(&ringress_module);
    char port[8] = "";
    if (conf && conf->https_port && conf->https_port != 443)
        snprintf(port, sizeof port, ":%d", (int)conf->https_port);
    int n = snprintf(out, room, "https://%.*s%s%.*s", ex->host_length, ex->host, port,
                     m->head.data[m->target] == '*' ? 0 : (int)m->target_length,
                     (char *)m->head.data + m->target);
    a->location = out;
    a->location_length = (size_t)n;
}

/* The one thing the edge itself says with 200; it may have been withdrawn since the head was judged. */
static int challenge_page(const struct exchange *ex, struct error_page *ret) {
    const char *text = exchange_challenge(ex);
    if (!text)
        return 404;
    *ret = (struct error_page){text, "application/octet-stream", (uint32_t)strlen(text)};
    return 200;
}

/* A name that nobody has, or one that is held: who asks for it all the same is not served until he tires. */
static bool is_last(const struct exchange *ex, int status) {
    return (status == 404 || status == 429) && ex->answer == status &&
           (!ex->charged || status == 429) && conn_outstays(ex->hc->conn);
}

bool exchange_answer(struct exchange *ex, int status, bool unread) {
    struct http_conn *hc = ex->hc;
    struct error_page challenge;
    if (status == 200)
        status = challenge_page(ex, &challenge);
    bool over = is_last(ex, status);
    bool linger = unread || may_be_early(ex);
    char out[TARGET_MAX + 1024], location[TARGET_MAX + 300];
    struct answer a = {.status = status,
                       .head_only = ex->request.method == HTTP_HEAD,
                       .close = over || unread || !client_keeps(ex),
                       .http_1_0 = ex->request.http_1_0,
                       .retry_after = status == 503   ? RETRY_AFTER_S
                                      : status == 429 ? RATE_RETRY_AFTER_S
                                                      : 0,
                       .date = time(NULL)};
    if (status == 308)
        location_set(ex, &a, location, sizeof location);
    if (ex->policy)
        a.page = answer_page(ex->policy, status);
    if (status == 200)
        a.page = &challenge;
    size_t length = answer_write(&a, out, sizeof out);
    struct account_worker *account = hc->ops->account(hc);
    record_answered(ex, status, length + (a.page && !a.head_only ? a.page->length : 0));
    if (account && status >= 502)
        account_failed(account, ex->record.error);
    struct reply reply = {
        .text = out, .length = length, .close = a.close, .unread = linger, .over = over};
    if (a.page && !a.head_only) {
        reply.page = a.page->text;
        reply.page_length = a.page->length;
    }
    exchange_drop(ex);
    hc->first = false;
    return hc->ops->answer(hc, &reply);
}

static bool cut(struct exchange *ex) {
    ex->hc->ops->close(ex->hc, true);
    return false;
}

/* The request can't go on: say so, unless another answer has begun. */
static bool exchange_refuse(struct exchange *ex, int status) {
    return ex->delivering ? cut(ex) : exchange_answer(ex, status, !ex->request_done);
}

/* ---- the pod ---- */

static void response_expect(struct exchange *ex) {
    message_init(&ex->response, false, &response_sink);
    ex->response.method = ex->request.method;
    ex->response.cookie_domain = ex->request.cookie_domain;
}

static bool response_head_make(struct exchange *ex) {
    struct buf *buf = buf_get(ex->worker);
    if (!buf)
        return false;
    buf->used = BUF_SIZE;
    buf_charge(ex->worker, buf, ex->hc->ops->account(ex->hc));
    ex->response.head =
        (struct head){.data = buf->data, .room = BUF_SIZE, .buf = buf, .grow = response_head_grow};
    ex->down = (struct body_out){
        .way = ex->hc->ops->down, .to = ex->hc->client, .head = &ex->response.head};
    response_expect(ex);
    return true;
}

/* 0, or the version of the PROXY header each connection to the pod begins with. It speaks for this client alone, so such a
 * connection is neither taken from those that were kept nor kept itself. */
static unsigned introduces(const struct exchange *ex) {
    return ex->gate ? ex->gate->proxy_version : 0;
}

static void pod_attach(struct exchange *ex, struct stream *pod) {
    ex->pod = pod;
    ex->reused = ex->connected = ex->pods->is_reused(pod);
    record_pod(ex, ex->pods->upstream(pod));
    stream_consume(pod, &pod_events, ex);
    if (introduces(ex)) {
        uint8_t header[128];
        size_t length = conn_introduction(ex->hc->conn, introduces(ex), header);
        ex->pods->introduce(pod, header, length);
    }
}

static void up_flush(struct exchange *ex) {
    const struct message *m = &ex->request;
    if (ex->pod && !ex->withheld)
        body_flush(&ex->up, m->trailing && !ex->request_done ? m->name : m->head.used);
}

static uint64_t key_of(const struct exchange *ex) {
    return upstream_wants_key(ex->set)
               ? affinity_key(&ex->request, ex->policy, ex->hc->peer, ex->hc->peer_length)
               : 0;
}

static struct stream *pod_ask(struct exchange *ex, bool called, int *ret_error) {
    struct upstream_want want = {.fresh = introduces(ex),
                                 .called = called,
                                 .key = key_of(ex),
                                 .turn = exchange_turn,
                                 .user = ex};
    return ex->pods->ask(ex, &want, &ex->wait, ret_error);
}

void exchange_turn(void *user, struct stream *pod, int error) {
    struct exchange *ex = user;
    struct http_conn *hc = ex->hc;
    ex->wait = NULL;
    if ((pod || !error) && ex->answer) { /* memory ran out meanwhile: the edge answers itself */
        if (pod)
            stream_close(pod, true);
        return;
    }
    if (!pod && !error) {
        pod = pod_ask(ex, true, &error);
        if (!pod && error == -EINPROGRESS) /* it was gone faster */
            return;
    }
    if (!pod) {
        record_failed(ex, access_no_pod(error));
        if (exchange_answer(ex, 503, !ex->request_done))
            http_continue(hc);
        return;
    }
    pod_attach(ex, pod);
    ex->up.to = pod;
    if (ex->up.way && ex->request_done)
        body_end(&ex->up);
    up_flush(ex);
    ex->held &= !ex->connected;
    hc->timed = false; /* the time of waiting was not the pod's */
    http_continue(hc);
}

/* Opens a connection for a judged request, or gets in line for one. 0 or the status to answer. */
static int pod_open(struct exchange *ex) {
    int error = 0;
    struct stream *pod = pod_ask(ex, false, &error);
    if (!pod && error != -EINPROGRESS) {
        record_failed(ex, access_no_pod(error));
        return 503;
    }
    if (pod)
        pod_attach(ex, pod);
    ex->up = (struct body_out){.way = ex->pods->up,
                               .to = pod,
                               .head = &ex->request.head,
                               .chunked = ex->request.framing == FRAMING_CHUNKED};
    ex->request.keep_trailers = ex->up.chunked;
    return response_head_make(ex) ? 0 : 503;
}

/* RFC 9110 section 9.2.2 */
static bool is_idempotent(uint8_t method) {
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_PUT ||
           method == HTTP_DELETE || method == HTTP_OPTIONS;
}

/* Never reached the pod, or met a kept connection that was just ending: may be sent once more if we still have all of it. */
static bool may_retry(const struct exchange *ex) {
    bool safe = !ex->connected || ex->unseen || (ex->reused && is_idempotent(ex->request.method));
    return safe && !ex->pod_spoke && !ex->up.direct && ex->tries + 1 < TRIES_MAX;
}

/* A kept connection that was just ending says nothing of the service; whatever else is sent twice is paid from its budget. */
static bool retry(struct exchange *ex) {
    int error = 0;
    const struct upstream *failed = ex->connected ? NULL : ex->pods->upstream(ex->pod);
    struct upstream_want want = {
        .fresh = true, .avoid = failed, .instead = ex->pods->upstream(ex->pod), .key = key_of(ex)};
    if (!ex->reused && !upstream_may_retry(ex->worker, ex->set))
        return false;
    struct stream *pod = ex->pods->ask(ex, &want, NULL, &error);
    if (!pod)
        return false;
    if (failed && ex->pods->upstream(pod) == failed) { /* there is no other */
        stream_close(pod, true);
        return false;
    }
    pod_close(ex, true);
    ex->tries++;
    ex->unseen = false;
    ex->hc->pod_paused = false;
    pod_attach(ex, pod);
    body_replay(&ex->up, pod);
    if (ex->up.way && ex->request_done) /* in HTTP/1 it stands in the head area, too */
        body_end(&ex->up);
    up_flush(ex);
    return true;
}

/* The pod is no use any more, before its response was whole. `error`: negative errno. */
static bool pod_failed(struct exchange *ex, int error) {
    bool stale = (ex->reused && !ex->pod_spoke) || ex->unseen;
    record_pod_failed(ex, error);
    if (!stale)
        upstream_report(ex->pods->upstream(ex->pod), ex->worker, error);
    if (ex->delivering)
        return cut(ex);
    if (may_retry(ex) && retry(ex))
        return true;
    return exchange_answer(ex, error == -ETIMEDOUT ? 504 : 502, !ex->request_done);
}

/* ---- request: client to pod ---- */

/* A body that could not be sent a second time waits until the pod's connection is up. */
static bool must_hold(const struct exchange *ex) {
    const struct message *m = &ex->request;
    if (ex->connected || m->framing == FRAMING_NONE ||
        (m->framing == FRAMING_LENGTH && m->length == 0))
        return false;
    return ex->wait || ex->pods->up || m->framing != FRAMING_LENGTH || m->length > BODY_SMALL ||
           m->head.buf == NULL || m->head.room - m->head.used < m->length;
}

static bool begins_trace(const struct exchange *ex) {
    const struct http_conf *conf = module_conf(&ringress_module);
    return (conf && conf->begin_trace) || (ex->gate && ex->gate->trace);
}

static bool request_forward(struct exchange *ex) {
    struct http_conn *hc = ex->hc;
    struct forwarding f = {.peer = hc->peer,
                           .peer_length = hc->peer_length,
                           .tls = hc->tls,
                           .client_asked = ex->tls_rules && ex->tls_rules->client,
                           .client_subject = conn_client_subject(hc->conn),
                           .trace = begins_trace(ex),
                           .trace_id = {worker_random(ex->worker), worker_random(ex->worker)},
                           .span_id = worker_random(ex->worker),
                           .id = {worker_random(ex->worker), worker_random(ex->worker)}};
    return request_finish(&ex->request, &f);
}

static int request_head_done(struct message *m) {
    struct exchange *ex = exchange_of_request(m);
    ex->answer = (uint16_t)exchange_route(ex);
    ex->stall_ms = (uint16_t)(ex->answer == 429 ? conn_stall(ex->hc->conn) : 0);
    if (!ex->answer && !request_forward(ex))
        ex->answer = 503;
    if (!ex->answer)
        ex->answer = (uint16_t)pod_open(ex);
    ex->held = !ex->answer && must_hold(ex);
    return ex->held ? MESSAGE_PAUSE : 0;
}

/* Lengths that are known were judged with the head (route.c); chunks only now. */
static bool body_fits(struct exchange *ex, size_t length) {
    ex->body += length;
    if (ex->body <= ex->body_most)
        return true;
    if (!ex->oversize)
        conn_count_refusal(ex->hc->conn, LIMIT_BODY);
    ex->oversize = true;
    record_refused(ex, LIMIT_BODY);
    return false;
}

static void request_body(struct message *m, const uint8_t *at, size_t length) {
    struct exchange *ex = exchange_of_request(m);
    ex->window_bytes += length;
    if (!ex->answer && body_fits(ex, length))
        body_part(&ex->up, ex->source, at, length);
}

static void request_body_last(struct message *m) {
    struct exchange *ex = exchange_of_request(m);
    if (!ex->answer)
        body_last(&ex->up);
}

static const struct message_sink request_sink = {
    .head_done = request_head_done, .body = request_body, .body_last = request_body_last};

bool exchange_accepts(const struct exchange *ex) {
    return !ex->request_done && !ex->held && !ex->up.full && !ex->stall_ms;
}

/* `unread`: something of it is, or is not to be believed. */
static bool request_refused(struct exchange *ex, bool unread) {
    if (!ex->stall_ms)
        return exchange_answer(ex, ex->answer, unread);
    http_enter(ex->hc, CLIENT_WAIT); /* exchange_expired */
    return true;
}

static bool request_more(struct exchange *ex) {
    if (ex->answer)
        return request_refused(ex, true);
    if (!ex->request.complete)
        return true;
    up_flush(ex);
    if (ex->hc->state == CLIENT_HEAD)
        http_enter(ex->hc, CLIENT_SEND);
    return true;
}

static bool request_whole(struct exchange *ex) {
    ex->request_done = true;
    ex->withheld = false;
    if (ex->answer) /* after a malformed Host nothing of the client's is believed */
        return request_refused(ex, ex->answer == 400);
    body_end(&ex->up);
    up_flush(ex);
    ex->up.full = false; /* nothing more will come */
    if (ex->hc->state != CLIENT_PASS)
        http_enter(ex->hc, CLIENT_WAIT);
    return true;
}

bool exchange_request(struct exchange *ex, struct slice *s) {
    size_t used = 0;
    ex->source = s;
    enum step step = message_feed(&ex->request, s->data, s->length, &used);
    s->data += used;
    s->length -= (uint32_t)used;
    if (step == STEP_BAD)
        return exchange_refuse(ex, ex->request.refusal);
    if (ex->oversize)
        return exchange_refuse(ex, 413);
    if (ex->up.failed)
        return exchange_refuse(ex, 503);
    return step == STEP_DONE ? request_whole(ex) : request_more(ex);
}

bool exchange_request_head(struct exchange *ex, int status) {
    return status ? exchange_refuse(ex, status) : request_more(ex);
}

bool exchange_request_body(struct exchange *ex, struct slice *s) {
    ex->source = s;
    ex->request.fed += s->length;
    ex->request.sink->body(&ex->request, s->data, s->length);
    s->length = 0;
    if (ex->oversize)
        return exchange_refuse(ex, 413);
    return ex->up.failed ? exchange_refuse(ex, 503) : request_more(ex);
}

bool exchange_request_end(struct exchange *ex) {
    return ex->up.failed ? exchange_refuse(ex, 503) : request_whole(ex);
}

/* ---- response: pod to client ---- */

static bool pod_keeps(const struct exchange *ex) {
    const struct message *m = &ex->response;
    if (introduces(ex) || (m->framing == FRAMING_CLOSE && response_has_body(m)))
        return false;
    return ex->request_done && !ex->up.dead && !m->close && (!m->http_1_0 || m->keep_alive);
}

static int response_head_done(struct message *m) {
    struct exchange *ex = exchange_of_response(m);
    if (m->status == 101 && (!ex->request.upgrade || !ex->request_done || ex->hc->eof ||
                             !response_upgrade_agrees(m, &ex->request)))
        return 502; /* nobody asked for that, or who asked has ended */
    if (m->status == 101 && ex->hc->ops->upgraded && !ex->hc->ops->upgraded(ex->hc, m))
        return 502;
    bool last = ex->hc->eof && !ex->hc->hold;
    struct delivery d = {.http_1_0 = ex->request.http_1_0,
                         .framed = ex->hc->ops->down,
                         .keep = client_keeps(ex) && ex->request_done && !last};
    enum framing framing;
    if (!response_finish(m, &d, &framing))
        return 502;
    if (m->status < 200)
        return 0;
    ex->keep = d.keep;
    ex->down.chunked = framing == FRAMING_CHUNKED;
    m->keep_trailers = ex->down.chunked;
    return 0;
}

static void response_body(struct message *m, const uint8_t *at, size_t length) {
    struct exchange *ex = exchange_of_response(m);
    body_part(&ex->down, ex->source, at, length);
    ex->delivering |= ex->down.direct || ex->down.sent > m->start;
}

static void response_body_last(struct message *m) {
    body_last(&exchange_of_response(m)->down);
}

static const struct message_sink response_sink = {
    .head_done = response_head_done, .body = response_body, .body_last = response_body_last};

static void down_flush(struct exchange *ex, bool whole) {
    const struct message *m = &ex->response;
    ex->delivering = true;
    body_flush(&ex->down, m->trailing && !whole ? m->name : m->head.used);
    ex->hc->full |= ex->down.full;
    ex->down.full = false;
}

/* 1xx: passed on to who can read it; the final response is still to come. */
static void response_interim(struct exchange *ex) {
    struct message *m = &ex->response;
    if (ex->request.http_1_0)
        m->head.used = m->start;
    body_flush(&ex->down, m->head.used);
    response_expect(ex);
}

/* 101: what either side has sent already belongs to the tunnel. */
static bool response_tunnel(struct exchange *ex, struct slice *rest) {
    struct http_conn *hc = ex->hc;
    struct stream *pod = ex->pod;
    upstream_report(ex->pods->upstream(pod), ex->worker, 0);
    down_flush(ex, true);
    record_tunnel(ex, rest);
    if (rest->length) {
        stream_write(hc->client, *rest); /* with its reference */
        *rest = (struct slice){0};
    }
    ex->pod = NULL;
    if (hc->pod_paused)
        stream_resume(pod);
    if (hc->client_paused)
        stream_resume(hc->client);
    hc->ops->tunnel(hc, pod);
    return false;
}

/* The response is whole. `clean`: nothing came behind it. */
static bool response_whole(struct exchange *ex, bool clean) {
    struct http_conn *hc = ex->hc;
    bool done = ex->request_done, keep = ex->keep && done, early = may_be_early(ex);
    if (ex->down.chunked && !ex->response.trailing && !ex->down.way)
        body_last(&ex->down); /* HTTP/2 has an end with its head when there is no more */
    body_end(&ex->down);
    if (ex->down.failed)
        return cut(ex);
    down_flush(ex, true);
    upstream_report(ex->pods->upstream(ex->pod), ex->worker, 0);
    ex->record.over = true;
    if (clean && pod_keeps(ex)) {
        if (hc->pod_paused)
            stream_resume(ex->pod);
        ex->pods->keep(ex->pod, ex->response.keep_s);
        ex->pod = NULL;
    }
    pod_close(ex, !done);
    exchange_free(ex);
    hc->first = false;
    return hc->ops->end(hc, keep, !done || early);
}

static bool exchange_response(struct exchange *ex, struct slice *s) {
    ex->pod_spoke = true;
    ex->source = s;
    record_first_byte(ex);
    while (s->length) {
        size_t used = 0;
        enum step step = message_feed(&ex->response, s->data, s->length, &used);
        s->data += used;
        s->length -= (uint32_t)used;
        if (step == STEP_BAD || ex->down.failed)
            return pod_failed(ex, -EPROTO);
        if (step == STEP_MORE)
            break;
        if (ex->response.status == 101)
            return response_tunnel(ex, s);
        if (ex->response.status >= 200)
            return response_whole(ex, s->length == 0);
        if (++ex->interims > INTERIM_MAX)
            return pod_failed(ex, -EPROTO);
        response_interim(ex);
    }
    if (ex->response.complete) {
        down_flush(ex, false);
        http_enter(ex->hc, CLIENT_PASS);
    }
    return true;
}

bool exchange_response_head(struct exchange *ex, int status, bool ended) {
    ex->pod_spoke = true;
    record_first_byte(ex);
    if (status)
        return pod_failed(ex, -EPROTO);
    if (ex->response.status < 200) {
        if (++ex->interims > INTERIM_MAX)
            return pod_failed(ex, -EPROTO);
        response_interim(ex);
        return true;
    }
    if (!ended)
        down_flush(ex, false);
    http_enter(ex->hc, CLIENT_PASS);
    return true;
}

bool exchange_response_body(struct exchange *ex, struct slice *s) {
    ex->source = s;
    ex->response.sink->body(&ex->response, s->data, s->length);
    s->length = 0;
    if (ex->down.failed)
        return pod_failed(ex, -EPROTO);
    down_flush(ex, false);
    return true;
}

bool exchange_response_end(struct exchange *ex) {
    return response_whole(ex, true);
}

/* ---- events of the pod's stream ---- */

static void pod_data(struct stream *s, void *user, struct slice slice) {
    struct exchange *ex = user;
    struct http_conn *hc = ex->hc;
    struct worker *worker = ex->worker;
    (void)s;
    bool alive = exchange_response(ex, &slice);
    slice_drop(worker, &slice);
    if (alive)
        http_continue(hc);
}

static void pod_eof(struct stream *s, void *user) {
    struct exchange *ex = user;
    struct http_conn *hc = ex->hc;
    (void)s;
    /* A body that ends with the connection must see it end well (RFC 9112 section 9.8). */
    bool whole = message_ends_here(&ex->response) && !upstream_is_truncated(s);
    if (whole ? response_whole(ex, false) : pod_failed(ex, -ECONNRESET))
        http_continue(hc);
}

static void pod_error(struct stream *s, void *user, int error) {
    struct exchange *ex = user;
    struct http_conn *hc = ex->hc;
    (void)s;
    if (pod_failed(ex, error))
        http_continue(hc);
}

static void pod_drain(struct stream *s, void *user) {
    struct exchange *ex = user;
    (void)s;
    ex->up.full = false;
    ex->hc->queued = 0;
    http_continue(ex->hc);
}

static void pod_connected(struct stream *s, void *user) {
    struct exchange *ex = user;
    (void)s;
    ex->connected = true;
    record_connected(ex);
    if (!ex->held)
        return;
    ex->held = false;
    http_continue(ex->hc);
}

static const struct stream_events pod_events = {.data = pod_data,
                                                .eof = pod_eof,
                                                .drain = pod_drain,
                                                .error = pod_error,
                                                .connected = pod_connected};

/* ---- time ---- */

bool exchange_expired(struct exchange *ex) {
    if (ex->stall_ms)
        return exchange_answer(ex, ex->answer, !ex->request_done);
    if (ex->wait) {
        record_failed(ex, ACCESS_POD_BUSY);
        return exchange_refuse(ex, 503);
    }
    bool pod_slow = ex->hc->state == CLIENT_WAIT || ex->up.full || ex->held;
    if (pod_slow)
        upstream_report(ex->pods->upstream(ex->pod), ex->worker, -ETIMEDOUT);
    record_expired(ex, pod_slow);
    return exchange_refuse(ex, pod_slow ? 504 : 408);
}
