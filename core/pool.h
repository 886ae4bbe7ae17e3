/* SPDX-License-Identifier: GPL-3.0-or-later
 * pool.h - one service of one tenant, across the versions of its tenant: what its pods have in common.
 *
 *   pool --set--> the newest set of ready pods (RCU)       who is ejected is judged among these
 *        --w[]--> each worker's turn and retry budget
 *        --first--> requests that wait for a connection, of all workers, first come first served
 *
 * The line of those who wait is the one thing that workers share under a lock: the cap it serves is one number over all of them,
 * and the order is part of the promise. Only services with ringress/max-connections-per-pod ever take it, for a few loads and
 * stores.
 */
#pragma once
#include "core/budget.h"
#include "core/pod.h"
#include "core/queue.h"
#include "core/trust.h"
#include <pthread.h>

struct pool_slot {
    struct budget budget;
    uint32_t turn;                     /* BALANCE_ROUND_ROBIN */
    uint32_t waiting;                  /* of this worker, in line or called from it */
    uint64_t retries, retries_refused; /* that the budget paid for, or did not */
} __attribute__((aligned(64)));

struct pool {
    char *key;
    struct speech speech; /* never changes: who speaks otherwise has another pool */
    unsigned refs;        /* control thread: sets and upstreams that hold it */
    unsigned workers;
    struct upstream_set *set; /* the newest; read by workers between two quiescent points */
    uint32_t ejecting;        /* a worker is judging; the others don't wait for it */
    pthread_mutex_t lock;     /* of `line` and of what is counted against the cap */
    struct queue line;
    uint64_t refused, late; /* waited for nothing: the line was full, the time was up */
    struct pool_slot w[];
};

struct upstream_set { /* what each request needs in one line, with the first members */
    struct pool *pool;
    const struct policy *policy; /* of the version that the set belongs to; from it: */
    uint32_t pod_connections;
    uint8_t balance;
    uint8_t retried; /* a worker has taken from its budget: requests fill it again */
    unsigned count;
    struct upstream *member[];
};
/* Room for so many members, none in it yet. Freed with free. NULL: no memory. */
struct upstream_set *upstream_set_new(struct pool *, const struct policy *, unsigned room);

/* All on the control thread. */
struct pool *pool_new(const char *key, unsigned workers);
void pool_ref(struct pool *);
bool pool_unref(struct pool *); /* true: that was the last, and it is freed */
/* A version with this set is live: its pods may be used, and who waits may have one of them. */
void pool_list(struct upstream_set *);
/* The version that replaced it is live already: pods that are in no live set any more are left. */
void pool_unlist(struct upstream_set *, struct worker *const *workers, struct ring *from);

/* On any thread: `up` failed once too often; leaves it alone for a while unless too many are already. */
void pool_eject(struct pool *, struct upstream *, int64_t now_ms, uint64_t random);
