/* SPDX-License-Identifier: MIT
 * account.h - who pays: what one tenant costs on each worker. Counters are written by their worker only, without locks,
 * and read by anyone (each is a single aligned word).
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Upper bounds of the buckets of requests' durations, in microseconds; the last bucket has none. */
#define ACCOUNT_BOUNDS 1000, 5000, 25000, 100000, 500000, 2500000
enum { ACCOUNT_BUCKETS = 7, ACCOUNT_CLASSES = 5 };

struct account_worker {
    uint64_t connections_total;
    uint64_t requests;
    uint64_t bytes_in;  /* from clients */
    uint64_t bytes_out; /* to clients */
    uint64_t loop_cycles;
    int64_t connections; /* open now */
    int64_t buffers;     /* held now, in queues */
    uint64_t failures;   /* answers the edge made itself: 502, 503, 504 */
    /* What became of requests, and how pods were met. */
    uint64_t answered[ACCOUNT_CLASSES]; /* by status: 1xx (upgrades), 2xx … 5xx */
    uint64_t duration[ACCOUNT_BUCKETS]; /* each request in one */
    uint64_t duration_us;               /* of all of them */
    uint64_t pod_failures;              /* connections to pods that could not be made */
    uint64_t retries;                   /* further pods asked for the same request or connection */
    uint64_t wasted; /* units of work that connections of HTTP/2 cost and nobody got anything for */
    uint64_t calmed; /* of those, connections that were told ENHANCE_YOUR_CALM */
} __attribute__((aligned(64)));

/* How a worker counts: it is the only writer, so no locked instruction is needed, and a reader never sees half. */
#define ACCOUNT_ADD(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)

struct limiter; /* core/limit.h */

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
    char *name;
    unsigned workers;
    _Atomic int refs;
    struct limiter *limiter; /* NULL: nothing limits this tenant; once there it stays */
    int64_t
        waste_full_at; /* the budget of account_waste: when it will be full again, milliseconds */
    struct account_worker w[]; /* one each */
};

struct account *account_new(const char *name, unsigned workers); /* refs = 1; NULL: no memory */
void account_ref(struct account *);
void account_unref(struct account *);
struct account_worker account_sum(const struct account *);
static inline struct limiter *account_limiter(const struct account *a) {
    return __atomic_load_n(&a->limiter, __ATOMIC_ACQUIRE);
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
