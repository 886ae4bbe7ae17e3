/* SPDX-License-Identifier: MIT
 * lull.h - a moment in which nobody else's answer is on its way.
 *
 * A request takes a worker several turns (what came, what its pod says, what goes out), and those follow each other within a tenth of a
 * millisecond where the pod is near. Something that takes as long as a turn, of who asks for such things all the time, would be met in
 * each of them. So it waits until nobody else was served for LULL_US, and of strangers, who may be anybody, for LULL_STRANGERS_US: then
 * a request meets one of them at most, when it comes. Where there is no such moment one goes on each LULL_EACH_US, tenants by turns; where
 * very many wait more often, so that LULL_MOST_MS is what they wait for, as long as one in a turn is enough for that.
 *
 *   chore -> its tenant had another in the last LULL_OFTEN_MS, and other tenants were met? -> no: its lane (turn.h)
 *                                                                        '-> yes: its tenant's line -> a lull, or its time -> its lane
 *
 * On the worker's thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct account;
struct chore;
struct worker;

enum {
    LULL_US = 100,
    LULL_STRANGERS_US = 60,
    LULL_EACH_US = 300,
    LULL_MOST_MS = 50,
    LULL_OFTEN_MS = 10,
    PAUSE_US = 150,
    PAUSE_MOST_US = 250
};

struct lull {                  /* of a worker */
    struct held *first, *last; /* who has something that waits */
    unsigned count;            /* of all of them */
    int64_t went_ns;           /* when one last went on, or the first came */
};

/* What is done a piece at a time, and might fill turn after turn, pauses after each. The kernel, too, does later what goes with the end of
 * a connection: all at once if that is ten thousand things (rcu_do_batch), for 10 ms and more. */
struct pause {
    int64_t least_ns;
    const struct account *of; /* whose the last piece was: a name only, it may be gone */
};
/* After a piece of who pays now. Where nobody else was met lately it is no pause at all. */
void pause_begin(const struct worker *, struct pause *);
/* Until the next piece may begin, 0: now. In a lull, or PAUSE_MOST_US later. */
int64_t pause_wait_ns(const struct worker *, const struct pause *);

/* As turn_put_chore, for what is dear; perhaps later. */
bool lull_put(struct worker *, struct account *tenant, struct chore *);
/* Its maker is gone: it runs soon, and is in nobody's way meanwhile. Where it does not wait, nothing. */
void lull_forget(struct worker *, struct chore *);
unsigned lull_held(const struct worker *, const struct account *tenant); /* so many wait */
/* Before lanes are served, while anything waits: what is to go on goes to its lane. Without memory it runs. */
void lull_run(struct worker *);
int64_t lull_wait_ns(const struct worker *); /* while anything waits: until it goes on */
void lull_end(struct worker *);              /* with the worker: they run, whose makers are gone */
