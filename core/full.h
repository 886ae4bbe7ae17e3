/* SPDX-License-Identifier: MIT
 * full.h - queues that are full: whose source has been told to wait.
 *
 * A tenant that holds many of a worker's buffers is read from less, and when it holds nearly all of them the queue of its that has been
 * full the longest gives way. On the worker's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct worker;
struct account_worker;

struct full {                  /* embedded in whoever has a queue */
    struct full *next, **link; /* link NULL: it is not full */
    /* From the loop: ends what the queue is for. It has been removed. */
    void (*yield)(struct full *);
};

/* Are so many bytes enough to wait in a queue of this payer's, as it holds so much? */
bool queue_is_much(const struct worker *, const struct account_worker *payer, size_t bytes);
/* Nearly all is held by this payer's tenant: it is to begin nothing that would hold more. */
bool payer_holds_all(const struct worker *, const struct account_worker *payer);
/* It is full, if it was not; `payer` as long as it stays so. */
void full_add(struct worker *, struct account_worker *payer, struct full *);
void full_remove(struct worker *, struct account_worker *payer, struct full *);
/* It has turned out to be another's: if it is full, it is the last of his. */
static inline void full_move(struct worker *w, struct account_worker *from,
                             struct account_worker *to, struct full *f) {
    if (!f->link)
        return;
    full_remove(w, from, f);
    full_add(w, to, f);
}
