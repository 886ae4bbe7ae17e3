/* SPDX-License-Identifier: GPL-3.0-or-later
 * conn.h - a client connection from accept to its last completion.
 */
#pragma once
#include "core/module.h"
#include "core/proxy.h"
#include "core/sock.h"

#define CONN_STATES(X)                                                             \
    X(PROXY, proxy, "a listed proxy is about to say who the client is")            \
    X(ASK, ask, "the chain's modules are asked in turn; more bytes may be wanted") \
    X(TLS, tls, "handshake; the chain goes on behind it")                          \
    X(DIAL, dial, "connect: the pod a module chose, or another when it refuses")   \
    X(RELAY, relay, "two pumps, one per direction")                                \
    X(TAKEN, taken, "a module's on_stream has it")                                 \
    X(CLOSE, close, "the last completion of every armed op; entered once")

enum conn_state {
#define X(upper, lower, what) CONN_##upper,
    CONN_STATES(X)
#undef X
};

enum { CONN_PEEK_MOST = 20 * 1024, DIAL_TRIES = 3 };

struct introduction { /* what a PROXY header said */
    union address source, destination;
};

struct conn {
    struct sock sock;        /* first: freed with it */
    struct stream *stream;   /* the sock's, or the tls's above it */
    struct version *version; /* pinned; NULL until a tenant is known */
    struct tls *tls;
    union { /* told by the state */
        struct relay *relay;
        struct handshake *handshake; /* ASK: in line to be begun, or NULL */
        struct rest *rest;           /* TAKEN: its module goes on in its tenant's turn, or NULL */
    };
    struct flow *flow;                 /* joined to a pod while there is an access log, else NULL */
    struct introduction *introduction; /* NULL: the socket's own addresses count */
    struct conn *next, **link;         /* of its worker */
    struct segs peek;                  /* bytes read before someone took the stream */
    uint16_t local_port;
    uint8_t state;         /* enum conn_state */
    uint8_t stage;         /* which module of the chain, */
    uint8_t phase : 2;     /* which of its hooks */
    uint8_t stall : 2;     /* enum stall: of its handshake */
    uint8_t refusal : 4;   /* enum limit: what conn_charge and others said no for */
    uint8_t kind : 3;      /* enum listener_kind */
    uint8_t introduce : 2; /* PROXY version to tell the pod of a relay by; 0: not */
    bool asking : 1;       /* inside the chain */
    bool advance : 1;      /* asked to go on when it returns */
    bool peer_done : 1;    /* EOF while nobody has the stream */
    bool shakes : 1;       /* its handshake may begin */
    bool told : 1;         /* a line says that it was refused */
    uint8_t futile : 4;    /* requests in a row that nobody got anything for */
    bool unwelcome : 1;    /* the door before its tenant's names said no to its latest request */
    bool challenge : 1;    /* TLS is all that was wanted: the end of the handshake is the end */
    _Alignas(8) uint8_t module_state[];
};

_Static_assert(sizeof(struct conn) <= 384, "with what HTTP keeps, nine steps of the slab");

/* A socket just accepted; takes the descriptor also on failure (no memory, no room: false). */
bool conn_new(struct worker *, int fd, enum listener_kind, uint16_t local_port);
/* Idle: closed. Busy: finished first. */
void conn_drain(struct conn *);
/* ---- held.c ---- */
/* Joined to its pod at a port that is held: watched from now on. */
void conn_watch(struct conn *);
bool conn_may_ask(struct conn *); /* one more request, by the door before its tenant's names */
bool conn_is_shut_out(const struct conn *); /* that is shut */
enum stall { STALL_NONE, STALL_RUNS, STALL_OVER };
void conn_stall_end(struct conn *); /* it is gone, also in the midst of one */
/* ---- conn.c ---- */
/* Who is at the other end, by address; family 0: not known. */
void conn_source(struct conn *, union address *ret);
/* It is idle or silent: it is told to go. Is it gone? One that is being served is, once that is over. */
bool conn_shed(struct conn *);
/* The worker is draining: idle ones close, a few each turn, busy ones finish. */
void conns_drain(struct worker *);
void conns_reset(struct worker *);
/* Something of the tenant that pays to `account` was taken back; `now`: what is left of it, NULL: nothing. Connections that are
 * joined to a pod and may not be any more are reset, a few each turn; requests that run are finished, as after any change. */
void conns_withdraw(struct worker *, struct account *, struct version *now);
