/* SPDX-License-Identifier: GPL-3.0-or-later
 * notes.c - events: what could not be given, said once per object, with the time it was first so.
 */
#include "tenants/work.h"
#include <string.h>

enum { EVENTS_MAX = 1000 };

static int64_t event_since(const struct work *w, const char *object, const char *message) {
    const struct compiled *before = w->entry->compiled;
    for (size_t i = 0; before && i < before->event_count; i++)
        if (!strcmp(before->event[i].object, object) && !strcmp(before->event[i].message, message))
            return before->event[i].since;
    return w->now;
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
    for (size_t i = 0; i < out->event_count; i++)
        if (!strcmp(out->event[i].object, object) && !strcmp(out->event[i].message, message))
            return;
    out->event = stash_room(w->stash, out->event, out->event_count, sizeof *out->event);
    out->event[out->event_count++] = (struct event){
        .object = stash_text(w->stash, object),
        .reason = reason,
        .message = message,
        .file = stash_text(w->stash, file ? file : ""),
        .at = at,
        .since = event_since(w, object, message),
    };
}
