/* SPDX-License-Identifier: MIT
 * limit.h - what one tenant may use, over all workers together: rates as token buckets, connections as a count.
 *
 *   bucket (one per tenant and rate, shared) --a batch of tokens--> lease (one per worker) --one by one--> requests, bytes
 *
 * A bucket is one word, the moment at which it will be full again; taking is one compare-and-swap, so there is no lock to wait
 * for. A worker takes a batch at a time and mostly touches its own cache line. What a lease holds has been taken from the bucket,
 * so over any time t no more than rate * t + one burst is spent (test_limit.c tries to break that). A lease never expires:
 * its tokens are spent later, and no more than LIMIT_BATCH_NS worth of them lie about on all workers.
 *
 * Connections are counted where they are counted anyway, in the rows of the tenant's account and its ports'. Who adds one looks at the sum of all rows before
 * and after: two workers that race for the last place may both stand back, but never both go ahead.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LIMIT_BURST_NS =
        100000000, /* a bucket holds that much time's tokens, LIMIT_BURST_LEAST at least */
    LIMIT_BATCH_NS = 10000000, /* all leases together */
    LIMIT_BURST_LEAST = 2,
};

/* What a tenant can be limited by; the first four are rates of a bucket each. X(name, key in spec.limits, label for people) */
#define LIMITS(X)                                                    \
    X(NEW_CONNECTIONS, "newConnectionsPerSecond", "new-connections") \
    X(REQUESTS, "requestsPerSecond", "requests")                     \
    X(BYTES_IN, "bandwidthIn", "bandwidth-in")                       \
    X(BYTES_OUT, "bandwidthOut", "bandwidth-out")                    \
    X(CONNECTIONS, "connections", "connections")                     \
    X(BODY, "bodySize", "body-size")                                 \
    X(SOURCE, "source", "source")

enum limit {
#define X(upper, key, label) LIMIT_##upper,
    LIMITS(X)
#undef X
        LIMIT_COUNT,
    LIMIT_RATES = LIMIT_CONNECTIONS,
};

static inline const char *limit_name(enum limit limit) {
    static const char *const names[] = {
#define X(upper, key, label) label,
        LIMITS(X)
#undef X
    };
    return limit < LIMIT_COUNT ? names[limit] : NULL;
}

struct bucket {
    int64_t full_at; /* ns */
} __attribute__((aligned(64)));

/* Takes up to `most` tokens of a bucket that fills at `rate` (> 0) a second and holds the burst. Returns how many it gave. */
int64_t bucket_take(struct bucket *, int64_t rate, int64_t now_ns, int64_t most);
/* How long until a token is there; 0: now. */
int64_t bucket_wait_ns(const struct bucket *, int64_t rate, int64_t now_ns);

struct lease {
    int64_t tokens;   /* below 0: spent in advance (bytes), to be made good first */
    int64_t empty_ns; /* no use asking the bucket before */
};

struct pacer; /* core/pace.c: sockets that wait for bytes */
struct pacers {
    struct pacer *first, **last;
};
struct limit_slot { /* one worker's */
    struct lease lease[LIMIT_RATES];
    uint64_t refused[LIMIT_COUNT]; /* read by anyone */
    struct limiter *limiter;
    struct pacers waiting[2]; /* in, out */
    struct limit_slot *next;  /* in its worker's list, while something waits */
} __attribute__((aligned(64)));

struct limiter {               /* of one account; lives as long */
    int64_t rate[LIMIT_RATES]; /* 0: no limit; written by the control thread at any time */
    int64_t connections;
    unsigned workers;
    struct bucket bucket[LIMIT_RATES];
    struct limit_slot slot[];
};

struct account;
struct limits;

struct limiter *limiter_new(unsigned workers); /* NULL: no memory */
void limiter_free(struct limiter *);
void limiter_set(struct limiter *, const struct limits *);
/* One more of a rate; false: over the limit, counted. On that worker. */
bool limiter_spend(struct limiter *, unsigned worker, enum limit, int64_t now_ns);
/* Brings the lease above 0 if it can; for bytes, which are spent first and asked for after. */
bool limiter_refill(struct limiter *, unsigned worker, enum limit, int64_t now_ns);
/* Counts one more connection in the account's row of that worker; false: over the limit, not counted there but refused. */
bool limiter_connect(struct account *, unsigned worker);
void limiter_refuse(struct limiter *, unsigned worker, enum limit);
uint64_t limiter_refused(const struct limiter *, enum limit);
