/* SPDX-License-Identifier: GPL-3.0-or-later
 * happenings.c - see happenings.h. An event about a pod or a compose service is told once more for each Ingress that it concerns.
 */
#include "modules/kube/happenings.h"
#include "modules/kube/containers.h"
#include "tenants/labels.h"
#include <stdlib.h>
#include <string.h>

struct happening {
    const char *kind, *name; /* of the object it is about */
    const char *reason, *message, *type;
    const json_t *since, *last; /* text or null */
    json_int_t count;
};

static json_t *object_reference(const struct making *m, const struct happening *h) {
    const json_t *object = composed_find(m->out, h->kind, h->name);
    json_t *reference =
        json_pack("{s:s s:s s:s}", "kind", h->kind, "name", h->name, "namespace", "default");
    json_object_set_new(reference, "apiVersion",
                        json_string(object ? text_of(object, "apiVersion") : "v1"));
    json_t *uid = json_object_get(json_object_get(object, "metadata"), "uid");
    if (uid)
        json_object_set(reference, "uid", uid);
    return reference;
}

/* NULL: nobody says. */
static json_t *time_copy(const json_t *time) {
    return json_is_string(time) ? json_deep_copy(time) : NULL;
}

static void happening_add(struct making *m, const struct happening *h) {
    char id[UID_TEXT], text[1200];
    snprintf(text, sizeof text, "%.200s/%.300s/%.60s/%.500s", h->kind, h->name, h->reason,
             h->message);
    uid_of(m->uid, "Event", text, id);
    id[8] = 0; /* enough to tell one object's events apart */
    json_t *name = json_sprintf("%.200s.%s%.4s", h->name, id, id + 9);
    if (composed_find(m->out, "Event", json_string_value(name))) {
        json_decref(name);
        return;
    }
    compose_made(m, "v1", "Event",
                 json_pack("{s:{s:o s:o*} s:o s:s s:s s:s s:{s:s} s:o* s:o* s:I s:s s:s}",
                           "metadata", "name", name, "creationTimestamp", time_copy(h->since),
                           "involvedObject", object_reference(m, h), "reason", h->reason, "message",
                           h->message, "type", h->type, "source", "component", "ringress",
                           "firstTimestamp", time_copy(h->since), "lastTimestamp",
                           time_copy(h->last ? h->last : h->since), "count",
                           h->count ? h->count : (json_int_t)1, "reportingComponent", "ringress",
                           "reportingInstance", ""));
}

/* "Ingress/web", "Service web", "Tenant": the tenant itself is its namespace. */
static void subject_read(const char *object, char kind[64], char name[260]) {
    size_t n = strcspn(object, "/ ");
    snprintf(kind, 64, "%.*s", (int)n, object);
    snprintf(name, 260, "%s", object[n] ? object + n + 1 : "");
    if (!strcmp(kind, "Container")) /* is shown as a Pod */
        snprintf(kind, 64, "Pod");
    if (strcmp(kind, "Tenant") && *name)
        return;
    snprintf(kind, 64, "Namespace");
    snprintf(name, 260, "default");
}

/* Labels route under an Ingress that does not name the pod. A bad one routes nowhere: it is missed where its rule would be. */
static void told_of_ingresses(struct making *m, const char *object, const struct happening *h) {
    json_t *route, *message = json_sprintf("%s/%s: %s", h->kind, h->name, h->message);
    struct happening again = *h;
    size_t i;
    again.kind = "Ingress";
    again.name = "default";
    again.message = message ? json_string_value(message) : h->message;
    if (!strcmp(h->reason, "BadLabel"))
        happening_add(m, &again);
    json_array_foreach(json_object_get(m->known, "routes"), i, route) {
        if (!label_origin_is_on(text_of(route, "origin"), object))
            continue;
        again.name = text_of(route, "ingress");
        happening_add(m, &again);
    }
    json_decref(message);
}

/* What is said of the tenant itself is about a broken file of its: where that lies is the operator's business. */
static const char *message_of(const json_t *row) {
    const char *message = text_of(row, "message");
    bool placed = !strcmp(text_of(row, "object"), "Tenant") && *message == '/';
    size_t n = placed ? strcspn(message, ":") : 0;
    while (n && message[n - 1] != '/')
        n--;
    return message + n;
}

static void told_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "events"), i, row) {
        char kind[64], name[260];
        const char *object = text_of(row, "object");
        subject_read(object, kind, name);
        const struct happening h = {.kind = kind,
                                    .name = name,
                                    .reason = text_of(row, "reason"),
                                    .message = message_of(row),
                                    .type = text_of(row, "type"),
                                    .since = json_object_get(row, "since"),
                                    .last = json_object_get(row, "last"),
                                    .count = int_of(row, "count")};
        happening_add(m, &h);
        if (strcmp(kind, "Namespace") && strcmp(kind, "Ingress"))
            told_of_ingresses(m, object, &h);
    }
}

/* What is so now; the message stays the caller's, NULL: no memory. */
static void warning_add(struct making *m, const char *kind, const char *name, const char *reason,
                        const json_t *message) {
    happening_add(m, &(struct happening){.kind = kind,
                                         .name = name,
                                         .reason = reason,
                                         .message = message ? json_string_value(message) : "",
                                         .type = "Warning"});
}

static void ejected_tell(struct making *m, const json_t *row) {
    json_t *message = json_sprintf("pod %s at %s: %s", text_of(row, "pod"), text_of(row, "address"),
                                   text_of(row, "reason")),
           *route;
    size_t i;
    warning_add(m, "Service", text_of(row, "service"), "Ejected", message);
    json_array_foreach(json_object_get(m->known, "routes"), i, route) {
        if (strcmp(text_of(route, "service"), text_of(row, "service")))
            continue;
        warning_add(m, "Ingress", text_of(route, "ingress"), "Ejected", message);
    }
    json_decref(message);
}

static void ejected_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "backends"), i, row) {
        if (!strcmp(text_of(row, "state"), "ejected"))
            ejected_tell(m, row);
    }
}

/* A label's raw port that was not given is an event of its container or compose service: it is one of the Service it made, too. */
static void refused_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "ports"), i, row) {
        const char *service = text_of(row, "service");
        const json_t *object = composed_find(m->out, "Service", service);
        if (strcmp(text_of(row, "state"), "refused") || !object || !is_of_labels(object))
            continue;
        json_t *message = json_sprintf("no raw port for %" JSON_INTEGER_FORMAT ": %s",
                                       int_of(row, "containerPort"), text_of(row, "reason"));
        warning_add(m, "Service", service, "PortRefused", message);
        json_decref(message);
    }
}

/* A rule whose Service, or port of it, is not there, or has no pod: an event of the Service, and of the Ingress that is asked about. */
static void unavailable_add(struct making *m) {
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(m->known, "routes"), i, row) {
        if (strcmp(text_of(row, "state"), "unavailable"))
            continue;
        json_t *message = json_sprintf("%s%s: %s", text_of(row, "host"), text_of(row, "path"),
                                       text_of(row, "reason"));
        warning_add(m, "Ingress", text_of(row, "ingress"), "NoEndpoints", message);
        json_decref(message);
    }
}

void happenings_add(struct making *m) {
    told_add(m);
    unavailable_add(m);
    refused_add(m);
    ejected_add(m);
}
