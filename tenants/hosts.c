/* SPDX-License-Identifier: GPL-3.0-or-later
 * hosts.c - rules to hosts: group by host, ask whether the tenant may speak for it, sort its
 * paths, name it for the directory.
 *
 *   rules -> sorted by host -> permitted? -> routes (Exact, then the longest Prefix; a path said
 * twice: the first wins)
 *         -> names: the domain's tree, each host, each bound name without rules
 */
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

static void note_state(struct rule *rule, const char *state, const char *reason) {
    if (!rule->note)
        return;
    rule->note->state = state;
    rule->note->reason = reason;
}

static const char *path_type_name(enum path_type type) {
    static const char *const names[] = {[PATH_EXACT] = "Exact",
                                        [PATH_PREFIX] = "Prefix",
                                        [PATH_IMPLEMENTATION_SPECIFIC] = "ImplementationSpecific"};
    return names[type];
}

static void notes_begin(struct work *w) {
    struct compiled *out = w->out;
    out->route = stash_array(w->stash, w->rule_count + 1, sizeof *out->route);
    for (size_t i = 0; i < w->rule_count; i++) {
        struct rule *rule = &w->rule[i];
        if (!rule->path)
            continue;
        rule->note = &out->route[out->route_count++];
        *rule->note = (struct route_note){
            .host = rule->host,
            .path = rule->path,
            .path_type = path_type_name(rule->type),
            .scheme = rule->scheme,
            .ingress = rule->ingress,
            .origin = rule->origin,
            .backend = rule->backend,
            .service = rule->backend ? rule->backend->service : "",
            .port = rule->backend ? rule->backend->port : 0,
        };
    }
}

/* Without the final '/', which means nothing in a Prefix; "/" becomes "". */
static size_t matched_length(const struct rule *rule) {
    size_t length = strlen(rule->path);
    return rule->type != PATH_EXACT && rule->path[length - 1] == '/' ? length - 1 : length;
}

static int rule_order(const void *left, const void *right) {
    const struct rule *a = *(struct rule *const *)left, *b = *(struct rule *const *)right;
    int host = strcmp(a->host, b->host);
    return host ? host : (a->order > b->order) - (a->order < b->order);
}

/* As the router reads them: Exact first, then by falling length; equal paths next to each other,
 * the first said first. */
static int path_order(const void *left, const void *right) {
    const struct rule *a = *(struct rule *const *)left, *b = *(struct rule *const *)right;
    bool exact_a = a->type == PATH_EXACT, exact_b = b->type == PATH_EXACT;
    if (exact_a != exact_b)
        return exact_a ? -1 : 1;
    size_t length_a = matched_length(a), length_b = matched_length(b);
    if (length_a != length_b)
        return length_a > length_b ? -1 : 1;
    int order = memcmp(a->path, b->path, length_a);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

static bool path_same(const struct rule *a, const struct rule *b) {
    size_t length = matched_length(a);
    return (a->type == PATH_EXACT) == (b->type == PATH_EXACT) && length == matched_length(b) &&
           !memcmp(a->path, b->path, length);
}

static void route_state(struct rule *rule) {
    const struct backend *backend = rule->backend;
    if (!backend)
        note_state(rule, "error", "its backend cannot be used");
    else if (backend->ready_count)
        note_state(rule, "ok", NULL);
    else
        note_state(rule, "unavailable",
                   backend->reason           ? backend->reason
                   : backend->endpoint_count ? backend->endpoint[0].reason
                                             : "no endpoint");
}

static void rule_shadow(struct work *w, struct rule *rule, const struct rule *winner) {
    if (rule->backend == winner->backend && rule->passthrough == winner->passthrough &&
        rule->gate == winner->gate) {
        note_state(rule, "ok",
                   NULL); /* http:// and https:// of one label: said twice, meant once */
        route_state(rule);
        return;
    }
    note_state(rule, "shadowed",
               stash_format(w->stash, "%s has this host and path already", winner->origin));
    note_event(w, rule->object, rule->file, rule->at, "PathTaken", "%s%s is already routed by %s",
               rule->host, rule->path, winner->origin);
}

static void route_set(struct route *route, const struct rule *rule) {
    *route = (struct route){
        .type = rule->type,
        .path = rule->path,
        .path_length = strlen(rule->path),
        .backend = rule->backend,
        .ingress = rule->ingress,
        .origin = rule->origin,
        .gate = rule->gate,
    };
}

static void routes_build(struct work *w, struct host *host, struct rule **rules, size_t count) {
    struct rule **paths = stash_array(w->stash, count + 1, sizeof(struct rule *));
    size_t path_count = 0;
    for (size_t i = 0; i < count; i++)
        if (rules[i]->path && !rules[i]->passthrough && rules[i]->backend)
            paths[path_count++] = rules[i];
    qsort(paths, path_count, sizeof *paths, path_order);
    host->route = stash_array(w->stash, path_count + 1, sizeof *host->route);
    const struct rule *winner = NULL;
    for (size_t i = 0; i < path_count; i++) {
        if (winner && path_same(winner, paths[i])) {
            rule_shadow(w, paths[i], winner);
            continue;
        }
        winner = paths[i];
        route_set(&host->route[host->route_count++], winner);
        route_state(paths[i]);
    }
}

/* TLS passes to one pod set per host: the path cannot be seen. */
static void passthrough_build(struct work *w, struct host *host, struct rule **rules,
                              size_t count) {
    const struct rule *winner = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!rules[i]->passthrough || !rules[i]->path)
            continue;
        if (winner && (rules[i]->backend != winner->backend || rules[i]->gate != winner->gate)) {
            rule_shadow(w, rules[i], winner);
            continue;
        }
        winner = winner ? winner : rules[i];
        route_state(rules[i]);
    }
    host->passthrough = winner != NULL;
    host->passthrough_backend = winner ? winner->backend : NULL;
    host->passthrough_gate = winner ? winner->gate : NULL;
}

static void host_fill(struct work *w, struct host *host, struct rule **rules, size_t count) {
    bool redirect = false, plain = false;
    host->name = rules[0]->host;
    host->tls = w->out->tenant.tls;
    for (size_t i = 0; i < count; i++) {
        redirect |= rules[i]->redirect;
        plain |= rules[i]->plain;
        if (!host->fallback) {
            host->fallback = rules[i]->fallback;
            host->fallback_gate = rules[i]->gate;
        }
    }
    for (size_t i = 0; i < count; i++)
        host->tls = tls_rules_join(w, host->tls, rules[i]->tls, rules[0]->host);
    host->redirect = (redirect && !plain) || !tls_rules_allow_plain(host->tls);
    routes_build(w, host, rules, count);
    if (*host->name)
        passthrough_build(w, host, rules, count);
}

static const char *host_event(enum claim_state state) {
    return state == CLAIM_CONFLICT    ? "HostTaken"
           : state == CLAIM_SUSPENDED ? "HostSuspended"
                                      : "HostPending";
}

static void host_refuse(struct work *w, struct rule **rules, size_t count, enum claim_state state,
                        const char *reason) {
    for (size_t i = 0; i < count; i++) {
        note_state(rules[i], claim_state_name(state), reason ? reason : "not verified yet");
        note_event(w, rules[i]->object, rules[i]->file, rules[i]->at, host_event(state),
                   "%s does not route: %s", rules[i]->host,
                   reason ? reason : "it has not been verified yet");
    }
}

/* ---- names for the directory ---- */

static void name_add(struct work *w, enum name_kind kind, const char *name,
                     const struct host *host) {
    struct tenant *tenant = &w->out->tenant;
    tenant->names = stash_room(w->stash, tenant->names, tenant->name_count, sizeof *tenant->names);
    tenant->names[tenant->name_count++] =
        (struct tenant_name){kind, stash_text(w->stash, name), host};
}

static enum name_kind kind_of(const char *name) {
    return hostname_is_wildcard(name) ? NAME_WILDCARD : NAME_EXACT;
}

static int host_name_order(const void *key, const void *host) {
    return strcmp(key, ((const struct host *)host)->name);
}

static const struct host *host_named(const struct tenant *tenant, const char *name) {
    return tenant->host_count ? bsearch(name, tenant->host, tenant->host_count,
                                        sizeof *tenant->host, host_name_order)
                              : NULL;
}

/* A bound name without rules of its own must not hide a wildcard rule above it: it gets that
 * rule's host. */
static void bound_name_add(struct work *w, const struct claim *claim) {
    char text[256], above[256];
    const char *name = claim_name(claim, text), *dot = strchr(name, '.');
    if (host_named(&w->out->tenant, name) ||
        (w->entry->domain && hostname_under(name, w->entry->domain)))
        return;
    snprintf(above, sizeof above, "*%s", dot ? dot : "");
    name_add(w, kind_of(name), name, claim->wildcard ? NULL : host_named(&w->out->tenant, above));
}

/* The directory knows a wildcard by its name alone: what it must not answer for stands there beside it. */
static void withheld_add(struct work *w, const struct claim *claim) {
    for (const struct zone *below = claim->wildcard ? claim->zone->child : NULL; below;
         below = below->next)
        if (zone_is_withheld(w->registry, below, w->entry))
            name_add(w, NAME_NOBODY, below->name, NULL);
}

static void names_build(struct work *w) {
    const struct tenant *tenant = &w->out->tenant;
    const char *reason;
    if (w->entry->domain)
        name_add(w, NAME_TREE, w->entry->domain, host_named(tenant, w->entry->domain));
    for (size_t i = 0; i < tenant->host_count; i++)
        name_add(w, kind_of(tenant->host[i].name), tenant->host[i].name, &tenant->host[i]);
    for (const struct claim *claim = w->entry->claims; claim; claim = claim->next_of_entry)
        if (claim_routes(claim_judge(w->registry, claim, &reason))) {
            withheld_add(w, claim);
            bound_name_add(w, claim);
        }
}

/* ---- the whole ---- */

static const struct ingress_note *first_fallback(const struct work *w) {
    for (size_t i = 0; i < w->out->ingress_count; i++)
        if (w->out->ingress[i].fallback)
            return &w->out->ingress[i];
    return NULL;
}

static void any_build(struct work *w, struct rule **rules, size_t count) {
    const struct ingress_note *fallback = first_fallback(w);
    if (!count && !fallback)
        return;
    struct host *any = stash_alloc(w->stash, sizeof *any);
    if (count)
        host_fill(w, any, rules, count);
    any->name = "";
    any->tls = w->out->tenant.tls; /* theirs are part of it */
    any->redirect = !tls_rules_allow_plain(any->tls);
    any->fallback = fallback ? fallback->fallback : NULL;
    any->fallback_gate = fallback ? fallback->gate : NULL;
    w->out->tenant.any = any;
}

void hosts_build(struct work *w) {
    struct tenant *tenant = &w->out->tenant;
    struct rule **sorted = stash_array(w->stash, w->rule_count + 1, sizeof *sorted);
    const char *reason;
    notes_begin(w);
    for (size_t i = 0; i < w->rule_count; i++)
        sorted[i] = &w->rule[i];
    qsort(sorted, w->rule_count, sizeof *sorted, rule_order);
    tenant->host = stash_array(w->stash, w->rule_count + 1, sizeof *tenant->host);
    size_t nameless = 0;
    while (nameless < w->rule_count && !*sorted[nameless]->host)
        nameless++;
    any_build(w, sorted, nameless);
    for (size_t i = nameless, end; i < w->rule_count; i = end) {
        for (end = i + 1; end < w->rule_count && !strcmp(sorted[i]->host, sorted[end]->host);)
            end++;
        enum claim_state state = host_judge(w->registry, w->entry, sorted[i]->host, &reason);
        if (claim_routes(state))
            host_fill(w, &tenant->host[tenant->host_count++], &sorted[i], end - i);
        else
            host_refuse(w, &sorted[i], end - i, state, reason);
    }
    names_build(w);
}
