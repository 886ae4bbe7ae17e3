/* SPDX-License-Identifier: MIT
 * upstream.h - connections to pods: one `struct upstream` per (tenant, service, address, protocol), which outlives versions of its tenant;
 * on each worker a list of idle kept connections and a few counters.
 *
 * An upstream connection is never shared between tenants or services. All functions: on a worker, for that worker.
 */
#pragma once
#include "core/account.h"
#include "core/stream.h"
#include <netinet/in.h>

struct upstream;
struct policy;
struct upstream_set; /* the ready pods of one backend: what backend->host_set points at */

struct upstream_wait; /* a request in line */

/* What a request asks for. Zeroed: any pod, a kept connection is welcome, no waiting. */
struct upstream_want {
    bool fresh;                     /* a connection nobody has used before */
    struct account *payer;          /* for what is new; NULL: the pod's tenant */
    bool raw;                       /* the pod's own bytes, also where it speaks TLS; never kept */
    const struct upstream *avoid;   /* a pod not to pick while there is another */
    const struct upstream *instead; /* a retry: a connection to it closes for this one */
    bool called;                    /* its turn in line has come: it goes before those who wait */
    uint64_t key; /* for `load-balance: hash`: who asks, see upstream_key; 0: unknown */
    /* The stream that was waited for (as from upstream_open), or NULL and why: -ETIMEDOUT, -ENETUNREACH, or as below; 0: there is
     * room on a shared connection, ask again with `called`. Called once, from the loop, unless it was cancelled. NULL: don't wait. */
    void (*turn)(void *user, struct stream *, int error);
    void *user;
};
/* Picks a pod as the service's policy says, and gives a stream to it: a kept idle connection when there is one and `fresh` is
 * false, else a connection that is being made (write at once; it is sent when connected; `connected` tells, or `error`). Set your
 * events with stream_consume at once. NULL with *ret_error negative:
 *   -EINPROGRESS  with `turn`: *ret_wait is where it waits, for a connection of another worker or until there is room
 *   -EBUSY        all pods have all the connections they may have, and the line is full
 *   -ENETUNREACH  no pod; -EMFILE, -ENOMEM, -EACCES (the address is not allowed) */
struct stream *upstream_ask(struct worker *, struct upstream_set *, const struct upstream_want *,
                            struct upstream_wait **ret_wait, int *ret_error);
void upstream_wait_cancel(struct upstream_wait *);
/* Does it wait until there is room? False: only for what is on its way already. */
bool upstream_wait_in_line(const struct upstream_wait *);
/* The same without a line and without a key. */
struct stream *upstream_open(struct worker *, struct upstream_set *, bool fresh,
                             const struct upstream *avoid, int *ret_error);
/* How this service's pods are to be used. */
const struct policy *upstream_policy(const struct upstream_set *);
bool upstream_wants_key(const struct upstream_set *); /* `load-balance: hash` */
uint64_t upstream_key(const void *data,
                      size_t length); /* of a cookie's value, of an address as text */
/* May a request be sent once more? Takes it from the service's retry budget. */
bool upstream_may_retry(struct worker *, struct upstream_set *);
/* Facts about a stream from upstream_open. */
bool upstream_is_reused(const struct stream *);
struct upstream *upstream_of(const struct stream *);
bool upstream_is_secure(const struct stream *); /* TLS */
/* May it go on under what is left of its tenant? NULL: nothing is. */
struct version;
bool upstream_stays(const struct stream *, const struct version *now);
/* It has ended, but not as TLS ends: what only the end delimits may have been cut. */
bool upstream_is_truncated(const struct stream *);
const char *upstream_name(const struct upstream *); /* "10.11.0.5:8080" */
/* The pod has said that it ends this connection when it was idle for so long: it is given up a little earlier. */
void upstream_ends_after(struct stream *, int64_t ms);
/* The exchange is over and the connection is clean: keep it idle for the next one. Takes the stream. */
void upstream_keep(struct stream *);
/* Otherwise: stream_close(). Tell what went wrong with the pod (0: it has answered): failures in a row eject it. */
void upstream_report(struct upstream *, struct worker *, int error);

/* ---- connections that many requests share (HTTP/2): whoever makes them keeps them ---- */
struct upstream_shared { /* what a worker's module has of a pod; first in a struct of its own */
    /* The pod is left, or the worker ends: close what no request uses, now, and the rest when it is free. */
    void (*leave)(struct upstream_shared *);
    /* Is there room for one more request on what is open? */
    bool (*room)(const struct upstream_shared *);
    /* Somebody waits in line: see upstream_next. */
    void (*serve)(struct upstream_shared *);
};
/* In line for room, as upstream_ask does it: -EINPROGRESS and *ret_wait, -EBUSY, -ENOMEM. */
int upstream_line(struct worker *, struct upstream_set *, const struct upstream_want *,
                  struct upstream_wait **ret_wait);
/* Does anybody of this worker wait in this service's line? Who comes now stands behind him. */
bool upstream_lines(const struct upstream_set *, const struct worker *);
/* Whose is the first place: only this worker's requests can use its connections, others need one that ends. */
enum upstream_first { FIRST_NOBODY, FIRST_OURS, FIRST_OTHERS };
enum upstream_first upstream_first(struct upstream *, const struct worker *);
/* The first of this worker's in line is called (its `turn` with error 0) for room on a shared connection. False: there is none. */
bool upstream_call(struct upstream *, struct worker *);
/* So many were called and have not asked yet. */
unsigned upstream_called(const struct upstream *, const struct worker *);
/* Where it is remembered; NULL at first. The owner clears it when nothing is left. */
struct upstream_shared **upstream_shared(struct upstream *, struct worker *);
/* Picks as upstream_ask does, without looking for a connection. NULL: no pod. */
struct upstream *upstream_choose(struct worker *, struct upstream_set *,
                                 const struct upstream_want *, int *ret_error);
/* A new connection to this pod of the set; as from upstream_open. -EBUSY: it has as many as it may have. */
struct stream *upstream_dial(struct worker *, struct upstream_set *, struct upstream *,
                             int *ret_error);
/* So many requests more or less are under way on them: the next pick knows. */
void upstream_carry(struct upstream *, struct worker *, int requests);
/* May a connection that no request uses stay open? */
bool upstream_may_keep(const struct upstream *, const struct worker *);
