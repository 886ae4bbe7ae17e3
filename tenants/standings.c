/* SPDX-License-Identifier: GPL-3.0-or-later
 * standings.c - the standings of every name among the claims: when one is made, who may try to prove what somebody else keeps, what
 * a look changes, what is kept of it.
 *
 *   claim --needs proof--> standing (pending) --look--> verified: keeper of the place --> its claim is elected
 *
 * Rows: claim/NAME UID, and log/NUMBER for each transition.
 */
#include "tenants/hostname.h"
#include "tenants/inside.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct place *place_of(const struct standing *s) {
    return zone_place(s->zone, s->wildcard);
}

static const char *name_of(const struct standing *s, char text[256]) {
    snprintf(text, 256, "%s%s", s->wildcard ? "*." : "", s->zone->name);
    return text;
}

struct standing *standing_of(const struct place *place, const char *uid) {
    struct standing *s = place->standings;
    while (s && strcmp(s->looker->uid, uid))
        s = s->next;
    return s;
}

struct standing *standing_find(const struct registry *registry, const char *name, bool wildcard,
                               const char *uid) {
    struct zone *zone = table_get(&registry->zones, name);
    return zone ? standing_of(zone_place(zone, wildcard), uid) : NULL;
}

void standing_token(const struct registry *registry, const struct standing *s, char *token) {
    proof_token(registry->secret, registry->secret_length, s->looker->uid, s->zone->name,
                s->wildcard, token);
}

bool standing_token_is_void(const struct registry *registry, const struct standing *s) {
    char token[PROOF_TOKEN_LENGTH + 1];
    if (s->phase == PHASE_PENDING || !s->by_txt || !*s->token)
        return false;
    standing_token(registry, s, token);
    return strcmp(token, s->token) != 0;
}

/* ---- rows ---- */

static void dump_row(struct change *change, json_t *value, const char *key) {
    char *dump = json_dumps(value, JSON_COMPACT);
    if (dump)
        change_row(change, dump, "%s", key);
    free(dump);
    json_decref(value);
}

static void row_write(const struct standing *s, struct change *change) {
    char name[256], key[400];
    snprintf(key, sizeof key, "claim/%s %s", name_of(s, name), s->looker->uid);
    dump_row(change,
             json_pack("{ss ss ss? ss sI sI sI sI sI sb ss ss?}", "tenant", s->looker->tenant,
                       "uid", s->looker->uid, "domain", s->looker->domain, "phase",
                       phase_name(s->phase), "since", (json_int_t)s->since, "next",
                       (json_int_t)s->next_look, "wait", (json_int_t)s->wait, "txt",
                       (json_int_t)s->txt_since, "looked", (json_int_t)s->looked, "byTxt",
                       s->by_txt, "token", s->token, "seen", s->seen),
             key);
}

static void row_drop(const struct standing *s, struct change *change) {
    char name[256];
    change_row(change, NULL, "claim/%s %s", name_of(s, name), s->looker->uid);
}

/* What happened to whom, in order; the oldest go. */
static void transition_log(struct registry *registry, const struct standing *s, const char *from,
                           const char *to, const char *why, struct change *change) {
    char name[256], key[32];
    uint64_t number = registry->log_next++;
    snprintf(key, sizeof key, "log/%016" PRIx64, number);
    dump_row(change,
             json_pack("{sI ss ss ss ss ss ss?}", "at", (json_int_t)registry->now, "name",
                       name_of(s, name), "tenant", s->looker->tenant, "uid", s->looker->uid, "from",
                       from, "to", to, "why", why),
             key);
    if (number >= LOG_MAX)
        change_row(change, NULL, "log/%016" PRIx64, number - LOG_MAX);
}

void log_row(struct registry *registry, const char *key) {
    char *end;
    if (strncmp(key, "log/", 4))
        return;
    uint64_t number = strtoull(key + 4, &end, 16);
    if (!*end && number >= registry->log_next)
        registry->log_next = number + 1;
}

/* ---- making and ending ---- */

static unsigned claims_of(const struct place *place, const char *uid) {
    unsigned count = 0;
    for (const struct claim *claim = place->first; claim; claim = claim->next)
        count += !strcmp(claim->entry->uid, uid);
    return count;
}

/* ---- how many of a tenant's wait, and how many are kept for it ---- */

/* What is kept is taken from nobody: a tenant that leaves ever more behind is given no more to leave. */
static bool has_room(const struct looker *looker) {
    return looker->pending < PENDING_MAX && looker->kept < KEPT_MAX;
}

bool standing_waits(struct standing *s) {
    struct looker *looker = s->looker;
    s->capped = !s->counted && !has_room(looker);
    looker->over |= s->capped;
    looker->pending += !s->counted && !s->capped;
    s->counted = !s->capped;
    return s->counted;
}

/* There may be room again: others of the tenant's are looked at. */
static void room_use(struct registry *registry, struct looker *looker, struct change *change) {
    struct entry *entry = looker->over ? entry_find(registry, looker->tenant) : NULL;
    struct claim *claim = entry ? entry->claims : NULL;
    for (; claim && has_room(looker); claim = claim->next_of_entry) {
        struct place *place = zone_place(claim->zone, claim->wildcard);
        struct standing *other = standing_of(place, looker->uid);
        if (other && other->capped)
            standings_wake(registry, place, change);
    }
    looker->over = claim != NULL; /* the walk went not to the end: there may be more */
}

static void wait_end(struct registry *registry, struct standing *s, struct change *change) {
    bool counted = s->counted;
    s->counted = s->capped = false;
    s->looker->pending -= counted;
    if (counted)
        room_use(registry, s->looker, change);
}

/* True when it is something else than before. */
static bool seen_set(struct standing *s, const char *text) {
    const char *now = text ? text : "", *before = s->seen ? s->seen : "";
    if (!strcmp(now, before))
        return false;
    free(s->seen);
    s->seen = *now ? strdup(now) : NULL;
    return true;
}

static struct standing *standing_new(struct registry *registry, struct zone *zone, bool wildcard,
                                     struct looker *looker) {
    struct standing *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    *s = (struct standing){.zone = zone, .wildcard = wildcard, .looker = looker};
    struct place *place = zone_place(zone, wildcard);
    s->next = place->standings;
    place->standings = s;
    s->since = registry->now;
    s->claims = claims_of(place, looker->uid);
    looker->standings++;
    return s;
}

bool standing_left_behind(const struct standing *s) {
    return s->phase != PHASE_PENDING && !s->claims;
}

static void standing_unlink(struct standing *s) {
    struct place *place = place_of(s);
    struct standing **at = &place->standings;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (place->keeper == s)
        place->keeper = NULL;
}

static void standing_free(struct registry *registry, struct standing *s, struct change *change) {
    look_forget(registry, s);
    standing_unlink(s);
    wait_end(registry, s, change);
    if (standing_left_behind(s) && s->looker->kept-- == KEPT_MAX)
        room_use(registry, s->looker, change);
    s->looker->standings--;
    free(s->seen);
    free(s);
}

void standings_free(struct place *place) {
    for (struct standing *s = place->standings, *next; s; s = next) {
        next = s->next;
        free(s->seen);
        free(s);
    }
}

static void holder_touch(struct registry *registry, const struct place *place) {
    if (place->holder)
        entry_touch(registry, place->holder->entry);
}

/* He whose wildcard covers a name does not answer for it while it is kept for another, and does when it is so no more. */
static void cover_touch(struct registry *registry, const struct zone *zone, bool wildcard) {
    if (!wildcard && zone->parent)
        holder_touch(registry, &zone->parent->wildcard);
}

static void standing_end(struct registry *registry, struct standing *s, const char *to,
                         const char *why, struct change *change) {
    if (s->phase != PHASE_PENDING) {
        transition_log(registry, s, phase_name(s->phase), to, why, change);
        cover_touch(registry, s->zone, s->wildcard);
    }
    row_drop(s, change);
    standing_free(registry, s, change);
}

/* What was kept is kept no more: whoever still wants the name begins anew. The place is not elected again here. */
static void standing_lose(struct registry *registry, struct standing *s, const char *why,
                          struct change *change) {
    struct place *place = place_of(s);
    if (place->keeper == s)
        place->keeper = NULL;
    cover_touch(registry, s->zone, s->wildcard);
    if (!s->claims) {
        standing_end(registry, s, "released", why, change);
        return;
    }
    transition_log(registry, s, phase_name(s->phase), "released", why, change);
    s->phase = PHASE_PENDING;
    s->since = registry->now;
    s->wait = 0;
    look_schedule(registry, s, 0);
    row_write(s, change);
}

/* ---- who may try ---- */

/* A tenant made again under its name, and given its domain again, is another one. But what leads to that domain leads to it, so
 * it may prove as anybody may; whoever was there before can't come back. */
const struct standing *standing_rival(const struct place *place, const char *uid,
                                      const char *domain) {
    const struct standing *keeper = place->keeper;
    if (!keeper || !strcmp(keeper->looker->uid, uid))
        return NULL;
    bool follows = standing_left_behind(keeper) && domain && keeper->looker->domain &&
                   !strcmp(domain, keeper->looker->domain);
    return follows ? NULL : keeper;
}

bool standing_contested(const struct standing *s) {
    return standing_rival(place_of(s), s->looker->uid, s->looker->domain) ||
           under_foreign_wildcard(s->zone, s->wildcard, s->looker->uid);
}

/* Somebody else holds the name, and nothing is wrong with that. */
static bool is_barred(const struct standing *s) {
    const struct place *place = place_of(s);
    const struct claim *holder = place->holder;
    if (!holder || !strcmp(holder->entry->uid, s->looker->uid))
        return false;
    const struct standing *keeper = place->keeper;
    bool kept = keeper && !strcmp(keeper->looker->uid, holder->entry->uid);
    return !kept || keeper->phase == PHASE_VERIFIED;
}

static void standing_wake(struct registry *registry, struct standing *s, struct change *change) {
    if (s->phase != PHASE_PENDING)
        return;
    bool rests =
        !s->claims || is_barred(s) ||
        (!registry->loaded && standing_gave_up(s)); /* a restart is no reason to try again */
    if (rests)
        wait_end(registry, s, change);
    else
        rests = !standing_waits(s);
    if (rests == !s->next_look)
        return;
    if (!rests) {
        s->since = registry->now;
        s->wait = 0;
    }
    look_schedule(registry, s, rests ? 0 : registry->now);
    row_write(s, change);
}

void standings_wake(struct registry *registry, struct place *place, struct change *change) {
    for (struct standing *s = place->standings; s; s = s->next)
        standing_wake(registry, s, change);
}

void standings_hurry(struct registry *registry, struct place *place, struct change *change) {
    standings_wake(registry, place, change);
    for (struct standing *s = place->standings; s; s = s->next)
        if (s->counted && look_now(registry, s, registry->now))
            row_write(s, change);
}

void standings_yield(struct registry *registry, struct place *place, const struct entry *winner,
                     struct change *change) {
    if (place->keeper && strcmp(place->keeper->looker->uid, winner->uid))
        standing_lose(registry, place->keeper, "another tenant holds the name by right", change);
}

/* ---- claims come and go ---- */

void standing_claimed(struct claim *claim) {
    struct standing *s = standing_of(zone_place(claim->zone, claim->wildcard), claim->entry->uid);
    if (!s)
        return;
    s->looker->kept -= standing_left_behind(s);
    s->claims++;
}

void standing_unclaimed(struct registry *registry, struct claim *claim, struct change *change) {
    struct standing *s = standing_of(zone_place(claim->zone, claim->wildcard), claim->entry->uid);
    if (!s || --s->claims)
        return;
    if (s->phase == PHASE_PENDING) {
        row_drop(s, change);
        standing_free(registry, s, change);
        return;
    }
    s->looker->kept++;
    transition_log(registry, s, phase_name(s->phase), "tombstone", "no Ingress binds it any more",
                   change);
    row_write(s, change);
}

static void standing_begin(struct registry *registry, struct claim *claim, struct change *change) {
    struct looker *looker = looker_need(registry, claim->entry->uid, claim->entry->name);
    struct place *place = zone_place(claim->zone, claim->wildcard);
    looker_domain(registry, claim->entry);
    struct standing *s = standing_new(registry, claim->zone, claim->wildcard, looker);
    standing_wake(registry, s, change);
    row_write(s, change);
    if (place->keeper && standing_left_behind(place->keeper)) /* does DNS still say so? */
        look_schedule(registry, place->keeper, registry->now);
}

void standing_renew(struct registry *registry, struct claim *claim, struct change *change) {
    struct standing *s = standing_of(zone_place(claim->zone, claim->wildcard), claim->entry->uid);
    bool needed = claim_needs_proof(registry, claim);
    if (needed && !s)
        standing_begin(registry, claim, change);
    else if (needed)
        standing_wake(registry, s, change);
    else if (s && claim->entry->live)
        standing_end(registry, s, "released", "it needs no proof any more, or can have none",
                     change);
}

/* A zone that is tidied away takes its empty parents along. Parents come first: each stays for its child's sake until its child has
 * had its turn, so that none is met again after it is gone. */
static int parents_first(const void *left, const void *right) {
    size_t a = strlen((*(struct zone *const *)left)->name),
           b = strlen((*(struct zone *const *)right)->name);
    return (a > b) - (a < b);
}

void standings_loaded(struct registry *registry, struct change *change) {
    struct zone *zone, **list = calloc(registry->zones.count + 1, sizeof(struct zone *));
    size_t count = 0;
    if (!list)
        abort();
    for (size_t at = 0; (zone = table_next(&registry->zones, &at));)
        if (zone->exact.standings || zone->wildcard.standings)
            list[count++] = zone;
    for (size_t i = 0; i < count; i++)
        for (int wildcard = 0; wildcard < 2; wildcard++)
            for (struct standing *s = zone_place(list[i], wildcard)->standings, *next; s;
                 s = next) {
                next = s->next;
                if (s->phase == PHASE_PENDING && !s->claims)
                    standing_end(registry, s, "released", "", change);
            }
    qsort(list, count, sizeof *list, parents_first);
    for (size_t i = 0; i < count; i++)
        zone_tidy(registry, list[i]);
    free(list);
}

/* ---- what a look changes ---- */

static void facts_get(const struct registry *registry, const struct standing *s,
                      const struct name_check *check, const struct dns_seen *seen,
                      struct proof_facts *ret) {
    char token[PROOF_TOKEN_LENGTH + 1];
    bool proven = s->phase != PHASE_PENDING && s->by_txt && *s->token;
    standing_token(registry, s, token);
    proof_read(check, seen,
               &(struct proof_rules){.domain = s->looker->domain,
                                     .token = token,
                                     .proven = proven ? s->token : NULL,
                                     .zone = (const char *const *)registry->zone_name,
                                     .zone_count = registry->zone_count,
                                     .edge = registry->edge,
                                     .edge_count = registry->edge_count},
               ret);
}

/* The events of a tenant with a thousand pending names are not made anew for each of a thousand looks. */
static void news_note(struct registry *registry, const struct looker *looker) {
    struct entry *entry = entry_find(registry, looker->tenant);
    if (entry && !strcmp(entry->uid, looker->uid))
        entry->news = true;
}

static void standing_won(struct registry *registry, struct standing *s, struct change *change) {
    struct place *place = place_of(s);
    wait_end(registry, s, change);
    if (place->keeper)
        standing_lose(registry, place->keeper, "another tenant proved it", change);
    place->keeper = s;
}

static void standing_moved(struct registry *registry, struct standing *s, enum phase from,
                           struct change *change) {
    struct place *place = place_of(s);
    transition_log(registry, s, phase_name(from), phase_name(s->phase), s->seen, change);
    if (from == PHASE_PENDING)
        standing_won(registry, s, change);
    place_renew(registry, s->zone, s->wildcard, NULL, change);
    standings_wake(registry, place, change);
    holder_touch(registry, place);
    cover_touch(registry, s->zone, s->wildcard);
}

static void standing_released(struct registry *registry, struct standing *s, const char *why,
                              struct change *change) {
    struct zone *zone = s->zone;
    bool wildcard = s->wildcard;
    standing_lose(registry, s, why, change);
    place_renew(registry, zone, wildcard, NULL, change);
    standings_hurry(registry, zone_place(zone, wildcard), change);
    zone_tidy(registry, zone);
}

static const char txt_waits[] = "the TXT record is there; as its zone is not signed, it has to be "
                                "there a few seconds later, too";

/* What proves the name now will go on doing so, should the edge lose its key. */
static void token_keep(struct registry *registry, struct standing *s) {
    if (standing_token_is_void(registry, s))
        news_note(registry, s->looker); /* it has been replaced */
    *s->token = 0;
    if (s->by_txt)
        standing_token(registry, s, s->token);
}

static void standing_look_over(struct registry *registry, struct standing *s,
                               const struct proof_facts *facts, bool txt_only,
                               struct change *change) {
    enum phase from = s->phase;
    struct verdict_on_name verdict = {.proved = proof_judge(facts, s->wildcard, txt_only),
                                      .by_txt = proof_hangs_on_txt(facts, txt_only),
                                      .trusted = facts->secure};
    enum outcome outcome =
        standing_judged(s, &verdict, registry->now, registry->recheck_s, registry_random(registry));
    bool waits = verdict.proved == FACT_YES && s->phase == PHASE_PENDING;
    if (verdict.proved == FACT_YES && !facts->void_token)
        token_keep(registry, s);
    bool news = seen_set(s, waits ? txt_waits : verdict.proved == FACT_YES ? NULL : facts->seen);
    if (outcome == OUTCOME_RELEASED) {
        standing_released(registry, s, facts->seen, change);
        return;
    }
    look_schedule(registry, s, s->again ? registry->now : s->next_look);
    s->again = false;
    if (!s->next_look) /* given up */
        wait_end(registry, s, change);
    row_write(s, change);
    if (outcome == OUTCOME_MOVED)
        standing_moved(registry, s, from, change);
    else if (news)
        news_note(registry, s->looker);
}

void standing_seen(struct registry *registry, struct standing *s, const struct name_check *check,
                   const struct dns_seen *seen, struct change *change) {
    struct proof_facts facts;
    bool pending = s->phase == PHASE_PENDING;
    if (pending && is_barred(s)) { /* somebody was faster */
        wait_end(registry, s, change);
        look_schedule(registry, s, 0);
        row_write(s, change);
        return;
    }
    facts_get(registry, s, check, seen, &facts);
    standing_look_over(registry, s, &facts, pending && standing_contested(s), change);
}

/* ---- from the store ---- */

static void standing_fill(struct standing *s, const json_t *value, enum phase phase) {
    const char *token = json_string_value(json_object_get(value, "token"));
#define INTEGER(key) json_integer_value(json_object_get(value, key))
    s->phase = phase;
    s->since = INTEGER("since");
    s->next_look = INTEGER("next");
    s->wait = INTEGER("wait");
    s->txt_since = INTEGER("txt");
    s->looked = INTEGER("looked");
#undef INTEGER
    s->by_txt = json_is_true(json_object_get(value, "byTxt"));
    snprintf(s->token, sizeof s->token, "%s", token ? token : "");
    seen_set(s, json_string_value(json_object_get(value, "seen")));
}

static void standing_read(struct registry *registry, const char *name, const json_t *value,
                          enum phase phase) {
    const char *uid = json_string_value(json_object_get(value, "uid")),
               *tenant = json_string_value(json_object_get(value, "tenant")),
               *domain = json_string_value(json_object_get(value, "domain"));
    bool wildcard = hostname_is_wildcard(name);
    struct zone *zone = zone_need(registry, wildcard ? name + 2 : name);
    struct place *place = zone_place(zone, wildcard);
    struct looker *looker = looker_need(registry, uid, tenant);
    if (standing_of(place, uid) || (phase != PHASE_PENDING && place->keeper))
        return; /* a second keeper: the first one read stays */
    if (!looker->domain && domain)
        looker->domain = strdup(domain);
    struct standing *s = standing_new(registry, zone, wildcard, looker);
    standing_fill(s, value, phase);
    s->counted = phase == PHASE_PENDING && s->next_look;
    looker->pending += s->counted;
    looker->kept +=
        standing_left_behind(s); /* until its claims come, before which nobody is looked at */
    if (phase != PHASE_PENDING)
        place->keeper = s;
    look_schedule(registry, s, s->next_look);
}

/* "claim/NAME UID" */
void standing_row(struct registry *registry, const char *key, const char *text) {
    char name[256];
    const char *why;
    enum phase phase;
    if (strncmp(key, "claim/", 6) || sscanf(key + 6, "%255[^ ]", name) != 1)
        return;
    json_t *value = json_loads(text, 0, NULL);
    struct stash *stash = stash_new();
    const char *normal = hostname_normalise(stash, name, true, &why),
               *tenant = json_string_value(json_object_get(value, "tenant"));
    if (normal && !strcmp(normal, name) && tenant && tenant_name_good(tenant) &&
        json_string_value(json_object_get(value, "uid")) &&
        phase_read(json_string_value(json_object_get(value, "phase")), &phase))
        standing_read(registry, name, value, phase);
    stash_free(stash);
    json_decref(value);
}
