/* SPDX-License-Identifier: GPL-3.0-or-later
 * ledger.h - what everything cost, folded every 100 ms on the control thread. docs/accounts.md says how time is divided.
 *
 *   rows of every account, one per worker --\
 *   processor time of each worker's thread --+--> ledger_fold --> a window: what each tenant and each raw port used in it
 *
 * All of it: on the control thread.
 */
#pragma once
#include "core/account.h"

enum { LEDGER_WINDOW_MS = 100 };

struct ledger_use { /* of one window; counters are differences, gauges are values at its end */
    uint64_t loop_ns, accepted, handshakes, requests, bytes_in, bytes_out, pod_bytes_in,
        pod_bytes_out, resets, pod_failures, failures, no_descriptor, no_memory, waited_us, waits;
    int64_t connections, silent;
    int64_t
        descriptors; /* in use: those kept for whoever asks next are given up for whoever needs one */
    int64_t buffers;
};

struct ledger_row {
    const struct account
        *account; /* two may have one name: of one that is gone, and of who came after */
    const char *tenant;
    uint16_t port; /* 0: the tenant as a whole, ports included */
    struct ledger_use now;
};

struct ledger_all {         /* the edge itself, same window */
    int64_t window_ns;      /* it may have been late */
    uint64_t loop_ns;       /* processor time of all workers' threads */
    uint64_t capacity_ns;   /* workers * window */
    uint64_t lag_ns_max;    /* the longest turn of any worker in this window */
    uint64_t kernel_ns_max; /* the longest that the kernel took for one turn's operations */
    uint64_t
        turn_wait_ns; /* how long who comes to a worker waits for its next turn, on the average; the worst */
    uint64_t buffers_short; /* turns in which a worker had no buffer to give the kernel */
    struct ledger_use own;  /* what no tenant caused: loop_ns is in that of the workers */
    int64_t descriptors, descriptors_most, buffers, buffers_most;
};

void ledger_fold(int64_t now_ns); /* control.c */
/* The window that ended last: all that used something in it, or hold something now. Who is not among them is at rest. */
void ledger_rows(void (*row)(void *, const struct ledger_row *), void *user);
const struct ledger_all *ledger_all(void);
/* Processor time charged to this account since it began, as of the last window; of a tenant's: its ports' too, also of those that are
 * no more. It never falls. */
uint64_t ledger_loop_ns(const struct account *);
/* The same of one worker: of all tenants, and of nobody. Together they are its thread's. */
uint64_t ledger_worker_tenants_ns(unsigned worker);
uint64_t ledger_worker_own_ns(unsigned worker);

/* ---- what a window is made of: ledger_fold gathers it, and tests do ---- */
struct ledger_worker {
    int64_t cpu_ns;                     /* of its thread, since it began */
    uint64_t turns;                     /* the same */
    uint64_t lag_ns_max, kernel_ns_max; /* in this window */
    uint64_t buffers_short;             /* since it began */
    uint64_t buffers, buffers_most;
    struct account_worker *listed; /* taken from its list */
};
struct ledger_moment {
    int64_t now_ns;
    uint64_t cycles; /* sys_cycles() at now_ns */
    int64_t descriptors_most;
    unsigned workers;
    const struct ledger_worker *worker;
};
/* The first call only remembers where everything stood. */
void ledger_close_window(const struct ledger_moment *);
void ledger_fini(void);

/* ---- for account.c ---- */
bool ledger_know(struct account *, unsigned workers); /* false: no memory */
void ledger_forget(struct account *);
/* `from` is no more; what it had cost stays in the sum of `to`. */
void ledger_move(const struct account *from, struct account *to);
