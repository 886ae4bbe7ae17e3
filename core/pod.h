/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod.h - the inside of upstream.h: one address of one service of one tenant, and its connections on each worker.
 *
 *   control thread: upstream_new -> (versions hold references) -> upstream_retire -> unused -> upstream_free
 *                   in no live version's set: leaving; a version that lists it again calls it back
 *   worker:         open -> [busy] -> keep -> [idle] -> open ... ; one that leaves or is retired keeps nothing
 */
#pragma once
#include "core/eject.h"
#include "core/sock.h"
#include "core/upstream.h"
#include "tenants/network.h"

struct pool;
struct upstream_conn;

/* What one worker has of a pod. The first line is what a request needs: with thousands of tenants each finds it cold. What all
 * workers are to know (marked: told) is written into each one's line, rarely, by whoever learns it. */
struct upstream_slot {
    struct upstream_conn *idle;
    uint32_t idle_count; /* this and `open`: written by the worker, read by all */
    uint32_t open;       /* idle and busy */
    uint32_t busy;
    uint8_t retired;          /* the message has been worked off: nothing is kept any more */
    uint8_t leaving;          /* told: in no live version's set */
    uint8_t out;              /* told: its checks fail */
    uint8_t suspect;          /* told: it has failed; its next success here is to be noted */
    int64_t failed_until_ms;  /* picked last until then */
    int64_t ejected_until_ms; /* told */
    struct upstream *up;      /* that this is a slot of */
    uint8_t capped;           /* told: connections that end here are somebody's turn */
    /* cold */
    uint64_t failures __attribute__((aligned(64)));
    uint64_t connects; /* connections begun */
    uint64_t tls_failures;
    struct message retire, leave, give;
    struct upstream_shared *shared; /* connections with many requests each, a module's */
    uint32_t leave_posted;          /* under way: not to be posted again yet */
    uint32_t give_posted;
    uint32_t called; /* from the line, for room on `shared`, and not there yet */
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct upstream_slot, failures) == 64, "one line");

struct upstream {
    union address addr;
    char *key, *netns, *device;
    struct place place; /* where these names led; another place is another upstream */
    char name[ADDRESS_TEXT_MAX];
    uint8_t named;           /* told: `allow` means this very address */
    uint8_t barred;          /* told: the tenant's network does not allow it any more */
    struct account *account; /* a reference */
    unsigned refs;           /* control thread: versions that hold it */
    unsigned listed;         /* control thread: live versions' sets that it is in */
    unsigned workers;
    struct local_ports *ports; /* its tenant's part of those towards this address, a reference */
    struct pool *pool;         /* a reference, that whoever frees this gives back */
    uint64_t
        point; /* where hashing sees it: of its address alone, so that every edge sees it there */
    struct upstream *next_dead;
    /* what any worker writes: in a line of its own */
    uint32_t reserved __attribute__((
        aligned(64))); /* connections promised: to a request that waited, or is being lent one */
    uint32_t opened; /* the sum of all slots' `open`, so that who looks for room need not add up */
    uint32_t held;   /* by who looks at it once more after its last connection */
    int32_t tls_error;        /* of the latest handshake; 0: none, or it was well (trust.h) */
    int64_t portless_ms;      /* when a connection last failed for want of a local port; 0: never */
    struct ejection ejection; /* written by whichever worker meets a failure */
    struct upstream_slot w[];
};

static inline bool upstream_is_out(const struct upstream *up) {
    return __atomic_load_n(&up->w[0].out, __ATOMIC_RELAXED);
}
static inline bool slot_is_capped(const struct upstream_slot *s) {
    return __atomic_load_n(&s->capped, __ATOMIC_RELAXED);
}
/* Open and promised connections, over all workers. A promise ends after its connection was counted: never too few. */
static inline uint32_t upstream_taken(const struct upstream *up) {
    uint32_t reserved = __atomic_load_n(&up->reserved, __ATOMIC_SEQ_CST);
    return reserved + __atomic_load_n(&up->opened, __ATOMIC_SEQ_CST);
}

static inline void upstream_hold(struct upstream *up) {
    __atomic_add_fetch(&up->held, 1, __ATOMIC_SEQ_CST);
}
static inline void upstream_unhold(struct upstream *up) {
    __atomic_sub_fetch(&up->held, 1, __ATOMIC_RELEASE);
}

struct upstream *upstream_new(const char *key, const union address *, const struct network *,
                              const struct place *, struct account *, struct pool *,
                              unsigned workers);
/* A version of its tenant has been published, with this network (NULL: none is left): may it be dialled from now on? */
void upstream_judge(struct upstream *, const struct network *);
/* A live version lists it (again). */
void upstream_stay(struct upstream *);
/* No live version lists it: idle connections close now, new ones are not made while there is another pod. */
void upstream_leave(struct upstream *, struct worker *const *workers, struct ring *from);
/* Of one that is kept: who pays for it; it ends now. */
const struct account *upstream_payer(const struct idle_link *);
void upstream_idle_end(struct idle_link *);
bool place_same(const struct place *, const struct place *);
/* May a stream of upstream_open go on under this version, whatever layers lie above it? True when it is none. */
bool upstream_allowed(const struct stream *, const struct version *);
/* No version holds it any more: idle connections close now, busy ones when they are given back. */
void upstream_retire(struct upstream *, struct worker *const *workers, struct ring *from);
bool upstream_unused(
    const struct upstream *); /* after retire: nothing of it is left on any worker */
void upstream_free(struct upstream *);
/* The worker's turn to end: close what is idle there. On that worker. */
void upstream_close_idle(struct upstream *, struct worker *);

/* ---- upstream.c, for choose.c and wait.c; on worker `w` ---- */
struct stream *upstream_connect(struct upstream *, struct worker *, bool raw, struct account *payer,
                                int *ret_error);
struct stream *upstream_idle_take(struct upstream *, struct worker *); /* NULL: none is idle */
/* Takes `fd`, a connection that another worker has lent; NULL: no memory. */
struct stream *upstream_adopt(struct upstream *, struct worker *, int fd);
bool upstream_is_open(const struct stream *); /* within the turn: was it not closed meanwhile? */
int upstream_idle_lend(struct upstream *, struct worker *);  /* its descriptor; negative: none */
void upstream_idle_drop(struct upstream *, struct worker *); /* closes one, if there is one */

/* ---- wait.c ---- */
/* -EINPROGRESS and *ret, -EBUSY or -ENOMEM. */
int wait_in_line(struct worker *, struct upstream_set *, const struct upstream_want *,
                 struct upstream_wait **ret);
int wait_for_lent(struct worker *, struct upstream *, const struct upstream_want *,
                  struct worker *lender, struct upstream_wait **ret);
/* Until its tenant may begin one more connection (dial.h). The same, -EBUSY: his line is full. */
int wait_for_dial(struct worker *, struct upstream *, const struct upstream_want *,
                  struct upstream_wait **ret);
/* What is idle there goes to those who wait. */
void upstream_give(struct upstream *, struct worker *);
/* Workers that could give somebody in line a connection are asked, but for `except` (a worker's number; any other: nobody). */
void givers_ask(const struct upstream_set *, struct ring *from, unsigned except);
/* There may be room: whoever waits gets it. On any thread, with its own ring. */
void pool_serve(struct pool *, struct ring *from);
/* A connection of `slot` is gone: somebody's turn. */
void upstream_slot_free(struct upstream_slot *, struct worker *);
