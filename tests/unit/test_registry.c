/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_registry.c - stories of tenants: a drop comes, another wants the same, one goes, the edge
 * restarts.
 */
#include "tests/unit/small_edge.h"
#include <malloc.h>

/* ---- the seed's tutorial ---- */

static void the_tutorials_echo_routes_to_its_pod(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(
        put(&edge, "acme", ACME ECHO INGRESS("default", "echo.123123.1d.pt", "echo.123123.1d.pt")));
    const struct backend *backend = routed(&edge, "acme", "echo.123123.1d.pt", "/x");
    assert_non_null(backend);
    assert_string_equal(backend->service, "echo");
    assert_int_equal(backend->ready_count, 1);
    assert_int_equal(address_port(&backend->endpoint[0].addr), 5678);
    assert_true(named(&edge, "acme", "echo.123123.1d.pt")->host->redirect);
    assert_int_equal(named(&edge, "acme", "123123.1d.pt")->kind, NAME_TREE);
    edge_end(&edge);
}

static void describe_ingress_looks_like_kubectl(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme",
                    ACME "apiVersion: v1\nkind: Pod\nmetadata: {name: bountiful_paper, labels: "
                         "{kr.ingress.80: 'https://files.*'}}\n"));
    char *text = describe_ingress(edge.registry, "acme", "default");
    assert_string_equal(text, "Name:             default\n"
                              "Labels:           <none>\n"
                              "Namespace:        default\n"
                              "Address:          123123.1d.pt\n"
                              "Default backend:\n"
                              "TLS:\n"
                              "  SNI routes *.123123.1d.pt\n"
                              "Rules:\n"
                              "  Host                Path  Backends\n"
                              "  ----                ----  --------\n"
                              "  files.123123.1d.pt\n"
                              "                      /   bountiful_paper:80 ()\n"
                              "Annotations:          <none>\n"
                              "Events:               <none>\n");
    free(text);
    edge_end(&edge);
}

static void a_pod_without_an_address_waits_for_it(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme",
                    ACME "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: "
                         "{kr.ingress.80: 'http://web.*'}}\n"));
    assert_string_equal(field_of(view_backends(edge.registry, "acme"), "service", "p", "state"),
                        "notReady");
    assert_string_equal(field_of(view_backends(edge.registry, "acme"), "service", "p", "reason"),
                        "waiting for its address");
    assert_false(named(&edge, "acme", "web.123123.1d.pt")->host->redirect);
    edge_end(&edge);
}

/* ---- a broken drop hurts nobody ---- */

static void a_broken_drop_keeps_the_last_good_state(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME ECHO INGRESS("default", "", "echo.123123.1d.pt")));
    assert_false(put(&edge, "acme", "kind: [oops\n"));
    assert_int_equal(edge.changed, 0);
    assert_non_null(routed(&edge, "acme", "echo.123123.1d.pt", "/"));
    assert_string_equal(field_of(view_tenants(edge.registry, NULL), "tenant", "acme", "state"),
                        "stale");
    edge_end(&edge);
}

static void a_restart_with_a_broken_drop_serves_the_last_good_one(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME ECHO INGRESS("default", "", "echo.123123.1d.pt")));
    edge_restart(&edge);
    assert_false(put(&edge, "acme", "kind: [oops\n"));
    assert_int_equal(edge.changed, 1);
    assert_non_null(routed(&edge, "acme", "echo.123123.1d.pt", "/"));
    assert_string_equal(field_of(view_tenants(edge.registry, NULL), "tenant", "acme", "state"),
                        "stale");
    edge_end(&edge);
}

static void all_errors_of_all_files_are_reported_with_positions(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    struct source source[] = {
        {"a/tenant.yaml", "tenant.yaml",
         "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: b}\n"
         "spec: {rawPorts: x, limits: {requestSize: 0, bandwidth: fast}}\n",
         0},
        {"a/web.yaml", "web.yaml",
         "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 70000}]}\n", 0},
        {"a/bad.yaml", "bad.yaml", "hosts:\n  - *.example.com\n", 0},
    };
    for (size_t i = 0; i < 3; i++)
        source[i].length = strlen(source[i].text);
    struct drop drop = {"a", true, source, 3};
    assert_false(registry_check(edge.registry, &drop, &edge.diags));
    assert_int_equal(edge.diags.errors, 6);
    assert_true(said(&edge, "requestSize: must be a size like 64Ki, 10Mi or 1Gi"));
    assert_true(said(&edge, "bandwidth: must be a rate like"));
    assert_true(said(&edge, "port: must be 1 to 65535"));
    assert_true(said(&edge, "quote it: \"*.example.com\""));
    assert_true(said(&edge, "metadata.name: must be `a`"));
    assert_int_equal(edge.diags.item[edge.diags.count - 1].line, 2);
    assert_int_equal(edge.diags.item[edge.diags.count - 1].column, 5);
    edge_end(&edge);
}

static void a_tenant_outside_tenant_yaml_grants_nothing(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put_named(&edge, "acme", true, "evil.yaml", ACME, 1));
    assert_string_equal(live(&edge, "acme")->domain, "");
    assert_true(said(&edge, "only in tenant.yaml"));
    assert_true(put_named(&edge, "acme", true, "tenant.yaml", ACME, 1));
    assert_string_equal(live(&edge, "acme")->domain, "123123.1d.pt");
    edge_end(&edge);
}

static void an_object_twice_names_both_places(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_false(put(&edge, "acme", ACME ECHO ECHO));
    assert_true(said(&edge, "Pod/echo1 is here twice: first at t.yaml:6:1"));
    edge_end(&edge);
}

static void an_unknown_kind_is_told_the_known_ones(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_false(put(&edge, "acme", "apiVersion: v1\nkind: Deployment\nmetadata: {name: x}\n"));
    assert_true(said(&edge, "supported are Tenant, Ingress, Service"));
    assert_false(
        put(&edge, "acme", "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: x}\n"));
    assert_true(said(&edge, "networking.k8s.io/v1"));
    assert_true(put(&edge, "acme", "apiVersion: v1\nkind: Image\nmetadata: {name: x}\nspek: {}\n"));
    assert_true(said(&edge, "unknown field `spek`"));
    assert_false(put(&edge, "acme", "services: {web: {image: x}}\n"));
    assert_true(said(&edge, "a compose file is called compose.yaml"));
    edge_end(&edge);
}

/* ---- names ---- */

#define SHOP(name, domain) \
    TENANT(name,           \
           "domain: " domain ", domains: [shop.example.com], network: {allow: [10.11.0.0/16]}")

static void a_custom_name_is_pending_until_proved(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME ECHO INGRESS("web", "web.example.com", "web.example.com")));
    assert_null(named(&edge, "acme", "web.example.com"));
    assert_string_equal(domain_state(&edge, "acme", "web.example.com"), "pending");
    assert_non_null(
        strstr(field_of(view_domains(edge.registry, "acme"), "domain", "web.example.com", "reason"),
               "web.example.com CNAME 123123.1d.pt."));
    assert_string_equal(
        field_of(view_routes(edge.registry, "acme"), "host", "web.example.com", "state"),
        "pending");
    edge_end(&edge);
}

static void the_first_holder_keeps_a_name_and_the_second_gets_it_when_it_goes(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "a",
                    SHOP("a", "a.1d.pt")
                        ECHO INGRESS("default", "shop.example.com", "shop.example.com")));
    assert_true(put(&edge, "b",
                    SHOP("b", "b.1d.pt")
                        ECHO INGRESS("default", "shop.example.com", "shop.example.com")));
    assert_non_null(named(&edge, "a", "shop.example.com"));
    assert_null(named(&edge, "b", "shop.example.com"));
    assert_string_equal(domain_state(&edge, "a", "shop.example.com"), "verified");
    assert_string_equal(domain_state(&edge, "b", "shop.example.com"), "conflict");
    assert_string_equal(
        field_of(view_domains(edge.registry, "b"), "domain", "shop.example.com", "reason"),
        "taken");
    drop_gone(&edge, "a", 2000);
    assert_int_equal(edge.changed, 2);
    assert_null(live(&edge, "a"));
    assert_non_null(routed(&edge, "b", "shop.example.com", "/"));
    edge_end(&edge);
}

static void a_holder_is_remembered_across_a_restart_in_any_order(void **state) {
    (void)state;
    struct edge edge;
    struct change change;
    edge_begin(&edge);
    assert_true(put(&edge, "a",
                    SHOP("a", "a.1d.pt")
                        ECHO INGRESS("default", "shop.example.com", "shop.example.com")));
    edge_restart(&edge);
    assert_true(put(&edge, "b",
                    SHOP("b", "b.1d.pt")
                        ECHO INGRESS("default", "shop.example.com", "shop.example.com")));
    assert_null(named(&edge, "b", "shop.example.com"));
    registry_loaded(edge.registry, 3000, &change); /* a never came */
    change_take(&edge, &change);
    assert_non_null(named(&edge, "b", "shop.example.com"));
    edge_end(&edge);
}

static void a_pending_claim_blocks_nobody(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(
        put(&edge, "acme", ACME ECHO INGRESS("default", "shop.example.com", "shop.example.com")));
    assert_true(put(&edge, "b",
                    SHOP("b", "b.1d.pt")
                        ECHO INGRESS("default", "shop.example.com", "shop.example.com")));
    assert_non_null(named(&edge, "b", "shop.example.com"));
    assert_string_equal(domain_state(&edge, "acme", "shop.example.com"), "conflict");
    edge_end(&edge);
}

static void a_name_is_bound_to_one_ingress_and_used_by_all_of_the_tenant(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "a",
                    SHOP("a", "a.1d.pt") ECHO INGRESS("one", "shop.example.com", "x.a.1d.pt")
                        INGRESS("two", "shop.example.com", "shop.example.com")));
    assert_non_null(routed(&edge, "a", "shop.example.com", "/"));
    json_t *domains = view_domains(edge.registry, "a");
    assert_string_equal(field_of(domains, "ingress", "two", "state"), "conflict");
    assert_string_equal(field_of(view_domains(edge.registry, "a"), "ingress", "one", "state"),
                        "verified");
    edge_end(&edge);
}

static void a_domain_near_anothers_is_refused_and_the_rest_is_live(void **state) {
    (void)state;
    static const char *const near[] = {"123123.1d.pt", "x.123123.1d.pt", "1d.pt", "pt"};
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    for (size_t i = 0; i < 4; i++) {
        char text[256];
        snprintf(text, sizeof text, TENANT("b", "domain: %s, network: {allow: [10.12.0.0/16]}"),
                 near[i]);
        assert_true(put(&edge, "b", text));
        assert_string_equal(live(&edge, "b")->domain, "");
        assert_string_equal(field_of(view_tenants(edge.registry, "b"), "tenant", "b", "state"),
                            "error");
    }
    edge_end(&edge);
}

static void a_deleted_tenants_domain_goes_to_its_name_only(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    char *uid = strdup(live(&edge, "acme")->uid);
    drop_gone(&edge, "acme", 2000);
    edge_restart(&edge);
    assert_true(put(&edge, "b", TENANT("b", "domain: 123123.1d.pt")));
    assert_string_equal(live(&edge, "b")->domain, "");
    assert_true(put(&edge, "acme", ACME));
    assert_string_equal(live(&edge, "acme")->domain, "123123.1d.pt");
    assert_string_not_equal(live(&edge, "acme")->uid, uid);
    free(uid);
    edge_end(&edge);
}

static void names_of_nobody_and_of_the_platform_cannot_be_claimed(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme",
                    TENANT("acme", "domain: 123123.1d.pt, domains: [co.uk, other.1d.pt, '*.co.uk']")
                        INGRESS("default", "co.uk, other.1d.pt, '*.co.uk'", "other.1d.pt")));
    assert_string_equal(domain_state(&edge, "acme", "co.uk"), "conflict");
    assert_string_equal(domain_state(&edge, "acme", "*.co.uk"), "conflict");
    assert_string_equal(domain_state(&edge, "acme", "other.1d.pt"), "conflict");
    assert_null(named(&edge, "acme", "other.1d.pt"));
    edge_end(&edge);
}

static void a_vouched_wildcard_covers_one_label_and_hides_no_other_holder(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "b",
                    TENANT("b", "domain: b.1d.pt, domains: [mine.example.com]")
                        INGRESS("default", "mine.example.com", "mine.example.com")));
    assert_true(put(&edge, "a",
                    TENANT("a", "domain: a.1d.pt, domains: ['*.example.com']")
                        INGRESS("one", "'*.example.com'", "echo.example.com") INGRESS(
                            "two", "", "mine.example.com") INGRESS("three", "", "x.y.example.com")
                            INGRESS("four", "", "*.example.com")));
    assert_non_null(named(&edge, "a", "echo.example.com"));
    assert_non_null(named(&edge, "a", "*.example.com")->host);
    assert_null(named(&edge, "a", "mine.example.com"));
    assert_null(named(&edge, "a", "x.y.example.com"));
    drop_gone(&edge, "b", 5);
    assert_non_null(named(&edge, "a", "mine.example.com"));
    edge_end(&edge);
}

/* ---- paths ---- */

static void path_types_mean_what_kubernetes_means(void **state) {
    (void)state;
    static const char text[] =
        ACME ECHO "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec:\n"
                  "  defaultBackend: {service: {name: fallback, port: {number: 1}}}\n  rules:\n  - "
                  "host: h.123123.1d.pt\n    http:\n      paths:\n"
                  "      - {path: /foo, pathType: Prefix, backend: {service: {name: foo, port: "
                  "{number: 80}}}}\n"
                  "      - {path: /foo/bar/, pathType: Prefix, backend: {service: {name: foobar, "
                  "port: {number: 80}}}}\n"
                  "      - {path: /foo, pathType: Exact, backend: {service: {name: exact, port: "
                  "{number: 80}}}}\n"
                  "      - {path: /foo/, pathType: Prefix, backend: {service: {name: twice, port: "
                  "{number: 80}}}}\n";
    static const char *const expected[][2] = {
        {"/foo", "exact"},       {"/foo/", "foo"},       {"/foo/x", "foo"},
        {"/foobar", "fallback"}, {"/foo/bar", "foobar"}, {"/foo/bar/baz", "foobar"},
        {"/foo/barbaz", "foo"},  {"/", "fallback"},      {"/FOO", "fallback"},
    };
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", text));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(routed(&edge, "acme", "h.123123.1d.pt", expected[i][0])->service,
                            expected[i][1]);
    assert_string_equal(routed(&edge, "acme", "123123.1d.pt", "/any")->service, "fallback");
    assert_string_equal(field_of(view_routes(edge.registry, "acme"), "service", "twice", "state"),
                        "shadowed");
    edge_end(&edge);
}

static void many_routes_are_found_as_few_are(void **state) {
    (void)state;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fputs(ACME
          "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec:\n  rules:\n"
          "  - host: h.123123.1d.pt\n    http:\n      paths:\n",
          out);
    for (int i = 0; i < 100; i++)
        fprintf(out,
                "      - {path: /p%d, pathType: %s, backend: {service: {name: s%d, port: {number: "
                "80}}}}\n",
                i, i % 3 ? "Prefix" : "Exact", i);
    fputs("      - {path: /, pathType: Prefix, backend: {service: {name: root, port: {number: "
          "80}}}}\n",
          out);
    fclose(out);
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", text));
    for (int i = 0; i < 100; i++) {
        char path[32], deep[32], service[32];
        snprintf(path, sizeof path, "/p%d", i);
        snprintf(deep, sizeof deep, "/p%d/x", i);
        snprintf(service, sizeof service, "s%d", i);
        assert_string_equal(routed(&edge, "acme", "h.123123.1d.pt", path)->service, service);
        assert_string_equal(routed(&edge, "acme", "h.123123.1d.pt", deep)->service,
                            i % 3 ? service : "root");
    }
    free(text);
    edge_end(&edge);
}

/* ---- raw ports ---- */

#define DB(n)                                          \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: db" n \
    ", labels: {kr.ingress.3306: 'tcp://'}}\nstatus: {podIP: 10.11.1." n "}\n---\n"

static long port_of(const struct edge *edge, const char *service) {
    return atol(field_of(view_ports(edge->registry, NULL), "service", service, "publicPort"));
}

static void the_fifth_raw_port_is_refused_and_the_four_stay(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME DB("5") DB("2") DB("3") DB("4")));
    long before = port_of(&edge, "db5");
    assert_in_range(before, 28000, 28009);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4") DB("5")));
    assert_int_equal(port_of(&edge, "db5"), before);
    assert_string_equal(field_of(view_ports(edge.registry, NULL), "service", "db1", "state"),
                        "refused");
    edge_restart(&edge);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4") DB("5")));
    assert_int_equal(port_of(&edge, "db5"), before);
    edge_end(&edge);
}

static void a_released_port_is_held_a_day_and_counts(void **state) {
    (void)state;
    struct edge edge;
    struct change change;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2")));
    long first = port_of(&edge, "db1"), second = port_of(&edge, "db2");
    assert_true(put(&edge, "acme", ACME DB("2") DB("3")));
    assert_true(port_of(&edge, "db3") != first);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3")));
    assert_int_equal(port_of(&edge, "db1"), first);
    assert_int_equal(port_of(&edge, "db2"), second);
    assert_true(put(&edge, "acme", ACME DB("2") DB("3")));
    registry_tick(edge.registry, 1000 + 24 * 3600 - 1, &change);
    change_take(&edge, &change);
    assert_int_equal(edge.changed, 0);
    registry_tick(edge.registry, 1000 + 24 * 3600, &change);
    assert_int_equal(change.row_count, 1); /* it is free */
    change_take(&edge, &change);
    edge_end(&edge);
}

/* `docker run` without a name is another service each time; and nobody comes by more numbers than his quota in a day. */
static void
when_the_quota_is_used_up_the_port_that_was_held_longest_goes_to_the_next_service(void **state) {
    static const char *const more[] = {DB("5"), DB("6"), DB("7"), DB("8"), DB("9")};
    (void)state;
    struct edge edge;
    char text[4096];
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4")));
    long first = port_of(&edge, "db1"), second = port_of(&edge, "db2");
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        snprintf(text, sizeof text, "%s%s", ACME DB("2") DB("3") DB("4"), more[i]);
        assert_true(put(&edge, "acme", text));
        const char name[] = {'d', 'b', (char)('5' + i), 0};
        assert_int_equal(port_of(&edge, name), first);
    }
    edge_restart(&edge);
    assert_true(put(&edge, "acme", ACME DB("1") DB("3") DB("4") DB("9"))); /* none of db1's */
    assert_int_equal(port_of(&edge, "db9"), first);
    assert_int_equal(port_of(&edge, "db1"), second);
    assert_true(put(&edge, "acme", ACME DB("1") DB("3") DB("4") DB("9") DB("2")));
    assert_string_equal(field_of(view_ports(edge.registry, NULL), "service", "db2", "state"),
                        "refused");
    edge_end(&edge);
}

static void a_tenants_ports_are_held_for_nobody_after_it_goes(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4")));
    drop_gone(&edge, "acme", 1000);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4")));
    drop_gone(&edge, "acme", 1000);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4")));
    assert_string_equal(
        field_of(view_ports(edge.registry, NULL), "service", "db3", "reason"),
        "the pool of raw ports is used up"); /* 8 of 10 are held for the two that were */
    edge_end(&edge);
}

/* A number must not tell how many tenants there are, nor what the next one will be. */
static void numbers_are_drawn_not_counted(void **state) {
    struct edge edge;
    (void)state;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME DB("1") DB("2") DB("3") DB("4")));
    const long number[] = {port_of(&edge, "db1"), port_of(&edge, "db2"), port_of(&edge, "db3"),
                           port_of(&edge, "db4")};
    bool counted = true;
    for (int i = 0; i < 3; i++)
        counted &= number[i + 1] == number[i] + 1;
    assert_false(counted);
    edge_end(&edge);
}

static void a_node_port_by_number_is_given_if_free(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
#define NODE(name, number)                                     \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name    \
    "}\nspec: {type: NodePort, selector: {app: echo}, ports: " \
    "[{port: 80, targetPort: 5678, nodePort: " number "}]}\n---\n"
    assert_true(
        put(&edge, "acme", ACME ECHO NODE("a", "28003") NODE("b", "30000") NODE("c", "28003")));
    assert_int_equal(port_of(&edge, "a"), 28003);
    assert_non_null(strstr(field_of(view_ports(edge.registry, NULL), "service", "b", "reason"),
                           "outside the pool"));
    assert_string_equal(field_of(view_ports(edge.registry, NULL), "service", "c", "reason"),
                        "nodePort 28003 is taken");
    assert_int_equal(live(&edge, "acme")->raw_port[0].backend->ready_count, 1);
    edge_end(&edge);
}

/* ---- labels and compose ---- */

static void pods_that_say_the_same_share_a_backend(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme",
                    ACME "apiVersion: v1\nkind: Pod\nmetadata: {name: w1, labels: {kr.ingress.80: "
                         "'https://w.*'}}\nstatus: {podIP: 10.11.0.1}\n---\n"
                         "apiVersion: v1\nkind: Pod\nmetadata: {name: w2, labels: {kr.ingress.80: "
                         "'https://w.*'}}\nstatus: {podIP: 10.11.0.2}\n---\n"));
    assert_int_equal(routed(&edge, "acme", "w.123123.1d.pt", "/")->ready_count, 2);
    assert_true(named(&edge, "acme", "w.123123.1d.pt")->host->redirect);
    edge_end(&edge);
}

static void a_bad_label_is_an_event_of_that_one_object(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme",
                    TENANT("acme", "network: {allow: [10.11.0.0/16]}") ECHO
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: w1, labels: {kr.ingress.80: "
                    "'https://w.*', kr.ingress.x: 'tcp://', kr.ingress.81: 'ftp://x'}}\n"));
    json_t *events = view_events(edge.registry, "acme");
    assert_int_equal(json_array_size(events), 3);
    assert_non_null(strstr(field_of(events, "object", "Pod/w1", "message"),
                           "needs the tenant to have a domain"));
    edge_end(&edge);
}

static void a_compose_service_is_looked_up_by_name(void **state) {
    (void)state;
    static const char tenant[] = ACME,
                      compose[] = "version: '3.9'\nservices:\n  nginx:\n    image: nginx\n    "
                                  "labels:\n      kr.ingress.80: https://nginx.*\n"
                                  "  db:\n    labels: ['kr.ingress.3306=tcp://']\n    networks: "
                                  "{n: {ipv4_address: 10.11.0.9}}\n";
    struct edge edge;
    struct change change;
    union address address;
    edge_begin(&edge);
    struct source source[] = {{"c/compose.yaml", "compose.yaml", compose, sizeof compose - 1},
                              {"c/tenant.yaml", "tenant.yaml", tenant, sizeof tenant - 1}};
    struct drop drop = {"acme", true, source, 2};
    assert_true(registry_put(edge.registry, &drop, 1, &edge.diags, &change));
    change_take(&edge, &change);
    assert_int_equal(edge.lookups, 1);
    assert_string_equal(edge.lookup, "nginx");
    assert_int_equal(routed(&edge, "acme", "nginx.123123.1d.pt", "/")->ready_count, 0);
    assert_int_equal(live(&edge, "acme")->raw_port[0].backend->ready_count, 1);
    assert_true(address_parse("10.11.0.7", 0, &address));
    registry_resolved(edge.registry, "acme", "nginx", &address, 1, 2, &change);
    change_take(&edge, &change);
    assert_int_equal(routed(&edge, "acme", "nginx.123123.1d.pt", "/")->ready_count, 1);
    assert_int_equal(
        address_port(&routed(&edge, "acme", "nginx.123123.1d.pt", "/")->endpoint[0].addr), 80);
    registry_resolved(edge.registry, "acme", "nginx", &address, 1, 3, &change);
    assert_int_equal(change.tenant_count, 0);
    change_fini(&change);
    edge_end(&edge);
}

static void passthrough_hosts_go_to_one_backend_unopened(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(
        &edge, "acme",
        ACME ECHO
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: p, annotations: "
        "{ringress/tls-passthrough: 'true'}}\nspec: {rules: [{host: db.123123.1d.pt, http: {paths: "
        "[{path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: "
        "80}}}}]}}]}\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: q, labels: {kr.ingress.5432: 'tls://q.*'}}\n"
        "status: {podIP: 10.11.0.6}\n"));
    const struct host *host = named(&edge, "acme", "db.123123.1d.pt")->host;
    assert_true(host->passthrough);
    assert_string_equal(host->passthrough_backend->service, "echo");
    assert_int_equal(host->route_count, 0);
    host = named(&edge, "acme", "q.123123.1d.pt")->host;
    assert_true(host->passthrough);
    assert_int_equal(address_port(&host->passthrough_backend->endpoint[0].addr), 5432);
    assert_string_equal(
        field_of(view_routes(edge.registry, "acme"), "host", "q.123123.1d.pt", "scheme"), "tls");
    edge_end(&edge);
}

static void a_service_without_selector_has_its_slices_and_endpoints(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(
        &edge, "acme",
        ACME
        "apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec: {ports: [{port: 80, name: "
        "http, appProtocol: kubernetes.io/h2c}]}\n---\n"
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e-1, labels: "
        "{kubernetes.io/service-name: echo}}\naddressType: IPv4\nports: [{name: http, port: 8080}, "
        "{name: other, port: 1}]\nendpoints: [{addresses: [10.11.0.1]}, {addresses: [10.11.0.2], "
        "conditions: {ready: false}}]\n---\n"
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: echo}\nsubsets: [{addresses: [{ip: "
        "10.11.0.3}, {ip: 10.11.0.1}], ports: [{name: http, port: 8080}]}]\n---\n" INGRESS(
            "default", "", "echo.123123.1d.pt")));
    const struct backend *backend = routed(&edge, "acme", "echo.123123.1d.pt", "/");
    assert_int_equal(backend->endpoint_count, 3);
    assert_int_equal(backend->ready_count, 2);
    assert_int_equal(backend->protocol, APP_H2C);
    edge_end(&edge);
}

static void a_missing_service_is_said_and_answers_nothing(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME INGRESS("default", "", "echo.123123.1d.pt")));
    assert_string_equal(field_of(view_routes(edge.registry, "acme"), "service", "echo", "reason"),
                        "Service echo not found");
    assert_int_equal(routed(&edge, "acme", "echo.123123.1d.pt", "/")->ready_count, 0);
    char *text = explain_name(edge.registry, "unknown.example.com");
    assert_string_equal(text, "no tenant has bound unknown.example.com");
    free(text);
    edge_end(&edge);
}

/* ---- reach ---- */

static void pods_outside_the_network_are_never_dialled(void **state) {
    (void)state;
    static const struct {
        const char *allow, *ip;
        int port;
        bool ready;
    } story[] = {
        {"10.11.0.0/16", "10.11.255.1", 80, true},
        {"10.11.0.0/16", "10.12.0.1", 80, false},
        {"0.0.0.0/0", "169.254.169.254", 80, false},
        {"169.254.169.254/32", "169.254.169.254", 80, false},
        {"0.0.0.0/0", "127.0.0.5", 80, false},
        {"127.0.0.0/8", "127.0.0.5", 80, true},
        {"127.0.0.0/8", "127.0.0.1", 9180, false},
        {"127.0.0.0/8", "127.9.9.9", 8443, false},
        {"::/0", "::1", 80, false},
        {"10.0.0.0/8", "::ffff:10.0.0.1", 80, true},
        {"::/0", "::ffff:127.0.0.1", 80, false},
        {"0.0.0.0/0", "169.254.1.1", 80, false},
        {"::/0", "fd00:ec2::254", 80, false},
        {"0.0.0.0/0", "8.8.8.8", 80, true},
    };
    struct edge edge;
    edge_begin(&edge);
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            TENANT("acme",
                   "domain: 123123.1d.pt, network: {allow: ['%s']}") "apiVersion: v1\nkind: "
                                                                     "Pod\nmetadata: {name: p, "
                                                                     "labels: {kr.ingress.%d: "
                                                                     "'http://p.*'}}\nstatus: "
                                                                     "{podIP: '%s'}\n",
            story[i].allow, story[i].port, story[i].ip);
        assert_true(put(&edge, "acme", text));
        assert_int_equal(routed(&edge, "acme", "p.123123.1d.pt", "/")->ready_count, story[i].ready);
    }
    edge_end(&edge);
}

/* ---- size ---- */

static void a_change_costs_its_own_tenant_only(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    struct change change;
    char text[2048], name[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        snprintf(text, sizeof text,
                 TENANT("t%d", "domain: t%d.1d.pt, network: {allow: [10.0.0.0/8]}")
                     ECHO INGRESS("default", "x.t%d.1d.pt", "x.t%d.1d.pt"),
                 i, i, i, i);
        struct source source = {"t.yaml", "t.yaml", text, strlen(text)};
        struct drop drop = {name, false, &source, 1};
        assert_true(registry_put(edge.registry, &drop, 1, &edge.diags, &change));
        assert_int_equal(change.tenant_count, 1);
        change_fini(&change);
    }
    edge_end(&edge);
}

/* ---- memory ---- */

/* Whichever allocator there is: a sanitizer's, jemalloc, the C library's. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

static size_t memory_used(void) {
    uint64_t taken = 0, given = 0;
    size_t length = sizeof taken;
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    if (mallctl && !mallctl("thread.allocated", &taken, &length, NULL, 0) &&
        !mallctl("thread.deallocated", &given, &length, NULL, 0))
        return taken - given;
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

__attribute__((format(printf, 4, 5))) static char *
text_grown(char *text, size_t *length, size_t room, const char *format, ...) {
    va_list list;
    va_start(list, format);
    *length += (size_t)vsnprintf(text + *length, room - *length, format, list);
    va_end(list);
    assert_true(*length < room);
    return text;
}

static void what_means_nothing_here_is_kept_as_text_only(void **state) {
    (void)state;
    enum { ROOM = 1 << 20 };
    struct edge edge;
    size_t length = 0;
    edge_begin(&edge);
    char *text = text_grown(calloc(1, ROOM), &length, ROOM,
                            "%sapiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n"
                            "  containers:\n  - name: c\n    env:\n",
                            ACME);
    for (int i = 0; i < 10000; i++)
        text_grown(text, &length, ROOM, "    - {name: V%d, value: v%d}\n", i, i);
    size_t before = memory_used();
    assert_true(put(&edge, "acme", text));
    assert_in_range(memory_used() - before, length, 3 * length); /* the text itself is kept */
    json_t *objects = view_objects(edge.registry, "acme");       /* and all of it can be had */
    json_t *pod = json_object_get(json_array_get(objects, 0), "object");
    json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
    json_t *env = json_object_get(json_array_get(containers, 0), "env");
    assert_int_equal(json_array_size(env), 10000);
    assert_string_equal(json_string_value(json_object_get(json_array_get(env, 9999), "value")),
                        "v9999");
    json_decref(objects);
    free(text);
    edge_end(&edge);
}

static void a_hundred_aliases_of_a_text_keep_it_once(void **state) {
    (void)state;
    enum { LONG = 1 << 20, ROOM = LONG + (1 << 16) };
    struct edge edge;
    size_t length = 0;
    edge_begin(&edge);
    char *filler = memset(calloc(1, LONG + 1), 'x', LONG);
    char *text = text_grown(calloc(1, ROOM), &length, ROOM,
                            "%sapiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n"
                            "  first: &long %s\n",
                            ACME, filler);
    for (int i = 0; i < 100; i++)
        text_grown(text, &length, ROOM, "  k%d: *long\n", i);
    size_t before = memory_used();
    assert_true(put(&edge, "acme", text));
    assert_in_range(memory_used() - before, length, 4 * length);
    free(filler);
    free(text);
    edge_end(&edge);
}

/* Its text, and what is served of it: nine small Pods with a Service and an Ingress. */
static void of_a_small_tenant_the_text_is_kept_and_not_what_was_understood(void **state) {
    (void)state;
    enum { OBJECTS = 11, ROOM = 1 << 14 };
    struct edge edge;
    struct change change;
    char text[ROOM], name[32];
    edge_begin(&edge);
    size_t before = memory_used();
    for (int i = 0; i < TENANTS; i++) {
        size_t length = 0;
        snprintf(name, sizeof name, "t%d", i);
        text_grown(text, &length, ROOM,
                   TENANT("t%d", "domain: t%d.1d.pt, network: {allow: [10.0.0.0/8]}")
                       ECHO INGRESS("default", "x.t%d.1d.pt", "x.t%d.1d.pt"),
                   i, i, i, i);
        for (int k = 0; k < 8; k++)
            text_grown(text, &length, ROOM,
                       "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d, labels: {app: p%d, "
                       "version: '1.27', team: blue}}\nspec: {containers: [{name: main, ports: "
                       "[{containerPort: 80}]}]}\n",
                       k, k);
        struct source source = {"t.yaml", "t.yaml", text, length};
        struct drop drop = {name, false, &source, 1};
        assert_true(registry_put(edge.registry, &drop, 1, &edge.diags, &change));
        change_fini(&change);
    }
    assert_in_range((memory_used() - before) / TENANTS / OBJECTS, 100, 1024);
    edge_end(&edge);
}

/* The grant stays when the rest goes; here its domain is an alias of a word in what goes. */
static void a_grant_that_shares_a_word_with_others_keeps_it(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    for (int i = 0; i < 2; i++) {
        assert_true(put(&edge, "acme",
                        "apiVersion: v1\nkind: List\nitems:\n"
                        "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n"
                        "  data: {domain: &it 123123.1d.pt}\n"
                        "- apiVersion: ringress/v1\n  kind: Tenant\n  metadata: {name: acme}\n"
                        "  spec: {domain: *it}\n"));
        assert_string_equal(
            field_of(view_tenants(edge.registry, "acme"), "tenant", "acme", "domain"),
            "123123.1d.pt");
    }
    edge_end(&edge);
}

static void what_was_shed_is_described_as_it_was_written(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme",
                    ACME "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, "
                         "labels: {team: blue}}\nspec:\n  tls: [{hosts: [a.123123.1d.pt], "
                         "secretName: s}]\n"));
    for (int i = 0; i < 2; i++) {
        char *text = describe_ingress(edge.registry, "acme", "web");
        assert_non_null(strstr(text, "team=blue"));
        assert_non_null(strstr(text, "s terminates a.123123.1d.pt"));
        free(text);
    }
    assert_false(put(&edge, "acme", "kind: Nothing\n")); /* the last good one is what is shown */
    char *text = describe_ingress(edge.registry, "acme", "web");
    assert_non_null(strstr(text, "team=blue"));
    free(text);
    assert_null(describe_ingress(edge.registry, "acme", "none"));
    edge_end(&edge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_small_tenant_the_text_is_kept_and_not_what_was_understood),
        cmocka_unit_test(a_grant_that_shares_a_word_with_others_keeps_it),
        cmocka_unit_test(what_was_shed_is_described_as_it_was_written),
        cmocka_unit_test(what_means_nothing_here_is_kept_as_text_only),
        cmocka_unit_test(a_hundred_aliases_of_a_text_keep_it_once),
        cmocka_unit_test(the_tutorials_echo_routes_to_its_pod),
        cmocka_unit_test(describe_ingress_looks_like_kubectl),
        cmocka_unit_test(a_pod_without_an_address_waits_for_it),
        cmocka_unit_test(a_broken_drop_keeps_the_last_good_state),
        cmocka_unit_test(a_restart_with_a_broken_drop_serves_the_last_good_one),
        cmocka_unit_test(all_errors_of_all_files_are_reported_with_positions),
        cmocka_unit_test(a_tenant_outside_tenant_yaml_grants_nothing),
        cmocka_unit_test(an_object_twice_names_both_places),
        cmocka_unit_test(an_unknown_kind_is_told_the_known_ones),
        cmocka_unit_test(a_custom_name_is_pending_until_proved),
        cmocka_unit_test(the_first_holder_keeps_a_name_and_the_second_gets_it_when_it_goes),
        cmocka_unit_test(a_holder_is_remembered_across_a_restart_in_any_order),
        cmocka_unit_test(a_pending_claim_blocks_nobody),
        cmocka_unit_test(a_name_is_bound_to_one_ingress_and_used_by_all_of_the_tenant),
        cmocka_unit_test(a_domain_near_anothers_is_refused_and_the_rest_is_live),
        cmocka_unit_test(a_deleted_tenants_domain_goes_to_its_name_only),
        cmocka_unit_test(names_of_nobody_and_of_the_platform_cannot_be_claimed),
        cmocka_unit_test(a_vouched_wildcard_covers_one_label_and_hides_no_other_holder),
        cmocka_unit_test(path_types_mean_what_kubernetes_means),
        cmocka_unit_test(many_routes_are_found_as_few_are),
        cmocka_unit_test(the_fifth_raw_port_is_refused_and_the_four_stay),
        cmocka_unit_test(a_released_port_is_held_a_day_and_counts),
        cmocka_unit_test(
            when_the_quota_is_used_up_the_port_that_was_held_longest_goes_to_the_next_service),
        cmocka_unit_test(a_tenants_ports_are_held_for_nobody_after_it_goes),
        cmocka_unit_test(numbers_are_drawn_not_counted),
        cmocka_unit_test(a_node_port_by_number_is_given_if_free),
        cmocka_unit_test(pods_that_say_the_same_share_a_backend),
        cmocka_unit_test(a_bad_label_is_an_event_of_that_one_object),
        cmocka_unit_test(a_compose_service_is_looked_up_by_name),
        cmocka_unit_test(passthrough_hosts_go_to_one_backend_unopened),
        cmocka_unit_test(a_service_without_selector_has_its_slices_and_endpoints),
        cmocka_unit_test(a_missing_service_is_said_and_answers_nothing),
        cmocka_unit_test(pods_outside_the_network_are_never_dialled),
        cmocka_unit_test(a_change_costs_its_own_tenant_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
