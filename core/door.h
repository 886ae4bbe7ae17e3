/* SPDX-License-Identifier: MIT
 * door.h - what workers ask before they let somebody in at a raw port, or by a tenant's names, that is held (core/shutoff.h).
 *
 *   control thread: door_set(at, level, rates) ──one pointer──▶ workers: is there a door? (one load; none: nothing else is done)
 *                                                                 │ level, buckets: a word each, shared
 *                                                                 └ sources: a bounded table of the worker's own
 *
 * Sources are counted by each worker for itself, with its part of the caps: the kernel spreads connections over workers evenly.
 * A table that is full forgets whoever has nothing open and came longest ago; who finds no room is judged by his network alone.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct account;
struct conn;
struct raw_port;
struct version;
struct worker;
union address;

struct door_conf {
    int64_t source_rate, source_open;   /* of one /32 or /64: connections a second, open at once */
    int64_t network_rate, network_open; /* of one /24 or /48 */
    int64_t source_requests, network_requests; /* a second, to held names */
    int64_t first_byte_ms, idle_ms;            /* from STEP_FIRST_DATA on */
    int64_t accepts, requests;                 /* a second, from STEP_ACCEPTS on */
    int64_t probation; /* connections a second that are let in on probation */
};

/* Where a door stands: at a raw port, or (port 0) before the names of the tenant that pays to this account. */
struct door_at {
    const struct account *names;
    uint16_t port;
};
struct door_rule {
    uint8_t level;             /* enum shutoff_step */
    int64_t accepts, requests; /* the budgets, a second */
};
struct door_figures {
    uint64_t refused; /* connections and requests, since the door is there */
    uint64_t waited;  /* accepts that had to wait for the budget */
    uint64_t sources; /* distinct ones that came, about */
};

/* ---- control thread ---- */
void doors_start(const struct door_conf *, unsigned workers);
/* Puts it there, or gives it another rule. False: no memory, nothing is held. */
bool door_set(const struct door_at *, const struct door_rule *);
void door_remove(const struct door_at *); /* everybody may come in again */
struct door_figures door_figures(const struct door_at *);
/* Connections that are there already, on all workers: a few in each turn, until all have been looked at. */
void door_watch(const struct door_at *); /* first byte and idle time count for them, too */
/* Ends those that never sent a byte, and those nothing has moved on for so long. */
void door_shed(const struct door_at *, int64_t idle_ms);
void door_reset(const struct door_at *); /* ends all */
void doors_fini(void);

/* ---- workers ---- */
struct door;
extern struct door *doors_by_port[65536];
extern struct door *doors_of_names; /* a list; nearly always empty */

static inline struct door *door_of_port(uint16_t port) {
    return __atomic_load_n(&doors_by_port[port], __ATOMIC_ACQUIRE);
}
struct door *door_find_names(const struct account *tenant);
static inline struct door *door_of_names(const struct account *tenant) {
    return __atomic_load_n(&doors_of_names, __ATOMIC_ACQUIRE) ? door_find_names(tenant) : (void *)0;
}
unsigned door_level(const struct door *);

/* Accepts have a budget now: each is asked for by itself. */
bool door_counts_accepts(const struct door *);
/* One more accept (0), or how many ms to wait, counted. */
int64_t door_accept_wait_ms(struct door *, const struct worker *);

/* One connection from this source; NULL: it is gone already. 0: refused, counted. Else a ticket for door_leave; it is good on this worker
 * only, and may outlive its door. */
enum { TICKET_NONE = 0, TICKET_UNCOUNTED = 1 };
uint32_t door_enter(struct door *, struct worker *, const union address *);
void door_leave(uint16_t port, struct worker *, uint32_t ticket);
/* A handshake, or a request, by names, of one from there, or who is gone (NULL). False: refused, counted. */
bool door_handshake(struct door *, struct worker *, const union address *);
bool door_request(struct door *, struct worker *, const union address *);
void door_idle_limits(const struct door *, int64_t *ret_first_byte_ms, int64_t *ret_idle_ms);

/* ---- held.c: the same for a connection ---- */
/* At its raw port, whose account pays for it in any case. False: turned away. *ret_ticket: for conn_leaves, in on_close. */
bool conn_enters(struct conn *, const struct raw_port *, uint32_t *ret_ticket);
void conn_leaves(struct conn *, uint32_t ticket);
/* A handshake (also one that is passed through) for a name of this tenant, before any cryptography. */
bool conn_may_shake(struct conn *, const struct version *);
/* After that said no, while the chain is asked. True: it is to wait; it will be asked again when it is time to refuse it. */
bool conn_stalls(struct conn *);
