/* SPDX-License-Identifier: GPL-3.0-or-later
 * work.h - one compilation under way.
 *
 *   model --rules.c--> rules --hosts.c--> hosts, names
 *                        |                                     all into one stash: struct compiled
 *                        +--service.c, workloads.c--> backends
 */
#pragma once
#include "tenants/inside.h"
#include "tenants/labels.h"

struct rule {         /* one path of one host, before it is known whether it may route */
    const char *host; /* "" for rules without one */
    const char *path; /* NULL: the host alone, for its defaultBackend */
    enum path_type type;
    const struct backend *backend;
    const char *ingress, *origin, *object, *scheme;
    const struct backend *fallback;
    const struct gate *gate;
    const struct tls_rules *tls;
    bool passthrough, redirect, plain; /* plain: says that it wants no redirect */
    const char *file;
    struct spot at;
    size_t order;
    struct route_note *note;
};

struct work {
    struct registry *registry;
    struct entry *entry;
    const struct model *model;
    struct compiled *out;
    struct stash *stash; /* of `out` */
    struct rule *rule;
    size_t rule_count;
    struct backend *backend; /* room for backend_room */
    size_t backend_count, backend_room;
    struct table backends; /* "Service/echo:80" */
    struct wanted_port *port;
    size_t port_count;
    struct workload *workload;
    size_t workload_count;
    struct table events,
        events_before; /* notes.c: of this compilation, of the one before; "OBJECT\nMESSAGE" */
    bool before_indexed;
    int64_t now;
};

/* notes.c */
void note_event(struct work *, const char *object, const char *file, struct spot,
                const char *reason, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* service.c */
const struct backend *backend_of_service(struct work *, const char *service, int64_t number,
                                         const char *port_name);
void endpoint_add(struct work *, struct backend *, const char *ip, const union address *,
                  uint16_t port, const char *pod, const char *not_ready);
void backend_finish(struct backend *);
struct backend *backend_new(struct work *, const char *service, uint16_t port, enum app_protocol);
void node_ports_want(struct work *);
void port_want(struct work *, struct wanted_port);
const char *pod_ip_text(const struct pod_object *);
const char *pod_not_ready(const struct pod_object *);
/* policy.c: what the Service itself said stands; then what its Ingress says, the first by name first. */
void policy_apply(struct work *, struct backend *, const struct policy_spec *, const char *object,
                  const char *file);
/* rules.c, label_rules.c */
struct rule *rule_add(struct work *);
void rules_gather(struct work *);
void label_rules_gather(struct work *);
size_t label_pieces(const struct workload *);
/* hosts.c */
void hosts_build(struct work *);
/* gate.c: a copy in the stash of `out`. */
const struct gate *gate_take(struct work *, const struct gate *);
/* pod_tls.c: backend->tls, once all has been said of every backend. */
void pod_tls_build(struct work *);
/* tls_rules.c: what an Ingress asks of TLS, in the stash of `out`; the stricter of two, where `host` says whose; what holds for all of
 * the tenant's names, before its hosts are built. */
const struct tls_rules *tls_rules_take(struct work *, const struct ingress_object *);
const struct tls_rules *tls_rules_join(struct work *, const struct tls_rules *,
                                       const struct tls_rules *, const char *host);
const struct tls_rules *tls_rules_of(const struct work *, const char *ingress);
void tls_rules_build(struct work *);
/* secrets.c */
void certificates_build(struct work *);
/* wishes.c; after hosts_build */
void wishes_build(struct work *);
