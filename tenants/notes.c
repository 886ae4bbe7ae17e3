/* SPDX-License-Identifier: GPL-3.0-or-later
 * notes.c - events: what could not be given, said once per object, with the time it was first so.
 */
#include "tenants/work.h"

enum { EVENTS_MAX = 1000 };

static const char *event_key(const struct work *w, const char *object, const char *message) {
    return stash_format(w->registry->scratch, "%s\n%s", object, message);
}

/* A tenant with a thousand names that wait has a thousand events, and is compiled with every look at one of them: what was said
 * before is found by hash. */
static void before_index(struct work *w) {
    const struct compiled *before = w->entry->compiled;
    w->before_indexed = true;
    for (size_t i = 0; before && i < before->event_count; i++) {
        struct event *event = &before->event[i];
        table_put(&w->events_before, event_key(w, event->object, event->message), event);
    }
}

static int64_t event_since(struct work *w, const char *key) {
    if (!w->before_indexed)
        before_index(w);
    const struct event *before = table_get(&w->events_before, key);
    return before ? before->since : w->now;
}

void note_event(struct work *w, const char *object, const char *file, struct spot at,
                const char *reason, const char *format, ...) {
    struct compiled *out = w->out;
    if (out->event_count >= EVENTS_MAX)
        return;
    va_list list;
    va_start(list, format);
    const char *message = stash_format_list(w->stash, format, list);
    va_end(list);
    const char *key = event_key(w, object, message);
    if (table_get(&w->events, key))
        return;
    table_put(&w->events, key, out);
    out->event = stash_room(w->stash, out->event, out->event_count, sizeof *out->event);
    out->event[out->event_count++] = (struct event){
        .object = stash_text(w->stash, object),
        .reason = reason,
        .message = message,
        .file = stash_text(w->stash, file ? file : ""),
        .at = at,
        .since = event_since(w, key),
    };
}
