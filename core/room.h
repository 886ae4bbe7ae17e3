/* SPDX-License-Identifier: GPL-3.0-or-later
 * room.h - descriptors: how many the workers may use, and who gives some up when there are no more.
 *
 *   the process' limit = what the edge itself holds + a reserve for what it may need + what workers may use
 *
 * Workers stop before the kernel would stop them, so that the control thread can still accept an administrator, read a tenant's file,
 * write a row. When all that workers may use is in use, the tenant that holds the most gives up what it needs least: connections kept to
 * pods, then clients that are silent or idle, the longest first. Who is being served is left alone; if that is everybody, the newcomer
 * waits in the kernel's queue.
 *
 * Nor does it come to that by one tenant's doing: each may hold HEAD_ROOM times what is left, so that alone he stops at 8/9 and two at
 * 8/17 each; his own idle connections are given up for his next, and if he has none, that one is refused.
 */
#pragma once
#include "core/worker.h"

/* Before listeners are started: `open` are those that the edge holds already. */
void room_init(unsigned open);
/* The edge itself holds so many more, or fewer. Control thread. */
void room_shift(int more);
unsigned room_most(void);                  /* what workers may use */
unsigned room_clients_most(void);          /* of these, for clients: each may need one to a pod */
unsigned room_clients(void);               /* that there are */
bool room_is_there(const struct worker *); /* for one more client, as it is */
/* Is there room for one more; is made if need be? On the worker. */
bool room_for_client(struct worker *);
bool room_for_pod(struct worker *, const struct account *payer);
/* A client turns out to be this tenant's: does he hold so many that what is left is the others'? Then one of his is given up. */
bool room_admits(struct worker *, const struct account *payer);
/* Of this worker's; INT64_MAX: as many as anybody likes. */
int64_t room_left(const struct worker *);
/* So little is left that newcomers are to be taken one by one. */
bool room_is_tight(const struct worker *);
/* The kernel says that there are no more, whatever we had counted: some are given up when the turn ends. */
void room_short(struct worker *);
void room_turn(struct worker *); /* then */

/* ---- for strain.c ---- */
struct room_wish {
    account_measure *measure; /* by which one tenant holds the most */
    uint64_t *counter;        /* of the worker, of those who went */
    int64_t least;            /* who holds less gives up nothing: it would not help */
    unsigned part;            /* one of so many of its descriptors are to go */
    bool pods_only;           /* kept connections to pods: nobody can be in the midst of one */
    bool busy;                /* else only what is silent or idle */
};
/* How many are given up: a few now, for whoever waits, the others in the turns that follow. */
unsigned room_give_up(struct worker *, const struct room_wish *);

struct room_figures {
    uint64_t short_of; /* how often there was no room */
    uint64_t shed;     /* what was given up for that */
    uint64_t refused;  /* clients and pods that found none all the same */
};
struct room_figures room_sum(void);
/* Every beat, on the control thread, with what it adds up to: workers that hold much make room for those that found none. */
void room_beat(const struct room_figures *);
