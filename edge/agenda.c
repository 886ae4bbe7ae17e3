/* SPDX-License-Identifier: GPL-3.0-or-later
 * agenda.c - see agenda.h. A wheel of ticks: a slot also holds what is due in a later round, and leaves it.
 */
#include "edge/agenda.h"

static struct agenda_item *item_of(struct queued_item *i) {
    return (struct agenda_item *)i;
}

static struct agenda_party *party_of(struct queued_item *i) {
    return (struct agenda_party *)i;
}
_Static_assert(!offsetof(struct agenda_item, item) && !offsetof(struct agenda_party, item),
               "which their links are, too");

void agenda_init(struct agenda *a, unsigned most, int64_t now_ns) {
    a->most = most;
    a->tick = now_ns / AGENDA_TICK_NS;
}

static void item_put(struct agenda_item *i, struct queue *in) {
    i->in = in;
    queue_put(in, &i->item);
}

/* A party stands in the round while someone of it is due. */
static void item_take(struct agenda *a, struct agenda_item *i) {
    struct agenda_party *p = i->party;
    if (!queue_holds(&i->item))
        return;
    queue_remove(i->in, &i->item);
    if (i->in == &p->due && !p->due.first)
        queue_remove(&a->turns, &p->item);
}

static void wheel_put(struct agenda *a, struct agenda_item *i, int64_t at_ns) {
    int64_t tick = (at_ns + AGENDA_TICK_NS - 1) / AGENDA_TICK_NS;
    i->tick = tick > a->tick ? tick : a->tick;
    item_put(i, &a->slot[i->tick % AGENDA_SLOTS]);
}

void agenda_remove(struct agenda *a, struct agenda_item *i) {
    item_take(a, i);
    a->running -= i->running;
    i->party->running -= i->running;
    i->running = false;
}

void agenda_wait(struct agenda *a, struct agenda_item *i, int64_t due_ns) {
    agenda_remove(a, i);
    wheel_put(a, i, due_ns);
}

void agenda_run(struct agenda *a, struct agenda_item *i, int64_t end_ns) {
    agenda_remove(a, i);
    i->running = true;
    a->running++;
    i->party->running++;
    wheel_put(a, i, end_ns);
}

static void item_due(struct agenda *a, struct agenda_item *i) {
    struct agenda_party *p = i->party;
    item_take(a, i);
    if (!p->due.first)
        queue_put(&a->turns, &p->item);
    item_put(i, &p->due);
}

struct agenda_item *agenda_late(struct agenda *a, int64_t now_ns) {
    for (; a->tick <= now_ns / AGENDA_TICK_NS; a->tick++)
        for (struct queued_item *at = a->slot[a->tick % AGENDA_SLOTS].first, *next; at; at = next) {
            struct agenda_item *i = item_of(at);
            next = at->next;
            if (i->tick > a->tick)
                continue;
            item_take(a, i);
            if (i->running)
                return i;
            item_due(a, i);
        }
    return NULL;
}

/* Those that may not are few: each of them has something running. */
struct agenda_item *agenda_next(struct agenda *a) {
    unsigned left = a->most - a->running;
    for (struct queued_item *at = left ? a->turns.first : NULL; at; at = at->next) {
        struct agenda_party *p = party_of(at);
        if (p->running >= left)
            continue;
        queue_remove(&a->turns, &p->item);
        queue_put(&a->turns, &p->item);
        return item_of(p->due.first);
    }
    return NULL;
}
