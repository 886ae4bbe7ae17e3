/* SPDX-License-Identifier: GPL-3.0-or-later
 * entries.c - see entries.h.
 */
#include "modules/acme/entries.h"
#include "modules/acme/crew.h"
#include <stdio.h>
#include <stdlib.h>

static bool room_make(void) {
    if (keeper.count < keeper.room)
        return true;
    size_t room = keeper.room ? keeper.room * 2 : 64;
    struct entry **entry = realloc(keeper.entry, room * sizeof(struct entry *));
    if (entry)
        keeper.entry = entry;
    int64_t *due = entry ? realloc(keeper.due, room * sizeof *due) : NULL;
    if (!due)
        return false;
    keeper.due = due;
    keeper.room = room;
    return true;
}

static void entry_free(struct entry *e) {
    texts_free(e->name, e->name_count);
    text_give(e->ingress);
    text_give(e->uid);
    text_give(e->issuer);
    text_give(e->directory);
    free(e->renewal_id);
    free(e->unreadable);
    free(e->error);
    free(e->problem);
    free(e->waits_for);
    free(e);
}

struct entry *entry_add(struct followed *f, const char *id, const char *uid, const char *ingress,
                        const char *const *name, size_t count) {
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    snprintf(e->id, sizeof e->id, "%s", id);
    e->tenant = f;
    e->uid = text_take(uid);
    e->ingress = text_take(ingress);
    e->name = texts_copy(name, count);
    e->name_count = (unsigned)count;
    if (!e->uid || !e->ingress || !e->name || !room_make() || !map_put(&keeper.entries, id, e)) {
        entry_free(e);
        return NULL;
    }
    e->index = (unsigned)keeper.count;
    keeper.entry[keeper.count] = e;
    keeper.due[keeper.count++] = 0;
    e->next = f->first;
    f->first = e;
    return e;
}

void entry_remove(struct entry *e) {
    struct entry **at = &e->tenant->first;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    size_t last = --keeper.count;
    keeper.entry[e->index] = keeper.entry[last];
    keeper.due[e->index] = keeper.due[last];
    keeper.entry[e->index]->index = e->index;
    map_remove(&keeper.entries, e->id);
    entry_free(e);
}

void entry_due(struct entry *e) {
    int64_t due = e->attempt_at;
    if (e->ari_at && e->ari_at < due)
        due = e->ari_at;
    keeper.due[e->index] = e->busy || e->gone || !e->wanted || e->impossible ? 0 : due;
    if (keeper.due[e->index])
        crew_wake();
}
