/* SPDX-License-Identifier: GPL-3.0-or-later
 * watch.c - see watch.h. What is not sent yet lies in the log, not with the watch: a thousand slow ones keep nothing.
 */
#include "modules/kube/watch.h"
#include "modules/kube/pay.h"
#include "modules/kube/selector.h"
#include "modules/kube/status.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    QUEUE_HIGH = 128 << 10, /* more is not encoded until the client has taken that */
    BOOKMARK_MS = 60000,
    LIFE_MS = 1800000, /* and up to as much again */
    TOKEN_LOOK_BEATS = 4,
};

struct watch {
    struct watch *next; /* of its tenant */
    struct watch *next_of_all, *previous_of_all;
    struct client *client;
    struct follow *follow;
    struct watch_wish wish;
    char *labels, *fields, token[TOKEN_ID_LENGTH + 1];
    char uid[64]; /* of the tenant it began with: a name may be used again */
    struct blob *
        *initial; /* what there was when it began, and is still to be sent; NULL: nothing */
    size_t initial_at, initial_count;
    uint64_t serial; /* the next change to look at */
    int64_t until_ms, bookmark_ms;
    bool columns_sent, over;
};

static struct watch *all;
static unsigned beats;
static _Atomic size_t count;

size_t watches_count(void) {
    return atomic_load(&count);
}

/* ---- forms ---- */

bool object_selected(const struct kube_kind *kind, const char *labels, const char *fields,
                     const json_t *object) {
    struct err err;
    return object && labels_match(labels, object, &err) == MATCH_YES &&
           fields_match(fields, kind, object, &err) == MATCH_YES;
}

json_t *object_shown(const struct kube_kind *kind, json_t *object, enum form form,
                     enum include_object include, bool with_columns) {
    if (form == FORM_PARTIAL)
        return json_pack("{s:s s:s s:O}", "kind", "PartialObjectMetadata", "apiVersion",
                         "meta.k8s.io/v1", "metadata", json_object_get(object, "metadata"));
    if (form != FORM_TABLE)
        return json_incref(object);
    json_t *table = table_new(
        kind,
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion")),
        with_columns);
    table_add(table, kind, object, include, time(NULL));
    return table;
}

/* ---- sending ---- */

/* Takes the object. */
static void event_send(struct watch *w, const char *type, json_t *object) {
    json_t *event = json_pack("{s:s s:o}", "type", type, "object", object);
    char *text = json_dumps(event, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    json_decref(event);
    if (text) {
        text[length++] = '\n'; /* in place of its NUL */
        client_chunk(w->client, text, length);
    }
    free(text);
}

static void object_send(struct watch *w, const char *type, json_t *object) {
    event_send(w, type,
               object_shown(w->wish.kind, object, w->wish.form, w->wish.include, !w->columns_sent));
    w->columns_sent = true;
}

static void bookmark_send(struct watch *w, bool initial_ends) {
    char version[RV_TEXT], api_version[API_VERSION_MAX];
    json_t *metadata = json_pack("{s:s s:n}", "resourceVersion", follow_version(w->follow, version),
                                 "creationTimestamp");
    if (initial_ends)
        json_object_set_new(metadata, "annotations",
                            json_pack("{s:s}", "k8s.io/initial-events-end", "true"));
    json_t *object = json_pack("{s:s s:s s:o}", "kind", w->wish.kind->kind, "apiVersion",
                               kind_api_version(w->wish.kind, api_version), "metadata", metadata);
    if (w->wish.form == FORM_TABLE) {
        json_t *table = table_new(w->wish.kind, version, false);
        json_array_append_new(json_object_get(table, "rows"),
                              json_pack("{s:[] s:o}", "cells", "object", object));
        object = table;
    }
    event_send(w, "BOOKMARK", object);
    w->bookmark_ms = server_now_ms() + BOOKMARK_MS;
}

static void change_send(struct watch *w, const struct change *c) {
    const char *labels = w->labels, *fields = w->fields;
    if (c->kind != w->wish.kind)
        return;
    json_t *before = blob_json(c->before), *after = blob_json(c->after);
    bool was = object_selected(c->kind, labels, fields, before);
    bool is = object_selected(c->kind, labels, fields, after);
    if (is)
        object_send(w, was ? "MODIFIED" : "ADDED", after);
    else if (was)
        object_send(w, "DELETED", before);
    json_decref(before);
    json_decref(after);
}

/* What comes after is not for this watch: clients know this one and list anew. */
static void gone_send(struct watch *w) {
    event_send(w, "ERROR", status_failure(410, "Expired", NULL, NULL, "too old resource version"));
}

static void watch_end(struct watch *w) {
    w->over = true;
    client_stream_end(w->client);
}

static bool may_send(const struct watch *w) {
    return client_queued(w->client) < QUEUE_HIGH && client_may_hold(w->client);
}

static void initial_end(struct watch *w) {
    while (w->initial_at < w->initial_count)
        blob_unref(w->initial[w->initial_at++]);
    free(w->initial);
    w->initial = NULL;
}

/* A part of it, which is paid for as a list is. */
static void initial_part_send(struct watch *w) {
    int64_t begun = server_now_ms();

    while (w->initial_at < w->initial_count && may_send(w)) {
        struct blob *b = w->initial[w->initial_at++];
        json_t *object = blob_json(b);
        if (object_selected(w->wish.kind, w->labels, w->fields, object))
            object_send(w, "ADDED", object);
        json_decref(object);
        blob_unref(b);
    }
    tenant_pays(w->follow->name, server_now_ms() - begun);
}

/* True: all of it was sent. */
static bool initial_send(struct watch *w) {
    if (!w->initial)
        return true;
    initial_part_send(w);
    if (w->initial_at < w->initial_count)
        return false;
    initial_end(w);
    if (w->wish.initial_ends)
        bookmark_send(w, true);
    return true;
}

/* True: all that is in the log was sent. */
static bool log_send(struct watch *w) {
    const struct follow *f = w->follow;
    while (w->serial < f->end && may_send(w)) {
        if (w->serial < f->first) {
            gone_send(w);
            w->over = true;
            return true;
        }
        change_send(w, follow_log(f, w->serial++));
    }
    return w->serial >= f->end;
}

static void watch_pump(struct watch *w) {
    if (w->over)
        return;
    if (strcmp(w->uid, w->follow->uid)) {
        watch_end(w);
        return;
    }
    bool all_sent = initial_send(w) && log_send(w);
    if (w->over)
        watch_end(w);
    else if (all_sent && w->wish.bookmarks && server_now_ms() >= w->bookmark_ms)
        bookmark_send(w, false);
}

void watch_drained(struct watch *w) {
    watch_pump(w);
}

/* ---- life ---- */

static void watch_link(struct watch *w) {
    w->next = w->follow->watches;
    w->follow->watches = w;
    w->next_of_all = all;
    if (all)
        all->previous_of_all = w;
    all = w;
    atomic_fetch_add(&count, 1);
}

void watch_free(struct watch *w) {
    struct watch **at = &w->follow->watches;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    *(w->previous_of_all ? &w->previous_of_all->next_of_all : &all) = w->next_of_all;
    if (w->next_of_all)
        w->next_of_all->previous_of_all = w->previous_of_all;
    w->follow->used_ms = server_now_ms();
    atomic_fetch_sub(&count, 1);
    initial_end(w);
    free(w->labels);
    free(w->fields);
    free(w);
}

/* False: no memory. */
static bool initial_take(struct watch *w) {
    w->initial = calloc(w->follow->count + 1, sizeof(struct blob *));
    for (size_t i = 0; w->initial && i < w->follow->count; i++)
        if (w->follow->list[i]->kind == w->wish.kind)
            w->initial[w->initial_count++] = blob_ref(w->follow->list[i]->object);
    return w->initial;
}

static int64_t life_of(const struct watch_wish *wish) {
    if (wish->timeout_ms)
        return wish->timeout_ms;
    return LIFE_MS + random() % LIFE_MS; /* not all of them at once */
}

struct watch *watch_begin(struct client *client, struct follow *f, const struct watch_wish *wish,
                          bool *ret_gone) {
    struct watch *w = calloc(1, sizeof *w);
    uint64_t serial = f->end;
    *ret_gone = !wish->initial && !follow_log_at(f, wish->version, &serial);
    if (*ret_gone || !w) {
        free(w);
        return NULL;
    }
    *w = (struct watch){.client = client,
                        .follow = f,
                        .wish = *wish,
                        .labels = wish->labels ? strdup(wish->labels) : NULL,
                        .fields = wish->fields ? strdup(wish->fields) : NULL,
                        .serial = serial,
                        .until_ms = server_now_ms() + life_of(wish),
                        .bookmark_ms = server_now_ms() + BOOKMARK_MS};
    snprintf(w->token, sizeof w->token, "%s", wish->token);
    snprintf(w->uid, sizeof w->uid, "%s", f->uid);
    if ((wish->labels && !w->labels) || (wish->fields && !w->fields) ||
        (wish->initial && !initial_take(w))) {
        free(w->labels);
        free(w->fields);
        free(w);
        return NULL;
    }
    watch_link(w);
    client_stream(client, "application/json");
    watch_pump(w);
    return w;
}

void watches_pump(struct follow *f) {
    for (struct watch *w = f->watches, *next; w; w = next) {
        next = w->next;
        watch_pump(w);
    }
}

static bool watch_is_over(const struct watch *w, int64_t now, bool look) {
    return now >= w->until_ms ||
           (look && (!w->follow->there || !token_is_good(w->token, time(NULL))));
}

void watches_beat(void) {
    int64_t now = server_now_ms();
    bool look = ++beats % TOKEN_LOOK_BEATS == 0;
    for (struct watch *w = all, *next; w; w = next) {
        next = w->next_of_all;
        if (!w->over && watch_is_over(w, now, look))
            watch_end(w);
        else if (!w->over && (w->initial ||
                              w->serial < w->follow->end || /* others of its tenant held too much */
                              (w->wish.bookmarks && now >= w->bookmark_ms)))
            watch_pump(w);
    }
}
