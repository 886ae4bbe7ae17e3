/* SPDX-License-Identifier: GPL-3.0-or-later
 * edge.yaml: what is good is ready to use, what is wrong is said all at once and where.
 * link: edge/conf.c edge/address.c edge/file.c edge/user.c edge/capability.c
 */
#include "edge/address.h"
#include "edge/conf.h"
#include "edge/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEAST "conf_d: c\nstate: s\nlisten: {http: [\"127.0.0.1:80\"]}\n"

static struct edge_conf *parse(const char *text, struct diags *diags) {
    *diags = (struct diags){0};
    return edge_conf_parse("dir/edge.yaml", text, strlen(text), diags);
}

static void the_least_that_is_required_gives_the_documented_defaults(void **state) {
    struct diags diags;
    struct edge_conf *c = parse(LEAST, &diags);
    (void)state;
    assert_non_null(c);
    assert_string_equal(c->conf_d, "dir/c");
    assert_string_equal(c->state, "dir/s");
    assert_string_equal(c->admin.socket, "/run/ringress/admin.sock");
    assert_int_equal(c->timeouts.header, 10000);
    assert_int_equal(c->timeouts.keepalive, 75000);
    assert_int_equal(c->raw_tcp.per_tenant, 4);
    assert_int_equal(c->port_high, 0);
    assert_int_equal(c->modules.count, 3);
    assert_int_equal(c->tls.min_version, 0);
    assert_true(c->workers >= 1);
    assert_int_equal(c->addresses.count, 1); /* those of the listeners */
    assert_string_equal(((char **)c->addresses.item)[0], "127.0.0.1");
    edge_conf_free(c);
    diags_fini(&diags);
}

static void addresses_of_both_families_are_read(void **state) {
    struct diags diags;
    struct edge_conf *c =
        parse("conf_d: c\nstate: s\nlisten:\n  https: [\"0.0.0.0:443\", \"[::]:443\"]\n"
              "raw_tcp: {ports: 28000-31999}\n",
              &diags);
    (void)state;
    assert_non_null(c);
    assert_int_equal(c->https.count, 2);
    assert_int_equal(c->https.item[1].any.sa_family, AF_INET6);
    assert_int_equal(address_port(&c->https.item[1]), 443);
    assert_int_equal(c->addresses.count, 0); /* wildcards name no address */
    assert_int_equal(c->port_low, 28000);
    assert_int_equal(c->port_high, 31999);
    edge_conf_free(c);
    diags_fini(&diags);
}

static void zones_come_out_as_names_are_compared(void **state) {
    struct diags diags;
    struct edge_conf *c = parse(LEAST "zones: [1D.pt., example.com]\n", &diags);
    (void)state;
    assert_non_null(c);
    assert_string_equal(((char **)c->zones.item)[0], "1d.pt");
    assert_string_equal(((char **)c->zones.item)[1], "example.com");
    edge_conf_free(c);
    diags_fini(&diags);
}

static void expect_error(const char *text, unsigned line, unsigned column, const char *part) {
    struct diags diags;
    struct edge_conf *c = parse(text, &diags);
    bool found = false;
    assert_null(c);
    for (size_t i = 0; i < diags.count; i++)
        found |= diags.item[i].line == line && diags.item[i].column == column &&
                 strstr(diags.item[i].message, part);
    if (!found)
        diags_print(&diags, stderr);
    assert_true(found);
    diags_fini(&diags);
}

static void every_mistake_is_told_with_its_position(void **state) {
    (void)state;
    expect_error("state: s\nlisten: {http: [\"127.0.0.1:80\"]}\n", 1, 1, "conf_d is missing");
    expect_error("", 1, 1, "listen is missing");
    expect_error(LEAST "colour: red\n", 4, 1, "unknown key");
    expect_error(LEAST "workers: many\n", 4, 10, "workers");
    expect_error(LEAST "workers: 0\n", 4, 10, "workers");
    expect_error(LEAST "timeouts: {drain: soon}\n", 4, 19, "drain");
    expect_error(LEAST "trusted_proxies: [10.0.0.1/8]\n", 4, 19, "prefix");
    expect_error(LEAST "raw_tcp: {ports: 5-1}\n", 4, 18, "range");
    expect_error(LEAST "raw_tcp: {ports: 1-100}\n", 3, 17, "pool");
    expect_error(LEAST "dns: {servers: [example.com]}\n", 4, 17, "not an address");
    expect_error(LEAST "dns: {trust_anchor: no/such.key}\n", 4, 21, "no/such.key");
    expect_error("conf_d: c\nstate: s\nlisten: {http: [localhost:80]}\n", 3, 17, "localhost:80");
    expect_error("conf_d: c\nstate: s\nlisten: {}\n", 3, 9, "neither");
    expect_error("conf_d: c\nstate: s\nlisten: {http: [\"127.0.0.1:80\"], proxy_protocol: "
                 "[\"::1\", 10.0.0.1/8]}\n",
                 3, 58, "10.0.0.1/8");
    expect_error(LEAST "user: nosuchuser\n", 4, 7, "no such user");
    expect_error(LEAST "zones: [1d.pt, \"*.x\"]\n", 4, 16, "wildcard");
    expect_error(LEAST "zones: [a..b]\n", 4, 9, "a..b");
    expect_error(LEAST "zones: [10.0.0.1]\n", 4, 9, "IP address");
    expect_error(LEAST "zones: \"\"\n", 4, 8, "empty");
}

static void logs_know_where_they_were_named(void **state) {
    struct diags diags;
    (void)state;
    struct edge_conf *c = parse(LEAST "log: {access: json, path: a.log}\n", &diags);
    assert_int_equal(diags.count, 0);
    assert_int_equal(c->log.access, 1);
    assert_int_equal(c->log.query, 0);
    assert_null(c->log.access_path);
    assert_int_equal(c->access_at.line, 4);
    assert_int_equal(c->access_at.column, c->log_at.column);
    edge_conf_free(c);
    diags_fini(&diags);
    c = parse(LEAST "log:\n  path: stderr\n  access_path: b.log\n  query: keep\n", &diags);
    assert_string_equal(c->log.path, "stderr");
    assert_int_equal(c->log.query, 1);
    assert_int_equal(c->log_at.line, 5);
    assert_int_equal(c->access_at.line, 6);
    edge_conf_free(c);
    diags_fini(&diags);
}

static void what_this_build_lacks_is_not_ignored(void **state) {
    (void)state;
    expect_error(LEAST "acme: {email: x}\n", 4, 1, "acme");
}

static void thresholds_of_the_shutoff_are_read_and_judged(void **state) {
    struct diags diags;
    (void)state;
    struct edge_conf *c =
        parse(LEAST "raw_tcp: {shutoff: {lag: 20ms, idle: 3s, drop: off}}\n", &diags);
    assert_non_null(c);
    assert_true(c->raw_tcp.shutoff.on);
    assert_int_equal(c->raw_tcp.shutoff.lag_ms, 20);
    assert_int_equal(c->raw_tcp.shutoff.severe_ms, 50);
    assert_int_equal(c->raw_tcp.shutoff.shut_most_ms, 1800000);
    assert_int_equal(c->raw_tcp.door.idle_ms, 3000);
    assert_int_equal(c->raw_tcp.drop, 1);
    edge_conf_free(c);
    diags_fini(&diags);
    expect_error(LEAST "raw_tcp: {shutoff: {lag: soon}}\n", 4, 26, "a time");
    expect_error(LEAST "raw_tcp: {shutoff: {lags: 1s}}\n", 4, 21, "lags");
    expect_error(LEAST "raw_tcp: {shutoff: {p99: 1}}\n", 4, 26, "1");
    expect_error(LEAST "raw_tcp:\n  shutoff:\n    shut: 1h\n    shut_most: 1m\n", 7, 16,
                 "shut_most");
    expect_error(LEAST "raw_tcp:\n  shutoff:\n    lag: 1s\n", 6, 5, "severe_lag");
}

/* "| `timeouts.header` | `10s` |" for each row; the rows of modules are in their own pages. */
static void row_is_documented(const char *page, const char *name, const struct conf_field *f) {
    char line[256];
    if (f->fallback)
        snprintf(line, sizeof line, "\n| `%s` | `%s` |", name, f->fallback);
    else
        snprintf(line, sizeof line, "\n| `%s` |%s", name, f->required ? " required |" : " |");
    if (!strstr(page, line))
        fail_msg("docs/operator.md lacks: %s", line + 1);
}

static void rows_are_documented(const char *page, const char *above, const struct conf_field *f) {
    char name[128];
    for (; f->name; f++) {
        snprintf(name, sizeof name, "%s%s%s", above, *above ? "." : "", f->name);
        row_is_documented(page, name, f);
        if (f->fields)
            rows_are_documented(page, name, f->fields);
    }
}

static void every_row_is_on_the_operators_page(void **state) {
    const char *source = getenv("RINGRESS_SOURCE");
    char path[4096];
    struct diags diags;
    struct err err;
    size_t length;
    (void)state;
    snprintf(path, sizeof path, "%s/docs/operator.md", source ? source : ".");
    char *page = file_read(path, 1 << 20, &length, &err);
    struct edge_conf *c = parse(LEAST, &diags);
    assert_non_null(page);
    rows_are_documented(page, "", c->fields);
    edge_conf_free(c);
    diags_fini(&diags);
    free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_that_is_required_gives_the_documented_defaults),
        cmocka_unit_test(addresses_of_both_families_are_read),
        cmocka_unit_test(zones_come_out_as_names_are_compared),
        cmocka_unit_test(every_mistake_is_told_with_its_position),
        cmocka_unit_test(every_row_is_on_the_operators_page),
        cmocka_unit_test(logs_know_where_they_were_named),
        cmocka_unit_test(what_this_build_lacks_is_not_ignored),
        cmocka_unit_test(thresholds_of_the_shutoff_are_read_and_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
