/* SPDX-License-Identifier: GPL-3.0-or-later
 * events.c - a list in the order of time. Bounded per tenant, so that one that fails over and over does not push others' out, and
 * as a whole.
 */
#include "edge/events.h"
#include "tenants/time_json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static bool is_same(const json_t *row, const char *tenant, const char *object, const char *reason,
                    const char *message) {
    return !strcmp(text_of(row, "tenant"), tenant) && !strcmp(text_of(row, "object"), object) &&
           !strcmp(text_of(row, "reason"), reason) && !strcmp(text_of(row, "message"), message);
}

/* Takes the same one out of the list, if it is there: how often it was told. */
static json_int_t told_before(struct events *e, const char *tenant, const char *object,
                              const char *reason, const char *message, json_t **ret_since) {
    json_t *row;
    size_t i;
    json_array_foreach(e->list, i, row) {
        if (!is_same(row, tenant, object, reason, message))
            continue;
        json_int_t count = json_integer_value(json_object_get(row, "count"));
        *ret_since = json_incref(json_object_get(row, "since"));
        json_array_remove(e->list, i);
        return count;
    }
    return 0;
}

/* Its oldest goes when it has too many, then the oldest of all. */
static void room_make(struct events *e, const char *tenant) {
    size_t of_tenant = 0, oldest = 0, i;
    json_t *row;
    json_array_foreach(e->list, i, row) {
        if (!strcmp(text_of(row, "tenant"), tenant) && !of_tenant++)
            oldest = i;
    }
    if (of_tenant >= EVENTS_OF_TENANT)
        json_array_remove(e->list, oldest);
    else if (json_array_size(e->list) >= EVENTS_MOST)
        json_array_remove(e->list, 0);
}

/* Messages may quote what a server said. */
static json_t *text_json(const char *text) {
    json_t *value = json_string(text);
    return value ? value : json_string("(not UTF-8)");
}

void events_add(struct events *e, const char *tenant, const char *object, bool warning,
                const char *reason, const char *message, int64_t now) {
    json_t *since = NULL;
    if (!e->list && !(e->list = json_array()))
        return;
    json_int_t count = told_before(e, tenant, object, reason, message, &since);
    room_make(e, tenant);
    json_array_append_new(
        e->list, json_pack("{s:s s:s s:s s:s s:o s:o s:o s:I}", "tenant", tenant, "type",
                           warning ? "Warning" : "Normal", "object", object, "reason", reason,
                           "message", text_json(message), "since", since ? since : time_json(now),
                           "last", time_json(now), "count", count + 1));
}

void events_view(const struct events *e, const char *tenant, json_t *rows) {
    json_t *row;
    size_t i;
    json_array_foreach(e->list, i, row) {
        if (!tenant || !strcmp(text_of(row, "tenant"), tenant))
            json_array_append_new(rows, json_deep_copy(row));
    }
}

static const char head[] =
    "Events:\n  Type  Reason  From  Message\n  ----  ------  ----  -------\n";

/* Without the line that says there are none. True: a head is there already. */
static bool end_open(char *text) {
    char *none = strstr(text, "\nEvents:"), *line = none ? none + 1 : NULL;
    if (line && strstr(line, "<none>")) {
        *line = 0;
        line = NULL;
    }
    return line;
}

char *events_describe(const struct events *e, const char *tenant, const char *object, char *text) {
    char *out = NULL;
    size_t length, i;
    bool headed = false;
    json_t *row;
    FILE *stream = NULL;
    json_array_foreach(e->list, i, row) {
        if (strcmp(text_of(row, "tenant"), tenant) || strcmp(text_of(row, "object"), object))
            continue;
        if (!stream) {
            if (!(stream = open_memstream(&out, &length)))
                return text;
            headed = end_open(text);
            fprintf(stream, "%s%s", text, headed ? "" : head);
        }
        fprintf(stream, "  %s  %s  %s  %s\n", text_of(row, "type"), text_of(row, "reason"), object,
                text_of(row, "message"));
    }
    if (!stream)
        return text;
    free(text);
    fclose(stream);
    return out;
}

void events_forget(struct events *e, const char *tenant) {
    for (size_t i = json_array_size(e->list); i-- > 0;)
        if (!strcmp(text_of(json_array_get(e->list, i), "tenant"), tenant))
            json_array_remove(e->list, i);
}

void events_fini(struct events *e) {
    json_decref(e->list);
    e->list = NULL;
}
