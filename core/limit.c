/* SPDX-License-Identifier: GPL-3.0-or-later
 * limit.c - see limit.h. Time is an argument: no clock is read here.
 */
#include "core/limit.h"
#include "core/account.h"
#include "tenants/compiled.h"
#include <stdlib.h>
#include <string.h>

enum { SECOND_NS = 1000000000 };

__extension__ typedef __int128 wide;

/* ---- buckets ---- */

static int64_t tokens_of(int64_t ns, int64_t rate) {
    return (int64_t)((wide)ns * rate / SECOND_NS);
}

/* Rounded up: what rounding would give away adds up. */
static int64_t time_of(int64_t tokens, int64_t rate) {
    return (int64_t)(((wide)tokens * SECOND_NS + rate - 1) / rate);
}

static int64_t burst_of(int64_t rate) {
    int64_t least = time_of(LIMIT_BURST_LEAST, rate);
    return least > LIMIT_BURST_NS ? least : LIMIT_BURST_NS;
}

/* *was: what stands there now, whoever wrote it. */
static bool moved_to(struct bucket *b, int64_t *was, int64_t full_at) {
    if (!__atomic_compare_exchange_n(&b->full_at, was, full_at, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return false;
    *was = full_at;
    return true;
}

int64_t bucket_take(struct bucket *b, int64_t rate, int64_t now, int64_t most) {
    int64_t was = __atomic_load_n(&b->full_at, __ATOMIC_RELAXED), burst = burst_of(rate);
    for (;;) {
        /* Emptied at a lower rate it may owe more time than a burst takes now. */
        if (was > now + burst && !moved_to(b, &was, now + burst))
            continue;
        int64_t from = was > now ? was : now;
        int64_t there = tokens_of(burst - (from - now), rate), n = most < there ? most : there;
        if (n <= 0)
            return 0;
        if (moved_to(b, &was, from + time_of(n, rate)))
            return n;
    }
}

int64_t bucket_wait_ns(const struct bucket *b, int64_t rate, int64_t now) {
    int64_t owed = __atomic_load_n(&b->full_at, __ATOMIC_RELAXED) - now, burst = burst_of(rate);
    int64_t wait = (owed < burst ? owed : burst) + time_of(1, rate) - burst;
    return wait > 0 ? wait : 0;
}

/* ---- leases ---- */

static int64_t rate_of(const struct limiter *l, enum limit limit) {
    return __atomic_load_n(&l->rate[limit], __ATOMIC_RELAXED);
}

static int64_t batch_of(const struct limiter *l, int64_t rate) {
    int64_t batch = tokens_of(LIMIT_BATCH_NS, rate) / l->workers;
    return batch > 1 ? batch : 1;
}

bool limiter_refill(struct limiter *l, unsigned worker, enum limit limit, int64_t now) {
    struct lease *own = &l->slot[worker].lease[limit];
    int64_t rate = rate_of(l, limit);
    if (!rate) {
        own->tokens = own->empty_ns = 0;
        return true;
    }
    if (now < own->empty_ns)
        return false;
    own->tokens += bucket_take(&l->bucket[limit], rate, now, batch_of(l, rate) - own->tokens);
    if (own->tokens > 0)
        return true;
    own->empty_ns = now + bucket_wait_ns(&l->bucket[limit], rate, now);
    return false;
}

bool limiter_spend(struct limiter *l, unsigned worker, enum limit limit, int64_t now) {
    struct lease *own = &l->slot[worker].lease[limit];
    if (own->tokens <= 0 && !limiter_refill(l, worker, limit, now)) {
        limiter_refuse(l, worker, limit);
        return false;
    }
    own->tokens -= own->tokens > 0; /* 0: there is no limit */
    return true;
}

/* ---- connections ---- */

static int64_t connections_of(const struct account *a) {
    int64_t sum = 0;
    for (unsigned i = 0; i < a->workers; i++)
        sum += __atomic_load_n(&a->w[i].connections, __ATOMIC_SEQ_CST);
    return sum;
}

/* Of the tenant, its raw ports' among them. */
static int64_t connections_sum(const struct account *a) {
    int64_t sum = connections_of(account_tenant(a));
    for (const struct account *p = account_ports(account_tenant(a)); p; p = account_next_port(p))
        sum += connections_of(p);
    return sum;
}

bool limiter_connect(struct account *a, unsigned worker) {
    struct limiter *l = account_limiter(a);
    int64_t most = l ? __atomic_load_n(&l->connections, __ATOMIC_RELAXED) : 0;
    if (most && connections_sum(a) >= most) {
        limiter_refuse(l, worker, LIMIT_CONNECTIONS);
        return false;
    }
    if (!most) {
        ACCOUNT_ADD(a->w[worker].connections, 1);
        return true;
    }
    /* Whoever else goes this way meanwhile sees ours, or we see his. */
    int64_t *ours = &a->w[worker].connections;
    __atomic_store_n(ours, *ours + 1, __ATOMIC_SEQ_CST);
    if (connections_sum(a) <= most)
        return true;
    ACCOUNT_ADD(a->w[worker].connections, -1);
    limiter_refuse(l, worker, LIMIT_CONNECTIONS);
    return false;
}

/* ---- counts ---- */

void limiter_refuse(struct limiter *l, unsigned worker, enum limit limit) {
    ACCOUNT_ADD(l->slot[worker].refused[limit], 1);
}

uint64_t limiter_refused(const struct limiter *l, enum limit limit) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < l->workers; i++)
        sum += __atomic_load_n(&l->slot[i].refused[limit], __ATOMIC_RELAXED);
    return sum;
}

/* ---- life ---- */

struct limiter *limiter_new(unsigned workers) {
    size_t size = sizeof(struct limiter) + workers * sizeof(struct limit_slot);
    struct limiter *l = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!l)
        return NULL;
    memset(l, 0, size);
    l->workers = workers;
    for (unsigned i = 0; i < workers; i++) {
        struct limit_slot *s = &l->slot[i];
        s->limiter = l;
        for (int d = 0; d < 2; d++)
            s->waiting[d].last = &s->waiting[d].first;
    }
    return l;
}

void limiter_free(struct limiter *l) {
    free(l);
}

void limiter_set(struct limiter *l, const struct limits *limits) {
    const int64_t rate[LIMIT_RATES] = {
        [LIMIT_NEW_CONNECTIONS] = limits->new_connections_per_second,
        [LIMIT_REQUESTS] = limits->requests_per_second,
        [LIMIT_BYTES_IN] = (limits->bandwidth_bits + 7) / 8,
        [LIMIT_BYTES_OUT] = (limits->bandwidth_bits + 7) / 8,
    };
    for (int i = 0; i < LIMIT_RATES; i++)
        __atomic_store_n(&l->rate[i], rate[i], __ATOMIC_RELAXED);
    __atomic_store_n(&l->connections, limits->connections, __ATOMIC_RELAXED);
}
