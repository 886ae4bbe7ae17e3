/* SPDX-License-Identifier: GPL-3.0-or-later
 * kinds.c - see kinds.h.
 */
#include "modules/kube/kinds.h"
#include <stdio.h>
#include <string.h>

const struct kube_kind kube_kinds[] = {
    {"", "v1", "ConfigMap", "configmaps", "configmap", "cm", true, KIND_WRITTEN},
    {"", "v1", "Endpoints", "endpoints", "endpoints", "ep", true, KIND_WRITTEN},
    {"", "v1", "Event", "events", "event", "ev", true, KIND_TOLD},
    {"", "v1", "Image", "images", "image", "img", true, KIND_WRITTEN},
    {"", "v1", "Namespace", "namespaces", "namespace", "ns", false, KIND_TOLD},
    {"", "v1", "PersistentVolume", "persistentvolumes", "persistentvolume", "pv", false,
     KIND_ABSENT},
    {"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim", "pvc",
     true, KIND_ABSENT},
    {"", "v1", "Pod", "pods", "pod", "po", true, KIND_WRITTEN},
    {"", "v1", "ReplicationController", "replicationcontrollers", "replicationcontroller", "rc",
     true, KIND_ABSENT},
    {"", "v1", "Secret", "secrets", "secret", NULL, true, KIND_WRITTEN},
    {"", "v1", "Service", "services", "service", "svc", true, KIND_WRITTEN},
    {"apps", "v1", "DaemonSet", "daemonsets", "daemonset", "ds", true, KIND_ABSENT},
    {"apps", "v1", "Deployment", "deployments", "deployment", "deploy", true, KIND_ABSENT},
    {"apps", "v1", "ReplicaSet", "replicasets", "replicaset", "rs", true, KIND_ABSENT},
    {"apps", "v1", "StatefulSet", "statefulsets", "statefulset", "sts", true, KIND_ABSENT},
    {"authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview",
     NULL, false, KIND_ASKED},
    {"authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews",
     "selfsubjectaccessreview", NULL, false, KIND_ASKED},
    {"authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews",
     "selfsubjectrulesreview", NULL, false, KIND_ASKED},
    {"batch", "v1", "CronJob", "cronjobs", "cronjob", "cj", true, KIND_ABSENT},
    {"batch", "v1", "Job", "jobs", "job", NULL, true, KIND_ABSENT},
    {"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice", NULL, true,
     KIND_WRITTEN},
    {"networking.k8s.io", "v1", "IngressClass", "ingressclasses", "ingressclass", NULL, false,
     KIND_TOLD},
    {"networking.k8s.io", "v1", "Ingress", "ingresses", "ingress", "ing", true, KIND_WRITTEN},
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

const char *const *kind_verbs(const struct kube_kind *k) {
    static const char *const of_written[] = {
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch", NULL};
    static const char *const of_told[] = {"get", "list", "watch", NULL};
    static const char *const of_asked[] = {"create", NULL};
    static const char *const of_absent[] = {NULL};
    static const char *const *const verbs[] = {[KIND_TOLD] = of_told,
                                               [KIND_WRITTEN] = of_written,
                                               [KIND_ASKED] = of_asked,
                                               [KIND_ABSENT] = of_absent};
    return verbs[k->nature];
}

const char *kind_api_version(const struct kube_kind *k, char out[API_VERSION_MAX]) {
    snprintf(out, API_VERSION_MAX, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
    return out;
}

const char *kind_resource_name(const struct kube_kind *k, char out[RESOURCE_NAME_MAX]) {
    snprintf(out, RESOURCE_NAME_MAX, "%s%s%s", k->plural, *k->group ? "." : "", k->group);
    return out;
}
