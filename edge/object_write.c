/* SPDX-License-Identifier: GPL-3.0-or-later
 * object_write.c - core/control_host.h's control_object_put: an object of an API's becomes a file, if the whole drop is still good with it.
 *
 *   plan on what is on disk -> is that what was loaded, and what the asker saw? -> check as any drop -> write -> load -> live
 */
#include "core/control_host.h"
#include "core/module.h"
#include "edge/edge.h"
#include "edge/host.h"
#include "edge/object_file.h"
#include <stdlib.h>
#include <string.h>

static json_t *text_json(const char *text, size_t length) {
    json_t *value = json_stringn(text, length);
    return value ? value : json_string("(not UTF-8)");
}

/* All errors, and of warnings those of this file: others were told when they were made. */
static json_t *diags_json(const struct diags *diags, const char *file) {
    json_t *list = json_array();
    for (size_t i = 0; i < diags->count; i++) {
        const struct diag *d = &diags->item[i];
        if (d->level != DIAG_ERROR && strcmp(d->file, file) != 0)
            continue;
        json_array_append_new(
            list, json_pack("{s:b s:o s:i s:i s:o}", "error", d->level == DIAG_ERROR, "file",
                            text_json(d->file, strlen(d->file)), "line", (int)d->line, "column",
                            (int)d->column, "message", text_json(d->message, strlen(d->message))));
    }
    return list;
}

/* The file that is to be written goes along: who made the object finds in it what an error is about. */
static char *told_text(const struct diags *diags, const struct object_plan *plan) {
    const struct source *at = NULL;
    for (size_t i = 0; plan->file && i < plan->after.drop.source_count; i++)
        if (!strcmp(plan->after.source[i].name, plan->file))
            at = &plan->after.source[i];
    json_t *list = diags_json(diags, at ? at->path : ""), *told = json_pack("{s:o}", "diags", list);
    if (at && json_array_size(list)) {
        json_object_set_new(told, "file", text_json(at->path, strlen(at->path)));
        json_object_set_new(told, "text", text_json(at->text, at->length));
    }
    char *text = json_dumps(told, JSON_COMPACT);
    json_decref(told);
    return text;
}

/* Where conf.d lies is the operator's business, and this is told to the tenant. */
static const char *without_conf_d(const char *text, const char *conf_d) {
    size_t n = strlen(conf_d);
    return !strncmp(text, conf_d, n) && text[n] == '/' ? text + n + 1 : text;
}

/* "FILE:LINE:COLUMN: message", or just a message, which may have a colon too. */
static char *failure_told(const struct err *err, const char *conf_d, const struct object_plan *p) {
    struct diags diags = DIAGS_INIT;
    const char *text = without_conf_d(err->text, conf_d), *colon = strstr(text, ": ");
    bool placed = text != err->text && colon;
    char place[sizeof err->text] = "";
    if (placed)
        snprintf(place, sizeof place, "%.*s", (int)(colon - text), text);
    diags_add(&diags, DIAG_ERROR, place, 0, 0, "%s", placed ? colon + 2 : text);
    char *told = told_text(&diags, p);
    diags_fini(&diags);
    return told;
}

static enum control_put answer_of(enum object_done done, const struct err *err, const char *conf_d,
                                  char **ret_told) {
    if (done == OBJECT_FAILED)
        *ret_told = strdup(without_conf_d(err->text, conf_d));
    return done == OBJECT_DONE      ? CONTROL_PUT_DONE
           : done == OBJECT_CHANGED ? CONTROL_PUT_CHANGED
                                    : CONTROL_PUT_FAILED;
}

/* Is what stands on disk what serves, or was refused, and what the asker saw? */
static bool is_as_seen(struct edge *e, const struct control_object *o,
                       const struct object_plan *plan) {
    if (control_digest(e, o->tenant) != plan->before.digest) {
        struct reload_result r = {.diags = DIAGS_INIT};
        control_load(e, o->tenant, &r); /* the watcher would have come to it in a moment */
        control_flush(e);
        diags_fini(&r.diags);
        return false;
    }
    const struct version *v = published(o->tenant);
    char *objects = control_get("objects", o->tenant);
    bool same = v && !strcmp(v->tenant->uid, o->uid) && objects &&
                hash_bytes(objects, strlen(objects)) == o->seen;
    free(objects);
    return same;
}

static void take_over(struct edge *e, const char *tenant) {
    struct reload_result r = {.diags = DIAGS_INIT};
    control_load(e, tenant, &r);
    control_flush(e);
    diags_fini(&r.diags);
}

/* Whoever lost it finds it. */
static void kept_tell(struct edge *e, const char *tenant, const char *kept) {
    char text[500];
    if (!kept)
        return;
    snprintf(
        text, sizeof text,
        "a write was cut off, or somebody else's file lay in its way: that is %.300s of conf.d "
        "now; it may be removed when nobody misses it",
        kept);
    events_add(&e->events, tenant, "Tenant", true, "WriteCutOff", text, time(NULL));
}

static enum control_put planned_put(struct edge *e, const struct control_object *o,
                                    struct object_plan *plan, char **ret_told) {
    struct diags diags = DIAGS_INIT;
    struct err err;
    bool good = !plan->file || registry_check(e->registry, &plan->after.drop, &diags);
    *ret_told = told_text(&diags, plan);
    diags_fini(&diags);
    if (!good)
        return CONTROL_PUT_INVALID;
    if (o->dry_run || !plan->file)
        return CONTROL_PUT_DONE;
    enum object_done done = object_commit(plan, &err);
    kept_tell(e, o->tenant, plan->kept);
    if (done != OBJECT_DONE) {
        free(*ret_told);
        *ret_told = NULL;
        return answer_of(done, &err, e->conf->conf_d, ret_told);
    }
    recent_put(&e->recent, &plan->after, loop_now_ns() / 1000000); /* but for the one file */
    take_over(e, o->tenant);
    return CONTROL_PUT_DONE;
}

enum control_put object_write(struct edge *e, const struct control_object *o, char **ret_told) {
    struct object_place place = {.conf_d = e->conf->conf_d,
                                 .tenant = o->tenant,
                                 .api_version = o->api_version,
                                 .kind = o->kind,
                                 .name = o->name,
                                 .file_name = o->file_name,
                                 .there = o->there,
                                 .was = recent_find(&e->recent, o->tenant),
                                 .secret = o->secret};
    struct object_plan plan = {.file = NULL};
    struct err err;
    *ret_told = NULL;
    enum object_done done =
        object_plan(&place, o->text, o->text ? strlen(o->text) : 0, &plan, &err);
    if (done == OBJECT_FAILED) { /* another file of the tenant, most likely */
        *ret_told = failure_told(&err, e->conf->conf_d, &plan);
        return CONTROL_PUT_INVALID;
    }
    enum control_put answer =
        done == OBJECT_DONE && is_as_seen(e, o, &plan) && !watch_busy(&e->watch, o->tenant)
            ? planned_put(e, o, &plan, ret_told)
            : CONTROL_PUT_CHANGED;
    if (plan.before.tenant && !recent_find(&e->recent, o->tenant))
        recent_put(&e->recent, &plan.before, loop_now_ns() / 1000000);
    object_plan_fini(&plan);
    return answer;
}
