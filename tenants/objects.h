/* SPDX-License-Identifier: GPL-3.0-or-later
 * objects.h - what a drop says, as structs: Kubernetes objects with upstream's names, compose
 * services, and where each stands.
 *
 *   drop -> yaml -> model_parse -> struct model    (this file's last line)
 *
 * A model is text understood, nothing more: no claim has been judged, no name looked up. It lives
 * until the tenant's next valid drop; its words are its own, the YAML trees go as soon as they are read. What is not the grant may be shed
 * meanwhile: registry.c.
 */
#pragma once
#include "tenants/compiled.h"
#include "tenants/fields.h"
#include "tenants/registry.h"
#include "tenants/table.h"

struct metadata {
    struct spot at;
    struct word name, namespace, generate_name, deletion;
    struct dict labels, annotations;
    struct items owners; /* struct owner_ref */
};
struct owner_ref {
    struct spot at;
    struct word kind, name;
};
struct object { /* the head of each of the kinds below */
    struct spot at;
    struct word api_version, kind;
    struct metadata *metadata;
    const char *file, *name;
};

struct network_spec {
    struct spot at;
    struct words allow;
    struct word device, netns, dns;
    struct prefix *prefix; /* parsed `allow` */
    size_t prefix_count;
};
struct limits_spec {
    struct spot at;
    int64_t connections, new_connections, requests, bandwidth, request_size;
};
struct tls_spec { /* of a Tenant, and what the annotations of an Ingress say */
    struct spot at;
    struct word min_version;
    struct word client_ca_secret; /* of an Ingress only, as is: */
    uint8_t client;               /* enum client_certificate */
};
struct tenant_spec {
    struct spot at;
    struct word domain;
    struct words domains;
    int64_t raw_ports; /* -1: not said */
    struct network_spec *network;
    struct limits_spec *limits;
    struct tls_spec *tls;
};
struct tenant_object {
    struct object head;
    struct tenant_spec *spec;
};

struct service_ref {
    struct spot at;
    struct word name;
    struct service_ref_port {
        struct spot at;
        int64_t number;
        struct word name;
    } * port;
};
struct backend_ref {
    struct spot at;
    struct service_ref *service;
    struct backend_resource {
        struct spot at;
    } * resource;
};
struct ingress_path {
    struct spot at;
    struct word path, type;
    struct backend_ref *backend;
};
struct ingress_http {
    struct spot at;
    struct items paths; /* struct ingress_path */
};
struct ingress_rule {
    struct spot at;
    struct word host;
    struct ingress_http *http;
};
struct ingress_tls {
    struct spot at;
    struct words hosts;
    struct word secret;
};
struct ingress_spec {
    struct spot at;
    struct backend_ref *fallback;
    struct items tls;   /* struct ingress_tls */
    struct items rules; /* struct ingress_rule */
};
/* What annotations say of how a service's pods are used; NULL where an object says nothing. */
struct policy_spec {
    struct policy policy;
    struct word page[ERROR_PAGES]; /* as written: a text, or configmap:NAME/KEY */
};

struct ingress_object {
    struct object head;
    struct ingress_spec *spec;
    bool passthrough; /* ringress/tls-passthrough */
    struct policy_spec *policy;
    enum maybe redirect; /* ringress/ssl-redirect */
    bool rsa;            /* ringress/certificate-key */
    struct gate *gate;
    struct tls_spec *tls; /* NULL: it says nothing of it */
};

struct service_port {
    struct spot at;
    struct word name, protocol, app_protocol;
    int64_t port, node_port;
    struct port_ref target;
};
struct service_spec {
    struct spot at;
    struct word type, external_name;
    struct dict selector;
    struct items ports; /* struct service_port */
    enum maybe publish_not_ready;
};
struct service_object {
    struct object head;
    struct service_spec *spec;
    struct policy_spec *policy;
    struct gate *gate; /* of its raw ports */
};

struct container_port {
    struct spot at;
    struct word name, protocol;
    int64_t port;
};
struct container {
    struct spot at;
    struct word name;
    struct items ports; /* struct container_port */
};
struct condition {
    struct spot at;
    struct word type, status;
};
struct pod_ip {
    struct spot at;
    struct word ip;
};
struct pod_status {
    struct spot at;
    struct word ip, phase;
    struct items ips;        /* struct pod_ip */
    struct items conditions; /* struct condition */
};
struct pod_spec {
    struct spot at;
    struct items containers; /* struct container */
};
struct pod_object {
    struct object head;
    struct pod_spec *spec;
    struct pod_status *status;
};

struct target_ref {
    struct spot at;
    struct word name;
};
struct subset_address {
    struct spot at;
    struct word ip;
    struct target_ref *target;
};
struct endpoint_port { /* of Endpoints and of EndpointSlices */
    struct spot at;
    struct word name, protocol, app_protocol;
    int64_t port;
};
struct subset {
    struct spot at;
    struct items addresses, not_ready; /* struct subset_address */
    struct items ports;                /* struct endpoint_port */
};
struct endpoints_object {
    struct object head;
    struct items subsets; /* struct subset */
};
struct slice_conditions {
    struct spot at;
    enum maybe ready;
};
struct slice_endpoint {
    struct spot at;
    struct words addresses;
    struct slice_conditions *conditions;
    struct target_ref *target;
};
struct slice_object {
    struct object head;
    struct word address_type;
    struct items endpoints; /* struct slice_endpoint */
    struct items ports;     /* struct endpoint_port */
};

struct secret_object {
    struct object head;
    struct word type;
    struct dict data, string_data;
    const char *chain_pem, *key_pem; /* decoded; NULL when not of type kubernetes.io/tls */
    const char *ca_pem;              /* its ca.crt, decoded and judged; or NULL */
    struct certificate_facts *facts; /* or NULL, and then: */
    const char *why;                 /* it is unusable */
};
struct config_map_object {
    struct object head;
    struct dict data;
};
struct image_spec {
    struct spot at;
    struct word ref;
};
struct image_object {
    struct object head;
    struct image_spec *spec;
};

struct compose_service {
    struct spot at;
    const char *file, *name;
    struct dict labels;
    struct words addresses; /* static ones; none: the name is looked up */
};

struct list { /* of pointers to objects */
    void **item;
    size_t count;
};
struct model {
    struct stash *stash;    /* the grant's words, and the model itself */
    struct stash *rest;     /* all others'; NULL: shed */
    bool folder, entangled; /* entangled: the grant may share words with the rest */
    const char *tenant_name;
    struct tenant_object *tenant;               /* or NULL */
    const struct tenant_object *ignored_tenant; /* one outside tenant.yaml: it has an event */
    struct list ingresses, services, pods, endpoints, slices, secrets, config_maps, images, compose;
    struct table index; /* "Service/echo" -> struct object */
};

struct kind { /* kinds.c; ends with a row without name */
    const char *api_version, *name;
    const struct schema *schema;
    size_t list; /* where in the model its list is; 0: Tenant has none */
};
extern const struct kind object_kinds[];

/* NULL when there are errors. */
struct model *model_parse(const struct drop *, struct diags *);
void model_free(struct model *);
/* Of a tenant that nobody is at work on only the grant need stay: its other objects go, and come back from the same text. */
void model_shed(struct model *);
void model_refill(struct model *,
                  struct model *again); /* takes the rest of `again`, and frees it */
void *model_find(const struct model *, const char *kind, const char *name);
void model_list_add(struct stash *, struct list *, void *item);

/* compose.c: the services of one compose file. */
void compose_read(struct reader *, const struct yaml_node *, struct model *);
bool compose_is(const char *file_name);

/* policy.c: the annotations of a Service or an Ingress; NULL: it has none of them. */
struct policy_spec *policy_read(struct reader *, const struct object *);

/* checks.c: what rows cannot say of an object: names, hosts, addresses, paths. */
void object_check(struct reader *, struct object *);
void labels_check(struct reader *,
                  const struct dict *); /* warns of kr.ingress.* that route nothing */
bool object_name_good(const char *name);
/* gate.c: the annotations that limit and introduce clients; NULL when there are none. Mistakes are errors: what someone wrote
 * to keep clients out must not be taken as nothing. `http`: those that only requests can obey have a meaning here. */
struct gate *gate_read(struct reader *, const struct object *, bool http);
/* tls_rules.c: the annotations of an Ingress that ask something of TLS; NULL when there are none. Mistakes are errors. */
struct tls_spec *tls_spec_read(struct reader *, const struct object *, bool passthrough);
void tls_spec_check(struct reader *, const struct tls_spec *, const char *field);
/* gate.c: where an annotation is said; NULL: nowhere. */
const struct word *annotation_find(const struct object *, const char *key);
