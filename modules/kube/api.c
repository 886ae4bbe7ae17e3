/* SPDX-License-Identifier: GPL-3.0-or-later
 * api.c - see api.h.
 *
 *   head: a token, or 401 -> request: the path, or 404 -> its own namespace, or 403 -> the tenant as it is now -> the answer
 *
 * A token's tenant is all there is to it: other namespaces are forbidden in the same words whether they are somebody's or nobody's.
 */
#include "modules/kube/api.h"
#include "modules/kube/body.h"
#include "modules/kube/desk.h"
#include "modules/kube/discovery.h"
#include "modules/kube/follow.h"
#include "modules/kube/heavy.h"
#include "modules/kube/openapi.h"
#include "modules/kube/page.h"
#include "modules/kube/parts.h"
#include "modules/kube/pay.h"
#include "modules/kube/review.h"
#include "modules/kube/selector.h"
#include "modules/kube/status.h"
#include "modules/kube/sweep.h"
#include "modules/kube/upkeep.h"
#include "modules/kube/watch.h"
#include "modules/kube/write.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    WATCH_S_MOST = 366 * 86400,
    HEAVY_LISTS = 2, /* of one tenant at a time */
};

struct exchange { /* of a client, from its head to its end */
    struct asker asker;
    struct client *client;
    const struct http_request *request;
    struct target target;
    enum form form;
    const struct kube_kind *kind;
    struct watch *watch;     /* it has become one */
    struct listing *listing; /* or this is under way */
    struct writing *writing;
    struct sweep *sweep; /* or many of these */
    char tenant[TENANT_NAME_MAX], token[TOKEN_ID_LENGTH + 1];
};

/* ---- answering ---- */

/* Takes the text. */
static void reply_text(struct exchange *x, int code, const char *type, char *text,
                       const char *headers) {
    client_reply(x->client, &(struct reply){.code = text ? code : 500,
                                            .type = type,
                                            .headers = headers,
                                            .body = text,
                                            .length = text ? strlen(text) : 0});
}

static void reply_with(struct exchange *x, int code, const char *type, json_t *value,
                       const char *headers) {
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    reply_text(x, code, type, text, headers);
}

/* Lines that an answer of this kind always has; NULL: none. */
static const char *headers_of(int code) {
    return code == 429 ? "Retry-After: 1\r\n" : code == 401 ? "WWW-Authenticate: Bearer\r\n" : NULL;
}

static void reply_json(struct exchange *x, int code, const char *type, json_t *value) {
    reply_with(x, code, type, value, headers_of(code));
}

static void reply_status(struct exchange *x, json_t *status) {
    reply_json(x, status_code(status), "application/json", status);
}

static const char *user_of(const struct exchange *x, char out[TENANT_NAME_MAX + 8]) {
    snprintf(out, TENANT_NAME_MAX + 8, "tenant:%s", x->tenant);
    return out;
}

/* ---- who asks ---- */

static bool bearer_judge(struct exchange *x, const char *authorization) {
    static const char scheme[] = "Bearer ";
    const char *token = authorization + sizeof scheme - 1;
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) ||
        !token_judge(token, strlen(token), time(NULL), x->tenant))
        return false;
    memcpy(x->token, token + TOKEN_ID_AT, TOKEN_ID_LENGTH);
    return true;
}

static struct exchange *exchange_of(struct client *c) {
    return *client_slot(c);
}

static struct exchange *exchange_need(struct client *c) {
    struct exchange *x = exchange_of(c);
    if (x && x->watch) { /* it was the request before this one */
        watch_free(x->watch);
        x->watch = NULL;
    }
    if (x)
        return x;
    if ((x = calloc(1, sizeof *x)))
        x->client = c;
    *client_slot(c) = x;
    return x;
}

static bool is_health(const struct http_request *r) {
    return !strcmp(r->target, "/healthz") || !strcmp(r->target, "/livez") ||
           !strcmp(r->target, "/readyz");
}

static json_t *too_many(const char *of_what) {
    return status_failure(429, "TooManyRequests", NULL, NULL,
                          "this tenant has too many %s, please try again later", of_what);
}

static bool on_head(struct client *c, const struct http_request *r) {
    struct exchange *x = exchange_need(c);
    if (!x) {
        client_reply(c, &(struct reply){.code = 503, .type = "text/plain"});
        return false;
    }
    x->request = r;
    if (is_health(r))
        return true;
    json_t *refusal = NULL;
    char user[TENANT_NAME_MAX + 8];
    if (!bearer_judge(x, r->authorization))
        refusal = status_failure(401, "Unauthorized", NULL, NULL, "Unauthorized");
    else if (r->impersonates)
        refusal = status_failure(403, "Forbidden", NULL, NULL,
                                 "User \"%s\" cannot impersonate anybody", user_of(x, user));
    else if (!client_admit(c, x->tenant))
        refusal = too_many("connections");
    else if (!client_may_hold(c))
        refusal = too_many("answers under way");
    else if (!tenant_asks(x->tenant))
        refusal = too_many("requests");
    if (refusal)
        reply_status(x, refusal);
    return !refusal;
}

/* ---- what for ---- */

static const char *verb_of(const struct exchange *x) {
    const char *method = x->request->method;
    bool one = *x->target.name;
    if (!strcmp(method, "GET") || !strcmp(method, "HEAD"))
        return one ? "get" : target_flag(&x->target, "watch") ? "watch" : "list";
    return !strcmp(method, "POST")     ? "create"
           : !strcmp(method, "PUT")    ? "update"
           : !strcmp(method, "PATCH")  ? "patch"
           : !strcmp(method, "DELETE") ? (one ? "delete" : "deletecollection")
                                       : method;
}

static bool reads(const struct exchange *x) {
    return !strcmp(x->request->method, "GET") || !strcmp(x->request->method, "HEAD");
}

/* Where a cluster has services of its own, kubectl looks for them (cluster-info, describe ingress): here there are none. */
static bool looks_at_system(const struct exchange *x) {
    const struct target *t = &x->target;
    return !strcmp(t->namespace, "kube-system") && reads(x) && !target_flag(t, "watch") &&
           !*t->subresource &&
           (!strcmp(x->kind->kind, "Service") || !strcmp(x->kind->kind, "Endpoints"));
}

/* Its own namespace, or all of its own. Of namespaces themselves: the one there is. */
static bool may_look(const struct exchange *x) {
    const struct target *t = &x->target;
    if (!strcmp(x->kind->kind, "Namespace"))
        return !*t->name || !strcmp(t->name, "default");
    return !*t->namespace || !strcmp(t->namespace, "default") || looks_at_system(x);
}

/* Paths that the API server does not have, either. */
static bool is_path(const struct exchange *x) {
    const struct target *t = &x->target;
    if (*t->namespace && !x->kind->namespaced)
        return false;
    if (*t->name && x->kind->namespaced && !*t->namespace)
        return false;
    return !*t->subresource || !strcmp(t->subresource, "status");
}

/* What a node would do for a Pod: nothing of it is here. */
static bool is_of_node(const struct exchange *x) {
    static const char *const of_node[] = {"attach", "exec", "log", "portforward", "proxy"};
    const struct target *t = &x->target;
    for (size_t i = 0; i < sizeof of_node / sizeof *of_node; i++)
        if (!strcmp(of_node[i], t->subresource))
            return *t->namespace && !strcmp(x->kind->kind, "Pod");
    return false;
}

/* ---- reading ---- */

static enum include_object include_of(const struct target *t) {
    const char *include = target_query(t, "includeObject");
    return !include || !strcmp(include, "Metadata") ? INCLUDE_METADATA
           : !strcmp(include, "Object")             ? INCLUDE_OBJECT
                                                    : INCLUDE_NONE;
}

static void get_answer(struct exchange *x, struct follow *f) {
    const struct kept *k =
        looks_at_system(x) ? NULL : follow_find(f, x->kind->kind, x->target.name);
    json_t *object = k ? blob_json(k->object) : NULL;
    if (!object)
        reply_status(x, status_not_found(x->kind, x->target.name));
    else
        reply_json(x, 200, "application/json",
                   object_shown(x->kind, object, x->form, include_of(&x->target), true));
    json_decref(object);
}

/* A list to be made: here, or of a large tenant on the thread for what is heavy. */
struct listing {
    struct job job;
    struct exchange *exchange; /* NULL: whoever asked is gone */
    const struct kube_kind *kind;
    enum form form;
    enum include_object include;
    char *labels, *fields; /* owned */
    struct page page;
    char tenant[TENANT_NAME_MAX], *text;
    int64_t took_ms;
};

static json_t *list_begin(const struct listing *l) {
    char version[RV_TEXT], api_version[API_VERSION_MAX];
    version_text(l->page.version, version);
    if (l->form == FORM_TABLE)
        return table_new(l->kind, version, true);
    if (l->form == FORM_PARTIAL)
        return json_pack("{s:s s:s s:{s:s} s:[]}", "kind", "PartialObjectMetadataList",
                         "apiVersion", "meta.k8s.io/v1", "metadata", "resourceVersion", version,
                         "items");
    return json_pack("{s:o s:s s:{s:s} s:[]}", "kind", json_sprintf("%sList", l->kind->kind),
                     "apiVersion", kind_api_version(l->kind, api_version), "metadata",
                     "resourceVersion", version, "items");
}

static void list_add(const struct listing *l, json_t *list, json_t *object) {
    if (l->form == FORM_TABLE)
        table_add(list, l->kind, object, l->include, time(NULL));
    else
        json_array_append_new(json_object_get(list, "items"),
                              object_shown(l->kind, object, l->form, INCLUDE_METADATA, true));
}

/* As many as asked for; that there are more is said when another one was seen. */
static json_t *list_of(const struct listing *l) {
    const struct page *p = &l->page;
    json_t *list = list_begin(l), *last = NULL;
    unsigned long shown = 0;
    bool more = false;
    for (size_t i = 0; i < p->count && !more; i++) {
        json_t *object = blob_json(p->row[i].object);
        bool selected = object_selected(l->kind, l->labels, l->fields, object);
        more = selected && p->limit && shown == p->limit;
        if (selected && !more) {
            list_add(l, list, object);
            json_decref(last);
            last = json_incref(object);
            shown++;
        }
        json_decref(object);
    }
    if (more)
        json_object_set_new(json_object_get(list, "metadata"), "continue",
                            page_continue(p, object_name(last)));
    json_decref(last);
    return list;
}

static void listing_free(struct job *j) {
    struct listing *l = (struct listing *)j;
    page_fini(&l->page);
    free(l->labels);
    free(l->fields);
    free(l->text);
    free(l);
}

static void listing_run(struct job *j) {
    struct listing *l = (struct listing *)j;
    int64_t begun = server_now_ms();
    json_t *list = list_of(l);
    l->text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    l->took_ms = server_now_ms() - begun;
}

static void listing_done(struct job *j) {
    struct listing *l = (struct listing *)j;
    struct exchange *x = l->exchange;
    follow_heavy(l->tenant, -1);
    tenant_pays(l->tenant, l->took_ms);
    if (x) {
        x->listing = NULL;
        if (client_may_hold(x->client)) {
            reply_text(x, 200, "application/json", l->text, NULL);
            l->text = NULL;
        } else {
            reply_status(x, too_many("answers under way"));
        }
    }
    listing_free(j);
}

static struct listing *listing_new(struct exchange *x) {
    struct listing *l = calloc(1, sizeof *l);
    const char *labels = target_query(&x->target, "labelSelector");
    const char *fields = target_query(&x->target, "fieldSelector");
    if (!l)
        return NULL;
    *l = (struct listing){.job = {.run = listing_run, .done = listing_done, .lost = listing_free},
                          .kind = x->kind,
                          .form = x->form,
                          .include = include_of(&x->target),
                          .labels = labels ? strdup(labels) : NULL,
                          .fields = fields ? strdup(fields) : NULL};
    snprintf(l->tenant, sizeof l->tenant, "%s", x->tenant);
    if ((!labels || l->labels) && (!fields || l->fields))
        return l;
    listing_free(&l->job);
    return NULL;
}

static void listing_heavy(struct exchange *x, struct listing *l) {
    page_hold(&l->page);
    l->exchange = x;
    x->listing = l;
    follow_heavy(x->tenant, 1);
    heavy_run(&l->job);
}

static void list_answer(struct exchange *x, struct follow *f) {
    struct listing *l = listing_new(x);
    json_t *status = NULL;
    bool good = l && page_begin(f, x->kind, &x->target, &l->page, &status);
    if (good && looks_at_system(x))
        l->page.count = 0;
    if (!l)
        reply_status(x, status_failure(503, "ServiceUnavailable", NULL, NULL, "out of memory"));
    else if (!good)
        reply_status(x, status);
    else if (page_bytes(&l->page) < HEAVY_BYTES)
        reply_json(x, 200, "application/json", list_of(l));
    else if (f->heavy_lists >= HEAVY_LISTS)
        reply_status(x, too_many("large lists under way"));
    else {
        listing_heavy(x, l);
        return;
    }
    if (l)
        listing_free(&l->job);
}

/* "", "0": any state will do, and all of it comes first. */
static bool version_read(const char *text, uint64_t *ret) {
    char *end;
    *ret = 0;
    if (!text || !*text)
        return true;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 19)
        return false;
    *ret = strtoull(text, &end, 10);
    return !*end;
}

/* 0: as long as we like. */
static int64_t seconds_read(const char *text) {
    int64_t s = text ? strtoll(text, NULL, 10) : 0;
    return s < 0 ? 0 : s < WATCH_S_MOST ? s : WATCH_S_MOST;
}

static void watch_answer(struct exchange *x, struct follow *f) {
    const struct target *t = &x->target;
    bool wants_initial = target_flag(t, "sendInitialEvents"), gone;
    struct watch_wish wish = {.kind = x->kind,
                              .labels = target_query(t, "labelSelector"),
                              .fields = target_query(t, "fieldSelector"),
                              .token = x->token,
                              .form = x->form,
                              .include = include_of(t),
                              .initial_ends = wants_initial,
                              .bookmarks = target_flag(t, "allowWatchBookmarks"),
                              .timeout_ms = seconds_read(target_query(t, "timeoutSeconds")) * 1000};
    if (!version_read(target_query(t, "resourceVersion"), &wish.version)) {
        reply_status(
            x, status_failure(400, "BadRequest", NULL, NULL, "resourceVersion: invalid value"));
        return;
    }
    wish.initial = wants_initial || !wish.version;
    x->watch = watch_begin(x->client, f, &wish, &gone);
    if (!x->watch)
        reply_status(x,
                     gone ? status_failure(
                                410, "Expired", NULL, NULL, "too old resource version: %llu (%llu)",
                                (unsigned long long)wish.version, (unsigned long long)f->log_from)
                          : status_failure(503, "ServiceUnavailable", NULL, NULL, "out of memory"));
}

/* kubectl watches one object by its name: that is a list with a field selector, but may come this way, too. */
static void read_answer(struct asker *a, struct follow *f) {
    struct exchange *x = (struct exchange *)((char *)a - offsetof(struct exchange, asker));
    int64_t begun = server_now_ms();
    if (!f || !token_is_good(x->token, time(NULL))) /* that may have changed meanwhile */
        reply_status(x, status_failure(401, "Unauthorized", NULL, NULL, "Unauthorized"));
    else if (!client_may_hold(x->client)) /* nor has that waited */
        reply_status(x, too_many("answers under way"));
    else if (*x->target.name)
        get_answer(x, f);
    else if (target_flag(&x->target, "watch") && strcmp(x->request->method, "HEAD") != 0)
        watch_answer(x, f);
    else
        list_answer(x, f);
    tenant_pays(x->tenant, server_now_ms() - begun);
}

static bool selectors_judge(struct exchange *x) {
    struct err err;
    json_t *none = json_object();
    const char *labels = target_query(&x->target, "labelSelector");
    const char *fields = target_query(&x->target, "fieldSelector");
    bool labelled = labels_match(labels, none, &err) != MATCH_MALFORMED;
    bool good = labelled && fields_match(fields, x->kind, none, &err) != MATCH_MALFORMED;
    json_decref(none);
    if (!good)
        reply_status(x, status_failure(400, "BadRequest", NULL, NULL, "%s%s",
                                       labelled ? "" : "unable to parse requirement: ", err.text));
    return good;
}

#define forbidden(fault, field, why) \
    fault_cause(fault, "FieldValueForbidden", field, "Forbidden: " why)

/* Which states will do is said once, and for a list or for a watch. */
static void match_judge(const struct target *t, struct fault *fault) {
    const char *match = target_query(t, "resourceVersionMatch"),
               *version = target_query(t, "resourceVersion"), *more = target_query(t, "continue");
    bool watch = target_flag(t, "watch"), initial = target_query(t, "sendInitialEvents");
    bool exact = !strcmp(match, "Exact");
    if (watch && !initial)
        forbidden(fault, "resourceVersionMatch",
                  "resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
                  "provided");
    else if (!watch && !(version && *version))
        forbidden(fault, "resourceVersionMatch",
                  "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (more && *more)
        forbidden(fault, "resourceVersionMatch",
                  "resourceVersionMatch is forbidden when continue is provided");
    if (strcmp(match, "NotOlderThan") && (watch || !exact))
        fault_cause(fault, "FieldValueNotSupported", "resourceVersionMatch",
                    "Unsupported value: \"%.100s\": supported values: %s\"NotOlderThan\"", match,
                    watch ? "" : "\"Exact\", ");
    else if (exact && version && !strcmp(version, "0"))
        forbidden(fault, "resourceVersionMatch",
                  "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
}

static bool list_options_judge(struct exchange *x) {
    static const struct fault_about about = {"meta.k8s.io", "ListOptions", NULL};
    const struct target *t = &x->target;
    const char *match = target_query(t, "resourceVersionMatch");
    bool watch = target_flag(t, "watch"), initial = target_query(t, "sendInitialEvents");
    struct fault fault = {.code = 0};
    if (initial && !watch)
        forbidden(&fault, "sendInitialEvents", "sendInitialEvents is forbidden for list");
    if (initial && watch && (!match || strcmp(match, "NotOlderThan")))
        forbidden(&fault, "resourceVersionMatch",
                  "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (match && *match)
        match_judge(t, &fault);
    bool good = !fault_causes(&fault);
    if (!good) {
        fault_invalid(&fault, &about);
        reply_status(x, fault_status(&fault, &about));
    }
    fault_fini(&fault);
    return good;
}

static void read_begin(struct exchange *x) {
    if (x->form == FORM_NONE)
        reply_status(x, status_failure(406, "NotAcceptable", NULL, NULL,
                                       "only the following media types are accepted: "
                                       "application/json"));
    else if (*x->target.name || (list_options_judge(x) && selectors_judge(x)))
        follow_ask(x->tenant, &x->asker, false);
}

/* ---- writing ---- */

static void change_answer(void *user, int code, json_t *value, const char *warnings) {
    reply_with(user, code, "application/json", value, warnings ? warnings : headers_of(code));
}

static bool is_verb(const struct exchange *x, enum verb *ret) {
    const char *method = x->request->method;
    bool one = *x->target.name;
    *ret = !strcmp(method, "POST")    ? VERB_CREATE
           : !strcmp(method, "PUT")   ? VERB_UPDATE
           : !strcmp(method, "PATCH") ? VERB_PATCH
                                      : VERB_DELETE;
    if (*ret == VERB_DELETE && strcmp(method, "DELETE"))
        return false;
    return one == (*ret != VERB_CREATE) && x->kind->nature == KIND_WRITTEN;
}

/* Of what the edge says of itself, and of a status that is live, nothing can be written; of a Pod's it can, and not taken away. */
static bool may_change(const struct exchange *x) {
    bool pod = !strcmp(x->kind->kind, "Pod"), delete = !strcmp(x->request->method, "DELETE");
    return !*x->target.subresource || (pod && !delete);
}

static bool is_sweep(const struct exchange *x) {
    return !strcmp(verb_of(x), "deletecollection") && x->kind->nature == KIND_WRITTEN &&
           *x->target.namespace;
}

static void sweep_start(struct exchange *x, const struct write_wish *of_one) {
    if (selectors_judge(x))
        sweep_begin(&(struct sweep_wish){.of_one = *of_one,
                                         .labels = target_query(&x->target, "labelSelector"),
                                         .fields = target_query(&x->target, "fieldSelector"),
                                         .slot = &x->sweep});
}

static void change_begin(struct exchange *x) {
    struct write_wish wish = {.kind = x->kind,
                              .target = &x->target,
                              .request = x->request,
                              .tenant = x->tenant,
                              .token = x->token,
                              .answer = change_answer,
                              .user = x,
                              .slot = &x->writing};
    if (is_sweep(x))
        sweep_start(x, &wish);
    else if (is_verb(x, &wish.verb) && may_change(x) && *x->target.namespace)
        write_begin(&wish);
    else
        reply_status(x, status_failure(405, "MethodNotAllowed", x->kind, x->target.name,
                                       "%s is not supported on resources of kind \"%s\"",
                                       verb_of(x), x->kind->plural));
}

/* ---- questions ---- */

static void review_begin(struct exchange *x) {
    const struct http_request *r = x->request;
    const struct fault_about about = {x->kind->group, x->kind->kind, NULL};
    enum body_form form = body_form(r->content_type);
    json_t *question = NULL, *warnings = json_array();
    struct fault fault = {.code = 0};
    char user[TENANT_NAME_MAX + 8];
    if (form > BODY_PROTOBUF) /* a patch */
        form = BODY_OTHER;
    if (body_read(r->body, r->body_length, form, STRICT_IGNORE, warnings, &fault, &question))
        reply_json(x, 201, "application/json", review_of(x->kind, question, user_of(x, user)));
    else
        reply_status(x, fault_status(&fault, &about));
    fault_fini(&fault);
    json_decref(question);
    json_decref(warnings);
}

/* ---- resources ---- */

static void resource_begin(struct exchange *x) {
    const struct target *t = &x->target;
    char user[TENANT_NAME_MAX + 8];
    x->kind = kind_of_resource(t->group, t->version, t->resource);
    if (!x->kind || (!is_path(x) && !is_of_node(x))) {
        reply_status(x, status_no_such_path());
        return;
    }
    if (!may_look(x)) {
        reply_status(
            x, status_forbidden(x->kind, user_of(x, user), verb_of(x), t->namespace, t->name));
        return;
    }
    x->asker.ready = read_answer;
    if (x->kind->nature == KIND_ABSENT && !reads(x))
        reply_status(x, status_failure(405, "MethodNotAllowed", x->kind, t->name,
                                       "%s are not to be had: nothing is run here, the edge only "
                                       "brings connections to what runs elsewhere",
                                       x->kind->plural));
    else if (is_of_node(x))
        reply_status(x, status_failure(405, "MethodNotAllowed", x->kind, t->name,
                                       "pods/%s is not to be had: pods run elsewhere, and the "
                                       "edge only brings connections to them",
                                       t->subresource));
    else if (x->kind->nature == KIND_ASKED && !strcmp(verb_of(x), "create") && !*t->name)
        review_begin(x);
    else if (reads(x) && x->kind->nature != KIND_ASKED)
        read_begin(x);
    else
        change_begin(x);
}

/* ---- documents ---- */

static void document_answer(struct exchange *x) {
    json_t *document = reads(x) ? discovery_of(&x->target, x->form) : NULL;
    if (document)
        reply_json(x, 200, discovery_type(&x->target, x->form), document);
    else
        reply_status(x, status_no_such_path());
}

static void openapi_v2_answer(struct exchange *x) {
    bool as_json = !strstr(x->request->accept, "proto-openapi.spec.v2");
    struct reply reply = {.code = 200, .type = as_json ? "application/json" : OPENAPI_V2_TYPE};
    if (as_json && x->form == FORM_NONE) {
        reply_status(x, status_failure(406, "NotAcceptable", NULL, NULL,
                                       "only the following media types are accepted: "
                                       "application/json, %s",
                                       OPENAPI_V2_TYPE));
        return;
    }
    reply.body = openapi_v2(as_json, &reply.length);
    client_reply(x->client, &reply);
}

static void openapi_answer(struct exchange *x) {
    if (x->target.what == TARGET_OPENAPI_V2 && reads(x)) {
        openapi_v2_answer(x);
        return;
    }
    json_t *document = reads(x) ? openapi_of(&x->target) : NULL;
    if (document)
        reply_json(x, 200, "application/json", document);
    else
        reply_status(x, status_no_such_path());
}

static void health_answer(struct exchange *x) {
    client_reply(
        x->client,
        &(struct reply){.code = 200, .type = "text/plain", .body = strdup("ok"), .length = 2});
}

static void on_request(struct client *c, const struct http_request *r) {
    struct exchange *x = exchange_of(c);
    if (!target_parse(r->target, r->target_length, &x->target)) {
        reply_status(x, status_failure(400, "BadRequest", NULL, NULL,
                                       "the request's path is not one of this API"));
        return;
    }
    x->form = accept_choose(r->accept);
    switch (x->target.what) {
    case TARGET_HEALTH:
        health_answer(x);
        break;
    case TARGET_RESOURCE:
        resource_begin(x);
        break;
    case TARGET_OPENAPI_V2:
    case TARGET_OPENAPI_V3:
    case TARGET_OPENAPI_V3_GROUP:
        openapi_answer(x);
        break;
    default:
        document_answer(x);
        break;
    }
}

/* ---- the rest of a client's life ---- */

static void on_drained(struct client *c) {
    struct exchange *x = exchange_of(c);
    if (x && x->watch)
        watch_drained(x->watch);
}

static void on_gone(struct client *c) {
    struct exchange *x = exchange_of(c);
    if (!x)
        return;
    follow_forget(&x->asker);
    if (x->watch)
        watch_free(x->watch);
    if (x->listing)
        x->listing->exchange = NULL;
    if (x->writing)
        write_forget(x->writing);
    if (x->sweep)
        sweep_forget(x->sweep);
    free(x);
    *client_slot(c) = NULL;
}

static void on_beat(void) {
    follow_beat();
    watches_beat();
    writes_beat();
    pay_beat();
    upkeep_beat();
}

static void on_woken(void) {
    desk_take(follow_touched);
}

const struct server_events api_events = {.head = on_head,
                                         .request = on_request,
                                         .drained = on_drained,
                                         .gone = on_gone,
                                         .beat = on_beat,
                                         .woken = on_woken};

void api_open(const struct kube_conf *c) {
    pay_open(c);
}

void api_close(void) {
    writes_fini();
    follow_fini();
    pay_close();
}
