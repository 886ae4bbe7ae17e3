/* SPDX-License-Identifier: GPL-3.0-or-later
 * mock_core.h - the core as modules/http sees it, on one thread without a kernel: streams, pods, timers and memory that a test drives.
 *
 *   client --mock_say--> [module under test] --> mock.pod[n]   (what each end received stands in end->out)
 *
 * Every buffer and every allocation is a heap block of its own, freed when its last reference goes: AddressSanitizer sees each use
 * after it. Written slices are read at mock_turn only, as the real core does, so that changing them too early is seen as well.
 */
#pragma once
#include "core/access_line.h"
#include "core/module.h"
#include "tenants/compiled.h"

enum { MOCK_PODS = 16, MOCK_QUEUE = 4096 };

struct mock_end {          /* one stream, and what became of it; outlives the stream */
    struct stream *stream; /* NULL once closed, kept or joined */
    char *out;             /* what was written to it, so far as turns have sent it */
    size_t out_length, out_room;
    struct slice queue[MOCK_QUEUE];
    size_t queue_count, queued;
    bool blocked; /* the peer does not read */
    bool full;    /* a write has said so: drain is owed */
    bool paused, shutdown, closed, reset, kept, joined;
    bool reused;
    bool truncated; /* TLS that ended without close_notify */
    int pauses;
    int64_t ends_after_ms; /* as the pod has said; 0: it has not */
    const struct upstream *upstream;
};

struct upstream {
    const char *name;
    int reports, error;
    struct upstream_shared *shared; /* what the module has of it */
};

struct mock {
    struct mock_end client;
    struct mock_end pod[MOCK_PODS];
    unsigned pods;
    struct conn *conn;
    bool conn_open;
    /* what the next upstream_open calls do */
    bool reuse;         /* give kept connections unless fresh is asked for */
    int open_error;     /* refuse with this */
    unsigned upstreams; /* pods there are: 1 or more */
    struct upstream upstream[4];
    bool pods_h2;         /* they speak HTTP/2 */
    struct policy policy; /* of the service */
    bool line;            /* requests have to wait, until mock_turn_comes */
    bool waits;
    bool budget_spent;
    unsigned cancelled, retries_asked;
    uint64_t key; /* that the last was asked with */
    /* the edge */
    uint32_t held_ms;     /* what conn_held_ms says */
    int64_t request_size; /* of acme's limits */
    bool draining, trust, no_set;
    bool meets_not;      /* the TLS rules of any name */
    const char *subject; /* of the client's certificate; NULL: none was shown */
    bool no_certificate; /* for any name */
    const char *
        challenge; /* what an authority that asks a.example or tls.example for the token "tok" is told */
    bool over_connections, over_requests; /* the tenant's limits say no */
    bool stalling;                        /* requests over them are refused later */
    int stalls;                           /* so many wait for that */
    bool outstays;                        /* and whoever asks further is sent away */
    int refusals;                         /* counted for it */
    const struct gate *gate;              /* of every route */
    bool h2;                              /* what ALPN agrees on */
    enum verdict verdict;
    int reject_status;
    char seen_header[64]; /* the value on_request saw of the field named in ask_header */
    const char *ask_header, *route_host;
    struct timeouts timeouts;
    int64_t now;
    /* announced look-ups: every second one is made to wait, until the slice that brought it has been handed over; with
     * `ahead_waits` each is, until mock_ahead */
    bool ahead_waits;
    unsigned announced;
    void (*ahead)(struct conn *, void *user);
    void *ahead_user;
    /* others wait for the worker: who has more to do goes on with it at mock_rested */
    bool crowded;
    void (*rest)(struct conn *, void *user);
    void *rest_user;
    /* memory: how many blocks live, and which allocation from now fails (0: none) */
    int live;
    int fail_in;
    int64_t holds; /* charged to connections by conn_holds */
    struct account *account;
    size_t glut; /* so many bytes are enough to wait in a queue of this one; 0: as many as usual */
    bool holds_all; /* of the buffers: it gets no more */
    /* the access log */
    char logged[ACCESS_LINE_MAX + 1]; /* the last, without its newline */
    int lines;
    bool at_end; /* it is to be written when the tunnel ends */
};
extern struct mock mock;

void mock_start(const struct ringress_module *);
void mock_stop(void);                                              /* checks that nothing is left */
void mock_connect(const char *sni);                                /* a client; NULL: plain */
void mock_say(struct mock_end *, const void *data, size_t length); /* one slice arrives */
void mock_say_eof(struct mock_end *);
void mock_fail(struct mock_end *, int error);
void mock_connected(struct mock_end *);           /* the pod's connection is up */
void mock_unblock(struct mock_end *);             /* the peer reads on */
void mock_read(struct mock_end *, size_t slices); /* a blocked peer reads a little */
bool mock_yield(void);                            /* a full queue gives way; false: none is */
void mock_ahead(void);                            /* what waits for its look-ups goes on */
bool mock_rested(void);          /* its tenant's turn has come; false: nobody rests */
void mock_turn(void);            /* the loop's turn ends: what was written is sent */
void mock_wait(int64_t ms);      /* time passes, timers fire */
void mock_turn_comes(int error); /* the pod that was waited for, or why there is none */
void mock_drain(void);
bool mock_withdraw(void);           /* the tenant is gone; true: it is to be asked again */
void mock_clear(struct mock_end *); /* forget what it received */
