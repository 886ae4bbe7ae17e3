/* SPDX-License-Identifier: GPL-3.0-or-later
 * inside.h - the registry's own structs, for the files of tenants/ only.
 *
 *   registry
 *     entry, one per tenant name: model (what its drop says), claims and ports (what it holds),
 * compiled (what came of it)
 *     zones: one tree of all names anybody holds, wants, or was given as a domain
 *     ports: one slot per number of the pool
 */
#pragma once
#include "tenants/network.h"
#include "tenants/objects.h"
#include "tenants/registry.h"
#include "tenants/standing.h"
#include "tenants/table.h"
#include <stdatomic.h>

/* ---- what a compilation leaves for people, beside the tenant ---- */

struct route_note {
    const char *host, *path, *path_type, *service, *scheme, *state, *reason, *ingress, *origin;
    uint16_t port;
    const struct backend *backend;
};
struct event {
    const char *object, *reason, *message; /* "Ingress/default", "HostTaken", a sentence */
    const char *file;
    struct spot at;
    int64_t since;
};
struct ingress_note {
    const char *name;
    const struct backend *fallback;
    const struct gate *gate;
    const struct tls_rules *tls;
};

/* The registry's views and the caller's data path read the same tenant; the last of the two frees
 * it. */
struct compiled {
    atomic_uint holders;
    struct stash *stash;
    struct tenant tenant;
    struct route_note *route;
    struct event *event;
    struct ingress_note *ingress;
    size_t route_count, event_count, ingress_count;
};

/* ---- names ---- */

struct entry;
struct zone;
struct claim {
    struct claim *next, *previous; /* of the same name, in the order they came */
    struct claim *next_of_entry;
    struct entry *entry;
    struct zone *zone;
    bool wildcard;
    char *ingress; /* owned */
    bool wanted;   /* while an entry's claims are being renewed */
};
struct place { /* the claims of one name */
    struct claim *first, *last, *holder;
    struct standing *standings; /* of every tenant that has to prove it, or has */
    struct standing *keeper;    /* the one that is proved: verified, at risk or suspended */
    uint64_t round;             /* of registry.round: elected in this one */
};
struct zone {   /* a name in the tree; its parent is the name without the first label */
    char *name; /* owned */
    struct zone *parent, *child, *next, *previous;
    struct place exact, wildcard;   /* of `name` and of "*.name" */
    char *granted_to, *granted_uid; /* owned; spec.domain of that tenant, live or gone */
    size_t grants;                  /* children that were given to somebody, for ever */
};

enum claim_state {
    CLAIM_VERIFIED,
    CLAIM_AT_RISK,   /* routes still */
    CLAIM_SUSPENDED, /* holds its name, and does not route */
    CLAIM_PENDING,
    CLAIM_CONFLICT
};
static inline bool claim_routes(enum claim_state state) {
    return state <= CLAIM_AT_RISK;
}
const char *claim_state_name(enum claim_state);

/* ---- looks at DNS ---- */

enum {
    LOOKS_PER_TENANT = 16, /* under way at once */
    PENDING_MAX =
        1000, /* names of one tenant that wait for their first proof; more are not looked at */
    KEPT_MAX =
        1000, /* names kept for one tenant that binds them no more; with so many, none that waits is looked at */
    LOG_MAX = 100000, /* transitions kept */
};
struct looker {                  /* a tenant, there or gone, that has standings */
    char *uid, *tenant, *domain; /* owned; domain: the last one it was given, or NULL */
    struct heap due;             /* its standings that are to be looked at */
    struct heap_item turn;       /* in registry.looks */
    unsigned under_way, pending; /* looks; standings that are pending and looked at */
    unsigned kept;               /* standings that are left behind */
    int64_t served;              /* when its last look began */
    size_t standings;            /* none, and its tenant is gone: nothing of it is left */
    bool over;                   /* some are not looked at, as there are too many */
};

/* ---- raw ports ---- */

struct port {
    struct port *next_of_entry;
    struct entry *entry; /* NULL: of a tenant that is gone */
    char *slot;          /* owned; "service:containerPort" */
    uint16_t number;
    int64_t held_until; /* 0: in use */
    uint64_t order;     /* the earlier one stays when the quota shrinks */
    bool wanted;
};

/* ---- tenants ---- */

struct resolved {
    struct resolved *next;
    char *name; /* owned */
    union address *address;
    size_t count;
    bool wanted;
};
struct entry {
    char *name, *uid;     /* owned */
    bool live;            /* has a model */
    bool seen;            /* since the start: a drop came, good or bad */
    bool stored;          /* its UID is in the store */
    struct model *model;  /* between entry_shed and entry_whole its grant at least, else all */
    char *good;           /* owned; the row `good/NAME` of the model */
    bool good_is_model;   /* false: the model's drop can't be a row, and that one is older */
    char *error;          /* owned; why the newest drop is not live; NULL: it is */
    const char *domain;   /* granted, in the model; NULL: none */
    struct table vouched; /* the model's spec.domains */
    const char
        *domain_refusal; /* why spec.domain was not granted; NULL: it was, or none was asked for */
    struct claim *claims;
    struct port *ports;
    struct resolved *resolved;
    bool port_refused;
    bool touched; /* in the registry's list of those to compile */
    bool news;    /* a look saw something else: its events are to say so, at the next tick */
    struct compiled *compiled;
    int64_t since;
};

struct registry {
    char **zone_name; /* the platform's own zones */
    size_t zone_count;
    char **address;
    size_t address_count;
    struct own own;
    uint16_t port_low, port_high;
    unsigned ports_per_tenant;
    uint64_t (*random)(void *);
    void *random_context;
    uint8_t *secret;
    size_t secret_length;
    int64_t recheck_s;
    int64_t now;          /* of the call that is running */
    struct table entries; /* by name */
    struct table feeds;   /* struct fed_tenant, by name: feed.c */
    struct table lookers; /* by UID */
    struct heap looks;    /* lookers, by whose turn it is */
    int64_t served;       /* when looks were last taken */
    uint64_t look_serial, log_next;
    union address *edge; /* its public addresses, those of `address` that are some */
    size_t edge_count;
    struct table zones; /* by name */
    uint64_t round;     /* of renewing the claims of a tenant */
    struct port **port; /* by number - port_low; NULL: no pool */
    uint64_t port_order;
    struct entry **touched;
    size_t touched_count, touched_room;
    struct stash *scratch; /* names in the latest change of tenants that are gone */
    bool loaded;           /* every drop that was there at the start has come */
};

/* registry.c */
void entry_touch(struct registry *, struct entry *);
struct entry *entry_find(const struct registry *, const char *name);
void entry_whole(struct entry *); /* its model may be looked at */
void entry_shed(struct entry *);
void change_row(struct change *, const char *value, const char *key_format, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t registry_random(struct registry *);
void change_begin(struct registry *, struct change *, int64_t now);
void touched_compile(struct registry *, int64_t now, struct change *);
bool domain_possible(const struct registry *, const struct entry *, const char *domain,
                     const char **ret_refusal);

/* names.c */
struct wanted_name {
    const char *name, *ingress;
};
/* The entry has another model, or none any more. */
void names_vouched(struct entry *);
void names_update(struct registry *, struct entry *, const struct wanted_name *, size_t count,
                  struct change *);
bool domain_grant(struct registry *, struct entry *, const char *domain, const char **ret_refusal,
                  struct change *);
enum claim_state claim_judge(const struct registry *, const struct claim *,
                             const char **ret_reason);
/* May a rule of this entry speak for this host? */
enum claim_state host_judge(const struct registry *, const struct entry *, const char *host,
                            const char **ret_reason);
const struct place *place_find(const struct registry *, const char *name);
/* Right below a wildcard of this entry, and somebody else's who does not route it: his Ingress is gone, or he is suspended. */
bool zone_is_withheld(const struct registry *, const struct zone *, const struct entry *);
const char *claim_name(const struct claim *, char text[256]);
/* The tenant whose domain this name lies in, live or gone; or NULL. */
const struct zone *domain_above(const struct registry *, const char *name);
/* Somebody's claims or proof of this name changed: elect again, and what follows from that. `gone`: the holder, just taken out of the
 * list, still readable; or NULL. */
void place_renew(struct registry *, struct zone *, bool wildcard, const struct claim *gone,
                 struct change *);
struct place *zone_place(struct zone *, bool wildcard);
struct zone *zone_need(struct registry *, const char *name);
void zone_tidy(struct registry *, struct zone *);
/* Another tenant holds the wildcard above: only a TXT takes a name from under it. */
bool under_foreign_wildcard(const struct zone *, bool wildcard, const char *uid);
/* Neither its tenant's own nor vouched for, nor out of the question: DNS decides. */
bool claim_needs_proof(const struct registry *, const struct claim *);
void names_row(struct registry *, const char *name, struct entry *, const char *ingress);
void domain_row(struct registry *, const char *domain, const char *tenant, const char *uid);
void names_fini(struct registry *);

/* standings.c */
struct standing *standing_of(const struct place *, const char *uid);
struct standing *standing_find(const struct registry *, const char *name, bool wildcard,
                               const char *uid);
/* The proof that stands in this tenant's way: another's, but not what a tenant left behind whose domain is this one's now. */
const struct standing *standing_rival(const struct place *, const char *uid, const char *domain);
/* Only a TXT proves it: somebody else keeps the name, or the wildcard above it. */
bool standing_contested(const struct standing *);
bool standing_left_behind(const struct standing *); /* no Ingress binds it any more */
/* The edge has lost the key of the TXT that proves it: that one counts for as long as it stands, and is to be replaced. */
bool standing_token_is_void(const struct registry *, const struct standing *);
void standing_claimed(struct claim *);
void standing_unclaimed(struct registry *, struct claim *, struct change *);
/* Does this claim need a proof, and is it looked for? */
void standing_renew(struct registry *, struct claim *, struct change *);
/* The place is held by others than before, or less firmly: who may try now? */
void standings_wake(struct registry *, struct place *, struct change *);
/* What stood in the way is gone: whoever waits is looked at now, however rare his looks had become. */
void standings_hurry(struct registry *, struct place *, struct change *);
/* Pending, and to be looked at. False: its tenant has too many of them, or too much that is kept for it. */
bool standing_waits(struct standing *);
/* `winner` holds by another right: what a tenant that is not he had proved is no more. */
void standings_yield(struct registry *, struct place *, const struct entry *winner,
                     struct change *);
void standing_seen(struct registry *, struct standing *, const struct name_check *,
                   const struct dns_seen *, struct change *);
void standing_row(struct registry *, const char *key, const char *value);
void log_row(struct registry *, const char *key);
/* At start, when all drops have come: what waited for a proof that nobody wants any more goes. */
void standings_loaded(struct registry *, struct change *);
void standings_free(struct place *); /* at the end of everything */
/* The records that would prove it; `token` has room for PROOF_TOKEN_LENGTH + 1. */
void standing_token(const struct registry *, const struct standing *, char *token);

/* looks.c */
struct looker *looker_need(struct registry *, const char *uid, const char *tenant);
void looker_domain(struct registry *, struct entry *);
void look_schedule(struct registry *, struct standing *, int64_t when);
/* Now, or once more when the look that is under way is back. False: it is not one to be looked at. */
bool look_now(struct registry *, struct standing *, int64_t now);
void look_forget(struct registry *, struct standing *);
void looker_tidy(struct registry *, const char *uid);
void looks_fini(struct registry *);

/* ports.c */
struct wanted_port {
    const char *slot;
    uint16_t asked;  /* by number; 0: any */
    uint16_t number; /* given; 0: refused, and then: */
    const char *refusal;
    /* what it is for */
    const char *service, *object;
    uint16_t container_port;
    const struct backend *backend;
    const struct gate *gate;
};
void raw_ports_update(struct registry *, struct entry *, struct wanted_port *, size_t count,
                      int64_t now, struct stash *, struct change *);
/* The tenant is gone: its numbers are held for nobody. */
void raw_ports_retire(struct entry *, int64_t now, struct change *);
size_t raw_ports_tick(struct registry *, int64_t now,
                      struct change *); /* how many numbers became free */
void raw_ports_row(struct registry *, uint16_t number, struct entry *, const char *slot,
                   int64_t held_until);
void raw_ports_fini(struct registry *);

/* feed.c: a container that a feed tells of */
struct fed_workload {
    const char *feed; /* which says so */
    const char *object, *name, *group, *not_ready, *id, *image;
    struct dict labels;
    const char *const *address;
    size_t address_count;
    int64_t created, started, restarts;
};
void feeds_each(const struct registry *, const char *tenant,
                void (*take)(void *user, const struct fed_workload *), void *user);
void feeds_fini(struct registry *);

/* workloads.c: what carries labels, whichever file or feed it came from */
struct workload {
    const char *object; /* "Pod/echo1", "compose/nginx", "Container/web-1": for events */
    const char *group;  /* what its backends are called: one name for the pods of one set */
    const char *file;
    struct spot at;
    const struct dict *labels, *annotations;
    const struct pod_object *pod;          /* or */
    const struct compose_service *compose; /* or */
    const struct fed_workload *fed;
};
size_t workloads_list(struct stash *, const struct registry *, const struct entry *,
                      struct workload **ret);

/* compile.c */
struct compiled *tenant_compile(struct registry *, struct entry *, int64_t now, struct change *);
void compiled_unref(struct compiled *);
/* What an entry's model asks for, before it is compiled. */
size_t wanted_names(struct stash *, const struct entry *, struct wanted_name **ret);
