/* SPDX-License-Identifier: GPL-3.0-or-later
 * ledger.c - see ledger.h. How a window's processor time is divided, for each worker by itself:
 *
 *   thread's time = time in callbacks (measured: loop_cycles)  +  the rest, which the kernel took in io_uring_enter
 *
 *   the rest goes to who had the kernel work, in proportion to the weight of that work (`kernel`); to nobody when there was none.
 *   When callbacks alone come to more than the thread had - it was not running all the time - they share what it had.
 *
 * A window costs what was active in it, whatever the number of tenants and its length: workers list the rows they count in, and what is
 * listed is looked at here, now and once more a window later. A row that was counted in while its mark was being taken off is seen then.
 */
#include "core/ledger.h"
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 2, NOT_AMONG = -1 };

struct sum { /* of time: grows only, and what would make it fall is owed to what comes later */
    uint64_t ns;
    double owed;
};

struct fold_worker {
    uint64_t cycles, kernel;        /* as of the last look */
    int64_t cycles_now, kernel_now; /* of the window that is being closed */
};

/* Of an account's rows what a window tells of. */
#define COUNTERS(X)  \
    X(accepted)      \
    X(handshakes)    \
    X(requests)      \
    X(bytes_in)      \
    X(bytes_out)     \
    X(pod_bytes_in)  \
    X(pod_bytes_out) \
    X(resets)        \
    X(pod_failures)  \
    X(failures)      \
    X(no_descriptor) \
    X(no_memory)     \
    X(waited_us)     \
    X(waits)
#define GAUGES(X)  \
    X(connections) \
    X(silent)      \
    X(descriptors) \
    X(kept)        \
    X(buffers)

struct tally {
#define X(member) uint64_t member;
    COUNTERS(X)
#undef X
    uint64_t duration[ACCOUNT_BUCKETS];
};
struct gauges {
#define X(member) int64_t member;
    GAUGES(X)
#undef X
};

struct fold_window { /* what the last one told, and where counters stood then: of the whole tree */
    struct ledger_use use;
    uint64_t duration[ACCOUNT_BUCKETS]; /* as `use` */
    struct tally before;
};

/* What is known of one account. First what each charge looks at: it passes over thousands. */
struct account_fold {
    int64_t among;      /* its place in ledger.active */
    int looks;          /* so often it is still to be looked at */
    bool had_ports;     /* account.gone may hold something */
    struct sum loop;    /* without ports */
    uint64_t gone_ns;   /* of ports that are no more */
    uint64_t before_ns; /* with both, when the last window ended */
    struct fold_window *window;
    struct fold_worker w[];
};

struct worker_window {
    double cpu_ns, measured_ns, kernel; /* the thread's, in callbacks, sum of weights */
};

struct ledger_known {            /* of one worker */
    int64_t cpu_ns;              /* that was charged */
    struct ledger_worker looked; /* at the last look */
    struct sum tenants, own;
};

static struct ledger {
    struct ledger_all all;
    struct ledger_use no_use;
    struct ledger_waits strangers; /* at the last look */
    bool begun;
    int64_t first_ns, charged_ns, looked_ns;
    uint64_t first_cycles;
    unsigned workers;
    struct ledger_known *known;
    struct worker_window *window;
    struct account *own; /* the edge's */
    struct account *
        *active; /* were active lately, or hold something; with room for all there are */
    size_t count, room, accounts;
} ledger;

static bool is_own(const struct account *a) {
    return a == ledger.own;
}

/* ---- accounts come and go ---- */

/* Room is made here, where there may be none, so that a window never lacks it. */
bool ledger_know(struct account *a, unsigned workers) {
    if (ledger.accounts == ledger.room) {
        size_t room = ledger.room ? 2 * ledger.room : 64;
        struct account **more = realloc(ledger.active, room * sizeof *more);
        if (!more)
            return false;
        ledger.active = more;
        ledger.room = room;
    }
    size_t size = sizeof *a->fold + workers * sizeof *a->fold->w;
    a->fold = calloc(1, size + sizeof *a->fold->window);
    if (!a->fold)
        return false;
    a->fold->window = (struct fold_window *)((char *)a->fold + size);
    a->fold->among = NOT_AMONG;
    ledger.accounts++;
    if (!*a->name)
        ledger.own = a;
    return true;
}

static void active_add(struct account *a) {
    struct account_fold *f = a->fold;
    if (f->among != NOT_AMONG)
        return;
    f->among = (int64_t)ledger.count;
    ledger.active[ledger.count++] = a;
}

static void active_remove(struct account *a) {
    struct account_fold *f = a->fold;
    if (f->among == NOT_AMONG)
        return;
    struct account *last = ledger.active[--ledger.count];
    ledger.active[f->among] = last;
    last->fold->among = f->among;
    f->among = NOT_AMONG;
}

void ledger_forget(struct account *a) {
    if (!a->fold)
        return;
    active_remove(a);
    free(a->fold);
    a->fold = NULL;
    if (ledger.own == a)
        ledger.own = NULL;
    if (--ledger.accounts)
        return;
    free(ledger.active);
    ledger.active = NULL;
    ledger.room = 0;
}

void ledger_move(const struct account *from, struct account *to) {
    to->fold->gone_ns += from->fold->loop.ns;
    to->fold->had_ports = true;
}

void ledger_fini(void) {
    free(ledger.known);
    free(ledger.window);
    ledger = (struct ledger){.own = ledger.own,
                             .active = ledger.active,
                             .count = ledger.count,
                             .room = ledger.room,
                             .accounts = ledger.accounts};
}

/* ---- what was counted since the last look ---- */

static void account_wake(struct account *a) {
    a->fold->looks = LOOKS;
    active_add(a);
    if (a->tenant)
        account_wake(a->tenant);
}

/* The mark goes first: what is counted from here on lists the row again. */
static void listed_take(struct account_worker *row) {
    for (struct account_worker *next; row; row = next) {
        next = row->next_listed;
        __atomic_store_n(&row->listed, 0, __ATOMIC_RELEASE);
        account_wake(row->account);
    }
}

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

static double share_ns(const struct fold_worker *f, const struct worker_window *w,
                       double ns_per_cycle) {
    double mine = (double)f->cycles_now * ns_per_cycle;
    if (w->measured_ns > w->cpu_ns)
        return mine * w->cpu_ns / w->measured_ns;
    if (w->kernel <= 0)
        return mine;
    return mine + (w->cpu_ns - w->measured_ns) * (double)f->kernel_now / w->kernel;
}

/* What nobody was charged for and turned out to be a tenant's is taken back from nobody: that may be more than nobody has in this
 * window. */
static void sum_add(struct sum *s, double ns) {
    s->owed += ns;
    if (s->owed < 1)
        return;
    uint64_t whole = (uint64_t)s->owed;
    s->owed -= (double)whole;
    s->ns += whole;
}

static void account_charge(struct account *a, double ns_per_cycle) {
    double sum = 0;
    for (unsigned i = 0; i < a->workers && i < ledger.workers; i++) {
        struct worker_window *w = &ledger.window[i];
        double ns = share_ns(&a->fold->w[i], w, ns_per_cycle);
        if (is_own(a) && w->kernel <= 0 && w->cpu_ns > w->measured_ns)
            ns += w->cpu_ns - w->measured_ns;
        sum_add(is_own(a) ? &ledger.known[i].own : &ledger.known[i].tenants, ns);
        sum += ns;
    }
    sum_add(&a->fold->loop, sum);
}

/* ---- everything else ---- */

static void row_tally(struct tally *t, struct gauges *g, const struct account_worker *row) {
#define X(member) t->member += word(&row->member);
    COUNTERS(X)
#undef X
#define X(member) g->member += (int64_t)word((const uint64_t *)&row->member);
    GAUGES(X)
#undef X
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        t->duration[i] += word(&row->duration[i]);
}

static void rows_tally(struct tally *t, struct gauges *g, const struct account *a) {
    for (unsigned i = 0; i < a->workers; i++)
        row_tally(t, g, &a->w[i]);
}

static struct ledger_use use_since(const struct tally *now, const struct gauges *g,
                                   const struct tally *before) {
#define X(member) .member = now->member - before->member,
    return (struct ledger_use){COUNTERS(X).connections = g->connections, .silent = g->silent,
                               .descriptors = g->descriptors - g->kept, .buffers = g->buffers};
#undef X
}

/* With its ports, also those that are no more. */
static void account_use(struct account *a) {
    struct account_fold *f = a->fold;
    struct fold_window *w = f->window;
    struct tally now = {0};
    struct gauges held = {0};
    uint64_t loop_ns = ledger_loop_ns(a);
    rows_tally(&now, &held, a);
    if (f->had_ports)
        row_tally(&now, &held, &a->gone);
    for (const struct account *p = a->ports; p; p = p->next_port)
        rows_tally(&now, &held, p);
    w->use = use_since(&now, &held, &w->before);
    w->use.loop_ns = loop_ns - f->before_ns;
    f->before_ns = loop_ns;
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        w->duration[i] = now.duration[i] - w->before.duration[i];
    w->before = now;
}

static bool holds(const struct ledger_use *use) {
    return use->connections || use->silent || use->descriptors || use->buffers;
}

/* A window in which nothing was counted: what is held is held still. */
static void account_rest(struct account *a) {
    struct fold_window *w = a->fold->window;
    memset(w->duration, 0, sizeof w->duration);
    w->use = (struct ledger_use){.connections = w->use.connections,
                                 .silent = w->use.silent,
                                 .descriptors = w->use.descriptors,
                                 .buffers = w->use.buffers};
    if (!holds(&w->use))
        active_remove(a);
}

static void accounts_charge(double ns_per_cycle) {
    for (size_t i = 0; i < ledger.count; i++)
        if (ledger.active[i]->fold->looks)
            account_read(ledger.active[i], ns_per_cycle);
    for (size_t i = 0; i < ledger.count; i++)
        if (ledger.active[i]->fold->looks)
            account_charge(ledger.active[i], ns_per_cycle);
}

/* From the last to the first: whoever leaves gives his place to the last, who has been looked at. */
static void accounts_close(void) {
    for (size_t i = ledger.count; i-- > 0;) {
        struct account *a = ledger.active[i];
        if (!a->fold->looks) {
            account_rest(a);
            continue;
        }
        account_use(a);
        a->fold->looks--;
    }
}

/* ---- the edge as a whole ---- */

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

uint64_t ledger_turn_wait_ns(uint64_t turns_squared_us, int64_t busy_ns, int64_t window_ns) {
    double busy = window_ns > 0 ? 100.0 * (double)busy_ns / (double)window_ns : 0;
    if (busy <= LEDGER_REST_PERCENT)
        return 0;
    double part = (busy - LEDGER_REST_PERCENT) / (LEDGER_BUSY_PERCENT - LEDGER_REST_PERCENT);
    return (uint64_t)((part < 1 ? part : 1) * 1e6 * (double)turns_squared_us / (double)window_ns /
                      2);
}

static uint64_t turn_wait_ns(const struct ledger_worker *w, const struct ledger_worker *before,
                             int64_t window_ns) {
    return ledger_turn_wait_ns(w->turns_squared_us - before->turns_squared_us,
                               w->cpu_ns - before->cpu_ns, window_ns);
}

static void worker_look(const struct ledger_worker *w, struct ledger_worker *before,
                        struct ledger_all *all) {
    all->turn_wait_ns = larger(turn_wait_ns(w, before, all->window_ns), all->turn_wait_ns);
    all->loop_ns += (uint64_t)(w->cpu_ns - before->cpu_ns);
    all->lag_ns_max = larger(w->lag_ns_max, all->lag_ns_max);
    all->kernel_ns_max = larger(w->kernel_ns_max, all->kernel_ns_max);
    all->lanes_us_max = larger(w->lanes_us_max, all->lanes_us_max);
    all->lanes.count += w->lanes.count - before->lanes.count;
    all->lanes.us += w->lanes.us - before->lanes.us;
    all->buffers_short += w->buffers_short - before->buffers_short;
    all->memory_short += w->memory_short - before->memory_short;
    all->accepted += w->accepted - before->accepted;
    all->descriptors += w->descriptors;
    all->buffers += (int64_t)w->buffers;
    all->buffers_most += (int64_t)w->buffers_most;
    *before = *w;
}

static struct ledger_waits strangers_now(void) {
    struct ledger_waits sum = {0};
    for (unsigned i = 0; ledger.own && i < ledger.workers; i++) {
        sum.count += word(&ledger.own->w[i].waits);
        sum.us += word(&ledger.own->w[i].waited_us);
    }
    return sum;
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
    ledger.first_ns = ledger.looked_ns = m->now_ns;
    ledger.first_cycles = m->cycles;
    return true;
}

/* Over all the time there was: the longer, the more exact. */
static double cycle_ns(const struct ledger_moment *m) {
    double cycles = (double)(m->cycles - ledger.first_cycles);
    return cycles > 0 ? (double)(m->now_ns - ledger.first_ns) / cycles : 0;
}

static bool ledger_is_begun(const struct ledger_moment *m) {
    return ledger.begun || ledger_begin(m); /* without memory the next time tries again */
}

void ledger_look_at(const struct ledger_moment *m) {
    if (!ledger_is_begun(m))
        return;
    struct ledger_waits strangers = strangers_now();
    int64_t window_ns = m->now_ns - ledger.looked_ns;
    ledger.all = (struct ledger_all){
        .window_ns = window_ns,
        .capacity_ns = (uint64_t)window_ns * m->workers,
        .strangers = {strangers.count - ledger.strangers.count, strangers.us - ledger.strangers.us},
        .descriptors_most = m->descriptors_most,
    };
    for (unsigned i = 0; i < m->workers; i++)
        worker_look(&m->worker[i], &ledger.known[i].looked, &ledger.all);
    ledger.looked_ns = m->now_ns;
    ledger.strangers = strangers;
}

void ledger_charge_at(const struct ledger_moment *m) {
    for (unsigned i = 0; i < m->workers; i++)
        listed_take(m->worker[i].listed);
    if (!ledger_is_begun(m))
        return;
    for (unsigned i = 0; i < m->workers; i++)
        ledger.window[i] = (struct worker_window){
            .cpu_ns = (double)(m->worker[i].cpu_ns - ledger.known[i].cpu_ns)};
    if (ledger.own)
        account_wake(ledger.own); /* it has what nobody else has */
    accounts_charge(cycle_ns(m));
    for (unsigned i = 0; i < m->workers; i++)
        ledger.known[i].cpu_ns = m->worker[i].cpu_ns;
    ledger.charged_ns = m->now_ns;
}

void ledger_close_window(const struct ledger_moment *m) {
    ledger_charge_at(m);
    if (ledger.begun)
        accounts_close();
}

/* ---- what it says ---- */

void ledger_rows(void (*row)(void *, const struct ledger_row *), void *user) {
    for (size_t i = 0; i < ledger.count; i++) {
        struct account *a = ledger.active[i];
        if (!is_own(a))
            row(user, &(struct ledger_row){a, a->name, a->port, a->fold->window->use});
    }
}

const struct ledger_all *ledger_all(void) {
    return &ledger.all;
}

const struct ledger_use *ledger_use(const struct account *a) {
    return &a->fold->window->use;
}

const uint64_t *ledger_durations(const struct account *a) {
    return a->fold->window->duration;
}

const struct ledger_use *ledger_own(void) {
    return ledger.own ? &ledger.own->fold->window->use : &ledger.no_use;
}

int64_t ledger_charged_ns(void) {
    return ledger.charged_ns;
}

uint64_t ledger_loop_ns(const struct account *a) {
    uint64_t sum = a->fold->loop.ns + a->fold->gone_ns;
    for (const struct account *p = a->ports; p; p = p->next_port)
        sum += p->fold->loop.ns;
    return sum;
}

uint64_t ledger_worker_tenants_ns(unsigned worker) {
    return worker < ledger.workers ? ledger.known[worker].tenants.ns : 0;
}

uint64_t ledger_worker_own_ns(unsigned worker) {
    return worker < ledger.workers ? ledger.known[worker].own.ns : 0;
}
