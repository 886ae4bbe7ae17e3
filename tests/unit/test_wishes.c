/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_wishes.c - for which names a certificate may be ordered: never for one that its tenant may not route.
 */
#include "tenants/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct tenant *tenant_of(struct registry *r, const char *name, const char *text) {
    struct source source = {
        .path = "conf.d/x.yaml", .name = "x.yaml", .text = text, .length = strlen(text)};
    struct drop drop = {.tenant = name, .source = &source, .source_count = 1};
    struct diags diags = DIAGS_INIT;
    struct change change = {0};
    struct tenant *tenant = NULL;
    bool good = registry_put(r, &drop, 1000, &diags, &change);
    if (!good)
        diags_print(&diags, stderr);
    assert_true(good);
    for (size_t i = 0; i < change.tenant_count; i++)
        if (!strcmp(change.tenant[i].name, name)) {
            tenant = change.tenant[i].tenant;
            change.tenant[i].tenant = NULL;
        }
    change_fini(&change);
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

/* "INGRESS ENTRY: name name; ..." */
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
        cmocka_unit_test(a_name_that_another_tenant_holds_is_nobody_elses_wish),
        cmocka_unit_test(what_passes_through_or_has_no_hosts_needs_no_certificate),
        cmocka_unit_test(an_entry_whose_secret_is_missing_is_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
