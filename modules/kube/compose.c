/* SPDX-License-Identifier: GPL-3.0-or-later
 * compose.c - see compose.h. The order of what is made depends on the input alone, so that what did not change reads the same.
 */
#include "modules/kube/compose.h"
#include "core/base64.h"
#include "modules/kube/containers.h"
#include "modules/kube/endpoints.h"
#include "modules/kube/happenings.h"
#include "modules/kube/parts.h"
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/hash.h>

/* ---- words ---- */

const char *object_name(const json_t *object) {
    return text_of(json_object_get(object, "metadata"), "name");
}

void uid_of(const char *tenant_uid, const char *kind, const char *name, char out[UID_TEXT]) {
    char text[700];
    uint8_t d[WC_SHA256_DIGEST_SIZE] = {0};
    int n = snprintf(text, sizeof text, "%.100s/%.100s/%.300s", tenant_uid, kind, name);
    wc_Sha256Hash((const uint8_t *)text, (word32)n, d);
    d[6] = (d[6] & 0x0f) | 0x50; /* RFC 9562: a version of one's own hash, the usual variant */
    d[8] = (d[8] & 0x3f) | 0x80;
    snprintf(out, UID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13],
             d[14], d[15]);
}

json_t *base64_json(const char *bytes, size_t length) {
    char *text = base64(bytes, length);
    json_t *value = json_string(text ? text : "");
    free(text);
    return value;
}

void known_fit(json_t *known) {
    static const char *const tables[] = {"routes", "ports", "backends"};
    json_t *row;
    size_t i;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        json_array_foreach(json_object_get(known, tables[t]), i, row) {
            const char *service = text_of(row, "service"), *slash = strchr(service, '/');
            if (slash)
                json_object_set_new(
                    row, "service",
                    json_sprintf("%.*s.%s", (int)(slash - service), service, slash + 1));
        }
    }
}

/* ---- the composition ---- */

enum { KEY_MAX = 700 };

static const char *index_key(const char *kind, const char *name, char out[KEY_MAX]) {
    snprintf(out, KEY_MAX, "%.60s/%.600s", kind, name);
    return out;
}

void composition_fini(struct composition *c) {
    for (size_t i = 0; i < c->count; i++)
        json_decref(c->item[i].object);
    free(c->item);
    map_fini(&c->index);
    *c = (struct composition){0};
}

json_t *composed_find(const struct composition *c, const char *kind, const char *name) {
    char key[KEY_MAX];
    return map_get(&c->index, index_key(kind, name, key));
}

/* Metadata that every object has, where it does not say so itself. What nobody wrote is another object than what somebody will. True:
 * nothing says since when it is there. */
static bool metadata_fill(const struct making *m, const struct kube_kind *kind, json_t *object,
                          int64_t created, bool made) {
    json_t *metadata = json_object_get(object, "metadata");
    char uid[UID_TEXT];
    json_object_del(metadata, "resourceVersion");
    json_object_del(metadata, "selfLink");
    if (kind->namespaced)
        json_object_set_new(metadata, "namespace", json_string("default"));
    uid_of(m->uid, made ? kind->plural : kind->kind, object_name(object), uid);
    if (!*text_of(metadata, "uid"))
        json_object_set_new(metadata, "uid", json_string(uid));
    if (*text_of(metadata, "creationTimestamp"))
        return false;
    json_object_set_new(metadata, "creationTimestamp", time_json(created ? created : m->since));
    return !created;
}

struct composed *compose_add(struct making *m, const struct kube_kind *kind, json_t *object) {
    struct composition *c = m->out;
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 32;
        struct composed *more = realloc(c->item, room * sizeof *more);
        if (!more)
            abort(); /* as everywhere where text is understood: what is bounded must fit */
        c->item = more;
        c->room = room;
    }
    char key[KEY_MAX];
    c->item[c->count] = (struct composed){.kind = kind, .object = object};
    if (!map_put(&c->index, index_key(kind->kind, object_name(object), key), object))
        abort();
    return &c->item[c->count++];
}

void compose_made(struct making *m, const char *api_version, const char *kind_name,
                  json_t *object) {
    const struct kube_kind *kind = kind_of_object(api_version, kind_name);
    json_object_set_new(object, "apiVersion", json_string(api_version));
    json_object_set_new(object, "kind", json_string(kind_name));
    bool undated = metadata_fill(m, kind, object, 0, true);
    compose_add(m, kind, object)->undated = undated;
}

/* ---- what files say ---- */

static void written_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "objects"), i, row) {
        json_t *object = json_object_get(row, "object");
        const struct kube_kind *kind =
            kind_of_object(text_of(object, "apiVersion"), text_of(object, "kind"));
        if (!kind || !json_is_object(json_object_get(object, "metadata")))
            continue;
        json_t *copy = json_deep_copy(object);
        metadata_fill(m, kind, copy, json_integer_value(json_object_get(row, "modified")), false);
        compose_add(m, kind, copy)->written = true;
    }
}

/* ---- Ingress ---- */

static bool is_label_route(const json_t *route, const char *ingress) {
    return !strcmp(text_of(route, "ingress"), ingress) &&
           !strncmp(text_of(route, "origin"), "label ", 6);
}

static json_t *route_path(const json_t *route) {
    return json_pack("{s:s s:s s:{s:{s:s s:{s:I}}}}", "path", text_of(route, "path"), "pathType",
                     text_of(route, "pathType"), "backend", "service", "name",
                     text_of(route, "service"), "port", "number",
                     json_integer_value(json_object_get(route, "port")));
}

static json_t *rule_of(json_t *rules, const char *host) {
    json_t *rule;
    size_t i;
    json_array_foreach(rules, i, rule) {
        if (!strcmp(text_of(rule, "host"), host) && json_object_get(rule, "http"))
            return rule;
    }
    rule = json_pack("{s:s s:{s:[]}}", "host", host, "http", "paths");
    json_array_append_new(rules, rule);
    return rule;
}

static json_t *list_need(json_t *object, const char *key) {
    json_t *list = json_object_get(object, key);
    if (json_is_array(list))
        return list;
    list = json_array();
    json_object_set_new(object, key, list);
    return list;
}

/* Routes that labels made stand as rules in the Ingress `default`. */
static void label_rules_add(const struct making *m, json_t *spec, const char *ingress) {
    json_t *route;
    size_t i;
    json_array_foreach(json_object_get(m->known, "routes"), i, route) {
        if (!is_label_route(route, ingress))
            continue;
        json_t *rule = rule_of(list_need(spec, "rules"), text_of(route, "host"));
        json_array_append_new(list_need(json_object_get(rule, "http"), "paths"), route_path(route));
    }
}

static const char *domain_of(const json_t *known) {
    return text_of(json_array_get(json_object_get(known, "tenants"), 0), "domain");
}

static bool tls_names(const json_t *spec, const char *host) {
    json_t *entry, *name;
    size_t i, k;
    json_array_foreach(json_object_get(spec, "tls"), i, entry) {
        json_array_foreach(json_object_get(entry, "hosts"), k, name) {
            if (json_is_string(name) && !strcmp(json_string_value(name), host))
                return true;
        }
    }
    return false;
}

static json_t *own_tls(const char *domain) {
    return json_pack("{s:[o]}", "hosts", json_sprintf("*.%s", domain));
}

/* The tenant's own names are always routed by it, whether it says so or not. */
static void own_tls_add(const struct making *m, json_t *spec) {
    char own[300];
    snprintf(own, sizeof own, "*.%.280s", domain_of(m->known));
    if (!own[2] || tls_names(spec, own))
        return;
    json_array_insert_new(list_need(spec, "tls"), 0, own_tls(domain_of(m->known)));
}

bool is_default_ingress(const json_t *object) {
    return !strcmp(text_of(object, "kind"), "Ingress") && !strcmp(object_name(object), "default");
}

static void ingress_enliven(const struct making *m, json_t *object) {
    const char *domain = domain_of(m->known);
    bool is_default = is_default_ingress(object);
    json_t *spec = json_object_get(object, "spec");
    if (is_default && !json_is_object(spec)) {
        spec = json_object();
        json_object_set_new(object, "spec", spec);
    }
    if (is_default) {
        json_object_del(json_object_get(object, "metadata"), "uid");
        own_tls_add(m, spec);
        label_rules_add(m, spec, "default");
    }
    json_object_set_new(
        object, "status",
        *domain ? json_pack("{s:{s:[{s:s}]}}", "loadBalancer", "ingress", "hostname", domain)
                : json_pack("{s:{}}", "loadBalancer"));
}

static void ingresses_enliven(struct making *m) {
    if (!composed_find(m->out, "Ingress", "default"))
        compose_made(m, "networking.k8s.io/v1", "Ingress",
                     json_pack("{s:{s:s} s:{}}", "metadata", "name", "default", "spec"));
    for (size_t i = 0; i < m->out->count; i++)
        if (!strcmp(m->out->item[i].kind->kind, "Ingress"))
            ingress_enliven(m, m->out->item[i].object);
}

/* ---- Secret ---- */

static bool all_texts(json_t *texts) {
    const char *key;
    json_t *value;
    json_object_foreach(texts, key, value) {
        if (!json_is_string(value))
            return false;
    }
    return json_is_object(texts);
}

void secret_fold(json_t *object) {
    json_t *texts = json_object_get(object, "stringData"), *data = json_object_get(object, "data"),
           *value;
    const char *key;
    bool fits = !data || json_is_null(data) || json_is_object(data);
    if (!fits || !all_texts(texts)) /* what is wrong with it is said where bodies are judged */
        return;
    if (!json_is_object(data)) {
        data = json_object();
        json_object_set_new(object, "data", data);
    }
    json_object_foreach(texts, key, value) {
        json_object_set_new(data, key,
                            base64_json(json_string_value(value), json_string_length(value)));
    }
    json_object_del(object, "stringData");
}

static void secret_type_default(json_t *object) {
    if (!*text_of(object, "type"))
        json_object_set_new(object, "type", json_string("Opaque"));
}

static void secrets_fold(struct making *m) {
    for (size_t i = 0; i < m->out->count; i++) {
        if (strcmp(m->out->item[i].kind->kind, "Secret"))
            continue;
        secret_type_default(m->out->item[i].object);
        secret_fold(m->out->item[i].object);
    }
}

/* ---- Pod ---- */

static const char *phase_of(const json_t *status) {
    return pod_is_ready(status) ? "Running" : "Pending";
}

static json_t *containers_of(const json_t *pod) {
    return json_object_get(json_object_get(pod, "spec"), "containers");
}

static void protocols_fill(json_t *pod) {
    json_t *container, *port;
    size_t i, k;
    json_array_foreach(containers_of(pod), i, container) {
        json_array_foreach(json_object_get(container, "ports"), k, port) {
            if (json_is_object(port) && !json_object_get(port, "protocol"))
                json_object_set_new(port, "protocol", json_string("TCP"));
        }
    }
}

/* Does the file say that port, and nothing of its protocol? */
static bool protocol_unsaid(const json_t *original, const json_t *container, const json_t *port) {
    json_t *was, *at;
    size_t i, k;
    json_array_foreach(containers_of(original), i, was) {
        json_array_foreach(json_object_get(was, "ports"), k, at) {
            if (!strcmp(text_of(was, "name"), text_of(container, "name")) &&
                int_of(at, "containerPort") == int_of(port, "containerPort") &&
                !json_object_get(at, "protocol"))
                return true;
        }
    }
    return false;
}

static void protocols_drop(const json_t *original, json_t *pod) {
    json_t *container, *port;
    size_t i, k;
    json_array_foreach(containers_of(pod), i, container) {
        json_array_foreach(json_object_get(container, "ports"), k, port) {
            if (!strcmp(text_of(port, "protocol"), "TCP") &&
                protocol_unsaid(original, container, port))
                json_object_del(port, "protocol");
        }
    }
}

/* A status is what somebody wrote; where it does not say the phase, its condition Ready does. */
static void pod_enliven(json_t *pod) {
    json_t *status = json_object_get(pod, "status");
    protocols_fill(pod);
    if (*text_of(status, "phase"))
        return;
    if (!json_is_object(status)) {
        status = json_object();
        json_object_set_new(pod, "status", status);
    }
    json_object_set_new(status, "phase", json_string(phase_of(status)));
}

static void pods_enliven(struct making *m) {
    for (size_t i = 0; i < m->out->count; i++)
        if (!strcmp(m->out->item[i].kind->kind, "Pod"))
            pod_enliven(m->out->item[i].object);
}

static void pod_undo(const json_t *original, json_t *object) {
    const json_t *was = json_object_get(original, "status");
    json_t *status = json_object_get(object, "status");
    protocols_drop(original, object);
    if (!original || *text_of(was, "phase") || strcmp(text_of(status, "phase"), phase_of(was)))
        return;
    json_object_del(status, "phase");
    if (!was && !json_object_size(status))
        json_object_del(object, "status");
}

/* ---- what is always there ---- */

static void always_add(struct making *m) {
    compose_made(m, "v1", "Namespace",
                 json_pack("{s:{s:s s:{s:s}} s:{s:[s]} s:{s:s}}", "metadata", "name", "default",
                           "labels", "kubernetes.io/metadata.name", "default", "spec", "finalizers",
                           "kubernetes", "status", "phase", "Active"));
    compose_made(m, "networking.k8s.io/v1", "IngressClass",
                 json_pack("{s:{s:s s:{s:s}} s:{s:s}}", "metadata", "name", "ringress",
                           "annotations", "ingressclass.kubernetes.io/is-default-class", "true",
                           "spec", "controller", "ringress/edge"));
}

/* ---- the whole ---- */

void compose(const json_t *known, const char *uid, int64_t since, struct composition *ret) {
    struct making making = {.known = known, .uid = uid, .since = since, .out = ret}, *m = &making;
    *ret = (struct composition){0};
    written_add(m);
    containers_add(m);
    always_add(m);
    ingresses_enliven(m);
    services_enliven(m);
    secrets_fold(m);
    pods_enliven(m);
    endpoints_add(m);
    happenings_add(m);
}

/* ---- and back ---- */

static void label_rules_drop(const json_t *known, json_t *spec, const char *ingress) {
    json_t *rules = json_object_get(spec, "rules"), *rule, *route;
    size_t i, k;
    json_array_foreach(json_object_get(known, "routes"), i, route) {
        if (!is_label_route(route, ingress))
            continue;
        json_t *made = route_path(route);
        json_array_foreach(rules, k, rule) {
            json_t *paths = json_object_get(json_object_get(rule, "http"), "paths");
            if (strcmp(text_of(rule, "host"), text_of(route, "host")))
                continue;
            for (size_t p = json_array_size(paths); p-- > 0;)
                if (json_equal(json_array_get(paths, p), made))
                    json_array_remove(paths, p);
        }
        json_decref(made);
    }
    for (k = json_array_size(rules); k-- > 0;) {
        const json_t *paths =
            json_object_get(json_object_get(json_array_get(rules, k), "http"), "paths");
        if (json_is_array(paths) && !json_array_size(paths))
            json_array_remove(rules, k);
    }
    if (json_is_array(rules) && !json_array_size(rules))
        json_object_del(spec, "rules");
}

static void own_tls_drop(const json_t *known, json_t *spec) {
    json_t *tls = json_object_get(spec, "tls"), *own = own_tls(domain_of(known));
    for (size_t i = json_array_size(tls); i-- > 0;)
        if (json_equal(json_array_get(tls, i), own))
            json_array_remove(tls, i);
    json_decref(own);
    if (json_is_array(tls) && !json_array_size(tls))
        json_object_del(spec, "tls");
}

void compose_undo(const struct kube_kind *kind, const json_t *known, const json_t *original,
                  json_t *object) {
    bool ingress = !strcmp(kind->kind, "Ingress");
    json_t *spec = json_object_get(object, "spec"), *metadata = json_object_get(object, "metadata");
    json_object_del(metadata, "resourceVersion");
    json_object_del(metadata, "selfLink");
    json_object_del(metadata, "namespace");
    if (ingress || !strcmp(kind->kind, "Service"))
        json_object_del(object, "status");
    if (!strcmp(kind->kind, "Service"))
        service_undo(original, known, object);
    if (!strcmp(kind->kind, "Pod"))
        pod_undo(original, object);
    if (!is_default_ingress(object))
        return;
    label_rules_drop(known, spec, "default");
    own_tls_drop(known, spec);
}

void compose_redo(const json_t *known, json_t *ingress) {
    const struct making m = {.known = known};
    ingress_enliven(&m, ingress);
}

void compose_defaults(json_t *object) {
    const char *kind = text_of(object, "kind");
    if (!strcmp(kind, "Service"))
        service_defaults(object);
    else if (!strcmp(kind, "Secret"))
        secret_type_default(object);
    else if (!strcmp(kind, "Pod"))
        pod_enliven(object);
}
