/* SPDX-License-Identifier: GPL-3.0-or-later
 * turns.c - see turns.h.
 */
#include "modules/acme/turns.h"
#include <string.h>

bool turn_orders(const struct entry *e, int64_t now) {
    return !(e->number && e->ari_at && e->ari_at <= now && e->attempt_at > now);
}

static const char *name_shared(const struct entry *a, const struct entry *b) {
    for (size_t i = 0; i < a->name_count; i++)
        for (size_t j = 0; j < b->name_count; j++)
            if (!strcmp(a->name[i], b->name[j]))
                return a->name[i];
    return NULL;
}

/* Two that both were under way when the edge ended don't wait for each other. */
static bool answers_now(const struct entry *other, const struct entry *but) {
    return (other->busy && other->ordering) || (other->wanted && other->shown && !but->shown);
}

const char *turn_clash(const struct entry *e) {
    const char *name = NULL;
    if (!keeper.conf || !conf_has_challenge(keeper.conf, "tls-alpn-01"))
        return NULL;
    for (const struct entry *o = e->tenant->first; o && !name; o = o->next)
        if (o != e && answers_now(o, e))
            name = name_shared(e, o);
    return name;
}

static bool goes_first(const struct entry *a, int64_t a_due, const struct entry *b, int64_t b_due) {
    if (a->tenant->turn != b->tenant->turn)
        return a->tenant->turn < b->tenant->turn;
    if ((a->number > 0) != (b->number > 0))
        return a->number > 0;
    return a_due < b_due;
}

struct entry *turn_next(int64_t now, int64_t *ret_at) {
    struct entry *best = NULL;
    int64_t best_due = 0;
    *ret_at = 0;
    for (size_t i = 0; i < keeper.count; i++) {
        struct entry *e = keeper.entry[i];
        int64_t due = keeper.due[i];
        if (due > now && (!*ret_at || due < *ret_at))
            *ret_at = due;
        if (!due || due > now || (best && !goes_first(e, due, best, best_due)) ||
            (turn_orders(e, now) && turn_clash(e))) /* whoever it waits for wakes us */
            continue;
        best = e;
        best_due = due;
    }
    return best;
}

void turn_taken(struct entry *e) {
    e->tenant->turn = ++keeper.turns;
}
