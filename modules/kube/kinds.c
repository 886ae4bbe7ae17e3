/* SPDX-License-Identifier: GPL-3.0-or-later
 * kinds.c - see kinds.h.
 */
#include "modules/kube/kinds.h"
#include <stdio.h>
#include <string.h>

const struct kube_kind kube_kinds[] = {
    {"", "v1", "ConfigMap", "configmaps", "configmap", "cm", true, true},
    {"", "v1", "Endpoints", "endpoints", "endpoints", "ep", true, true},
    {"", "v1", "Event", "events", "event", "ev", true, false},
    {"", "v1", "Image", "images", "image", "img", true, true},
    {"", "v1", "Namespace", "namespaces", "namespace", "ns", false, false},
    {"", "v1", "Pod", "pods", "pod", "po", true, true},
    {"", "v1", "Secret", "secrets", "secret", NULL, true, true},
    {"", "v1", "Service", "services", "service", "svc", true, true},
    {"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice", NULL, true,
     true},
    {"networking.k8s.io", "v1", "IngressClass", "ingressclasses", "ingressclass", NULL, false,
     false},
    {"networking.k8s.io", "v1", "Ingress", "ingresses", "ingress", "ing", true, true},
    {.kind = NULL},
};

const struct kube_kind *kind_of_resource(const char *group, const char *version,
                                         const char *plural) {
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (!strcmp(k->plural, plural) && !strcmp(k->group, group) && !strcmp(k->version, version))
            return k;
    return NULL;
}

const struct kube_kind *kind_of_object(const char *api_version, const char *kind) {
    char own[API_VERSION_MAX];
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (!strcmp(k->kind, kind) && !strcmp(kind_api_version(k, own), api_version))
            return k;
    return NULL;
}

const char *kind_api_version(const struct kube_kind *k, char out[API_VERSION_MAX]) {
    snprintf(out, API_VERSION_MAX, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
    return out;
}

const char *kind_resource_name(const struct kube_kind *k, char out[RESOURCE_NAME_MAX]) {
    snprintf(out, RESOURCE_NAME_MAX, "%s%s%s", k->plural, *k->group ? "." : "", k->group);
    return out;
}
