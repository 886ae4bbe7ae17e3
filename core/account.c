/* SPDX-License-Identifier: GPL-3.0-or-later
 * account.c - accounts: counted, one cache-aligned row of counters per worker.
 */
#include "core/account.h"
#include "core/limit.h"
#include <stdlib.h>
#include <string.h>

struct account *account_new(const char *name, unsigned workers) {
    size_t size = sizeof(struct account) + workers * sizeof(struct account_worker);
    struct account *a = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!a)
        return NULL;
    memset(a, 0, size);
    a->name = strdup(name);
    if (!a->name) {
        free(a);
        return NULL;
    }
    a->workers = workers;
    atomic_init(&a->refs, 1);
    return a;
}

void account_ref(struct account *a) {
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

void account_unref(struct account *a) {
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    limiter_free(a->limiter);
    free(a->name);
    free(a);
}

/* Each counter is one aligned word with one writer: a relaxed load sees it whole. */
#define COUNTER(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)

struct account_worker account_sum(const struct account *a) {
    struct account_worker sum = {0};
    for (unsigned i = 0; i < a->workers; i++) {
        const struct account_worker *w = &a->w[i];
        sum.connections_total += COUNTER(w->connections_total);
        sum.requests += COUNTER(w->requests);
        sum.bytes_in += COUNTER(w->bytes_in);
        sum.bytes_out += COUNTER(w->bytes_out);
        sum.loop_cycles += COUNTER(w->loop_cycles);
        sum.connections += COUNTER(w->connections);
        sum.buffers += COUNTER(w->buffers);
        sum.failures += COUNTER(w->failures);
        for (unsigned k = 0; k < ACCOUNT_CLASSES; k++)
            sum.answered[k] += COUNTER(w->answered[k]);
        for (unsigned k = 0; k < ACCOUNT_BUCKETS; k++)
            sum.duration[k] += COUNTER(w->duration[k]);
        sum.duration_us += COUNTER(w->duration_us);
        sum.pod_failures += COUNTER(w->pod_failures);
        sum.retries += COUNTER(w->retries);
        sum.wasted += COUNTER(w->wasted);
        sum.calmed += COUNTER(w->calmed);
    }
    return sum;
}
