/* SPDX-License-Identifier: GPL-3.0-or-later
 * shape.c - see shape.h. The rows follow upstream's types of v1.32; what is deep and has nothing to merge is PART_ANY.
 */
#include "modules/kube/shape.h"
#include <stdlib.h>
#include <string.h>

#define TEXT(n) \
    { .name = n, .type = PART_TEXT }
#define INT(n) \
    { .name = n, .type = PART_INT }
#define BOOL(n) \
    { .name = n, .type = PART_BOOL }
#define TIME(n) \
    { .name = n, .type = PART_TIME }
#define ANY(n) \
    { .name = n, .type = PART_ANY }
#define ANIES(n) \
    { .name = n, .type = PART_ANY, .form = PART_LIST }
#define TEXTS(n) \
    { .name = n, .type = PART_TEXT, .form = PART_LIST }
#define DICT(n) \
    { .name = n, .type = PART_TEXT, .form = PART_MAP }
#define BLOBS(n) \
    { .name = n, .type = PART_BYTES, .form = PART_MAP }
#define OBJECT(n, s) \
    { .name = n, .type = PART_OBJECT, .of = &s }
#define OBJECTS(n, s) \
    { .name = n, .type = PART_OBJECT, .form = PART_LIST, .of = &s }
#define KEYED(n, s, k)                                                                     \
    {                                                                                      \
        .name = n, .type = PART_OBJECT, .form = PART_KEYED, .of = &s, .key = { {k, NULL} } \
    }
#define KEYED_ANY(n, k)                                                       \
    {                                                                         \
        .name = n, .type = PART_ANY, .form = PART_KEYED, .key = { {k, NULL} } \
    }
#define PORTS(n, s, k)                                                         \
    {                                                                          \
        .name = n, .type = PART_OBJECT, .form = PART_KEYED, .of = &s, .key = { \
            {k, NULL},                                                         \
            {"protocol", "TCP"}                                                \
        }                                                                      \
    }
#define MUST(type_, n) \
    { .name = n, .type = type_, .required = true }
#define HEAD TEXT("apiVersion"), TEXT("kind"), OBJECT("metadata", metadata)
#define SHAPE(id, n, ...)                                                  \
    static const struct part id##_parts[] = {__VA_ARGS__, {.name = NULL}}; \
    static const struct shape id = {n, id##_parts}

SHAPE(owner, "OwnerReference", MUST(PART_TEXT, "apiVersion"), MUST(PART_TEXT, "kind"),
      MUST(PART_TEXT, "name"), MUST(PART_TEXT, "uid"), BOOL("controller"),
      BOOL("blockOwnerDeletion"));
SHAPE(metadata, "ObjectMeta", TEXT("name"), TEXT("generateName"), TEXT("namespace"),
      TEXT("selfLink"), TEXT("uid"), TEXT("resourceVersion"), INT("generation"),
      TIME("creationTimestamp"), TIME("deletionTimestamp"), INT("deletionGracePeriodSeconds"),
      DICT("labels"), DICT("annotations"), KEYED("ownerReferences", owner, "uid"),
      {.name = "finalizers", .type = PART_TEXT, .form = PART_SET}, ANIES("managedFields"));
SHAPE(condition, "Condition", MUST(PART_TEXT, "type"), MUST(PART_TEXT, "status"),
      INT("observedGeneration"), TIME("lastTransitionTime"), TIME("lastProbeTime"), TEXT("reason"),
      TEXT("message"));
SHAPE(reference, "ObjectReference", TEXT("kind"), TEXT("namespace"), TEXT("name"), TEXT("uid"),
      TEXT("apiVersion"), TEXT("resourceVersion"), TEXT("fieldPath"));

/* ---- networking.k8s.io/v1 ---- */

SHAPE(backend_port, "ServiceBackendPort", TEXT("name"), INT("number"));
SHAPE(service_backend, "IngressServiceBackend", MUST(PART_TEXT, "name"),
      {.name = "port", .type = PART_OBJECT, .of = &backend_port, .atomic = true});
SHAPE(local_reference, "TypedLocalObjectReference", TEXT("apiGroup"), MUST(PART_TEXT, "kind"),
      MUST(PART_TEXT, "name"));
SHAPE(backend, "IngressBackend", OBJECT("service", service_backend),
      {.name = "resource", .type = PART_OBJECT, .of = &local_reference, .atomic = true});
SHAPE(path, "HTTPIngressPath", TEXT("path"), MUST(PART_TEXT, "pathType"),
      {.name = "backend", .type = PART_OBJECT, .of = &backend, .required = true});
SHAPE(http, "HTTPIngressRuleValue",
      {.name = "paths", .type = PART_OBJECT, .form = PART_LIST, .of = &path, .required = true});
SHAPE(rule, "IngressRule", TEXT("host"), OBJECT("http", http));
SHAPE(tls, "IngressTLS", TEXTS("hosts"), TEXT("secretName"));
SHAPE(ingress_spec, "IngressSpec", TEXT("ingressClassName"), OBJECT("defaultBackend", backend),
      OBJECTS("tls", tls), OBJECTS("rules", rule));
SHAPE(port_status, "PortStatus", MUST(PART_INT, "port"), MUST(PART_TEXT, "protocol"),
      TEXT("error"));
SHAPE(balancer_ingress, "LoadBalancerIngress", TEXT("ip"), TEXT("hostname"), TEXT("ipMode"),
      OBJECTS("ports", port_status));
SHAPE(balancer, "LoadBalancerStatus", OBJECTS("ingress", balancer_ingress));
SHAPE(ingress_status, "IngressStatus", OBJECT("loadBalancer", balancer));
SHAPE(ingress, "Ingress", HEAD, OBJECT("spec", ingress_spec), OBJECT("status", ingress_status));

SHAPE(class_parameters, "IngressClassParametersReference", TEXT("apiGroup"),
      MUST(PART_TEXT, "kind"), MUST(PART_TEXT, "name"), TEXT("scope"), TEXT("namespace"));
SHAPE(class_spec, "IngressClassSpec", TEXT("controller"), OBJECT("parameters", class_parameters));
SHAPE(class, "IngressClass", HEAD, OBJECT("spec", class_spec));

/* ---- v1 Service ---- */

SHAPE(service_port, "ServicePort", TEXT("name"), TEXT("protocol"), TEXT("appProtocol"),
      MUST(PART_INT, "port"), {.name = "targetPort", .type = PART_PORT}, INT("nodePort"));
SHAPE(client_ip, "ClientIPConfig", INT("timeoutSeconds"));
SHAPE(affinity, "SessionAffinityConfig", OBJECT("clientIP", client_ip));
SHAPE(service_spec, "ServiceSpec", PORTS("ports", service_port, "port"),
      {.name = "selector", .type = PART_TEXT, .form = PART_MAP, .atomic = true}, TEXT("clusterIP"),
      TEXTS("clusterIPs"), TEXT("type"), TEXTS("externalIPs"), TEXT("sessionAffinity"),
      TEXT("loadBalancerIP"), TEXTS("loadBalancerSourceRanges"), TEXT("externalName"),
      TEXT("externalTrafficPolicy"), INT("healthCheckNodePort"), BOOL("publishNotReadyAddresses"),
      OBJECT("sessionAffinityConfig", affinity), TEXTS("ipFamilies"), TEXT("ipFamilyPolicy"),
      BOOL("allocateLoadBalancerNodePorts"), TEXT("loadBalancerClass"),
      TEXT("internalTrafficPolicy"), TEXT("trafficDistribution"));
SHAPE(service_status, "ServiceStatus", OBJECT("loadBalancer", balancer),
      KEYED("conditions", condition, "type"));
SHAPE(service, "Service", HEAD, OBJECT("spec", service_spec), OBJECT("status", service_status));

/* ---- v1 Pod ---- */

SHAPE(container_port, "ContainerPort", TEXT("name"), INT("hostPort"),
      MUST(PART_INT, "containerPort"), TEXT("protocol"), TEXT("hostIP"));
SHAPE(env, "EnvVar", MUST(PART_TEXT, "name"), TEXT("value"), ANY("valueFrom"));
SHAPE(mount, "VolumeMount", MUST(PART_TEXT, "name"), BOOL("readOnly"), TEXT("recursiveReadOnly"),
      MUST(PART_TEXT, "mountPath"), TEXT("subPath"), TEXT("mountPropagation"), TEXT("subPathExpr"));
SHAPE(device, "VolumeDevice", MUST(PART_TEXT, "name"), MUST(PART_TEXT, "devicePath"));
#define CONTAINER                                                                                  \
    MUST(PART_TEXT, "name"), TEXT("image"), TEXTS("command"), TEXTS("args"), TEXT("workingDir"),   \
        PORTS("ports", container_port, "containerPort"), ANIES("envFrom"),                         \
        KEYED("env", env, "name"), ANY("resources"), ANIES("resizePolicy"), TEXT("restartPolicy"), \
        ANIES("restartPolicyRules"), KEYED("volumeMounts", mount, "mountPath"),                    \
        KEYED("volumeDevices", device, "devicePath"), ANY("livenessProbe"), ANY("readinessProbe"), \
        ANY("startupProbe"), ANY("lifecycle"), TEXT("terminationMessagePath"),                     \
        TEXT("terminationMessagePolicy"), TEXT("imagePullPolicy"), ANY("securityContext"),         \
        BOOL("stdin"), BOOL("stdinOnce"), BOOL("tty")
SHAPE(container, "Container", CONTAINER);
SHAPE(ephemeral, "EphemeralContainer", CONTAINER, TEXT("targetContainerName"));
SHAPE(alias, "HostAlias", MUST(PART_TEXT, "ip"), TEXTS("hostnames"));
SHAPE(named, "LocalObjectReference", TEXT("name"));
SHAPE(pod_spec, "PodSpec", KEYED_ANY("volumes", "name"), KEYED("initContainers", container, "name"),
      {.name = "containers",
       .type = PART_OBJECT,
       .form = PART_KEYED,
       .of = &container,
       .key = {{"name", NULL}},
       .required = true},
      KEYED("ephemeralContainers", ephemeral, "name"), TEXT("restartPolicy"),
      INT("terminationGracePeriodSeconds"), INT("activeDeadlineSeconds"), TEXT("dnsPolicy"),
      {.name = "nodeSelector", .type = PART_TEXT, .form = PART_MAP, .atomic = true},
      TEXT("serviceAccountName"), TEXT("serviceAccount"), BOOL("automountServiceAccountToken"),
      TEXT("nodeName"), BOOL("hostNetwork"), BOOL("hostPID"), BOOL("hostIPC"),
      BOOL("shareProcessNamespace"), ANY("securityContext"),
      KEYED("imagePullSecrets", named, "name"), TEXT("hostname"), TEXT("subdomain"),
      ANY("affinity"), TEXT("schedulerName"), ANIES("tolerations"),
      KEYED("hostAliases", alias, "ip"), TEXT("priorityClassName"), INT("priority"),
      ANY("dnsConfig"), ANIES("readinessGates"), TEXT("runtimeClassName"),
      BOOL("enableServiceLinks"), TEXT("preemptionPolicy"), ANY("overhead"),
      {.name = "topologySpreadConstraints",
       .type = PART_ANY,
       .form = PART_KEYED,
       .key = {{"topologyKey", NULL}, {"whenUnsatisfiable", NULL}}},
      BOOL("setHostnameAsFQDN"), ANY("os"), BOOL("hostUsers"), KEYED_ANY("schedulingGates", "name"),
      KEYED_ANY("resourceClaims", "name"), ANY("resources"));
SHAPE(ip, "PodIP", TEXT("ip"));
SHAPE(pod_status, "PodStatus", INT("observedGeneration"), TEXT("phase"),
      KEYED("conditions", condition, "type"), TEXT("message"), TEXT("reason"),
      TEXT("nominatedNodeName"), TEXT("hostIP"), OBJECTS("hostIPs", ip), TEXT("podIP"),
      KEYED("podIPs", ip, "ip"), TIME("startTime"), ANIES("initContainerStatuses"),
      ANIES("containerStatuses"), TEXT("qosClass"), ANIES("ephemeralContainerStatuses"),
      TEXT("resize"), KEYED_ANY("resourceClaimStatuses", "name"));
SHAPE(pod, "Pod", HEAD, OBJECT("spec", pod_spec), OBJECT("status", pod_status));

/* ---- endpoints, of both kinds ---- */

SHAPE(endpoint_port, "EndpointPort", TEXT("name"), TEXT("protocol"), INT("port"),
      TEXT("appProtocol"));
SHAPE(endpoint_address, "EndpointAddress", MUST(PART_TEXT, "ip"), TEXT("hostname"),
      TEXT("nodeName"),
      {.name = "targetRef", .type = PART_OBJECT, .of = &reference, .atomic = true});
SHAPE(subset, "EndpointSubset", OBJECTS("addresses", endpoint_address),
      OBJECTS("notReadyAddresses", endpoint_address), OBJECTS("ports", endpoint_port));
SHAPE(endpoints, "Endpoints", HEAD, OBJECTS("subsets", subset));

SHAPE(endpoint_conditions, "EndpointConditions", BOOL("ready"), BOOL("serving"),
      BOOL("terminating"));
SHAPE(endpoint, "Endpoint",
      {.name = "addresses", .type = PART_TEXT, .form = PART_LIST, .required = true},
      OBJECT("conditions", endpoint_conditions), TEXT("hostname"), OBJECT("targetRef", reference),
      DICT("deprecatedTopology"), TEXT("nodeName"), TEXT("zone"), ANY("hints"));
SHAPE(slice, "EndpointSlice", HEAD, MUST(PART_TEXT, "addressType"), OBJECTS("endpoints", endpoint),
      OBJECTS("ports", endpoint_port));

/* ---- the rest ---- */

SHAPE(secret, "Secret", HEAD, BOOL("immutable"), BLOBS("data"), DICT("stringData"), TEXT("type"));
SHAPE(config_map, "ConfigMap", HEAD, BOOL("immutable"), DICT("data"), BLOBS("binaryData"));
SHAPE(image_spec, "ImageSpec", TEXT("ref"));
SHAPE(image, "Image", HEAD, OBJECT("spec", image_spec), ANY("status"));
SHAPE(namespace_spec, "NamespaceSpec", TEXTS("finalizers"));
SHAPE(namespace_status, "NamespaceStatus", TEXT("phase"), KEYED("conditions", condition, "type"));
SHAPE(namespace, "Namespace", HEAD, OBJECT("spec", namespace_spec),
      OBJECT("status", namespace_status));
SHAPE(event_source, "EventSource", TEXT("component"), TEXT("host"));
SHAPE(event_series, "EventSeries", INT("count"), TIME("lastObservedTime"));
SHAPE(event, "Event", HEAD, OBJECT("involvedObject", reference), TEXT("reason"), TEXT("message"),
      OBJECT("source", event_source), TIME("firstTimestamp"), TIME("lastTimestamp"), INT("count"),
      TEXT("type"), TIME("eventTime"), OBJECT("series", event_series), TEXT("action"),
      OBJECT("related", reference), TEXT("reportingComponent"), TEXT("reportingInstance"));

/* ---- questions ---- */

SHAPE(resource_attributes, "ResourceAttributes", TEXT("namespace"), TEXT("verb"), TEXT("group"),
      TEXT("version"), TEXT("resource"), TEXT("subresource"), TEXT("name"), ANY("fieldSelector"),
      ANY("labelSelector"));
SHAPE(path_attributes, "NonResourceAttributes", TEXT("path"), TEXT("verb"));
SHAPE(access_spec, "SelfSubjectAccessReviewSpec", OBJECT("resourceAttributes", resource_attributes),
      OBJECT("nonResourceAttributes", path_attributes));
SHAPE(access_status, "SubjectAccessReviewStatus", MUST(PART_BOOL, "allowed"), BOOL("denied"),
      TEXT("reason"), TEXT("evaluationError"));
SHAPE(access_review, "SelfSubjectAccessReview", HEAD, OBJECT("spec", access_spec),
      OBJECT("status", access_status));
SHAPE(rules_spec, "SelfSubjectRulesReviewSpec", TEXT("namespace"));
SHAPE(resource_rule, "ResourceRule", TEXTS("verbs"), TEXTS("apiGroups"), TEXTS("resources"),
      TEXTS("resourceNames"));
SHAPE(path_rule, "NonResourceRule", TEXTS("verbs"), TEXTS("nonResourceURLs"));
SHAPE(rules_status, "SubjectRulesReviewStatus", OBJECTS("resourceRules", resource_rule),
      OBJECTS("nonResourceRules", path_rule), BOOL("incomplete"), TEXT("evaluationError"));
SHAPE(rules_review, "SelfSubjectRulesReview", HEAD, OBJECT("spec", rules_spec),
      OBJECT("status", rules_status));
SHAPE(user_info, "UserInfo", TEXT("username"), TEXT("uid"), TEXTS("groups"), ANY("extra"));
SHAPE(self_status, "SelfSubjectReviewStatus", OBJECT("userInfo", user_info));
SHAPE(self_review, "SelfSubjectReview", HEAD, OBJECT("status", self_status));

const struct shape_kind shape_kinds[] = {
    {"networking.k8s.io/v1", "Ingress", &ingress},
    {"networking.k8s.io/v1", "IngressClass", &class},
    {"v1", "Service", &service},
    {"v1", "Pod", &pod},
    {"v1", "Endpoints", &endpoints},
    {"discovery.k8s.io/v1", "EndpointSlice", &slice},
    {"v1", "Secret", &secret},
    {"v1", "ConfigMap", &config_map},
    {"v1", "Image", &image},
    {"v1", "Namespace", &namespace},
    {"v1", "Event", &event},
    {"authentication.k8s.io/v1", "SelfSubjectReview", &self_review},
    {"authorization.k8s.io/v1", "SelfSubjectAccessReview", &access_review},
    {"authorization.k8s.io/v1", "SelfSubjectRulesReview", &rules_review},
    {NULL, NULL, NULL},
};

const struct shape *shape_find(const char *api_version, const char *kind) {
    for (const struct shape_kind *k = shape_kinds; k->kind; k++)
        if (!strcmp(k->kind, kind) && !strcmp(k->api_version, api_version))
            return k->shape;
    return NULL;
}

const struct part *shape_part(const struct shape *shape, const char *name) {
    for (const struct part *p = shape ? shape->part : NULL; p && p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

const struct shape *part_shape(const struct part *part) {
    return part && part->type == PART_OBJECT ? part->of : NULL;
}

size_t part_key_count(const struct part *part) {
    size_t count = 0;
    while (count < PART_KEYS_MAX && part->key[count].name)
        count++;
    return count;
}

/* The value of one key of an item, new; NULL: it has none. */
static json_t *item_key(const struct part_key *key, const json_t *item) {
    json_t *value = json_object_get(item, key->name);
    if (!value || json_is_null(value))
        return key->fallback ? json_string(key->fallback) : NULL;
    return json_is_object(value) || json_is_array(value) ? NULL : json_incref(value);
}

json_t *part_item_keys(const struct part *part, const json_t *item) {
    json_t *keys = json_object();
    for (size_t i = 0; i < part_key_count(part); i++) {
        json_t *value = item_key(&part->key[i], item);
        if (value)
            json_object_set_new(keys, part->key[i].name, value);
    }
    return keys;
}

char *part_item_key(const struct part *part, const json_t *item, size_t keys,
                    const char **ret_lacking) {
    json_t *list = json_array();
    for (size_t i = 0; i < keys && i < part_key_count(part); i++) {
        json_t *value = json_is_object(item) ? item_key(&part->key[i], item) : NULL;
        if (!value) {
            *ret_lacking = part->key[i].name;
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, value);
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}
