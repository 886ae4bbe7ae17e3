/* SPDX-License-Identifier: GPL-3.0-or-later
 * views.c - what tenants/ knows, with the figures of this moment: connections, requests, bytes, failures, ports that could
 * not be opened, the operator's certificates, the modules.
 */
#include "core/ledger.h"
#include "core/limit.h"
#include "edge/address.h"
#include "edge/admin.h"
#include "edge/host.h"
#include <string.h>

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void set_integer(json_t *row, const char *key, int64_t value) {
    json_object_set_new(row, key, json_integer(value));
}

/* --- tenants ---------------------------------------------------------------------------------*/

static json_t *limit_json(int64_t limit) {
    return limit ? json_integer(limit) : json_null();
}

/* What the tenant may use, and how often it wanted more; nothing of it for a tenant that nothing limits. */
static void limits_enliven(json_t *row, const struct version *v) {
    const struct limiter *l = v ? account_limiter(v->account) : NULL;
    if (!l)
        return;
    const struct limits *limits = &v->tenant->limits;
    uint64_t count[LIMIT_COUNT];
    json_t *refusals = json_object();
    for (int i = 0; i < LIMIT_COUNT; i++)
        set_integer(refusals, limit_name((enum limit)i),
                    (int64_t)(count[i] = limiter_refused(l, i)));
    json_object_set_new(row, "refusals", refusals);
    set_integer(row, "limited429", (int64_t)count[LIMIT_REQUESTS]);
    set_integer(row, "refusedConnections",
                (int64_t)(count[LIMIT_CONNECTIONS] + count[LIMIT_NEW_CONNECTIONS]));
    json_object_set_new(row, "limits",
                        json_pack("{s:o s:o s:o s:o s:o}", "connections",
                                  limit_json(limits->connections), "newConnectionsPerSecond",
                                  limit_json(limits->new_connections_per_second),
                                  "requestsPerSecond", limit_json(limits->requests_per_second),
                                  "bandwidth", limit_json(limits->bandwidth_bits), "requestSize",
                                  limit_json(limits->request_size)));
}

static const struct account *account_of(const json_t *row) {
    const struct version *v = published(text_of(row, "tenant"));
    return v ? v->account : account_find(text_of(row, "uid"));
}

struct account_worker tenant_sum(const json_t *row) {
    const struct account *account = account_of(row);
    return account ? account_tree_sum(account) : (struct account_worker){0};
}

/* What a tenant or a raw port has cost, and holds: docs/accounts.md. */
static void account_enliven(json_t *row, const struct account_worker *sum, uint64_t loop_ns) {
    set_integer(row, "connections", sum->connections);
    set_integer(row, "connectionsTotal", (int64_t)sum->connections_total);
    set_integer(row, "accepted", (int64_t)sum->accepted);
    set_integer(row, "silent", sum->silent);
    set_integer(row, "resets", (int64_t)sum->resets);
    set_integer(row, "bytesIn", (int64_t)sum->bytes_in);
    set_integer(row, "bytesOut", (int64_t)sum->bytes_out);
    set_integer(row, "podBytesIn", (int64_t)sum->pod_bytes_in);
    set_integer(row, "podBytesOut", (int64_t)sum->pod_bytes_out);
    set_integer(row, "podFailures", (int64_t)sum->pod_failures);
    set_integer(row, "failures", (int64_t)sum->failures);
    set_integer(row, "descriptors", sum->descriptors);
    set_integer(row, "buffers", sum->buffers);
    set_integer(row, "memory", sum->memory);
    json_object_set_new(row, "loopSeconds", json_real((double)loop_ns / 1e9));
}

/* Only of those who have a network of their own. */
static void network_enliven(json_t *row, const struct version *v) {
    char why[NETWORK_WHY_MAX];
    if (!v || (!v->tenant->network.netns && !v->tenant->network.device))
        return;
    const char *missing = network_missing(v, why);
    json_object_set_new(row, "network", json_string(missing ? "missing" : "ok"));
    json_object_set_new(row, "networkReason", missing ? json_string(missing) : json_null());
}

static void tenant_enliven(json_t *row) {
    const struct version *v = published(text_of(row, "tenant"));
    const struct account *account = account_of(row);
    network_enliven(row, v);
    struct account_worker sum = tenant_sum(row);
    account_enliven(row, &sum, account ? ledger_loop_ns(account) : 0);
    set_integer(row, "requests", (int64_t)sum.requests);
    set_integer(row, "handshakes", (int64_t)sum.handshakes);
    set_integer(row, "handshakesRefused", (int64_t)sum.handshakes_refused);
    set_integer(row, "dialsRefused", (int64_t)sum.dials_refused);
    set_integer(row, "retries", (int64_t)sum.retries);
    set_integer(row, "shed", (int64_t)sum.shed);
    set_integer(row, "http2Wasted", (int64_t)sum.wasted);
    set_integer(row, "http2Calmed", (int64_t)sum.calmed);
    limits_enliven(row, v);
}

static json_t *tenants_view(struct edge *e, const char *tenant) {
    ledger_charge();
    json_t *rows = view_tenants(e->registry, tenant), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        tenant_enliven(row);
    }
    return rows;
}

/* --- backends --------------------------------------------------------------------------------*/

static const struct upstream *upstream_in(const struct backend *b, const char *address) {
    char text[ADDRESS_TEXT_MAX];
    for (unsigned i = 0; i < b->endpoint_count; i++) {
        if (!b->endpoint[i].host_upstream)
            continue;
        address_print(&b->endpoint[i].addr, text);
        if (!strcmp(text, address))
            return b->endpoint[i].host_upstream;
    }
    return NULL;
}

static const struct upstream *upstream_find(const json_t *row) {
    const struct version *v = published(text_of(row, "tenant"));
    const char *service = text_of(row, "service"), *address = text_of(row, "address");
    json_int_t port = json_integer_value(json_object_get(row, "port"));
    const struct upstream *found = NULL;
    for (size_t i = 0; v && !found && i < v->tenant->backend_count; i++) {
        const struct backend *b = &v->tenant->backend[i];
        if (b->port == port && !strcmp(b->service, service))
            found = upstream_in(b, address);
    }
    return found;
}

static const char *until_text(int64_t ms_from_now, char out[32]) {
    time_t at = time(NULL) + (time_t)((ms_from_now + 999) / 1000);
    struct tm tm;
    if (!gmtime_r(&at, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        *out = 0;
    return out;
}

const char *pod_state(const struct edge *e, const struct upstream *up, struct pod_facts *ret) {
    const struct upstream_figures f = upstream_sum(up);
    ret->figures = f;
    *ret->why = *ret->until = 0;
    if (f.fails_checks) {
        const char *why = health_reason(e->health, up);
        snprintf(ret->why, sizeof ret->why, "its health check fails%s%s", why ? ": " : "",
                 why ? why : "");
        return "notReady";
    }
    if (f.tls_why)
        snprintf(ret->why, sizeof ret->why, "%s", f.tls_why);
    if (!f.ejected_ms)
        return "ready";
    until_text(f.ejected_ms, ret->until);
    snprintf(ret->why, sizeof ret->why, "failed too often in a row%s%s; left alone until %s",
             f.tls_why ? ": " : "", f.tls_why ? f.tls_why : "", ret->until);
    return "ejected";
}

static void backend_enliven(const struct edge *e, json_t *row) {
    const struct upstream *up = upstream_find(row);
    const struct version *v = up ? published(text_of(row, "tenant")) : NULL;
    struct pod_facts facts = {0};
    char why[NETWORK_WHY_MAX];
    if (v && network_missing(v, why)) {
        json_object_set_new(row, "state", json_string("notReady"));
        json_object_set_new(row, "reason", json_string(why));
    } else if (up) {
        json_object_set_new(row, "state", json_string(pod_state(e, up, &facts)));
        if (*facts.why)
            json_object_set_new(row, "reason", json_string(facts.why));
    }
    const struct upstream_figures *f = &facts.figures;
    json_object_set_new(row, "until", *facts.until ? json_string(facts.until) : json_null());
    set_integer(row, "connections", f->connections);
    set_integer(row, "idle", f->idle);
    set_integer(row, "connects", (int64_t)f->connects);
    set_integer(row, "failures", (int64_t)f->failures);
    set_integer(row, "failuresInARow", f->failing);
    set_integer(row, "tlsFailures", (int64_t)f->tls_failures);
    set_integer(row, "waiting", f->waiting);
    set_integer(row, "waitingRefused", (int64_t)f->refused);
    set_integer(row, "waitingLate", (int64_t)f->late);
    set_integer(row, "retries", (int64_t)f->retries);
    set_integer(row, "retriesRefused", (int64_t)f->retries_refused);
}

static json_t *backends_view(struct edge *e, const char *tenant) {
    json_t *rows = view_backends(e->registry, tenant), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        backend_enliven(e, row);
    }
    return rows;
}

/* --- ports, events ---------------------------------------------------------------------------*/

static const char *port_error(const struct edge *e, const json_t *row) {
    json_int_t port = json_integer_value(json_object_get(row, "publicPort"));
    return ports_error(&e->ports, (unsigned)port);
}

static void port_enliven(json_t *row) {
    const struct version *v = published(text_of(row, "tenant"));
    json_int_t number = json_integer_value(json_object_get(row, "publicPort"));
    const struct account *a = v && number ? account_port_find(v->account, (uint16_t)number) : NULL;
    struct account_worker sum = a ? account_sum(a) : (struct account_worker){0};
    account_enliven(row, &sum, a ? ledger_loop_ns(a) : 0);
}

static json_t *ports_view(struct edge *e, const char *tenant) {
    ledger_charge();
    json_t *rows = view_ports(e->registry, tenant), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const char *error = port_error(e, row);
        port_enliven(row);
        guard_port_enliven(e->guard, row);
        if (!error)
            continue;
        json_object_set_new(row, "state", json_string("shut"));
        json_object_set_new(row, "reason", json_string(error));
    }
    return rows;
}

/* Pods whose latest handshake failed, or that no more connections can be made to. */
static void pod_events_add(const struct edge *e, json_t *rows, const char *tenant) {
    json_t *pods = view_backends(e->registry, tenant), *pod;
    size_t i;
    json_array_foreach(pods, i, pod) {
        const struct upstream *up = upstream_find(pod);
        const struct upstream_figures f =
            up ? upstream_sum(up) : (struct upstream_figures){.tls_why = NULL};
        if (f.portless)
            json_array_append_new(
                rows,
                json_pack("{s:O s:s s:o s:s s:o s:n}", "tenant", json_object_get(pod, "tenant"),
                          "type", "Warning", "object",
                          json_sprintf("Service %s", text_of(pod, "service")), "reason",
                          "PortsExhausted", "message",
                          json_sprintf("pod %s: no port was left for another connection to it "
                                       "(net.ipv4.ip_local_port_range)",
                                       upstream_name(up)),
                          "since"));
        if (f.tls_why)
            json_array_append_new(
                rows, json_pack("{s:O s:s s:o s:s s:o s:n}", "tenant",
                                json_object_get(pod, "tenant"), "type", "Warning", "object",
                                json_sprintf("Service %s", text_of(pod, "service")), "reason",
                                "PodTLS", "message",
                                json_sprintf("pod %s: %s", upstream_name(up), f.tls_why), "since"));
    }
    json_decref(pods);
}

static json_t *all_events_view(struct edge *e, const char *tenant) {
    json_t *rows = view_events(e->registry, tenant);
    pod_events_add(e, rows, tenant);
    json_t *ports = e->ports.failed ? view_ports(e->registry, tenant) : json_array(), *row;
    size_t i;
    json_array_foreach(ports, i, row) {
        if (port_error(e, row))
            json_array_append_new(
                rows, json_pack("{s:O s:s s:o s:s s:s s:n}", "tenant",
                                json_object_get(row, "tenant"), "type", "Warning", "object",
                                json_sprintf("Service %s", text_of(row, "service")), "reason",
                                "PortNotOpen", "message", port_error(e, row), "since"));
    }
    json_decref(ports);
    json_t *tenants = view_tenants(e->registry, tenant);
    network_events_add(rows, tenants);
    json_decref(tenants);
    events_view(&e->events, tenant, rows);
    return rows;
}

/* --- the others ------------------------------------------------------------------------------*/

static json_t *certificates_view(struct edge *e, const char *tenant) {
    json_t *rows = view_certificates(e->registry, tenant);
    if (!tenant && e->certificates)
        json_array_extend(rows, e->certificates);
    host_view("certificates", tenant, rows);
    return rows;
}

static json_t *modules_view(struct edge *e, const char *tenant) {
    json_t *rows = json_array();
    (void)e;
    (void)tenant;
    for (size_t i = 0; i < modules_count(); i++) {
        const struct ringress_module *m = modules_get(i)->module;
        json_array_append_new(rows, json_pack("{s:s s:s? s:i s:s s:s?}", "module", m->name,
                                              "version", m->version, "abi", (int)m->abi, "file",
                                              modules_get(i)->file, "summary", m->summary));
    }
    return rows;
}

static json_t *routes_view(struct edge *e, const char *tenant) {
    return view_routes(e->registry, tenant);
}

static json_t *domains_view(struct edge *e, const char *tenant) {
    return view_domains(e->registry, tenant);
}

json_t *view_of(struct edge *e, const char *kind, const char *tenant) {
    static const struct {
        const char *kind;
        json_t *(*view)(struct edge *, const char *);
    } views[] = {
        {"tenants", tenants_view}, {"routes", routes_view},     {"domains", domains_view},
        {"ports", ports_view},     {"backends", backends_view}, {"certificates", certificates_view},
        {"modules", modules_view}, {"events", all_events_view},
    };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (!strcmp(views[i].kind, kind))
            return views[i].view(e, tenant);
    return NULL;
}
