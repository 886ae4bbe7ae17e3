/* SPDX-License-Identifier: GPL-3.0-or-later
 * queue.h - a line: first come, first served, and whoever goes away leaves from where he stands. Pure; whoever shares one locks it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queued_item {
    struct queued_item *next, **link; /* link NULL: not in a line */
};

struct queue { /* zeroed: empty */
    struct queued_item *first, *last;
    uint32_t count;
};

static inline bool queue_holds(const struct queued_item *i) {
    return i->link;
}

static inline void queue_put(struct queue *q, struct queued_item *i) {
    i->next = NULL;
    i->link = q->last ? &q->last->next : &q->first;
    *i->link = i;
    q->last = i;
    __atomic_store_n(&q->count, q->count + 1, __ATOMIC_SEQ_CST);
}

static inline void queue_remove(struct queue *q, struct queued_item *i) {
    *i->link = i->next;
    if (i->next)
        i->next->link = i->link;
    else
        q->last =
            i->link == &q->first
                ? NULL
                : (struct queued_item *)((char *)i->link - offsetof(struct queued_item, next));
    i->next = NULL;
    i->link = NULL;
    __atomic_store_n(&q->count, q->count - 1, __ATOMIC_SEQ_CST);
}

static inline struct queued_item *queue_take(struct queue *q) {
    struct queued_item *i = q->first;
    if (i)
        queue_remove(q, i);
    return i;
}

/* Without the lock: does anybody wait? */
static inline bool queue_waits(const struct queue *q) {
    return __atomic_load_n(&q->count, __ATOMIC_SEQ_CST);
}
