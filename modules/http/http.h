/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.h - the module's own parts, as they see each other.
 *
 *   http.c      one client: its states, what it has received and not yet used, its timer; the client of HTTP/1.1
 *   exchange.c  one request and its response: route, pod, retry, both bodies
 *   h2_front.c  a client's connection of HTTP/2, many clients on it (h2_session.c, h2_stream.c, h2_message.c, h2_guard.c, slices.c)
 *   route.c     which backend a request goes to, or the status to refuse it with
 *   record.c    what is told of an exchange when it is over
 *   message.c   (request.c, response.c, field.c, head.c, path.c) HTTP/1 as types; body.c, answer.c: the way out
 *
 * An idle connection is a struct http_conn and nothing else. An exchange lives in the pool buffer that its request's head is written
 * to, so that a request costs two buffers of a free list and no other memory.
 */
#pragma once
#include "core/module.h"
#include "modules/http/body.h"
#include "modules/http/message.h"
#include "modules/http/record.h"
#include "tenants/compiled.h"

struct http_conf {
    int64_t https_port;
    bool begin_trace;
};

#define CLIENT_STATES(X)                                                                        \
    X(IDLE, idle, "between requests; the first waits for `header`, later ones for `keepalive`") \
    X(HEAD, head, "a request's head is coming in; `header` from its first byte")                \
    X(SEND, send, "a request's body is on its way to the pod; `body_idle` between pieces")      \
    X(WAIT, wait, "the pod has the whole request; `response` until its answer begins")          \
    X(PASS, pass, "the response is on its way to the client; `body_idle` between pieces")       \
    X(LINGER, linger,                                                                           \
      "answered and shut down; input is discarded until the client ends, 2 s at most")          \
    X(TUNNEL, tunnel, "after 101: the host joins the two streams")                              \
    X(GONE, gone, "given back to the host")

enum client_state {
#define X(upper, lower, text) CLIENT_##upper,
    CLIENT_STATES(X)
#undef X
};

enum {
    LINGER_MS = 2000,
    DRAIN_HEAD_MS = 1000,  /* for the rest of a head when the edge drains */
    DRAIN_LINGER_MS = 500, /* then, instead of LINGER_MS */
    CALM_LINGER_MS = 100,  /* after a flood: it may hear why, but not be listened to for seconds */
    HOLD_PAUSE = 8,        /* slices held back before the client is paused */
    HOLD_MAX = 1024,       /* slices held back before the client is cut */
    TRIES_MAX = 3,         /* pods asked for one request */
    INTERIM_MAX = 32,      /* 1xx responses to one request */
    RETRY_AFTER_S = 5,
    BODY_RATE_MIN =
        100, /* bytes a second, on average over `body_idle`, of a body whose length was announced */
    RATE_RETRY_AFTER_S = 1, /* 429: rates are per second, so there is a token by then */
};

struct
    hold { /* received, not yet used: pipelined requests, a body whose pod is not yet connected */
    uint32_t first, end, room;
    struct slice item[];
};

struct exchange;
struct h2_front;
struct http_conn;

struct reply { /* the edge's own answer, as HTTP/1 has it; `page` follows `text` */
    char *text;
    const char *page;
    size_t length, page_length;
    bool close, unread;
    bool over; /* the connection ends with it, whatever else has come on it */
};

/* What differs between an HTTP/1.1 connection and an HTTP/2 stream as the client of an exchange. All bool functions: false when the
 * client is gone. */
struct client_ops {
    const struct body_way *down;                      /* how responses are written */
    bool (*step)(struct http_conn *, struct slice *); /* consumes what came, from its front */
    /* Goes on with what was held back. */
    bool (*resume)(struct http_conn *);
    /* The edge's own answer; the exchange is over. */
    bool (*answer)(struct http_conn *, const struct reply *);
    /* The response is out; the exchange is over. `unread`: the request was not all there. */
    bool (*end)(struct http_conn *, bool keep, bool unread);
    void (*close)(struct http_conn *, bool reset);
    /* Is this 101 the answer to what was asked? NULL: the client judges. */
    bool (*upgraded)(struct http_conn *, const struct message *response);
    void (*tunnel)(struct http_conn *, struct stream *pod);
    /* Before it: the line to write when that ends. */
    void (*tell_at_end)(struct http_conn *, const struct access_record *);
    /* Who pays. */
    bool (*charge)(struct http_conn *, struct version *); /* false: its limits don't allow it */
    struct account_worker *(*account)(const struct http_conn *);
    const struct version *(*version)(const struct http_conn *); /* NULL: as the connection */
};

/* The same for pods: how their streams are had and given back. */
struct pod_ops {
    const struct body_way *up; /* how requests are written */
    struct stream *(*ask)(struct exchange *, const struct upstream_want *,
                          struct upstream_wait **ret_wait, int *ret_error); /* see upstream_ask */
    bool (*is_reused)(const struct stream *);
    struct upstream *(*upstream)(const struct stream *);
    /* The exchange is over and clean. `keep_s`: for how long the pod says that it keeps the connection; 0: it doesn't say. */
    void (*keep)(struct stream *, unsigned keep_s);
    /* Bytes that its connection is to begin with, and that speak for this exchange alone. */
    void (*introduce)(struct stream *, const void *data, size_t length);
};

struct http_conn { /* a client that asks one thing at a time */
    const struct client_ops *ops;
    struct timer timer;
    struct conn *conn;
    struct stream *client; /* NULL: never taken, or given back */
    struct exchange *exchange;
    struct hold *hold;
    struct h2_front *h2; /* the connection turned out to speak HTTP/2; NULL: it does not */
    uint32_t held_ms;    /* conn_held_ms when this was last looked at */
    uint32_t queued; /* what a slow reader had still to read when its time was up; 0: it was not */
    uint8_t state;   /* enum client_state; moved by http_enter */
    uint8_t peer_length;
    bool http1 : 1;  /* the first bytes were none of HTTP/2 */
    uint8_t preface; /* bytes that came and look like the beginning of HTTP/2 */
    bool timed : 1;  /* this state's time runs */
    bool first : 1;  /* no request yet */
    bool trust : 1;  /* the peer is a trusted proxy */
    bool tls : 1;
    bool eof : 1;  /* the client has finished writing */
    bool full : 1; /* the client's stream asked for a pause */
    bool client_paused : 1, pod_paused : 1;
    bool ahead : 1; /* what was received is held until its look-ups have been fetched */
    bool rests : 1; /* or until its tenant's next turn */
    bool
        hurried : 1; /* the rest of this head has been given a moment; asked again, it gets no other */
    char peer[46];
};

struct exchange {
    struct http_conn *hc;
    struct worker *worker;
    struct buf *home;           /* where this struct lies */
    const struct slice *source; /* of the bytes being parsed right now */
    const struct pod_ops *pods;
    struct stream *pod;
    struct upstream_wait *wait; /* for a connection; then there is no `pod` yet */
    struct upstream_set *set;
    const struct policy *policy;       /* of the service; NULL: none was found */
    const struct gate *gate;           /* of the route, or NULL */
    const struct tls_rules *tls_rules; /* of the name, or NULL */
    uint64_t body, body_most;          /* bytes of the request's body: so far, and that may come */
    struct body_out up, down;
    struct record record; /* what is to be told of it */
    uint16_t answer;   /* what the edge itself will say, once the head is in; 0: the pod answers */
    uint16_t stall_ms; /* it is refused, but not before so long; 0: it isn't, or at once */
    uint8_t tries, interims;
    bool connected : 1;    /* the connection to the pod is up */
    bool reused : 1;       /* it has served others before */
    bool held : 1;         /* the request's body waits for it */
    bool withheld : 1;     /* nothing goes to the pod before the request has ended */
    bool request_done : 1; /* the whole request was received */
    bool pod_spoke : 1;    /* a byte of an answer came: no second try */
    bool delivering : 1;   /* the final response's head is on its way: no other answer */
    bool keep : 1;         /* the client's connection stays open after this */
    bool
        charged : 1; /* to the tenant of its own host; before, the connection may be that of the request before */
    bool oversize : 1; /* the body is longer than the route's gate takes */
    bool unseen : 1;   /* the pod has said that it did nothing with the request */
    uint8_t host_length;
    int64_t window_end;               /* ms: by then so much of the request's body must have come */
    uint64_t window_bytes;            /* what has come in this window */
    struct message request, response; /* message_init sees to these */
    char host[254];
};

/* Has the client sent more than what is being answered? */
static inline bool http_holds(const struct http_conn *hc) {
    return hc->hold && hc->hold->first < hc->hold->end;
}

/* http.c */
RINGRESS_EXPORT extern const struct ringress_module ringress_module;
void http_enter(struct http_conn *, enum client_state);
/* Go on with what was held back, set the timer, pace both sides. The last act of every event that left the connection alive. */
void http_continue(struct http_conn *);
/* Gives the connection back; `hc` is dead on return. */
void http_close(struct http_conn *, bool reset);
/* The answer is out and the connection ends. True: alive, lingering for the client's unread input. */
bool http_end(struct http_conn *, bool unread);
/* A slice of the client's, in its order: used now or held. False: gone. */
bool http_take(struct http_conn *, struct slice);
/* What was held back, as far as it can be used now. */
bool http_hold_run(struct http_conn *);
/* Kept for later, behind or before the rest; takes the slice in any case. False: too much, or no memory. */
bool http_hold_put(struct http_conn *, struct slice, bool front);
struct slice http_hold_take(struct http_conn *); /* the first; there is one */
void http_hold_free(struct http_conn *);
bool http_holds_much(const struct http_conn *); /* what brings more had better pause */
/* Ends all that belongs to the client but its stream. */
void http_let_go(struct http_conn *);
void http_on_time(struct timer *);

/* pod_h1.c: connections of their own, kept between exchanges. */
extern const struct pod_ops pods_h1;
/* pod_h2.c: many exchanges on one connection, which stays open between them. */
extern const struct pod_ops pods_h2;

/* exchange.c. All bool functions: false when the connection is gone. */
bool exchange_begin(struct http_conn *); /* false: no memory, nothing was changed */
bool exchange_request(struct exchange *,
                      struct slice *); /* HTTP/1; consumes from the slice's front */
bool exchange_accepts(const struct exchange *);
bool exchange_answer(struct exchange *, int status, bool unread);
bool exchange_expired(struct exchange *);
/* Its tenant is known, and pays. */
void exchange_charged(struct exchange *);
void exchange_drop(struct exchange *); /* frees it; a pod's connection is reset */

/* For a client that speaks HTTP/2: the head is in and judged (0 or the status to refuse it with), a piece of the body, its end. */
bool exchange_request_head(struct exchange *, int status);
bool exchange_request_body(struct exchange *, struct slice *);
bool exchange_request_end(struct exchange *);
/* The same for a pod that speaks HTTP/2, followed by http_continue. */
bool exchange_response_head(struct exchange *, int status, bool ended);
bool exchange_response_body(struct exchange *, struct slice *);
bool exchange_response_end(struct exchange *);
struct exchange *exchange_of_response(struct message *);
/* It waited for a pod, and here is one; or there is none; or (no error) there may be one now. */
void exchange_turn(void *exchange, struct stream *pod, int error);

/* route.c: 0 and ex->set, ex->pods, ex->gate, or the status to answer. */
int exchange_route(struct exchange *);
/* What an authority that asks this is told, or NULL. Good until the turn ends. */
const char *exchange_challenge(const struct exchange *);
