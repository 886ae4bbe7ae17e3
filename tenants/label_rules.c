/* SPDX-License-Identifier: GPL-3.0-or-later
 * label_rules.c - kr.ingress.* labels to rules and raw ports, under the Ingress `default`.
 *
 *   workload's labels -> asks -> those that say the same (host, path, port) share one backend ->
 * rules
 *
 * A raw port has no host that could tell two databases apart, so there only the pods of one group
 * share.
 */
#include "tenants/hostname.h"
#include "tenants/network.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

struct ask {
    struct label label;
    const struct workload *workload;
    const char *key;
    const char *share; /* asks with the same share a backend */
    struct spot at;
    size_t order;
};
struct asks {
    struct ask *item;
    size_t count;
};

enum { PIECES_MAX = 8, VALUE_MAX = 8192 };

static bool value_bounded(const char *value) {
    return strnlen(value, VALUE_MAX + 1) <= VALUE_MAX;
}

static size_t pieces_of(const struct dict *dict) {
    size_t count = 0;
    for (size_t i = 0; i < dict->count; i++)
        if (label_is_ours(dict->item[i].key.text))
            count += PIECES_MAX;
    return count;
}

size_t label_pieces(const struct workload *workload) {
    return pieces_of(workload->labels) + pieces_of(workload->annotations);
}

static const char *share_of(struct work *w, const struct ask *ask) {
    const struct label *label = &ask->label;
    const char *host = label->scheme == LABEL_TCP ? ask->workload->group : label->host;
    const char *kind = label->scheme == LABEL_TCP   ? "tcp"
                       : label->scheme == LABEL_TLS ? "tls"
                                                    : "http";
    return stash_format(w->stash, "%s %s %s %u", kind, host, label->path, label->port);
}

/* So much of it as is shown, whole characters only: half of one would be no JSON. */
static int shown_length(const char *text, size_t most) {
    size_t length = strnlen(text, most);
    while (length && (text[length] & 0xc0) == 0x80)
        length--;
    return (int)length;
}

static void ask_add(struct work *w, struct asks *asks, const struct workload *workload,
                    const struct word_pair *pair, const char *piece, size_t length) {
    struct ask ask = {
        .workload = workload, .key = pair->key.text, .at = pair->value.at, .order = asks->count};
    const char *why = NULL, *domain = w->entry->domain;
    if (!label_parse(w->stash, pair->key.text, piece, length, domain, &ask.label, &why)) {
        note_event(w, workload->object, workload->file, ask.at, "BadLabel", "%.*s=%.*s: %s",
                   shown_length(pair->key.text, 60), pair->key.text,
                   shown_length(pair->value.text, 200), pair->value.text, why);
        return;
    }
    ask.share = share_of(w, &ask);
    asks->item = stash_room(w->stash, asks->item, asks->count, sizeof *asks->item);
    asks->item[asks->count++] = ask;
}

static void dict_ask(struct work *w, struct asks *asks, const struct workload *workload,
                     const struct dict *dict) {
    const char *piece;
    size_t length;
    for (size_t i = 0; i < dict->count; i++) {
        const struct word_pair *pair = &dict->item[i];
        if (!label_is_ours(pair->key.text))
            continue;
        const char *at = pair->value.text;
        int pieces = 0;
        while (value_bounded(at) && pieces < PIECES_MAX && label_next(&at, &piece, &length)) {
            ask_add(w, asks, workload, pair, piece, length);
            pieces++;
        }
        if (!pieces)
            ask_add(w, asks, workload, pair, "",
                    0); /* an empty or endless value is a mistake worth its event */
    }
}

static int ask_order(const void *left, const void *right) {
    const struct ask *a = left, *b = right;
    int order = strcmp(a->share, b->share);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* ---- backends of labels ---- */

static void compose_endpoints(struct work *w, struct backend *backend,
                              const struct compose_service *service) {
    for (size_t i = 0; i < service->addresses.count; i++)
        endpoint_add(w, backend, service->addresses.item[i].text, NULL, backend->port,
                     service->name, NULL);
    if (service->addresses.count)
        return;
    const struct resolved *resolved = w->entry->resolved;
    while (resolved && strcmp(resolved->name, service->name))
        resolved = resolved->next;
    for (size_t i = 0; resolved && i < resolved->count; i++)
        endpoint_add(w, backend, NULL, &resolved->address[i], backend->port, service->name, NULL);
    if (!resolved || !resolved->count)
        endpoint_add(w, backend, NULL, NULL, 0, service->name,
                     resolved && resolved->address ? "its name has no address"
                                                   : "waiting for its address");
}

/* A container may be on several networks: the tenant's is the one whose address may be dialled for him. */
static const char *fed_address(const struct work *w, const struct fed_workload *fed) {
    union address address;
    for (size_t i = 0; i < fed->address_count; i++)
        if (address_parse(fed->address[i], 0, &address) &&
            !network_refusal(&w->out->tenant.network, &w->registry->own, &address))
            return fed->address[i];
    return fed->address_count ? fed->address[0] : NULL;
}

static void fed_endpoints(struct work *w, struct backend *backend, const struct fed_workload *fed) {
    const char *address = fed_address(w, fed);
    const char *why = fed->not_ready || address ? fed->not_ready : "it has no address";
    endpoint_add(w, backend, address, NULL, address ? backend->port : 0, fed->name,
                 stash_text(w->stash, why));
}

static void workload_endpoints(struct work *w, struct backend *backend,
                               const struct workload *workload) {
    if (workload->fed)
        fed_endpoints(w, backend, workload->fed);
    else if (workload->compose)
        compose_endpoints(w, backend, workload->compose);
    else
        endpoint_add(w, backend, pod_ip_text(workload->pod), NULL, backend->port,
                     workload->pod->head.name, pod_not_ready(workload->pod));
}

/* The same workloads at the same port are the same backend, whatever the host: connections are
 * pooled per backend. */
static const char *members_key(struct work *w, const struct ask *ask, size_t count) {
    const char *key =
        stash_format(w->stash, "label %u %d", ask->label.port, ask->label.scheme >= LABEL_TLS);
    for (size_t i = 0; i < count && i < 64; i++)
        key = stash_format(w->stash, "%s %td", key, ask[i].workload - w->workload);
    return count > 64 ? stash_format(w->stash, "%s %s", key, ask->share) : key;
}

static const struct backend *asks_backend(struct work *w, const struct ask *ask, size_t count) {
    const char *key = members_key(w, ask, count);
    struct backend *backend = table_get(&w->backends, key);
    enum app_protocol protocol = ask->label.scheme >= LABEL_TLS ? APP_TCP : APP_HTTP;
    if (backend || !(backend = backend_new(w, ask->workload->group, ask->label.port, protocol)))
        return backend;
    table_put(&w->backends, key, backend);
    const struct ingress_object *ingress = model_find(w->model, "Ingress", "default");
    if (ingress) /* routes made by labels stand under it */
        policy_apply(w, backend, ingress->policy, "Ingress/default", ingress->head.file);
    for (size_t i = 0; i < count; i++)
        workload_endpoints(w, backend, ask[i].workload);
    return backend;
}

/* ---- rules of labels ---- */

static void ask_rule(struct work *w, const struct ask *ask, const struct backend *backend) {
    const struct label *label = &ask->label;
    struct rule *rule = rule_add(w);
    rule->host = label->host;
    rule->path = label->path;
    rule->type = PATH_PREFIX;
    rule->backend = backend;
    rule->ingress = "default";
    rule->object = ask->workload->object;
    rule->origin = stash_format(w->stash, "label %s on %s", ask->key, ask->workload->object);
    rule->scheme = label_scheme_name(label->scheme);
    rule->passthrough = label->scheme == LABEL_TLS;
    rule->tls = rule->passthrough ? NULL : tls_rules_of(w, "default"); /* they stand under it */
    rule->redirect = label->scheme == LABEL_HTTPS;
    rule->plain = label->scheme == LABEL_HTTP;
    rule->file = ask->workload->file;
    rule->at = ask->at;
}

static void ask_port(struct work *w, const struct ask *ask, const struct backend *backend) {
    port_want(w, (struct wanted_port){
                     .slot = stash_format(w->stash, "%s:%u", ask->workload->group, ask->label.port),
                     .service = ask->workload->group,
                     .object = ask->workload->object,
                     .container_port = ask->label.port,
                     .backend = backend,
                 });
}

static void asks_take(struct work *w, const struct ask *ask, size_t count) {
    const struct backend *backend = asks_backend(w, ask, count);
    if (ask->label.scheme == LABEL_TCP) {
        ask_port(w, ask, backend);
        return;
    }
    bool http = false, https = false;
    for (size_t i = 0; i < count;
         i++) { /* once per scheme; they differ only in what plain HTTP gets */
        bool *said = ask[i].label.scheme == LABEL_HTTP ? &http : &https;
        if (!*said)
            ask_rule(w, &ask[i], backend);
        *said = true;
    }
}

void label_rules_gather(struct work *w) {
    struct asks asks = {0};
    for (size_t i = 0; i < w->workload_count; i++) {
        dict_ask(w, &asks, &w->workload[i], w->workload[i].labels);
        dict_ask(w, &asks, &w->workload[i], w->workload[i].annotations);
    }
    if (asks.count)
        qsort(asks.item, asks.count, sizeof *asks.item, ask_order);
    for (size_t i = 0, end; i < asks.count; i = end) {
        for (end = i + 1; end < asks.count && !strcmp(asks.item[i].share, asks.item[end].share);)
            end++;
        asks_take(w, &asks.item[i], end - i);
    }
}
