/* SPDX-License-Identifier: GPL-3.0-or-later
 * sweep.h - a way through all connections of a worker, a few in each turn.
 *
 * To end ten thousand connections takes the kernel a tenth of a second and more, and nobody else is to wait for that. So whoever ends
 * many (a port that is shut, a tenant that gives up some of what he holds, what was taken back) walks this way. Connections that come
 * meanwhile stand before the first and are not met. On the worker's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct sweep;
struct worker;

struct sweep_job {
    size_t size; /* of what a sweep is the first member of */
    /* One connection, not closed yet. True: it was ended. */
    bool (*each)(struct sweep *, struct conn *);
    /* Before each piece and after each end: is there still a reason? NULL: always. */
    bool (*stands)(const struct sweep *);
    /* The list is through. True: once more from the beginning. NULL: that was all. */
    bool (*again)(struct sweep *);
    void (*end)(struct sweep *, struct worker *); /* lets go of what it holds; NULL: nothing */
};

struct sweep {
    const struct sweep_job *job;
    struct conn *at;
    struct sweep *next;
};

/* Copies it (job->size bytes); NULL: without memory it was done at once. */
struct sweep *sweep_begin(struct worker *, struct sweep *model);
/* The one of this job that is under way, or NULL; also NULL from within `each`. */
struct sweep *sweep_find(const struct worker *, const struct sweep_job *);
/* Goes on at once, until so many are ended, enough has been looked at, or it is over. How many were ended. */
unsigned sweep_hurry(struct worker *, struct sweep *, unsigned ends);

/* Each turn, while there are any. */
void sweeps_run(struct worker *);
int64_t
sweeps_wait_ns(const struct worker *); /* while there are any: until their next piece, 0: now */
void sweeps_leave(struct worker *,
                  const struct conn *); /* about to be no connection of the worker's */
void sweeps_end(struct worker *);       /* with the worker */
