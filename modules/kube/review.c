/* SPDX-License-Identifier: GPL-3.0-or-later
 * review.c - see review.h.
 */
#include "modules/kube/review.h"
#include "modules/kube/parts.h"
#include <stdbool.h>
#include <string.h>

static bool is_listed(const char *text, const char *const *list) {
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list;
}

/* ---- may it? ---- */

static bool is_of_kind(const json_t *what, const struct kube_kind *k) {
    const char *version = text_of(what, "version");
    return !strcmp(text_of(what, "resource"), k->plural) &&
           !strcmp(text_of(what, "group"), k->group) &&
           (!*version || !strcmp(version, "*") || !strcmp(version, k->version));
}

/* As for the requests themselves: over all namespaces there is only to look. */
static bool is_within(const json_t *what, const struct kube_kind *k) {
    static const char *const over_all[] = {"get", "list", "watch", NULL};
    const char *space = text_of(what, "namespace"), *name = text_of(what, "name");
    if (!strcmp(k->kind, "Namespace"))
        return !*name || !strcmp(name, "default");
    if (!k->namespaced)
        return true;
    return !strcmp(space, "default") || (!*space && is_listed(text_of(what, "verb"), over_all));
}

static bool has_verb(const json_t *what, const struct kube_kind *k) {
    static const char *const of_status[] = {"get", NULL};
    static const char *const of_pods_status[] = {"get", "patch", "update", NULL};
    const char *verb = text_of(what, "verb"), *sub = text_of(what, "subresource");
    if (!*sub)
        return is_listed(verb, kind_verbs(k));
    return !strcmp(sub, "status") && k->nature != KIND_ASKED && k->nature != KIND_ABSENT &&
           is_listed(verb, !strcmp(k->kind, "Pod") ? of_pods_status : of_status);
}

static bool resource_allowed(const json_t *what) {
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (is_of_kind(what, k))
            return is_within(what, k) && has_verb(what, k);
    return false;
}

/* A star at the end stands for all that follows. */
static const char *const paths[] = {"/api",     "/api/*",   "/apis",    "/apis/*",
                                    "/healthz", "/livez",   "/openapi", "/openapi/*",
                                    "/readyz",  "/version", NULL};

static bool path_allowed(const json_t *what) {
    const char *path = text_of(what, "path");
    if (strcmp(text_of(what, "verb"), "get") != 0)
        return false;
    for (size_t i = 0; paths[i]; i++) {
        size_t n = strcspn(paths[i], "*");
        if (paths[i][n] ? !strncmp(path, paths[i], n) : !strcmp(path, paths[i]))
            return true;
    }
    return false;
}

static json_t *access_status(const json_t *spec) {
    const json_t *resource = json_object_get(spec, "resourceAttributes");
    const json_t *path = json_object_get(spec, "nonResourceAttributes");
    bool allowed = json_is_object(resource) ? resource_allowed(resource) : path_allowed(path);
    return json_pack("{s:b}", "allowed", allowed);
}

/* ---- what may it? ---- */

static json_t *texts(const char *const *list) {
    json_t *array = json_array();
    for (; *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

static json_t *rules_status(const json_t *spec) {
    const char *space = text_of(spec, "namespace");
    bool own = !*space || !strcmp(space, "default");
    json_t *rules = json_array();
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (k->nature != KIND_ABSENT && (own || !k->namespaced))
            json_array_append_new(rules,
                                  json_pack("{s:o s:[s] s:[s]}", "verbs", texts(kind_verbs(k)),
                                            "apiGroups", k->group, "resources", k->plural));
    return json_pack("{s:o s:[{s:[s] s:o}] s:b}", "resourceRules", rules, "nonResourceRules",
                     "verbs", "get", "nonResourceURLs", texts(paths), "incomplete", 0);
}

/* ---- who is it? ---- */

static json_t *user_status(const char *user) {
    return json_pack("{s:{s:s s:[s]}}", "userInfo", "username", user, "groups",
                     "system:authenticated");
}

json_t *review_of(const struct kube_kind *kind, const json_t *question, const char *user) {
    char api_version[API_VERSION_MAX];
    json_t *spec = json_object_get(question, "spec"), *status;
    if (!strcmp(kind->kind, "SelfSubjectAccessReview"))
        status = access_status(spec);
    else if (!strcmp(kind->kind, "SelfSubjectRulesReview"))
        status = rules_status(spec);
    else
        status = user_status(user);
    json_t *answer = json_pack("{s:s s:s s:{s:n} s:o}", "kind", kind->kind, "apiVersion",
                               kind_api_version(kind, api_version), "metadata", "creationTimestamp",
                               "status", status);
    if (json_is_object(spec))
        json_object_set(answer, "spec", spec);
    return answer;
}
