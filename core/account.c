/* SPDX-License-Identifier: GPL-3.0-or-later
 * account.c - accounts: counted, one cache-aligned row of counters per worker; those of raw ports hang at their tenant's.
 *
 *   account_port -> refs -> (0) retired -> a grace period, and no socket pays to it -> its figures go to its tenant's -> freed
 *                     ^--- the port is given again ---'
 */
#include "core/account.h"
#include "core/ledger.h"
#include "core/limit.h"
#include "core/retire.h"
#include <stdlib.h>
#include <string.h>

static struct account *all;
static bool ending; /* accounts_end */

static void account_link(struct account *a) {
    a->next = all;
    a->link = &all;
    if (a->next)
        a->next->link = &a->next;
    all = a;
}

static void account_free(struct account *a) {
    ledger_forget(a);
    limiter_free(a->limiter);
    free(a->name);
    free(a->uid);
    free(a);
}

struct account *account_new(const char *name, unsigned workers) {
    size_t size = sizeof(struct account) + workers * sizeof(struct account_worker);
    struct account *a = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!a)
        return NULL;
    memset(a, 0, size);
    a->name = strdup(name);
    if (!a->name || !ledger_know(a, workers)) {
        account_free(a);
        return NULL;
    }
    a->workers = workers;
    for (unsigned i = 0; i < workers; i++)
        a->w[i].account = a;
    atomic_init(&a->refs, 1);
    account_link(a);
    return a;
}

struct account *account_first(void) {
    return all;
}

/* ---- of raw ports ---- */

struct account *account_port_find(const struct account *tenant, uint16_t port) {
    struct account *a = tenant->ports;
    while (a && a->port != port)
        a = a->next_port;
    return a;
}

struct account *account_port(struct account *tenant, uint16_t port) {
    struct account *a = account_port_find(tenant, port);
    if (a) { /* perhaps on its way out: it stays then */
        account_ref(a);
        return a;
    }
    a = account_new(tenant->name, tenant->workers);
    if (!a)
        return NULL;
    account_ref(tenant);
    a->tenant = tenant;
    a->port = port;
    a->next_port = tenant->ports;
    __atomic_store_n(&tenant->ports, a, __ATOMIC_RELEASE);
    return a;
}

/* ---- the end ---- */

void account_ref(struct account *a) {
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

static void rows_add(struct account_worker *sum, const struct account_worker *row);

static void port_unlink(struct account *a) {
    struct account **link = &a->tenant->ports;
    while (*link != a)
        link = &(*link)->next_port;
    __atomic_store_n(link, a->next_port, __ATOMIC_RELEASE);
}

static void port_freed(void *object) {
    account_free(object);
}

/* Nothing counts there any more: the sum of the tree stays what it was. A worker may still be looking at the list. */
static void port_end(struct account *a) {
    struct account *tenant = a->tenant;
    struct account_worker sum = account_sum(a);
    port_unlink(a);
    rows_add(&tenant->gone, &sum);
    ledger_move(a, tenant);
    retire(a, port_freed);
    account_unref(tenant);
}

/* What was its sockets' may still wait to be worked off, or be owed for; and rows are looked at by the ledger. */
static bool is_in_use(const struct account *a) {
    for (unsigned i = 0; i < a->workers; i++)
        if (__atomic_load_n(&a->w[i].lane, __ATOMIC_RELAXED) ||
            __atomic_load_n(&a->w[i].listed, __ATOMIC_RELAXED) ||
            __atomic_load_n(&a->w[i].is_flushing, __ATOMIC_RELAXED) ||
            __atomic_load_n(&a->w[i].held, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* A socket or buffer holds no reference, but is counted; and a worker that has just closed the last one still writes down what that took. */
static void account_end(void *object) {
    struct account *a = object;
    bool was_quiet = a->quiet;
    a->retiring = atomic_load_explicit(&a->refs, memory_order_relaxed) == 0;
    struct account_worker sum = account_sum(a);
    a->quiet = a->retiring && !sum.descriptors && !sum.closing && !sum.buffers && !is_in_use(a) &&
               !atomic_load_explicit(&a->dropped, memory_order_acquire);
    if (!a->retiring)
        return; /* wanted again */
    if (!ending && (!a->quiet || !was_quiet)) {
        retire(a, account_end);
        return;
    }
    *a->link = a->next;
    if (a->next)
        a->next->link = a->link;
    if (a->ended)
        a->ended(a);
    if (a->tenant)
        port_end(a);
    else
        account_free(a);
}

void accounts_end(void) {
    ending = true;
    accounts_adopt();
    while (retired_any())
        retired_free();
    ending = false;
}

void account_unref(struct account *a) {
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1 || a->retiring)
        return;
    a->retiring = true;
    retire(a, account_end);
}

static struct account *_Atomic dropped;

/* Two workers may drop it one after the other; the grace period that comes before its end is not over while one of them is at it. */
void account_drop(struct account *a) {
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1 ||
        atomic_exchange_explicit(&a->dropped, true, memory_order_acq_rel))
        return;
    a->next_dropped = atomic_load_explicit(&dropped, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&dropped, &a->next_dropped, a,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

void accounts_adopt(void) {
    struct account *a = atomic_exchange_explicit(&dropped, NULL, memory_order_acquire), *next;
    for (; a; a = next) {
        next = a->next_dropped;
        atomic_store_explicit(&a->dropped, false, memory_order_release);
        if (atomic_load_explicit(&a->refs, memory_order_acquire) || a->retiring)
            continue; /* wanted again, or seen already */
        a->retiring = true;
        retire(a, account_end);
    }
}

/* ---- sums ---- */

/* Each counter is one aligned word with one writer: a relaxed load sees it whole. */
static void rows_add(struct account_worker *sum, const struct account_worker *row) {
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)row;
    for (unsigned i = 0; i < ACCOUNT_WORDS; i++)
        to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

struct account_worker account_sum(const struct account *a) {
    struct account_worker sum = {0};
    for (unsigned i = 0; i < a->workers; i++)
        rows_add(&sum, &a->w[i]);
    return sum;
}

struct account_worker account_tree_sum(const struct account *a) {
    struct account_worker sum = account_sum(a);
    rows_add(&sum, &a->gone);
    for (const struct account *p = a->ports; p; p = p->next_port)
        for (unsigned i = 0; i < p->workers; i++)
            rows_add(&sum, &p->w[i]);
    return sum;
}
