/* SPDX-License-Identifier: MIT
 * account.h - who pays: what one tenant, and each of its raw ports, costs on each worker. Counters are written by their worker only,
 * without locks, and read by anyone (each is a single aligned word).
 *
 *   tenant's account <--tenant-- account of raw port 28791
 *                    <--tenant-- account of raw port 30112     a tenant's figures: its own and its ports' (account_tree_sum)
 *
 * What is counted lies in rows; what it comes to every 100 ms is core/ledger.h.
 */
#pragma once
#include "core/flush.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Upper bounds of the buckets of requests' durations, in microseconds; the last bucket has none. */
#define ACCOUNT_BOUNDS 1000, 5000, 25000, 100000, 500000, 2500000
enum { ACCOUNT_BUCKETS = 7, ACCOUNT_CLASSES = 5 };

struct lane;
struct dials;
struct glut;
struct held;

/* One worker's row. Words only: rows are added up word by word. */
struct account_worker {
    /* What nearly every completion touches: one line. */
    uint64_t listed; /* in its worker's list of what the ledger is to look at */
    uint64_t loop_cycles;
    uint64_t
        kernel; /* weight of what the kernel did for it in io_uring_enter (op.h): a share, no time */
    uint64_t bytes_in;      /* from clients */
    uint64_t bytes_out;     /* to clients */
    uint64_t pod_bytes_in;  /* from pods */
    uint64_t pod_bytes_out; /* to pods */
    int64_t buffers;        /* in use now, wherever they wait */
    /* Connections. */
    int64_t connections; /* open now */
    uint64_t connections_total;
    uint64_t accepted;   /* came for it, let in or not; each in one account */
    int64_t descriptors; /* now: sockets of clients and to pods; what is asked to close is not */
    int64_t closing;     /* that is; both keep the account alive */
    int64_t silent;      /* open now, and no byte has come yet */
    int64_t
        memory; /* bytes held now by its connections and what goes on in them (sock_holds); without `buffers` */
    uint64_t resets;     /* ended by the client's RST */
    uint64_t handshakes; /* TLS handshakes begun with clients */
    uint64_t failures;   /* answers the edge made itself: 502, 503, 504 */
    /* Of those, what the edge itself lacked: no fault of pods, nor of limits that are the tenant's own. */
    uint64_t no_descriptor, no_memory;
    /* What became of requests, and how pods were met. */
    uint64_t requests;
    uint64_t answered[ACCOUNT_CLASSES]; /* by status: 1xx (upgrades), 2xx … 5xx */
    uint64_t duration[ACCOUNT_BUCKETS]; /* each request in one */
    uint64_t duration_us;               /* of all of them */
    uint64_t pod_failures;              /* connections to pods that could not be made */
    uint64_t retries;                   /* further pods asked for the same request or connection */
    uint64_t wasted; /* units of work that connections of HTTP/2 cost and nobody got anything for */
    uint64_t
        shed; /* connections given up, to clients and pods: the edge had no descriptors or no memory left */
    uint64_t calmed;             /* of those, connections that were told ENHANCE_YOUR_CALM */
    uint64_t handshakes_refused; /* their tenant's line was full, or their turn came too late */
    uint64_t dials_refused;      /* connections to pods that its own line could not begin in time */
    int64_t dialing;             /* now: connections to pods that are being made */
    uint64_t waited_us, waits;   /* in lanes (core/turn.h), and how often */
    int64_t
        kept; /* of `descriptors`: to pods, for whoever asks next. They are given up for whoever needs one */
    /* ---- no counters ---- */
    struct dials *dials; /* who waits to connect to a pod (core/dial.h) */
    struct glut *glut;   /* queues of its that are full (core/glut.h) */
    struct lane *
        lane; /* where completions wait while this worker is crowded (core/turn.h); keeps the account */
    /* What each piece written and each window touch: one line. */
    struct account *account;
    struct account_worker *next_listed;
    struct flush
        flushes; /* what it has to do when the turn ends (core/flush.h); keeps the account */
    struct account_worker *next_flushing;
    bool is_flushing;
    uint32_t dear_ms;  /* of the worker's time, its lower half: it last asked for what is dear */
    struct held *held; /* what of that waits for a lull (core/lull.h); keeps the account */
} __attribute__((aligned(64)));
enum { ACCOUNT_WORDS = offsetof(struct account_worker, dials) / sizeof(uint64_t) };
_Static_assert(offsetof(struct account_worker, connections) == 64, "one line");
_Static_assert(offsetof(struct account_worker, account) % 64 == 0 &&
                   sizeof(struct account_worker) == offsetof(struct account_worker, account) + 64,
               "one line");

/* How a worker counts: it is the only writer, so no locked instruction is needed, and a reader never sees half. */
#define ACCOUNT_ADD(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)

/* Something was counted in this row: the ledger will look at it. Everything before this is seen then, or the time after. */
static inline void account_list(struct account_worker **list, struct account_worker *row) {
    if (__atomic_load_n(&row->listed, __ATOMIC_ACQUIRE)) /* else the ledger has read next_listed */
        return;
    __atomic_store_n(&row->listed, 1, __ATOMIC_RELAXED);
    row->next_listed = __atomic_load_n(list, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(list, &row->next_listed, row, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
}

struct limiter; /* core/limit.h */
struct fared;   /* core/shutoff.h */

/* A request is over. `status` 0: nothing was answered. */
static inline void account_answered(struct account_worker *w, unsigned status, uint64_t us) {
    static const uint64_t bounds[] = {ACCOUNT_BOUNDS};
    unsigned bucket = 0;
    while (bucket < ACCOUNT_BUCKETS - 1 && us > bounds[bucket])
        bucket++;
    ACCOUNT_ADD(w->duration[bucket], 1);
    ACCOUNT_ADD(w->duration_us, us);
    if (status >= 100 && status < 600)
        ACCOUNT_ADD(w->answered[status / 100 - 1], 1);
}

struct account {
    char *name; /* the tenant's; "": the edge's own */
    unsigned workers;
    uint16_t port;          /* of a raw port's account; else 0 */
    struct account *tenant; /* of a raw port's: whose port it is, a reference; else NULL */
    /* Workers may walk these: what is taken out is freed a grace period later. */
    struct account *ports, *next_port;
    _Atomic int refs;
    _Atomic bool dropped; /* a worker had the last reference: accounts_adopt will see it */
    struct account *next_dropped;
    struct limiter *limiter; /* NULL: nothing limits this tenant; once there it stays */
    int64_t
        waste_full_at; /* the budget of account_waste: when it will be full again, milliseconds */
    /* ---- the control thread's ---- */
    bool published, retiring, quiet;
    void (*ended)(struct account *); /* before its memory goes; NULL: nobody asks */
    char *uid;                       /* what `ended` knows it by, or NULL */
    struct account *next, **link;    /* of all accounts */
    struct account_fold *fold;       /* core/ledger.c */
    struct fared *judged;            /* what edge/guard_feed.c knows it by */
    uint64_t judged_as;              /* while that number is the machine's */
    struct account_worker gone;      /* what accounts of ports that are no more had counted */
    struct account_worker w[];       /* one each */
};

/* All of it: on the control thread. */
struct account *account_new(const char *name, unsigned workers); /* refs = 1; NULL: no memory */
/* Of this raw port, made when there is none; with a reference for the caller. NULL: no memory. */
struct account *account_port(struct account *tenant, uint16_t port);
struct account *account_port_find(const struct account *tenant, uint16_t port); /* or NULL */
void account_ref(struct account *);
/* With the last reference it is retired (retire.h), and goes when no socket pays to it any more. What a port's had counted stays in
 * its tenant's figures. */
void account_unref(struct account *);
/* The same on a worker's thread, which retires nothing: that is done by accounts_adopt. */
void account_drop(struct account *);
void accounts_adopt(void);
/* No worker is left: what was retired ends now, whatever still seems to pay to it, and nobody is told. */
void accounts_end(void);
/* The first of all, then ->next. */
struct account *account_first(void);

struct account_worker account_sum(const struct account *); /* of all workers */
/* The same with its ports, also those that are no more. */
struct account_worker account_tree_sum(const struct account *);

/* Whose limits and shares count. */
static inline struct account *account_tenant(const struct account *a) {
    return a->tenant ? a->tenant : (struct account *)(uintptr_t)a;
}
static inline struct limiter *account_limiter(const struct account *a) {
    return __atomic_load_n(&account_tenant(a)->limiter, __ATOMIC_ACQUIRE);
}
/* The ports of a tenant's account, from any thread; NULL: no more. */
static inline struct account *account_ports(const struct account *a) {
    return __atomic_load_n(&a->ports, __ATOMIC_ACQUIRE);
}
static inline struct account *account_next_port(const struct account *a) {
    return __atomic_load_n(&a->next_port, __ATOMIC_ACQUIRE);
}

/* What it has now of something, by one of the measures below or another. */
typedef int64_t account_measure(const struct account *, unsigned worker);
static inline int64_t account_connections(const struct account *a, unsigned worker) {
    return a->w[worker].connections;
}
static inline int64_t account_descriptors(const struct account *a, unsigned worker) {
    return a->w[worker].descriptors;
}
static inline int64_t account_buffers(const struct account *a, unsigned worker) {
    return a->w[worker].buffers;
}

/* A tenant's on one worker, its ports' among them. On that worker. */
static inline int64_t account_here(const struct account *tenant, unsigned worker,
                                   account_measure *measure) {
    int64_t sum = measure(tenant, worker);
    for (const struct account *p = account_ports(tenant); p; p = account_next_port(p))
        sum += measure(p, worker);
    return sum;
}

enum {
    ACCOUNT_WASTE_MOST = 100000, /* units that are there at most, and at first */
    ACCOUNT_WASTE_RATE = 2000,   /* units a second, of all workers together */
};

/* So much more was wasted on one of its connections, which `w` counts. False: the tenant's budget does not have it, and keeps what it has.
 * A word and one compare-and-swap, as the buckets of limit.h; asked once for some hundred units. */
static inline bool account_waste(struct account *a, struct account_worker *w, int64_t now_ms,
                                 unsigned units) {
    int64_t was = __atomic_load_n(&a->waste_full_at, __ATOMIC_RELAXED), full;
    int64_t least = now_ms + (int64_t)ACCOUNT_WASTE_MOST * 1000 / ACCOUNT_WASTE_RATE;
    ACCOUNT_ADD(w->wasted, units);
    do {
        full = (was > now_ms ? was : now_ms) + (int64_t)units * 1000 / ACCOUNT_WASTE_RATE;
        if (full > least)
            return false;
    } while (!__atomic_compare_exchange_n(&a->waste_full_at, &was, full, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}
