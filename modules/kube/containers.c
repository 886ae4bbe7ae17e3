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

/* An engine that does not say when: since the tenant is known here. */
static json_t *time_said(const struct making *m, const json_t *row, const char *key) {
    json_t *said = json_object_get(row, key);
    return json_is_string(said) ? json_incref(said) : time_json(m->since);
}

static json_t *running(const struct making *m, const json_t *row) {
    bool ready = !*text_of(row, "notReady");
    json_t *status = json_pack("{s:s s:b s:b s:I s:s s:s s:{s:{s:o}}}", "name",
                               text_of(row, "name"), "ready", ready, "started", 1, "restartCount",
                               json_integer_value(json_object_get(row, "restarts")), "image",
                               text_of(row, "image"), "imageID", "", "state", "running",
                               "startedAt", time_said(m, row, "started"));
    if (*text_of(row, "id"))
        json_object_set_new(status, "containerID",
                            json_sprintf("%s://%s", text_of(row, "feed"), text_of(row, "id")));
    return status;
}

static json_t *status_of(const struct making *m, const json_t *row) {
    const char *why = text_of(row, "notReady");
    bool ready = !*why;
    json_t *ips = json_array(), *address, *since = time_said(m, row, "started");
    size_t i;
    json_array_foreach(json_object_get(row, "addresses"), i, address) {
        json_array_append_new(ips, json_pack("{s:O}", "ip", address));
    }
    json_t *status =
        json_pack("{s:s s:O s:[{s:s s:s s:s s:s s:O}] s:[o] s:O}", "phase", "Running", "startTime",
                  since, "conditions", "type", "Ready", "status", ready ? "True" : "False",
                  "reason", ready ? "" : "ContainersNotReady", "message", why, "lastTransitionTime",
                  since, "containerStatuses", running(m, row), "podIPs", ips);
    if (json_array_size(ips))
        json_object_set(status, "podIP", json_object_get(json_array_get(ips, 0), "ip"));
    json_decref(ips);
    json_decref(since);
    return status;
}

static void container_add(struct making *m, json_t *row) {
    json_t *annotations = json_deep_copy(json_object_get(row, "labels"));
    const char *name = text_of(row, "name"), *id = text_of(row, "id");
    char uid[UID_TEXT];
    json_object_set(annotations, ORIGIN, json_object_get(row, "feed"));
    json_t *pod =
        json_pack("{s:{s:s s:o s:o} s:{s:[{s:s s:s s:o}]} s:o}", "metadata", "name", name,
                  "annotations", annotations, "creationTimestamp", time_said(m, row, "created"),
                  "spec", "containers", "name", name, "image", text_of(row, "image"), "ports",
                  ports_of(json_object_get(row, "labels")), "status", status_of(m, row));
    if (*id) { /* the next of this name is another */
        uid_of(m->uid, "containers", id, uid);
        json_object_set_new(json_object_get(pod, "metadata"), "uid", json_string(uid));
    }
    compose_made(m, "v1", "Pod", pod);
}

void containers_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "containers"), i, row) {
        if (!composed_find(m->out, "Pod", text_of(row, "name")))
            container_add(m, row);
    }
}
