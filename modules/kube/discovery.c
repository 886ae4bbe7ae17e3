/* SPDX-License-Identifier: GPL-3.0-or-later
 * discovery.c - see discovery.h. Both forms are written from kube_kinds: a list for each group and version, and one for all (aggregated).
 */
#include "modules/kube/discovery.h"
#include "modules/kube/kinds.h"
#include <string.h>
#include <sys/utsname.h>

/* What these kinds look like is that of this Kubernetes: kubectl warns when its own is more than one minor version away. */
#define KUBE_MAJOR "1"
#define KUBE_MINOR "32"

static json_t *verbs_of(const struct kube_kind *k) {
    json_t *list = json_array();
    for (const char *const *verb = kind_verbs(k); *verb; verb++)
        json_array_append_new(list, json_string(*verb));
    return list;
}

static json_t *short_names_of(const struct kube_kind *k) {
    return k->short_name ? json_pack("[s]", k->short_name) : json_array();
}

static json_t *categories_of(const struct kube_kind *k) {
    bool in_all = !strcmp(k->kind, "Pod") || !strcmp(k->kind, "Service");
    return in_all ? json_pack("[s]", "all") : json_array();
}

/* ---- a list for each ---- */

static json_t *resource_json(const struct kube_kind *k) {
    return json_pack("{s:s s:s s:b s:s s:o s:o s:o}", "name", k->plural, "singularName",
                     k->singular, "namespaced", k->namespaced, "kind", k->kind, "verbs",
                     verbs_of(k), "shortNames", short_names_of(k), "categories", categories_of(k));
}

bool group_version_exists(const char *group, const char *version) {
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (!strcmp(k->group, group) && !strcmp(k->version, version))
            return true;
    return false;
}

static json_t *resources_of(const struct target *t) {
    json_t *list = json_array();
    char api_version[API_VERSION_MAX] = "";
    for (const struct kube_kind *k = kube_kinds; k->kind; k++) {
        if (strcmp(k->group, t->group) || strcmp(k->version, t->version))
            continue;
        json_array_append_new(list, resource_json(k));
        kind_api_version(k, api_version);
    }
    if (*api_version)
        return json_pack("{s:s s:s s:s s:o}", "kind", "APIResourceList", "apiVersion", "v1",
                         "groupVersion", api_version, "resources", list);
    json_decref(list);
    return NULL;
}

static json_t *group_json(const struct kube_kind *k) {
    char api_version[API_VERSION_MAX];
    json_t *version = json_pack("{s:s s:s}", "groupVersion", kind_api_version(k, api_version),
                                "version", k->version);
    return json_pack("{s:s s:[O] s:o}", "name", k->group, "versions", version, "preferredVersion",
                     version);
}

static bool begins_group(const struct kube_kind *k) {
    return k == kube_kinds || strcmp(k[-1].group, k->group);
}

static json_t *groups_json(void) {
    json_t *list = json_array();
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (*k->group && begins_group(k))
            json_array_append_new(list, group_json(k));
    return json_pack("{s:s s:s s:o}", "kind", "APIGroupList", "apiVersion", "v1", "groups", list);
}

static json_t *group_of(const char *name) {
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (*k->group && !strcmp(k->group, name)) {
            json_t *group = group_json(k);
            json_object_set_new(group, "kind", json_string("APIGroup"));
            json_object_set_new(group, "apiVersion", json_string("v1"));
            return group;
        }
    return NULL;
}

/* ---- all in one ---- */

static json_t *aggregated_resource(const struct kube_kind *k) {
    json_t *resource =
        json_pack("{s:s s:{s:s s:s s:s} s:s s:s s:o s:o}", "resource", k->plural, "responseKind",
                  "group", k->group, "version", k->version, "kind", k->kind, "scope",
                  k->namespaced ? "Namespaced" : "Cluster", "singularResource", k->singular,
                  "verbs", verbs_of(k), "shortNames", short_names_of(k));
    json_object_set_new(resource, "categories", categories_of(k));
    return resource;
}

static json_t *aggregated_group(const struct kube_kind *first) {
    json_t *resources = json_array();
    for (const struct kube_kind *k = first; k->kind && !strcmp(k->group, first->group); k++)
        json_array_append_new(resources, aggregated_resource(k));
    json_t *metadata = *first->group ? json_pack("{s:s}", "name", first->group) : json_object();
    return json_pack("{s:o s:[{s:s s:o s:s}]}", "metadata", metadata, "versions", "version",
                     first->version, "resources", resources, "freshness", "Current");
}

static json_t *aggregated(bool core, const char *version) {
    json_t *items = json_array();
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (!*k->group == core && begins_group(k))
            json_array_append_new(items, aggregated_group(k));
    return json_pack("{s:s s:o s:{} s:o}", "kind", "APIGroupDiscoveryList", "apiVersion",
                     json_sprintf("apidiscovery.k8s.io/%s", version), "metadata", "items", items);
}

/* ---- the others ---- */

static json_t *version_json(void) {
    struct utsname host;
    bool arm = !uname(&host) && !strcmp(host.machine, "aarch64");
    return json_pack("{s:s s:s s:s s:s s:s}", "major", KUBE_MAJOR, "minor", KUBE_MINOR,
                     "gitVersion", "v" KUBE_MAJOR "." KUBE_MINOR ".0+ringress-" RINGRESS_VERSION,
                     "gitTreeState", "clean", "platform", arm ? "linux/arm64" : "linux/amd64");
}

static json_t *paths_json(void) {
    static const char *const others[] = {"/healthz",    "/livez",  "/openapi/v2",
                                         "/openapi/v3", "/readyz", "/version"};
    json_t *paths = json_pack("[s,s,s]", "/api", "/api/v1", "/apis");
    char api_version[API_VERSION_MAX];
    for (const struct kube_kind *k = kube_kinds; k->kind; k++) {
        if (!*k->group || !begins_group(k))
            continue;
        json_array_append_new(paths, json_sprintf("/apis/%s", k->group));
        json_array_append_new(paths, json_sprintf("/apis/%s", kind_api_version(k, api_version)));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        json_array_append_new(paths, json_string(others[i]));
    return json_pack("{s:o}", "paths", paths);
}

static bool is_aggregated(const struct target *t, enum form form) {
    return (t->what == TARGET_API || t->what == TARGET_APIS) &&
           (form == FORM_DISCOVERY || form == FORM_DISCOVERY_V2BETA1);
}

json_t *discovery_of(const struct target *t, enum form form) {
    if (is_aggregated(t, form))
        return aggregated(t->what == TARGET_API, form == FORM_DISCOVERY ? "v2" : "v2beta1");
    switch (t->what) {
    case TARGET_ROOT:
        return paths_json();
    case TARGET_VERSION:
        return version_json();
    case TARGET_API:
        return json_pack("{s:s s:[s] s:[]}", "kind", "APIVersions", "versions", "v1",
                         "serverAddressByClientCIDRs");
    case TARGET_APIS:
        return groups_json();
    case TARGET_GROUP:
        return group_of(t->group);
    case TARGET_GROUP_VERSION:
        return resources_of(t);
    default:
        return NULL;
    }
}

const char *discovery_type(const struct target *t, enum form form) {
    if (!is_aggregated(t, form))
        return "application/json";
    return form == FORM_DISCOVERY
               ? "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
               : "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
}
