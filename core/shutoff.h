/* SPDX-License-Identifier: GPL-3.0-or-later
 * shutoff.h - who hurts the others, and how hard he is held: the rule book as a machine of values, without clock, thread or socket.
 *
 *             harm by him, 2 of 3 windows            step 5                    time is over
 *   OPEN ───────────────────────────────▶ LIMITED ─────────▶ SHUT ───────────────────────────▶ PROBATION
 *    ▲                 calm, rung by rung     │                ▲        harm by him again            │
 *    ├────────────────────────────────────────┘                └────────────────────────────────────┤
 *    └───────────────────────────────────────────────── calm to the end ─────────────────────────────┘
 *
 * A unit is a (tenant, raw port), or the names of a tenant on the shared listeners (port 0). Nothing is done to a unit unless others
 * are harmed AND its tenant uses the resource that is short above its fair share AND more of it than anybody else AND this unit is where;
 * how much it does is never a reason. Fed every window by edge/guard.c; what follows from a step is enforced by core/door.c.
 */
#pragma once
#include "core/ledger.h"
#include "core/map.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHUTOFF_STATES(X) \
    X(OPEN, "open")       \
    X(LIMITED, "limited") \
    X(SHUT, "shut")       \
    X(PROBATION, "probation")

enum shutoff_state {
#define X(upper, lower) SHUTOFF_##upper,
    SHUTOFF_STATES(X)
#undef X
};

/* The ladder. Each holds what those below it hold. */
enum shutoff_step {
    STEP_NONE,
    STEP_SOURCES,    /* caps per /32 and /64 */
    STEP_FIRST_DATA, /* also per /24 and /48; the first byte soon, short idle time */
    STEP_ACCEPTS,    /* a budget of connections, over all sources */
    STEP_SHED,       /* those that never sent a byte end, then the idlest */
    STEP_SHUT,
};

struct shutoff_conf {
    bool on;           /* else nothing is ever done but by the operator's hand */
    int64_t lag_ms;    /* harm: a turn of a worker's loop that took so long */
    int64_t severe_ms; /* severe */
    int64_t wait_ms;   /* harm: so long in the shared listeners' queues */
    int64_t lane_ms; /* harm: so long, on the average, others were in the way of a tenant's work */
    int64_t
        turn_us; /* harm: who comes waits so long for a worker's turn, and one tenant takes half of its time or more */
    int64_t p99_factor; /* harm: others' p99 so many times what it is when all is calm */
    int64_t
        errors; /* harm: so many of 1,000 tries of others fail for what the edge lacks, above what is usual */
    int64_t severe_errors;
    int64_t headroom; /* harm: less than so many percent of descriptors or buffers are left */
    int64_t step_ms;  /* a step that has not helped by then gives way to the next */
    int64_t shut_ms;  /* the first offence; doubles with each */
    int64_t shut_most_ms;
    int64_t probation_ms;
    int64_t quiet_ms; /* so long without offence and one is forgotten */
    int64_t relax_ms; /* so long calm and one step is taken back; doubles when that was too early */
};

/* How one tenant fared in one window, its ports included. */
struct shutoff_fare {
    uint64_t tries;                    /* requests, and connections to raw ports */
    uint64_t no_descriptor, no_memory; /* of these failed for what the edge lacked */
    uint64_t waited_us, waits;         /* others were in the way of its work */
    uint64_t duration[ACCOUNT_BUCKETS];
    int64_t connections;
};
/* The edge as a whole in one window. */
struct shutoff_edge {
    int64_t now_ms;    /* any clock that never goes back */
    int64_t window_ms; /* since the window before */
    int64_t
        calm_ms; /* of these, at first: see shutoff_look. Only times and `nobody` are of them, too */
    uint64_t loop_ns, capacity_ns; /* of all workers */
    uint64_t lag_ns;               /* the longest turn that was work, not waiting for a CPU */
    uint64_t turn_wait_ns;         /* who comes to a worker waits so long for its next turn */
    uint64_t wait_ns;              /* a new connection's time in the shared listeners' queues */
    uint64_t strangers_ns;         /* and in the lane of those of whom no tenant is known yet */
    uint64_t dropped;              /* connections that those had no room for */
    uint64_t buffers_short, descriptors_short; /* how often there was none */
    uint64_t memory_short;                     /* the same of any other memory */
    bool others_lack; /* there was no descriptor, and no tenant's are why: the machine has none */
    uint64_t lane_us; /* the longest that others were in the way of anybody's work */
    struct ledger_waits lanes,
        calm_lanes;           /* how often, and how long together; and while all was calm */
    struct ledger_use nobody; /* what no tenant is charged for, in all of the window */
    int64_t descriptors, descriptors_most, buffers, buffers_most;
    int64_t descriptors_more; /* than at the look before */
};

enum { SHUTOFF_CALM_LOOKS = 5, SHUTOFF_WHY = 320, SHUTOFF_TENANT = 64, SHUTOFF_RESOURCES = 3 };

struct fared;
struct shutoff_unit {
    char tenant[SHUTOFF_TENANT];
    uint16_t port; /* 0: the tenant's names */
    uint8_t state, step;
    bool hand;             /* shut by the operator, until he opens it */
    unsigned offences;     /* n: how often it was shut and that is not forgotten */
    int64_t since_ms;      /* in this state */
    int64_t until_ms;      /* SHUT, PROBATION: it ends; 0: not known */
    int64_t shut_total_ms; /* of ended times; see shutoff_shut_ms */
    uint64_t moves;        /* transitions so far */
    double calm_accepts;   /* accepts a second when all is calm, for its budget */

    /* its own */
    struct fared *of;          /* its tenant */
    struct shutoff_unit *next; /* of the same tenant */
    unsigned window;           /* that `use` is of */
    struct ledger_use use;
    uint64_t sources;                 /* distinct ones; 0: not known */
    uint64_t refused, waited;         /* as it was told of latest */
    int64_t pressed_ms;               /* when more came than it may let in; 0: never */
    double smooth[SHUTOFF_RESOURCES]; /* of each resource, over the latest windows */
    uint8_t blamed, cooled; /* latest windows as bits: harm by it; harm at half the limit by it */
    double share, tenant_share, fair, harm, harm_at_step;
    bool also; /* somebody else is to blame more */
    int64_t stepped_ms, calm_since_ms, relax_ms, quiet_since_ms, seen_ms, relaxed_ms;
    char why[SHUTOFF_WHY]; /* the evidence of the latest transition */
};

struct shutoff;
/* Draws for the spread of times come from `seed`. NULL: no memory. */
struct shutoff *shutoff_new(const struct shutoff_conf *, uint64_t seed);
void shutoff_free(struct shutoff *);

/* A look at the edge, every 100 ms. False: nothing of it is short, not even by half, and nobody is held or was to blame lately: whatever
 * tenants do in such a time leads to nothing, and they need not be looked at. Otherwise, and every SHUTOFF_CALM_LOOKS looks, a window is over, which
 * has been as long as nobody asked for it: `edge` tells of all of it then. */
bool shutoff_look(struct shutoff *, struct shutoff_edge *edge);
/* A tenant as it is known here from now on. What was got is good for as long as shutoff_forgotten says the same. NULL: no memory. */
struct fared *shutoff_tenant(struct shutoff *, const char *tenant);
uint64_t shutoff_forgotten(const struct shutoff *); /* tenants so far */

/* One window: the edge, then how each tenant fared and what each unit did, in any order, then the judgement, which calls `moved` for each unit whose
 * state or step is another now (`from_state`, `from_step` before). Who is not named did nothing. */
void shutoff_window(struct shutoff *, const struct shutoff_edge *);
void shutoff_fared(struct shutoff *, struct fared *, const struct shutoff_fare *);
void shutoff_used(struct shutoff *, struct fared *, uint16_t port, const struct ledger_use *,
                  uint64_t sources);
/* So many were refused, or had to wait to be let in, since this unit is held: after shutoff_used. */
void shutoff_turned_away(struct shutoff *, struct fared *, uint16_t port, uint64_t refused,
                         uint64_t waited);
typedef void shutoff_moved_fn(void *user, const struct shutoff_unit *,
                              enum shutoff_state from_state, enum shutoff_step from_step);
void shutoff_judge(struct shutoff *, shutoff_moved_fn *, void *user);

/* The operator's hand: shut until it is opened; open at once, whatever it was shut for, and forgiven. False: no memory. */
bool shutoff_hand(struct shutoff *, const char *tenant, uint16_t port, bool shut, int64_t now_ms,
                  shutoff_moved_fn *, void *user);
/* What was known of it before a restart, or before it was given back. */
struct shutoff_past {
    unsigned offences;
    int64_t shut_ms; /* it is to stay shut for so long; 0: it is open */
    const char *why;
};
void shutoff_remember(struct shutoff *, const char *tenant, uint16_t port,
                      const struct shutoff_past *, int64_t now_ms, shutoff_moved_fn *, void *user);
/* The port was given back, or the tenant is gone (port 0: with all of its ports). */
void shutoff_forget(struct shutoff *, const char *tenant, uint16_t port);

const struct shutoff_unit *shutoff_find(const struct shutoff *, const char *tenant, uint16_t port);
void shutoff_each(const struct shutoff *, void (*)(void *user, const struct shutoff_unit *),
                  void *user);
int64_t shutoff_shut_ms(const struct shutoff_unit *, int64_t now_ms); /* so far */
const char *shutoff_state_name(enum shutoff_state);
const char *shutoff_step_text(enum shutoff_step, bool port); /* "caps per source" */
