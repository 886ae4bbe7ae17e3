/* SPDX-License-Identifier: GPL-3.0-or-later
 * openapi.c - see openapi.h. Written from shape.h, so that what is explained is what is known; the words about fields are ours, and few.
 */
#include "modules/kube/openapi.h"
#include "modules/kube/kinds.h"
#include "modules/kube/openapi_v2.h"
#include "modules/kube/shape.h"
#include <string.h>

enum { NAME_MAX_ = 128 };

static const struct {
    const char *shape, *part, *words;
} described[] = {
    {"Ingress", "",
     "Which names and paths are brought to which Services. Every tenant has one "
     "called default, with its own domain under spec.tls."},
    {"Ingress", "spec", "What is asked for."},
    {"Ingress", "status", "Where it is reached: the tenant's domain. Live, not to be written."},
    {"Ingress", "metadata",
     "Name, labels and annotations. Annotations that begin with ringress/ "
     "say more about TLS, limits, pods and pages."},
    {"IngressSpec", "tls",
     "Names that are bound to this Ingress and served over TLS. A name "
     "outside the tenant's own domain must be proved by DNS before it "
     "routes; the events of the Ingress say which record is missing."},
    {"IngressSpec", "rules", "Hosts and their paths."},
    {"IngressSpec", "defaultBackend", "Where requests go that no rule speaks for."},
    {"IngressSpec", "ingressClassName", "Without effect: there is one class, ringress."},
    {"IngressTLS", "hosts", "Names, or wildcards like *.example.com, which cover one label."},
    {"IngressTLS", "secretName",
     "A Secret of type kubernetes.io/tls; without it a certificate is "
     "ordered, or the operator's is used."},
    {"IngressRule", "host",
     "A name, or a wildcard for one label. Without it the rule speaks for "
     "all names of the tenant."},
    {"IngressRule", "http", "Paths of that host."},
    {"HTTPIngressRuleValue", "paths", "The longest path that matches wins, an exact one first."},
    {"HTTPIngressPath", "path", "Begins with a slash."},
    {"HTTPIngressPath", "pathType",
     "Exact; Prefix, which matches by path element; or "
     "ImplementationSpecific, which is matched as Prefix."},
    {"HTTPIngressPath", "backend", "Where it is brought to."},
    {"IngressBackend", "service", "A Service of the same tenant."},
    {"IngressServiceBackend", "name", "Its name."},
    {"IngressServiceBackend", "port", "Its port, by number or by name."},
    {"Service", "", "Pods under one name. Of type NodePort: with a raw TCP port of the edge."},
    {"ServiceSpec", "selector", "Labels that its pods have."},
    {"ServiceSpec", "type",
     "ClusterIP, or NodePort: each port is given a public raw TCP port from "
     "the edge's pool, which stays the same."},
    {"ServicePort", "nodePort",
     "The raw TCP port that was given; or, when written, that is wanted."},
    {"ServicePort", "targetPort", "The pods' port, by number or name; default: the same as port."},
    {"ServicePort", "appProtocol",
     "How pods are spoken to: http, https, kubernetes.io/h2c, "
     "kubernetes.io/ws, tcp."},
    {"Pod", "", "Where something runs. There is no kubelet: its status is what was written."},
    {"PodStatus", "podIP", "Where it is reached; it must lie within the tenant's network."},
    {"PodStatus", "conditions", "Ready says whether it is given requests."},
    {"SelfSubjectAccessReview", "", "May this token do that?"},
    {"SelfSubjectRulesReview", "", "What may this token do?"},
    {"SelfSubjectReview", "", "Whose token is this?"},
    {"Image", "", "A short name for an image; kept, and not acted on."},
    {"Secret", "", "A certificate with its key (kubernetes.io/tls), or an authority's."},
    {"ObjectMeta", "name", "Must be unique within its kind."},
    {"ObjectMeta", "namespace", "A tenant has the one namespace default."},
    {"ObjectMeta", "annotations", "Texts for tools, and for the edge."},
    {"ObjectMeta", "labels", "Words to select by."},
    {"ObjectMeta", "resourceVersion",
     "Another after every change; what is written with an older "
     "one is refused."},
};

static const char *words_of(const char *shape, const char *part) {
    for (size_t i = 0; i < sizeof described / sizeof *described; i++)
        if (!strcmp(described[i].shape, shape) && !strcmp(described[i].part, part))
            return described[i].words;
    return "";
}

/* ---- schemas ---- */

static const char *schema_name(const struct shape *s, char out[NAME_MAX_]) {
    snprintf(out, NAME_MAX_, "io.k8s.%s", s->name);
    return out;
}

static void schema_need(json_t *schemas, const struct shape *);

static json_t *value_schema(json_t *schemas, const struct part *p) {
    char name[NAME_MAX_];
    switch (p->type) {
    case PART_INT:
        return json_pack("{s:s s:s}", "type", "integer", "format", "int32");
    case PART_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case PART_PORT:
        return json_pack("{s:[{s:s},{s:s}] s:s}", "oneOf", "type", "integer", "type", "string",
                         "format", "int-or-string");
    case PART_BYTES:
        return json_pack("{s:s s:s}", "type", "string", "format", "byte");
    case PART_TIME:
        return json_pack("{s:s s:s}", "type", "string", "format", "date-time");
    case PART_OBJECT:
        schema_need(schemas, p->of);
        return json_pack("{s:[{s:o}]}", "allOf", "$ref",
                         json_sprintf("#/components/schemas/%s", schema_name(p->of, name)));
    case PART_ANY:
        return json_pack("{s:s s:b}", "type", "object", "x-kubernetes-preserve-unknown-fields", 1);
    default:
        return json_pack("{s:s}", "type", "string");
    }
}

static json_t *keys_of(const struct part *p) {
    json_t *keys = json_array();
    for (size_t i = 0; i < PART_KEYS_MAX && p->key[i].name; i++)
        json_array_append_new(keys, json_string(p->key[i].name));
    return keys;
}

static json_t *part_schema(json_t *schemas, const struct part *p) {
    json_t *value = value_schema(schemas, p), *schema = value;
    if (p->form == PART_MAP)
        schema = json_pack("{s:s s:o}", "type", "object", "additionalProperties", value);
    else if (p->form != PART_ONE)
        schema =
            json_pack("{s:s s:o s:s}", "type", "array", "items", value, "x-kubernetes-list-type",
                      p->form == PART_SET     ? "set"
                      : p->form == PART_KEYED ? "map"
                                              : "atomic");
    if (p->form == PART_KEYED) {
        json_object_set_new(schema, "x-kubernetes-list-map-keys", keys_of(p));
        json_object_set_new(schema, "x-kubernetes-patch-merge-key", json_string(p->key[0].name));
        json_object_set_new(schema, "x-kubernetes-patch-strategy", json_string("merge"));
    }
    if (p->form == PART_SET)
        json_object_set_new(schema, "x-kubernetes-patch-strategy", json_string("merge"));
    if (p->atomic)
        json_object_set_new(schema, "x-kubernetes-map-type", json_string("atomic"));
    return schema;
}

static json_t *shape_schema(json_t *schemas, const struct shape *s) {
    json_t *properties = json_object(), *required = json_array();
    for (const struct part *p = s->part; p->name; p++) {
        json_t *schema = part_schema(schemas, p);
        json_object_set_new(schema, "description", json_string(words_of(s->name, p->name)));
        json_object_set_new(properties, p->name, schema);
        if (p->required)
            json_array_append_new(required, json_string(p->name));
    }
    json_t *schema = json_pack("{s:s s:s s:o}", "type", "object", "description",
                               words_of(s->name, ""), "properties", properties);
    if (json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

static void schema_need(json_t *schemas, const struct shape *s) {
    char name[NAME_MAX_];
    schema_name(s, name);
    if (json_object_get(schemas, name))
        return;
    json_object_set_new(schemas, name, json_null()); /* so that it is not begun twice */
    json_object_set_new(schemas, name, shape_schema(schemas, s));
}

/* ---- documents ---- */

static json_t *gvk_json(const struct kube_kind *k) {
    return json_pack("{s:s s:s s:s}", "group", k->group, "version", k->version, "kind", k->kind);
}

static json_t *operation(const struct kube_kind *k, const char *action) {
    json_t *parameters =
        strcmp(action, "patch") && strcmp(action, "post")
            ? json_array()
            : json_pack("[{s:s s:s s:{s:s}},{s:s s:s s:{s:s}}]", "name", "fieldValidation", "in",
                        "query", "schema", "type", "string", "name", "dryRun", "in", "query",
                        "schema", "type", "string");
    return json_pack("{s:o s:{} s:s s:o}", "parameters", parameters, "responses",
                     "x-kubernetes-action", action, "x-kubernetes-group-version-kind", gvk_json(k));
}

static void paths_add(json_t *paths, const struct kube_kind *k) {
    char api_version[API_VERSION_MAX];
    kind_api_version(k, api_version);
    json_t *all = json_sprintf("/%s/%s/%s%s", *k->group ? "apis" : "api", api_version,
                               k->namespaced ? "namespaces/{namespace}/" : "", k->plural);
    json_t *one = json_sprintf("%s/{name}", json_string_value(all));
    json_t *of_one = json_object(), *of_all = json_object();
    if (k->nature != KIND_ASKED) {
        json_object_set_new(of_one, "get", operation(k, "get"));
        json_object_set_new(of_all, "get", operation(k, "list"));
    }
    if (k->nature == KIND_ASKED || k->nature == KIND_WRITTEN)
        json_object_set_new(of_all, "post", operation(k, "post"));
    if (k->nature == KIND_WRITTEN) {
        json_object_set_new(of_one, "patch", operation(k, "patch"));
        json_object_set_new(of_one, "put", operation(k, "put"));
        json_object_set_new(of_one, "delete", operation(k, "delete"));
    }
    json_object_set_new(paths, json_string_value(all), of_all);
    if (json_object_size(of_one))
        json_object_set(paths, json_string_value(one), of_one);
    json_decref(of_one);
    json_decref(all);
    json_decref(one);
}

static void kind_add(json_t *paths, json_t *schemas, const struct kube_kind *k) {
    char api_version[API_VERSION_MAX], name[NAME_MAX_];
    const struct shape *shape = shape_find(kind_api_version(k, api_version), k->kind);
    if (!shape)
        return;
    paths_add(paths, k);
    schema_need(schemas, shape);
    json_t *schema = json_object_get(schemas, schema_name(shape, name));
    json_object_set_new(schema, "x-kubernetes-group-version-kind", json_pack("[o]", gvk_json(k)));
}

static char *document_text(json_t *document, size_t *ret_length) {
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    *ret_length = text ? strlen(text) : 0;
    return text;
}

char *openapi_v2(bool as_json, size_t *ret_length) {
    json_t *paths = json_object(), *schemas = json_object();
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (k->nature != KIND_ABSENT)
            kind_add(paths, schemas, k);
    char *text = as_json ? document_text(openapi_v2_json(paths, schemas), ret_length)
                         : openapi_v2_encode(paths, schemas, ret_length);
    json_decref(paths);
    json_decref(schemas);
    return text;
}

static json_t *group_document(const char *group, const char *version) {
    json_t *paths = json_object(), *schemas = json_object();
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (!strcmp(k->group, group) && !strcmp(k->version, version) && k->nature != KIND_ABSENT)
            kind_add(paths, schemas, k);
    if (json_object_size(paths))
        return json_pack("{s:s s:{s:s s:s} s:o s:{s:o}}", "openapi", "3.0.0", "info", "title",
                         "ringress", "version", "v1", "paths", paths, "components", "schemas",
                         schemas);
    json_decref(paths);
    json_decref(schemas);
    return NULL;
}

/* The hash lets a client keep what it has for as long as this build serves. */
static json_t *list_document(void) {
    json_t *paths = json_object();
    for (const struct kube_kind *k = kube_kinds; k->kind; k++) {
        char api_version[API_VERSION_MAX], path[API_VERSION_MAX + 8];
        if (k->nature == KIND_ABSENT)
            continue;
        snprintf(path, sizeof path, "%s/%s", *k->group ? "apis" : "api",
                 kind_api_version(k, api_version));
        json_object_set_new(paths, path,
                            json_pack("{s:o}", "serverRelativeURL",
                                      json_sprintf("/openapi/v3/%s?hash=" RINGRESS_VERSION, path)));
    }
    return json_pack("{s:o}", "paths", paths);
}

json_t *openapi_of(const struct target *t) {
    if (t->what == TARGET_OPENAPI_V3)
        return list_document();
    return t->what == TARGET_OPENAPI_V3_GROUP ? group_document(t->group, t->version) : NULL;
}
