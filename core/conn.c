/* SPDX-License-Identifier: GPL-3.0-or-later
 * conn.c - the life of a client connection: accepted, judged by modules, given to one of them or joined to a pod, closed.
 *
 *   accept [-> PROXY] -> ASK -+-> TLS -> ASK -> TAKEN     (sni, then http)
 *                             +-> DIAL -> RELAY           (sni passing TLS through; tcp)
 *                             +-> TAKEN -> RELAY          (http; a WebSocket after its 101)
 *   any -> CLOSE, once; its memory goes when its last completion has come (conn_gone)
 *
 * Always charged to one account: the worker's nobody until a module says whose it is.
 */
#include "core/conn.h"
#include "core/client_auth.h"
#include "core/door.h"
#include "core/flow.h"
#include "core/handshake.h"
#include "core/pace.h"
#include "core/pod.h"
#include "core/process.h"
#include "core/records.h"
#include "core/relay.h"
#include "core/rest.h"
#include "core/room.h"
#include "core/strain.h"
#include "core/sweep.h"
#include "core/tls.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { PHASE_ACCEPT, PHASE_BYTES, PHASE_STREAM, LAST_WORDS_MOST = 64, FUTILE_MOST = 15 };

static void conn_advance(struct conn *c);
static const struct stream_events ask_events;

/* ---- accept ---- */

static const struct chain *conn_chain(const struct conn *c) {
    return chain_of(c->kind);
}

static void *state_of(struct conn *c, unsigned stage) {
    return c->module_state + conn_chain(c)->state_at[stage];
}

static size_t conn_size(enum listener_kind kind) {
    return sizeof(struct conn) + chain_of(kind)->state_size;
}

static void conn_gone(struct sock *s);

/* How far it had come. */
static const char *ask_stage(const struct conn *c) {
    if (c->state == CONN_PROXY)
        return "PROXY header";
    return c->state == CONN_TLS || handshake_name(c) ? "handshake" : "hello";
}

/* Its line: it wanted something and gets nothing. Who never said a word has none. */
static void ask_tell(struct conn *c, enum access_error error, const char *detail) {
    if (c->state == CONN_TLS || (c->state < CONN_TLS && c->peek.bytes))
        access_write_refused(c, &(struct access_record){.size = sizeof(struct access_record),
                                                        .error = (uint8_t)error,
                                                        .detail = detail});
}

/* The tenant's limits did not allow it. */
static void ask_tell_refusal(struct conn *c, const struct version *v, const char *sni) {
    access_write_refused(c, &(struct access_record){.size = sizeof(struct access_record),
                                                    .error = (uint8_t)access_refusal(c->refusal),
                                                    .detail = limit_name(c->refusal),
                                                    .tenant = v->tenant->name,
                                                    .sni = {sni, strlen(sni)}});
}

/* Too slow to say what it wants. */
static void ask_late(struct timer *t) {
    struct conn *c = container_of(container_of(t, struct sock, timer), struct conn, sock);
    if (!timer_may_end(c->sock.owner.worker, t))
        return;
    worker_pays(c->sock.owner.worker, c->sock.owner.account);
    ask_tell(c, ACCESS_CLIENT_SLOW, ask_stage(c));
    conn_close(c, false);
}

static void ask_left(struct conn *c) {
    ask_tell(c, ACCESS_CLIENT_GONE, ask_stage(c));
    conn_close(c, false);
}

static void conn_link(struct conn *c, struct worker *w) {
    c->next = w->conns;
    c->link = &w->conns;
    if (c->next)
        c->next->link = &c->next;
    w->conns = c;
    ACCOUNT_ADD(w->conn_count, 1);
    ACCOUNT_ADD(w->accepted, 1);
}

static bool is_proxy(struct conn *c);

bool conn_new(struct worker *w, int fd, enum listener_kind kind, uint16_t local_port) {
    bool full = !w->draining && !room_for_client(w);
    struct conn *c = w->draining || full ? NULL : worker_alloc(w, conn_size(kind));
    if (!c) {
        ring_close(w->ring, fd);
        return !full;
    }
    sock_init(&c->sock, w, fd, true, w->nobody, conn_gone);
    c->stream = &c->sock.stream;
    c->kind = (uint8_t)kind;
    c->local_port = local_port;
    sock_holds(&c->sock, (int64_t)conn_size(kind));
    ACCOUNT_ADD(w->nobody->w[w->id].connections, 1);
    ACCOUNT_ADD(w->nobody->w[w->id].connections_total, 1);
    conn_link(c, w);
    if (kind != LISTENER_RAW)
        ACCOUNT_ADD(w->accepted_shared, 1);
    stream_consume(c->stream, &ask_events, c);
    timer_init(&c->sock.timer, ask_late);
    timer_set(w, &c->sock.timer, process.conf.timeouts.header);
    c->state = process.conf.proxy_count && is_proxy(c) ? CONN_PROXY : CONN_ASK;
    sock_start(&c->sock);
    conn_advance(c);
    sock_owes(&c->sock);
    return true;
}

/* ---- the chain ---- */

/* All bytes so far in one piece; `scratch` is used when they lie in several. */
static const uint8_t *peek_view(const struct conn *c, uint8_t *scratch) {
    if (!c->peek.first)
        return scratch;
    if (!c->peek.first->next)
        return c->peek.first->slice.data;
    size_t n = 0;
    for (const struct seg *g = c->peek.first; g; g = g->next) {
        memcpy(scratch + n, g->slice.data, g->slice.length);
        n += g->slice.length;
    }
    return scratch;
}

static enum verdict ask_bytes(struct conn *c, const struct ringress_module *m) {
    uint8_t scratch[CONN_PEEK_MOST];
    if (!c->peek.bytes)
        return VERDICT_WAIT;
    return m->on_bytes(c, state_of(c, c->stage), peek_view(c, scratch), c->peek.bytes);
}

/* One hook of one module; a hook it does not have is passed. */
static enum verdict ask_hook(struct conn *c) {
    const struct ringress_module *m = module_at(conn_chain(c)->module[c->stage]);
    switch (c->phase) {
    case PHASE_ACCEPT:
        return m->on_accept ? m->on_accept(c, state_of(c, c->stage)) : VERDICT_PASS;
    case PHASE_BYTES:
        return m->on_bytes ? ask_bytes(c, m) : VERDICT_PASS;
    default:
        return m->on_stream ? m->on_stream(c, state_of(c, c->stage), c->stream) : VERDICT_PASS;
    }
}

/* The next hook, or the next module's first. */
static void ask_step(struct conn *c) {
    if (c->phase != PHASE_STREAM) {
        c->phase++;
        return;
    }
    c->phase = PHASE_ACCEPT;
    c->stage++;
}

/* A module has taken the stream: what was read before goes to it first. */
static void conn_taken(struct conn *c) {
    struct slice s;
    c->state = CONN_TAKEN;
    timer_stop(&c->sock.timer);
    while (c->state == CONN_TAKEN && segs_take(c->sock.owner.worker, &c->peek, &s))
        c->stream->events->data(c->stream, c->stream->user, s);
    if (c->state == CONN_TAKEN && c->peer_done)
        c->stream->events->eof(c->stream, c->stream->user);
}

static void conn_handshake(struct conn *c);

static void ask_once(struct conn *c) {
    enum verdict v = ask_hook(c);
    if (c->state != CONN_ASK)
        return; /* the hook closed or dialled */
    if (v == VERDICT_REJECT) {
        access_write_refused(c, &(struct access_record){.size = sizeof(struct access_record),
                                                        .error = ACCESS_REJECTED});
        conn_close(c, false);
    } else if (v == VERDICT_WAIT) {
        c->advance = false;
        if (c->phase == PHASE_STREAM)
            conn_taken(c);
        else if (c->peer_done)
            ask_left(c); /* no more bytes will come */
    } else {
        ask_step(c);
        c->advance = true;
        if (c->tls && c->stream == &c->sock.stream)
            conn_handshake(c);
    }
}

static void conn_advance(struct conn *c) {
    c->advance = true;
    if (c->asking)
        return; /* a hook called conn_resume: its caller goes on below */
    c->asking = true;
    while (c->advance && c->state == CONN_ASK) {
        if (c->stage >= conn_chain(c)->count)
            conn_close(c, false); /* nobody wanted it */
        else
            ask_once(c);
    }
    c->asking = false;
}

void conn_resume(struct conn *c) {
    if (c->state == CONN_ASK)
        conn_advance(c);
}

/* ---- a proxy in front says who the client is ---- */

static void proxy_told(struct conn *c, const struct proxy_header *h) {
    struct worker *w = c->sock.owner.worker;
    if (h->source.any.sa_family) {
        c->introduction = worker_alloc(w, sizeof *c->introduction);
        if (!c->introduction) {
            conn_close(c, true);
            return;
        }
        *c->introduction = (struct introduction){h->source, h->destination};
    }
    segs_pop(w, &c->peek, h->length);
    c->state = CONN_ASK;
    conn_advance(c);
}

static void proxy_ask(struct conn *c) {
    uint8_t scratch[CONN_PEEK_MOST];
    struct proxy_header h;
    enum proxy_step step = proxy_read(peek_view(c, scratch), c->peek.bytes, &h);
    if (step == PROXY_DONE) {
        proxy_told(c, &h);
    } else if (step == PROXY_BAD) {
        ask_tell(c, ACCESS_MALFORMED, ask_stage(c));
        conn_close(c, true);
    }
}

/* ---- events while nobody has the stream ---- */

static void ask_data(struct stream *s, void *user, struct slice slice) {
    struct conn *c = user;
    if (!segs_add(s->worker, &c->peek, slice) ||
        (c->peek.bytes > CONN_PEEK_MOST && c->state == CONN_ASK)) {
        ask_tell(c, c->peek.bytes > CONN_PEEK_MOST ? ACCESS_TOO_LARGE : ACCESS_NO_MEMORY,
                 ask_stage(c));
        conn_close(c, true);
        return;
    }
    if (c->state == CONN_PROXY)
        proxy_ask(c);
    else if (c->state == CONN_ASK && c->phase == PHASE_BYTES)
        conn_advance(c);
}

static void ask_eof(struct stream *s, void *user) {
    struct conn *c = user;
    (void)s;
    c->peer_done = true;
    if (c->state == CONN_PROXY || c->state == CONN_TLS ||
        (c->state == CONN_ASK && c->phase == PHASE_BYTES))
        ask_left(c);
}

static void ask_error(struct stream *s, void *user, int error) {
    struct conn *c = user;
    char why[ALERT_TEXT];
    (void)s;
    if (error == -EPROTO && c->state == CONN_TLS)
        ask_tell(c, ACCESS_TLS_FAILED, tls_failure(c->tls, why));
    else
        ask_tell(c, error == -ENOMEM ? ACCESS_NO_MEMORY : ACCESS_CLIENT_GONE, ask_stage(c));
    /* After a failed handshake the alert is still to go out. */
    conn_close(c, error != -EPROTO);
}

static void ask_connected(struct stream *s, void *user) {
    struct conn *c = user;
    if (c->challenge) {
        conn_close(c, false);
        return;
    }
    c->state = CONN_ASK;
    c->stream = s;
    sock_holds(&c->sock, -TLS_HANDSHAKE_HOLDS);
    timer_stop(&c->sock.timer);
    timer_init(&c->sock.timer, ask_late);
    timer_set(s->worker, &c->sock.timer, process.conf.timeouts.header);
    /* The modules that come now ask for the plaintext; the hooks of the one that began TLS are behind us. */
    c->phase = PHASE_ACCEPT;
    c->stage++;
    conn_advance(c);
}

static const struct stream_events ask_events = {
    .data = ask_data,
    .eof = ask_eof,
    .error = ask_error,
    .connected = ask_connected,
};

/* ---- TLS ends here ---- */

const struct tls_rules *version_tls_rules(const struct version *v, const char *name) {
    const struct name_entry *entry = names_find(name, strlen(name));
    return tenant_tls_rules(v->tenant, entry && entry->version == v ? entry->object : NULL);
}

/* What the modules behind this one speak. */
static const char *alpn_behind(const struct conn *c) {
    const struct chain *chain = conn_chain(c);
    for (unsigned i = c->stage + 1u; i < chain->count; i++)
        if (module_at(chain->module[i])->alpn)
            return module_at(chain->module[i])->alpn;
    return NULL;
}

void conn_start_tls(struct conn *c, struct version *v, const struct identity *identity,
                    const char *sni) {
    struct tls_conf conf = {
        .identity = (struct identity *)(uintptr_t)identity,
        .tenant_uid = v->tenant->uid,
        .sni = sni,
        .alpn = alpn_behind(c),
        .rules = version_tls_rules(v, sni),
    };
    handshake_forget(c);
    if (conn_charge(c, v)) { /* before any cryptography */
        ACCOUNT_ADD(conn_account(c)->handshakes, 1);
        c->tls = tls_server_new(c->sock.owner.worker, &c->sock.stream, &conf);
    } else {
        ask_tell_refusal(c, v, sni);
    }
    if (!c->tls) {
        ask_tell(c, ACCESS_NO_MEMORY, ask_stage(c));
        conn_close(c, true);
    }
}

void conn_start_challenge(struct conn *c, const struct identity *identity, const char *sni) {
    struct tls_conf conf = {
        .identity = (struct identity *)(uintptr_t)identity,
        .tenant_uid = "", /* nobody's: its tickets open no tenant's session */
        .sni = sni,
        .alpn = "acme-tls/1",
    };
    handshake_forget(c);
    c->challenge = true;
    c->tls = tls_server_new(c->sock.owner.worker, &c->sock.stream, &conf);
    if (!c->tls)
        conn_close(c, true);
}

/* What was peeked at is for wolfSSL now, which does not take a message header that records cut (core/records.h). */
static void peek_mend(struct conn *c) {
    uint8_t scratch[CONN_PEEK_MOST], joined[CONN_PEEK_MOST];
    struct worker *w = c->sock.owner.worker;
    const uint8_t *data = peek_view(c, scratch);
    if (!records_cut_header(data, c->peek.bytes))
        return;
    size_t length = records_join(data, c->peek.bytes, joined);
    segs_drop(w, &c->peek);
    if (!segs_add_copy(w, &c->peek, joined, length))
        conn_close(c, true);
}

static void conn_handshake(struct conn *c) {
    struct slice s;
    peek_mend(c);
    if (c->state == CONN_CLOSE)
        return;
    c->state = CONN_TLS;
    strain_grows(c->sock.owner.worker);
    sock_holds(&c->sock, TLS_HOLDS + TLS_HANDSHAKE_HOLDS);
    stream_consume(tls_stream(c->tls), &ask_events, c);
    while (segs_take(c->sock.owner.worker, &c->peek, &s))
        tls_feed(c->tls, s);
    tls_start(c->tls);
}

/* ---- joined to a pod ---- */

struct dial { /* lives from conn_relay until the pod is connected */
    struct conn *conn;
    struct upstream_set *set;
    struct stream *far;
    struct upstream_wait *wait; /* in line for one */
    unsigned tries;
    int error; /* of the last of them */
};

static void conn_relay_ended(void *user, bool reset) {
    struct conn *c = user;
    c->relay = NULL;
    conn_close(c, reset);
}

static void relay_start(struct conn *c, struct stream *far) {
    uint8_t header[PROXY_WRITE_MOST];
    struct slice s;
    c->relay = relay_new(c->stream, far, conn_relay_ended, c, c->flow ? &c->flow->tally : NULL);
    if (!c->relay) {
        stream_close(far, true);
        conn_close(c, true);
        return;
    }
    c->state = CONN_RELAY;
    timer_stop(&c->sock.timer);
    if (c->kind == LISTENER_RAW)
        relay_guard(c->relay);
    conn_watch(c);
    if (c->introduce)
        stream_write_copy(far, header, conn_introduction(c, c->introduce, header));
    while (c->relay && segs_take(c->sock.owner.worker, &c->peek, &s))
        c->stream->events->data(c->stream, c->stream->user, s);
    if (!c->relay)
        return; /* what it began with may not be passed on */
    stream_resume(c->stream);
    if (c->peer_done)
        c->stream->events->eof(c->stream, c->stream->user);
}

static void dial_next(struct dial *d, const struct upstream *avoid);

static void dial_free(struct dial *d) {
    worker_free(d->conn->sock.owner.worker, d, sizeof *d);
}

static void dial_connected(struct stream *s, void *user) {
    struct dial *d = user;
    struct conn *c = d->conn;
    upstream_report(upstream_of(s), s->worker, 0); /* all that can be seen of a pod's health here */
    flow_connected(c, upstream_of(s));
    c->relay = NULL;
    dial_free(d);
    relay_start(c, s);
}

static void dial_error(struct stream *s, void *user, int error) {
    struct dial *d = user;
    const struct upstream *up = upstream_of(s);
    upstream_report(upstream_of(s), s->worker, error);
    ACCOUNT_ADD(conn_account(d->conn)->pod_failures, 1);
    stream_close(s, true);
    d->far = NULL;
    d->error = error;
    dial_next(d, up);
}

static void dial_data(struct stream *s, void *user, struct slice slice) {
    (void)user; /* not connected yet: can't be */
    slice_drop(s->worker, &slice);
}

static void dial_eof(struct stream *s, void *user) {
    dial_error(s, user, -ECONNRESET);
}

static const struct stream_events dial_events = {
    .data = dial_data,
    .eof = dial_eof,
    .error = dial_error,
    .connected = dial_connected,
};

/* Nothing more is to be tried; `error`: why there is no further connection. */
static void dial_failed(struct dial *d, int error) {
    struct conn *c = d->conn;
    enum access_error why = d->error == -ETIMEDOUT ? ACCESS_POD_TIMEOUT
                            : d->error             ? ACCESS_POD_REFUSED
                                                   : access_no_pod(error);
    flow_failed(c, why);
    account_failed(conn_account(c), why);
    conn_close(c, true);
}

static void dial_turn(void *user, struct stream *s, int error) {
    struct dial *d = user;
    d->wait = NULL;
    d->far = s;
    if (s)
        stream_consume(s, &dial_events, d);
    else
        dial_failed(d, error);
}

static uint64_t dial_key(const struct dial *d) {
    char peer[46];
    if (!upstream_wants_key(d->set) || upstream_policy(d->set)->hash_cookie)
        return 0;
    conn_peer(d->conn, peer);
    return upstream_key(peer, strnlen(peer, sizeof peer));
}

static void dial_next(struct dial *d, const struct upstream *avoid) {
    struct conn *c = d->conn;
    int error = 0;
    struct upstream_want want = {.fresh = true,
                                 .raw = true,
                                 .payer = c->sock.owner.account,
                                 .avoid = avoid,
                                 .key = dial_key(d),
                                 .turn = dial_turn,
                                 .user = d};
    if (d->tries++ < DIAL_TRIES)
        d->far = upstream_ask(c->sock.owner.worker, d->set, &want, &d->wait, &error);
    if (d->far && d->tries > 1) {
        ACCOUNT_ADD(conn_account(c)->retries, 1);
        flow_retried(c);
    }
    if (d->far)
        stream_consume(d->far, &dial_events, d);
    else if (error != -EINPROGRESS)
        dial_failed(d, error);
}

void conn_relay(struct conn *c, struct version *v, struct upstream_set *set) {
    struct worker *w = c->sock.owner.worker;
    handshake_forget(c);
    struct dial *d = conn_charge(c, v) ? worker_alloc(w, sizeof *d) : NULL;
    flow_of(c);
    if (!d) {
        flow_failed(c, c->version == v ? ACCESS_NO_MEMORY : access_refusal(c->refusal));
        conn_close(c, true);
        return;
    }
    *d = (struct dial){.conn = c, .set = set};
    c->state = CONN_DIAL;
    c->relay = (struct relay *)d; /* one of the two, told by the state */
    timer_stop(&c->sock.timer);
    stream_pause(c->stream); /* what comes meanwhile is kept in `peek` */
    dial_next(d, NULL);
}

void conn_relay_stream(struct conn *c, struct stream *upstream) {
    rest_forget(c);
    flow_of(c);
    relay_start(c, upstream);
}

static void conn_cut_far(struct conn *c, bool reset) {
    if (c->state == CONN_RELAY && c->relay)
        relay_cut(c->relay, reset);
    if (c->state == CONN_DIAL && c->relay) {
        struct dial *d = (struct dial *)c->relay;
        if (d->far)
            stream_close(d->far, true);
        if (d->wait)
            upstream_wait_cancel(d->wait);
        dial_free(d);
    }
    c->relay = NULL;
}

/* ---- close ---- */

void conn_last_words(struct conn *c, const void *data, size_t length) {
    if (length <= LAST_WORDS_MOST)
        stream_write_copy(&c->sock.stream, data, length);
}

void conn_close(struct conn *c, bool reset) {
    if (c->state == CONN_CLOSE)
        return;
    flow_end(c);
    handshake_forget(c);
    rest_forget(c);
    conn_cut_far(c, reset);
    c->state = CONN_CLOSE;
    if (c->tls && c->stream == &c->sock.stream)
        stream_close(tls_stream(c->tls), reset); /* mid-handshake: the alert goes out through it */
    else
        stream_close(c->stream, reset);
}

static void chain_closed(struct conn *c) {
    const struct chain *chain = conn_chain(c);
    for (unsigned i = 0; i < chain->count; i++) {
        const struct ringress_module *m = module_at(chain->module[i]);
        if (m->on_close)
            m->on_close(c, state_of(c, i));
    }
}

/* Where it counts as a connection: a tenant that did not let it in pays for it nonetheless. */
static struct account *conn_counted(const struct conn *c) {
    return c->version ? c->sock.owner.account : c->sock.owner.worker->nobody;
}

/* The last completion has come. */
static void conn_gone(struct sock *s) {
    struct conn *c = container_of(s, struct conn, sock);
    struct worker *w = s->owner.worker;
    chain_closed(c);
    segs_drop(w, &c->peek);
    if (c->tls)
        tls_free(c->tls);
    if (c->introduction)
        worker_free(w, c->introduction, sizeof *c->introduction);
    flow_free(c);
    ACCOUNT_ADD(conn_counted(c)->w[w->id].connections, -1);
    if (c->version)
        version_unpin(c->version, w);
    conn_stall_end(c);
    if (w->sweeps)
        sweeps_leave(w, c);
    if (w->room_at == c)
        w->room_at = c->next;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    ACCOUNT_ADD(w->conn_count, -1);
    worker_free(w, c, conn_size(c->kind));
}

/* ---- draining ---- */

void conn_drain(struct conn *c) {
    if (c->state <= CONN_TLS) {
        conn_close(c, false);
        return;
    }
    const struct chain *chain = conn_chain(c);
    const struct ringress_module *m =
        c->stage < chain->count ? module_at(chain->module[c->stage]) : NULL;
    if (c->state == CONN_TAKEN && m && m->on_drain)
        m->on_drain(c, state_of(c, c->stage));
}

/* Who has not said for whom he comes is served by nobody: half a head is not waited for. */
bool conn_shed(struct conn *c) {
    if (c->state == CONN_RELAY || c->state == CONN_DIAL)
        conn_close(c, true);
    else if (!c->version)
        conn_close(c, false);
    else
        conn_drain(c);
    return c->state == CONN_CLOSE;
}

static bool drain_one(struct sweep *s, struct conn *c) {
    (void)s;
    conn_drain(c);
    return c->state == CONN_CLOSE;
}

void conns_drain(struct worker *w) {
    static const struct sweep_job draining = {.size = sizeof(struct sweep), .each = drain_one};
    w->draining = true;
    sweep_begin(w, &(struct sweep){.job = &draining});
}

void conns_reset(struct worker *w) {
    for (struct conn *c = w->conns, *next; c; c = next) {
        next = c->next;
        if (c->state == CONN_CLOSE)
            sock_abort(&c->sock); /* was still sending its last bytes */
        else
            conn_close(c, true);
    }
}

/* ---- what was taken back ---- */

/* The stream to the pod; NULL: none yet. */
static struct stream *conn_far(const struct conn *c) {
    if (!c->relay)
        return NULL;
    return c->state == CONN_DIAL ? ((const struct dial *)c->relay)->far : relay_far(c->relay);
}

static bool conn_may_stay(struct conn *c, struct version *now) {
    const struct ringress_module *m = module_at(conn_chain(c)->module[c->stage]);
    const struct stream *far = conn_far(c);
    if (!now || (far && !upstream_stays(far, now)))
        return false;
    return !m->on_change || m->on_change(c, state_of(c, c->stage), now) != VERDICT_REJECT;
}

struct withdrawal {
    struct sweep sweep; /* first */
    struct account *account;
    struct version *now; /* pinned; NULL: nothing is left */
};

/* What its module has joined to pods within it; it is met again as long as there may be more. */
static bool withdraw_within(struct sweep *s, const struct withdrawal *x, struct conn *c) {
    const struct ringress_module *m = module_at(conn_chain(c)->module[c->stage]);
    bool more = m->on_withdraw && m->on_withdraw(c, state_of(c, c->stage), x->account, x->now);
    if (more)
        s->at = c;
    return more;
}

static bool withdraw_one(struct sweep *s, struct conn *c) {
    const struct withdrawal *x = container_of(s, struct withdrawal, sweep);
    if (c->state == CONN_TAKEN)
        return withdraw_within(s, x, c);
    bool joined = c->state == CONN_DIAL || c->state == CONN_RELAY;
    if (!joined || account_tenant(c->sock.owner.account) != x->account || conn_may_stay(c, x->now))
        return false;
    conn_close(c, true);
    return true;
}

static void withdrawn(struct sweep *s, struct worker *w) {
    const struct withdrawal *x = container_of(s, struct withdrawal, sweep);
    if (x->now)
        version_unpin(x->now, w);
    account_drop(x->account);
}

void conns_withdraw(struct worker *w, struct account *account, struct version *now) {
    static const struct sweep_job withdrawing = {
        .size = sizeof(struct withdrawal), .each = withdraw_one, .end = withdrawn};
    if (!account_here(account, w->id, account_descriptors)) /* also those to pods */
        return;
    account_ref(account);
    if (now)
        version_pin(now, w);
    sweep_begin(w, &(struct withdrawal){{.job = &withdrawing}, account, now}.sweep);
}

/* ---- facts for modules ---- */

struct worker *conn_worker(const struct conn *c) {
    return c->sock.owner.worker;
}

enum listener_kind conn_kind(const struct conn *c) {
    return c->kind;
}

uint16_t conn_local_port(const struct conn *c) {
    return c->local_port;
}

static void socket_address(struct conn *c, bool peer, union address *ret) {
    struct sockaddr_storage ss = {0};
    socklen_t length;
    *ret = (union address){0};
    if (c->sock.fd < 0 || sys_name(c->sock.fd, peer, &ss, &length))
        return;
    memcpy(ret, &ss, length < sizeof *ret ? length : sizeof *ret);
    if (ss.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&ret->v6.sin6_addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = ret->v6.sin6_port};
        memcpy(&v4.sin_addr, (uint8_t *)&ret->v6.sin6_addr + 12, 4);
        ret->v4 = v4;
    }
}

void conn_source(struct conn *c, union address *ret) {
    if (c->introduction)
        *ret = c->introduction->source;
    else
        socket_address(c, true, ret);
}

/* The kernel forgets who the peer of a socket was when an RST has come. */
bool conn_is_gone(const struct conn *c) {
    struct sockaddr_storage ss;
    socklen_t length;
    return c->sock.fd >= 0 && sys_name(c->sock.fd, true, &ss, &length) == -ENOTCONN;
}

void conn_addresses(struct conn *c, union address *ret_peer, union address *ret_local) {
    conn_source(c, ret_peer);
    if (c->introduction)
        *ret_local = c->introduction->destination;
    else
        socket_address(c, false, ret_local);
}

size_t conn_introduction(struct conn *c, unsigned version, uint8_t *out) {
    union address peer, local;
    conn_addresses(c, &peer, &local);
    return proxy_write(version, &peer, &local, out);
}

void conn_introduce(struct conn *c, unsigned version) {
    c->introduce = (uint8_t)version;
}

const char *conn_peer(struct conn *c, char out[46]) {
    union address a;
    conn_source(c, &a);
    const void *ip =
        a.any.sa_family == AF_INET6 ? (const void *)&a.v6.sin6_addr : (const void *)&a.v4.sin_addr;
    if (!a.any.sa_family || !inet_ntop(a.any.sa_family, ip, out, 46))
        memcpy(out, "unknown", sizeof "unknown");
    return out;
}

static bool is_listed(const struct prefix *list, size_t count, const union address *a) {
    for (size_t i = 0; i < count; i++)
        if (a->any.sa_family && prefix_contains(&list[i], a))
            return true;
    return false;
}

/* The one who holds the socket's other end, whatever anybody says. */
static bool is_proxy(struct conn *c) {
    union address a;
    socket_address(c, true, &a);
    return is_listed(process.conf.proxies, process.conf.proxy_count, &a);
}

bool edge_trusts(const union address *a) {
    return is_listed(process.conf.trusted_proxies, process.conf.trusted_proxy_count, a);
}

bool edge_trusts_proxy(struct conn *c) {
    union address a;
    if (!process.conf.trusted_proxy_count)
        return false;
    conn_source(c, &a);
    return edge_trusts(&a);
}

bool conn_is_tls(const struct conn *c) {
    return c->tls;
}

const char *conn_sni(const struct conn *c) {
    const char *waits = handshake_name(c);
    return c->tls ? tls_sni(c->tls) : waits ? waits : "";
}

bool conn_meets(const struct conn *c, const struct tls_rules *rules) {
    if (!c->tls)
        return tls_rules_allow_plain(rules);
    return client_auth_meets(tls_client_auth(c->tls), tls_version(c->tls), rules);
}

const char *conn_client_subject(const struct conn *c) {
    const struct client_auth *auth = c->tls ? tls_client_auth(c->tls) : NULL;
    return auth && auth->shown ? auth->subject : NULL;
}

const char *conn_tls_version(const struct conn *c) {
    return c->tls ? tls_version(c->tls) : "";
}

const char *conn_alpn(const struct conn *c) {
    return c->tls ? tls_alpn(c->tls) : "";
}

struct version *conn_version(const struct conn *c) {
    return c->version;
}

static bool refuse_for(struct conn *c, enum limit limit) {
    c->refusal = (uint8_t)limit;
    return false;
}

static bool pace_enter(struct conn *c, struct account *to) {
    return pace_charge(&c->sock, to) || refuse_for(c, LIMIT_COUNT);
}

/* One more connection of this tenant's: counted, unless its limits say no. */
static bool account_enter(struct conn *c, struct account *to) {
    struct worker *w = c->sock.owner.worker;
    struct limiter *l = account_limiter(to);
    if (!room_admits(w, to))
        return refuse_for(c, LIMIT_COUNT);
    if (!limiter_connect(to, w->id))
        return refuse_for(c, LIMIT_CONNECTIONS);
    bool over = l && !c->version && /* else it was counted as new elsewhere */
                !limiter_spend(l, w->id, LIMIT_NEW_CONNECTIONS, w->now_ns);
    if (over ? !refuse_for(c, LIMIT_NEW_CONNECTIONS) : !pace_enter(c, to)) {
        ACCOUNT_ADD(to->w[w->id].connections, -1);
        return false;
    }
    ACCOUNT_ADD(to->w[w->id].connections_total, 1);
    return true;
}

/* Who is not let in has cost something, and more is to come until it is closed. */
static bool turn_away(struct conn *c, struct account *from) {
    if (!c->version)
        sock_charge(&c->sock, from);
    return false;
}

static bool charge_to(struct conn *c, struct version *v, struct account *to) {
    struct worker *w = c->sock.owner.worker;
    struct account *from = conn_counted(c);
    if (c->version == v)
        return true;
    if (from == to ? !pace_enter(c, from) : !account_enter(c, to))
        return turn_away(c, to);
    version_pin(v, w);
    if (c->version)
        version_unpin(c->version, w);
    if (from != to)
        ACCOUNT_ADD(from->w[w->id].connections, -1);
    if (c->sock.owner.account != to)
        sock_charge(&c->sock, to);
    segs_charge(w, &c->peek, conn_account(c));
    turn_meets_tenant(&w->turn, account_tenant(to));
    c->version = v;
    return true;
}

bool conn_charge(struct conn *c, struct version *v) {
    return charge_to(c, v, v->account);
}

bool conn_charge_port(struct conn *c, struct version *v, const struct raw_port *port) {
    return charge_to(c, v, port->host_account ? port->host_account : v->account);
}

bool conn_takes_request(struct conn *c) {
    struct worker *w = c->sock.owner.worker;
    struct limiter *l = account_limiter(c->sock.owner.account);
    c->unwelcome = !conn_may_ask(c);
    bool good = !c->unwelcome && (!l || limiter_spend(l, w->id, LIMIT_REQUESTS, w->now_ns));
    if (good)
        c->futile = 0;
    return good || refuse_for(c, LIMIT_REQUESTS);
}

/* What its tenant's own limits refuse is its tenant's affair. */
bool conn_outstays(struct conn *c) {
    bool nobodys = !c->version;
    if (!c->unwelcome && !nobodys)
        return false;
    return (!nobodys && conn_is_shut_out(c)) || ++c->futile >= FUTILE_MOST;
}

enum limit conn_refusal(const struct conn *c) {
    return c->refusal;
}

void conn_count_refusal(struct conn *c, enum limit limit) {
    struct limiter *l = account_limiter(c->sock.owner.account);
    c->refusal = (uint8_t)limit;
    if (l)
        limiter_refuse(l, c->sock.owner.worker->id, limit);
}

bool conn_admits(struct conn *c, const struct gate *gate, const union address *client) {
    if (!gate || gate_admits(gate, client))
        return true;
    conn_count_refusal(c, LIMIT_SOURCE);
    return false;
}

void conn_holds(struct conn *c, int64_t bytes) {
    sock_holds(&c->sock, bytes);
}

void conn_pays(const struct conn *c) {
    worker_pays(c->sock.owner.worker, c->sock.owner.account);
}

struct account_worker *conn_account(const struct conn *c) {
    return &c->sock.owner.account->w[c->sock.owner.worker->id];
}

uint32_t conn_held_ms(const struct conn *c) {
    return (uint32_t)(pace_held_ns(&c->sock) / 1000000);
}

bool conn_draining(const struct conn *c) {
    return c->sock.owner.worker->draining;
}

enum verdict conn_offer_request(struct conn *c, struct request_view *view) {
    const struct chain *chain = conn_chain(c);
    for (unsigned i = 0; i < chain->count; i++) {
        const struct ringress_module *m = module_at(chain->module[i]);
        if (m->on_request && m->on_request(c, state_of(c, i), view) == VERDICT_REJECT)
            return VERDICT_REJECT;
    }
    return VERDICT_PASS;
}
