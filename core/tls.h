/* SPDX-License-Identifier: GPL-3.0-or-later
 * tls.h - TLS as a stream over another stream: wolfSSL over memory, never over a descriptor.
 *
 *   consumer <-plaintext- wolfSSL_read  <- inbox  <- data event of the stream below
 *   consumer -plaintext-> outbox -> wolfSSL_write (up to 16 KiB a record) -> stream_write_copy below
 *
 * The consumer's `connected` event says that the handshake is done, `error` with -EPROTO that it failed (the alert is already on
 * its way). A client's end (to a pod) may be written to before; that is sent when it is open. A session ticket resumes only for the tenant and name it was given for: both are in its authenticated data.
 */
#pragma once
#include "core/alert.h"
#include "core/identity.h"
#include "core/stream.h"

struct tls;
struct client_auth; /* core/client_auth.h */
struct WOLFSSL;
struct WOLFSSL_CTX;

/* What a session keeps in memory, about, and until the handshake is done beside it: for who holds how much (sock_holds). */
enum { TLS_HOLDS = 4 * 1024, TLS_HANDSHAKE_HOLDS = 3 * 1024 };

struct tls_conf {
    struct identity *identity;
    const char *tenant_uid;        /* who the ticket belongs to, with sni */
    const char *sni;               /* normalised */
    const char *alpn;              /* "http/1.1,…" or NULL */
    const struct tls_rules *rules; /* what the name asks; NULL: nothing. Not needed after */
};

/* Takes the stream below over; its consumer is the tls from now on. NULL: no memory or no context (the stream below is as it
 * was). The tls lives until tls_free, which its owner calls when the stream below is gone. */
struct tls_client_conf {
    struct WOLFSSL *ssl;  /* the tls's from now on, also on failure */
    bool http2;           /* must be agreed on */
    int64_t handshake_ms; /* for the connection below and the handshake, else -ETIMEDOUT */
    void (*judged)(void *user, int error); /* the handshake is over: 0, or as trust_why takes it */
    void *user;
};
/* The same for the end that asks; the stream below is still being connected. */
struct tls *tls_client_new(struct worker *, struct stream *below, const struct tls_client_conf *);
struct tls *tls_server_new(struct worker *, struct stream *below, const struct tls_conf *);
struct stream *tls_stream(struct tls *);
/* Bytes that were read from below before TLS began: the slice moves in. Then the handshake starts with tls_start. */
void tls_feed(struct tls *, struct slice);
void tls_start(struct tls *);
void tls_free(struct tls *);
const char *tls_sni(const struct tls *);
const char *tls_version(const struct tls *);
const char *tls_alpn(const struct tls *); /* "": none was agreed on */
bool tls_resumed(const struct tls *);
bool tls_is_quiet(const struct tls *); /* open, and nothing is queued or has ended */
/* It ended without close_notify: what only its end delimits may have been cut (RFC 8446 section 6.1). */
bool tls_is_truncated(const struct tls *);
/* Why a handshake failed: "got unknown_ca", "sent protocol_version"; without an alert wolfSSL's own number. Returns `out`. */
const char *tls_failure(const struct tls *, char out[ALERT_TEXT]);
/* What was asked of the client and shown; NULL: nothing was asked. */
const struct client_auth *tls_client_auth(const struct tls *);

/* Ticket keys of the process: a new one every TICKET_ROTATE_S, the one before still accepted. Kept in a file of `folder` over
 * restarts; NULL: not. Control thread; `now` in Unix seconds. */
enum { TICKET_ROTATE_S = 12 * 3600 };
bool tickets_init(const char *folder);
void tickets_rotate_if_due(int64_t now);
void tickets_fini(void);
void tickets_use(struct WOLFSSL_CTX *);
/* What a ticket of this session is bound to. */
void tls_ticket_context(struct WOLFSSL *, const char **ret, size_t *ret_length);
/* The callbacks of this file, on a context an identity has made. */
void tls_prepare_context(struct WOLFSSL_CTX *);
void tls_prepare_client_context(struct WOLFSSL_CTX *);
