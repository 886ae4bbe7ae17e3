/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_claims.c - who gets a name: stories of two tenants, and a hostile month of random ones.
 *
 * The month: tenants, names, DNS and time change at random; after each step no name routes for two tenants, none routes unproved, no
 * wildcard answers for what somebody else holds or keeps, an answer of "unknown" has changed nothing, and a restart finds everything
 * as it was. RINGRESS_SEED and RINGRESS_STEPS repeat and lengthen it.
 */
#include "tenants/standing.h"
#include "tests/unit/small_edge.h"
#include <time.h>

#define DAY 86400ll

/* ---- what DNS says, for the looks of a story ---- */

enum { ACME_T = 0, GLOBEX_T, INITECH_T, TENANT_KINDS = 4, NAMES = 5 };
static const char *const tenant_name[TENANT_KINDS] = {"acme", "globex", "initech", "umbrella"};
static const char *const names[NAMES] = {"web.example.com", "example.com", "*.example.com",
                                         "deep.web.example.com", "shop.example.org"};

struct zone_data { /* of one name */
    int cname;     /* which tenant's domain it leads to; -1: none, -2: elsewhere */
    int address;   /* 0 none, 1 the edge's, 2 another's */
    bool txt[TENANT_KINDS];
    bool down;
    const char *text; /* at the challenge, beside the tokens; or NULL */
};
struct world {
    struct edge edge;
    struct zone_data zone[NAMES];
    int64_t now;
};

static void world_begin(struct world *w) {
    memset(w, 0, sizeof *w);
    edge_begin(&w->edge);
    w->now = 1000;
    for (int i = 0; i < NAMES; i++)
        w->zone[i].cname = -1;
}

static int world_make(void **state) {
    static struct world w;
    world_begin(&w);
    *state = &w;
    return 0;
}

static int world_end(void **state) {
    struct world *w = *state;
    edge_end(&w->edge);
    return 0;
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_make, world_end)

static int name_index(const struct name_check *check) {
    for (int i = 0; i < NAMES; i++)
        if (check->wildcard
                ? !strcmp(names[i], "*.example.com") && !strcmp(check->name, "example.com")
                : !strcmp(names[i], check->name))
            return i;
    fail_msg("asked for %s", check->name);
    return 0;
}

static void chain_fill(struct dns_chain *chain, int cname) {
    chain->answer = cname == -1 ? DNS_NONE : DNS_DATA;
    if (cname == -1)
        return;
    chain->count = 1;
    if (cname == -2)
        snprintf(chain->hop[0], sizeof chain->hop[0], "elsewhere.example.net");
    else
        snprintf(chain->hop[0], sizeof chain->hop[0], "in.%s.1d.pt", tenant_name[cname]);
}

static void text_add(struct dns_texts *texts, const char *value) {
    struct dns_text *text = &texts->text[texts->count++];
    text->length = strlen(value);
    memcpy(text->data, value, text->length);
}

/* The tenant's own token, as `get domains` tells it. */
static void token_add(struct world *w, int tenant, int name, struct dns_texts *texts) {
    json_t *rows = view_domains(w->edge.registry, tenant_name[tenant]), *row, *record;
    size_t i, k;
    json_array_foreach(rows, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "domain")), names[name]))
            continue;
        json_array_foreach(json_object_get(row, "records"), k, record) {
            if (strcmp(json_string_value(json_object_get(record, "type")), "TXT"))
                continue;
            text_add(texts, json_string_value(json_object_get(record, "value")));
        }
    }
    json_decref(rows);
}

static void seen_fill(struct world *w, const struct name_check *check, struct dns_seen *seen) {
    int name = name_index(check);
    const struct zone_data *z = &w->zone[name];
    memset(seen, 0, sizeof *seen); /* all unknown */
    if (z->down)
        return;
    chain_fill(&seen->chain, z->cname);
    chain_fill(&seen->probe[0], z->cname);
    chain_fill(&seen->probe[1], z->cname);
    seen->a.answer = z->address ? DNS_DATA : DNS_NONE;
    seen->aaaa.answer = DNS_NONE;
    if (z->address)
        address_parse(z->address == 1 ? "203.0.113.7" : "198.51.100.1", 0,
                      &seen->a.address[seen->a.count++]);
    seen->challenge.alias.answer = DNS_NONE;
    for (int t = 0; t < TENANT_KINDS; t++)
        if (z->txt[t])
            token_add(w, t, name, &seen->challenge);
    if (z->text)
        text_add(&seen->challenge, z->text);
    seen->challenge.answer = seen->challenge.count ? DNS_DATA : DNS_NONE;
}

static void answer(struct world *w, const struct name_check *check) {
    static struct dns_seen seen;
    struct change change;
    seen_fill(w, check, &seen);
    registry_seen(w->edge.registry, check, &seen, w->now, &change);
    change_take(&w->edge, &change);
}

/* Every look that is due now, and those that follow at once. */
static unsigned look(struct world *w) {
    struct name_check check[8];
    int64_t next;
    unsigned looks = 0;
    for (size_t n; (n = registry_due(w->edge.registry, w->now, check, 8, &next));)
        for (size_t i = 0; i < n; i++, looks++)
            answer(w, &check[i]);
    return looks;
}

/* Time passes, and every look is made when it is due. */
static void live_until(struct world *w, int64_t until) {
    struct name_check check[1];
    int64_t next;
    for (;;) {
        look(w);
        registry_due(w->edge.registry, w->now, check, 0, &next);
        if (!next || next > until)
            break;
        w->now = next > w->now ? next : w->now;
    }
    w->now = until;
    look(w);
}

/* ---- drops ---- */

struct wants {
    bool here, name[NAMES], vouched[NAMES];
};

static void drop(struct world *w, int tenant, const struct wants *wants) {
    char text[4096], list[512] = "", vouched[512] = "";
    for (int i = 0; i < NAMES; i++) {
        if (wants->name[i])
            sprintf(list + strlen(list), "%s'%s'", *list ? ", " : "", names[i]);
        if (wants->vouched[i])
            sprintf(vouched + strlen(vouched), "%s'%s'", *vouched ? ", " : "", names[i]);
    }
    snprintf(
        text, sizeof text,
        "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {domain: %s.1d.pt, "
        "domains: [%s], network: {allow: [10.11.0.0/16]}}\n---\n" ECHO
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec:\n"
        "  tls: [{hosts: [%s]}]\n  defaultBackend: {service: {name: echo, port: {number: 80}}}\n",
        tenant_name[tenant], tenant_name[tenant], vouched, list);
    if (!put_named(&w->edge, tenant_name[tenant], false, "t.yaml", text, w->now))
        fail_msg("%s: %s", text, w->edge.diags.item[0].message);
}

static void binds(struct world *w, int tenant, const char *name) {
    struct wants wants = {0};
    for (int i = 0; name && i < NAMES; i++)
        wants.name[i] = !strcmp(names[i], name);
    drop(w, tenant, &wants);
}

static const char *state_of(struct world *w, int tenant, const char *name) {
    return domain_state(&w->edge, tenant_name[tenant], name);
}

static const char *domain_field(struct world *w, int tenant, const char *name, const char *field) {
    return field_of(view_domains(w->edge.registry, tenant_name[tenant]), "domain", name, field);
}

static bool routes(struct world *w, int tenant, const char *name) {
    return named(&w->edge, tenant_name[tenant], name) != NULL;
}

static struct zone_data *dns(struct world *w, const char *name) {
    for (int i = 0; i < NAMES; i++)
        if (!strcmp(names[i], name))
            return &w->zone[i];
    return NULL;
}

static size_t rows_of(const struct world *w, const char *prefix) {
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(w->edge.rows, key, value) count += !strncmp(key, prefix, strlen(prefix));
    return count;
}

static void restart(struct world *w, const struct wants wants[TENANT_KINDS]) {
    struct change change;
    edge_restart(&w->edge);
    for (int t = 0; t < TENANT_KINDS; t++)
        if (wants[t].here)
            drop(w, t, &wants[t]);
    registry_loaded(w->edge.registry, w->now, &change);
    change_take(&w->edge, &change);
}

/* ---- stories ---- */

#define WEB "web.example.com"

static void a_name_routes_when_its_cname_leads_here_and_not_before(void **state) {
    struct world *w = *state;
    binds(w, ACME_T, WEB);
    assert_int_equal(look(w), 1); /* at once */
    assert_string_equal(state_of(w, ACME_T, WEB), "pending");
    assert_false(routes(w, ACME_T, WEB));
    dns(w, WEB)->cname = ACME_T;
    live_until(w, w->now + 10);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    assert_true(routes(w, ACME_T, WEB));
}

static void the_first_to_prove_wins_not_the_first_to_come(void **state) {
    struct world *w = *state;
    binds(w, GLOBEX_T, WEB);
    look(w);
    w->now += 3600;
    binds(w, ACME_T, WEB);
    dns(w, WEB)->cname = ACME_T;
    live_until(w, w->now + DAY);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    char *text = describe_domain(w->edge.registry, "globex", WEB);
    assert_non_null(strstr(text, "taken"));
    assert_null(strstr(text, "acme"));
    free(text);
}

static void a_name_that_is_held_firmly_is_not_looked_at_for_others(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    binds(w, GLOBEX_T, WEB);
    assert_int_equal(look(w), 0);
}

static void servers_that_fail_drop_nobody(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    dns(w, WEB)->down = true;
    live_until(w, w->now + 200 * DAY);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    assert_true(routes(w, ACME_T, WEB));
}

static void a_name_that_leads_away_is_warned_of_suspended_and_given_up(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    dns(w, WEB)->cname = -2;
    live_until(w, w->now + 2 * 3600);
    assert_string_equal(state_of(w, ACME_T, WEB), "at-risk");
    assert_true(routes(w, ACME_T, WEB));
    char *text = describe_ingress(w->edge.registry, "acme", "web");
    assert_non_null(strstr(text, "HostAtRisk"));
    assert_non_null(strstr(text, "elsewhere.example.net"));
    free(text);
    live_until(w, w->now + 73 * 3600);
    assert_string_equal(state_of(w, ACME_T, WEB), "suspended");
    assert_false(routes(w, ACME_T, WEB));
    dns(w, WEB)->cname = ACME_T;
    live_until(w, w->now + 2 * 3600);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    assert_true(routes(w, ACME_T, WEB));
    dns(w, WEB)->cname = -1;
    live_until(w, w->now + 34 * DAY);
    assert_string_equal(state_of(w, ACME_T, WEB), "pending");
}

static void doubt_opens_a_name_to_a_fresh_txt_only(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    binds(w, GLOBEX_T, WEB);
    dns(w, WEB)->cname = GLOBEX_T;
    live_until(w, w->now + 4 * 3600);
    assert_string_equal(state_of(w, ACME_T, WEB), "at-risk");
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    dns(w, WEB)->txt[GLOBEX_T] = true;
    live_until(w, w->now + 8 * 3600);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "verified");
    assert_string_equal(state_of(w, ACME_T, WEB), "conflict");
    assert_true(routes(w, GLOBEX_T, WEB) && !routes(w, ACME_T, WEB));
}

static void a_dangling_cname_keeps_the_name_for_who_is_gone(void **state) {
    struct world *w = *state;
    struct change change;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    drop_gone(&w->edge, "acme", w->now);
    binds(w, GLOBEX_T, WEB);
    live_until(w, w->now + 6 * DAY);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    /* The operator makes a tenant of the same name: another one, by its UID. */
    binds(w, ACME_T, WEB);
    live_until(w, w->now + 60);
    assert_false(routes(w, GLOBEX_T, WEB));
    /* DNS leads away at last: the tombstone goes, and who is led to gets it. */
    drop_gone(&w->edge, "acme", w->now);
    dns(w, WEB)->cname = GLOBEX_T;
    registry_recheck(w->edge.registry, NULL, WEB, w->now);
    live_until(w, w->now + DAY);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "verified");
    assert_int_equal(rows_of(w, "claim/"), 1);
    registry_tick(w->edge.registry, w->now, &change);
    change_take(&w->edge, &change);
}

static void a_name_moves_between_ingresses_of_one_tenant_without_a_look(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    binds(w, ACME_T, NULL);
    assert_false(routes(w, ACME_T, WEB));
    dns(w, WEB)->down = true;
    binds(w, ACME_T, WEB);
    assert_true(routes(w, ACME_T, WEB));
}

static void under_anothers_wildcard_only_a_txt_takes_a_name(void **state) {
    struct world *w = *state;
    dns(w, "*.example.com")->cname = ACME_T;
    binds(w, ACME_T, "*.example.com");
    look(w);
    assert_string_equal(state_of(w, ACME_T, "*.example.com"), "verified");
    dns(w, WEB)->cname = GLOBEX_T;
    binds(w, GLOBEX_T, WEB);
    live_until(w, w->now + 100);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    dns(w, WEB)->txt[GLOBEX_T] = true;
    live_until(w, w->now + 3600);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "verified");
    assert_true(routes(w, GLOBEX_T, WEB) && routes(w, ACME_T, "*.example.com"));
}

static void what_is_kept_for_one_is_no_rule_of_anothers_wildcard(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    dns(w, "*.example.com")->cname = GLOBEX_T;
    binds(w, ACME_T, WEB);
    look(w);
    assert_true(put_named(&w->edge, "globex", false, "t.yaml",
                          TENANT("globex", "domain: globex.1d.pt, network: {allow: [10.11.0.0/16]}")
                              ECHO INGRESS("web", "'*.example.com'", WEB),
                          w->now));
    look(w);
    assert_string_equal(state_of(w, GLOBEX_T, "*.example.com"), "verified");
    assert_true(routes(w, ACME_T, WEB) && !routes(w, GLOBEX_T, WEB));
    binds(w, ACME_T, NULL);
    assert_false(routes(w, GLOBEX_T, WEB));
    char *text = describe_ingress(w->edge.registry, "globex", "web");
    assert_non_null(strstr(text, "HostTaken"));
    assert_null(strstr(text, "acme"));
    free(text);
    dns(w, WEB)->cname =
        -1; /* nothing leads to acme any more: what is under the wildcard is globex's */
    live_until(w, w->now + 2 * 3600);
    assert_true(routes(w, GLOBEX_T, WEB));
}

static const char *reaches(const struct world *w, const char *name) {
    const char *found = reached(&w->edge, name);
    return found ? found : "nobody";
}

/* The wildcard's holder has no rule for the name: what it says of the wildcard would answer. */
static void what_is_kept_for_one_is_not_answered_by_anothers_wildcard(void **state) {
    struct world *w = *state;
    struct wants wants[TENANT_KINDS] = {
        {.here = true, .name = {true}}, [GLOBEX_T] = {.here = true, .name = {[2] = true}}};
    dns(w, WEB)->cname = ACME_T;
    dns(w, "*.example.com")->cname = GLOBEX_T;
    drop(w, ACME_T, &wants[ACME_T]);
    drop(w, GLOBEX_T, &wants[GLOBEX_T]);
    look(w);
    assert_string_equal(reaches(w, WEB), "acme");
    assert_string_equal(reaches(w, "other.example.com"), "globex");
    binds(w, ACME_T, NULL);
    assert_string_equal(reaches(w, WEB), "nobody");
    char *text = explain_name(w->edge.registry, WEB);
    assert_non_null(strstr(text, "it is kept for tenant acme"));
    free(text);
    wants[ACME_T].name[0] = false;
    restart(w, wants);
    assert_string_equal(reaches(w, WEB), "nobody");
    drop_gone(&w->edge, "acme", w->now);
    assert_string_equal(reaches(w, WEB), "nobody");
    wants[ACME_T].here = false;
    restart(w, wants);
    assert_string_equal(reaches(w, WEB), "nobody");
    assert_string_equal(reaches(w, "other.example.com"), "globex");
    dns(w, WEB)->cname = -1;
    live_until(w, w->now + 3 * 3600);
    assert_string_equal(reaches(w, WEB), "globex");
}

static void a_suspended_name_is_not_answered_by_anothers_wildcard(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    dns(w, "*.example.com")->cname = GLOBEX_T;
    binds(w, ACME_T, WEB);
    binds(w, GLOBEX_T, "*.example.com");
    look(w);
    dns(w, WEB)->cname = GLOBEX_T; /* by the wildcard record: acme's own is gone */
    live_until(w, w->now + 2 * 3600);
    assert_string_equal(reaches(w, WEB), "acme"); /* at risk */
    live_until(w, w->now + 74 * 3600);
    assert_string_equal(state_of(w, ACME_T, WEB), "suspended");
    assert_string_equal(reaches(w, WEB), "nobody");
    dns(w, WEB)->cname = ACME_T;
    live_until(w, w->now + 2 * 3600);
    assert_string_equal(reaches(w, WEB), "acme");
    dns(w, WEB)->cname = GLOBEX_T;
    live_until(w, w->now + 4 * DAY);
    assert_string_equal(reaches(w, WEB), "nobody");
    live_until(w, w->now + 31 * DAY); /* released */
    assert_string_equal(reaches(w, WEB), "globex");
}

static void a_wildcard_that_comes_later_does_not_answer_for_what_is_kept(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    drop_gone(&w->edge, "acme", w->now);
    dns(w, "*.example.com")->cname = GLOBEX_T;
    binds(w, GLOBEX_T, "*.example.com");
    look(w);
    assert_string_equal(reaches(w, "other.example.com"), "globex");
    assert_string_equal(reaches(w, WEB), "nobody");
    /* acme made again, with its domain: what leads there leads to it, and its wildcard is its own */
    drop_gone(&w->edge, "globex", w->now);
    dns(w, "*.example.com")->cname = ACME_T;
    registry_recheck(w->edge.registry, NULL, "*.example.com", w->now);
    live_until(w, w->now + 3 * 3600);
    binds(w, ACME_T, "*.example.com");
    look(w);
    assert_string_equal(reaches(w, WEB), "acme");
}

static void an_answer_to_a_look_that_is_over_is_nobodys(void **state) {
    struct world *w = *state;
    struct name_check check;
    int64_t next;
    binds(w, ACME_T, WEB);
    assert_int_equal(registry_due(w->edge.registry, w->now, &check, 1, &next), 1);
    binds(w, ACME_T, NULL);
    binds(w, ACME_T, WEB);
    dns(w, WEB)->cname = ACME_T;
    answer(w, &check);
    assert_false(routes(w, ACME_T, WEB));
    look(w);
    assert_true(routes(w, ACME_T, WEB));
}

static void of_two_looks_under_way_the_first_answer_wins(void **state) {
    struct world *w = *state;
    struct name_check check[2];
    int64_t next;
    *dns(w, WEB) = (struct zone_data){.cname = ACME_T, .address = 1, .txt = {true, true}};
    binds(w, ACME_T, WEB);
    binds(w, GLOBEX_T, WEB);
    assert_int_equal(registry_due(w->edge.registry, w->now, check, 2, &next), 2);
    bool acme_first = !strcmp(check[0].uid, live(&w->edge, "acme")->uid);
    answer(w, &check[acme_first ? 0 : 1]);
    assert_true(routes(w, ACME_T, WEB));
    w->now += TXT_REPEAT_S;
    answer(w, &check[acme_first ? 1 : 0]);
    live_until(w, w->now + 60); /* a proof of globex's does not make acme's any worse */
    assert_true(routes(w, ACME_T, WEB) && !routes(w, GLOBEX_T, WEB));
}

static void a_tenant_may_go_before_what_its_looks_said_is_compiled(void **state) {
    static struct dns_seen seen;
    struct world *w = *state;
    struct name_check check;
    struct change change;
    int64_t next;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    assert_int_equal(registry_due(w->edge.registry, w->now, &check, 1, &next), 1);
    seen_fill(w, &check, &seen);
    registry_saw(w->edge.registry, &check, &seen, w->now, &change);
    change_take(&w->edge, &change);
    assert_false(routes(w, ACME_T, WEB)); /* not yet */
    drop_gone(&w->edge, "acme", w->now);
    registry_settle(w->edge.registry, w->now, &change);
    assert_int_equal(change.tenant_count, 0);
    change_take(&w->edge, &change);
    assert_null(live(&w->edge, "acme"));
}

static void a_restart_continues_every_state(void **state) {
    (void)state;
    static const int64_t ages[] = {0, 2 * 3600, 4 * DAY, 40 * DAY};
    static const char *const states[] = {"verified", "at-risk", "suspended", "pending"};
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct wants wants[TENANT_KINDS] = {{.here = true, .name = {true}}};
        world_begin(&w);
        dns(&w, WEB)->cname = ACME_T;
        drop(&w, ACME_T, &wants[0]);
        look(&w);
        dns(&w, WEB)->cname = i ? -2 : ACME_T;
        live_until(&w, w.now + ages[i]);
        assert_string_equal(state_of(&w, ACME_T, WEB), states[i]);
        restart(&w, wants);
        assert_string_equal(state_of(&w, ACME_T, WEB), states[i]);
        assert_int_equal(routes(&w, ACME_T, WEB), i < 2);
        dns(&w, WEB)->cname = ACME_T;
        live_until(&w, w.now + 2 * DAY);
        assert_string_equal(state_of(&w, ACME_T, WEB), "verified");
        edge_end(&w.edge);
    }
}

static void after_a_restart_a_name_is_still_its_ingresses(void **state) {
    struct wants wants[TENANT_KINDS] = {{.here = true, .name = {true}}};
    struct world *w = *state;
    for (int i = 0; i < 12; i++) { /* rows come in another order each time */
        dns(w, WEB)->cname = ACME_T;
        drop(w, ACME_T, &wants[0]);
        live_until(w, w->now + 2 * 3600);
        assert_string_equal(state_of(w, ACME_T, WEB), "verified");
        restart(w, wants);
        dns(w, WEB)->cname = -2;
        live_until(w, w->now + 2 * 3600);
        assert_string_equal(state_of(w, ACME_T, WEB), "at-risk"); /* a tombstone would be gone */
    }
}

static void a_wildcard_over_anothers_domain_is_nobodys(void **state) {
    struct world *w = *state;
    struct wants wants[TENANT_KINDS] = {[GLOBEX_T] = {.here = true, .name = {[2] = true}}};
    dns(w, "*.example.com")->cname = GLOBEX_T;
    assert_true(put(&w->edge, "acme", TENANT("acme", "domain: shop.example.com")));
    drop(w, GLOBEX_T, &wants[GLOBEX_T]);
    assert_int_equal(look(w), 0);
    assert_string_equal(state_of(w, GLOBEX_T, "*.example.com"), "conflict");
    drop_gone(&w->edge, "acme", w->now);
    for (int i = 0; i < 4; i++) { /* what was given stays so, whichever row comes first */
        restart(w, wants);
        assert_int_equal(look(w), 0);
        assert_string_equal(state_of(w, GLOBEX_T, "*.example.com"), "conflict");
    }
}

static void a_tombstone_survives_a_restart(void **state) {
    struct world *w = *state;
    struct wants wants[TENANT_KINDS] = {[GLOBEX_T] = {.here = true, .name = {true}}};
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    drop_gone(&w->edge, "acme", w->now);
    drop(w, GLOBEX_T, &wants[GLOBEX_T]);
    restart(w, wants);
    live_until(w, w->now + DAY);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
}

static void names_above_each_other_that_waited_for_nobody_any_more_go_at_a_start(void **state) {
    (void)state;
    struct wants here = {.here = true, .name = {true, true, true, true}};
    static const struct wants nobody[TENANT_KINDS];
    for (int i = 0; i < 12; i++) { /* the registry meets them in another order each time */
        struct world w;
        world_begin(&w);
        drop(&w, ACME_T, &here);
        assert_int_equal(rows_of(&w, "claim/"), 4);
        restart(&w, nobody);
        assert_int_equal(rows_of(&w, "claim/"), 0);
        assert_int_equal(look(&w), 0);
        edge_end(&w.edge);
    }
}

static void many_pending_names_hold_up_nobodys_first_look(void **state) {
    struct world *w = *state;
    struct name_check check[64];
    char text[32768] = "";
    int64_t next;
    strcat(text, TENANT("initech", "domain: initech.1d.pt")
                     INGRESS("web", "a.example.net", "a.example.net"));
    strcat(text, "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: many}\nspec:\n "
                 " tls:\n  - hosts:\n");
    for (int i = 0; i < 1000; i++)
        sprintf(text + strlen(text), "    - n%d.example.net\n", i);
    assert_true(put(&w->edge, "initech", text));
    w->now += 5; /* globex comes later, and has one name */
    binds(w, GLOBEX_T, WEB);
    size_t n = registry_due(w->edge.registry, w->now, check, 64, &next);
    assert_int_equal(n, 16 + 1);
    assert_string_equal(check[n - 1].name, WEB);
    json_t *all = view_domains(w->edge.registry, "initech"), *row;
    size_t i, capped = 0;
    json_array_foreach(all, i, row) {
        const char *reason = json_string_value(json_object_get(row, "reason"));
        capped += reason && strstr(reason, "not looked at");
    }
    assert_int_equal(capped, 1); /* of 1001 */
    json_decref(all);
}

static void many_ingresses_of_one_name_share_one_proof_and_one_holds_it(void **state) {
    enum { INGRESSES = 300 };
    static char text[INGRESSES * 300];
    struct world *w = *state;
    int at = snprintf(text, sizeof text,
                      TENANT("acme", "domain: acme.1d.pt, network: {allow: [10.11.0.0/16]}") ECHO);
    for (int i = 0; i < INGRESSES; i++)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i%d}\n"
                       "spec: {tls: [{hosts: [" WEB "]}], defaultBackend: {service: {name: echo, "
                       "port: {number: 80}}}}\n---\n",
                       i);
    dns(w, WEB)->cname = ACME_T;
    assert_true(put(&w->edge, "acme", text));
    assert_int_equal(look(w), 1);
    assert_true(routes(w, ACME_T, WEB));
    assert_true(put(&w->edge, "acme", text));
    assert_int_equal(rows_of(w, "claim/"), 1);
    assert_int_equal(rows_of(w, "name/" WEB), 1);
    json_t *all = view_domains(w->edge.registry, "acme"), *row;
    size_t i, held = 0, not_held = 0;
    json_array_foreach(all, i, row) {
        const char *reason = json_string_value(json_object_get(row, "reason"));
        bool same = !strcmp(json_string_value(json_object_get(row, "domain")), WEB);
        not_held += same && reason && strstr(reason, "another Ingress");
        held += same && !reason;
    }
    assert_int_equal(held, 1);
    assert_int_equal(not_held, INGRESSES - 1);
    json_decref(all);
}

/* So many that nobody comes to the end of them. */
static void binds_dead_names(struct world *w, int tenant, int count) {
    char text[32768], name[16];
    snprintf(name, sizeof name, "t%d", tenant);
    int at = snprintf(text, sizeof text,
                      "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {domain: "
                      "%s.1d.pt}\n---\n" ECHO "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
                      "metadata: {name: many}\nspec:\n  tls:\n  - hosts:\n",
                      name, name);
    for (int i = 0; i < count; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "    - n%d.%s.example.net\n", i, name);
    assert_true(put_named(&w->edge, name, false, "t.yaml", text, w->now));
}

/* Each look ends after its whole patience without an answer; then there is room for one more. True: it was for this name. */
static bool next_look_is_for(struct world *w, const struct name_check *ends, const char *name,
                             struct name_check *ret) {
    static const struct dns_seen unknown;
    struct change change;
    int64_t next;
    registry_seen(w->edge.registry, ends, &unknown, w->now, &change);
    change_take(&w->edge, &change);
    assert_int_equal(registry_due(w->edge.registry, w->now, ret, 1, &next), 1);
    return !strcmp(ret->name, name);
}

enum { CROWD = 9, ROOM = 128 }; /* the room that edge/dns.h has, which CROWD tenants fill */

static void crowd_looks(struct world *w, struct name_check check[ROOM]) {
    int64_t next;
    world_begin(w);
    for (int t = 0; t < CROWD; t++)
        binds_dead_names(w, t, 300);
    w->now += 5;
    assert_int_equal(registry_due(w->edge.registry, w->now, check, ROOM, &next), ROOM);
}

static void tenants_with_many_dead_names_take_turns_with_who_comes_later(void **state) {
    (void)state;
    struct world w;
    static struct name_check check[ROOM];
    bool found = false;
    crowd_looks(&w, check);
    binds(&w, GLOBEX_T, WEB);
    w.now += 8;
    for (int i = 0; i < 2 * CROWD && !found; i++)
        found = next_look_is_for(&w, &check[i], WEB, &check[i]);
    assert_true(found);
    edge_end(&w.edge);
}

static void a_clock_that_is_set_back_costs_nobody_his_turn(void **state) {
    struct world *w = *state;
    static struct name_check check[ROOM];
    int64_t next;
    binds_dead_names(w, 0, 300);
    w->now += DAY;
    assert_int_equal(registry_due(w->edge.registry, w->now, check, 1, &next), 1);
    w->now -= DAY / 2; /* the names have been due for long all the same */
    assert_int_equal(registry_due(w->edge.registry, w->now, check, 1, &next), 1);
}

static void when_one_of_too_many_is_proved_the_next_is_looked_at(void **state) {
    struct world *w = *state;
    struct name_check check[16];
    static struct dns_seen seen; /* of the first name asked for, and of no other */
    struct change change;
    char text[32768] = TENANT("initech", "domain: initech.1d.pt") ECHO;
    int64_t next;
    strcat(text, "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: many}\nspec:\n "
                 " tls:\n  - hosts:\n");
    for (int i = 0; i < 1002; i++)
        sprintf(text + strlen(text), "    - n%d.example.net\n", i);
    assert_true(put(&w->edge, "initech", text));
    for (int proved = 0; proved < 3; proved++) {
        json_t *all = view_domains(w->edge.registry, "initech"), *row;
        size_t i, capped = 0;
        json_array_foreach(all, i, row) {
            const char *reason = json_string_value(json_object_get(row, "reason"));
            capped += reason && strstr(reason, "not looked at:") != NULL;
        }
        json_decref(all);
        assert_int_equal(capped, proved < 2 ? 2 - proved : 0);
        assert_true(registry_due(w->edge.registry, w->now, check, 1, &next));
        memset(&seen, 0, sizeof seen);
        chain_fill(&seen.chain, INITECH_T);
        registry_seen(w->edge.registry, &check[0], &seen, w->now, &change);
        change_take(&w->edge, &change);
    }
}

static void a_pending_name_is_given_up_after_a_week_and_taken_up_by_hand(void **state) {
    struct world *w = *state;
    struct wants wants[TENANT_KINDS] = {{.here = true, .name = {true}}};
    drop(w, ACME_T, &wants[0]);
    live_until(w, w->now + 8 * DAY);
    assert_non_null(strstr(domain_field(w, ACME_T, WEB, "reason"), "not looked at any more"));
    assert_string_equal(domain_field(w, ACME_T, WEB, "nextLook"), "<null>");
    restart(w, wants); /* does not begin the week anew */
    assert_int_equal(look(w), 0);
    assert_int_equal(registry_recheck(w->edge.registry, "acme", WEB, w->now), 1);
    assert_int_equal(look(w), 1);
    live_until(w, w->now + 8 * DAY);
    assert_int_equal(look(w), 0);
    drop(w, ACME_T, &wants[0]); /* he who drops the file again waits for an answer */
    assert_int_equal(look(w), 1);
}

enum { PENDING_MAX = 1000, KEPT_MAX = 1000 }; /* of tenants/inside.h */

/* One Ingress that binds n0.example.net, n1.example.net, ... */
static void binds_many(struct world *w, const char *tenant, int count) {
    static char text[65536];
    int at = snprintf(text, sizeof text,
                      "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {domain: "
                      "%s.1d.pt}\n---\n" ECHO "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
                      "metadata: {name: many}\nspec:\n  tls:\n  - hosts:\n    - '*.%s.1d.pt'\n",
                      tenant, tenant, tenant);
    for (int i = 0; i < count; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "    - n%d.example.net\n", i);
    assert_true(put_named(&w->edge, tenant, false, "t.yaml", text, w->now));
}

/* Every look that is due finds a CNAME to this tenant's domain (-1: nothing there, -3: no answer). */
static unsigned all_are(struct world *w, int cname) {
    static struct name_check check[64];
    static struct dns_seen seen;
    struct change change;
    int64_t next;
    unsigned looks = 0;
    for (size_t n; (n = registry_due(w->edge.registry, w->now, check, 64, &next));)
        for (size_t i = 0; i < n; i++, looks++) {
            memset(&seen, 0, sizeof seen);
            seen.challenge.answer = seen.challenge.alias.answer =
                cname == -3 ? DNS_UNKNOWN : DNS_NONE;
            if (cname != -3)
                chain_fill(&seen.chain, cname);
            registry_saw(w->edge.registry, &check[i], &seen, w->now, &change);
            change_take(&w->edge, &change);
        }
    registry_settle(w->edge.registry, w->now, &change);
    change_take(&w->edge, &change);
    return looks;
}

static const char *reason_of(struct world *w, const char *tenant, const char *name) {
    return field_of(view_domains(w->edge.registry, tenant), "domain", name, "reason");
}

static void what_is_given_up_leaves_room_for_others(void **state) {
    static const struct wants nobody[TENANT_KINDS];
    struct world *w = *state;
    restart(w, nobody);
    binds_many(w, "initech", PENDING_MAX);
    assert_int_equal(all_are(w, -3), PENDING_MAX);
    w->now += 8 * DAY;
    assert_int_equal(all_are(w, -3), PENDING_MAX); /* no answer is no reason to go on for ever */
    w->now += DAY;
    assert_int_equal(all_are(w, -3), 0);
    binds_many(w, "initech",
               PENDING_MAX + 1); /* and the file is dropped again: all of them again */
    assert_int_equal(all_are(w, -3), PENDING_MAX);
    w->now += 8 * DAY;
    assert_int_equal(all_are(w, -3), PENDING_MAX + 1);
}

static void what_another_holds_leaves_room_for_others(void **state) {
    struct world *w = *state;
    binds_many(w, "acme", PENDING_MAX);
    assert_int_equal(all_are(w, ACME_T), PENDING_MAX);
    binds_many(w, "globex", PENDING_MAX + 1);
    assert_int_equal(all_are(w, -1), 1); /* the one that is nobody's */
    assert_null(strstr(reason_of(w, "globex", "n1000.example.net"), "not looked at"));
}

/* A tenant that proves names and leaves them, again and again. */
static void with_a_thousand_names_kept_nothing_more_is_proved_and_nothing_kept_goes(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = INITECH_T;
    binds_many(w, "initech", KEPT_MAX);
    assert_int_equal(all_are(w, INITECH_T), KEPT_MAX);
    binds(w, INITECH_T, WEB); /* and none of the thousand */
    assert_int_equal(look(w), 0);
    assert_non_null(strstr(reason_of(w, "initech", WEB), "1000 names are kept for the tenant"));
    assert_int_equal(rows_of(w, "claim/n"), KEPT_MAX);
    binds_many(w, "globex", KEPT_MAX);
    assert_string_equal(domain_state(&w->edge, "globex", "n0.example.net"), "conflict");
    drop_gone(&w->edge, "globex", w->now);
    struct wants wants[TENANT_KINDS] = {[INITECH_T] = {.here = true, .name = {true}}};
    restart(w, wants);
    assert_int_equal(rows_of(w, "claim/n"), KEPT_MAX);
    assert_non_null(strstr(reason_of(w, "initech", WEB), "1000 names are kept for the tenant"));
    w->now += 2 * RECHECK_S; /* DNS leads elsewhere at last */
    assert_int_equal(all_are(w, -1), KEPT_MAX);
    w->now += 2 * RECHECK_S;
    all_are(w, -1);
    assert_null(strstr(reason_of(w, "initech", WEB), "not looked at"));
    live_until(w, w->now + 5 * 3600);
    assert_string_equal(state_of(w, INITECH_T, WEB), "verified");
}

static void who_waits_is_looked_at_when_what_stood_in_the_way_is_gone(void **state) {
    struct world *w = *state;
    struct name_check check;
    int64_t next;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    binds(w, ACME_T, NULL);
    binds(w, GLOBEX_T, WEB);
    live_until(w, w->now + 2 * DAY); /* its looks have become rare */
    dns(w, WEB)->cname = GLOBEX_T;
    while (rows_of(w, "claim/") == 2) {
        registry_due(w->edge.registry, w->now, &check, 0, &next);
        w->now = next;
        look(w);
    }
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "verified"); /* in the very second */
}

static void one_no_releases_nothing_that_is_kept(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    dns(w, "*.example.com")->cname = GLOBEX_T;
    binds(w, ACME_T, WEB);
    binds(w, GLOBEX_T, "*.example.com");
    look(w);
    binds(w, ACME_T, NULL);
    dns(w, WEB)->cname = -1; /* a server's mishap */
    registry_recheck(w->edge.registry, NULL, WEB, w->now);
    look(w);
    for (int i = 0; i < 5; i++) { /* whoever binds the name has it looked at, too */
        w->now += 60;
        binds(w, INITECH_T, i % 2 ? NULL : WEB);
        look(w);
        assert_string_equal(reaches(w, WEB), "nobody");
    }
    dns(w, WEB)->cname = ACME_T;
    live_until(w, w->now + 10 * 3600);
    assert_string_equal(reaches(w, WEB), "nobody");
    binds(w, ACME_T, WEB);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
}

static void a_lost_key_costs_nobody_a_name_that_a_txt_proved(void **state) {
    static char token[64];
    struct world *w = *state;
    struct wants wants[TENANT_KINDS] = {
        {.here = true, .name = {true}}, [GLOBEX_T] = {.here = true, .name = {true}}};
    drop(w, ACME_T, &wants[ACME_T]);
    *dns(w, WEB) = (struct zone_data){.cname = -1, .address = 1, .txt = {true}};
    live_until(w, w->now + 60);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    static struct dns_seen seen;
    token_add(w, ACME_T, 0, &seen.challenge);
    snprintf(token, sizeof token, "%.*s", (int)seen.challenge.text[0].length,
             seen.challenge.text[0].data);
    *dns(w, WEB) = (struct zone_data){.cname = -1, .address = 1, .text = token};
    w->edge.secret = "another";
    restart(w, wants);
    live_until(w, w->now + 100 * DAY);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    assert_string_equal(state_of(w, GLOBEX_T, WEB),
                        "conflict"); /* to whom the old token is nothing */
    char *text = describe_ingress(w->edge.registry, "acme", "web");
    assert_non_null(strstr(text, "HostTokenVoid"));
    free(text);
    dns(w, WEB)->txt[ACME_T] = true; /* replaced */
    dns(w, WEB)->text = NULL;
    live_until(w, w->now + 2 * 3600);
    struct change change;
    registry_tick(w->edge.registry, w->now, &change);
    change_take(&w->edge, &change);
    text = describe_ingress(w->edge.registry, "acme", "web");
    assert_null(strstr(text, "HostTokenVoid"));
    free(text);
    dns(w, WEB)->txt[ACME_T] = false; /* taken away: that is an answer */
    dns(w, WEB)->text = token;
    live_until(w, w->now + 2 * 3600);
    assert_string_equal(state_of(w, ACME_T, WEB), "at-risk");
}

static void a_vouched_name_routes_at_once_but_displaces_nobody(void **state) {
    struct world *w = *state;
    struct wants vouched[TENANT_KINDS] = {
        {.here = true, .name = {true}},
        [GLOBEX_T] = {.here = true, .name = {true}, .vouched = {true}}};
    dns(w, WEB)->cname = ACME_T;
    drop(w, ACME_T, &vouched[ACME_T]);
    look(w);
    drop(w, GLOBEX_T, &vouched[GLOBEX_T]);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    dns(w, WEB)->cname = -2;
    live_until(w, w->now + 5 * DAY);
    assert_string_equal(state_of(w, ACME_T, WEB), "suspended"); /* and holds its name */
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    drop_gone(&w->edge, "acme", w->now);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "verified"); /* the operator's word, no look */
    assert_true(routes(w, GLOBEX_T, WEB));
    vouched[ACME_T].here = false;
    restart(w, vouched);
    assert_true(routes(w, GLOBEX_T, WEB));
    vouched[GLOBEX_T].vouched[0] = false; /* the word is taken back */
    drop(w, GLOBEX_T, &vouched[GLOBEX_T]);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "pending");
    assert_false(routes(w, GLOBEX_T, WEB));
}

static void a_tenant_made_again_proves_its_names_as_anybody_may(void **state) {
    struct world *w = *state;
    *dns(w, WEB) = (struct zone_data){.cname = ACME_T};
    binds(w, ACME_T, WEB);
    look(w);
    drop_gone(&w->edge, "acme", w->now);
    binds(w, GLOBEX_T, WEB);
    binds(w, ACME_T, WEB); /* another UID; the domain is given to that name again */
    assert_string_equal(state_of(w, ACME_T, WEB), "pending");
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    look(w);
    assert_string_equal(state_of(w, ACME_T, WEB), "verified");
    assert_true(routes(w, ACME_T, WEB) && !routes(w, GLOBEX_T, WEB));
}

static void who_lost_gets_it_when_the_winner_goes_and_dns_follows(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    binds(w, GLOBEX_T, WEB);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "conflict");
    dns(w, WEB)->cname = GLOBEX_T;
    binds(w, ACME_T, NULL);
    live_until(w, w->now + 4 * 3600);
    assert_string_equal(state_of(w, GLOBEX_T, WEB), "verified");
    assert_true(routes(w, GLOBEX_T, WEB));
}

/* ---- what is shown ---- */

static void it_is_said_what_to_add_what_stands_there_and_when_it_is_looked_at(void **state) {
    struct world *w = *state;
    struct change change;
    dns(w, WEB)->cname = -2;
    binds(w, ACME_T, WEB);
    look(w);
    char *text = describe_domain(w->edge.registry, "acme", WEB);
    static const char *const parts[] = {
        "State:      pending",
        "web.example.com is a CNAME of elsewhere.example.net",
        "Last look:  1970-01-01T00:16:40Z",
        "Next look:  1970-01-01T00:16:45Z",
        "  Records to prove it:\n    web.example.com  CNAME  acme.1d.pt.\n  Or, all of these:\n",
        "_ringress-challenge.web.example.com  TXT   ",
        "web.example.com                      A     203.0.113.7",
        "web.example.com                      AAAA  2001:db8::7"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("`%s` is not in\n%s", parts[i], text);
    free(text);
    registry_tick(w->edge.registry, w->now + 60,
                  &change); /* events need not be made at each look */
    change_take(&w->edge, &change);
    text = describe_ingress(w->edge.registry, "acme", "web");
    assert_non_null(strstr(text, "HostPending"));
    assert_non_null(strstr(text, "elsewhere.example.net"));
    free(text);
    text = explain_name(w->edge.registry, WEB);
    assert_non_null(strstr(text, "add `web.example.com CNAME acme.1d.pt.`"));
    free(text);
}

static void where_only_a_txt_proves_nothing_else_is_asked_for(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    binds(w, GLOBEX_T, WEB);
    json_t *rows = view_domains(w->edge.registry, "globex"), *record;
    json_t *row = json_array_get(rows, json_array_size(rows) - 1);
    json_t *records = json_object_get(row, "records");
    size_t i;
    assert_string_equal(json_string_value(json_object_get(row, "domain")), WEB);
    assert_int_equal(json_array_size(records), 2);
    json_array_foreach(records, i, record)
        assert_int_equal(json_integer_value(json_object_get(record, "way")), 2);
    assert_true(json_is_null(json_object_get(row, "seen")));
    json_decref(rows);
    drop_gone(&w->edge, "acme", w->now);
    char *text = describe_domain(w->edge.registry, NULL, WEB); /* the operator is told by whom */
    assert_non_null(strstr(text, "acme (gone)"));
    free(text);
    text = describe_domain(w->edge.registry, "globex", WEB);
    assert_null(strstr(text, "acme"));
    free(text);
}

/* ---- the log, and rows that are not ours ---- */

static void transitions_are_logged_in_order(void **state) {
    struct world *w = *state;
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    dns(w, WEB)->cname = -2;
    live_until(w, w->now + 4 * DAY);
    static const char *const to[] = {"verified", "at-risk", "suspended"};
    assert_int_equal(rows_of(w, "log/"), 3);
    for (int i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof key, "log/%016x", i);
        json_t *row = json_loads(json_string_value(json_object_get(w->edge.rows, key)), 0, NULL);
        assert_string_equal(json_string_value(json_object_get(row, "to")), to[i]);
        assert_string_equal(json_string_value(json_object_get(row, "name")), WEB);
        json_decref(row);
    }
}

static void the_log_keeps_its_newest_hundred_thousand(void **state) {
    struct world *w = *state;
    row_keep(&w->edge, "log/0000000000000001", "{}");
    row_keep(&w->edge, "log/00000000000186a0", "{}"); /* 100,000 */
    edge_restart(&w->edge);
    dns(w, WEB)->cname = ACME_T;
    binds(w, ACME_T, WEB);
    look(w);
    assert_null(json_object_get(w->edge.rows, "log/0000000000000001"));
    assert_non_null(json_object_get(w->edge.rows, "log/00000000000186a1"));
}

static void rows_that_nobody_wrote_give_nobody_a_name(void **state) {
    struct world *w = *state;
    static const char *const rows[][2] = {
        {"claim/", "{}"},
        {"claim/web.example.com", "{"},
        {"claim/web.example.com u", "[]"},
        {"claim/web.example.com u", "{\"tenant\": \"acme\", \"uid\": \"u\"}"},
        {"claim/web.example.com u", "{\"tenant\": \"acme\", \"uid\": \"u\", \"phase\": \"owner\"}"},
        {"claim/web..com u", "{\"tenant\": \"acme\", \"uid\": \"u\", \"phase\": \"verified\"}"},
        {"claim/WEB.example.com u",
         "{\"tenant\": \"acme\", \"uid\": \"u\", \"phase\": \"verified\"}"},
        {"claim/web.example.com u",
         "{\"tenant\": \"../a\", \"uid\": \"u\", \"phase\": \"verified\"}"},
        {"log/xyz", "1"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        registry_row(w->edge.registry, rows[i][0], rows[i][1]);
    binds(w, ACME_T, WEB);
    assert_string_equal(state_of(w, ACME_T, WEB), "pending");
}

/* ---- a hostile month ---- */

struct month {
    struct world w;
    struct wants wants[TENANT_KINDS];
    char uid[TENANT_KINDS][64];
    bool proved[TENANT_KINDS]
               [NAMES]; /* a look of this tenant's brought a proof, since it last began anew */
    int keeper[NAMES];  /* who proved it last and has it since; -1: nobody */
    char keeper_uid[NAMES][64];
    unsigned no[NAMES];        /* answers since then to his looks that may have disproved it */
    struct name_check late[4]; /* looks whose answer is still to come */
    size_t late_count;
    uint64_t dice;
    char states[TENANT_KINDS * NAMES][64];
};

static unsigned cast(struct month *m, unsigned sides) {
    m->dice = m->dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(m->dice >> 33) % sides;
}

static bool is_vouched(const struct month *m, int t, int n) {
    const struct wants *wants = &m->wants[t];
    return wants->vouched[n] ||
           (wants->vouched[2] && n == 0); /* *.example.com covers web.example.com */
}

static void state_read(struct month *m, int t, int n, char to[64]) {
    size_t used = (size_t)snprintf(to, 64, "%s ", state_of(&m->w, t, names[n]));
    used += (size_t)snprintf(to + used, 64 - used, "%s ",
                             routes(&m->w, t, names[n]) ? "routes" : "does not route");
    if (!strchr("pc", to[0]) &&
        !is_vouched(m, t, n)) /* pending, conflict: a look by hand begins their week anew */
        snprintf(to + used, 64 - used, "%s", domain_field(&m->w, t, names[n], "since"));
}

static void states_read(struct month *m, char to[TENANT_KINDS * NAMES][64]) {
    for (int t = 0; t < TENANT_KINDS; t++)
        for (int n = 0; n < NAMES; n++)
            state_read(m, t, n, to[t * NAMES + n]);
}

static void states_same(struct month *m, const char *after) {
    char now[TENANT_KINDS * NAMES][64];
    states_read(m, now);
    for (int i = 0; i < TENANT_KINDS * NAMES; i++)
        if (strcmp(now[i], m->states[i]))
            fail_msg("%s: %s of %s was %s and is %s", after, names[i % NAMES],
                     tenant_name[i / NAMES], m->states[i], now[i]);
}

static int tenant_of(const struct month *m, const char *uid) {
    for (int t = 0; t < TENANT_KINDS; t++)
        if (!strcmp(m->uid[t], uid))
            return t;
    return -1; /* of one that is gone */
}

/* The test's own judge, simpler than the real one: could this look have proved it? */
static void proofs_note(struct month *m, const struct name_check *check) {
    int t = tenant_of(m, check->uid), n = name_index(check);
    const struct zone_data *z = &m->w.zone[n];
    if (t >= 0 && !z->down &&
        (z->cname == t || (z->txt[t] && (check->wildcard || z->address == 1))))
        m->proved[t][n] = true;
    if (!z->down && m->keeper[n] >= 0 && !strcmp(check->uid, m->keeper_uid[n]))
        m->no[n] = z->cname == m->keeper[n] ? 0 : m->no[n] + 1;
}

static void month_answer(struct month *m, const struct name_check *check) {
    bool unknown = m->w.zone[name_index(check)].down;
    proofs_note(m, check);
    states_read(m, m->states);
    answer(&m->w, check);
    if (unknown)
        states_same(m, "an unknown answer");
}

static void month_drop(struct month *m, int t) {
    bool was = m->wants[t].here;
    m->wants[t].here = true;
    for (int n = 0; n < NAMES; n++) {
        m->wants[t].name[n] = cast(m, 3) == 0;
        m->wants[t].vouched[n] = cast(m, 12) == 0;
    }
    drop(&m->w, t, &m->wants[t]);
    snprintf(m->uid[t], sizeof m->uid[t], "%s",
             field_of(view_tenants(m->w.edge.registry, tenant_name[t]), "tenant", tenant_name[t],
                      "uid"));
    if (!was)
        memset(m->proved[t], 0, sizeof m->proved[t]); /* another UID: proved nothing */
}

static void month_remove(struct month *m, int t) {
    if (m->wants[t].here)
        drop_gone(&m->w.edge, tenant_name[t], m->w.now);
    m->wants[t].here = false;
    m->uid[t][0] = 0;
}

static void month_dns(struct month *m) {
    struct zone_data *z = &m->w.zone[cast(m, NAMES)];
    switch (cast(m, 4)) {
    case 0:
        z->cname = (int)cast(m, TENANT_KINDS + 2) - 2;
        break;
    case 1:
        z->address = (int)cast(m, 3);
        break;
    case 2:
        z->txt[cast(m, TENANT_KINDS)] ^= true;
        break;
    default:
        z->down = !z->down;
    }
}

static void month_looks(struct month *m) {
    static const int64_t steps[] = {1, 5, 60, 3600, 6 * 3600, DAY, 4 * DAY, 31 * DAY};
    struct name_check check[8];
    int64_t next;
    m->w.now += steps[cast(m, 8)];
    for (int round = 0; round < 20; round++) {
        size_t n = registry_due(m->w.edge.registry, m->w.now, check, 8, &next);
        for (size_t i = 0; i < n; i++)
            if (cast(m, 8) == 0 && m->late_count < 4)
                m->late[m->late_count++] = check[i];
            else
                month_answer(m, &check[i]);
        if (!n)
            break;
    }
}

static void month_restart(struct month *m) {
    states_read(m, m->states);
    restart(&m->w, m->wants);
    states_same(m, "a restart");
}

static void month_step(struct month *m) {
    int t = (int)cast(m, TENANT_KINDS);
    switch (cast(m, 12)) {
    case 0:
    case 1:
        month_drop(m, t);
        break;
    case 2:
        if (cast(m, 4) == 0)
            month_remove(m, t);
        break;
    case 3:
    case 4:
    case 5:
        month_dns(m);
        break;
    case 6:
        month_restart(m);
        break;
    case 7:
        if (m->late_count)
            month_answer(m, &m->late[--m->late_count]);
        break;
    case 8:
        registry_recheck(m->w.edge.registry, cast(m, 2) ? tenant_name[t] : NULL,
                         cast(m, 2) ? names[cast(m, NAMES)] : NULL, m->w.now);
        break;
    default:
        month_looks(m);
    }
}

/* A name that an Ingress holds is not a tombstone besides. */
static void month_holds(struct month *m, int t, int n) {
    char *text = describe_domain(m->w.edge.registry, NULL, names[n]);
    if (!text || strstr(text, "Kept:"))
        fail_msg("%s is held by %s and kept for somebody whose Ingress is gone", names[n],
                 tenant_name[t]);
    free(text);
}

static void keeper_note(struct month *m, int n, int t) {
    bool proved = t >= 0 && m->proved[t][n] && !is_vouched(m, t, n);
    m->keeper[n] = proved ? t : -1;
    if (!proved)
        return;
    snprintf(m->keeper_uid[n], sizeof m->keeper_uid[n], "%s", m->uid[t]);
    m->no[n] = 0;
}

/* Whoever proved a name: nobody answers for it in his place by a wildcard while he holds it, or until DNS denied it to him. */
static void month_keeps(struct month *m, int n) {
    const char *by = reached(&m->w.edge, names[n]);
    int exact = -1, keeper = m->keeper[n];
    for (int t = 0; t < TENANT_KINDS; t++)
        exact = routes(&m->w, t, names[n]) ? t : exact;
    if (exact >= 0)
        keeper_note(m, n, exact);
    if (exact >= 0 || keeper < 0 || !by || !strcmp(by, tenant_name[keeper]))
        return;
    const char *is = state_of(&m->w, keeper, names[n]);
    if (strchr("vas", *is) || !m->no[n])
        fail_msg("%s is %s of %s, denied to it %u times, and answered by %s", names[n], is,
                 tenant_name[keeper], m->no[n], by);
    m->keeper[n] = -1;
}

static void month_check(struct month *m) {
    for (int n = 0; n < NAMES; n++) {
        int holders = 0;
        for (int t = 0; t < TENANT_KINDS; t++) {
            bool routed = routes(&m->w, t, names[n]);
            holders += routed;
            if (routed && !m->proved[t][n] && !is_vouched(m, t, n))
                fail_msg("%s routes for %s, which has not proved it", names[n], tenant_name[t]);
            const char *is = state_of(&m->w, t, names[n]);
            if (routed && strcmp(is, "verified") && strcmp(is, "at-risk"))
                fail_msg("%s routes for %s and is %s", names[n], tenant_name[t], is);
            if (strchr("vas", *is) && !is_vouched(m, t, n))
                month_holds(m, t, n);
            if (!strcmp(is, "pending") || !strcmp(is, "conflict"))
                m->proved[t][n] = false; /* what was proved is over */
            if (routed && !m->wants[t].name[n])
                fail_msg("%s routes for %s, which does not bind it", names[n], tenant_name[t]);
        }
        if (holders > 1)
            fail_msg("%s routes for %d tenants", names[n], holders);
        month_keeps(m, n);
    }
}

static unsigned long number_of(const char *variable, unsigned long otherwise) {
    const char *text = getenv(variable);
    return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

static void no_month_gives_a_name_to_two_or_to_who_did_not_prove_it(void **state) {
    (void)state;
    unsigned long seed = number_of("RINGRESS_SEED", (unsigned long)time(NULL)),
                  steps = number_of("RINGRESS_STEPS", 3000);
    print_message("RINGRESS_SEED=%lu RINGRESS_STEPS=%lu\n", seed, steps);
    struct month *m = calloc(1, sizeof *m);
    for (unsigned long done = 0; done < steps;) {
        memset(m, 0, sizeof *m);
        m->dice = seed + done;
        for (int n = 0; n < NAMES; n++)
            m->keeper[n] = -1;
        world_begin(&m->w);
        for (int i = 0; i < 300 && done < steps; i++, done++) {
            month_step(m);
            month_check(m);
        }
        edge_end(&m->w.edge);
    }
    free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_name_routes_when_its_cname_leads_here_and_not_before),
        STORY(the_first_to_prove_wins_not_the_first_to_come),
        STORY(a_name_that_is_held_firmly_is_not_looked_at_for_others),
        STORY(servers_that_fail_drop_nobody),
        STORY(a_name_that_leads_away_is_warned_of_suspended_and_given_up),
        STORY(doubt_opens_a_name_to_a_fresh_txt_only),
        STORY(a_dangling_cname_keeps_the_name_for_who_is_gone),
        STORY(a_name_moves_between_ingresses_of_one_tenant_without_a_look),
        STORY(under_anothers_wildcard_only_a_txt_takes_a_name),
        STORY(a_wildcard_over_anothers_domain_is_nobodys),
        STORY(what_is_kept_for_one_is_no_rule_of_anothers_wildcard),
        STORY(what_is_kept_for_one_is_not_answered_by_anothers_wildcard),
        STORY(a_suspended_name_is_not_answered_by_anothers_wildcard),
        STORY(a_wildcard_that_comes_later_does_not_answer_for_what_is_kept),
        STORY(an_answer_to_a_look_that_is_over_is_nobodys),
        STORY(of_two_looks_under_way_the_first_answer_wins),
        STORY(a_tenant_may_go_before_what_its_looks_said_is_compiled),
        cmocka_unit_test(a_restart_continues_every_state),
        STORY(after_a_restart_a_name_is_still_its_ingresses),
        STORY(a_tombstone_survives_a_restart),
        cmocka_unit_test(names_above_each_other_that_waited_for_nobody_any_more_go_at_a_start),
        STORY(many_pending_names_hold_up_nobodys_first_look),
        STORY(many_ingresses_of_one_name_share_one_proof_and_one_holds_it),
        cmocka_unit_test(tenants_with_many_dead_names_take_turns_with_who_comes_later),
        STORY(a_clock_that_is_set_back_costs_nobody_his_turn),
        STORY(when_one_of_too_many_is_proved_the_next_is_looked_at),
        STORY(a_pending_name_is_given_up_after_a_week_and_taken_up_by_hand),
        STORY(what_is_given_up_leaves_room_for_others),
        STORY(what_another_holds_leaves_room_for_others),
        STORY(with_a_thousand_names_kept_nothing_more_is_proved_and_nothing_kept_goes),
        STORY(who_waits_is_looked_at_when_what_stood_in_the_way_is_gone),
        STORY(one_no_releases_nothing_that_is_kept),
        STORY(a_lost_key_costs_nobody_a_name_that_a_txt_proved),
        STORY(a_vouched_name_routes_at_once_but_displaces_nobody),
        STORY(a_tenant_made_again_proves_its_names_as_anybody_may),
        STORY(who_lost_gets_it_when_the_winner_goes_and_dns_follows),
        STORY(it_is_said_what_to_add_what_stands_there_and_when_it_is_looked_at),
        STORY(where_only_a_txt_proves_nothing_else_is_asked_for),
        STORY(transitions_are_logged_in_order),
        STORY(the_log_keeps_its_newest_hundred_thousand),
        STORY(rows_that_nobody_wrote_give_nobody_a_name),
        cmocka_unit_test(no_month_gives_a_name_to_two_or_to_who_did_not_prove_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
