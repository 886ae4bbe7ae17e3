/* SPDX-License-Identifier: GPL-3.0-or-later
 * containers.c - see containers.h. Labels stand as annotations: their values are none that a label of Kubernetes may have.
 */
#include "modules/kube/containers.h"
#include <stdlib.h>
#include <string.h>

static const char ORIGIN[] = "ringress/origin";

bool is_of_labels(const json_t *object) {
    const json_t *metadata = json_object_get(object, "metadata");
    return *text_of(json_object_get(metadata, "annotations"), ORIGIN) != 0;
}

/* "kr.ingress.80" */
static json_t *ports_of(json_t *labels) {
    static const char prefix[] = "kr.ingress.";
    json_t *ports = json_array(), *value;
    const char *key;
    json_object_foreach(labels, key, value) {
        long port = !strncmp(key, prefix, sizeof prefix - 1)
                        ? strtol(key + sizeof prefix - 1, NULL, 10)
                        : 0;
        if (port > 0 && port < 65536)
            json_array_append_new(ports, json_pack("{s:I s:s}", "containerPort", (json_int_t)port,
                                                   "protocol", "TCP"));
    }
    return ports;
}

static json_t *status_of(const struct making *m, const json_t *row) {
    const char *name = text_of(row, "name"), *why = text_of(row, "notReady");
    bool ready = !*why;
    json_t *ips = json_array(), *address, *since = time_json(m->since);
    size_t i;
    json_array_foreach(json_object_get(row, "addresses"), i, address) {
        json_array_append_new(ips, json_pack("{s:O}", "ip", address));
    }
    json_t *status =
        json_pack("{s:s s:[{s:s s:s s:s s:s s:O}] s:[{s:s s:b s:i s:{s:{s:O}}}] s:O}", "phase",
                  "Running", "conditions", "type", "Ready", "status", ready ? "True" : "False",
                  "reason", ready ? "" : "ContainersNotReady", "message", why, "lastTransitionTime",
                  since, "containerStatuses", "name", name, "ready", ready, "restartCount", 0,
                  "state", "running", "startedAt", since, "podIPs", ips);
    if (json_array_size(ips))
        json_object_set(status, "podIP", json_object_get(json_array_get(ips, 0), "ip"));
    json_decref(ips);
    json_decref(since);
    return status;
}

static void container_add(struct making *m, json_t *row) {
    json_t *annotations = json_deep_copy(json_object_get(row, "labels"));
    const char *name = text_of(row, "name");
    json_object_set(annotations, ORIGIN, json_object_get(row, "feed"));
    compose_made(m, "v1", "Pod",
                 json_pack("{s:{s:s s:o} s:{s:[{s:s s:o}]} s:o}", "metadata", "name", name,
                           "annotations", annotations, "spec", "containers", "name", name, "ports",
                           ports_of(json_object_get(row, "labels")), "status", status_of(m, row)));
}

void containers_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "containers"), i, row) {
        if (!composed_find(m->out, "Pod", text_of(row, "name")))
            container_add(m, row);
    }
}
