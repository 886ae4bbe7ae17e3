/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_yaml.c - what core/yaml.c accepts, where things stand, and what it refuses before it grows.
 */
#include "core/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct read {
    struct yaml_docs docs;
    struct diags diags;
    bool good;
};

static struct read read_text(const char *text, struct yaml_limits limits) {
    struct read read = {.diags = DIAGS_INIT};
    read.good = yaml_parse("f.yaml", text, strlen(text), &limits, &read.diags, &read.docs);
    return read;
}

static struct read read_plain(const char *text) {
    return read_text(text, (struct yaml_limits)YAML_LIMITS_DEFAULT);
}

static void read_end(struct read *read) {
    if (read->good)
        yaml_docs_free(&read->docs);
    diags_fini(&read->diags);
}

static void refused(const char *text, unsigned line, unsigned column, const char *message) {
    struct read read = read_plain(text);
    assert_false(read.good);
    assert_int_equal(read.diags.item[0].line, line);
    assert_int_equal(read.diags.item[0].column, column);
    if (!strstr(read.diags.item[0].message, message))
        fail_msg("`%s` does not say `%s`", read.diags.item[0].message, message);
    read_end(&read);
}

static void every_node_knows_where_it_stands(void **state) {
    (void)state;
    struct read read = read_plain("a: 1\nb:\n  - x\n  - {c: 'd'}\n---\n# empty\n---\n- z\n");
    assert_true(read.good);
    assert_int_equal(read.docs.count, 2);
    const struct yaml_node *list = yaml_get(read.docs.doc[0], "b");
    assert_int_equal(list->count, 2);
    assert_int_equal(list->item[0]->line, 3);
    assert_int_equal(list->item[0]->column, 5);
    const struct yaml_node *quoted = yaml_get(list->item[1], "c");
    assert_true(quoted->quoted);
    assert_int_equal(quoted->column, 9);
    assert_null(yaml_get(read.docs.doc[0], "nothing"));
    read_end(&read);
}

static void a_byte_order_mark_is_not_part_of_the_text(void **state) {
    (void)state;
    struct read read = read_plain("\xef\xbb\xbf"
                                  "a: 1\n---\nb: 2\n");
    assert_true(read.good);
    assert_int_equal(read.docs.count, 2);
    assert_int_equal(read.docs.doc[0]->pair[0].key->column, 1);
    assert_string_equal(read.docs.doc[0]->pair[0].key->text, "a");
    read_end(&read);
}

static void an_unquoted_wildcard_is_told_to_be_quoted(void **state) {
    (void)state;
    refused("hosts:\n  - *.example.com\n", 2, 5, "quote it: \"*.example.com\"");
    refused("host: *web.example.com\n", 1, 7, "quote it: \"*web.example.com\"");
    refused("host: *web\n", 1, 7, "quote it");
}

static void broken_text_is_refused_at_its_place(void **state) {
    (void)state;
    refused("a: [1, 2\n", 2, 1, "expected");
    refused("a: b\na: c\n", 2, 1, "first at 1:1");
    refused("? [a]\n: b\n", 1, 3, "key must be plain text");
    refused("a: \"x\\0y\"\n", 1, 4, "NUL");
    refused("a: \xff\xfe\n", 1, 4, "UTF-8");
}

static void bombs_are_refused_before_they_grow(void **state) {
    (void)state;
    char text[2048] = "a: &a [x, x, x, x, x, x, x, x, x, x]\n", line[128];
    for (int c = 'b'; c < 'j'; c++) {
        snprintf(line, sizeof line, "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n",
                 c, c, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
        strcat(text, line);
    }
    struct read read = read_plain(text);
    assert_false(read.good);
    assert_non_null(strstr(read.diags.item[0].message, "aliases expand"));
    read_end(&read);
    refused("a: &a [*a]\n", 1, 8, "inside its own anchor");
    read = read_text("[[[[a]]]]", (struct yaml_limits){.bytes = 100, .depth = 4, .nodes = 100});
    assert_false(read.good);
    read_end(&read);
    read = read_text("[a, b, c]", (struct yaml_limits){.bytes = 100, .depth = 4, .nodes = 3});
    assert_false(read.good);
    read_end(&read);
    read = read_text("[a, b, c]", (struct yaml_limits){.bytes = 5, .depth = 4, .nodes = 30});
    assert_false(read.good);
    read_end(&read);
}

static void an_alias_is_the_same_node(void **state) {
    (void)state;
    struct read read = read_plain("a: &x {k: v}\nb: *x\n");
    assert_true(read.good);
    assert_ptr_equal(yaml_get(read.docs.doc[0], "a"), yaml_get(read.docs.doc[0], "b"));
    read_end(&read);
}

static void scalars_are_numbers_only_when_plain(void **state) {
    (void)state;
    struct read read = read_plain("[12, '12', -3, 1.5, true, 'true', ~, 99999999999999999999]");
    struct yaml_node **item = read.docs.doc[0]->item;
    int64_t number;
    bool truth = false;
    assert_true(yaml_int(item[0], &number) && number == 12);
    assert_false(yaml_int(item[1], &number));
    assert_true(yaml_int(item[2], &number) && number == -3);
    assert_false(yaml_int(item[3], &number));
    assert_true(yaml_bool(item[4], &truth) && truth);
    assert_false(yaml_bool(item[5], &truth));
    assert_int_equal(item[6]->kind, YAML_NULL);
    assert_false(yaml_int(item[7], &number));
    read_end(&read);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_where_it_stands),
        cmocka_unit_test(a_byte_order_mark_is_not_part_of_the_text),
        cmocka_unit_test(an_unquoted_wildcard_is_told_to_be_quoted),
        cmocka_unit_test(broken_text_is_refused_at_its_place),
        cmocka_unit_test(bombs_are_refused_before_they_grow),
        cmocka_unit_test(an_alias_is_the_same_node),
        cmocka_unit_test(scalars_are_numbers_only_when_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
