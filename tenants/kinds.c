/* SPDX-License-Identifier: GPL-3.0-or-later
 * kinds.c - the rows of every kind this edge understands: upstream's field names, and which of
 * them mean something here.
 *
 * A field that is listed as tolerated is upstream's and without effect; one that is listed nowhere
 * is a warning.
 */
#include "tenants/objects.h"
#include <stddef.h>

#define AT(type, member) offsetof(struct type, member)
#define END_OF_ROWS \
    { .name = NULL }
#define SCHEMA(what, rest) \
    static const struct schema what##_schema = {what##_rows, sizeof(struct what), rest}

static const struct field owner_ref_rows[] = {
    {.name = "kind", .type = FIELD_TEXT, .offset = AT(owner_ref, kind), .required = true},
    {.name = "name", .type = FIELD_TEXT, .offset = AT(owner_ref, name), .required = true},
    END_OF_ROWS,
};
SCHEMA(owner_ref, "apiVersion uid controller blockOwnerDeletion");

static const struct field metadata_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(metadata, name), .required = true},
    {.name = "namespace", .type = FIELD_TEXT, .offset = AT(metadata, namespace)},
    {.name = "generateName", .type = FIELD_TEXT, .offset = AT(metadata, generate_name)},
    {.name = "deletionTimestamp", .type = FIELD_TEXT, .offset = AT(metadata, deletion)},
    {.name = "labels", .type = FIELD_DICT, .offset = AT(metadata, labels)},
    {.name = "annotations", .type = FIELD_DICT, .offset = AT(metadata, annotations)},
    {.name = "ownerReferences",
     .type = FIELD_OBJECTS,
     .offset = AT(metadata, owners),
     .schema = &owner_ref_schema},
    END_OF_ROWS,
};
SCHEMA(metadata,
       "uid resourceVersion generation creationTimestamp deletionGracePeriodSeconds finalizers "
       "managedFields selfLink");

#define HEAD(what)                                                                               \
    {.name = "apiVersion",                                                                       \
     .type = FIELD_TEXT,                                                                         \
     .offset = AT(what, head.api_version),                                                       \
     .required = true},                                                                          \
        {.name = "kind", .type = FIELD_TEXT, .offset = AT(what, head.kind), .required = true}, { \
        .name = "metadata", .type = FIELD_OBJECT, .offset = AT(what, head.metadata),             \
        .schema = &metadata_schema, .required = true                                             \
    }

/* ---- Tenant ---- */

static const struct field network_spec_rows[] = {
    {.name = "allow", .type = FIELD_TEXTS, .offset = AT(network_spec, allow)},
    {.name = "device", .type = FIELD_TEXT, .offset = AT(network_spec, device)},
    {.name = "netns", .type = FIELD_TEXT, .offset = AT(network_spec, netns)},
    {.name = "dns", .type = FIELD_TEXT, .offset = AT(network_spec, dns)},
    END_OF_ROWS,
};
SCHEMA(network_spec, NULL);

enum { AT_MOST = 1000000000 };
static const struct field limits_spec_rows[] = {
    {.name = "connections",
     .type = FIELD_INT,
     .offset = AT(limits_spec, connections),
     .min = 1,
     .max = AT_MOST},
    {.name = "newConnectionsPerSecond",
     .type = FIELD_INT,
     .offset = AT(limits_spec, new_connections),
     .min = 1,
     .max = AT_MOST},
    {.name = "requestsPerSecond",
     .type = FIELD_INT,
     .offset = AT(limits_spec, requests),
     .min = 1,
     .max = AT_MOST},
    {.name = "bandwidth", .type = FIELD_RATE, .offset = AT(limits_spec, bandwidth)},
    {.name = "requestSize", .type = FIELD_SIZE, .offset = AT(limits_spec, request_size)},
    END_OF_ROWS,
};
SCHEMA(limits_spec, NULL);

static const struct field tls_spec_rows[] = {
    {.name = "minVersion", .type = FIELD_TEXT, .offset = AT(tls_spec, min_version)},
    END_OF_ROWS,
};
SCHEMA(tls_spec, NULL);

static const struct field tenant_spec_rows[] = {
    {.name = "domain", .type = FIELD_TEXT, .offset = AT(tenant_spec, domain)},
    {.name = "domains", .type = FIELD_TEXTS, .offset = AT(tenant_spec, domains)},
    {.name = "rawPorts",
     .type = FIELD_INT,
     .offset = AT(tenant_spec, raw_ports),
     .max = 65535,
     .fallback = -1},
    {.name = "network",
     .type = FIELD_OBJECT,
     .offset = AT(tenant_spec, network),
     .schema = &network_spec_schema},
    {.name = "limits",
     .type = FIELD_OBJECT,
     .offset = AT(tenant_spec, limits),
     .schema = &limits_spec_schema},
    {.name = "tls",
     .type = FIELD_OBJECT,
     .offset = AT(tenant_spec, tls),
     .schema = &tls_spec_schema},
    END_OF_ROWS,
};
SCHEMA(tenant_spec, NULL);

static const struct field tenant_object_rows[] = {
    HEAD(tenant_object),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .offset = AT(tenant_object, spec),
     .schema = &tenant_spec_schema,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(tenant_object, "status");

/* ---- Ingress ---- */

static const struct field service_ref_port_rows[] = {
    {.name = "number",
     .type = FIELD_INT,
     .offset = AT(service_ref_port, number),
     .min = 1,
     .max = 65535},
    {.name = "name", .type = FIELD_TEXT, .offset = AT(service_ref_port, name)},
    END_OF_ROWS,
};
SCHEMA(service_ref_port, NULL);

static const struct field service_ref_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(service_ref, name), .required = true},
    {.name = "port",
     .type = FIELD_OBJECT,
     .offset = AT(service_ref, port),
     .schema = &service_ref_port_schema,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(service_ref, NULL);

static const struct field backend_resource_rows[] = {END_OF_ROWS};
SCHEMA(backend_resource, "*");

static const struct field backend_ref_rows[] = {
    {.name = "service",
     .type = FIELD_OBJECT,
     .offset = AT(backend_ref, service),
     .schema = &service_ref_schema},
    {.name = "resource",
     .type = FIELD_OBJECT,
     .offset = AT(backend_ref, resource),
     .schema = &backend_resource_schema},
    END_OF_ROWS,
};
SCHEMA(backend_ref, NULL);

static const struct field ingress_path_rows[] = {
    {.name = "path", .type = FIELD_TEXT, .offset = AT(ingress_path, path)},
    {.name = "pathType",
     .type = FIELD_TEXT,
     .offset = AT(ingress_path, type),
     .required = true,
     .choices = "Exact Prefix ImplementationSpecific"},
    {.name = "backend",
     .type = FIELD_OBJECT,
     .offset = AT(ingress_path, backend),
     .schema = &backend_ref_schema,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(ingress_path, NULL);

static const struct field ingress_http_rows[] = {
    {.name = "paths",
     .type = FIELD_OBJECTS,
     .offset = AT(ingress_http, paths),
     .schema = &ingress_path_schema,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(ingress_http, NULL);

static const struct field ingress_rule_rows[] = {
    {.name = "host", .type = FIELD_TEXT, .offset = AT(ingress_rule, host)},
    {.name = "http",
     .type = FIELD_OBJECT,
     .offset = AT(ingress_rule, http),
     .schema = &ingress_http_schema},
    END_OF_ROWS,
};
SCHEMA(ingress_rule, NULL);

static const struct field ingress_tls_rows[] = {
    {.name = "hosts", .type = FIELD_TEXTS, .offset = AT(ingress_tls, hosts)},
    {.name = "secretName", .type = FIELD_TEXT, .offset = AT(ingress_tls, secret)},
    END_OF_ROWS,
};
SCHEMA(ingress_tls, NULL);

static const struct field ingress_spec_rows[] = {
    {.name = "defaultBackend",
     .type = FIELD_OBJECT,
     .offset = AT(ingress_spec, fallback),
     .schema = &backend_ref_schema},
    {.name = "tls",
     .type = FIELD_OBJECTS,
     .offset = AT(ingress_spec, tls),
     .schema = &ingress_tls_schema},
    {.name = "rules",
     .type = FIELD_OBJECTS,
     .offset = AT(ingress_spec, rules),
     .schema = &ingress_rule_schema},
    END_OF_ROWS,
};
SCHEMA(ingress_spec, "ingressClassName");

static const struct field ingress_object_rows[] = {
    HEAD(ingress_object),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .offset = AT(ingress_object, spec),
     .schema = &ingress_spec_schema},
    END_OF_ROWS,
};
SCHEMA(ingress_object, "status");

/* ---- Service ---- */

static const struct field service_port_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(service_port, name)},
    {.name = "protocol",
     .type = FIELD_TEXT,
     .offset = AT(service_port, protocol),
     .choices = "TCP UDP SCTP"},
    {.name = "appProtocol", .type = FIELD_TEXT, .offset = AT(service_port, app_protocol)},
    {.name = "port",
     .type = FIELD_INT,
     .offset = AT(service_port, port),
     .min = 1,
     .max = 65535,
     .required = true},
    {.name = "targetPort", .type = FIELD_PORT_REF, .offset = AT(service_port, target)},
    {.name = "nodePort",
     .type = FIELD_INT,
     .offset = AT(service_port, node_port),
     .min = 0,
     .max = 65535},
    END_OF_ROWS,
};
SCHEMA(service_port, NULL);

static const struct field service_spec_rows[] = {
    {.name = "type",
     .type = FIELD_TEXT,
     .offset = AT(service_spec, type),
     .choices = "ClusterIP NodePort LoadBalancer ExternalName"},
    {.name = "externalName", .type = FIELD_TEXT, .offset = AT(service_spec, external_name)},
    {.name = "selector", .type = FIELD_DICT, .offset = AT(service_spec, selector)},
    {.name = "ports",
     .type = FIELD_OBJECTS,
     .offset = AT(service_spec, ports),
     .schema = &service_port_schema},
    {.name = "publishNotReadyAddresses",
     .type = FIELD_BOOL,
     .offset = AT(service_spec, publish_not_ready)},
    END_OF_ROWS,
};
SCHEMA(service_spec,
       "clusterIP clusterIPs externalIPs externalTrafficPolicy healthCheckNodePort "
       "internalTrafficPolicy "
       "ipFamilies ipFamilyPolicy loadBalancerClass loadBalancerIP loadBalancerSourceRanges "
       "sessionAffinity sessionAffinityConfig allocateLoadBalancerNodePorts trafficDistribution");

static const struct field service_object_rows[] = {
    HEAD(service_object),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .offset = AT(service_object, spec),
     .schema = &service_spec_schema,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(service_object, "status");

/* ---- Pod ---- */

static const struct field container_port_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(container_port, name)},
    {.name = "protocol",
     .type = FIELD_TEXT,
     .offset = AT(container_port, protocol),
     .choices = "TCP UDP SCTP"},
    {.name = "containerPort",
     .type = FIELD_INT,
     .offset = AT(container_port, port),
     .min = 1,
     .max = 65535,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(container_port, "hostIP hostPort");

static const struct field container_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(container, name), .required = true},
    {.name = "ports",
     .type = FIELD_OBJECTS,
     .offset = AT(container, ports),
     .schema = &container_port_schema},
    END_OF_ROWS,
};
SCHEMA(
    container,
    "args command env envFrom image imagePullPolicy lifecycle livenessProbe readinessProbe "
    "resizePolicy "
    "resources restartPolicy securityContext startupProbe stdin stdinOnce terminationMessagePath "
    "terminationMessagePolicy tty volumeDevices volumeMounts workingDir");

static const struct field pod_spec_rows[] = {
    {.name = "containers",
     .type = FIELD_OBJECTS,
     .offset = AT(pod_spec, containers),
     .schema = &container_schema},
    END_OF_ROWS,
};
SCHEMA(
    pod_spec,
    "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy "
    "enableServiceLinks "
    "ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname "
    "imagePullSecrets "
    "initContainers nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName "
    "readinessGates resourceClaims resources restartPolicy runtimeClassName schedulerName "
    "schedulingGates securityContext serviceAccount serviceAccountName setHostnameAsFQDN "
    "shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations "
    "topologySpreadConstraints volumes");

static const struct field condition_rows[] = {
    {.name = "type", .type = FIELD_TEXT, .offset = AT(condition, type), .required = true},
    {.name = "status",
     .type = FIELD_TEXT,
     .offset = AT(condition, status),
     .required = true,
     .choices = "True False Unknown"},
    END_OF_ROWS,
};
SCHEMA(condition, "lastProbeTime lastTransitionTime message reason observedGeneration");

static const struct field pod_ip_rows[] = {
    {.name = "ip", .type = FIELD_TEXT, .offset = AT(pod_ip, ip), .required = true},
    END_OF_ROWS,
};
SCHEMA(pod_ip, NULL);

static const struct field pod_status_rows[] = {
    {.name = "podIP", .type = FIELD_TEXT, .offset = AT(pod_status, ip)},
    {.name = "podIPs",
     .type = FIELD_OBJECTS,
     .offset = AT(pod_status, ips),
     .schema = &pod_ip_schema},
    {.name = "phase",
     .type = FIELD_TEXT,
     .offset = AT(pod_status, phase),
     .choices = "Pending Running Succeeded Failed Unknown"},
    {.name = "conditions",
     .type = FIELD_OBJECTS,
     .offset = AT(pod_status, conditions),
     .schema = &condition_schema},
    END_OF_ROWS,
};
SCHEMA(
    pod_status,
    "containerStatuses ephemeralContainerStatuses hostIP hostIPs initContainerStatuses message "
    "nominatedNodeName observedGeneration qosClass reason resize resourceClaimStatuses startTime");

static const struct field pod_object_rows[] = {
    HEAD(pod_object),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .offset = AT(pod_object, spec),
     .schema = &pod_spec_schema},
    {.name = "status",
     .type = FIELD_OBJECT,
     .offset = AT(pod_object, status),
     .schema = &pod_status_schema},
    END_OF_ROWS,
};
SCHEMA(pod_object, NULL);

/* ---- Endpoints, EndpointSlice ---- */

static const struct field target_ref_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(target_ref, name)},
    END_OF_ROWS,
};
SCHEMA(target_ref, "apiVersion fieldPath kind namespace resourceVersion uid");

static const struct field subset_address_rows[] = {
    {.name = "ip", .type = FIELD_TEXT, .offset = AT(subset_address, ip), .required = true},
    {.name = "targetRef",
     .type = FIELD_OBJECT,
     .offset = AT(subset_address, target),
     .schema = &target_ref_schema},
    END_OF_ROWS,
};
SCHEMA(subset_address, "hostname nodeName");

static const struct field endpoint_port_rows[] = {
    {.name = "name", .type = FIELD_TEXT, .offset = AT(endpoint_port, name)},
    {.name = "protocol",
     .type = FIELD_TEXT,
     .offset = AT(endpoint_port, protocol),
     .choices = "TCP UDP SCTP"},
    {.name = "appProtocol", .type = FIELD_TEXT, .offset = AT(endpoint_port, app_protocol)},
    {.name = "port",
     .type = FIELD_INT,
     .offset = AT(endpoint_port, port),
     .min = 1,
     .max = 65535,
     .required = true},
    END_OF_ROWS,
};
SCHEMA(endpoint_port, NULL);

static const struct field subset_rows[] = {
    {.name = "addresses",
     .type = FIELD_OBJECTS,
     .offset = AT(subset, addresses),
     .schema = &subset_address_schema},
    {.name = "notReadyAddresses",
     .type = FIELD_OBJECTS,
     .offset = AT(subset, not_ready),
     .schema = &subset_address_schema},
    {.name = "ports",
     .type = FIELD_OBJECTS,
     .offset = AT(subset, ports),
     .schema = &endpoint_port_schema},
    END_OF_ROWS,
};
SCHEMA(subset, NULL);

static const struct field endpoints_object_rows[] = {
    HEAD(endpoints_object),
    {.name = "subsets",
     .type = FIELD_OBJECTS,
     .offset = AT(endpoints_object, subsets),
     .schema = &subset_schema},
    END_OF_ROWS,
};
SCHEMA(endpoints_object, NULL);

static const struct field slice_conditions_rows[] = {
    {.name = "ready", .type = FIELD_BOOL, .offset = AT(slice_conditions, ready)},
    END_OF_ROWS,
};
SCHEMA(slice_conditions, "serving terminating");

static const struct field slice_endpoint_rows[] = {
    {.name = "addresses",
     .type = FIELD_TEXTS,
     .offset = AT(slice_endpoint, addresses),
     .required = true},
    {.name = "conditions",
     .type = FIELD_OBJECT,
     .offset = AT(slice_endpoint, conditions),
     .schema = &slice_conditions_schema},
    {.name = "targetRef",
     .type = FIELD_OBJECT,
     .offset = AT(slice_endpoint, target),
     .schema = &target_ref_schema},
    END_OF_ROWS,
};
SCHEMA(slice_endpoint, "deprecatedTopology hints hostname nodeName zone");

static const struct field slice_object_rows[] = {
    HEAD(slice_object),
    {.name = "addressType",
     .type = FIELD_TEXT,
     .offset = AT(slice_object, address_type),
     .required = true,
     .choices = "IPv4 IPv6 FQDN"},
    {.name = "endpoints",
     .type = FIELD_OBJECTS,
     .offset = AT(slice_object, endpoints),
     .schema = &slice_endpoint_schema},
    {.name = "ports",
     .type = FIELD_OBJECTS,
     .offset = AT(slice_object, ports),
     .schema = &endpoint_port_schema},
    END_OF_ROWS,
};
SCHEMA(slice_object, NULL);

/* ---- Secret, ConfigMap, Image ---- */

static const struct field secret_object_rows[] = {
    HEAD(secret_object),
    {.name = "type", .type = FIELD_TEXT, .offset = AT(secret_object, type)},
    {.name = "data", .type = FIELD_DICT, .offset = AT(secret_object, data)},
    {.name = "stringData", .type = FIELD_DICT, .offset = AT(secret_object, string_data)},
    END_OF_ROWS,
};
SCHEMA(secret_object, "immutable");

static const struct field config_map_object_rows[] = {
    HEAD(config_map_object),
    {.name = "data", .type = FIELD_DICT, .offset = AT(config_map_object, data)},
    END_OF_ROWS,
};
SCHEMA(config_map_object, "immutable binaryData");

static const struct field image_spec_rows[] = {
    {.name = "ref", .type = FIELD_TEXT, .offset = AT(image_spec, ref)},
    END_OF_ROWS,
};
SCHEMA(image_spec, "*");

static const struct field image_object_rows[] = {
    HEAD(image_object),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .offset = AT(image_object, spec),
     .schema = &image_spec_schema},
    END_OF_ROWS,
};
SCHEMA(image_object, "status");

const struct kind object_kinds[] = {
    {"ringress/v1", "Tenant", &tenant_object_schema, 0},
    {"networking.k8s.io/v1", "Ingress", &ingress_object_schema, AT(model, ingresses)},
    {"v1", "Service", &service_object_schema, AT(model, services)},
    {"v1", "Pod", &pod_object_schema, AT(model, pods)},
    {"v1", "Endpoints", &endpoints_object_schema, AT(model, endpoints)},
    {"discovery.k8s.io/v1", "EndpointSlice", &slice_object_schema, AT(model, slices)},
    {"v1", "Secret", &secret_object_schema, AT(model, secrets)},
    {"v1", "ConfigMap", &config_map_object_schema, AT(model, config_maps)},
    {"v1", "Image", &image_object_schema, AT(model, images)},
    {NULL, NULL, NULL, 0},
};
