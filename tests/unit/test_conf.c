/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_conf.c - rows fill a struct, defaults included, and every mistake is told at once.
 */
#include "core/conf.h"
#include "core/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct peer {
    char *socket;
};
struct inner {
    int64_t header_ms;
    int64_t size;
};
struct outer {
    bool on;
    int64_t workers, rate;
    char *user;
    struct conf_list names, peers, homes;
    int access;
    struct inner inner;
};

static const struct conf_field peer_fields[] = {
    {.name = "socket",
     .type = CONF_STRING,
     .offset = offsetof(struct peer, socket),
     .required = true},
    CONF_END,
};
static const struct conf_field inner_fields[] = {
    {.name = "header",
     .type = CONF_DURATION,
     .offset = offsetof(struct inner, header_ms),
     .min = 1,
     .max = 60000,
     .fallback = "10s"},
    {.name = "size", .type = CONF_SIZE, .offset = offsetof(struct inner, size), .fallback = "16Ki"},
    CONF_END,
};
static const char *const accesses[] = {"off", "json", NULL};
static const struct conf_field fields[] = {
    {.name = "on", .type = CONF_BOOL, .offset = offsetof(struct outer, on), .fallback = "true"},
    {.name = "workers",
     .type = CONF_INT,
     .offset = offsetof(struct outer, workers),
     .min = 1,
     .max = 64,
     .required = true},
    {.name = "rate", .type = CONF_RATE, .offset = offsetof(struct outer, rate)},
    {.name = "user", .type = CONF_STRING, .offset = offsetof(struct outer, user)},
    {.name = "names",
     .type = CONF_STRING_LIST,
     .offset = offsetof(struct outer, names),
     .fallback = "[a, b]"},
    {.name = "peers",
     .type = CONF_MAP_LIST,
     .offset = offsetof(struct outer, peers),
     .fields = peer_fields,
     .item_size = sizeof(struct peer)},
    {.name = "homes", .type = CONF_PAIRS, .offset = offsetof(struct outer, homes)},
    {.name = "access",
     .type = CONF_ENUM,
     .offset = offsetof(struct outer, access),
     .values = accesses,
     .fallback = "off"},
    {.name = "inner",
     .type = CONF_MAP,
     .offset = offsetof(struct outer, inner),
     .fields = inner_fields},
    CONF_END,
};

static bool fill(const char *text, struct outer *outer, struct diags *diags) {
    struct yaml_docs docs;
    struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    memset(outer, 0, sizeof *outer);
    *diags = (struct diags)DIAGS_INIT;
    assert_true(yaml_parse("edge.yaml", text, strlen(text), &limits, diags, &docs));
    bool good = conf_fill(fields, docs.doc[0], "edge.yaml", outer, diags);
    yaml_docs_free(&docs);
    return good;
}

static void absent_fields_have_their_defaults(void **state) {
    (void)state;
    struct outer outer;
    struct diags diags;
    assert_true(fill("workers: 2\n", &outer, &diags));
    assert_true(outer.on);
    assert_int_equal(outer.workers, 2);
    assert_null(outer.user);
    assert_int_equal(outer.names.count, 2);
    assert_string_equal(((char **)outer.names.item)[1], "b");
    assert_int_equal(outer.inner.header_ms, 10000);
    assert_int_equal(outer.inner.size, 16384);
    conf_fini(fields, &outer);
    diags_fini(&diags);
}

static void written_fields_are_taken(void **state) {
    (void)state;
    struct outer outer;
    struct diags diags;
    assert_true(fill(
        "{on: false, workers: 64, rate: 1Gbit, user: x, names: one, peers: [{socket: "
        "/a}, {socket: /b}],"
        " homes: {net-a: acme, net-b: globex}, access: json, inner: {header: 500ms, size: 1Mi}}",
        &outer, &diags));
    assert_false(outer.on);
    assert_int_equal(outer.rate, 1000000000);
    assert_int_equal(outer.names.count, 1);
    assert_int_equal(outer.peers.count, 2);
    assert_string_equal(((struct peer *)outer.peers.item)[1].socket, "/b");
    assert_int_equal(outer.homes.count, 2);
    const struct conf_pair *home = outer.homes.item;
    assert_string_equal(home[1].key, "net-b");
    assert_string_equal(home[1].value, "globex");
    assert_int_equal(outer.access, 1);
    assert_int_equal(outer.inner.header_ms, 500);
    conf_fini(fields, &outer);
    diags_fini(&diags);
}

static void every_mistake_is_told_with_its_place(void **state) {
    (void)state;
    struct outer outer;
    struct diags diags;
    assert_false(fill("on: 3\nrate: fast\npeers: [{}]\nhomes: {a: [1], b: c}\naccess: xml\ninner: "
                      "{header: 2h, bogus: 1}\nunknown: 1\n",
                      &outer, &diags));
    assert_int_equal(diags.errors, 9);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    diags_print(&diags, out);
    fclose(out);
    assert_non_null(strstr(text, "edge.yaml:1:5: on: true or false\n"));
    assert_non_null(strstr(text, "edge.yaml:6:17: header: must be 1 to 60000ms\n"));
    assert_non_null(strstr(text, "edge.yaml:6:21: unknown key `bogus`\n"));
    assert_non_null(strstr(text, "workers is missing\n"));
    free(text);
    conf_fini(fields, &outer);
    diags_fini(&diags);
}

static void units_are_read_and_nonsense_is_not(void **state) {
    (void)state;
    int64_t value = -1;
    assert_true(conf_duration_parse("2d", &value) && value == 172800000);
    assert_true(conf_duration_parse("0", &value) && value == 0);
    assert_false(conf_duration_parse("10", &value));
    assert_false(conf_duration_parse("-1s", &value));
    assert_true(conf_size_parse("1Gi", &value) && value == 1073741824);
    assert_true(conf_size_parse("2k", &value) && value == 2000);
    assert_false(conf_size_parse("1.5Mi", &value));
    assert_true(conf_rate_parse("64kbit", &value) && value == 64000);
    assert_false(conf_rate_parse("999999999999999999Tbit", &value));
    assert_int_equal(value, 64000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_fields_have_their_defaults),
        cmocka_unit_test(written_fields_are_taken),
        cmocka_unit_test(every_mistake_is_told_with_its_place),
        cmocka_unit_test(units_are_read_and_nonsense_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
