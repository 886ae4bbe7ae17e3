/* SPDX-License-Identifier: MIT
 * account.h - who pays: what one tenant costs on each worker. Counters are written by their worker only, without locks,
 * and read by anyone (each is a single aligned word).
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

struct account_worker {
    uint64_t connections_total;
    uint64_t requests;
    uint64_t bytes_in;  /* from clients */
    uint64_t bytes_out; /* to clients */
    uint64_t loop_cycles;
    int64_t connections; /* open now */
    int64_t buffers;     /* held now, in queues */
    uint64_t failures;   /* answers the edge made itself: 502, 503, 504 */
} __attribute__((aligned(64)));

/* How a worker counts: it is the only writer, so no locked instruction is needed, and a reader never sees half. */
#define ACCOUNT_ADD(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)

struct limiter; /* core/limit.h */

struct account {
    char *name;
    unsigned workers;
    _Atomic int refs;
    struct limiter *limiter;   /* NULL: nothing limits this tenant; once there it stays */
    struct account_worker w[]; /* one each */
};

struct account *account_new(const char *name, unsigned workers); /* refs = 1; NULL: no memory */
void account_ref(struct account *);
void account_unref(struct account *);
struct account_worker account_sum(const struct account *);
static inline struct limiter *account_limiter(const struct account *a) {
    return __atomic_load_n(&a->limiter, __ATOMIC_ACQUIRE);
}
