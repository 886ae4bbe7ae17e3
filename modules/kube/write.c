/* SPDX-License-Identifier: GPL-3.0-or-later
 * write.c - see write.h. A patch is one to what kubectl was shown; what the edge itself added to that is taken away again before it is
 * written (compose_undo), so that files say what the tenant said.
 */
#include "modules/kube/write.h"
#include "core/control_host.h"
#include "modules/kube/apply.h"
#include "modules/kube/blame.h"
#include "modules/kube/body.h"
#include "modules/kube/containers.h"
#include "modules/kube/desk.h"
#include "modules/kube/parts.h"
#include "modules/kube/patch.h"
#include "modules/kube/pay.h"
#include "modules/kube/server.h"
#include "modules/kube/status.h"
#include "modules/kube/tokens.h"
#include "modules/kube/validate.h"
#include "modules/kube/yaml_out.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    ATTEMPTS_MOST = 10,
    WARNINGS_MOST = 8,
    WARNING_MAX = 300,
    MANAGER_MOST = 128,
    SHARE = 5,       /* a fifth of the control thread's time is for one tenant's writes, at most */
    CREDIT_MS = 500, /* of that: who has not written for a while may spend 100 ms at once */
    SHARE_ALONE = 2, /* half of it while nobody else asks: drops and checks go on beside */
    CREDIT_ALONE_MS = 12000, /* and 6 s at once: many documents in one apply */
    LINE_MOST = 100,         /* that wait, of one tenant */
    WAITING_MOST = 1000,     /* and of all */
};

struct put {
    struct job job;
    struct writing *writing; /* NULL: whoever asked is gone */
    struct line *line;
    struct control_object object;
    char tenant[64], uid[64], api_version[API_VERSION_MAX], name[260], file_name[YAML_NAME_MAX + 1];
    char *text, *told;
    enum control_put answer;
    int64_t took_ms;
};

/* The writes of one tenant, one after the other: they would only get in each other's way. */
struct line {
    struct writing *first, **last;
    unsigned count;
    bool going; /* the first one is */
    bool busy;  /* the control thread has one of them, whether anybody still wants to know or not */
    int64_t
        paid_ms; /* when what its writes have cost the control thread is its share of the time */
    int64_t paid_alone_ms; /* and of what is its share while nobody else asks */
    char tenant[64];
};

struct writing {
    struct asker asker;
    struct line *line;
    struct writing *next; /* in it */
    struct write_wish wish;
    enum body_form form;
    json_t *body;
    json_t *live;   /* as it is; NULL: there is none */
    json_t *shown;  /* as it shall be, as kubectl would be shown it */
    char uid[64];   /* of what is deleted */
    char name[260]; /* of what is created */
    bool dry_run, created;
    enum strictness strictness;
    json_t *warned;        /* texts */
    size_t warned_of_body; /* so many of them are about it as it came */
    unsigned attempts;
    char *warnings;  /* as header lines */
    struct put *put; /* on the control thread */
};

/* ---- the end ---- */

static struct map lines;
static unsigned waiting; /* in all of them */

static bool known_at_once; /* while follow_ask is called: nobody looks */

static void live_ask(struct writing *w);

/* Who waits for an answer asks nothing meanwhile. */
static bool line_alone(const struct line *l) {
    return waiting == l->count && tenant_alone(l->tenant);
}

/* For the others' sake: while there are none, only so that drops and checks go on beside. */
static bool line_waits(const struct line *l) {
    int64_t now = server_now_ms();
    return line_alone(l) ? now + CREDIT_ALONE_MS < l->paid_alone_ms : now + CREDIT_MS < l->paid_ms;
}

static void line_go(struct line *l) {
    if (!l->first || l->going || l->busy || line_waits(l))
        return;
    l->going = true;
    live_ask(l->first);
}

static void line_leave(struct writing *w) {
    struct line *l = w->line;
    if (!l)
        return;
    l->going &= l->first != w;
    struct writing **at = &l->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (l->last == &w->next)
        l->last = at;
    w->line = NULL;
    l->count--;
    waiting--;
    if (!known_at_once) /* else live_ask does, when it knows what that one took */
        line_go(l);
}

static int64_t paid_more(int64_t paid_ms, int64_t took_ms, int64_t share) {
    int64_t begun = server_now_ms() - took_ms;
    return (paid_ms > begun ? paid_ms : begun) + took_ms * share;
}

/* The control thread is everybody's: who makes it do much, at once or bit by bit, waits. What was done while nobody else asked is no
 * debt to who comes then. */
static void line_pay(struct line *l, int64_t took_ms) {
    l->paid_alone_ms = paid_more(l->paid_alone_ms, took_ms, SHARE_ALONE);
    if (!line_alone(l))
        l->paid_ms = paid_more(l->paid_ms, took_ms, SHARE);
}

void writes_beat(void) {
    int64_t now = server_now_ms();
    for (size_t i = 0; i < lines.room; i++) {
        struct line *l = lines.slot[i].key ? lines.slot[i].value : NULL;
        if (!l)
            continue;
        line_go(l);
        if (l->first || l->busy || now < l->paid_ms || now < l->paid_alone_ms)
            continue;
        free(map_remove(&lines, l->tenant));
        return; /* slots have moved; the rest goes with the next beats */
    }
}

/* NULL: no memory. */
static struct line *line_need(const char *tenant) {
    struct line *l = map_get(&lines, tenant);
    if (l || !(l = calloc(1, sizeof *l)))
        return l;
    snprintf(l->tenant, sizeof l->tenant, "%s", tenant);
    l->last = &l->first;
    if (map_put(&lines, l->tenant, l))
        return l;
    free(l);
    return NULL;
}

static void line_join(struct line *l, struct writing *w) {
    w->line = l;
    *l->last = w;
    l->last = &w->next;
    l->count++;
    waiting++;
}

static void writing_free(struct writing *w) {
    line_leave(w);
    follow_forget(&w->asker);
    if (w->put)
        w->put->writing = NULL;
    json_decref(w->body);
    json_decref(w->live);
    json_decref(w->shown);
    json_decref(w->warned);
    free(w->warnings);
    free(w);
}

void write_forget(struct writing *w) {
    writing_free(w);
}

/* Takes the value. */
static void finish(struct writing *w, int code, json_t *value) {
    *w->wish.slot = NULL;
    w->wish.answer(w->wish.user, code, value, w->warnings);
    writing_free(w);
}

static void finish_status(struct writing *w, json_t *status) {
    finish(w, status_code(status), status);
}

static const char *metadata_text(const json_t *object, const char *key) {
    return text_of(json_object_get(object, "metadata"), key);
}

/* Takes what is in the fault. */
static void finish_fault(struct writing *w, struct fault *fault) {
    const struct kube_kind *k = w->wish.kind;
    const char *name = *w->name ? w->name : metadata_text(w->body, "name");
    struct fault_about about = {k->group, k->kind, *name ? name : NULL};
    bool only_said = fault->code == 422 && !fault_causes(fault);
    if (only_said) /* kubectl shows of a 422 nothing but its causes */
        fault_cause(fault, "FieldValueInvalid", w->wish.verb == VERB_PATCH ? "patch" : "", "%s",
                    fault->message ? fault->message : "");
    if (only_said || (fault_causes(fault) && !fault->code))
        fault_invalid(fault, &about);
    json_t *status = fault_status(fault, &about);
    fault_fini(fault);
    finish_status(w, status);
}

static bool differs(const char *wanted, const char *is) {
    return *wanted && strcmp(wanted, is);
}

/* The query's parameters, or the body of a DELETE. Takes what is in the fault. */
static void finish_options(struct writing *w, struct fault *fault) {
    static const char *const names[] = {[VERB_CREATE] = "CreateOptions",
                                        [VERB_UPDATE] = "UpdateOptions",
                                        [VERB_PATCH] = "PatchOptions",
                                        [VERB_DELETE] = "DeleteOptions"};
    const struct fault_about about = {"meta.k8s.io", names[w->wish.verb], NULL};
    fault_invalid(fault, &about);
    json_t *status = fault_status(fault, &about);
    fault_fini(fault);
    finish_status(w, status);
}

static json_t *conflict_status(const struct writing *w) {
    char resource[RESOURCE_NAME_MAX];
    return status_failure(409, "Conflict", w->wish.kind, w->name,
                          "Operation cannot be fulfilled on %s \"%s\": the object has been "
                          "modified; please apply your changes to the latest version and try "
                          "again",
                          kind_resource_name(w->wish.kind, resource), w->name);
}

/* It is of a version, or of a life, that is over. */
static json_t *stale_status(const struct writing *w, const char *uid) {
    char resource[RESOURCE_NAME_MAX];
    const char *is = metadata_text(w->live, "uid");
    if (!w->live)
        return status_failure(409, "Conflict", w->wish.kind, w->name,
                              "Operation cannot be fulfilled on %s \"%s\": uid mismatch: the "
                              "provided object specified uid %.100s, and no existing object was "
                              "found",
                              kind_resource_name(w->wish.kind, resource), w->name, uid);
    if (!differs(uid, is))
        return conflict_status(w);
    return status_failure(409, "Conflict", w->wish.kind, w->name,
                          "Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in "
                          "precondition: %.100s, UID in object meta: %s",
                          kind_resource_name(w->wish.kind, resource), w->name, uid, is);
}

/* ---- what it shall be ---- */

static void author_of(const struct writing *w, struct author *a, char api_version[API_VERSION_MAX],
                      char when[32]) {
    const char *manager = target_query(w->wish.target, "fieldManager");
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    *a = (struct author){manager && *manager ? manager : "unknown",
                         kind_api_version(w->wish.kind, api_version), when};
}

/* A diff shows nothing of what is in there as bytes, and finds nothing where it is the same. */
static void texts_fold(json_t *object) {
    if (!strcmp(text_of(object, "kind"), "Secret"))
        secret_fold(object);
}

/* Nobody owns a field that there is not. */
static bool applied(struct writing *w, const json_t *live, const struct shape *shape,
                    struct fault *fault, json_t **ret) {
    char api_version[API_VERSION_MAX], when[32];
    struct author author;
    author_of(w, &author, api_version, when);
    json_t *body = json_deep_copy(w->body);
    texts_fold(body);
    bool good = object_strict(body, live, shape, w->strictness, w->warned, fault) &&
                apply_server_side(live, body, shape, &author, target_flag(w->wish.target, "force"),
                                  fault, ret);
    json_decref(body);
    return good;
}

/* To the Ingress `default`: what the edge adds to it is nobody's field, and in nobody's way. */
static bool applied_to_default(struct writing *w, const struct follow *f, bool written,
                               const struct shape *shape, struct fault *fault, json_t **ret) {
    json_t *known = follow_known(f), *own = written ? json_deep_copy(w->live) : NULL;
    if (own)
        compose_undo(w->wish.kind, known, NULL, own);
    bool good = applied(w, own, shape, fault, ret);
    if (good)
        compose_redo(known, *ret);
    json_decref(own);
    json_decref(known);
    return good;
}

/* Fields have owners from the first server-side apply on: until then files stay free of them. */
static void owners_track(struct writing *w, const json_t *live, const struct shape *shape,
                         json_t *object) {
    char api_version[API_VERSION_MAX], when[32];
    struct author author;
    if (!live || !json_object_get(json_object_get(live, "metadata"), "managedFields"))
        return;
    author_of(w, &author, api_version, when);
    apply_track(live, object, shape, &author);
}

static bool patched(struct writing *w, const struct follow *f, const struct kept *k,
                    const struct shape *shape, struct fault *fault, json_t **ret) {
    const json_t *live = w->live;
    bool good;
    switch (w->form) {
    case BODY_MERGE:
        good = patch_merge(live, w->body, fault, ret);
        break;
    case BODY_JSON_PATCH:
        good = patch_json(live, w->body, fault, ret);
        break;
    case BODY_STRATEGIC:
        good = patch_strategic(live, w->body, shape, fault, ret);
        break;
    default:
        return live && is_default_ingress(live)
                   ? applied_to_default(w, f, k->written, shape, fault, ret)
                   : applied(w, live, shape, fault, ret);
    }
    if (good) {
        texts_fold(*ret);
        owners_track(w, live, shape, *ret);
    }
    return good;
}

/* Of a life elsewhere, or made up: nothing here is being deleted, or counted. */
static const char *const servers[] = {"deletionTimestamp", "deletionGracePeriodSeconds",
                                      "generation", "selfLink"};

static void identity_make(json_t *object) {
    json_t *metadata = json_object_get(object, "metadata");
    uint8_t b[16] = {0};
    char uid[UID_TEXT];
    if (getrandom(b, sizeof b, 0) != sizeof b)
        abort(); /* fails never for so few */
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    snprintf(uid, sizeof uid,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
    json_object_set_new(metadata, "uid", json_string(uid));
    json_object_set_new(metadata, "creationTimestamp", time_json(time(NULL)));
    json_object_set_new(metadata, "namespace", json_string("default"));
    json_object_del(metadata, "resourceVersion");
    json_object_del(metadata, "generateName");
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
        json_object_del(metadata, servers[i]);
}

static void metadata_restore(const json_t *live, json_t *metadata, const char *key) {
    json_t *value = json_object_get(json_object_get(live, "metadata"), key);
    if (value)
        json_object_set(metadata, key, value);
    else
        json_object_del(metadata, key);
}

/* Whatever a client says of them: who it is and since when is not its to change. What the edge made and somebody writes now is his. */
static void identity_keep(const struct kept *k, const json_t *live, json_t *object) {
    static const char *const kept[] = {"uid", "creationTimestamp", "name", "namespace",
                                       "resourceVersion"};
    json_t *metadata = json_object_get(object, "metadata");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        metadata_restore(live, metadata, kept[i]);
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
        metadata_restore(live, metadata, servers[i]);
    if (!k->written && !is_default_ingress(object))
        identity_make(object);
}

/* Of a Pod's /status nothing but the status is written, and what metadata says of it. */
static void status_only(const struct writing *w, json_t *object) {
    json_t *spec = json_object_get(w->live, "spec");
    if (!*w->wish.target->subresource)
        return;
    if (spec)
        json_object_set_new(object, "spec", json_deep_copy(spec));
    else
        json_object_del(object, "spec");
}

static bool has_node_ports(const json_t *service) {
    const char *type = text_of(json_object_get(service, "spec"), "type");
    return !strcmp(type, "NodePort") || !strcmp(type, "LoadBalancer");
}

/* A Service that is not of that type any more lets go of the numbers it had. */
static void node_ports_drop(const struct writing *w, json_t *object) {
    json_t *port, *was;
    size_t i, k;
    if (strcmp(w->wish.kind->kind, "Service") || !has_node_ports(w->live) || has_node_ports(object))
        return;
    json_array_foreach(json_object_get(json_object_get(object, "spec"), "ports"), i, port) {
        json_array_foreach(json_object_get(json_object_get(w->live, "spec"), "ports"), k, was) {
            if (int_of(port, "nodePort") == int_of(was, "nodePort"))
                json_object_del(port, "nodePort");
        }
    }
}

/* What it was made from may be old by now. */
static bool versions_agree(const json_t *live, const json_t *object) {
    return !differs(metadata_text(object, "resourceVersion"),
                    metadata_text(live, "resourceVersion")) &&
           !differs(metadata_text(object, "uid"), metadata_text(live, "uid"));
}

/* What is applied may have been read before, and the object be another, or gone, by now. */
static bool applied_is_of(const json_t *live, const json_t *body) {
    return live ? versions_agree(live, body) : !*metadata_text(body, "uid");
}

static bool object_is_sane(const struct writing *w, const json_t *object, struct fault *fault) {
    char api_version[API_VERSION_MAX];
    const json_t *metadata = json_object_get(object, "metadata");
    if (!json_is_object(metadata))
        return fault_set(fault, 400, "BadRequest", "metadata: must be an object");
    if (differs(text_of(object, "kind"), w->wish.kind->kind) || !*text_of(object, "kind"))
        return fault_set(fault, 400, "BadRequest", "kind: can't be changed");
    if (strcmp(text_of(object, "apiVersion"), kind_api_version(w->wish.kind, api_version)))
        return fault_set(fault, 400, "BadRequest", "apiVersion: can't be changed");
    if (differs(text_of(metadata, "namespace"), "default"))
        return fault_set(fault, 400, "BadRequest",
                         "the namespace of the provided object does not match the namespace sent "
                         "on the request");
    if (strcmp(text_of(metadata, "name"), w->name))
        return fault_set(fault, 400, "BadRequest",
                         "the name of the object (%.260s) does not match the name on the URL "
                         "(%.260s)",
                         text_of(metadata, "name"), w->name);
    return true;
}

/* ---- onto the control thread ---- */

static const json_t *original_of(const json_t *known, const struct kube_kind *kind,
                                 const char *name) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(known, "objects"), i, row) {
        const json_t *object = json_object_get(row, "object");
        if (!strcmp(text_of(object, "kind"), kind->kind) && !strcmp(object_name(object), name))
            return object;
    }
    return NULL;
}

static void put_free(struct job *j) {
    struct put *p = (struct put *)j;
    if (p->writing)
        p->writing->put = NULL;
    free(p->text);
    free(p->told);
    free(p);
}

/* The edge ends: nobody is answered any more. */
static void put_lost(struct job *j) {
    put_free(j);
}

static void put_run(struct job *j) {
    struct put *p = (struct put *)j;
    int64_t begun = server_now_ms();
    p->answer = control_object_put(&p->object, &p->told);
    p->took_ms = server_now_ms() - begun;
}

static void put_done(struct job *j);

static void put_begin(struct writing *w, const struct follow *f, char *text) {
    struct put *p = calloc(1, sizeof *p);
    const struct kept *k = follow_find(f, w->wish.kind->kind, w->name);
    char api_version[API_VERSION_MAX];
    if (!p) {
        free(text);
        finish_status(w, status_failure(503, "ServiceUnavailable", NULL, NULL, "out of memory"));
        return;
    }
    p->job = (struct job){.run = put_run, .done = put_done, .lost = put_lost};
    p->text = text;
    p->writing = w;
    p->line = w->line;
    w->put = p;
    snprintf(p->tenant, sizeof p->tenant, "%s", w->wish.tenant);
    snprintf(p->api_version, sizeof p->api_version, "%s",
             kind_api_version(w->wish.kind, api_version));
    snprintf(p->name, sizeof p->name, "%s", w->name);
    if (!yaml_file_name(w->wish.kind->kind, w->name, p->file_name)) {
        put_free(&p->job);
        struct fault fault = {.code = 0};
        fault_cause(&fault, "FieldValueInvalid", "metadata.name",
                    "too long, or not to be had as a file");
        finish_fault(w, &fault);
        return;
    }
    snprintf(p->uid, sizeof p->uid, "%s", f->uid);
    p->object = (struct control_object){.tenant = p->tenant,
                                        .uid = p->uid,
                                        .api_version = p->api_version,
                                        .kind = w->wish.kind->kind,
                                        .name = p->name,
                                        .file_name = p->file_name,
                                        .text = p->text,
                                        .there = k && k->written,
                                        .secret = !strcmp(w->wish.kind->kind, "Secret"),
                                        .dry_run = w->dry_run,
                                        .seen = f->objects_hash};
    p->line->busy = true;
    desk_ask(&p->job);
}

/* Of what is only tried, what would be shown of it. */
static void shown_again(struct writing *w, const json_t *known, const json_t *written) {
    if (w->dry_run)
        compose_defaults(w->shown);
    if (!w->dry_run || strcmp(w->wish.kind->kind, "Ingress"))
        return;
    json_t *again = json_deep_copy(written);
    json_object_set(again, "metadata", json_object_get(w->shown, "metadata"));
    compose_redo(known, again);
    json_decref(w->shown);
    w->shown = again;
}

/* All that is known of a tenant is much to be read, and of most objects there is nothing to be taken away. */
static bool needs_known(const struct writing *w) {
    const char *kind = w->wish.kind->kind;
    bool enlivened = w->live && (!strcmp(kind, "Service") || !strcmp(kind, "Pod"));
    return w->dry_run || enlivened || is_default_ingress(w->shown);
}

static void object_put(struct writing *w, const struct follow *f) {
    json_t *written = json_deep_copy(w->shown), *known = needs_known(w) ? follow_known(f) : NULL;
    size_t length;
    compose_undo(w->wish.kind, known, original_of(known, w->wish.kind, w->name), written);
    shown_again(w, known, written);
    json_decref(known);
    char *text = yaml_out(written, &length);
    json_decref(written);
    struct fault fault = {.code = 0};
    if (text) {
        put_begin(w, f, text);
    } else {
        fault_set(&fault, 422, "Invalid", "the object can't be written as YAML");
        finish_fault(w, &fault);
    }
}

/* ---- each verb, once the object is known as it is ---- */

static void warnings_print(struct writing *w);

/* What is as it was is not written again, and stays of its version. `live`: NULL: no file has it. Where the files were refused, what is
 * shown is what was good, and not what stands there. */
static bool is_no_change(const struct writing *w, const struct follow *f, const json_t *live) {
    return live && !f->refused && json_equal(w->shown, live);
}

/* Takes the object. What is wrong with it as it stands is said here; what the whole drop says, by the control thread. */
static void shall_be(struct writing *w, const struct follow *f, const json_t *live,
                     json_t *object) {
    char api_version[API_VERSION_MAX];
    struct fault fault = {.code = 0};
    const struct shape *shape =
        shape_find(kind_api_version(w->wish.kind, api_version), w->wish.kind->kind);
    json_decref(w->shown);
    w->shown = object;
    bool strict = object_strict(object, w->live, shape, w->strictness, w->warned, &fault);
    if (!strict && w->wish.verb == VERB_PATCH && w->form != BODY_APPLY && fault.code == 400)
        fault.code = 422; /* kubectl edit opens its editor again, and shows why */
    if (strict && object_validate(object, live, &fault)) {
        object_tidy(object, shape);
        if (is_no_change(w, f, live)) {
            warnings_print(w);
            finish(w, 200, json_incref(object));
        } else {
            object_put(w, f);
        }
    } else {
        finish_fault(w, &fault);
    }
}

static void create_try(struct writing *w, const struct follow *f) {
    char resource[RESOURCE_NAME_MAX];
    if (follow_find(f, w->wish.kind->kind, w->name)) {
        finish_status(w, status_failure(409, "AlreadyExists", w->wish.kind, w->name,
                                        "%s \"%s\" already exists",
                                        kind_resource_name(w->wish.kind, resource), w->name));
        return;
    }
    json_t *object = json_deep_copy(w->body);
    texts_fold(object);
    identity_make(object);
    w->created = true;
    shall_be(w, f, NULL, object);
}

static void update_try(struct writing *w, const struct follow *f, const struct kept *k) {
    const struct shape *shape =
        shape_find(text_of(w->live, "apiVersion"), text_of(w->live, "kind"));
    if (!versions_agree(w->live, w->body)) {
        finish_status(w, stale_status(w, metadata_text(w->body, "uid")));
        return;
    }
    json_t *object = json_deep_copy(w->body);
    texts_fold(object);
    identity_keep(k, w->live, object);
    if (!strcmp(w->wish.kind->kind, "Pod") && !json_object_get(object, "status"))
        json_object_set_new(object, "status", json_deep_copy(json_object_get(w->live, "status")));
    status_only(w, object);
    node_ports_drop(w, object);
    owners_track(w, w->live, shape, object);
    shall_be(w, f, k->written ? w->live : NULL,
             object); /* what the edge made is new to its files */
}

static void patch_try(struct writing *w, const struct follow *f, const struct kept *k) {
    char api_version[API_VERSION_MAX];
    const struct shape *shape =
        shape_find(kind_api_version(w->wish.kind, api_version), w->wish.kind->kind);
    struct fault fault = {.code = 0};
    json_t *object = NULL, *live = w->live;
    if (w->form == BODY_APPLY && !applied_is_of(live, w->body)) {
        finish_status(w, stale_status(w, metadata_text(w->body, "uid")));
        return;
    }
    bool good = patched(w, f, k, shape, &fault, &object) && object_is_sane(w, object, &fault);
    if (good && live && !versions_agree(live, object)) {
        json_t *status = stale_status(w, metadata_text(object, "uid"));
        json_decref(object);
        finish_status(w, status);
    } else if (good) {
        if (live) {
            identity_keep(k, w->live, object);
            status_only(w, object);
            node_ports_drop(w, object);
        } else {
            identity_make(object);
        }
        w->created = !live;
        shall_be(w, f, k && k->written ? live : NULL, object);
    } else {
        json_decref(object);
        finish_fault(w, &fault);
    }
}

static void delete_try(struct writing *w, const struct follow *f) {
    const json_t *conditions = json_object_get(w->body, "preconditions");
    if (differs(text_of(conditions, "uid"), metadata_text(w->live, "uid")) ||
        differs(text_of(conditions, "resourceVersion"),
                metadata_text(w->live, "resourceVersion"))) {
        finish_status(w, stale_status(w, text_of(conditions, "uid")));
        return;
    }
    snprintf(w->uid, sizeof w->uid, "%s", metadata_text(w->live, "uid"));
    if (!*w->uid) /* kubectl waits until what is there has another one */
        uid_of(f->uid, w->wish.kind->kind, w->name, w->uid);
    put_begin(w, f, NULL);
}

/* Endpoints, or a slice of them, of the pods that a Service selects. */
static bool is_of_selector(const struct follow *f, const json_t *object) {
    const char *kind = text_of(object, "kind");
    const char *service =
        !strcmp(kind, "Endpoints") ? object_name(object)
        : strcmp(kind, "EndpointSlice")
            ? ""
            : text_of(json_object_get(json_object_get(object, "metadata"), "labels"),
                      "kubernetes.io/service-name");
    const struct kept *k = *service ? follow_find(f, "Service", service) : NULL;
    json_t *of = k ? blob_json(k->object) : NULL;
    bool selects = json_object_size(json_object_get(json_object_get(of, "spec"), "selector"));
    json_decref(of);
    return selects;
}

/* What the edge made can be made one's own by writing it, not so what it made of containers, labels and pods: that would stay as it is
 * without them. Nobody can delete what nobody wrote. */
static bool may_write(const struct writing *w, const struct follow *f, const struct kept *k) {
    bool made = k && !k->written && w->wish.verb != VERB_CREATE;
    return !made ||
           (w->wish.verb != VERB_DELETE && !is_of_labels(w->live) && !is_of_selector(f, w->live));
}

static void live_known(struct asker *a, struct follow *f) {
    struct writing *w = (struct writing *)a;
    while (json_array_size(w->warned) > w->warned_of_body) /* this is another attempt */
        json_array_remove(w->warned, json_array_size(w->warned) - 1);
    line_pay(w->line, f && !known_at_once ? f->took_ms : 0); /* it was looked at for this */
    const struct kept *k = f ? follow_find(f, w->wish.kind->kind, w->name) : NULL;
    json_decref(w->live);
    w->live = k ? blob_json(k->object) : NULL;
    bool may_make =
        w->wish.verb == VERB_CREATE || (w->wish.verb == VERB_PATCH && w->form == BODY_APPLY);
    if (!f || !token_is_good(w->wish.token, time(NULL)))
        finish_status(w, status_failure(401, "Unauthorized", NULL, NULL, "Unauthorized"));
    else if (!k && !may_make)
        finish_status(w, status_not_found(w->wish.kind, w->name));
    else if (!may_write(w, f, k))
        finish_status(w, status_failure(405, "MethodNotAllowed", w->wish.kind, w->name,
                                        "nobody wrote this object: the edge made it from labels, "
                                        "pods or of what every tenant has, and it goes with "
                                        "these"));
    else if (w->wish.verb == VERB_CREATE)
        create_try(w, f);
    else if (w->wish.verb == VERB_UPDATE)
        update_try(w, f, k);
    else if (w->wish.verb == VERB_PATCH)
        patch_try(w, f, k);
    else
        delete_try(w, f);
}

/* What was known a moment ago will do: if it is not so any more, the control thread says that (CONTROL_PUT_CHANGED), and it is looked
 * at anew. Not so for what is deleted, as one of many (sweep.c) goes on from the answer of the one before. */
static void live_ask(struct writing *w) {
    struct line *l = w->line;
    int64_t began_ms = server_now_ms();
    w->asker.ready = live_known;
    known_at_once = true;
    follow_ask(w->wish.tenant, &w->asker, w->attempts || w->wish.verb == VERB_DELETE);
    known_at_once = false;
    int64_t took_ms =
        server_now_ms() - began_ms; /* what is refused, or no change, takes time too */
    line_pay(l, took_ms);
    tenant_pays(l->tenant, took_ms);
    if (!took_ms)
        line_go(l);
}

/* ---- and what came of it ---- */

static void written_known(struct asker *a, struct follow *f) {
    struct writing *w = (struct writing *)a;
    line_pay(w->line, f ? f->took_ms : 0);
    const struct kept *k = f ? follow_find(f, w->wish.kind->kind, w->name) : NULL;
    if (w->wish.verb == VERB_DELETE)
        finish(w, 200, status_success(w->wish.kind, w->name, w->uid));
    else if (k)
        finish(w, w->created ? 201 : 200, blob_json(k->object));
    else /* it was deleted by somebody meanwhile */
        finish(w, w->created ? 201 : 200, json_incref(w->shown));
}

/* `Warning: 299 - "..."`, which kubectl prints. */
static void warnings_print(struct writing *w) {
    char *text = NULL;
    size_t length, i, count = 0;
    json_t *one;
    FILE *out = json_array_size(w->warned) ? open_memstream(&text, &length) : NULL;
    if (!out)
        return;
    json_array_foreach(w->warned, i, one) {
        char line[WARNING_MAX], *to = line;
        for (const char *c = json_string_value(one); *c && to < line + sizeof line - 3; c++) {
            if (*c == '"' || *c == '\\')
                *to++ = '\\';
            *to++ = (char)(*c < ' ' || *c > '~' ? '?' : *c);
        }
        *to = 0;
        if (count++ < WARNINGS_MOST)
            fprintf(out, "Warning: 299 - \"%s\"\r\n", line);
    }
    fclose(out);
    free(w->warnings);
    w->warnings = text;
}

/* Of what control_object_put told. */
static void diags_read(const json_t *told, struct diags *ret) {
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(told, "diags"), i, one) {
        diags_add(ret, json_is_true(json_object_get(one, "error")) ? DIAG_ERROR : DIAG_WARNING,
                  text_of(one, "file"), (unsigned)int_of(one, "line"),
                  (unsigned)int_of(one, "column"), "%s", text_of(one, "message"));
    }
}

static void blamed_fill(const struct writing *w, const json_t *told,
                        char api_version[API_VERSION_MAX], struct blamed *ret) {
    *ret = (struct blamed){.api_version = kind_api_version(w->wish.kind, api_version),
                           .kind = w->wish.kind->kind,
                           .name = w->name,
                           .file = text_of(told, "file"),
                           .text = text_of(told, "text"),
                           .length = json_string_length(json_object_get(told, "text"))};
}

/* What the drop's check says beside what was known from the object alone. */
static void warnings_keep(struct writing *w, const json_t *told) {
    char api_version[API_VERSION_MAX];
    struct diags diags = DIAGS_INIT;
    struct blamed about;
    json_t *texts = json_array(), *one;
    size_t i;
    diags_read(told, &diags);
    blamed_fill(w, told, api_version, &about);
    diags_warn(&diags, &about, texts);
    json_array_foreach(texts, i, one) {
        if (!strstr(json_string_value(one), "unknown field"))
            json_array_append(w->warned, one);
    }
    json_decref(texts);
    diags_fini(&diags);
}

static void invalid_answer(struct writing *w, const json_t *told) {
    char api_version[API_VERSION_MAX];
    struct diags diags = DIAGS_INIT;
    struct fault fault = {.code = 0};
    struct blamed about;
    diags_read(told, &diags);
    blamed_fill(w, told, api_version, &about);
    diags_blame(&diags, &about, &fault);
    diags_fini(&diags);
    finish_fault(w, &fault);
}

static void dry_answer(struct writing *w) {
    if (w->wish.verb == VERB_DELETE)
        finish(w, 200, status_success(w->wish.kind, w->name, w->uid));
    else
        finish(w, w->created ? 201 : 200, json_incref(w->shown));
}

static void put_answer(struct writing *w, enum control_put answer, const char *told_text) {
    json_t *told =
        told_text && answer != CONTROL_PUT_FAILED ? json_loads(told_text, 0, NULL) : NULL;
    if (answer == CONTROL_PUT_DONE)
        warnings_keep(w, told);
    warnings_print(w);
    if (answer == CONTROL_PUT_CHANGED && ++w->attempts < ATTEMPTS_MOST) {
        follow_touched(w->wish.tenant); /* its objects are not what was thought */
        live_ask(w);
    } else if (answer == CONTROL_PUT_CHANGED)
        finish_status(w, conflict_status(w));
    else if (answer == CONTROL_PUT_INVALID)
        invalid_answer(w, told);
    else if (answer == CONTROL_PUT_FAILED)
        finish_status(w, status_failure(500, "InternalError", w->wish.kind, w->name,
                                        "it can't be written: %s", told_text ? told_text : ""));
    else if (w->dry_run)
        dry_answer(w);
    else {
        w->asker.ready = written_known;
        follow_ask(w->wish.tenant, &w->asker, true);
    }
    json_decref(told);
}

static void put_done(struct job *j) {
    struct put *p = (struct put *)j;
    struct writing *w = p->writing;
    struct line *l = p->line;
    p->writing = NULL;
    l->busy = false;
    line_pay(l, p->took_ms);
    if (w) {
        w->put = NULL;
        put_answer(w, p->answer, p->told);
    } else {
        follow_touched(
            l->tenant); /* whoever asked is gone: the next one is to see what was written */
        line_go(l);
    }
    put_free(j);
}

/* ---- the beginning ---- */

static bool form_fits(const struct writing *w, struct fault *fault) {
    bool patch = w->form == BODY_MERGE || w->form == BODY_JSON_PATCH || w->form == BODY_STRATEGIC ||
                 w->form == BODY_APPLY;
    if (patch == (w->wish.verb == VERB_PATCH))
        return true;
    return fault_set(fault, 415, "UnsupportedMediaType",
                     "the body of the request was in an unknown format - accepted media types "
                     "include: %s",
                     w->wish.verb == VERB_PATCH
                         ? "application/json-patch+json, application/merge-patch+json, "
                           "application/strategic-merge-patch+json, application/apply-patch+yaml"
                         : "application/json, application/yaml, "
                           "application/vnd.kubernetes.protobuf");
}

static bool body_take(struct writing *w, struct fault *fault) {
    const struct http_request *r = w->wish.request;
    w->form = body_form(r->content_type);
    if (w->wish.verb == VERB_DELETE && (!r->body_length || w->form == BODY_PROTOBUF))
        return true;
    if (!form_fits(w, fault) ||
        !body_read(r->body, r->body_length, w->form, w->strictness, w->warned, fault, &w->body))
        return false;
    if (w->wish.verb == VERB_PATCH && w->form == BODY_STRATEGIC &&
        !strcmp(w->wish.kind->kind, "Image"))
        return fault_set(fault, 415, "UnsupportedMediaType",
                         "a strategic merge patch is not for kinds of one's own; accepted are "
                         "application/json-patch+json, application/merge-patch+json, "
                         "application/apply-patch+yaml");
    return w->wish.verb == VERB_DELETE || (w->wish.verb == VERB_PATCH && w->form != BODY_APPLY) ||
           body_fits(w->body, w->wish.kind, w->wish.target, fault);
}

static void manager_judge(const struct writing *w, struct fault *fault) {
    const char *manager = target_query(w->wish.target, "fieldManager");
    bool apply = w->wish.verb == VERB_PATCH && w->form == BODY_APPLY;
    if (apply && (!manager || !*manager))
        fault_cause(fault, "FieldValueRequired", "fieldManager",
                    "Required value: is required for apply patch");
    if (!apply && w->wish.verb == VERB_PATCH && target_query(w->wish.target, "force"))
        fault_cause(fault, "FieldValueForbidden", "force",
                    "Forbidden: may not be specified for non-apply patch");
    if (manager && strlen(manager) > MANAGER_MOST)
        fault_cause(fault, "FieldValueTooLong", "fieldManager",
                    "Too long: may not be more than %d bytes", MANAGER_MOST);
}

/* One of a few words; "" is left to defaults. */
static void choice_judge(const char *field, const char *text, const char *choices,
                         struct fault *fault) {
    char wanted[40];
    snprintf(wanted, sizeof wanted, "\"%.30s\"", text);
    if (*text && !strstr(choices, wanted))
        fault_cause(fault, "FieldValueNotSupported", field,
                    "Unsupported value: \"%.100s\": supported values: %s", text, choices);
}

static bool options_take(struct writing *w, struct fault *fault) {
    bool delete = w->wish.verb == VERB_DELETE;
    const char *dry = target_query(w->wish.target, "dryRun"),
               *policy = target_query(w->wish.target, "propagationPolicy");
    const json_t *options = delete ? json_object_get(w->body, "dryRun") : NULL;
    if (json_array_size(options))
        dry = json_string_value(json_array_get(options, 0));
    if (delete &&*text_of(w->body, "propagationPolicy"))
        policy = text_of(w->body, "propagationPolicy");
    w->dry_run = dry && *dry;
    choice_judge("dryRun", dry ? dry : "", "\"All\"", fault);
    if (delete)
        choice_judge("propagationPolicy", policy ? policy : "",
                     "\"Background\", \"Foreground\", \"Orphan\"", fault);
    manager_judge(w, fault);
    return !fault_causes(fault);
}

void write_begin(const struct write_wish *wish) {
    struct writing *w = calloc(1, sizeof *w);
    struct fault fault = {.code = 0};
    if (!w) {
        wish->answer(wish->user, 503,
                     status_failure(503, "ServiceUnavailable", NULL, NULL, "out of memory"), NULL);
        return;
    }
    w->wish = *wish;
    *wish->slot = w;
    snprintf(w->name, sizeof w->name, "%s", wish->target->name);
    w->warned = json_array();
    if (!strictness_parse(target_query(wish->target, "fieldValidation"), &w->strictness, &fault)) {
        finish_options(w, &fault);
        return;
    }
    if (!body_take(w, &fault)) {
        finish_fault(w, &fault);
        return;
    }
    if (!options_take(w, &fault)) {
        finish_options(w, &fault);
        return;
    }
    w->warned_of_body = json_array_size(w->warned);
    if (wish->verb == VERB_CREATE)
        snprintf(w->name, sizeof w->name, "%s", metadata_text(w->body, "name"));
    if (wish->verb == VERB_CREATE && *metadata_text(w->body, "resourceVersion")) {
        fault_set(&fault, 400, "BadRequest",
                  "resourceVersion should not be set on objects to be created");
        finish_fault(w, &fault);
        return;
    }
    struct line *l = line_need(wish->tenant);
    if (!l) {
        finish_status(w, status_failure(503, "ServiceUnavailable", NULL, NULL, "out of memory"));
    } else if (l->count >= LINE_MOST || waiting >= WAITING_MOST) {
        finish_status(w, status_failure(429, "TooManyRequests", NULL, NULL,
                                        "%s too many writes under way, please try again later",
                                        l->count >= LINE_MOST ? "this tenant has" : "there are"));
    } else {
        line_join(l, w);
        line_go(l);
    }
}

void writes_fini(void) {
    map_clear(&lines, free);
}
