/* SPDX-License-Identifier: GPL-3.0-or-later
 * endpoints.c - see endpoints.h.
 *
 *   backends (service, port, address, state) ---> pods of a service as the workers see them
 *   a service that nothing routes to       ---> its selector over the Pods, as the API server would
 */
#include "modules/kube/endpoints.h"
#include <stdlib.h>
#include <string.h>

/* ---- ports of a Service ---- */

/* The number of the pod's port that this service port means; 0: not known. */
static json_int_t pod_port(const json_t *pod, const json_t *port) {
    const json_t *target = json_object_get(port, "targetPort");
    json_t *container, *own;
    size_t i, k;
    if (json_is_integer(target))
        return json_integer_value(target);
    if (!json_is_string(target))
        return int_of(port, "port");
    json_array_foreach(json_object_get(json_object_get(pod, "spec"), "containers"), i, container) {
        json_array_foreach(json_object_get(container, "ports"), k, own) {
            if (!strcmp(text_of(own, "name"), json_string_value(target)))
                return int_of(own, "containerPort");
        }
    }
    return 0;
}

static bool selects(const json_t *service, const json_t *pod) {
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    json_t *selector = json_object_get(json_object_get(service, "spec"), "selector"), *value;
    const char *key;
    json_object_foreach(selector, key, value) {
        const char *has = json_string_value(json_object_get(labels, key));
        if (!has || !json_is_string(value) || strcmp(has, json_string_value(value)))
            return false;
    }
    return json_object_size(selector) > 0;
}

static const json_t *first_pod(const struct making *m, const json_t *service) {
    for (size_t i = 0; i < m->out->count; i++)
        if (!strcmp(m->out->item[i].kind->kind, "Pod") && selects(service, m->out->item[i].object))
            return m->out->item[i].object;
    return NULL;
}

static const json_t *raw_port_of(const struct making *m, const char *service,
                                 json_int_t container_port) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "ports"), i, row) {
        if (!strcmp(text_of(row, "service"), service) &&
            int_of(row, "containerPort") == container_port)
            return row;
    }
    return NULL;
}

/* ---- live Services ---- */

static void default_set(json_t *object, const char *key, json_t *value) {
    if (json_object_get(object, key))
        json_decref(value);
    else
        json_object_set_new(object, key, value);
}

void service_defaults(json_t *object) {
    json_t *spec = json_object_get(object, "spec"), *port;
    size_t i;
    default_set(spec, "type", json_string("ClusterIP"));
    default_set(spec, "sessionAffinity", json_string("None"));
    json_array_foreach(json_object_get(spec, "ports"), i, port) {
        default_set(port, "protocol", json_string("TCP"));
        default_set(port, "targetPort", json_integer(int_of(port, "port")));
    }
}

/* Ports that lead to the same one of a pod have one raw port, which is the first one's: a number stands once in a Service. */
static bool number_stands(const json_t *ports, size_t before, json_int_t number) {
    for (size_t i = 0; i < before; i++)
        if (int_of(json_array_get(ports, i), "nodePort") == number)
            return true;
    return false;
}

static void port_enliven(const struct making *m, const json_t *service, json_t *ports, size_t i) {
    json_t *port = json_array_get(ports, i);
    const json_t *row = raw_port_of(m, object_name(service), pod_port(first_pod(m, service), port));
    json_int_t number = int_of(row, "publicPort");
    if (number && !number_stands(ports, i, number))
        json_object_set_new(port, "nodePort", json_integer(number));
}

/* One condition for all raw ports: the first that is not open says why. */
static json_t *conditions_of(const struct making *m, const char *service) {
    json_t *row, *worst = NULL;
    size_t i;
    bool any = false;
    json_array_foreach(json_object_get(m->known, "ports"), i, row) {
        if (strcmp(text_of(row, "service"), service))
            continue;
        any = true;
        if (!worst && strcmp(text_of(row, "state"), "open"))
            worst = row;
    }
    if (!any)
        return NULL;
    return json_pack("[{s:s s:s s:s s:s s:o}]", "type", "PortsOpen", "status",
                     worst ? "False" : "True", "reason", worst ? text_of(worst, "state") : "open",
                     "message", worst ? text_of(worst, "reason") : "", "lastTransitionTime",
                     time_json(m->since));
}

static void service_enliven(const struct making *m, json_t *object) {
    json_t *spec = json_object_get(object, "spec"), *ports = json_object_get(spec, "ports");
    service_defaults(object);
    bool raw = !strcmp(text_of(spec, "type"), "NodePort");
    for (size_t i = 0; raw && i < json_array_size(ports); i++)
        port_enliven(m, object, ports, i);
    json_t *status = json_pack("{s:{}}", "loadBalancer"),
           *conditions = conditions_of(m, object_name(object));
    if (conditions)
        json_object_set_new(status, "conditions", conditions);
    json_object_set_new(object, "status", status);
}

/* A default that the file does not say. */
static void default_drop(json_t *object, const json_t *original, const char *key,
                         const json_t *fallback) {
    if (!json_object_get(original, key) && json_equal(json_object_get(object, key), fallback))
        json_object_del(object, key);
}

static const json_t *port_numbered(const json_t *ports, json_int_t number) {
    json_t *port;
    size_t i;
    json_array_foreach(ports, i, port) {
        if (int_of(port, "port") == number)
            return port;
    }
    return NULL;
}

/* Given by the edge, and not asked for by number. */
static bool was_given(const json_t *known, const char *service, json_int_t number) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(known, "ports"), i, row) {
        if (!strcmp(text_of(row, "service"), service) && int_of(row, "publicPort") == number)
            return true;
    }
    return false;
}

static void port_undo(json_t *port, const json_t *original, const json_t *known,
                      const char *service) {
    json_t *tcp = json_string("TCP"), *same = json_integer(int_of(port, "port"));
    default_drop(port, original, "protocol", tcp);
    default_drop(port, original, "targetPort", same);
    if (!json_object_get(original, "nodePort") &&
        was_given(known, service, int_of(port, "nodePort")))
        json_object_del(port, "nodePort");
    json_decref(tcp);
    json_decref(same);
}

void service_undo(const json_t *original, const json_t *known, json_t *object) {
    json_t *spec = json_object_get(object, "spec"), *port;
    const json_t *was = json_object_get(original, "spec");
    json_t *none = json_string("None"), *cluster = json_string("ClusterIP");
    size_t i;
    if (original) {
        default_drop(spec, was, "sessionAffinity", none);
        default_drop(spec, was, "type", cluster);
    }
    json_array_foreach(json_object_get(spec, "ports"), i, port) {
        const json_t *before = port_numbered(json_object_get(was, "ports"), int_of(port, "port"));
        if (before)
            port_undo(port, before, known, object_name(object));
    }
    json_decref(none);
    json_decref(cluster);
}

static json_t *label_service(struct making *m, const char *name) {
    json_t *service = composed_find(m->out, "Service", name);
    if (service)
        return service;
    compose_made(m, "v1", "Service",
                 json_pack("{s:{s:s s:{s:s}} s:{s:[]}}", "metadata", "name", name, "annotations",
                           "ringress/origin", "labels", "spec", "ports"));
    return m->out->item[m->out->count - 1].object;
}

static bool was_written(const struct making *m, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(m->out->item[i].kind->kind, "Service") &&
            !strcmp(object_name(m->out->item[i].object), name))
            return true;
    return false;
}

static json_t *port_need(json_t *service, json_int_t number) {
    json_t *ports = json_object_get(json_object_get(service, "spec"), "ports"), *port;
    size_t i;
    json_array_foreach(ports, i, port) {
        if (int_of(port, "port") == number)
            return port;
    }
    port = json_pack("{s:o s:I}", "name", json_sprintf("port-%" JSON_INTEGER_FORMAT, number),
                     "port", number);
    json_array_append_new(ports, port);
    return port;
}

/* A rule's, which nobody made: to be applied yet, it may be, from the next document of the same file. */
static bool is_lacking(const json_t *backend) {
    char lacks[320];
    snprintf(lacks, sizeof lacks, "Service %.280s not found", text_of(backend, "service"));
    return !strcmp(text_of(backend, "reason"), lacks);
}

static void label_services_add(struct making *m) {
    size_t written = m->out->count, i;
    json_t *row;
    json_array_foreach(json_object_get(m->known, "backends"), i, row) {
        const char *name = text_of(row, "service");
        if (*name && !was_written(m, written, name) && !is_lacking(row))
            port_need(label_service(m, name), int_of(row, "port"));
    }
    json_array_foreach(json_object_get(m->known, "ports"), i, row) {
        const char *name = text_of(row, "service");
        if (!*name || was_written(m, written, name))
            continue;
        json_t *service = label_service(m, name);
        port_need(service, int_of(row, "containerPort"));
        json_object_set_new(json_object_get(service, "spec"), "type", json_string("NodePort"));
    }
}

void services_enliven(struct making *m) {
    label_services_add(m);
    for (size_t i = 0; i < m->out->count; i++)
        if (!strcmp(m->out->item[i].kind->kind, "Service"))
            service_enliven(m, m->out->item[i].object);
}

/* ---- where pods are ---- */

struct spot_of_pod {
    const char *pod; /* or "" */
    char ip[64];
    json_int_t port;
    bool ready;
};
struct spots {
    struct spot_of_pod *item;
    size_t count;
};

static void spot_add(struct spots *s, const struct spot_of_pod *spot) {
    struct spot_of_pod *more = realloc(s->item, (s->count + 1) * sizeof *more);
    if (!more)
        abort();
    s->item = more;
    more[s->count++] = *spot;
}

/* "10.0.0.1:80", "[fd00::1]:80" */
static bool address_split(const char *text, struct spot_of_pod *ret) {
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof ret->ip)
        return false;
    bool bracketed = *text == '[';
    snprintf(ret->ip, sizeof ret->ip, "%.*s", (int)(colon - text) - (bracketed ? 2 : 0),
             text + bracketed);
    ret->port = strtol(colon + 1, NULL, 10);
    return true;
}

/* True: something routes to it, so the workers know. */
static bool spots_live(const struct making *m, const char *service, json_int_t port,
                       struct spots *ret) {
    bool any = false;
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "backends"), i, row) {
        struct spot_of_pod spot = {.pod = text_of(row, "pod"),
                                   .ready = !strcmp(text_of(row, "state"), "ready")};
        if (strcmp(text_of(row, "service"), service) || int_of(row, "port") != port)
            continue;
        any = true;
        if (address_split(text_of(row, "address"), &spot))
            spot_add(ret, &spot);
    }
    return any;
}

bool pod_is_ready(const json_t *status) {
    json_t *condition;
    size_t i;
    json_array_foreach(json_object_get(status, "conditions"), i, condition) {
        if (!strcmp(text_of(condition, "type"), "Ready"))
            return !strcmp(text_of(condition, "status"), "True");
    }
    return false;
}

static void spots_selected(const struct making *m, const json_t *service, const json_t *port,
                           struct spots *ret) {
    for (size_t i = 0; i < m->out->count; i++) {
        const json_t *pod = m->out->item[i].object, *status = json_object_get(pod, "status");
        struct spot_of_pod spot = {.ready = pod_is_ready(status)};
        if (strcmp(m->out->item[i].kind->kind, "Pod") || !selects(service, pod) ||
            !*text_of(status, "podIP"))
            continue;
        spot.pod = object_name(pod);
        snprintf(spot.ip, sizeof spot.ip, "%s", text_of(status, "podIP"));
        spot.port = pod_port(pod, port);
        if (spot.port)
            spot_add(ret, &spot);
    }
}

static json_t *target_of(const char *pod) {
    return json_pack("{s:s s:s s:s}", "kind", "Pod", "name", pod, "namespace", "default");
}

static json_t *slice_endpoint(const struct spot_of_pod *s) {
    json_t *endpoint = json_pack("{s:[s] s:{s:b s:b s:b}}", "addresses", s->ip, "conditions",
                                 "ready", s->ready, "serving", s->ready, "terminating", 0);
    if (*s->pod)
        json_object_set_new(endpoint, "targetRef", target_of(s->pod));
    return endpoint;
}

static json_t *port_json(const json_t *port, json_int_t number) {
    return json_pack("{s:s s:I s:s}", "name", text_of(port, "name"), "port", number, "protocol",
                     *text_of(port, "protocol") ? text_of(port, "protocol") : "TCP");
}

/* One slice for each number that pods of this service port listen on. */
static void slice_add(struct making *m, const char *service, const json_t *port,
                      const struct spots *s, json_int_t number) {
    json_t *endpoints = json_array();
    bool v6 = false;
    for (size_t i = 0; i < s->count; i++)
        if (s->item[i].port == number) {
            json_array_append_new(endpoints, slice_endpoint(&s->item[i]));
            v6 |= strchr(s->item[i].ip, ':') != NULL;
        }
    compose_made(m, "discovery.k8s.io/v1", "EndpointSlice",
                 json_pack("{s:{s:o s:{s:s s:s}} s:s s:o s:[o]}", "metadata", "name",
                           json_sprintf("%s-%" JSON_INTEGER_FORMAT "-%" JSON_INTEGER_FORMAT,
                                        service, int_of(port, "port"), number),
                           "labels", "kubernetes.io/service-name", service,
                           "endpointslice.kubernetes.io/managed-by", "ringress", "addressType",
                           v6 ? "IPv6" : "IPv4", "endpoints", endpoints, "ports",
                           port_json(port, number)));
}

static json_t *subset_address(const struct spot_of_pod *s) {
    json_t *address = json_pack("{s:s}", "ip", s->ip);
    if (*s->pod)
        json_object_set_new(address, "targetRef", target_of(s->pod));
    return address;
}

static json_t *subset_of(const json_t *port, const struct spots *s, json_int_t number) {
    json_t *ready = json_array(), *others = json_array();
    for (size_t i = 0; i < s->count; i++)
        if (s->item[i].port == number)
            json_array_append_new(s->item[i].ready ? ready : others, subset_address(&s->item[i]));
    json_t *subset = json_pack("{s:[o]}", "ports", port_json(port, number));
    if (json_array_size(ready))
        json_object_set(subset, "addresses", ready);
    if (json_array_size(others))
        json_object_set(subset, "notReadyAddresses", others);
    json_decref(ready);
    json_decref(others);
    return subset;
}

static bool seen_before(const struct spots *s, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (s->item[i].port == s->item[at].port)
            return true;
    return false;
}

static void service_spots(struct making *m, const json_t *service, bool slices, json_t *subsets) {
    json_t *port;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(service, "spec"), "ports"), i, port) {
        struct spots s = {0};
        if (!spots_live(m, object_name(service), int_of(port, "port"), &s))
            spots_selected(m, service, port, &s);
        for (size_t k = 0; k < s.count; k++) {
            if (seen_before(&s, k))
                continue;
            if (slices)
                slice_add(m, object_name(service), port, &s, s.item[k].port);
            if (subsets)
                json_array_append_new(subsets, subset_of(port, &s, s.item[k].port));
        }
        free(s.item);
    }
}

static bool slices_written(const struct making *m, const char *service) {
    for (size_t i = 0; i < m->out->count; i++) {
        const struct composed *c = &m->out->item[i];
        const json_t *labels = json_object_get(json_object_get(c->object, "metadata"), "labels");
        if (c->written && !strcmp(c->kind->kind, "EndpointSlice") &&
            !strcmp(text_of(labels, "kubernetes.io/service-name"), service))
            return true;
    }
    return false;
}

/* Clients look for slices, also where somebody wrote Endpoints: one for each subset, as the API server's mirrors are. */
static json_t *mirrored(const json_t *addresses, bool ready, json_t *list) {
    json_t *address;
    size_t i;
    json_array_foreach(addresses, i, address) {
        struct spot_of_pod spot = {.ready = ready, .pod = ""};
        snprintf(spot.ip, sizeof spot.ip, "%s", text_of(address, "ip"));
        json_array_append_new(list, slice_endpoint(&spot));
    }
    return list;
}

static void mirrors_add(struct making *m, const char *service, const json_t *endpoints) {
    json_t *subset, *port;
    size_t i, k;
    json_array_foreach(json_object_get(endpoints, "subsets"), i, subset) {
        json_t *list = mirrored(json_object_get(subset, "addresses"), true, json_array()),
               *ports = json_array();
        mirrored(json_object_get(subset, "notReadyAddresses"), false, list);
        bool v6 =
            strchr(text_of(json_array_get(json_object_get(subset, "addresses"), 0), "ip"), ':');
        json_array_foreach(json_object_get(subset, "ports"), k, port) {
            json_array_append_new(ports, port_json(port, int_of(port, "port")));
        }
        compose_made(m, "discovery.k8s.io/v1", "EndpointSlice",
                     json_pack("{s:{s:o s:{s:s s:s}} s:s s:o s:o}", "metadata", "name",
                               json_sprintf("%s-mirror-%zu", service, i), "labels",
                               "kubernetes.io/service-name", service,
                               "endpointslice.kubernetes.io/managed-by", "ringress", "addressType",
                               v6 ? "IPv6" : "IPv4", "endpoints", list, "ports", ports));
    }
}

void endpoints_add(struct making *m) {
    size_t count = m->out->count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(m->out->item[i].kind->kind, "Service"))
            continue;
        json_t *service = json_incref(m->out->item[i].object);
        const json_t *endpoints = composed_find(m->out, "Endpoints", object_name(service));
        bool has_endpoints = endpoints != NULL;
        bool has_slices = slices_written(m, object_name(service));
        json_t *subsets = has_endpoints || has_slices ? NULL : json_array();
        service_spots(m, service, !has_endpoints && !has_slices, subsets);
        if (has_endpoints && !has_slices)
            mirrors_add(m, object_name(service), endpoints);
        if (subsets)
            compose_made(m, "v1", "Endpoints",
                         json_pack("{s:{s:s} s:o}", "metadata", "name", object_name(service),
                                   "subsets", subsets));
        json_decref(service);
    }
}
