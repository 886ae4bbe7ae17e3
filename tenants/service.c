/* SPDX-License-Identifier: GPL-3.0-or-later
 * service.c - a Service's port to the addresses behind it, with upstream's rules.
 *
 *   selector -> pods -> podIP : targetPort        (a named targetPort is looked up in each pod)
 *   no selector -> Endpoints of that name, EndpointSlices labelled kubernetes.io/service-name
 *
 * An address that may not be dialled for this tenant is kept, not ready, with the reason: people
 * look for it.
 */
#include "tenants/network.h"
#include "tenants/work.h"
#include <string.h>

/* ---- backends ---- */

struct backend *backend_new(struct work *w, const char *service, uint16_t port,
                            enum app_protocol protocol) {
    if (w->backend_count == w->backend_room)
        return NULL; /* cannot be: room was made for each reference */
    struct backend *backend = &w->backend[w->backend_count++];
    *backend = (struct backend){.service = stash_text(w->stash, service),
                                .port = port,
                                .protocol = protocol,
                                .policy = policy_default};
    return backend;
}

static bool endpoint_known(const struct backend *backend, const union address *address,
                           const char *pod) {
    for (unsigned i = 0; i < backend->endpoint_count; i++)
        if (address->any.sa_family ? address_same(&backend->endpoint[i].addr, address)
                                   : !strcmp(backend->endpoint[i].pod, pod))
            return true;
    return false;
}

enum { ENDPOINTS_MAX = 1024 };

void endpoint_add(struct work *w, struct backend *backend, const char *ip,
                  const union address *address, uint16_t port, const char *pod,
                  const char *not_ready) {
    struct endpoint endpoint = {.pod = pod ? stash_text(w->stash, pod) : "", .reason = not_ready};
    const struct registry *registry = w->registry;
    if (address)
        endpoint.addr = *address;
    if (address && endpoint.addr.any.sa_family == AF_INET6)
        endpoint.addr.v6.sin6_port = htons(port);
    else if (address)
        endpoint.addr.v4.sin_port = htons(port);
    if (ip && !address_parse(ip, port, &endpoint.addr))
        endpoint.reason = "its address is not an IP address";
    bool known = endpoint.addr.any.sa_family != AF_UNSPEC;
    if (backend->endpoint_count >= ENDPOINTS_MAX ||
        endpoint_known(backend, &endpoint.addr, endpoint.pod))
        return;
    const char *refusal =
        known ? network_refusal(&w->out->tenant.network, &registry->own, &endpoint.addr) : NULL;
    if (refusal)
        endpoint.reason = refusal;
    endpoint.ready = known && !endpoint.reason;
    backend->endpoint =
        stash_room(w->stash, backend->endpoint, backend->endpoint_count, sizeof *backend->endpoint);
    backend->endpoint[backend->endpoint_count++] = endpoint;
    backend->ready_count += endpoint.ready;
}

/* ---- pods ---- */

const char *pod_ip_text(const struct pod_object *pod) {
    const struct pod_status *status = pod->status;
    if (!status)
        return NULL;
    if (status->ip.text && *status->ip.text)
        return status->ip.text;
    const char *first = status->ips.count ? ((struct pod_ip *)status->ips.item)[0].ip.text : NULL;
    return first && *first ? first : NULL;
}

const char *pod_not_ready(const struct pod_object *pod) {
    const struct pod_status *status = pod->status;
    if (pod->head.metadata->deletion.text)
        return "the Pod is terminating";
    if (!pod_ip_text(pod))
        return "waiting for its address";
    if (status->phase.text && word_listed("Succeeded Failed", status->phase.text))
        return "the Pod has ended";
    for (size_t i = 0; i < status->conditions.count; i++) {
        const struct condition *condition = (struct condition *)status->conditions.item + i;
        if (condition->type.text && !strcmp(condition->type.text, "Ready"))
            return condition->status.text && !strcmp(condition->status.text, "True")
                       ? NULL
                       : "the Pod is not Ready";
    }
    return NULL;
}

static bool selector_matches(const struct dict *selector, const struct dict *labels) {
    for (size_t i = 0; i < selector->count; i++) {
        const char *value = dict_get(labels, selector->item[i].key.text);
        if (!value || strcmp(value, selector->item[i].value.text))
            return false;
    }
    return selector->count > 0;
}

static bool protocol_is_tcp(const struct word *protocol) {
    return !protocol->text || !strcmp(protocol->text, "TCP");
}

static uint16_t container_port_named(const struct pod_object *pod, const char *name) {
    for (size_t i = 0; pod->spec && i < pod->spec->containers.count; i++) {
        const struct container *container = (struct container *)pod->spec->containers.item + i;
        for (size_t j = 0; j < container->ports.count; j++) {
            const struct container_port *port = (struct container_port *)container->ports.item + j;
            if (port->name.text && !strcmp(port->name.text, name) &&
                protocol_is_tcp(&port->protocol))
                return (uint16_t)port->port;
        }
    }
    return 0;
}

static uint16_t target_port(const struct service_port *port, const struct pod_object *pod) {
    if (port->target.name)
        return pod ? container_port_named(pod, port->target.name) : 0;
    return (uint16_t)(port->target.number ? port->target.number : port->port);
}

static void pods_add(struct work *w, struct backend *backend, const struct service_spec *spec,
                     const struct service_port *port) {
    for (size_t i = 0; i < w->model->pods.count; i++) {
        const struct pod_object *pod = w->model->pods.item[i];
        if (!selector_matches(&spec->selector, &pod->head.metadata->labels))
            continue;
        uint16_t number = target_port(port, pod);
        const char *not_ready = pod_not_ready(pod);
        if (not_ready && pod_ip_text(pod) && !pod->head.metadata->deletion.text &&
            spec->publish_not_ready == MAYBE_TRUE)
            not_ready = NULL;
        if (!number)
            not_ready = stash_format(w->stash, "the Pod has no port named %s", port->target.name);
        endpoint_add(w, backend, pod_ip_text(pod), NULL, number, pod->head.name, not_ready);
    }
}

/* ---- Endpoints and EndpointSlices ---- */

/* The port of this list that belongs to the Service's: of the same name; both may have none. */
static uint16_t listed_port(const struct items *ports, const struct service_port *wanted) {
    const struct endpoint_port *port = ports->item;
    const char *name = wanted->name.text ? wanted->name.text : "";
    for (size_t i = 0; i < ports->count; i++)
        if (protocol_is_tcp(&port[i].protocol) &&
            !strcmp(port[i].name.text ? port[i].name.text : "", name))
            return (uint16_t)port[i].port;
    bool lone = ports->count == 1 && !*name && protocol_is_tcp(&port[0].protocol);
    return lone ? (uint16_t)port[0].port : 0;
}

static void addresses_add(struct work *w, struct backend *backend, const struct items *addresses,
                          uint16_t port, const char *not_ready) {
    for (size_t i = 0; i < addresses->count; i++) {
        const struct subset_address *address = (struct subset_address *)addresses->item + i;
        const char *pod = address->target ? address->target->name.text : NULL;
        endpoint_add(w, backend, address->ip.text, NULL, port, pod ? pod : address->ip.text,
                     not_ready);
    }
}

static void endpoints_add(struct work *w, struct backend *backend, const char *service,
                          const struct service_port *wanted) {
    const struct endpoints_object *endpoints = model_find(w->model, "Endpoints", service);
    for (size_t i = 0; endpoints && i < endpoints->subsets.count; i++) {
        const struct subset *subset = (struct subset *)endpoints->subsets.item + i;
        uint16_t port = listed_port(&subset->ports, wanted);
        if (!port)
            continue;
        addresses_add(w, backend, &subset->addresses, port, NULL);
        addresses_add(w, backend, &subset->not_ready, port, "listed under notReadyAddresses");
    }
}

static void slice_add(struct work *w, struct backend *backend, const struct slice_object *slice,
                      uint16_t port) {
    bool names = slice->address_type.text && !strcmp(slice->address_type.text, "FQDN");
    for (size_t i = 0; i < slice->endpoints.count; i++) {
        const struct slice_endpoint *endpoint = (struct slice_endpoint *)slice->endpoints.item + i;
        const char *pod = endpoint->target ? endpoint->target->name.text : NULL;
        bool ready = !endpoint->conditions || endpoint->conditions->ready != MAYBE_FALSE;
        const char *ip =
            endpoint->addresses.count && !names ? endpoint->addresses.item[0].text : NULL;
        const char *not_ready = names   ? "addressType FQDN is not supported"
                                : ready ? NULL
                                        : "its condition ready is false";
        if (!ip && !not_ready)
            not_ready = "it has no address";
        endpoint_add(w, backend, ip, NULL, port, pod ? pod : ip, not_ready);
    }
}

static void slices_add(struct work *w, struct backend *backend, const char *service,
                       const struct service_port *wanted) {
    for (size_t i = 0; i < w->model->slices.count; i++) {
        const struct slice_object *slice = w->model->slices.item[i];
        const char *of = dict_get(&slice->head.metadata->labels, "kubernetes.io/service-name");
        uint16_t port = of && !strcmp(of, service) ? listed_port(&slice->ports, wanted) : 0;
        if (port)
            slice_add(w, backend, slice, port);
    }
}

/* ---- a reference to a Service ---- */

static enum app_protocol app_protocol_of(const struct service_port *port) {
    static const struct {
        const char *name;
        enum app_protocol protocol;
    } known[] = {{"http", APP_HTTP},
                 {"https", APP_HTTPS},
                 {"kubernetes.io/h2c", APP_H2C},
                 {"kubernetes.io/ws", APP_WS},
                 {"tcp", APP_TCP},
                 {"HTTP", APP_HTTP},
                 {"HTTPS", APP_HTTPS},
                 {"kubernetes.io/wss", APP_HTTPS}};
    for (size_t i = 0; port->app_protocol.text && i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, port->app_protocol.text))
            return known[i].protocol;
    return APP_HTTP;
}

static const struct service_port *service_port_find(const struct service_object *service,
                                                    int64_t number, const char *name) {
    const struct items *ports = &service->spec->ports;
    for (size_t i = 0; i < ports->count; i++) {
        const struct service_port *port = (struct service_port *)ports->item + i;
        if (!protocol_is_tcp(&port->protocol))
            continue;
        if (name ? port->name.text && !strcmp(port->name.text, name) : port->port == number)
            return port;
    }
    return NULL;
}

static void service_fill(struct work *w, struct backend *backend,
                         const struct service_object *service, const struct service_port *port) {
    const struct service_spec *spec = service->spec;
    const char *name = service->head.name;
    backend->port = (uint16_t)port->port;
    backend->port_name = stash_text(w->stash, port->name.text);
    backend->protocol = app_protocol_of(port);
    policy_apply(w, backend, service->policy, stash_format(w->stash, "Service/%s", name),
                 service->head.file);
    if (spec->selector.count)
        pods_add(w, backend, spec, port);
    else
        endpoints_add(w, backend, name, port);
    slices_add(w, backend, name, port);
    if (spec->type.text && !strcmp(spec->type.text, "ExternalName"))
        backend->reason =
            stash_format(w->stash, "Service %s is an ExternalName, which is not supported", name);
    else if (!backend->endpoint_count && spec->selector.count)
        backend->reason = stash_format(w->stash, "no Pod matches the selector of Service %s", name);
    else if (!backend->endpoint_count)
        backend->reason = stash_format(w->stash, "no Endpoints for Service %s", name);
}

const struct backend *backend_of_service(struct work *w, const char *name, int64_t number,
                                         const char *port_name) {
    const struct service_object *service = model_find(w->model, "Service", name);
    const struct service_port *port =
        service && service->spec ? service_port_find(service, number, port_name) : NULL;
    if (port)
        number = port->port;
    const char *key = port || !port_name ? stash_format(w->stash, "%s:%d", name, (int)number)
                                         : stash_format(w->stash, "%s:%s", name, port_name);
    struct backend *backend = table_get(&w->backends, key);
    if (backend || !(backend = backend_new(w, name, (uint16_t)number, APP_HTTP)))
        return backend;
    table_put(&w->backends, key, backend);
    if (port)
        service_fill(w, backend, service, port);
    else if (service)
        backend->reason =
            stash_format(w->stash, "Service %s has no TCP port %s", name, strchr(key, ':') + 1);
    else
        backend->reason = stash_format(w->stash, "Service %s not found", name);
    if (!port && port_name)
        backend->port_name = stash_text(w->stash, port_name);
    return backend;
}

/* ---- NodePorts ---- */

void port_want(struct work *w, struct wanted_port wanted) {
    w->port = stash_room(w->stash, w->port, w->port_count, sizeof *w->port);
    w->port[w->port_count++] = wanted;
}

static uint16_t shown_container_port(const struct work *w, const struct service_spec *spec,
                                     const struct service_port *port) {
    for (size_t i = 0; port->target.name && i < w->model->pods.count; i++) {
        const struct pod_object *pod = w->model->pods.item[i];
        uint16_t number = container_port_named(pod, port->target.name);
        if (number && selector_matches(&spec->selector, &pod->head.metadata->labels))
            return number;
    }
    uint16_t number = target_port(port, NULL);
    return number ? number : (uint16_t)port->port;
}

static void node_port_want(struct work *w, const struct service_object *service,
                           const struct service_port *port) {
    const char *object = stash_format(w->stash, "Service/%s", service->head.name);
    if (!protocol_is_tcp(&port->protocol)) {
        note_event(w, object, service->head.file, port->at, "PortRefused",
                   "a raw port carries TCP only, not %s", port->protocol.text);
        return;
    }
    const char *target = port->target.name ? port->target.name : NULL;
    uint16_t number = shown_container_port(w, service->spec, port);
    port_want(w, (struct wanted_port){
                     .slot = target ? stash_format(w->stash, "%s:%s", service->head.name, target)
                                    : stash_format(w->stash, "%s:%u", service->head.name, number),
                     .asked = (uint16_t)port->node_port,
                     .service = stash_text(w->stash, service->head.name),
                     .object = object,
                     .container_port = number,
                     .backend = backend_of_service(w, service->head.name, port->port, NULL),
                     .gate = gate_take(w, service->gate),
                 });
}

void node_ports_want(struct work *w) {
    for (size_t i = 0; i < w->model->services.count; i++) {
        const struct service_object *service = w->model->services.item[i];
        bool node = service->spec && service->spec->type.text &&
                    !strcmp(service->spec->type.text, "NodePort");
        for (size_t j = 0; node && j < service->spec->ports.count; j++)
            node_port_want(w, service, (struct service_port *)service->spec->ports.item + j);
    }
}
