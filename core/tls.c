/* SPDX-License-Identifier: GPL-3.0-or-later
 * tls.c - see tls.h. Owns one WOLFSSL, an inbox of ciphertext and an outbox of plaintext.
 *
 *   HANDSHAKE --accepted--> OPEN --close_notify or FIN--> (reading) EOF
 *       any --failed--> BROKEN (told once), any --stream_close--> CLOSED
 *   a client's end: DIALING --below is connected--> HANDSHAKE; what is written meanwhile waits in the outbox
 *
 * Plaintext written during a turn is gathered and encrypted at its end, so that a head and its body share a record.
 */
#include "core/tls.h"
#include "core/client_auth.h"
#include "core/strain.h"
#include "core/trust.h"
#include "core/worker.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

enum { RECORD = 16384, INBOX_HIGH = 256 * 1024, ANSWERS_MOST = 4 * STREAM_HIGH };

struct tls {
    struct stream stream; /* what the consumer has */
    struct stream *below;
    WOLFSSL *ssl;
    struct identity *identity;
    struct client_auth *auth; /* NULL: no certificate was asked for */
    struct segs inbox, outbox;
    struct flush flush;
    char *context; /* "uid\0sni": what a ticket is bound to */
    uint16_t context_length, sni_at;
    int16_t broken; /* negative errno to tell */
    bool open : 1;
    bool paused : 1, below_paused : 1;
    bool below_eof : 1;
    bool eof : 1;  /* told */
    bool told : 1; /* the error, told */
    bool shut : 1, notified : 1;
    bool full : 1; /* the writer waits for drain */
    bool closed : 1;
    bool pumping : 1;
    /* of a client's end */
    bool client : 1;
    bool dialing : 1;
    bool full_early : 1; /* the writer waits since before the handshake was done */
    bool parting : 1;    /* an alert of ours says why; it is to be sent */
    bool truncated : 1;  /* the end came without close_notify */
    bool heard : 1;
};

struct tls_client {
    struct tls tls; /* first */
    struct timer timer;
    void (*judged)(void *, int);
    void *user;
    bool http2;
};

static void tls_pump(struct tls *t);

static struct tls *tls_of(struct stream *s) {
    return container_of(s, struct tls, stream);
}

/* ---- wolfSSL's view of the wire ---- */

static int wire_recv(WOLFSSL *ssl, char *out, int size, void *user) {
    struct tls *t = user;
    int got = 0;
    (void)ssl;
    while (got < size && t->inbox.first) {
        const struct slice *s = &t->inbox.first->slice;
        size_t n = (size_t)(size - got) < s->length ? (size_t)(size - got) : s->length;
        memcpy(out + got, s->data, n);
        segs_pop(t->stream.worker, &t->inbox, n);
        got += (int)n;
    }
    if (got)
        return got;
    return t->below_eof ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int wire_send(WOLFSSL *ssl, char *data, int size, void *user) {
    struct tls *t = user;
    (void)ssl;
    int full = stream_write_copy(t->below, data, (size_t)size);
    if (full < 0)
        return WOLFSSL_CBIO_ERR_CONN_RST;
    if (full)
        t->full = true;
    return size;
}

/* ---- handshake and reading ---- */

static void tls_break(struct tls *t, int error) {
    if (t->broken)
        return;
    t->broken = (int16_t)error;
    worker_later(t->stream.worker, &t->flush);
}

static void tls_tell_eof(struct tls *t) {
    if (t->eof)
        return;
    t->eof = true;
    t->stream.events->eof(&t->stream, t->stream.user);
}

static struct tls_client *client_of(struct tls *t) {
    return container_of(t, struct tls_client, tls);
}

/* `error`: why the handshake failed, 0: it is done. */
static void client_judged(struct tls *t, int error) {
    struct tls_client *c = client_of(t);
    timer_stop(&c->timer);
    c->judged(c->user, error);
}

static void handshake_failed(struct tls *t, int error) {
    if (!t->client) {
        tls_break(t, t->below_eof ? -ECONNRESET : -EPROTO);
        return;
    }
    t->parting = !t->below_eof;
    client_judged(t, error);
    tls_break(t, -EPROTO);
}

/* What was written meanwhile goes out at the end of the turn. */
static bool client_opened(struct tls *t) {
    if (!trust_agreed(t->ssl, client_of(t)->http2)) {
        handshake_failed(t, TRUST_NO_H2);
        return false;
    }
    client_judged(t, 0);
    worker_later(t->stream.worker, &t->flush);
    return true;
}

static bool tls_handshake(struct tls *t) {
    if ((t->client ? wolfSSL_connect(t->ssl) : wolfSSL_accept(t->ssl)) == WOLFSSL_SUCCESS) {
        if (t->client && !client_opened(t))
            return false;
        t->open = true;
        if (t->stream.events->connected)
            t->stream.events->connected(&t->stream, t->stream.user);
        return !t->closed;
    }
    int error = wolfSSL_get_error(t->ssl, 0);
    if (error != WOLFSSL_ERROR_WANT_READ && error != WOLFSSL_ERROR_WANT_WRITE)
        handshake_failed(t, error);
    return false;
}

/* What a failed wolfSSL_read means. A FIN without close_notify counts as the end: framing above tells whether it is early, and asks
 * tls_is_truncated where it can't. */
static void tls_read_failed(struct tls *t) {
    int error = wolfSSL_get_error(t->ssl, 0);
    if (error == WOLFSSL_ERROR_WANT_READ)
        return;
    t->truncated = error == SOCKET_PEER_CLOSED_E;
    if (error == WOLFSSL_ERROR_ZERO_RETURN || t->truncated)
        tls_tell_eof(t);
    else
        tls_break(t, -EPROTO);
}

static bool tls_read_some(struct tls *t) {
    struct worker *w = t->stream.worker;
    struct buf *b = buf_get(w);
    if (!b) {
        tls_break(t, -ENOMEM);
        return false;
    }
    int n = wolfSSL_read(t->ssl, b->data, BUF_SIZE);
    /* Writers stop at STREAM_HIGH; so much more are answers of wolfSSL's own (to KeyUpdates) that nobody reads. */
    if (stream_queued(t->below) > ANSWERS_MOST)
        tls_break(t, -EPROTO);
    if (n <= 0) {
        buf_unref(w, b);
        tls_read_failed(t);
        return false;
    }
    b->used = (uint16_t)n;
    struct slice s = {b, b->data, (uint32_t)n};
    t->stream.events->data(&t->stream, t->stream.user, s);
    return true;
}

static bool tls_may_read(const struct tls *t) {
    return t->open && !t->paused && !t->closed && !t->broken && !t->eof;
}

static bool tls_has_input(const struct tls *t) {
    return t->inbox.bytes || t->below_eof || wolfSSL_pending(t->ssl) > 0;
}

/* The stream below stops while the inbox holds enough, and goes on when it has been read. */
static void tls_govern_below(struct tls *t) {
    bool pause = t->inbox.bytes >= (t->paused ? (size_t)RECORD : (size_t)INBOX_HIGH);
    if (pause == t->below_paused || t->closed)
        return;
    t->below_paused = pause;
    if (pause)
        stream_pause(t->below);
    else
        stream_resume(t->below);
}

static void tls_pump(struct tls *t) {
    if (t->pumping || t->closed || t->broken || t->dialing)
        return;
    t->pumping =
        true; /* an event above may write, pause, resume or close, but not start a second pump */
    if (t->open || tls_handshake(t))
        while (tls_may_read(t) && tls_has_input(t))
            if (!tls_read_some(t))
                break;
    t->pumping = false;
    tls_govern_below(t);
}

/* ---- events of the stream below ---- */

enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };

/* A pod that answers in plain text is told from one that is slow by its first byte: wolfSSL would wait for all of the record that
 * its words seem to announce. */
static bool begins_badly(struct tls *t, const struct slice *s) {
    bool first = t->client && !t->heard && s->length;
    t->heard = true;
    return first && s->data[0] != RECORD_HANDSHAKE && s->data[0] != RECORD_ALERT;
}

static void below_data(struct stream *s, void *user, struct slice slice) {
    struct tls *t = user;
    if (begins_badly(t, &slice)) {
        slice_drop(s->worker, &slice);
        handshake_failed(t, UNKNOWN_RECORD_TYPE);
        return;
    }
    tls_feed(t, slice);
    tls_pump(t);
}

static void below_eof(struct stream *s, void *user) {
    struct tls *t = user;
    (void)s;
    t->below_eof = true;
    tls_pump(t);
}

static void below_drain(struct stream *s, void *user) {
    struct tls *t = user;
    (void)s;
    if (!t->full || t->closed)
        return;
    t->full = false;
    if (t->open && !t->broken && t->stream.events->drain)
        t->stream.events->drain(&t->stream, t->stream.user);
}

static void below_error(struct stream *s, void *user, int error) {
    struct tls *t = user;
    (void)s;
    if (t->client && !t->dialing && !t->open && !t->broken) {
        client_judged(t, TRUST_BROKEN);
        error = -EPROTO;
    }
    tls_break(t, error);
}

static void below_connected(struct stream *s, void *user) {
    struct tls *t = user;
    (void)s;
    t->dialing = false;
    tls_pump(t);
}

static const struct stream_events below_events = {
    .data = below_data,
    .eof = below_eof,
    .drain = below_drain,
    .error = below_error,
    .connected = below_connected,
};

/* ---- writing ---- */

static void record_send(struct tls *t, const void *data, size_t length) {
    if (wolfSSL_write(t->ssl, data, (int)length) != (int)length)
        tls_break(t, -EPIPE);
}

/* One record of what is queued: a single slice as it lies, several gathered. */
static void outbox_encrypt(struct tls *t) {
    struct worker *w = t->stream.worker;
    uint8_t gathered[RECORD];
    size_t n = 0;
    if (!t->outbox.first->next || t->outbox.first->slice.length >= RECORD) {
        const struct slice *s = &t->outbox.first->slice;
        n = s->length;
        record_send(t, s->data, n);
        segs_pop(w, &t->outbox, n);
        return;
    }
    for (struct seg *g = t->outbox.first; g && n + g->slice.length <= RECORD; g = g->next) {
        memcpy(gathered + n, g->slice.data, g->slice.length);
        n += g->slice.length;
    }
    segs_pop(w, &t->outbox, n);
    record_send(t, gathered, n);
}

static void tls_notify(struct tls *t) {
    if (t->notified || !t->open)
        return;
    t->notified = true;
    wolfSSL_shutdown(t->ssl); /* sends close_notify; the peer's own is not waited for */
}

static void outbox_send(struct tls *t) {
    while (t->outbox.bytes && !t->broken && (t->open || !t->client))
        outbox_encrypt(t);
}

/* Who was told to wait before the handshake was done may go on, unless the stream below is full by now: then it tells. */
static void early_drain(struct tls *t) {
    if (!t->full_early || !t->open || t->broken)
        return;
    t->full_early = false;
    if (!t->full && t->stream.events->drain)
        t->stream.events->drain(&t->stream, t->stream.user);
}

static void tls_flush(struct flush *f) {
    struct tls *t = container_of(f, struct tls, flush);
    if (t->closed)
        return;
    stream_pays(t->below);
    outbox_send(t);
    if (t->shut && !t->broken && !t->notified && (t->open || !t->client)) {
        tls_notify(t);
        stream_shutdown(t->below);
    }
    early_drain(t);
    tls_pump(t); /* a resume left this to us */
    if (t->broken && !t->told && !t->closed) {
        t->told = true;
        t->stream.events->error(&t->stream, t->stream.user, t->broken);
    }
}

static int tls_wrote(struct tls *t, bool ok) {
    if (!ok) {
        tls_break(t, -ENOMEM);
        return -ENOMEM;
    }
    worker_later(t->stream.worker, &t->flush);
    if (t->outbox.bytes >= STREAM_HIGH / 2) /* does not wait for the end of the turn with so much */
        outbox_send(t);
    t->full_early |= !t->open && t->outbox.bytes >= STREAM_HIGH;
    return t->full || t->full_early;
}

static bool tls_takes(const struct tls *t) {
    return !t->broken && !t->shut && !t->closed && (t->open || t->client);
}

static int tls_write(struct stream *s, struct slice slice) {
    struct tls *t = tls_of(s);
    if (!tls_takes(t)) {
        slice_drop(s->worker, &slice);
        return -EPIPE;
    }
    return tls_wrote(t, segs_add(s->worker, &t->outbox, slice));
}

static int tls_write_copy(struct stream *s, const void *data, size_t length) {
    struct tls *t = tls_of(s);
    if (!tls_takes(t))
        return -EPIPE;
    return tls_wrote(t, segs_add_copy(s->worker, &t->outbox, data, length));
}

static size_t tls_queued(const struct stream *s) {
    const struct tls *t = container_of(s, const struct tls, stream);
    return t->outbox.bytes + stream_queued(t->below);
}

static void tls_pause(struct stream *s) {
    tls_of(s)->paused = true;
}

static void tls_resume(struct stream *s) {
    struct tls *t = tls_of(s);
    t->paused = false;
    worker_later(s->worker,
                 &t->flush); /* what waits in the inbox is given from the loop, not from here */
}

static void tls_shutdown(struct stream *s) {
    struct tls *t = tls_of(s);
    t->shut = true;
    worker_later(s->worker, &t->flush);
}

static void tls_close(struct stream *s, bool reset) {
    struct tls *t = tls_of(s);
    if (t->closed)
        return;
    if (t->client)
        timer_stop(&client_of(t)->timer);
    if (!reset) {
        outbox_send(t);
        if (!t->broken)
            tls_notify(t);
    }
    t->closed = true;
    stream_close(t->below, reset && !t->parting);
}

static struct stream *tls_below(const struct stream *s) {
    return container_of(s, const struct tls, stream)->below;
}

static const struct stream_ops tls_ops = {
    .write = tls_write,
    .write_copy = tls_write_copy,
    .pause = tls_pause,
    .resume = tls_resume,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .queued = tls_queued,
    .below = tls_below,
};

/* ---- life ---- */

static bool tls_bind_context(struct tls *t, const struct tls_conf *conf) {
    size_t uid = strlen(conf->tenant_uid), sni = strlen(conf->sni);
    bool asks = conf->rules && conf->rules->client; /* no ticket of before opens this one */
    t->context_length = (uint16_t)(uid + 1 + sni + asks);
    t->sni_at = (uint16_t)(uid + 1);
    t->context = worker_alloc(t->stream.worker, (size_t)t->context_length + 1);
    if (!t->context)
        return false;
    memcpy(t->context, conf->tenant_uid, uid);
    memcpy(t->context + t->sni_at, conf->sni, sni);
    return true;
}

static bool tls_session(struct tls *t, WOLFSSL_CTX *ctx, const struct tls_conf *conf) {
    t->ssl = wolfSSL_new(ctx);
    if (!t->ssl || !client_auth_begin(t->stream.worker, t->ssl, conf->rules, &t->auth))
        return false;
    wolfSSL_SetIOReadCtx(t->ssl, t);
    wolfSSL_SetIOWriteCtx(t->ssl, t);
    char alpn[64];
    size_t length = conf->alpn ? strlen(conf->alpn) : 0;
    if (!length || length >= sizeof alpn)
        return true;
    memcpy(alpn, conf->alpn, length + 1);
    return wolfSSL_UseALPN(t->ssl, alpn, (unsigned)length, WOLFSSL_ALPN_FAILED_ON_MISMATCH) ==
           WOLFSSL_SUCCESS;
}

struct tls *tls_server_new(struct worker *w, struct stream *below, const struct tls_conf *conf) {
    WOLFSSL_CTX *ctx = identity_enter(conf->identity, w, conf->rules);
    if (!ctx)
        return NULL;
    struct tls *t = worker_alloc(w, sizeof *t);
    if (t) {
        t->stream = (struct stream){.ops = &tls_ops, .worker = w};
        t->below = below;
        t->identity = conf->identity;
        t->flush.run = tls_flush;
        if (tls_bind_context(t, conf) && tls_session(t, ctx, conf)) {
            stream_consume(below, &below_events, t);
            return t;
        }
        tls_free(t);
        strain_feel(w); /* a session lacks nothing else */
        return NULL;
    }
    identity_leave(conf->identity, w);
    return NULL;
}

static void client_late(struct timer *timer) {
    struct tls *t = &container_of(timer, struct tls_client, timer)->tls;
    stream_pays(t->below);
    if (!t->dialing) /* else it is not TLS that takes so long */
        client_judged(t, TRUST_LATE);
    tls_break(t, -ETIMEDOUT);
}

struct tls *tls_client_new(struct worker *w, struct stream *below,
                           const struct tls_client_conf *conf) {
    struct tls_client *c = worker_alloc(w, sizeof *c);
    if (!c) {
        wolfSSL_free(conf->ssl);
        return NULL;
    }
    struct tls *t = &c->tls;
    t->stream = (struct stream){.ops = &tls_ops, .worker = w};
    t->below = below;
    t->ssl = conf->ssl;
    t->client = t->dialing = true;
    t->flush.run = tls_flush;
    c->judged = conf->judged;
    c->user = conf->user;
    c->http2 = conf->http2;
    wolfSSL_SetIOReadCtx(t->ssl, t);
    wolfSSL_SetIOWriteCtx(t->ssl, t);
    timer_init(&c->timer, client_late);
    timer_set(w, &c->timer, conf->handshake_ms);
    stream_consume(below, &below_events, t);
    return t;
}

struct stream *tls_stream(struct tls *t) {
    return &t->stream;
}

void tls_feed(struct tls *t, struct slice slice) {
    if (!segs_add(t->stream.worker, &t->inbox, slice))
        tls_break(t, -ENOMEM);
}

void tls_start(struct tls *t) {
    tls_pump(t);
}

void tls_free(struct tls *t) {
    struct worker *w = t->stream.worker;
    flush_forget(&t->flush);
    segs_drop(w, &t->inbox);
    segs_drop(w, &t->outbox);
    if (t->ssl)
        wolfSSL_free(t->ssl);
    if (t->client) {
        timer_stop(&client_of(t)->timer);
        worker_free(w, client_of(t), sizeof(struct tls_client));
        return;
    }
    client_auth_free(t->auth);
    identity_leave(t->identity, w);
    if (t->context)
        worker_free(w, t->context, (size_t)t->context_length + 1);
    worker_free(w, t, sizeof *t);
}

bool tls_is_quiet(const struct tls *t) {
    return t->open && !t->broken && !t->eof && !t->shut && !t->closed && !t->outbox.bytes &&
           !t->inbox.bytes && wolfSSL_pending(t->ssl) <= 0;
}

bool tls_is_truncated(const struct tls *t) {
    return t->truncated;
}

const char *tls_sni(const struct tls *t) {
    return t->context + t->sni_at;
}

const struct client_auth *tls_client_auth(const struct tls *t) {
    return t->auth;
}

const char *tls_version(const struct tls *t) {
    return wolfSSL_get_version(t->ssl);
}

const char *tls_alpn(const struct tls *t) {
    char *name = NULL;
    unsigned short length = 0;
    return wolfSSL_ALPN_GetProtocol(t->ssl, &name, &length) == WOLFSSL_SUCCESS && name ? name : "";
}

bool tls_resumed(const struct tls *t) {
    return wolfSSL_session_reused(t->ssl);
}

const char *tls_failure(const struct tls *t, char out[ALERT_TEXT]) {
    WOLFSSL_ALERT_HISTORY alerts;
    if (wolfSSL_get_alert_history(t->ssl, &alerts) == WOLFSSL_SUCCESS) {
        if (alerts.last_rx.code >= 0)
            return alert_text("got", (unsigned)alerts.last_rx.code, out);
        if (alerts.last_tx.code >= 0)
            return alert_text("sent", (unsigned)alerts.last_tx.code, out);
    }
    snprintf(out, ALERT_TEXT, "wolfssl %d", wolfSSL_get_error(t->ssl, 0));
    return out;
}

void tls_ticket_context(struct WOLFSSL *ssl, const char **ret, size_t *ret_length) {
    const struct tls *t = wolfSSL_GetIOReadCtx(ssl);
    *ret = t->context;
    *ret_length = t->context_length;
}

void tls_prepare_client_context(struct WOLFSSL_CTX *ctx) {
    wolfSSL_CTX_new_rng(
        ctx); /* one generator per context, that is per worker, instead of one per connection */
    wolfSSL_CTX_SetIORecv(ctx, wire_recv);
    wolfSSL_CTX_SetIOSend(ctx, wire_send);
}

void tls_prepare_context(struct WOLFSSL_CTX *ctx) {
    tls_prepare_client_context(ctx);
    tickets_use(ctx);
}
