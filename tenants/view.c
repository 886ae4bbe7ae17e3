/* SPDX-License-Identifier: GPL-3.0-or-later
 * view.c - what `ringress get` prints, as JSON with the field names of the interface. Read-only;
 * live figures are the edge's.
 */
#include "tenants/view.h"
#include "tenants/inside.h"
#include "tenants/network.h"
#include <stdlib.h>
#include <string.h>

/* ---- tenants, by name ---- */

static int entry_order(const void *left, const void *right) {
    const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;
    return strcmp(a->name, b->name);
}

typedef void entry_view_fn(const struct registry *, const struct entry *, json_t *array);

static json_t *view(const struct registry *registry, const char *tenant, entry_view_fn *one) {
    json_t *array = json_array();
    struct entry *entry = tenant ? entry_find(registry, tenant) : NULL, **list;
    size_t count = 0;
    if (tenant) {
        if (entry)
            one(registry, entry, array);
        return array;
    }
    list = calloc(registry->entries.count + 1, sizeof *list);
    for (size_t at = 0; list && (entry = table_next(&registry->entries, &at));)
        list[count++] = entry;
    if (list)
        qsort(list, count, sizeof(struct entry *), entry_order);
    for (size_t i = 0; i < count; i++)
        one(registry, list[i], array);
    free(list);
    return array;
}

static json_t *text_or_null(const char *text) {
    json_t *value = text ? json_string(text) : json_null();
    return value ? value : json_null(); /* not UTF-8 */
}

static void put(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value);
}

/* ---- tenants ---- */

const char *entry_state(const struct entry *entry) {
    if (entry->error)
        return entry->live ? "stale" : "error";
    return entry->domain_refusal ? "error" : "ok";
}

static void tenant_view(const struct registry *registry, const struct entry *entry, json_t *array) {
    json_t *object = json_object();
    (void)registry;
    put(object, "tenant", json_string(entry->name));
    put(object, "domain", text_or_null(entry->domain));
    put(object, "state", json_string(entry_state(entry)));
    if (entry->error || !entry->domain_refusal)
        put(object, "error", text_or_null(entry->error));
    else
        put(object, "error",
            json_sprintf("spec.domain %s is not given: %s", entry->model->tenant->spec->domain.text,
                         entry->domain_refusal));
    put(object, "uid", json_string(entry->uid));
    put(object, "connections", json_integer(0));
    put(object, "requests", json_integer(0));
    json_array_append_new(array, object);
}

json_t *view_tenants(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, tenant_view);
}

/* ---- routes ---- */

static void route_view(const struct entry *entry, const struct route_note *note, json_t *array) {
    json_t *object = json_object();
    put(object, "tenant", json_string(entry->name));
    put(object, "host", text_or_null(*note->host ? note->host : "*"));
    put(object, "path", text_or_null(note->path));
    put(object, "pathType", json_string(note->path_type));
    put(object, "service", text_or_null(note->service));
    put(object, "port", json_integer(note->port));
    put(object, "scheme", json_string(note->scheme));
    put(object, "state", json_string(note->state ? note->state : "error"));
    put(object, "reason", text_or_null(note->reason));
    put(object, "ingress", json_string(note->ingress));
    put(object, "origin", text_or_null(note->origin));
    json_array_append_new(array, object);
}

static void routes_view(const struct registry *registry, const struct entry *entry, json_t *array) {
    (void)registry;
    for (size_t i = 0; entry->compiled && i < entry->compiled->route_count; i++)
        route_view(entry, &entry->compiled->route[i], array);
}

json_t *view_routes(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, routes_view);
}

/* ---- domains ---- */

static json_t *claim_reason(const struct claim *claim, enum claim_state state, const char *reason,
                            const struct standing *standing) {
    char text[256];
    const char *domain = claim->entry->domain;
    const char *seen = standing && standing->seen ? standing->seen : "";
    const char *link = *seen ? "; " : "";
    claim_name(claim, text);
    if (state == CLAIM_AT_RISK || state == CLAIM_SUSPENDED)
        return json_sprintf("%s%s%s", reason ? reason : "DNS leads elsewhere", link, seen);
    if (state != CLAIM_PENDING)
        return text_or_null(reason);
    if (standing && standing->capped && standing->looker->kept >= KEPT_MAX)
        return json_sprintf("not looked at: %d names are kept for the tenant, which binds them no "
                            "more, until DNS leads elsewhere or it binds them again",
                            KEPT_MAX);
    if (standing && standing->capped)
        return json_sprintf("not looked at: the tenant has %d other names that wait for a proof",
                            PENDING_MAX);
    if (standing && standing_gave_up(standing))
        return json_sprintf("not looked at any more: nothing proved it for %d days. Drop its file "
                            "again, or `ringress domain recheck %s`%s%s",
                            GIVE_UP_S / 86400, text, link, seen);
    if (!domain)
        return json_sprintf("not verified: the tenant has no domain that a CNAME of %s could lead "
                            "to%s%s",
                            text, link, seen);
    return json_sprintf("not verified yet: add `%s CNAME %s.`%s%s", text, domain, link, seen);
}

static void record_add(json_t *records, int way, const char *type, const char *name,
                       const char *value) {
    json_array_append_new(records, json_pack("{si ss ss ss}", "way", way, "type", type, "name",
                                             name, "value", value));
}

static void addresses_add(json_t *records, const struct registry *registry, const char *name) {
    union address address;
    for (size_t i = 0; i < registry->address_count; i++)
        if (address_parse(registry->address[i], 0, &address))
            record_add(records, 2, address.any.sa_family == AF_INET ? "A" : "AAAA", name,
                       registry->address[i]);
}

/* Those of one `way` prove it together: 1, a CNAME; 2, a TXT and, but for a wildcard, whatever leads here. Where somebody else keeps
 * the name or the wildcard above it, only the second does. */
static json_t *records_json(const struct registry *registry, const struct claim *claim,
                            const struct standing *standing) {
    char name[256], challenge[300], target[256], token[PROOF_TOKEN_LENGTH + 1];
    const char *domain = claim->entry->domain;
    bool txt_only = standing->phase == PHASE_PENDING && standing_contested(standing);
    json_t *records = json_array();
    claim_name(claim, name);
    snprintf(challenge, sizeof challenge, "_ringress-challenge.%s", claim->zone->name);
    snprintf(target, sizeof target, "%s.", domain ? domain : "");
    standing_token(registry, standing, token);
    if (domain && !txt_only)
        record_add(records, 1, "CNAME", name, target);
    record_add(records, 2, "TXT", challenge, token);
    if (domain && txt_only && !claim->wildcard)
        record_add(records, 2, "CNAME", name, target);
    else if (!claim->wildcard)
        addresses_add(records, registry, name);
    return records;
}

json_t *claim_json(const struct registry *registry, const struct claim *claim) {
    char text[256];
    const char *reason;
    enum claim_state state = claim_judge(registry, claim, &reason);
    const struct standing *standing =
        standing_of(zone_place(claim->zone, claim->wildcard), claim->entry->uid);
    json_t *object = json_object();
    put(object, "domain", json_string(claim_name(claim, text)));
    put(object, "tenant", json_string(claim->entry->name));
    put(object, "ingress", text_or_null(claim->ingress));
    put(object, "state", json_string(claim_state_name(state)));
    put(object, "reason", claim_reason(claim, state, reason, standing));
    put(object, "since", standing ? time_json(standing->since) : json_null());
    put(object, "proof",
        standing ? json_string(standing->phase == PHASE_PENDING ? "none"
                               : standing->by_txt               ? "TXT"
                                                                : "CNAME")
                 : json_null());
    put(object, "records", standing ? records_json(registry, claim, standing) : json_array());
    /* Who is told that a name is taken is not told by whom, as DNS may show it. */
    put(object, "seen", text_or_null(standing && state != CLAIM_CONFLICT ? standing->seen : NULL));
    put(object, "lastLook", standing ? time_json(standing->looked) : json_null());
    put(object, "nextLook", standing ? time_json(standing->next_look) : json_null());
    return object;
}

static void unbound_view(const struct registry *registry, const struct entry *entry,
                         const struct route_note *note, json_t *seen, json_t *array) {
    const char *reason;
    const struct place *place = place_find(registry, note->host);
    enum claim_state state =
        *note->host ? host_judge(registry, entry, note->host, &reason) : CLAIM_VERIFIED;
    for (const struct claim *claim = place ? place->first : NULL; claim; claim = claim->next)
        if (claim->entry == entry)
            return; /* is listed as a claim */
    if (claim_routes(state) || json_object_get(seen, note->host))
        return;
    json_object_set_new(seen, note->host, json_true());
    json_t *object = json_object();
    put(object, "domain", text_or_null(note->host));
    put(object, "tenant", json_string(entry->name));
    put(object, "ingress", text_or_null(note->ingress));
    put(object, "state", json_string(claim_state_name(state)));
    put(object, "reason", text_or_null(reason ? reason : "not verified yet"));
    json_array_append_new(array, object);
}

static int claim_order(const void *left, const void *right) {
    char a[256], b[256];
    const struct claim *first = *(struct claim *const *)left,
                       *second = *(struct claim *const *)right;
    int order = strcmp(claim_name(first, a), claim_name(second, b));
    return order ? order : strcmp(first->ingress, second->ingress);
}

static void domains_view(const struct registry *registry, const struct entry *entry,
                         json_t *array) {
    size_t count = 0;
    json_t *seen = json_object();
    for (const struct claim *claim = entry->claims; claim; claim = claim->next_of_entry)
        count++;
    const struct claim **list = calloc(count + 1, sizeof *list);
    count = 0;
    for (const struct claim *claim = entry->claims; list && claim; claim = claim->next_of_entry)
        list[count++] = claim;
    if (list)
        qsort(list, count, sizeof *list, claim_order);
    for (size_t i = 0; entry->live && i < count; i++)
        json_array_append_new(array, claim_json(registry, list[i]));
    for (size_t i = 0; entry->compiled && i < entry->compiled->route_count; i++)
        unbound_view(registry, entry, &entry->compiled->route[i], seen, array);
    json_decref(seen);
    free(list);
}

json_t *view_domains(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, domains_view);
}

/* ---- ports ---- */

json_t *port_json(const struct entry *entry, const struct raw_port *port) {
    static const char *const states[] = {
        [RAW_PORT_OPEN] = "open", [RAW_PORT_REFUSED] = "refused", [RAW_PORT_SHUT] = "shut"};
    json_t *object = json_object();
    put(object, "tenant", json_string(entry->name));
    put(object, "service", text_or_null(port->service));
    put(object, "containerPort", json_integer(port->container_port));
    put(object, "publicPort", port->public_port ? json_integer(port->public_port) : json_null());
    put(object, "state", json_string(states[port->state]));
    put(object, "reason", text_or_null(port->reason));
    put(object, "until", json_null());
    return object;
}

static void ports_view(const struct registry *registry, const struct entry *entry, json_t *array) {
    (void)registry;
    for (size_t i = 0; entry->compiled && i < entry->compiled->tenant.raw_port_count; i++)
        json_array_append_new(array, port_json(entry, &entry->compiled->tenant.raw_port[i]));
}

json_t *view_ports(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, ports_view);
}

/* ---- backends ---- */

static void endpoint_view(const struct entry *entry, const struct backend *backend,
                          const struct endpoint *endpoint, json_t *array) {
    char text[ADDRESS_TEXT_MAX];
    json_t *object = json_object();
    put(object, "tenant", json_string(entry->name));
    put(object, "service", text_or_null(backend->service));
    put(object, "port", json_integer(backend->port));
    if (endpoint && endpoint->addr.any.sa_family != AF_UNSPEC) {
        address_print(&endpoint->addr, text);
        put(object, "address", json_string(text));
    } else {
        put(object, "address", json_null());
    }
    put(object, "pod", text_or_null(endpoint ? endpoint->pod : NULL));
    put(object, "state", json_string(endpoint && endpoint->ready ? "ready" : "notReady"));
    put(object, "reason", text_or_null(endpoint ? endpoint->reason : backend->reason));
    put(object, "connections", json_integer(0));
    put(object, "failures", json_integer(0));
    json_array_append_new(array, object);
}

static void backends_view(const struct registry *registry, const struct entry *entry,
                          json_t *array) {
    (void)registry;
    for (size_t i = 0; entry->compiled && i < entry->compiled->tenant.backend_count; i++) {
        const struct backend *backend = &entry->compiled->tenant.backend[i];
        for (unsigned j = 0; j < backend->endpoint_count; j++)
            endpoint_view(entry, backend, &backend->endpoint[j], array);
        if (!backend->endpoint_count)
            endpoint_view(entry, backend, NULL, array);
    }
}

json_t *view_backends(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, backends_view);
}

/* ---- certificates ---- */

static json_t *texts_json(const char *const *list, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, text_or_null(list[i]));
    return array;
}

static void certificate_view(const struct entry *entry, const struct certificate *certificate,
                             json_t *array) {
    bool expired = certificate->not_after && certificate->not_after < (int64_t)entry->since;
    json_t *object = json_object();
    put(object, "names", texts_json(certificate->name, certificate->name_count));
    put(object, "hosts", texts_json(certificate->host, certificate->host_count));
    put(object, "tenant", json_string(entry->name));
    put(object, "issuer", text_or_null(certificate->issuer));
    put(object, "notAfter", time_json(certificate->not_after));
    put(object, "source", json_string("secret"));
    put(object, "secret", text_or_null(certificate->secret));
    put(object, "state",
        json_string(expired                   ? "expired"
                    : certificate->host_count ? "ok"
                                              : "unused"));
    put(object, "nextAction", text_or_null(expired ? "renew the Secret" : NULL));
    json_array_append_new(array, object);
}

static void certificates_view(const struct registry *registry, const struct entry *entry,
                              json_t *array) {
    (void)registry;
    for (size_t i = 0; entry->compiled && i < entry->compiled->tenant.certificate_count; i++)
        certificate_view(entry, &entry->compiled->tenant.certificate[i], array);
}

json_t *view_certificates(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, certificates_view);
}

/* ---- events ---- */

static void event_view(const struct entry *entry, const struct event *event, json_t *array) {
    json_t *object = json_object();
    put(object, "tenant", json_string(entry->name));
    put(object, "type", json_string("Warning"));
    put(object, "object", text_or_null(event->object));
    put(object, "reason", json_string(event->reason));
    put(object, "message", text_or_null(event->message));
    put(object, "since", time_json(event->since));
    if (*event->file && event->at.line)
        put(object, "at", json_sprintf("%s:%u:%u", event->file, event->at.line, event->at.column));
    json_array_append_new(array, object);
}

static void events_view(const struct registry *registry, const struct entry *entry, json_t *array) {
    (void)registry;
    if (entry->error)
        event_view(entry,
                   &(struct event){.object = "Tenant",
                                   .reason = "Invalid",
                                   .message = entry->error,
                                   .file = "",
                                   .since = entry->since},
                   array);
    for (size_t i = 0; entry->compiled && i < entry->compiled->event_count; i++)
        event_view(entry, &entry->compiled->event[i], array);
}

json_t *view_events(const struct registry *registry, const char *tenant) {
    return view(registry, tenant, events_view);
}
