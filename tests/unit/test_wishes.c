/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_wishes.c - for which names a certificate may be ordered: never for one that its tenant may not route.
 */
#include "tenants/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The tenant as that change leaves it, ours; NULL: it is not in there. */
static struct tenant *change_take(struct change *change, const char *name) {
    struct tenant *tenant = NULL;
    for (size_t i = 0; i < change->tenant_count; i++)
        if (!strcmp(change->tenant[i].name, name)) {
            tenant = change->tenant[i].tenant;
            change->tenant[i].tenant = NULL;
        }
    change_fini(change);
    return tenant;
}

static struct tenant *tenant_of(struct registry *r, const char *name, const char *text) {
    struct source source = {
        .path = "conf.d/x.yaml", .name = "x.yaml", .text = text, .length = strlen(text)};
    struct drop drop = {.tenant = name, .source = &source, .source_count = 1};
    struct diags diags = DIAGS_INIT;
    struct change change = {0};
    bool good = registry_put(r, &drop, 1000, &diags, &change);
    if (!good)
        diags_print(&diags, stderr);
    assert_true(good);
    struct tenant *tenant = change_take(&change, name);
    diags_fini(&diags);
    assert_non_null(tenant);
    return tenant;
}

static struct registry *registry_begin(void) {
    static const char *const zones[] = {"1d.pt"};
    struct registry *r = registry_new(&(struct registry_conf){.zones = zones, .zone_count = 1});
    assert_non_null(r);
    return r;
}

/* "INGRESS ENTRY: name name (held); ..." */
static void wishes_are(const struct tenant *t, const char *expected) {
    char text[1024] = "";
    for (size_t i = 0; i < t->wish_count; i++) {
        const struct certificate_wish *w = &t->wish[i];
        size_t at = strlen(text);
        if (w->entry == WISH_OWN_DOMAIN)
            at += (size_t)snprintf(text + at, sizeof text - at, "own:");
        else
            at += (size_t)snprintf(text + at, sizeof text - at, "%s %u%s:", w->ingress, w->entry,
                                   w->rsa ? " rsa" : "");
        for (size_t j = 0; j < w->name_count; j++)
            at += (size_t)snprintf(text + at, sizeof text - at, " %s", w->name[j]);
        for (size_t j = 0; j < w->held_count; j++)
            at += (size_t)snprintf(text + at, sizeof text - at, " (%s)", w->held[j]);
        snprintf(text + at, sizeof text - at, "; ");
    }
    assert_string_equal(text, expected);
}

#define TENANT(domains)                                                    \
    "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: acme}\nspec:" \
    " {domain: 123123.1d.pt, domains: [" domains "]}\n"
#define INGRESS(name, more, tls)                                                        \
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " name more \
    "}\nspec:\n  tls: " tls "\n"

static void only_bound_and_verified_names_are_wished_for(void **state) {
    (void)state;
    struct registry *r = registry_begin();
    struct tenant *t =
        tenant_of(r, "acme",
                  TENANT("shop.example.com, unbound.example.com")
                      INGRESS("web", "", "[{hosts: [shop.example.com, unproved.example.com]}]"));
    wishes_are(t, "web 0: shop.example.com; own: *.123123.1d.pt 123123.1d.pt; ");
    tenant_free(t);
    registry_free(r);
}

static void an_entry_is_one_wish_and_a_name_is_in_one_only(void **state) {
    (void)state;
    struct registry *r = registry_begin();
    struct tenant *t = tenant_of(
        r, "acme",
        TENANT("a.example.com, b.example.com, c.example.com") INGRESS(
            "web", ", annotations: {ringress/certificate-key: rsa}",
            "[{hosts: [b.example.com, a.example.com]}, {hosts: [a.example.com, c.example.com]}]"));
    wishes_are(t, "web 0 rsa: a.example.com b.example.com; web 1 rsa: c.example.com; "
                  "own: *.123123.1d.pt 123123.1d.pt; ");
    tenant_free(t);
    registry_free(r);
}

/* What DNS says of every name that is due: they lead to the tenant's domain, or nowhere. The tenant after the last. */
static struct tenant *looked(struct registry *r, int64_t now, bool leads_here) {
    struct name_check check;
    struct tenant *tenant = NULL;
    int64_t next;
    while (registry_due(r, now, &check, 1, &next)) {
        struct dns_seen *seen = calloc(1, sizeof *seen);
        struct change change;
        seen->chain.answer = leads_here ? DNS_DATA : DNS_NONE;
        seen->chain.count = leads_here;
        strcpy(seen->chain.hop[0], leads_here ? "123123.1d.pt" : "");
        seen->a.answer = seen->aaaa.answer = DNS_NONE;
        seen->challenge.answer = seen->challenge.alias.answer = DNS_NONE;
        registry_seen(r, &check, seen, now, &change);
        struct tenant *newer = change_take(&change, "acme");
        if (newer) {
            tenant_free(tenant);
            tenant = newer;
        }
        free(seen);
    }
    assert_non_null(tenant);
    return tenant;
}

static void fact_is(const struct registry *r, const char *name, int64_t since, enum fact expected) {
    enum fact fact;
    assert_true(registry_looked(r, "acme", name, since, &fact));
    assert_int_equal(fact, expected);
}

static void a_name_at_risk_keeps_what_it_has_and_is_not_ordered(void **state) {
    static const char *const zones[] = {"1d.pt"};
    (void)state;
    struct registry *r = registry_new(&(struct registry_conf){
        .zones = zones, .zone_count = 1, .secret = (const uint8_t *)"secret", .secret_length = 6});
    tenant_free(
        tenant_of(r, "acme", TENANT("") INGRESS("web", "", "[{hosts: [shop.example.com]}]")));
    struct tenant *t = looked(r, 1000, true);
    wishes_are(t, "web 0: shop.example.com; own: *.123123.1d.pt 123123.1d.pt; ");
    tenant_free(t);
    fact_is(r, "shop.example.com", 1000, FACT_YES);
    fact_is(r, "any.123123.1d.pt", 9999, FACT_YES); /* no look is needed */
    assert_false(registry_looked(r, "acme", "shop.example.com", 1001, &(enum fact){FACT_NO}));
    registry_recheck(r, "acme", "shop.example.com", 2000);
    t = looked(r, 2000, false);
    wishes_are(t, "web 0: (shop.example.com); own: *.123123.1d.pt 123123.1d.pt; ");
    fact_is(r, "shop.example.com", 2000, FACT_NO);
    tenant_free(t);
    registry_recheck(r, "acme", "shop.example.com", 2000 + 80 * 3600);
    t = looked(r, 2000 + 80 * 3600, false); /* suspended: it does not route, nothing serves it */
    wishes_are(t, "own: *.123123.1d.pt 123123.1d.pt; ");
    tenant_free(t);
    registry_free(r);
}

static void a_name_that_another_tenant_holds_is_nobody_elses_wish(void **state) {
    (void)state;
    struct registry *r = registry_begin();
    struct tenant *first = tenant_of(
        r, "acme", TENANT("shop.example.com") INGRESS("web", "", "[{hosts: [shop.example.com]}]"));
    struct tenant *second =
        tenant_of(r, "late",
                  "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: late}\nspec: {domains: "
                  "[shop.example.com]}\n" INGRESS("web", "", "[{hosts: [shop.example.com]}]"));
    wishes_are(second, "");
    tenant_free(first);
    tenant_free(second);
    registry_free(r);
}

static void what_passes_through_or_has_no_hosts_needs_no_certificate(void **state) {
    (void)state;
    struct registry *r = registry_begin();
    struct tenant *t =
        tenant_of(r, "acme",
                  TENANT("db.example.com")
                      INGRESS("db", ", annotations: {ringress/tls-passthrough: \"true\"}",
                              "[{hosts: [db.example.com]}]") INGRESS("web", "", "[{hosts: []}]"));
    wishes_are(t, "own: *.123123.1d.pt 123123.1d.pt; ");
    tenant_free(t);
    registry_free(r);
}

static void an_entry_whose_secret_is_missing_is_ordered(void **state) {
    (void)state;
    struct registry *r = registry_begin();
    struct tenant *t =
        tenant_of(r, "acme",
                  TENANT("shop.example.com")
                      INGRESS("web", "", "[{hosts: [shop.example.com], secretName: not-there}]"));
    wishes_are(t, "web 0: shop.example.com; own: *.123123.1d.pt 123123.1d.pt; ");
    tenant_free(t);
    registry_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_bound_and_verified_names_are_wished_for),
        cmocka_unit_test(an_entry_is_one_wish_and_a_name_is_in_one_only),
        cmocka_unit_test(a_name_at_risk_keeps_what_it_has_and_is_not_ordered),
        cmocka_unit_test(a_name_that_another_tenant_holds_is_nobody_elses_wish),
        cmocka_unit_test(what_passes_through_or_has_no_hosts_needs_no_certificate),
        cmocka_unit_test(an_entry_whose_secret_is_missing_is_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
