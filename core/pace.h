/* SPDX-License-Identifier: GPL-3.0-or-later
 * pace.h - a tenant's bandwidth, held by waiting: a socket that may not read or send now stands in line until its tenant has bytes.
 *
 *   sock: may I?  pace_most --0--> in line --pace_run, every 5 to 15 ms--> a promise of some bytes --> sock goes on
 *                     '--bytes--> moves that many at most --> pace_spent
 *
 * Nothing is dropped: a reader in line leaves the bytes in the kernel, whose window then stops the sender; a writer in line has
 * a queue that fills, and whoever fills it pauses. Each direction has the whole rate. Lines are per worker and tenant, first come,
 * first served; ticks come at random distances so that no worker is always the one that finds the bucket empty.
 *
 * Sends are paid before they begin, receives when they have come: who waits for a client that says nothing must not keep bytes from
 * others. So clients that all begin at once bring one piece each (1.5 KB, or 5 ms of the rate) at most beyond it, and that is owed:
 * nobody of this tenant goes on until it has been made good.
 */
#pragma once
#include "core/limit.h"
#include "core/sock.h"

struct pacer { /* of one client's socket whose tenant has a limiter */
    struct sock *sock;
    struct limit_slot *slot;
    struct pace_place {
        struct pacer *next, **link; /* link NULL: not in line */
        int64_t promised;           /* taken from the lease already */
    } place[2];
    int64_t held_ns, since_ns; /* how long it has stood in line before; 0, or since when it does */
};

/* The socket's account changes, or its limits have. False: no memory, nothing was changed. */
bool pace_charge(struct sock *, struct account *);
void pace_end(struct sock *);
bool pace_waits(const struct sock *); /* in line: what it has not moved is not the peer's doing */
int64_t pace_held_ns(const struct sock *); /* in all, since the account is who it is */
/* How many bytes may be moved now; 0: it stands in line, and is called. `limit`: LIMIT_BYTES_IN or _OUT. */
size_t pace_most(struct pacer *, enum limit);
void pace_spent(struct pacer *, enum limit, size_t bytes);
void pace_unspent(struct pacer *, enum limit, size_t bytes); /* of these, that many did not move */
/* Once a turn, while worker->paced: calls those whose time has come. */
void pace_run(struct worker *);
int64_t pace_wait_ns(const struct worker *); /* while it is: until the next tick */
