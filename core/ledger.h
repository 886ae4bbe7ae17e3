/* SPDX-License-Identifier: GPL-3.0-or-later
 * ledger.h - what everything cost, on the control thread. docs/accounts.md says how time is divided.
 *
 *   what workers say of themselves ----------> ledger_look, every 100 ms --> the edge as a whole
 *   rows of every account, one per worker --\
 *   processor time of each worker's thread --+--> ledger_fold --> a window: what each tenant and each raw port used in it
 *                                             \-> ledger_charge --> the time alone, for who asks in between
 *
 * Windows are as long as who reads them wants (edge/guard_feed.c).
 *
 * All of it: on the control thread.
 */
#pragma once
#include "core/account.h"

enum { LEDGER_FRESH_MS = 10 };

struct ledger_use { /* of one window; counters are differences, gauges are values at its end */
    uint64_t loop_ns, accepted, handshakes, requests, bytes_in, bytes_out, pod_bytes_in,
        pod_bytes_out, resets, pod_failures, failures, no_descriptor, no_memory, waited_us, waits;
    int64_t connections, silent;
    int64_t
        descriptors; /* in use: those kept for whoever asks next are given up for whoever needs one */
    int64_t buffers;
};

struct ledger_row {
    struct account *account; /* two may have one name: of one that is gone, and of who came after */
    const char *tenant;
    uint16_t port; /* 0: the tenant as a whole, ports included */
    struct ledger_use now;
};

struct ledger_waits {
    uint64_t count, us;
};

struct ledger_all {                /* the edge itself, since the look before */
    int64_t window_ns;             /* it may have been late */
    uint64_t loop_ns;              /* processor time of all workers' threads */
    uint64_t capacity_ns;          /* workers * window */
    uint64_t lag_ns_max;           /* the longest turn of any worker */
    uint64_t kernel_ns_max;        /* the longest that the kernel took for one turn's operations */
    uint64_t turn_wait_ns;         /* ledger_turn_wait_ns of the worker where it is longest */
    uint64_t buffers_short;        /* turns in which a worker had no buffer to give the kernel */
    uint64_t memory_short;         /* how often there was none for anything else */
    uint64_t accepted;             /* at the shared listeners */
    struct ledger_waits lanes;     /* of tenants' work, for others' */
    uint64_t lanes_us_max;         /* the longest of these */
    struct ledger_waits strangers; /* of those of whom no tenant is known yet */
    int64_t descriptors, descriptors_most, buffers, buffers_most;
};

void ledger_look(int64_t now_ns); /* control.c, these three */
void ledger_fold(int64_t now_ns);
void ledger_charge(void); /* unless that was done LEDGER_FRESH_MS ago */
const struct ledger_all *ledger_all(void);
/* The window that ended last: all that used something in it, or hold something now. Who is not among them is at rest. */
void ledger_rows(void (*row)(void *, const struct ledger_row *), void *user);
const struct ledger_use *ledger_use(const struct account *); /* in it */
const uint64_t *ledger_durations(const struct account *);    /* of its requests in it */
const struct ledger_use *
ledger_own(void); /* what no tenant caused: loop_ns is in that of the workers */
/* Processor time charged to this account since it began, as of the last charge; of a tenant's: its ports' too, also of those that are
 * no more. It never falls. */
uint64_t ledger_loop_ns(const struct account *);
/* The same of one worker: of all tenants, and of nobody. Together they are its thread's. */
uint64_t ledger_worker_tenants_ns(unsigned worker);
uint64_t ledger_worker_own_ns(unsigned worker);

/* ---- what that is made of: control.c gathers it, and tests do ---- */
struct ledger_worker {
    int64_t cpu_ns;                                 /* of its thread, since it began */
    uint64_t buffers_short, memory_short, accepted; /* the same */
    uint64_t turns_squared_us; /* the same: the squares of its turns' lengths, in us^2 */
    uint64_t lag_ns_max, kernel_ns_max, lanes_us_max; /* since the look before */
    struct ledger_waits lanes;                        /* since it began */
    int64_t descriptors;                              /* now */
    uint64_t buffers, buffers_most;
    struct account_worker *listed; /* taken from its list; not for a look */
};
struct ledger_moment {
    int64_t now_ns;
    uint64_t cycles; /* sys_cycles() at now_ns */
    int64_t descriptors_most;
    unsigned workers;
    const struct ledger_worker *worker;
};
/* How long who comes to a worker waits for its next turn, on the average: he meets one of this length with the chance that it has of the
 * window, and waits for half of it. A worker that has rest for half of the time is in nobody's way, 0, and one that
 * has it for more than a third in less and less. */
enum { LEDGER_REST_PERCENT = 50, LEDGER_BUSY_PERCENT = 66 };
uint64_t ledger_turn_wait_ns(uint64_t turns_squared_us, int64_t busy_ns, int64_t window_ns);
/* The first call only remembers where everything stood. */
void ledger_look_at(const struct ledger_moment *);
void ledger_charge_at(const struct ledger_moment *);
void ledger_close_window(const struct ledger_moment *);
int64_t ledger_charged_ns(void); /* when that was last */
void ledger_fini(void);

/* ---- for account.c ---- */
bool ledger_know(struct account *, unsigned workers); /* false: no memory */
void ledger_forget(struct account *);
/* `from` is no more; what it had cost stays in the sum of `to`. */
void ledger_move(const struct account *from, struct account *to);
