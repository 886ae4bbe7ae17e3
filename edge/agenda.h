/* SPDX-License-Identifier: GPL-3.0-or-later
 * agenda.h - what is to be done when, for many parties that share a few places: who is due stands in his party's line, and parties
 * take turns.
 *
 *   agenda_wait --due--> the party's line --the party's turn--> agenda_next --> agenda_run --done--> agenda_wait ...
 *                                                                                  '--time is up--> agenda_late
 *
 * A party may have as many running as places are free besides: one alone gets half of them, and n of them settle at one share each
 * with one more left for the next who comes, however slow theirs are. Nothing is walked that is not due: ten thousand items cost nothing while they wait. Never allocates; the
 * time is an argument.
 */
#pragma once
#include "core/queue.h"

enum { AGENDA_SLOTS = 1024, AGENDA_TICK_NS = 100000000 };

struct agenda_party { /* zeroed: nothing due */
    struct queued_item item;
    struct queue due;
    unsigned running;
};

struct agenda_item { /* zeroed, but for its party: not in the agenda */
    struct queued_item item;
    struct queue *in;
    struct agenda_party *party;
    int64_t tick;
    bool running;
};

struct agenda {
    int64_t tick; /* the first that has not passed */
    unsigned running, most;
    struct queue turns; /* parties with someone due */
    struct queue slot[AGENDA_SLOTS];
};

/* Zeroed before; `most` run at once. */
void agenda_init(struct agenda *, unsigned most, int64_t now_ns);
/* Whatever it did: due from then on. A moment that has passed means now. */
void agenda_wait(struct agenda *, struct agenda_item *, int64_t due_ns);
/* Takes a place, until agenda_wait or agenda_remove; agenda_late brings it at `end_ns`. */
void agenda_run(struct agenda *, struct agenda_item *, int64_t end_ns);
void agenda_remove(struct agenda *, struct agenda_item *);
/* One that runs and whose time is up, to be told something else; NULL: no more. What else is due by now may have its turn. */
struct agenda_item *agenda_late(struct agenda *, int64_t now_ns);
/* Whose turn it is, to be told what to do; NULL: nobody is due, or nobody may. */
struct agenda_item *agenda_next(struct agenda *);
