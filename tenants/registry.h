/* SPDX-License-Identifier: GPL-3.0-or-later
 * registry.h - what every tenant asked for, who holds which name and raw port, and what each tenant compiles to.
 *
 *   drop (files of one tenant) -> parse -> check -> claims and ports -> compile that tenant -> change
 *
 * Pure: text, structs, time and look-up answers in; structs and rows to keep out. No sockets, files, threads or clocks.
 * One thread (the control thread) calls it. Cost of a call: the tenants it changes, not the others.
 */
#pragma once
#include "core/diag.h"
#include "tenants/compiled.h"
#include "tenants/proof.h"
#include <jansson.h>

struct registry;
struct own;
struct fed; /* tenants/feed.h */

struct registry_conf {
    const char *const *zones; /* the platform's own zones, lower case */
    size_t zone_count;
    const char *const *addresses; /* the edge's public addresses, as text: status and describe */
    size_t address_count;
    uint16_t port_low, port_high; /* raw_tcp.ports; both 0: no raw ports */
    unsigned ports_per_tenant;    /* quota when a Tenant says nothing */
    const struct own *own; /* what the edge itself is here (tenants/network.h); NULL: nothing yet */
    const uint8_t *
        secret; /* the edge's own, for the tokens of proofs by TXT; NULL: one for this life, for tests */
    size_t secret_length;
    int64_t recheck_s;          /* dns.recheck; 0: an hour */
    uint64_t (*random)(void *); /* for UIDs, port numbers and probes; NULL: getrandom(2) */
    void *random_context;
};

struct source {       /* one file of a drop */
    const char *path; /* as shown in messages: conf.d/acme/web.yaml */
    const char *name; /* last component: decides tenant.yaml, compose.yaml */
    const char *text;
    size_t length;
};
struct drop {
    const char *tenant;
    bool folder; /* conf.d/NAME/ rather than conf.d/NAME.yaml */
    const struct source *source;
    size_t source_count;
};

/* What a call changed. Rows first into the store (one transaction), then the tenants into the directory. */
struct change {
    struct {
        const char *name;      /* valid until the next call */
        struct tenant *tenant; /* compiled, now the caller's; NULL: remove it */
    } * tenant;
    size_t tenant_count;
    struct {
        char *key, *value; /* value NULL: delete the row */
    } * row;
    size_t row_count;
    struct {
        const char *tenant;
        char *
            name; /* a service name that needs an address inside the tenant's network; answer with registry_resolved */
        char *dns;            /* network.dns, or NULL: the system's resolver */
        char *netns, *device; /* or NULL */
    } * lookup;
    size_t lookup_count;
};
void change_fini(struct change *); /* frees also tenants not taken (taken: set .tenant = NULL) */

struct registry *registry_new(const struct registry_conf *);
void registry_free(struct registry *);
/* At start, every row of the store, before any drop. Unknown keys are ignored (a newer version wrote them). */
void registry_row(struct registry *, const char *key, const char *value);

/* At start, once every drop found has been put (or registry_error said why not): tenants that the rows remember and that did
 * not come are removed; those that came broken from outside (registry_error) go live as they last were. */
void registry_loaded(struct registry *, int64_t now, struct change *ret);

/* Parse and schema only, nothing remembered: for `ringress check`. False when there are errors. */
bool registry_check(struct registry *, const struct drop *, struct diags *);

/* A tenant's drop, whole. False: invalid, `diags` says why, nothing changed but that tenant's error state
 * (registry_error keeps it); its last good state stays: also when that is only in the rows, as after a restart; `ret` then
 * holds the tenant as its last good drop made it, so `ret` is to be used whatever the answer. True: live; objects that cannot be given have states and events.
 * `now` in Unix seconds. */
bool registry_put(struct registry *, const struct drop *, int64_t now, struct diags *,
                  struct change *ret);
/* All that the feed of this name knows of the tenant; none: nothing. Valid for the call. Unchanged: nothing is compiled. */
void registry_feed(struct registry *, const char *tenant, const char *feed, const struct fed *,
                   size_t count, int64_t now, struct change *ret);
/* The tenant's files are gone. */
void registry_remove(struct registry *, const char *tenant, int64_t now, struct change *ret);
/* The machine has other addresses now. Tenants for whose pods that changes something are compiled. */
void registry_own(struct registry *, const struct own *, int64_t now, struct change *ret);
/* The tenant's network is another, under the same name: it is compiled anew, and what was looked up there is forgotten. */
void registry_moved(struct registry *, const char *tenant, int64_t now, struct change *ret);
/* Something outside the YAML is wrong (both NAME.yaml and NAME/): shown, changes nothing. */
void registry_error(struct registry *, const char *tenant, const char *message);
/* Addresses of a name asked for in change.lookup; none: unknown name. Also again when they changed. */
void registry_resolved(struct registry *, const char *tenant, const char *name,
                       const union address *, size_t count, int64_t now, struct change *ret);
/* Time passes: port numbers held after release, back-offs. Call about once a minute. */
void registry_tick(struct registry *, int64_t now, struct change *ret);

/* ---- proofs: who may route a name (docs/domains.md) ---- */
/* Looks at DNS that are due, at most `room`; each is in flight until registry_seen. *ret_next: when the next one is due (0: none is). */
size_t registry_due(struct registry *, int64_t now, struct name_check *, size_t room,
                    int64_t *ret_next);
/* What that look brought; all of it DNS_UNKNOWN when it could not be made. */
void registry_seen(struct registry *, const struct name_check *, const struct dns_seen *,
                   int64_t now, struct change *ret);
/* The same in two steps, for many looks that come together: what each says is kept in `ret` as rows, and the tenants that it
 * concerns are compiled once for all of them by registry_settle (or whatever else compiles them before). */
void registry_saw(struct registry *, const struct name_check *, const struct dns_seen *,
                  int64_t now, struct change *ret);
void registry_settle(struct registry *, int64_t now, struct change *ret);
/* Look again now: at this name of this tenant, at all of its names (`name` NULL), at this name of whoever claims it (`tenant`
 * NULL). How many looks that makes. */
size_t registry_recheck(struct registry *, const char *tenant, const char *name, int64_t now);
/* What the newest look at this name of this tenant says of its proof; of one that routes without a look: yes. False: no look since
 * then is back. */
bool registry_looked(const struct registry *, const char *tenant, const char *name, int64_t since,
                     enum fact *ret);

/* ---- views: what `ringress get` and `describe` print. `tenant` NULL: all. The caller owns the json_t. ----
 * Field names are interface.md section 6. Live figures (connections, requests, ejection, operator certificates) are the
 * edge's to add: it finds the object by its key fields. */
json_t *view_tenants(const struct registry *, const char *tenant);
json_t *view_routes(const struct registry *, const char *tenant);
json_t *view_domains(const struct registry *, const char *tenant);
json_t *view_ports(const struct registry *, const char *tenant);
json_t *view_backends(const struct registry *, const char *tenant);
json_t *view_certificates(const struct registry *, const char *tenant);
json_t *view_events(const struct registry *, const char *tenant);
/* The Kubernetes objects of one tenant's last good drop as its files have them: {"file", "line", "object"}. Secrets are among them. */
json_t *view_objects(const struct registry *, const char *tenant);
/* Of one of the files of the drop that was put last, if that was good: registry_is_good. */
json_t *view_source_objects(const struct drop *, const struct source *);
bool registry_is_good(const struct registry *, const char *tenant);
/* What feeds tell of one tenant: {"feed", "name", "notReady", "labels", "addresses"}. */
json_t *view_containers(const struct registry *, const char *tenant);
/* kubectl's layout (`describe`); NULL: no such object. malloc'd text. */
char *describe_ingress(const struct registry *, const char *tenant, const char *name);
char *describe_tenant(const struct registry *, const char *tenant);
char *describe_port(const struct registry *, const char *tenant, const char *service_and_port);
/* To one tenant another's claims, and whose the domain is, are not shown. `tenant` NULL: the operator asks. */
char *describe_domain(const struct registry *, const char *tenant, const char *domain);
/* Why `host` does not route, when the directory has no entry for it: pending, conflict, refused, unknown. malloc'd. */
char *explain_name(const struct registry *, const char *host);
