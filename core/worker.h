/* SPDX-License-Identifier: GPL-3.0-or-later
 * worker.h - one thread, one ring, and everything it owns: buffers, timers, memory, connections, kept upstream connections.
 *
 *   worker_turn: wait -> dispatch completions, by tenant when there are many -> look ahead -> fire timers -> flush what was written -> re-arm the starved
 *                -> refill the kernel's buffers -> release the dead -> quiescent state
 *
 * Shares nothing with other workers but RCU-read data; others speak to it by messages only.
 */
#pragma once
#include "core/account.h"
#include "core/ahead.h"
#include "core/buf.h"
#include "core/flush.h"
#include "core/lull.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/ring.h"
#include "core/slab.h"
#include "core/sys.h"
#include "core/timer.h"
#include "core/top.h"
#include "core/trim.h"
#include "core/turn.h"

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

enum {
    RING_ENTRIES = 1024,
    BUFFERS_RING = 4096,  /* room of the provided-buffer ring */
    BUFFERS_LENT = 1024,  /* provided at most: one io_uring_enter may copy that, 4 MiB */
    BUFFERS_LEVEL = 256,  /* provided at first; doubles when the kernel ran out */
    BUFFERS_FRESH = 16,   /* provided in one turn of those that have no page of memory yet */
    BUFFERS_CHUNK = 256,  /* buffers made at a time */
    BUFFERS_MOST = 65536, /* ids are 16 bits */
    WHEEL_SLOTS = 4096,
    RECV_CAP = 256 * 1024,   /* bytes one receive in bundles may bring */
    RECV_ALONE = 512 * 1024, /* the same where nobody else was met lately (core/turn.h) */
    RECV_CROWDED =
        32 * 1024, /* the same while tenants wait for each other: one turn of one is soon over */
};

struct seg { /* one link of a queue of slices */
    struct seg *next;
    struct slice slice;
};

struct segs { /* a queue of slices; embedded, zero is empty */
    struct seg *first, *last;
    uint32_t bytes, count;
};

struct idle_link { /* of a connection to a pod that is kept, among all of its worker's */
    struct idle_link *older, *newer;
};

struct sock;
struct conn;
struct sweep;
struct limit_slot;
struct glut;

struct worker {
    unsigned id;
    struct ring *ring;
    struct owner *dead;
    struct flush_rows flushing; /* who has something to do at the end of the turn, and */
    struct flush_rows
        unflushed;        /* with whom the turn before did not come to an end: core/flush.h */
    struct queue starved; /* receives that ended for want of buffers, the first first */
    struct glut *gluts, **gluts_last; /* tenants with queues that reached their mark: core/glut.h */
    unsigned glut_count;
    int64_t now_ns;
    struct limit_slot *paced; /* tenants with sockets that wait for bandwidth */
    int64_t pace_due_ns;

    /* buffers */
    struct buf *free;
    struct buf **chunk; /* chunk[id / BUFFERS_CHUNK][id % BUFFERS_CHUNK] */
    unsigned made, most, provided, level;
    unsigned cold;                   /* made, but without a page of memory until used */
    unsigned in_use;                 /* neither free nor with the kernel */
    bool barren;                     /* when one more was to be provided, there was none */
    uint16_t order[BUFFERS_RING];    /* what the kernel holds, in ring order */
    uint32_t position[BUFFERS_MOST]; /* where in `order` a provided buffer stands */
    uint32_t order_tail;
    struct trim trim;

    /* timers */
    struct timer *wheel[WHEEL_SLOTS];
    struct timer *due;                     /* of `tick`, not looked at yet */
    uint32_t tick;                         /* all before it have been */
    uint64_t wheel_bits[WHEEL_SLOTS / 64]; /* slots that may hold something */
    int64_t tick_base_ns;
    struct timer *ends, *ends_next; /* that end a connection each; those that come next */
    struct pause ends_pause;
    bool ending; /* one of them does */

    /* memory */
    struct slab slab;

    /* connections */
    struct conn *conns;
    struct sweep *sweeps; /* core/sweep.h */
    struct pause sweeps_pause;
    bool sweeping;    /* one of them is at work */
    unsigned stalled; /* who will be refused, but not yet: core/held.c */
    unsigned conn_count, upstream_count;
    unsigned wait_count; /* requests that wait for a connection to a pod, or are being lent one */
    struct idle_link *idle_first,
        *idle_last;               /* kept connections to pods, the newest and the oldest */
    int64_t kept;                 /* so many are in that list */
    unsigned client_fds, pod_fds; /* open now; what is asked to close is not */
    bool room_wanted;             /* descriptors are short: see room.h */
    uint64_t room_short, room_shed, room_refused;
    int64_t room_barren_ns;     /* until then he has nothing to give up */
    const struct conn *room_at; /* where the next look at some of them begins; NULL: at the first */
    struct account *room_most;  /* who held most at the last such look: a reference, or NULL */
    unsigned
        strain_credit;  /* clients that may come, as so many were given up for them: see strain.h */
    bool strain_wanted; /* memory could not be had in this turn */
    unsigned strain_beat; /* since which so much more was taken than this */
    int64_t strain_taken;
    int64_t held; /* by all sockets of this worker, as their accounts have it (sock_holds) */
    int64_t strain_felt_ns;  /* when that last was; 0: never */
    int64_t strain_tried_ns; /* the turn in which room was last made for a newcomer */
    uint64_t strain_failed, strain_shed;
    uint64_t accepted, accepted_shared; /* the second: not at raw ports */
    unsigned completions;               /* of the last turn */
    uint64_t turns;                     /* released at each quiescent point */
    bool draining, stopping;
    bool gone; /* its thread has ended: nothing that is posted to it would be read */

    /* accounts */
    struct account *nobody; /* pays until a tenant is known */
    struct account *payer;  /* of what has passed since charge_mark */
    uint64_t charge_mark;
    bool
        uncounted; /* loop time and the kernel's weights are not: to measure what counting them costs */
    uint64_t lag_ns_max, window_lag_ns; /* the longest turn since the last look, of two who look */
    int64_t enter_cpu_ns; /* of this thread, before it asks the kernel; 0: not looked at */
    int64_t turn_ns;      /* how long the last turn took, without what it asked the kernel for */
    uint64_t
        turns_squared_us; /* the squares of turns' lengths, with that, in us^2: who comes meets long ones more often */
    uint64_t window_kernel_ns; /* the longest that the kernel took for what one turn asked of it */
    uint64_t buffers_short;    /* turns without a buffer to give the kernel */
    struct turn turn;
    struct lull lull;
    struct account_worker *listed; /* rows that something was counted in since the ledger looked */

    uint64_t random[2];
    void **module_state; /* by module index */
    struct top *top;     /* the hosts asked for most; NULL: not counted */
    struct ahead ahead;
};

struct worker_conf {
    unsigned id;
    size_t buffer_memory; /* 0: all that ids allow */
    struct account *nobody;
    bool uncounted, in_order;
    uint64_t seed;
    unsigned popular; /* how many hosts are to be told by name; 0: none */
};

/* On the thread that will run it. */
bool worker_new(const struct worker_conf *, struct worker **ret, struct err *);
/* Everything that lived on it must have been released. */
void worker_end(struct worker *);
/* One turn; waits at most `wait_ns` (<0: until something happens or a timer is due). Negative errno: the ring is broken. */
int worker_turn(struct worker *, int64_t wait_ns);
/* Runs m->run on the worker's thread; from another thread that has `from` as its own ring. */
void worker_post(struct worker *, struct ring *from, struct message *);

/* The buffers a receive brought, `payer`'s from now on, in order, as slices for `take`; stops handing over (and returns the rest to the pool) when
 * `take` answers false. */
void bufs_received(struct worker *, struct account_worker *payer, uint16_t first, size_t bytes,
                   bool (*take)(void *, struct slice), void *user);
/* The same buffers are somebody's from now on, and will be received later: the kernel is lent others. */
void bufs_claim(struct worker *, uint16_t first, size_t bytes);
void bufs_begin(struct worker *); /* with the worker */
void bufs_refill(struct worker *);
void bufs_starved(struct worker *); /* the kernel ran out: raise the level */
bool bufs_provided(const struct worker *);
bool bufs_short(const struct worker *); /* after a refill: all there may be are in use */
static inline unsigned bufs_left(const struct worker *w) {
    return w->most - w->in_use;
}

void timers_run(struct worker *);
int64_t timers_wait_ns(const struct worker *); /* <0: none set */
bool timers_are_next(const struct worker *);   /* left over from the turn before */

void flushes_run(struct worker *);
static inline bool flushes_wait(const struct worker *w) {
    return w->flushing.first || w->unflushed.first;
}

/* Of two waits, each <0: never. */
static inline int64_t ns_sooner(int64_t a, int64_t b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static inline int64_t ns_until(const struct worker *w, int64_t due_ns) {
    return due_ns > w->now_ns ? due_ns - w->now_ns : 0;
}

/* Adds a slice (its reference moves in); false: no memory, the slice was dropped. Small slices are copied into the last
 * buffer when it has room and no one else uses it. */
bool segs_add(struct worker *, struct segs *, struct slice);
bool segs_add_copy(struct worker *, struct segs *, const void *data, size_t length);
/* Forgets the first `bytes`. */
void segs_pop(struct worker *, struct segs *, size_t bytes);
/* Takes the first slice out; false when empty. */
bool segs_take(struct worker *, struct segs *, struct slice *ret);
void segs_drop(struct worker *, struct segs *);
/* All of it is found to be this one's. */
void segs_charge(struct worker *, const struct segs *, struct account_worker *to);

/* Loop time: from now on this account pays. What one tenant causes several times in a row is looked at as one piece; what nobody is
 * charged for may turn out to be a tenant's, so that is a piece each time. */
static inline void worker_pays(struct worker *w, struct account *a) {
    if ((a == w->payer && a != w->nobody) || w->uncounted)
        return;
    struct account_worker *row = &w->payer->w[w->id];
    uint64_t now = sys_cycles();
    ACCOUNT_ADD(row->loop_cycles, now - w->charge_mark);
    account_list(&w->listed, row);
    w->charge_mark = now;
    w->payer = a;
}
/* The kernel's work (op.h): this account's, and this turn's. */
static inline void kernel_pays(struct worker *w, struct account *a, uint64_t cost) {
    w->turn.kernel += cost;
    if (!w->uncounted)
        ACCOUNT_ADD(a->w[w->id].kernel, cost);
}
void *worker_alloc(struct worker *, size_t size);
void worker_free(struct worker *, void *, size_t size);
uint64_t worker_random(struct worker *);
