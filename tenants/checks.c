/* SPDX-License-Identifier: GPL-3.0-or-later
 * checks.c - what rows cannot say of an object: names are names, addresses addresses, paths paths.
 * One function per kind.
 *
 * Only what makes the object itself wrong is an error here. What is a matter of who may have it
 * (hosts, ports, addresses
 * outside the network) is a state, found when the tenant is compiled.
 */
#include "tenants/certificate.h"
#include "tenants/hostname.h"
#include "tenants/labels.h"
#include "tenants/network.h"
#include "tenants/objects.h"
#include <string.h>

bool object_name_good(const char *name) {
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t length = strlen(name);
    return length && length <= 253 && strspn(name, inner) == length && !strchr("-_.", name[0]) &&
           !strchr("-_.", name[length - 1]);
}

/* Normalises in place. */
static void host_check(struct reader *r, const char *field, struct word *host, bool wildcard) {
    const char *why, *name = hostname_normalise(r->stash, host->text, wildcard, &why);
    if (!name)
        reader_error(r, host->at, "%s: `%s` %s", field, host->text, why);
    else
        host->text = name;
}

static void hosts_check(struct reader *r, const char *field, struct words *hosts) {
    for (size_t i = 0; i < hosts->count; i++)
        host_check(r, field, &hosts->item[i], true);
}

static void ip_check(struct reader *r, const char *field, const struct word *ip) {
    union address parsed;
    if (ip->text && *ip->text && !address_parse(ip->text, 0, &parsed))
        reader_error(r, ip->at, "%s: `%s` is not an IP address", field, ip->text);
}

/* ---- Tenant ---- */

static void network_check(struct reader *r, struct network_spec *network) {
    network->prefix = stash_array(r->stash, network->allow.count + 1, sizeof *network->prefix);
    for (size_t i = 0; i < network->allow.count; i++) {
        const struct word *text = &network->allow.item[i];
        if (prefix_parse(text->text, &network->prefix[network->prefix_count]))
            network->prefix_count++;
        else
            reader_error(
                r, text->at,
                "allow: `%s` is not a prefix like 10.11.0.0/16 (bits after it must be zero)",
                text->text);
    }
    ip_check(r, "dns", &network->dns);
    if (network->device.text && (strlen(network->device.text) > 15 || !*network->device.text ||
                                 strpbrk(network->device.text, "/ \t")))
        reader_error(r, network->device.at, "device: `%s` is not a network device's name",
                     network->device.text);
    if (network->netns.text && (!object_name_good(network->netns.text)))
        reader_error(r, network->netns.at, "netns: `%s` is not a network namespace's name",
                     network->netns.text);
}

static void tenant_check(struct reader *r, struct tenant_object *tenant) {
    struct tenant_spec *spec = tenant->spec;
    if (!spec)
        return;
    if (spec->domain.text)
        host_check(r, "domain", &spec->domain, false);
    hosts_check(r, "domains", &spec->domains);
    if (spec->network)
        network_check(r, spec->network);
    if (spec->tls)
        tls_spec_check(r, spec->tls, "minVersion");
}

/* ---- Ingress ---- */

static void path_check(struct reader *r, struct ingress_path *path) {
    static const char *const forbidden[] = {"//", "/./", "/../", "%2f", "%2F"};
    const char *text = path->path.text;
    if (!text || !*text) {
        if (path->type.text && strcmp(path->type.text, "ImplementationSpecific"))
            reader_error(r, path->at, "path is missing");
        path->path.text = "/";
        return;
    }
    if (*text != '/')
        reader_error(r, path->path.at, "path: `%s` must start with `/`", text);
    if (strlen(text) > 4096)
        reader_error(r, path->path.at, "path: longer than 4096 bytes");
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (strstr(text, forbidden[i]))
            reader_error(r, path->path.at, "path: `%s` must not hold `%s`", text, forbidden[i]);
}

static void backend_check(struct reader *r, const struct backend_ref *backend) {
    const struct service_ref *service = backend ? backend->service : NULL;
    if (!backend)
        return;
    if (!service && !backend->resource)
        reader_error(r, backend->at, "service is missing");
    if (service && service->port && !service->port->number && !service->port->name.text)
        reader_error(r, service->port->at, "port: number or name is missing");
    if (service && service->port && service->port->number && service->port->name.text)
        reader_error(r, service->port->at, "port: number or name, not both");
}

static void rule_check(struct reader *r, struct ingress_rule *rule) {
    if (rule->host.text && *rule->host.text)
        host_check(r, "host", &rule->host, true);
    struct items *paths = rule->http ? &rule->http->paths : NULL;
    for (size_t i = 0; paths && i < paths->count; i++) {
        struct ingress_path *path = (struct ingress_path *)paths->item + i;
        path_check(r, path);
        backend_check(r, path->backend);
    }
}

static enum maybe annotation_truth(struct reader *r, const struct object *object, const char *key) {
    const struct word *value = annotation_find(object, key);
    if (value && strcmp(value->text, "true") && strcmp(value->text, "false")) {
        reader_error(r, value->at, "%s: must be \"true\" or \"false\"", key);
        return MAYBE_ABSENT;
    }
    return !value ? MAYBE_ABSENT : *value->text == 't' ? MAYBE_TRUE : MAYBE_FALSE;
}

/* ringress/certificate-key: what kind of key an ordered certificate has. */
static bool key_is_rsa(struct reader *r, const struct object *object) {
    static const char name[] = "ringress/certificate-key";
    const struct word *value = annotation_find(object, name);
    if (value && strcmp(value->text, "rsa") && strcmp(value->text, "ecdsa"))
        reader_error(r, value->at, "%s: must be ecdsa or rsa", name);
    return value && !strcmp(value->text, "rsa");
}

static void ingress_check(struct reader *r, struct ingress_object *ingress) {
    ingress->passthrough =
        annotation_truth(r, &ingress->head, "ringress/tls-passthrough") == MAYBE_TRUE;
    ingress->redirect = annotation_truth(r, &ingress->head, "ringress/ssl-redirect");
    ingress->rsa = key_is_rsa(r, &ingress->head);
    ingress->policy = policy_read(r, &ingress->head);
    ingress->gate = gate_read(r, &ingress->head, !ingress->passthrough);
    ingress->tls = tls_spec_read(r, &ingress->head, ingress->passthrough);
    struct ingress_spec *spec = ingress->spec;
    if (!spec)
        return;
    backend_check(r, spec->fallback);
    for (size_t i = 0; i < spec->tls.count; i++)
        hosts_check(r, "hosts", &((struct ingress_tls *)spec->tls.item)[i].hosts);
    for (size_t i = 0; i < spec->rules.count; i++)
        rule_check(r, (struct ingress_rule *)spec->rules.item + i);
}

/* ---- Service ---- */

static void service_ports_check(struct reader *r, const struct items *ports) {
    const struct service_port *port = ports->item;
    for (size_t i = 0; i < ports->count; i++) {
        if (ports->count > 1 && !port[i].name.text)
            reader_error(r, port[i].at, "name is missing: a Service with several ports names each");
        for (size_t j = 0; j < i && ports->count <= 1000; j++)
            if (port[i].name.text && port[j].name.text &&
                !strcmp(port[i].name.text, port[j].name.text)) {
                reader_error(r, port[i].at, "a second port named `%s`", port[i].name.text);
                break;
            }
    }
}

/* A check in HTTP of pods that speak something else could only fail. */
static void health_check(struct reader *r, const struct service_object *service) {
    const struct policy_spec *policy = service->policy;
    const struct items *ports = &service->spec->ports;
    for (size_t i = 0; policy && policy->policy.health == HEALTH_HTTP && i < ports->count; i++) {
        const struct word *protocol = &((struct service_port *)ports->item)[i].app_protocol;
        if (protocol->text &&
            !word_listed(
                "http HTTP https HTTPS kubernetes.io/ws kubernetes.io/wss kubernetes.io/h2c",
                protocol->text))
            reader_error(r, protocol->at,
                         "ringress/health-path: pods of appProtocol %s can't be asked for a path; "
                         "ringress/health-check: tcp connects to them",
                         protocol->text);
    }
}

static void service_check(struct reader *r, struct service_object *service) {
    struct service_spec *spec = service->spec;
    service->policy = policy_read(r, &service->head);
    service->gate = gate_read(r, &service->head, false);
    if (!spec)
        return;
    if (service->gate && (!spec->type.text || strcmp(spec->type.text, "NodePort")))
        reader_warning(
            r, service->head.metadata->at,
            "the source ranges and proxy-protocol of a Service are for raw ports: it asks for "
            "none (type: NodePort)");
    bool external = spec->type.text && !strcmp(spec->type.text, "ExternalName");
    bool headless = spec->ports.count == 0;
    if (headless && !external)
        reader_warning(r, spec->at, "a Service without ports routes nothing");
    if (spec->type.text && !strcmp(spec->type.text, "LoadBalancer"))
        reader_warning(
            r, spec->type.at,
            "type LoadBalancer is taken as ClusterIP here; NodePort asks for a raw port");
    service_ports_check(r, &spec->ports);
    health_check(r, service);
}

/* ---- Pod, Endpoints, EndpointSlice ---- */

enum { PIECES_MAX = 8, VALUE_MAX = 8192 };

/* Labels are the user's: a mistake in one costs that route and is an event. Here, so that `check` says it too. */
void labels_check(struct reader *r, const struct dict *labels) {
    for (size_t i = 0; i < labels->count; i++) {
        const struct word_pair *pair = &labels->item[i];
        const char *at = pair->value.text, *piece, *why = NULL;
        size_t length, pieces = 0;
        struct label label;
        bool good = true; /* `why` means nothing while it is */
        if (!label_is_ours(pair->key.text))
            continue;
        while (good && strnlen(at, VALUE_MAX) < VALUE_MAX && pieces < PIECES_MAX &&
               label_next(&at, &piece, &length)) {
            pieces++;
            good = label_parse(r->stash, pair->key.text, piece, length, "a.tenant", &label, &why);
        }
        if (!pieces)
            good = label_parse(r->stash, pair->key.text, "", 0, "a.tenant", &label, &why);
        if (!good)
            reader_warning(r, pair->value.at, "%.60s=%.200s: %s", pair->key.text, pair->value.text,
                           why);
    }
}

static void pod_check(struct reader *r, struct pod_object *pod) {
    if (pod->head.metadata) {
        labels_check(r, &pod->head.metadata->labels);
        labels_check(r, &pod->head.metadata->annotations);
    }
    struct pod_status *status = pod->status;
    if (!status)
        return;
    ip_check(r, "podIP", &status->ip);
    for (size_t i = 0; i < status->ips.count; i++)
        ip_check(r, "podIPs.ip", &((struct pod_ip *)status->ips.item)[i].ip);
}

static void endpoints_check(struct reader *r, struct endpoints_object *endpoints) {
    for (size_t i = 0; i < endpoints->subsets.count; i++) {
        const struct subset *subset = (struct subset *)endpoints->subsets.item + i;
        for (size_t j = 0; j < subset->addresses.count; j++)
            ip_check(r, "ip", &((struct subset_address *)subset->addresses.item)[j].ip);
        for (size_t j = 0; j < subset->not_ready.count; j++)
            ip_check(r, "ip", &((struct subset_address *)subset->not_ready.item)[j].ip);
    }
}

static void slice_check(struct reader *r, struct slice_object *slice) {
    bool names = slice->address_type.text && !strcmp(slice->address_type.text, "FQDN");
    for (size_t i = 0; !names && i < slice->endpoints.count; i++) {
        const struct slice_endpoint *endpoint = (struct slice_endpoint *)slice->endpoints.item + i;
        for (size_t j = 0; j < endpoint->addresses.count; j++)
            ip_check(r, "addresses", &endpoint->addresses.item[j]);
    }
}

/* ---- Secret ---- */

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* RFC 4648 section 4; line breaks are skipped, as upstream's decoder does. NULL: malformed, or
 * holds a NUL. */
static char *base64_decode(struct stash *stash, const char *text) {
    char *out = stash_alloc(stash, strlen(text) / 4 * 3 + 4);
    size_t length = 0, digits = 0, pads = 0;
    uint32_t group = 0;
    for (; *text; text++) {
        if (*text == '\n' || *text == '\r' || *text == ' ')
            continue;
        int digit = *text == '=' ? 0 : base64_digit(*text);
        pads += *text == '=';
        if (digit < 0 || pads > 2 || (pads && *text != '='))
            return NULL;
        group = group << 6 | (uint32_t)digit;
        if (++digits % 4)
            continue;
        for (size_t i = 0; i < 3 - pads; i++)
            out[length++] = (char)(group >> (16 - 8 * i));
    }
    bool good = digits % 4 == 0 && strlen(out) == length;
    return good ? out : NULL;
}

enum { SECRETS_MAX = 16 << 20 };

/* stringData wins over data, as upstream merges them. */
static const char *secret_value(struct reader *r, const struct secret_object *secret,
                                const char *key, bool *ret_bad) {
    const char *plain = dict_get(&secret->string_data, key);
    for (size_t i = 0; !plain && i < secret->data.count; i++) {
        const struct word_pair *pair = &secret->data.item[i];
        if (strcmp(pair->key.text, key))
            continue;
        r->decoded += strlen(pair->value.text);
        plain = r->decoded <= SECRETS_MAX ? base64_decode(r->stash, pair->value.text) : NULL;
        if (plain)
            break;
        reader_error(r, pair->value.at,
                     r->decoded > SECRETS_MAX ? "data.%s: Secrets of more than 16 MiB in all"
                                              : "data.%s: not base64 of a text",
                     key);
        *ret_bad = true;
        return NULL;
    }
    return plain;
}

/* Whom certificates are to be signed by. Other Secrets may hold anything under that name. */
static void secret_ca_read(struct reader *r, struct secret_object *secret, bool *ret_bad) {
    const char *why, *pem = secret_value(r, secret, "ca.crt", ret_bad);
    if (!pem || certificates_judge(pem, &why))
        secret->ca_pem = pem;
    else
        reader_warning(r, secret->head.at, "data.ca.crt: %s", why);
}

/* "helm.sh/release.v1": it is somebody else's, and nothing is expected of us. */
static bool is_foreign_type(const char *type) {
    static const char kubernetes[] = "kubernetes.io/";
    return type && strchr(type, '/') && strncmp(type, kubernetes, sizeof kubernetes - 1) != 0;
}

static void secret_check(struct reader *r, struct secret_object *secret) {
    bool bad = false;
    secret_ca_read(r, secret, &bad);
    if (!secret->type.text || strcmp(secret->type.text, "kubernetes.io/tls")) {
        if (!secret->ca_pem && !bad && !is_foreign_type(secret->type.text))
            reader_warning(
                r, secret->head.at,
                "only Secrets of type kubernetes.io/tls, or with ca.crt, have an effect");
        return;
    }
    secret->chain_pem = secret_value(r, secret, "tls.crt", &bad);
    secret->key_pem = secret_value(r, secret, "tls.key", &bad);
    struct certificate_facts *facts = stash_alloc(r->stash, sizeof *facts);
    if (bad)
        return;
    if (!secret->chain_pem || !secret->key_pem)
        reader_error(r, secret->head.at, "data.%s is missing",
                     secret->chain_pem ? "tls.key" : "tls.crt");
    else if (certificate_read(r->stash, secret->chain_pem, secret->key_pem, facts, &secret->why))
        secret->facts = facts;
}

void object_check(struct reader *r, struct object *object) {
    const char *kind = object->kind.text;
    if (!strcmp(kind, "Tenant"))
        tenant_check(r, (struct tenant_object *)object);
    else if (!strcmp(kind, "Ingress"))
        ingress_check(r, (struct ingress_object *)object);
    else if (!strcmp(kind, "Service"))
        service_check(r, (struct service_object *)object);
    else if (!strcmp(kind, "Pod"))
        pod_check(r, (struct pod_object *)object);
    else if (!strcmp(kind, "Endpoints"))
        endpoints_check(r, (struct endpoints_object *)object);
    else if (!strcmp(kind, "EndpointSlice"))
        slice_check(r, (struct slice_object *)object);
    else if (!strcmp(kind, "Secret"))
        secret_check(r, (struct secret_object *)object);
}
