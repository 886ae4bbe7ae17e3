/* SPDX-License-Identifier: GPL-3.0-or-later
 * names.c - one tree of names: who was given a domain, who claims a name, who holds it. docs:
 * "nobody takes your name".
 *
 *   grant   spec.domain: kept for ever under the tenant's name; nobody else gets that name, one
 * above or one below
 *   claim   a name in spec.tls.hosts of an Ingress
 *   holder  the first claim that was eligible (own domain, vouched, or proved: standings.c) and found the place free;
 * kept until it goes, or is eligible no more
 *
 * A place is the claims of one name. Whatever changes a place re-elects its holder, writes the
 * row, and touches the tenants
 * whose routes depend on it: the old holder, the new one, and whoever's wildcard covers it. Walks
 * go up the labels of one
 * name or over its direct children, never over all tenants.
 */
#include "tenants/hostname.h"
#include "tenants/inside.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char taken[] = "taken";

/* ---- the tree ---- */

static struct zone *zone_find(const struct registry *registry, const char *name) {
    return table_get(&registry->zones, name);
}

struct zone *zone_need(struct registry *registry, const char *name) {
    struct zone *zone = zone_find(registry, name);
    if (zone)
        return zone;
    zone = calloc(1, sizeof *zone);
    if (!zone || !(zone->name = strdup(name)))
        abort();
    table_put(&registry->zones, zone->name, zone);
    const char *dot = strchr(name, '.');
    if (!dot)
        return zone;
    zone->parent = zone_need(registry, dot + 1);
    zone->next = zone->parent->child;
    if (zone->next)
        zone->next->previous = zone;
    zone->parent->child = zone;
    return zone;
}

static bool place_is_empty(const struct place *place) {
    return !place->first && !place->standings;
}

void zone_tidy(struct registry *registry, struct zone *zone) {
    while (zone && !zone->child && place_is_empty(&zone->exact) &&
           place_is_empty(&zone->wildcard) && !zone->granted_to) {
        struct zone *parent = zone->parent;
        if (zone->previous)
            zone->previous->next = zone->next;
        else if (parent)
            parent->child = zone->next;
        if (zone->next)
            zone->next->previous = zone->previous;
        table_drop(&registry->zones, zone->name);
        free(zone->name);
        free(zone);
        zone = parent;
    }
}

struct place *zone_place(struct zone *zone, bool wildcard) {
    return wildcard ? &zone->wildcard : &zone->exact;
}

static struct place *claim_place(const struct claim *claim) {
    return zone_place(claim->zone, claim->wildcard);
}

const struct place *place_find(const struct registry *registry, const char *name) {
    bool wildcard = hostname_is_wildcard(name);
    struct zone *zone = zone_find(registry, wildcard ? name + 2 : name);
    return !zone ? NULL : wildcard ? &zone->wildcard : &zone->exact;
}

const char *claim_name(const struct claim *claim, char text[256]) {
    snprintf(text, 256, "%s%s", claim->wildcard ? "*." : "", claim->zone->name);
    return text;
}

const struct zone *domain_above(const struct registry *registry, const char *name) {
    for (const char *at = name; at && *at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        const struct zone *zone = zone_find(registry, at);
        if (zone && zone->granted_to)
            return zone;
    }
    return NULL;
}

/* ---- judging ---- */

static bool in_own_domain(const struct entry *entry, const char *name) {
    return entry->domain && hostname_under(name, entry->domain);
}

/* Looked up, not gone through: a tenant's names may be as many as those that are vouched for. */
static bool vouched(const struct entry *entry, const char *name) {
    const char *dot = strchr(name, '.');
    char above[256];
    if (table_get(&entry->vouched, name))
        return true;
    if (!dot || hostname_is_wildcard(name) || strlen(dot) + 2 > sizeof above)
        return false;
    snprintf(above, sizeof above, "*%s", dot);
    return table_get(&entry->vouched, above);
}

void names_vouched(struct entry *entry) {
    const struct tenant_spec *spec =
        entry->model && entry->model->tenant ? entry->model->tenant->spec : NULL;
    table_fini(&entry->vouched);
    for (size_t i = 0; spec && i < spec->domains.count; i++)
        if (!table_get(&entry->vouched, spec->domains.item[i].text))
            table_put(&entry->vouched, spec->domains.item[i].text, &spec->domains.item[i]);
}

static const char *platform_refusal(const struct registry *registry, const char *name) {
    for (size_t i = 0; i < registry->zone_count; i++)
        if (hostname_under(name, registry->zone_name[i]))
            return "lies under one of the platform's zones, where only a tenant's own domain "
                   "routes";
    return hostname_refusal(name);
}

/* Somebody else's domain holds this name, or lies right under this wildcard. */
static bool in_foreign_domain(const struct registry *registry, const struct claim *claim) {
    const struct zone *domain = domain_above(registry, claim->zone->name);
    if (domain && strcmp(domain->granted_to, claim->entry->name))
        return true;
    bool may_cover = claim->wildcard && claim->zone->grants;
    for (const struct zone *child = may_cover ? claim->zone->child : NULL; child;
         child = child->next)
        if (child->granted_to && strcmp(child->granted_to, claim->entry->name))
            return true;
    return false;
}

bool under_foreign_wildcard(const struct zone *zone, bool wildcard, const char *uid) {
    const struct zone *above = wildcard ? NULL : zone->parent;
    return above && above->wildcard.holder && strcmp(above->wildcard.holder->entry->uid, uid);
}

/* What is decided without DNS: the tenant's own name, one that is out of the question, one vouched for. Pending: DNS decides.
 * Who holds already is not asked about a wildcard that came later. */
static enum claim_state claim_rule(const struct registry *registry, const struct claim *claim,
                                   const char **ret_reason) {
    char text[256];
    const char *name = claim_name(claim, text);
    *ret_reason = NULL;
    if (in_own_domain(claim->entry, name))
        return CLAIM_VERIFIED;
    *ret_reason = platform_refusal(registry, name);
    if (!*ret_reason && in_foreign_domain(registry, claim))
        *ret_reason = taken;
    if (*ret_reason)
        return CLAIM_CONFLICT;
    bool holds = claim_place(claim)->holder == claim;
    if (!holds && under_foreign_wildcard(claim->zone, claim->wildcard, claim->entry->uid))
        return CLAIM_PENDING;
    return vouched(claim->entry, name) ? CLAIM_VERIFIED : CLAIM_PENDING;
}

bool claim_needs_proof(const struct registry *registry, const struct claim *claim) {
    const char *reason;
    return claim->entry->live && claim_rule(registry, claim, &reason) == CLAIM_PENDING;
}

/* Could this claim hold its place if it were free? */
static enum claim_state claim_eligible(const struct registry *registry, const struct claim *claim,
                                       const char **ret_reason) {
    static const enum claim_state of_phase[] = {[PHASE_PENDING] = CLAIM_PENDING,
                                                [PHASE_VERIFIED] = CLAIM_VERIFIED,
                                                [PHASE_AT_RISK] = CLAIM_AT_RISK,
                                                [PHASE_SUSPENDED] = CLAIM_SUSPENDED};
    enum claim_state state = claim_rule(registry, claim, ret_reason);
    if (state != CLAIM_PENDING)
        return state;
    const struct standing *keeper = claim_place(claim)->keeper; /* nobody else has proved it */
    if (keeper && !strcmp(keeper->looker->uid, claim->entry->uid))
        return of_phase[keeper->phase];
    if (claim_place(claim)->holder == claim ||
        !under_foreign_wildcard(claim->zone, claim->wildcard, claim->entry->uid))
        return CLAIM_PENDING;
    *ret_reason = "taken: it lies under a wildcard that another tenant holds; only the TXT record "
                  "proves it";
    return CLAIM_CONFLICT;
}

static bool claim_may_hold(const struct registry *registry, const struct claim *claim) {
    const char *reason;
    return claim_eligible(registry, claim, &reason) <= CLAIM_SUSPENDED;
}

static const char *kept_reason(enum claim_state state) {
    return state == CLAIM_SUSPENDED ? "DNS has led elsewhere for too long" : NULL;
}

enum claim_state claim_judge(const struct registry *registry, const struct claim *claim,
                             const char **ret_reason) {
    const struct place *place = claim_place(claim);
    const struct claim *holder = place->holder;
    enum claim_state state = claim_eligible(registry, claim, ret_reason);
    if (holder == claim) {
        *ret_reason = kept_reason(state);
        return state <= CLAIM_SUSPENDED ? state : CLAIM_VERIFIED;
    }
    const struct entry *entry = claim->entry;
    if (state == CLAIM_CONFLICT || (!holder && !standing_rival(place, entry->uid, entry->domain)))
        return state;
    *ret_reason =
        holder && holder->entry == entry ? "bound to another Ingress of this tenant" : taken;
    return CLAIM_CONFLICT;
}

const char *claim_state_name(enum claim_state state) {
    static const char *const names[] = {[CLAIM_VERIFIED] = "verified",
                                        [CLAIM_AT_RISK] = "at-risk",
                                        [CLAIM_SUSPENDED] = "suspended",
                                        [CLAIM_PENDING] = "pending",
                                        [CLAIM_CONFLICT] = "conflict"};
    return names[state];
}

static const struct claim *claim_of(const struct place *place, const struct entry *entry) {
    const struct claim *claim = place ? place->first : NULL;
    while (claim && claim->entry != entry)
        claim = claim->next;
    return claim;
}

/* Another tenant holds the name, or keeps it while no Ingress binds it: no wildcard above speaks for it. */
static bool is_anothers(const struct place *place, const struct entry *entry) {
    return place && ((place->holder && place->holder->entry != entry) ||
                     standing_rival(place, entry->uid, entry->domain));
}

bool zone_is_withheld(const struct registry *registry, const struct zone *zone,
                      const struct entry *entry) {
    const struct claim *holder = zone->exact.holder;
    const char *reason;
    if (!is_anothers(&zone->exact, entry))
        return false;
    return !holder || !holder->entry->live || !claim_routes(claim_judge(registry, holder, &reason));
}

/* The claim by which the entry speaks for this name: the one that holds it, or, while it is nobody else's, the entry's wildcard
 * above it. NULL: there is none. */
static const struct claim *host_claim(const struct registry *registry, const struct entry *entry,
                                      const char *host) {
    const struct place *place = place_find(registry, host);
    const char *dot = strchr(host, '.');
    if (place && place->holder)
        return place->holder->entry == entry ? place->holder : NULL;
    if (is_anothers(place, entry))
        return NULL;
    const struct zone *above =
        dot && !hostname_is_wildcard(host) ? zone_find(registry, dot + 1) : NULL;
    const struct claim *holder = above ? above->wildcard.holder : NULL;
    return holder && holder->entry == entry ? holder : NULL;
}

enum claim_state host_judge(const struct registry *registry, const struct entry *entry,
                            const char *host, const char **ret_reason) {
    *ret_reason = NULL;
    if (in_own_domain(entry, host))
        return CLAIM_VERIFIED;
    const struct claim *by = host_claim(registry, entry, host);
    if (by)
        return claim_judge(registry, by, ret_reason);
    const struct place *place = place_find(registry, host);
    const char *dot = strchr(host, '.');
    const struct zone *above =
        dot && !hostname_is_wildcard(host) ? zone_find(registry, dot + 1) : NULL;
    const struct claim *claim = claim_of(place, entry);
    if (!claim && !is_anothers(place, entry) && above)
        claim = claim_of(&above->wildcard, entry);
    if (claim)
        return claim_judge(registry, claim, ret_reason);
    const struct zone *domain =
        domain_above(registry, hostname_is_wildcard(host) ? host + 2 : host);
    bool foreign = domain && strcmp(domain->granted_to, entry->name);
    *ret_reason = platform_refusal(registry, host);
    if (!*ret_reason && (foreign || is_anothers(place, entry)))
        *ret_reason = taken;
    if (*ret_reason)
        return CLAIM_CONFLICT;
    *ret_reason = "not bound: put it into spec.tls.hosts of an Ingress";
    return CLAIM_PENDING;
}

/* ---- electing ---- */

static void holder_row(const struct claim *claim, struct change *change, bool held) {
    char text[256];
    json_t *value = json_pack("{ssssss}", "tenant", claim->entry->name, "uid", claim->entry->uid,
                              "ingress", claim->ingress);
    char *dump = json_dumps(value, JSON_COMPACT);
    change_row(change, held ? dump : NULL, "name/%s", claim_name(claim, text));
    free(dump);
    json_decref(value);
}

static struct claim *place_choose(const struct registry *registry, const struct place *place) {
    if (place->holder && (!place->holder->entry->live || claim_may_hold(registry, place->holder)))
        return place
            ->holder; /* not live yet: remembered from before a restart, its drop is still to come */
    for (struct claim *claim = place->first; claim; claim = claim->next)
        if (claim->entry->live && claim_may_hold(registry, claim))
            return claim;
    return NULL;
}

/* True when the place changed hands. `gone`: the holder was just taken out of the list, and is
 * still readable. */
static bool place_elect(struct registry *registry, struct place *place, const struct claim *gone,
                        struct change *change) {
    struct claim *before = place->holder, *now = place_choose(registry, place);
    place->holder = now;
    if (now && now != before)
        standings_yield(registry, place, now->entry, change);
    if (before == now && !gone)
        return false;
    if (now)
        holder_row(now, change, true);
    else if (before || gone)
        holder_row(before ? before : gone, change, false);
    if (before)
        entry_touch(registry, before->entry);
    if (now)
        entry_touch(registry, now->entry);
    standings_wake(registry, place, change);
    return true;
}

/* After a place changed hands, those whose eligibility hangs on it: exact names under a wildcard,
 * and the other way round. */
static void place_ripple(struct registry *registry, struct zone *zone, bool wildcard,
                         struct change *change) {
    if (!wildcard) {
        const struct claim *above = zone->parent ? zone->parent->wildcard.holder : NULL;
        if (above)
            entry_touch(registry, above->entry);
        return;
    }
    for (struct zone *child = zone->child; child; child = child->next)
        if (child->exact.first) {
            place_elect(registry, &child->exact, NULL, change);
            standings_hurry(registry, &child->exact, change);
        }
}

void place_renew(struct registry *registry, struct zone *zone, bool wildcard,
                 const struct claim *gone, struct change *change) {
    if (place_elect(registry, wildcard ? &zone->wildcard : &zone->exact, gone, change))
        place_ripple(registry, zone, wildcard, change);
}

/* ---- an entry's claims ---- */

static struct claim *claim_add(struct registry *registry, struct entry *entry, const char *name,
                               const char *ingress) {
    struct claim *claim = calloc(1, sizeof *claim);
    if (!claim || !(claim->ingress = strdup(ingress)))
        abort();
    claim->entry = entry;
    claim->wildcard = hostname_is_wildcard(name);
    claim->zone = zone_need(registry, claim->wildcard ? name + 2 : name);
    claim->next_of_entry = entry->claims;
    entry->claims = claim;
    struct place *place = claim_place(claim);
    claim->previous = place->last;
    *(place->last ? &place->last->next : &place->first) = claim;
    place->last = claim;
    standing_claimed(claim);
    return claim;
}

static void claim_unlink(struct place *place, struct claim *claim) {
    *(claim->previous ? &claim->previous->next : &place->first) = claim->next;
    *(claim->next ? &claim->next->previous : &place->last) = claim->previous;
}

/* Takes a claim out of its place; the place finds another holder. */
static void claim_drop(struct registry *registry, struct claim *claim, struct change *change) {
    struct place *place = claim_place(claim);
    claim_unlink(place, claim);
    standing_unclaimed(registry, claim, change);
    bool held = place->holder == claim;
    if (held) {
        place->holder = NULL;
        place_renew(registry, claim->zone, claim->wildcard, claim, change);
    }
    zone_tidy(registry, claim->zone);
    free(claim->ingress);
    free(claim);
}

static void claims_drop_unwanted(struct registry *registry, struct entry *entry,
                                 struct change *change) {
    for (struct claim **at = &entry->claims, *claim; (claim = *at);) {
        if (claim->wanted) {
            at = &claim->next_of_entry;
            continue;
        }
        *at = claim->next_of_entry;
        claim_drop(registry, claim, change);
    }
}

/* An election judges all claims of its place: one is enough, however many Ingresses bind the name. */
static void claims_renew(struct registry *registry, struct entry *entry, struct change *change) {
    registry->round++;
    for (struct claim *claim = entry->claims; claim; claim = claim->next_of_entry) {
        struct place *place = claim_place(claim);
        if (place->round != registry->round)
            place_renew(registry, claim->zone, claim->wildcard, NULL, change);
        place->round = registry->round;
        standing_renew(registry, claim, change);
    }
}

void names_update(struct registry *registry, struct entry *entry, const struct wanted_name *wanted,
                  size_t count, struct change *change) {
    struct table known = {0};
    struct stash *stash = stash_new();
    char text[256];
    for (struct claim *claim = entry->claims; claim; claim = claim->next_of_entry) {
        const char *key = stash_format(stash, "%s %s", claim_name(claim, text), claim->ingress);
        claim->wanted = false;
        table_put(&known, key, claim);
    }
    for (size_t i = 0; i < count; i++) {
        const char *key = stash_format(stash, "%s %s", wanted[i].name, wanted[i].ingress);
        struct claim *claim = table_get(&known, key);
        if (!claim)
            table_put(&known, key,
                      claim = claim_add(registry, entry, wanted[i].name, wanted[i].ingress));
        claim->wanted = true;
    }
    table_fini(&known);
    stash_free(stash);
    claims_drop_unwanted(registry, entry, change);
    claims_renew(registry, entry, change);
}

/* ---- domains ---- */

/* Anything in this tree that is another tenant's: its domain, or a name it holds or left behind. */
static bool tree_is_foreign(const struct zone *zone, const struct entry *entry) {
    if (zone->granted_to && strcmp(zone->granted_to, entry->name))
        return true;
    if (is_anothers(&zone->exact, entry) || is_anothers(&zone->wildcard, entry))
        return true;
    for (const struct zone *child = zone->child; child; child = child->next)
        if (tree_is_foreign(child, entry))
            return true;
    return false;
}

static const char *domain_refusal(const struct registry *registry, const struct entry *entry,
                                  const char *domain) {
    const struct zone *above = domain_above(registry, domain), *own = zone_find(registry, domain);
    const char *dot = strchr(domain, '.');
    const struct zone *parent = dot ? zone_find(registry, dot + 1) : NULL;
    const char *refusal = hostname_refusal(domain);
    if (refusal)
        return refusal;
    for (size_t i = 0; i < registry->zone_count; i++)
        if (hostname_under(registry->zone_name[i], domain))
            return "it is the platform's own zone, or above it";
    if (above && strcmp(above->granted_to, entry->name))
        return "it is, or lies below, a domain that was given to another tenant";
    if (parent && parent->wildcard.holder && parent->wildcard.holder->entry != entry)
        return "it lies under a wildcard that another tenant holds";
    if (own && tree_is_foreign(own, entry))
        return "another tenant has a name at or below it";
    return NULL;
}

bool domain_possible(const struct registry *registry, const struct entry *entry, const char *domain,
                     const char **ret_refusal) {
    *ret_refusal = domain_refusal(registry, entry, domain);
    return !*ret_refusal;
}

static void domain_keep(struct zone *zone, const char *tenant, const char *uid) {
    if (zone->parent)
        zone->parent->grants += !zone->granted_to;
    free(zone->granted_to);
    free(zone->granted_uid);
    zone->granted_to = strdup(tenant);
    zone->granted_uid = strdup(uid);
    if (!zone->granted_to || !zone->granted_uid)
        abort();
}

/* What is given stays the tenant's name's, also when the tenant goes: others' CNAMEs may still
 * point there. The operator
 * who makes a tenant of that name again may give it the domain again; nobody else gets it. */
bool domain_grant(struct registry *registry, struct entry *entry, const char *domain,
                  const char **ret_refusal, struct change *change) {
    *ret_refusal = domain_refusal(registry, entry, domain);
    if (*ret_refusal)
        return false;
    struct zone *zone = zone_need(registry, domain);
    if (zone->granted_uid && !strcmp(zone->granted_uid, entry->uid))
        return true;
    domain_keep(zone, entry->name, entry->uid);
    json_t *value = json_pack("{ssss}", "tenant", entry->name, "uid", entry->uid);
    char *dump = json_dumps(value, JSON_COMPACT);
    change_row(change, dump, "domain/%s", domain);
    free(dump);
    json_decref(value);
    return true;
}

/* ---- from the store, and the end ---- */

void domain_row(struct registry *registry, const char *domain, const char *tenant,
                const char *uid) {
    domain_keep(zone_need(registry, domain), tenant, uid);
}

void names_row(struct registry *registry, const char *name, struct entry *entry,
               const char *ingress) {
    const struct place *known = place_find(registry, name);
    for (const struct claim *c = known ? known->first : NULL; c; c = c->next)
        if (c->entry == entry && !strcmp(c->ingress, ingress))
            return;
    struct claim *claim = claim_add(registry, entry, name, ingress);
    struct place *place = claim_place(claim);
    if (!place->holder)
        place->holder = claim;
}

void names_fini(struct registry *registry) {
    struct zone *zone;
    for (size_t at = 0; (zone = table_next(&registry->zones, &at));) {
        standings_free(&zone->exact);
        standings_free(&zone->wildcard);
        free(zone->name);
        free(zone->granted_to);
        free(zone->granted_uid);
        free(zone);
    }
    table_fini(&registry->zones);
}
