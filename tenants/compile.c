/* SPDX-License-Identifier: GPL-3.0-or-later
 * compile.c - one tenant's model, with what it was given, to what the data path reads.
 *
 *   model -> rules (Ingresses, labels) -> raw ports -> hosts and names -> certificates, wishes for them -> struct
 * compiled
 *
 * The work ends in one stash that both the registry's views and the published tenant read; the
 * last of the two frees it.
 */
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

static void network_copy(struct work *w, const struct tenant_spec *spec) {
    struct network *network = &w->out->tenant.network;
    const struct network_spec *from = spec ? spec->network : NULL;
    if (!from)
        return;
    struct prefix *allow = stash_array(w->stash, from->prefix_count + 1, sizeof *allow);
    memcpy(allow, from->prefix, from->prefix_count * sizeof *allow);
    *network = (struct network){
        .allow = allow,
        .allow_count = from->prefix_count,
        .device = stash_text(w->stash, from->device.text),
        .netns = stash_text(w->stash, from->netns.text),
        .dns = stash_text(w->stash, from->dns.text),
    };
}

static void grant_copy(struct work *w) {
    struct tenant *tenant = &w->out->tenant;
    const struct tenant_spec *spec = w->model->tenant ? w->model->tenant->spec : NULL;
    tenant->name = stash_text(w->stash, w->entry->name);
    tenant->uid = stash_text(w->stash, w->entry->uid);
    tenant->domain = w->entry->domain ? stash_text(w->stash, w->entry->domain) : "";
    network_copy(w, spec);
    if (spec && spec->limits)
        tenant->limits =
            (struct limits){.connections = spec->limits->connections,
                            .new_connections_per_second = spec->limits->new_connections,
                            .requests_per_second = spec->limits->requests,
                            .bandwidth_bits = spec->limits->bandwidth,
                            .request_size = spec->limits->request_size};
}

/* ---- room for backends: a tenant has them for as long as it is served, so no more than can be ---- */

struct references {
    struct table seen;
    struct stash *stash; /* of the keys */
    size_t count;
};

static void reference_add(struct references *r, const char *service, int64_t number,
                          const char *port_name) {
    const char *key = port_name ? stash_format(r->stash, "%s:%s", service, port_name)
                                : stash_format(r->stash, "%s:%lld", service, (long long)number);
    if (table_get(&r->seen, key))
        return;
    table_put(&r->seen, key, r);
    r->count++;
}

/* What has no Service, or no port, is counted as often as it is said. */
static void backend_ref_add(struct references *r, const struct backend_ref *ref) {
    const struct service_ref *service = ref ? ref->service : NULL;
    if (service && service->name.text && service->port)
        reference_add(r, service->name.text, service->port->number, service->port->name.text);
    else
        r->count += ref != NULL;
}

static void ingress_add(struct references *r, const struct ingress_spec *spec) {
    if (!spec)
        return;
    backend_ref_add(r, spec->fallback);
    for (size_t i = 0; i < spec->rules.count; i++) {
        const struct ingress_http *http = ((struct ingress_rule *)spec->rules.item)[i].http;
        for (size_t k = 0; http && k < http->paths.count; k++)
            backend_ref_add(r, ((struct ingress_path *)http->paths.item)[k].backend);
    }
}

static void service_add(struct references *r, const struct service_object *service) {
    for (size_t i = 0; service->spec && i < service->spec->ports.count; i++)
        reference_add(r, service->head.name,
                      ((struct service_port *)service->spec->ports.item)[i].port, NULL);
}

/* One backend at most for each that is referred to. */
static size_t references_count(const struct work *w) {
    struct references r = {.stash = stash_new(), .count = 1};
    for (size_t i = 0; i < w->model->ingresses.count; i++)
        ingress_add(&r, ((struct ingress_object *)w->model->ingresses.item[i])->spec);
    for (size_t i = 0; i < w->model->services.count; i++)
        service_add(&r, w->model->services.item[i]);
    for (size_t i = 0; i < w->workload_count; i++)
        r.count += label_pieces(&w->workload[i]);
    table_fini(&r.seen);
    stash_free(r.stash);
    return r.count;
}

/* ---- raw ports ---- */

static void ports_unique(struct work *w) {
    struct table slots = {0};
    size_t kept = 0;
    for (size_t i = 0; i < w->port_count; i++) {
        const struct wanted_port port = w->port[i];
        if (table_get(&slots, port.slot)) {
            note_event(w, port.object, "", (struct spot){0, 0}, "PortTwice",
                       "a raw port for %s is already asked for", port.slot);
            continue;
        }
        w->port[kept] = port;
        table_put(&slots, port.slot, &w->port[kept++]);
    }
    w->port_count = kept;
    table_fini(&slots);
}

static void ports_build(struct work *w, struct change *change) {
    struct tenant *tenant = &w->out->tenant;
    node_ports_want(w);
    ports_unique(w);
    raw_ports_update(w->registry, w->entry, w->port, w->port_count, w->now, w->stash, change);
    tenant->raw_port = stash_array(w->stash, w->port_count + 1, sizeof *tenant->raw_port);
    for (size_t i = 0; i < w->port_count; i++) {
        const struct wanted_port *port = &w->port[i];
        tenant->raw_port[tenant->raw_port_count++] = (struct raw_port){
            .service = port->service,
            .container_port = port->container_port,
            .public_port = port->number,
            .state = port->number ? RAW_PORT_OPEN : RAW_PORT_REFUSED,
            .reason = port->refusal,
            .backend = port->backend,
            .gate = port->gate,
        };
        if (port->refusal)
            note_event(w, port->object, "", (struct spot){0, 0}, "PortRefused",
                       "no raw port for %s: %s", port->slot, port->refusal);
    }
}

/* ---- events about what was asked as a whole ---- */

static const char *claim_seen(const struct claim *claim) {
    const struct standing *s =
        standing_of(zone_place(claim->zone, claim->wildcard), claim->entry->uid);
    return s ? s->seen : NULL;
}

static void pending_event(struct work *w, const struct claim *claim, const char *object,
                          const char *name) {
    const char *domain = w->entry->domain, *seen = claim_seen(claim);
    note_event(w, object, "", (struct spot){0, 0}, "HostPending",
               "%s waits for its proof: add %s CNAME %s.%s%s", name, name,
               domain ? domain : "<the tenant's domain>", seen ? "; " : "", seen ? seen : "");
}

/* A key that was lost costs nobody his name, as long as the record that proved it stands; which he may not know to be all that does. */
static void token_event(struct work *w, const struct claim *claim, const char *object,
                        const char *name) {
    char token[PROOF_TOKEN_LENGTH + 1];
    const struct standing *s =
        standing_of(zone_place(claim->zone, claim->wildcard), claim->entry->uid);
    if (!s || !standing_token_is_void(w->registry, s))
        return;
    standing_token(w->registry, s, token);
    note_event(w, object, "", (struct spot){0, 0}, "HostTokenVoid",
               "%s is proved by a TXT record that the edge can make no more: replace the one at "
               "_ringress-challenge.%s by %s; until then the old one counts, and must stay",
               name, claim->zone->name, token);
}

static void claim_events(struct work *w) {
    char text[256];
    for (const struct claim *claim = w->entry->claims; claim; claim = claim->next_of_entry) {
        const char *reason, *object = stash_format(w->stash, "Ingress/%s", claim->ingress);
        const char *name = claim_name(claim, text);
        enum claim_state state = claim_judge(w->registry, claim, &reason);
        if (state == CLAIM_CONFLICT)
            note_event(w, object, "", (struct spot){0, 0}, "HostTaken", "%s cannot be bound: %s",
                       name, reason);
        else if (state == CLAIM_PENDING)
            pending_event(w, claim, object, name);
        else
            token_event(w, claim, object, name);
        if (state == CLAIM_CONFLICT || state == CLAIM_PENDING)
            continue;
        if (state != CLAIM_VERIFIED)
            note_event(w, object, "", (struct spot){0, 0},
                       state == CLAIM_AT_RISK ? "HostAtRisk" : "HostSuspended",
                       "%s %s: DNS no longer leads here%s%s", name,
                       state == CLAIM_AT_RISK ? "may stop to route" : "does not route",
                       claim_seen(claim) ? ": " : "", claim_seen(claim) ? claim_seen(claim) : "");
    }
}

static void grant_events(struct work *w) {
    const struct tenant_object *ignored = w->model->ignored_tenant, *tenant = w->model->tenant;
    if (ignored)
        note_event(w, stash_format(w->stash, "Tenant/%s", w->entry->name), ignored->head.file,
                   ignored->head.at, "TenantIgnored",
                   "kind: Tenant is honoured only in tenant.yaml");
    if (w->entry->domain_refusal && tenant && tenant->spec)
        note_event(w, stash_format(w->stash, "Tenant/%s", w->entry->name), tenant->head.file,
                   tenant->spec->domain.at, "DomainRefused", "spec.domain %s is not given: %s",
                   tenant->spec->domain.text, w->entry->domain_refusal);
}

static void backend_events(struct work *w) {
    for (size_t i = 0; i < w->backend_count; i++)
        if (w->backend[i].reason && !w->backend[i].endpoint_count)
            note_event(w, stash_format(w->stash, "Service/%s", w->backend[i].service), "",
                       (struct spot){0, 0}, "NoEndpoints", "%s", w->backend[i].reason);
}

/* ---- names asked for ---- */

static bool wildcard_claimed(const struct entry *entry, const char *wildcard) {
    for (size_t i = 0; i < entry->model->ingresses.count; i++) {
        const struct ingress_object *ingress = entry->model->ingresses.item[i];
        for (size_t j = 0; ingress->spec && j < ingress->spec->tls.count; j++) {
            const struct words *hosts = &((struct ingress_tls *)ingress->spec->tls.item)[j].hosts;
            for (size_t k = 0; k < hosts->count; k++)
                if (!strcmp(hosts->item[k].text, wildcard))
                    return true;
        }
    }
    return false;
}

static size_t hosts_count(const struct model *model) {
    size_t count = 0;
    for (size_t i = 0; i < model->ingresses.count; i++) {
        const struct ingress_object *ingress = model->ingresses.item[i];
        for (size_t j = 0; ingress->spec && j < ingress->spec->tls.count; j++)
            count += ((struct ingress_tls *)ingress->spec->tls.item)[j].hosts.count;
    }
    return count;
}

size_t wanted_names(struct stash *stash, const struct entry *entry, struct wanted_name **ret) {
    struct wanted_name *list = stash_array(stash, hosts_count(entry->model) + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < entry->model->ingresses.count; i++) {
        const struct ingress_object *ingress = entry->model->ingresses.item[i];
        for (size_t j = 0; ingress->spec && j < ingress->spec->tls.count; j++) {
            const struct words *hosts = &((struct ingress_tls *)ingress->spec->tls.item)[j].hosts;
            for (size_t k = 0; k < hosts->count; k++)
                list[count++] = (struct wanted_name){hosts->item[k].text, ingress->head.name};
        }
    }
    const char *own = entry->domain ? stash_format(stash, "*.%s", entry->domain) : NULL;
    if (own && !wildcard_claimed(
                   entry, own)) /* what the Ingress `default` has even when nobody wrote it */
        list[count++] = (struct wanted_name){own, "default"};
    *ret = list;
    return count;
}

/* ---- the whole ---- */

static struct compiled *compiled_new(void) {
    struct stash *stash = stash_new();
    struct compiled *compiled = stash_alloc(stash, sizeof *compiled);
    compiled->stash = stash;
    atomic_init(&compiled->holders, 1);
    compiled->tenant.arena = compiled;
    return compiled;
}

struct compiled *tenant_compile(struct registry *registry, struct entry *entry, int64_t now,
                                struct change *change) {
    struct compiled *out = compiled_new();
    struct work work = {.registry = registry,
                        .entry = entry,
                        .model = entry->model,
                        .out = out,
                        .stash = out->stash,
                        .now = now},
                *w = &work;
    w->workload_count = workloads_list(w->stash, registry, entry, &w->workload);
    w->backend_room = references_count(w);
    w->backend = stash_array(w->stash, w->backend_room, sizeof *w->backend);
    grant_copy(w);
    rules_gather(w);
    ports_build(w, change);
    grant_events(w);
    claim_events(w);
    tls_rules_build(w);
    hosts_build(w);
    certificates_build(w);
    pod_tls_build(w);
    wishes_build(w);
    backend_events(w);
    out->tenant.backend = w->backend;
    out->tenant.backend_count = w->backend_count;
    table_fini(&w->backends);
    table_fini(&w->events);
    table_fini(&w->events_before);
    return out;
}

void compiled_unref(struct compiled *compiled) {
    if (compiled && atomic_fetch_sub_explicit(&compiled->holders, 1, memory_order_acq_rel) == 1)
        stash_free(compiled->stash);
}

void tenant_free(struct tenant *tenant) {
    if (tenant)
        compiled_unref(tenant->arena);
}
