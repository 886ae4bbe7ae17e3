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

static bool is_of(const char *path, const char *file_name) {
    const char *slash = strrchr(path, '/');
    return file_name && !strcmp(slash ? slash + 1 : path, file_name);
}

/* What is wrong with the object's own file is told as it is; with another one, where. */
static json_t *diags_json(const struct diags *diags, const char *file_name) {
    json_t *list = json_array();
    for (size_t i = 0; i < diags->count; i++) {
        const struct diag *d = &diags->item[i];
        bool own = is_of(d->file, file_name);
        if (!own && d->level != DIAG_ERROR)
            continue;
        json_t *message =
            own ? json_string(d->message)
                : json_sprintf("%s:%u:%u: %s", d->file, d->line, d->column, d->message);
        json_array_append_new(
            list, json_pack("{s:s s:o}", "level", d->level == DIAG_ERROR ? "error" : "warning",
                            "message", message ? message : json_string("(not UTF-8)")));
    }
    return list;
}

static enum control_put answer_of(enum object_done done, const struct err *err, char **ret_told) {
    if (done == OBJECT_FAILED)
        *ret_told = strdup(err->text);
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

static enum control_put planned_put(struct edge *e, const struct control_object *o,
                                    struct object_plan *plan, char **ret_told) {
    struct diags diags = DIAGS_INIT;
    struct err err;
    bool good = !plan->file || registry_check(e->registry, &plan->after.drop, &diags);
    json_t *told = diags_json(&diags, plan->file);
    diags_fini(&diags);
    *ret_told = json_dumps(told, JSON_COMPACT);
    json_decref(told);
    if (!good)
        return CONTROL_PUT_INVALID;
    if (o->dry_run || !plan->file)
        return CONTROL_PUT_DONE;
    enum object_done done = object_commit(plan, &err);
    if (done != OBJECT_DONE) {
        free(*ret_told);
        *ret_told = NULL;
        return answer_of(done, &err, ret_told);
    }
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
                                 .secret = o->secret};
    struct object_plan plan = {.file = NULL};
    struct err err;
    *ret_told = NULL;
    enum object_done done =
        object_plan(&place, o->text, o->text ? strlen(o->text) : 0, &plan, &err);
    if (done == OBJECT_FAILED) { /* another file of the tenant, most likely */
        json_t *told = json_pack("[{s:s s:s}]", "level", "error", "message", err.text);
        *ret_told = json_dumps(told, JSON_COMPACT);
        json_decref(told);
        return CONTROL_PUT_INVALID;
    }
    enum control_put answer =
        done == OBJECT_DONE && is_as_seen(e, o, &plan) && !watch_busy(&e->watch, o->tenant)
            ? planned_put(e, o, &plan, ret_told)
            : CONTROL_PUT_CHANGED;
    object_plan_fini(&plan);
    return answer;
}
