/* SPDX-License-Identifier: GPL-3.0-or-later
 * server.h - the connections of this API, all on one thread of their own, which waits in epoll.
 *
 *   accept -> HANDSHAKE -> READ --request--> ANSWER (client_reply, at once or later) -> READ ...
 *                                        \-> STREAM (a watch: chunks until it ends or the client is gone)
 *
 * What a client may make us keep is bounded: head, body, queued answer, time; and of a tenant, connections and all of that together. Callbacks and client_* calls: on this thread only.
 */
#pragma once
#include "modules/kube/conf.h"
#include "modules/kube/http.h"
#include "modules/kube/paper.h"

struct client;

struct server_events {
    /* The head has come. False: it was answered (client_reply), its body is not read and the connection ends. */
    bool (*head)(struct client *, const struct http_request *);
    /* The whole request. Answered now or later. Valid until it is answered. */
    void (*request)(struct client *, const struct http_request *);
    void (*drained)(struct client *); /* a stream's queue is empty */
    void (*gone)(struct client *);    /* whatever was begun for it is over */
    void (*beat)(void);               /* every SERVER_BEAT_MS */
    void (*woken)(void);              /* server_wake was called */
};
enum { SERVER_BEAT_MS = 250, TENANT_MAX = 64 };

struct reply {
    int code;
    const char *type;
    const char *headers; /* whole lines with CRLF, or NULL */
    char *body;          /* malloc'd, the client's from now on; may be NULL */
    size_t length;
};
void client_reply(struct client *, const struct reply *);
void client_stream(struct client *, const char *type);
/* One chunk. */
void client_chunk(struct client *, const char *data, size_t length);
void client_stream_end(struct client *);
size_t client_queued(const struct client *);
/* Who it is, once known. False: this tenant has too many connections. */
bool client_admit(struct client *, const char *tenant);
/* False: its tenant's clients make us keep as much as they may; who reads what was sent may ask again. */
bool client_may_hold(const struct client *);
void **client_slot(struct client *); /* for what is done for it; NULL at first */

/* Starts the thread. False: *err. */
bool server_start(const struct kube_conf *, const struct paper *, const struct server_events *,
                  struct err *);
void server_stop(void); /* ends all connections and the thread */
void server_wake(void); /* from any thread: `woken` soon */
void server_paper(
    const struct paper *);   /* from any thread: a new certificate for new connections */
int64_t server_now_ms(void); /* monotonic */

struct server_figures { /* any thread */
    uint64_t connections, accepted, requests, refused;
    uint64_t
        answer_max_us; /* the longest that anybody waited for what he wanted to read, since this was last called */
};
struct server_figures server_figures(void);
