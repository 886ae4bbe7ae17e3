/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_feed.c - what runs, beside what a tenant's files say.
 */
#include "tenants/feed.h"
#include "tests/unit/small_edge.h"

static void feed(struct edge *edge, const char *name, const struct fed *list, size_t count) {
    struct change change;
    registry_feed(edge->registry, "acme", name, list, count, 1000, &change);
    change_take(edge, &change);
}

static const char *const inside[] = {"10.11.0.9"}, *const outside_first[] = {"192.0.2.1", "x",
                                                                             "10.11.0.8"};
static const struct fed_label web_label[] = {{"kr.ingress.80", "https://web.*"}},
                              raw_label[] = {{"kr.ingress.3306", "tcp://"}},
                              bad_label[] = {{"kr.ingress.80", "ftp://\x01"}, {"other", "x"}};

static struct fed container(const char *object, const struct fed_label *label) {
    return (struct fed){.object = object,
                        .name = object + strlen("Container/"),
                        .group = object + strlen("Container/"),
                        .label = label,
                        .label_count = 1,
                        .address = inside,
                        .address_count = 1};
}

static size_t event_count(const struct edge *edge) {
    json_t *rows = view_events(edge->registry, "acme");
    size_t count = json_array_size(rows);
    json_decref(rows);
    return count;
}

static void a_container_routes_as_a_label_in_a_file_does(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed web = container("Container/web-1", web_label);
    feed(&edge, "engine", &web, 1);
    const struct backend *backend = routed(&edge, "acme", "web.123123.1d.pt", "/");
    assert_non_null(backend);
    assert_int_equal(backend->ready_count, 1);
    assert_string_equal(backend->endpoint[0].pod, "web-1");
    feed(&edge, "engine", NULL, 0);
    assert_null(routed(&edge, "acme", "web.123123.1d.pt", "/"));
    edge_end(&edge);
}

static void only_what_changed_is_compiled(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed web = container("Container/web-1", web_label);
    feed(&edge, "engine", &web, 1);
    assert_int_equal(edge.changed, 1);
    feed(&edge, "engine", &web, 1);
    assert_int_equal(edge.changed, 0);
    web.not_ready = "it is paused";
    feed(&edge, "engine", &web, 1);
    assert_int_equal(edge.changed, 1);
    assert_int_equal(routed(&edge, "acme", "web.123123.1d.pt", "/")->ready_count, 0);
    feed(&edge, "another", NULL, 0);
    assert_int_equal(edge.changed, 0);
    edge_end(&edge);
}

static void feeds_and_files_are_beside_each_other_and_share_backends(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put_named(&edge, "acme", false, "t.yaml",
                          ACME "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: "
                               "{kr.ingress.80: 'https://web.*'}}\nstatus: {podIP: 10.11.0.5}\n",
                          1000));
    struct fed web = container("Container/web-1", web_label), again = web;
    feed(&edge, "engine b", &web, 1);
    again.address = outside_first;
    again.address_count = 3;
    feed(&edge, "engine a", &again, 1);
    assert_int_equal(routed(&edge, "acme", "web.123123.1d.pt", "/")->ready_count, 3);
    feed(&edge, "engine b", NULL, 0);
    assert_int_equal(routed(&edge, "acme", "web.123123.1d.pt", "/")->ready_count, 2);
    edge_end(&edge);
}

static void containers_of_one_name_in_two_engines_are_two(void **state) {
    (void)state;
    static const struct fed_label other[] = {{"kr.ingress.80", "https://other.*"}};
    static const char *const address[] = {"10.11.0.7"};
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed one = container("Container/web", web_label), two = container("Container/web", other);
    two.address = address;
    feed(&edge, "engine a", &one, 1);
    feed(&edge, "engine b", &two, 1);
    const struct backend *a = routed(&edge, "acme", "web.123123.1d.pt", "/"),
                         *b = routed(&edge, "acme", "other.123123.1d.pt", "/");
    assert_int_equal(a->endpoint_count, 1);
    assert_int_equal(b->endpoint_count, 1);
    assert_memory_not_equal(&a->endpoint[0].addr, &b->endpoint[0].addr, sizeof(union address));
    edge_end(&edge);
}

static void the_address_inside_the_tenants_network_is_used(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed web = container("Container/web", web_label);
    web.address = outside_first;
    web.address_count = 3;
    feed(&edge, "engine", &web, 1);
    assert_int_equal(routed(&edge, "acme", "web.123123.1d.pt", "/")->ready_count, 1);
    web.address_count = 1;
    feed(&edge, "engine", &web, 1);
    const struct backend *backend = routed(&edge, "acme", "web.123123.1d.pt", "/");
    assert_int_equal(backend->ready_count, 0);
    assert_non_null(strstr(backend->endpoint[0].reason, "network.allow"));
    web.address_count = 0;
    feed(&edge, "engine", &web, 1);
    backend = routed(&edge, "acme", "web.123123.1d.pt", "/");
    assert_non_null(strstr(backend->endpoint[0].reason, "no address"));
    edge_end(&edge);
}

static void a_bad_label_is_an_event_of_its_container_only(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed list[] = {container("Container/bad", bad_label),
                         container("Container/web", web_label)};
    list[0].label_count = 2;
    feed(&edge, "engine", list, 2);
    assert_string_equal(
        field_of(view_events(edge.registry, "acme"), "object", "Container/bad", "reason"),
        "BadLabel");
    assert_int_equal(event_count(&edge), 1);
    assert_int_equal(routed(&edge, "acme", "web.123123.1d.pt", "/")->ready_count, 1);
    edge_end(&edge);
}

static void what_a_long_label_says_is_cut_between_characters(void **state) {
    (void)state;
    char value[1 + 2 * 150 + 1] = "x";
    const struct fed_label label = {"kr.ingress.80", value};
    struct edge edge;
    for (int i = 0; i < 150; i++)
        memcpy(value + 1 + 2 * i, "\xc3\xa9", 3);
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed web = container("Container/web", &label);
    feed(&edge, "engine", &web, 1);
    const char *message =
        field_of(view_events(edge.registry, "acme"), "object", "Container/web", "message");
    assert_non_null(strstr(message, "must start with"));
    edge_end(&edge);
}

static void a_raw_ports_number_belongs_to_the_group_and_survives_its_containers(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    assert_true(put(&edge, "acme", ACME));
    struct fed list[] = {container("Container/db-1", raw_label),
                         container("Container/db-2", raw_label)};
    list[0].group = list[1].group = "shop/db";
    feed(&edge, "engine", list, 2);
    assert_int_equal(live(&edge, "acme")->raw_port_count, 1);
    uint16_t number = live(&edge, "acme")->raw_port[0].public_port;
    assert_string_equal(live(&edge, "acme")->raw_port[0].service, "shop/db");
    feed(&edge, "engine", NULL, 0);
    assert_int_equal(live(&edge, "acme")->raw_port_count, 0);
    feed(&edge, "engine", list + 1, 1);
    assert_int_equal(live(&edge, "acme")->raw_port[0].public_port, number);
    edge_end(&edge);
}

static void a_feed_waits_for_its_tenant_and_is_not_held_by_a_broken_file(void **state) {
    (void)state;
    struct edge edge;
    edge_begin(&edge);
    struct fed web = container("Container/web", web_label);
    feed(&edge, "engine", &web, 1);
    assert_int_equal(edge.changed, 0);
    assert_true(put(&edge, "acme", ACME));
    assert_non_null(routed(&edge, "acme", "web.123123.1d.pt", "/"));
    assert_false(put(&edge, "acme", "kind: ["));
    feed(&edge, "engine", NULL, 0);
    assert_null(routed(&edge, "acme", "web.123123.1d.pt", "/"));
    feed(&edge, "engine", &web, 1);
    drop_gone(&edge, "acme", 1001);
    assert_true(put(&edge, "acme", ACME));
    assert_non_null(routed(&edge, "acme", "web.123123.1d.pt", "/"));
    edge_end(&edge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_routes_as_a_label_in_a_file_does),
        cmocka_unit_test(only_what_changed_is_compiled),
        cmocka_unit_test(feeds_and_files_are_beside_each_other_and_share_backends),
        cmocka_unit_test(containers_of_one_name_in_two_engines_are_two),
        cmocka_unit_test(the_address_inside_the_tenants_network_is_used),
        cmocka_unit_test(a_bad_label_is_an_event_of_its_container_only),
        cmocka_unit_test(what_a_long_label_says_is_cut_between_characters),
        cmocka_unit_test(a_raw_ports_number_belongs_to_the_group_and_survives_its_containers),
        cmocka_unit_test(a_feed_waits_for_its_tenant_and_is_not_held_by_a_broken_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
