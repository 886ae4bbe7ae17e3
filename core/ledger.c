/* SPDX-License-Identifier: GPL-3.0-or-later
 * ledger.c - see ledger.h. How a window's processor time is divided, for each worker by itself:
 *
 *   thread's time = time in callbacks (measured: loop_cycles)  +  the rest, which the kernel took in io_uring_enter
 *
 *   the rest goes to who had the kernel work, in proportion to the weight of that work (`kernel`); to nobody when there was none.
 *   When callbacks alone come to more than the thread had - it was not running all the time - they share what it had.
 */
#include "core/ledger.h"
#include <stdlib.h>
#include <string.h>

struct fold_worker {
    uint64_t cycles, kernel;        /* as of the last window */
    int64_t cycles_now, kernel_now; /* of the window that is being closed */
    uint64_t loop_ns;
};

struct account_fold {
    struct account_worker before; /* of the whole tree */
    struct ledger_use use;
    uint64_t window_ns; /* its own, without ports */
    double owed_ns; /* what rounding left, or what was charged to it and moved to another since */
    uint64_t loop_ns, gone_ns; /* since it began: its own; of ports that are no more */
    bool active;
    unsigned workers;
    struct fold_worker w[];
};

struct worker_window {
    double cpu_ns, measured_ns, kernel; /* the thread's, in callbacks, sum of weights */
};

struct ledger_known { /* of one worker */
    int64_t cpu_ns;
    uint64_t buffers_short;
    uint64_t tenants_ns, own_ns; /* since it began */
};

static struct ledger {
    struct ledger_all all;
    bool begun;
    int64_t first_ns, now_ns;
    uint64_t first_cycles;
    unsigned workers;
    struct ledger_known *known;
    struct worker_window *window;
} ledger;

/* ---- life ---- */

struct account_fold *ledger_fold_new(unsigned workers) {
    struct account_fold *f = calloc(1, sizeof *f + workers * sizeof *f->w);
    if (f)
        f->workers = workers;
    return f;
}

void ledger_fold_free(struct account_fold *f) {
    free(f);
}

void ledger_fold_move(struct account_fold *from, struct account_fold *to) {
    to->gone_ns += from->loop_ns;
}

void ledger_fini(void) {
    free(ledger.known);
    free(ledger.window);
    ledger = (struct ledger){0};
}

static bool is_own(const struct account *a) {
    return !*a->name;
}

/* ---- what was counted since the last window ---- */

static uint64_t word(const uint64_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void account_read(struct account *a, double ns_per_cycle) {
    for (unsigned i = 0; i < a->workers && i < ledger.workers; i++) {
        struct fold_worker *f = &a->fold->w[i];
        uint64_t cycles = word(&a->w[i].loop_cycles), kernel = word(&a->w[i].kernel);
        f->cycles_now = (int64_t)(cycles - f->cycles);
        f->kernel_now = (int64_t)(kernel - f->kernel);
        f->cycles = cycles;
        f->kernel = kernel;
        ledger.window[i].measured_ns += (double)f->cycles_now * ns_per_cycle;
        ledger.window[i].kernel += (double)f->kernel_now;
    }
}

/* ---- time ---- */

static double share_ns(const struct fold_worker *f, const struct worker_window *w, bool own,
                       double ns_per_cycle) {
    double mine = (double)f->cycles_now * ns_per_cycle;
    if (w->measured_ns > w->cpu_ns)
        return mine * w->cpu_ns / w->measured_ns;
    double rest = w->cpu_ns - w->measured_ns;
    if (w->kernel > 0)
        return mine + rest * (double)f->kernel_now / w->kernel;
    return own ? mine + rest : mine;
}

/* What nobody was charged for and turned out to be a tenant's is taken back from nobody's: that may be more than nobody has in this
 * window, and is then owed to the next. */
static uint64_t whole_ns(struct account_fold *f, double ns) {
    f->owed_ns += ns;
    if (f->owed_ns < 1)
        return 0;
    uint64_t whole = (uint64_t)f->owed_ns;
    f->owed_ns -= (double)whole;
    return whole;
}

static void account_charge(struct account *a, double ns_per_cycle) {
    struct account_fold *f = a->fold;
    double sum = 0;
    for (unsigned i = 0; i < a->workers && i < ledger.workers; i++) {
        double ns = share_ns(&f->w[i], &ledger.window[i], is_own(a), ns_per_cycle);
        struct ledger_known *k = &ledger.known[i];
        *(is_own(a) ? &k->own_ns : &k->tenants_ns) += (uint64_t)(int64_t)ns;
        sum += ns;
    }
    f->window_ns = whole_ns(f, sum);
    f->loop_ns += f->window_ns;
}

/* ---- everything else ---- */

static void account_use(struct account *a) {
    struct account_fold *f = a->fold;
    struct account_worker sum = account_tree_sum(a);
    struct ledger_use use = {.loop_ns = f->window_ns};
    for (const struct account *p = a->ports; p; p = p->next_port)
        use.loop_ns += p->fold->window_ns;
#define SINCE(counter) use.counter = sum.counter - f->before.counter
    SINCE(accepted);
    SINCE(handshakes);
    SINCE(requests);
    SINCE(bytes_in);
    SINCE(bytes_out);
    SINCE(pod_bytes_in);
    SINCE(pod_bytes_out);
    SINCE(resets);
    SINCE(pod_failures);
    SINCE(failures);
#undef SINCE
    use.connections = sum.connections;
    use.silent = sum.silent;
    use.descriptors = sum.descriptors;
    use.buffers = sum.buffers;
    static const struct ledger_use rest;
    f->active = memcmp(&use, &rest, sizeof use) != 0;
    f->use = use;
    f->before = sum;
}

static void all_close(const struct ledger_moment *m, int64_t before_ns) {
    struct ledger_all all = {
        .capacity_ns = (uint64_t)(m->now_ns - before_ns) * m->workers,
        .descriptors_most = m->descriptors_most,
    };
    for (unsigned i = 0; i < m->workers; i++) {
        const struct ledger_worker *w = &m->worker[i];
        struct ledger_known *k = &ledger.known[i];
        all.loop_ns += (uint64_t)(w->cpu_ns - k->cpu_ns);
        all.lag_ns_max = w->lag_ns_max > all.lag_ns_max ? w->lag_ns_max : all.lag_ns_max;
        all.buffers_short += w->buffers_short - k->buffers_short;
        all.buffers += (int64_t)w->buffers;
        all.buffers_most += (int64_t)w->buffers_most;
        k->cpu_ns = w->cpu_ns;
        k->buffers_short = w->buffers_short;
    }
    for (const struct account *a = account_first(); a; a = a->next) {
        if (!a->tenant)
            all.descriptors += a->fold->use.descriptors;
        if (is_own(a))
            all.own_ns += a->fold->window_ns;
    }
    ledger.all = all;
}

/* ---- a window ---- */

static bool ledger_begin(const struct ledger_moment *m) {
    ledger.known = calloc(m->workers + 1, sizeof *ledger.known);
    ledger.window = calloc(m->workers + 1, sizeof *ledger.window);
    if (!ledger.known || !ledger.window) {
        ledger_fini();
        return false;
    }
    ledger.begun = true;
    ledger.workers = m->workers;
    ledger.first_ns = ledger.now_ns = m->now_ns;
    ledger.first_cycles = m->cycles;
    return true;
}

/* Over all the time there was: the longer, the more exact. */
static double cycle_ns(const struct ledger_moment *m) {
    double cycles = (double)(m->cycles - ledger.first_cycles);
    return cycles > 0 ? (double)(m->now_ns - ledger.first_ns) / cycles : 0;
}

void ledger_close_window(const struct ledger_moment *m) {
    if (!ledger.begun && !ledger_begin(m))
        return; /* the next window tries again */
    int64_t before_ns = ledger.now_ns;
    double ns = cycle_ns(m);
    ledger.now_ns = m->now_ns;
    for (unsigned i = 0; i < m->workers; i++)
        ledger.window[i] = (struct worker_window){
            .cpu_ns = (double)(m->worker[i].cpu_ns - ledger.known[i].cpu_ns)};
    for (struct account *a = account_first(); a; a = a->next)
        account_read(a, ns);
    for (struct account *a = account_first(); a; a = a->next)
        account_charge(a, ns);
    for (struct account *a = account_first(); a; a = a->next)
        account_use(a);
    all_close(m, before_ns);
}

/* ---- what it says ---- */

void ledger_rows(void (*row)(void *, const struct ledger_row *), void *user) {
    for (const struct account *a = account_first(); a; a = a->next)
        if (a->fold->active && !is_own(a))
            row(user, &(struct ledger_row){a->name, a->port, a->fold->use});
}

const struct ledger_all *ledger_all(void) {
    return &ledger.all;
}

uint64_t ledger_loop_ns(const struct account *a) {
    uint64_t sum = a->fold->loop_ns + a->fold->gone_ns;
    for (const struct account *p = a->ports; p; p = p->next_port)
        sum += p->fold->loop_ns;
    return sum;
}

uint64_t ledger_worker_tenants_ns(unsigned worker) {
    return worker < ledger.workers ? ledger.known[worker].tenants_ns : 0;
}

uint64_t ledger_worker_own_ns(unsigned worker) {
    return worker < ledger.workers ? ledger.known[worker].own_ns : 0;
}
