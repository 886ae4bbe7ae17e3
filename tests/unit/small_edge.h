/* SPDX-License-Identifier: GPL-3.0-or-later
 * small_edge.h - for tests of tenants/: a registry, the rows it keeps, the newest tenants it made.
 */
#pragma once
#include "tenants/network.h"
#include "tenants/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TENANTS = 64 };
struct edge {
    struct registry *registry;
    json_t *rows; /* key -> text */
    struct {
        char *name;
        struct tenant *tenant;
    } live[TENANTS];
    struct diags diags;
    size_t changed, lookups;
    char lookup[128];
    uint64_t dice;
    const char *secret; /* that tokens are made with; NULL: the same after every restart */
};

static inline uint64_t roll(void *context) {
    struct edge *edge = context;
    edge->dice = edge->dice * 6364136223846793005u + 1442695040888963407u;
    return edge->dice >> 16;
}

static inline void registry_begin(struct edge *edge) {
    static const char *const zones[] = {"1d.pt"};
    static struct own_listener listener[] = {{.low = 9180, .high = 9180},
                                             {.low = 8443, .high = 8443}};
    static const struct own own = {.listener = listener, .listener_count = 2};
    assert_true(prefix_parse("127.0.0.1", &listener[0].at));
    assert_true(prefix_parse("0.0.0.0", &listener[1].at));
    static const char *const addresses[] = {"203.0.113.7", "2001:db8::7"};
    const char *secret = edge->secret ? edge->secret : "the same after every restart";
    struct registry_conf conf = {.zones = zones,
                                 .zone_count = 1,
                                 .addresses = addresses,
                                 .address_count = 2,
                                 .secret = (const uint8_t *)secret,
                                 .secret_length = strlen(secret) + 1,
                                 .port_low = 28000,
                                 .port_high = 28009,
                                 .ports_per_tenant = 4,
                                 .own = &own,
                                 .random = roll,
                                 .random_context = edge};
    edge->registry = registry_new(&conf);
}

static inline void edge_begin(struct edge *edge) {
    memset(edge, 0, sizeof *edge);
    edge->rows = json_object();
    registry_begin(edge);
}

static inline void row_keep(struct edge *edge, const char *key, const char *value) {
    if (value)
        json_object_set_new(edge->rows, key, json_string(value));
    else
        json_object_del(edge->rows, key);
}

static inline void tenant_keep(struct edge *edge, const char *name, struct tenant *tenant) {
    size_t i = 0, empty = TENANTS;
    for (; i < TENANTS && !(edge->live[i].name && !strcmp(edge->live[i].name, name)); i++)
        if (!edge->live[i].name && empty == TENANTS)
            empty = i;
    i = i < TENANTS ? i : empty;
    assert_true(i < TENANTS);
    tenant_free(edge->live[i].tenant);
    free(edge->live[i].name);
    edge->live[i].name = tenant ? strdup(name) : NULL;
    edge->live[i].tenant = tenant;
}

static inline void change_take(struct edge *edge, struct change *change) {
    edge->changed = change->tenant_count;
    edge->lookups = change->lookup_count;
    if (change->lookup_count)
        snprintf(edge->lookup, sizeof edge->lookup, "%s", change->lookup[0].name);
    for (size_t i = 0; i < change->row_count; i++)
        row_keep(edge, change->row[i].key, change->row[i].value);
    for (size_t i = 0; i < change->tenant_count; i++) {
        tenant_keep(edge, change->tenant[i].name, change->tenant[i].tenant);
        change->tenant[i].tenant = NULL;
    }
    change_fini(change);
}

/* In whatever order: a store may have its own, and no row may need to come before another. */
static inline void rows_read(struct edge *edge) {
    size_t count = json_object_size(edge->rows), at = 0;
    const char *key, **keys = calloc(count + 1, sizeof *keys);
    json_t *value;
    assert_non_null(keys);
    json_object_foreach(edge->rows, key, value) keys[at++] = key;
    for (size_t left = count; left; left--) {
        size_t i = (roll(edge) >> 16) % left;
        registry_row(edge->registry, keys[i],
                     json_string_value(json_object_get(edge->rows, keys[i])));
        keys[i] = keys[left - 1];
    }
    free(keys);
}

static inline void edge_restart(struct edge *edge) {
    registry_free(edge->registry);
    for (size_t i = 0; i < TENANTS; i++)
        if (edge->live[i].name)
            tenant_keep(edge, edge->live[i].name, NULL);
    registry_begin(edge);
    rows_read(edge);
}

static inline void edge_end(struct edge *edge) {
    registry_free(edge->registry);
    for (size_t i = 0; i < TENANTS; i++) {
        tenant_free(edge->live[i].tenant);
        free(edge->live[i].name);
    }
    json_decref(edge->rows);
    diags_fini(&edge->diags);
}

static inline bool put_named(struct edge *edge, const char *tenant, bool folder, const char *file,
                             const char *text, int64_t now) {
    struct source source = {file, file, text, strlen(text)};
    struct drop drop = {tenant, folder, &source, 1};
    struct change change;
    diags_fini(&edge->diags);
    bool good = registry_put(edge->registry, &drop, now, &edge->diags, &change);
    change_take(edge, &change);
    return good;
}

static inline bool put(struct edge *edge, const char *tenant, const char *text) {
    return put_named(edge, tenant, false, "t.yaml", text, 1000);
}

static inline void drop_gone(struct edge *edge, const char *tenant, int64_t now) {
    struct change change;
    registry_remove(edge->registry, tenant, now, &change);
    change_take(edge, &change);
}

static inline const struct tenant *live(const struct edge *edge, const char *name) {
    for (size_t i = 0; i < TENANTS; i++)
        if (edge->live[i].name && !strcmp(edge->live[i].name, name))
            return edge->live[i].tenant;
    return NULL;
}

static inline const struct tenant_name *name_of_kind(const struct tenant *tenant, const char *name,
                                                     bool nobodys) {
    for (size_t i = 0; tenant && i < tenant->name_count; i++)
        if ((tenant->names[i].kind == NAME_NOBODY) == nobodys &&
            !strcmp(tenant->names[i].name, name))
            return &tenant->names[i];
    return NULL;
}

/* By a name of its own in the directory: a wildcard's is another. */
static inline const struct tenant_name *named(const struct edge *edge, const char *tenant,
                                              const char *name) {
    return name_of_kind(live(edge, tenant), name, false);
}

/* Whom a request for this name reaches, as core/names.c looks for him: the name, the wildcard above it. NULL: nobody. */
static inline const char *reached(const struct edge *edge, const char *name) {
    char above[256];
    const char *dot = strchr(name, '.'), *by_wildcard = NULL;
    bool nobodys = false;
    snprintf(above, sizeof above, "*%s", dot ? dot : "");
    for (size_t i = 0; i < TENANTS; i++) {
        if (!edge->live[i].name)
            continue;
        if (name_of_kind(edge->live[i].tenant, name, false))
            return edge->live[i].name;
        nobodys |= name_of_kind(edge->live[i].tenant, name, true) != NULL;
        if (name_of_kind(edge->live[i].tenant, above, false))
            by_wildcard = edge->live[i].name;
    }
    return nobodys ? NULL : by_wildcard;
}

/* The row of a view whose `key` is `value`; its `field` as text. */
static inline const char *field_of(json_t *array, const char *key, const char *value,
                                   const char *field) {
    static char text[512];
    size_t i;
    json_t *row;
    snprintf(text, sizeof text, "<no row>");
    json_array_foreach(array, i, row) {
        const char *own = json_string_value(json_object_get(row, key));
        if (!own || strcmp(own, value))
            continue;
        json_t *found = json_object_get(row, field);
        if (json_is_integer(found))
            snprintf(text, sizeof text, "%lld", (long long)json_integer_value(found));
        else
            snprintf(text, sizeof text, "%s",
                     json_is_string(found) ? json_string_value(found) : "<null>");
        break;
    }
    json_decref(array);
    return text;
}

static inline const char *domain_state(const struct edge *edge, const char *tenant,
                                       const char *domain) {
    return field_of(view_domains(edge->registry, tenant), "domain", domain, "state");
}

static inline const struct backend *routed(const struct edge *edge, const char *tenant,
                                           const char *host, const char *path) {
    struct route_answer answer;
    const struct tenant_name *name = named(edge, tenant, host);
    if (!name && !live(edge, tenant))
        return NULL;
    route_find(live(edge, tenant), name ? name->host : NULL, path, strlen(path), &answer);
    return answer.backend;
}

static inline bool said(const struct edge *edge, const char *text) {
    for (size_t i = 0; i < edge->diags.count; i++)
        if (strstr(edge->diags.item[i].message, text))
            return true;
    return false;
}

#define TENANT(name, spec) \
    "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: " name "}\nspec: {" spec "}\n---\n"
#define ACME TENANT("acme", "domain: 123123.1d.pt, network: {allow: [10.11.0.0/16]}")
#define ECHO                                                                                       \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: echo1, labels: {app: echo}}\nspec: {containers: " \
    "[{name: echo, "                                                                               \
    "image: x, ports: [{name: web, containerPort: 5678}]}]}\nstatus: {podIP: 10.11.0.5}\n---\n"    \
    "apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec: {selector: {app: echo}, ports: " \
    "[{port: 80, "                                                                                 \
    "targetPort: web}]}\n---\n"
#define INGRESS(name, tls, host)                                                    \
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " name       \
    "}\nspec:\n  tls: [{hosts: [" tls "]}]\n  rules:\n  - host: \"" host            \
    "\"\n    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: " \
    "echo, port: {number: 80}}}}]}\n---\n"
