/* SPDX-License-Identifier: GPL-3.0-or-later
 * looks.c - whose look at DNS is next, and what it brings.
 *
 *   standings of one tenant: a heap by when they are due     tenants: a heap by their first
 *
 * A tenant has at most LOOKS_PER_TENANT looks under way, and at most PENDING_MAX names that wait for their first proof: one with
 * ten thousand unproved names holds up no other's first look. Tenants whose looks are overdue take turns: next is who waited longest
 * since his last one, however long ago his names were due. Cost of a look: the logarithm of the names, not their number.
 */
#include "tenants/hostname.h"
#include "tenants/inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copied(const char *text) {
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort(); /* as in core/stash.c */
    return copy;
}

/* ---- whose ---- */

struct looker *looker_need(struct registry *registry, const char *uid, const char *tenant) {
    struct looker *looker = table_get(&registry->lookers, uid);
    if (looker)
        return looker;
    looker = calloc(1, sizeof *looker);
    if (!looker)
        abort();
    looker->uid = copied(uid);
    looker->tenant = copied(tenant);
    table_put(&registry->lookers, looker->uid, looker);
    return looker;
}

static void looker_free(struct looker *looker) {
    heap_fini(&looker->due);
    free(looker->uid);
    free(looker->tenant);
    free(looker->domain);
    free(looker);
}

void looker_tidy(struct registry *registry, const char *uid) {
    struct looker *looker = table_get(&registry->lookers, uid);
    if (!looker || looker->standings)
        return;
    heap_take(&registry->looks, &looker->turn);
    table_drop(&registry->lookers, uid);
    looker_free(looker);
}

void looks_fini(struct registry *registry) {
    struct looker *looker;
    for (size_t at = 0; (looker = table_next(&registry->lookers, &at));)
        looker_free(looker);
    table_fini(&registry->lookers);
    heap_fini(&registry->looks);
}

/* Where the tenant stands among the others. Everything its looks depend on ends here. */
static void looker_place(struct registry *registry, struct looker *looker) {
    const struct heap_item *first = heap_first(&looker->due);
    if (first && looker->under_way < LOOKS_PER_TENANT)
        heap_put(&registry->looks, &looker->turn,
                 first->key > looker->served ? first->key : looker->served);
    else
        heap_take(&registry->looks, &looker->turn);
}

static struct standing *standing_at(struct heap_item *item) {
    return (struct standing *)((char *)item - offsetof(struct standing, due));
}

static struct looker *looker_at(struct heap_item *item) {
    return (struct looker *)((char *)item - offsetof(struct looker, turn));
}

/* ---- when ---- */

void look_schedule(struct registry *registry, struct standing *s, int64_t when) {
    s->next_look = when;
    if (s->serial) /* one is under way: what it brings decides when the next one is */
        return;
    if (when)
        heap_put(&s->looker->due, &s->due, when);
    else
        heap_take(&s->looker->due, &s->due);
    looker_place(registry, s->looker);
}

void look_forget(struct registry *registry, struct standing *s) {
    if (s->serial)
        s->looker->under_way--;
    s->serial = 0;
    heap_take(&s->looker->due, &s->due);
    looker_place(registry, s->looker);
}

bool look_now(struct registry *registry, struct standing *s, int64_t now) {
    if (s->phase == PHASE_PENDING && (!s->claims || !standing_waits(s)))
        return false;
    s->again = s->serial;
    s->wait = 0;
    if (s->phase == PHASE_PENDING)
        s->since = now; /* seven days from here */
    look_schedule(registry, s, now);
    return true;
}

/* What a CNAME has to lead to is another name now: all of the tenant's names are looked at again. */
void looker_domain(struct registry *registry, struct entry *entry) {
    struct looker *looker = table_get(&registry->lookers, entry->uid);
    if (!looker || (looker->domain && entry->domain ? !strcmp(looker->domain, entry->domain)
                                                    : looker->domain == entry->domain))
        return;
    free(looker->domain);
    looker->domain = copied(entry->domain);
    for (struct claim *claim = entry->claims; claim; claim = claim->next_of_entry) {
        struct standing *s = standing_of(zone_place(claim->zone, claim->wildcard), entry->uid);
        if (s && (s->phase != PHASE_PENDING || s->next_look || s->serial))
            look_now(registry, s, registry->now);
    }
}

/* ---- taking looks ---- */

static void probe_label(struct registry *registry, char label[DNS_PROBE_LABEL_MAX + 1]) {
    snprintf(label, DNS_PROBE_LABEL_MAX + 1, "probe-%016llx",
             (unsigned long long)registry_random(registry));
}

static void check_fill(struct registry *registry, struct standing *s, struct name_check *check) {
    *check = (struct name_check){.wildcard = s->wildcard, .serial = s->serial};
    snprintf(check->name, sizeof check->name, "%s", s->zone->name);
    snprintf(check->uid, sizeof check->uid, "%s", s->looker->uid);
    for (size_t i = 0; s->wildcard && i < DNS_PROBES; i++)
        probe_label(registry, check->probe[i]);
}

static void look_begin(struct registry *registry, struct looker *looker, int64_t now,
                       struct name_check *check) {
    struct standing *s = standing_at(heap_first(&looker->due));
    heap_take(&looker->due, &s->due);
    s->serial = ++registry->look_serial;
    s->again = false;
    looker->under_way++;
    looker->served = now;
    looker_place(registry, looker);
    check_fill(registry, s, check);
}

/* A clock that was set back leaves nobody served in the future. */
static void turns_clamp(struct registry *registry, int64_t now) {
    struct looker *looker;
    for (size_t at = 0; now < registry->served && (looker = table_next(&registry->lookers, &at));) {
        looker->served = looker->served < now ? looker->served : now;
        looker_place(registry, looker);
    }
    registry->served = now;
}

size_t registry_due(struct registry *registry, int64_t now, struct name_check *check, size_t room,
                    int64_t *ret_next) {
    struct heap_item *first;
    size_t count = 0;
    turns_clamp(registry, now);
    while ((first = heap_first(&registry->looks)) && first->key <= now && count < room)
        look_begin(registry, looker_at(first), now, &check[count++]);
    first = heap_first(&registry->looks);
    *ret_next = first ? first->key : 0;
    return count;
}

/* ---- what they bring ---- */

void registry_saw(struct registry *registry, const struct name_check *check,
                  const struct dns_seen *seen, int64_t now, struct change *ret) {
    change_begin(registry, ret, now);
    struct standing *s = standing_find(registry, check->name, check->wildcard, check->uid);
    if (!s || !s->serial || s->serial != check->serial)
        return;
    s->serial = 0;
    s->looker->under_way--;
    standing_seen(registry, s, check, seen, ret);
    looker_tidy(registry, check->uid);
}

void registry_settle(struct registry *registry, int64_t now, struct change *ret) {
    change_begin(registry, ret, now);
    touched_compile(registry, now, ret);
}

void registry_seen(struct registry *registry, const struct name_check *check,
                   const struct dns_seen *seen, int64_t now, struct change *ret) {
    registry_saw(registry, check, seen, now, ret);
    touched_compile(registry, now, ret);
}

/* ---- by hand ---- */

static size_t place_recheck(struct registry *registry, const struct place *place,
                            const char *tenant, int64_t now) {
    size_t count = 0;
    for (struct standing *s = place ? place->standings : NULL; s; s = s->next)
        if (!tenant || !strcmp(s->looker->tenant, tenant))
            count += look_now(registry, s, now);
    return count;
}

size_t registry_recheck(struct registry *registry, const char *tenant, const char *name,
                        int64_t now) {
    const struct entry *entry = tenant ? entry_find(registry, tenant) : NULL;
    size_t count = 0;
    char text[256];
    if (name)
        return place_recheck(registry, place_find(registry, name), tenant, now);
    for (const struct claim *claim = entry ? entry->claims : NULL; claim;
         claim = claim->next_of_entry)
        count +=
            place_recheck(registry, place_find(registry, claim_name(claim, text)), tenant, now);
    return count;
}

bool registry_looked(const struct registry *registry, const char *tenant, const char *name,
                     int64_t since, enum fact *ret) {
    const struct entry *entry = entry_find(registry, tenant);
    const struct place *place = entry ? place_find(registry, name) : NULL;
    const struct standing *s = place ? standing_of(place, entry->uid) : NULL;
    const char *reason;
    *ret = FACT_NO;
    if (!entry || host_judge(registry, entry, name, &reason) != CLAIM_VERIFIED)
        return true;
    *ret = FACT_YES;
    if (!s || s->phase != PHASE_VERIFIED) /* it is the tenant's by other means */
        return true;
    *ret = s->wait ? FACT_UNKNOWN : FACT_YES;
    return !s->serial && !s->again && s->looked >= since;
}
