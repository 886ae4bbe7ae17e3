/* SPDX-License-Identifier: MIT
 * compiled.h - one tenant as the data path reads it: immutable after publication, one arena, no pointers to text files.
 *
 *   name (directory) -> tenant -> host -> route -> backend -> endpoints
 *
 * Made by tenants/ (pure functions on text), read by modules and by `ringress explain`. The `host_*` members are slots that
 * the edge fills before it publishes (tenants/ never looks inside); everything else never changes.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

union address { /* an IP address and port, network byte order inside, as the kernel takes it */
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct prefix {     /* a CIDR prefix */
    uint8_t family; /* AF_INET, AF_INET6 */
    uint8_t bits;
    uint8_t addr[16]; /* network byte order; IPv4 in the first four */
};

struct network {
    const struct prefix *allow;
    size_t allow_count; /* 0: no pod is reachable */
    const char *device; /* SO_BINDTODEVICE, or NULL */
    const char *netns;  /* named network namespace, or NULL */
    const char *dns;    /* resolver inside that network ("10.11.0.53"), or NULL */
};

struct limits { /* 0: none */
    int64_t connections, new_connections_per_second, requests_per_second, bandwidth_bits;
    int64_t request_size; /* bytes of a request's body */
    bool refuses;         /* some gate may turn clients or requests away */
};

struct
    gate { /* what the annotations of an Ingress or Service ask for; NULL stands for none of it */
    const struct prefix *allow, *deny; /* addresses of clients; `deny` is looked at first */
    size_t allow_count, deny_count;    /* no `allow`: everyone else */
    int64_t body_size_max;             /* bytes of a request's body; -1: no limit */
    uint8_t proxy_version; /* pods are told who the client is by PROXY v1 or v2; 0: not */
    bool trace;            /* requests without a traceparent get one */
};

enum app_protocol { APP_HTTP, APP_HTTPS, APP_H2C, APP_WS, APP_TCP };

struct endpoint {
    union address addr;
    const char *pod;     /* name for people; "" when unknown */
    bool ready;          /* serves: has an address, is Ready, lies inside network.allow */
    const char *reason;  /* why not ready, or NULL */
    void *host_upstream; /* struct upstream *, core/upstream.h */
};

/* ---- how requests are spread over the pods of a service: annotations ringress/..., docs/tenants.md ---- */

enum balance { BALANCE_LEAST, BALANCE_ROUND_ROBIN, BALANCE_HASH };
enum health_kind { HEALTH_NONE, HEALTH_HTTP, HEALTH_TCP };
enum backend_verify { VERIFY_UNSAID, VERIFY_OFF, VERIFY_ON };

struct error_page {
    const char *text; /* NULL: the edge's own words */
    const char *type; /* Content-Type */
    uint32_t length;
};
enum { ERROR_PAGE_502, ERROR_PAGE_503, ERROR_PAGE_504, ERROR_PAGES };

struct policy { /* times in milliseconds */
    int64_t balance;
    const char *hash_cookie; /* BALANCE_HASH: by this cookie, NULL: by the client's address */
    int64_t eject_after;     /* failures in a row, 0: never */
    int64_t eject_ms, eject_most_ms; /* the first time; doubled each time, up to */
    int64_t eject_percent;           /* at most this share of the pods at once */
    int64_t retry_percent;           /* of the requests may be retries */
    int64_t pod_connections;         /* to one pod, over all workers; 0: no cap */
    int64_t queue_most, queue_ms;    /* requests that wait for one, and how long */
    int64_t health;                  /* enum health_kind */
    const char *health_path, *health_host;
    int64_t health_ms, health_timeout_ms, health_rise, health_fall;
    int64_t health_status; /* low << 16 | high */
    struct error_page page[ERROR_PAGES];
    /* pods that speak TLS; what comes of it is backend->tls */
    int64_t verify; /* enum backend_verify */
    const char *ca_secret, *server_name;
    int64_t http2;
    uint32_t said; /* which of the annotations were there; tenants/policy.c */
};
extern const struct policy policy_default;

struct pod_tls {             /* how TLS is spoken to the pods of a backend with APP_HTTPS */
    const char *server_name; /* sent as SNI, and checked where `verify` */
    const char *ca_pem;      /* who may have signed their certificates; NULL unless `verify` */
    bool verify;
    bool http2;          /* by ALPN; else HTTP/1.1 */
    const char *refusal; /* why they can't be spoken to as was asked: 502; or NULL */
};

struct backend { /* one (service, port) */
    const char *service;
    uint16_t port;         /* service port, or container port when made by a label */
    const char *port_name; /* or NULL */
    enum app_protocol protocol;
    struct endpoint *endpoint;
    unsigned endpoint_count, ready_count;
    const char *reason; /* why there is no endpoint at all ("Service echo not found"), or NULL */
    void *host_set;     /* struct upstream_set * of the ready endpoints; NULL while there is none */
    struct policy policy;
    struct pod_tls tls; /* of APP_HTTPS */
};

enum path_type {
    PATH_EXACT,
    PATH_PREFIX,
    PATH_IMPLEMENTATION_SPECIFIC /* matched as PATH_PREFIX */
};

struct route {
    enum path_type type;
    const char *path; /* starts with '/'; a final '/' of a Prefix is ignored in matching */
    size_t path_length;
    const struct backend *backend;
    const char *ingress;     /* the Ingress it came from */
    const char *origin;      /* "Ingress default" or "label kr.ingress.80 on Pod x", for explain */
    const struct gate *gate; /* or NULL, as everywhere */
};

enum client_certificate { CLIENT_UNASKED, CLIENT_OPTIONAL, CLIENT_REQUIRED };
struct tls_rules {       /* what TLS that ends here is to be for a name; docs/tenants.md */
    uint8_t min_version; /* 3: TLS 1.3; 0: the operator's */
    uint8_t client;      /* enum client_certificate */
    const char *
        client_ca; /* PEM of those who may have signed it; NULL: not to be had, no client is let in */
    uint8_t client_ca_id[32]; /* SHA-256 of that */
};

struct host {
    const char *name;    /* A-labels; "*.rest" covers one label; "" for rules without a host */
    struct route *route; /* Exact first, then Prefix by falling length: first match wins */
    unsigned route_count;
    bool redirect;    /* plain HTTP answers 308 to https */
    bool passthrough; /* TLS goes to passthrough_backend untouched */
    const struct backend *passthrough_backend;
    const struct gate *passthrough_gate;
    const struct backend *fallback; /* defaultBackend of its ingress, or NULL */
    const struct gate *fallback_gate;
    uint64_t host_key; /* what its requests are counted under, core/popular.h; 0: nothing */
    const struct tls_rules *tls; /* those of the tenant among them; NULL: none */
};

/* A name this tenant may serve, as the directory is to know it. */
enum name_kind {
    NAME_EXACT,    /* the name itself */
    NAME_WILDCARD, /* "*.rest": any one label below rest */
    NAME_TREE,     /* the tenant's own domain: the name and all below it, any depth */
    NAME_NOBODY, /* under a wildcard of this tenant, and kept for somebody else: answers to nobody */
};
struct tenant_name {
    enum name_kind kind;
    const char *name; /* NAME_WILDCARD: with its "*."; else plain */
    const struct host
        *host; /* the rules of this very name, or NULL: only `any` below speaks for it */
};

struct certificate { /* from a kubernetes.io/tls Secret that a spec.tls entry names */
    const char *secret;
    const char *const *name; /* its DNS names, lower case, wildcards as written */
    size_t name_count;
    const char *const *host; /* the spec.tls hosts it was named for: it is used for these only */
    size_t host_count;
    const char *chain_pem, *key_pem;
    int64_t not_after; /* Unix seconds */
    const char *issuer;
    void *host_identity; /* struct identity *, core/module.h */
};

struct certificate_wish { /* a spec.tls entry that brings no certificate of its own */
    const char *ingress;
    unsigned entry; /* in its spec.tls; WISH_OWN_DOMAIN: the tenant's own domain */
    const char *const
        *name;         /* bound and verified, sorted; none twice over all of a tenant's wishes */
    size_t name_count; /* 0: all of them are held */
    const char *const
        *held; /* at risk: routed still, so what there is serves on; none is ordered */
    size_t held_count;
    bool rsa; /* ringress/certificate-key: rsa */
};
#define WISH_OWN_DOMAIN (~0u)

enum raw_port_state { RAW_PORT_OPEN, RAW_PORT_REFUSED, RAW_PORT_SHUT };
struct raw_port {
    const char *service;
    uint16_t container_port;
    uint16_t public_port; /* 0 when refused */
    enum raw_port_state state;
    const char *reason; /* when refused or shut, else NULL */
    const struct backend *backend;
    const struct gate *gate;
    struct account *host_account; /* the host's: who pays for its connections */
};

struct tenant {
    const char *name;   /* RFC 1123 label: the file's or folder's name */
    const char *uid;    /* for ever this one; a name used again later gets another */
    const char *domain; /* spec.domain, or "" */
    struct network network;
    struct limits limits;
    struct tenant_name *names; /* what the directory is to hold */
    size_t name_count;
    struct host *host; /* every host with rules that may route */
    size_t host_count;
    const struct tls_rules
        *tls; /* of names without a host of their own, and of every host; NULL: none */
    const struct host *any; /* rules without a host and defaultBackend; NULL when there are none */
    struct backend *backend;
    size_t backend_count;
    struct certificate *certificate;
    size_t certificate_count;
    struct raw_port *raw_port;
    size_t raw_port_count;
    void *arena;
    const struct certificate_wish *wish;
    size_t wish_count;
};

/* ---- the router: pure functions, used by the http and sni modules and by `explain` ---- */

enum route_why {
    ROUTE_FOUND,
    ROUTE_NO_RULE_FOR_HOST, /* the name is the tenant's, nothing speaks for it */
    ROUTE_NO_RULE_FOR_PATH,
};
struct route_answer {
    enum route_why why;
    const struct host *host;       /* the rules consulted, or NULL */
    const struct route *route;     /* NULL when the defaultBackend answers */
    const struct backend *backend; /* NULL unless ROUTE_FOUND */
    const struct gate *gate;       /* of whoever named the backend */
};

/* `host` as the directory entry had it (NULL: no rules of its own). `path`: the target's path, without query, already
 * normalised by the caller; starts with '/'. Never allocates. */
void route_find(const struct tenant *, const struct host *host, const char *path,
                size_t path_length, struct route_answer *ret);

/* The certificate of this tenant for `sni` (lower case): one named for it, exact name before wildcard; or NULL. */
const struct certificate *tenant_certificate(const struct tenant *, const char *sni,
                                             size_t sni_length);

/* What TLS for a name is to be, `host` as the directory entry had it; NULL: no more than the operator says. */
static inline const struct tls_rules *tenant_tls_rules(const struct tenant *t,
                                                       const struct host *host) {
    return host ? host->tls : t->tls;
}
/* May such a name be served without TLS? */
static inline bool tls_rules_allow_plain(const struct tls_rules *rules) {
    return !rules || rules->client != CLIENT_REQUIRED;
}

bool prefix_contains(const struct prefix *, const union address *);
/* May a client at this address come in? One whose address is not known (family 0): only where there are no lists. */
bool gate_admits(const struct gate *, const union address *);
/* Does anything limit this tenant, or may turn clients away? */
bool tenant_is_limited(const struct tenant *);
/* May a pod at this address be dialled for this tenant? False for addresses outside `allow`, for metadata addresses
 * (169.254.169.254, fd00:ec2::254, …), and for loopback/link-local unless a prefix of `allow` lies inside that range. */
bool network_allows(const struct network *, const union address *);
void tenant_free(struct tenant *);
