/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_documents.c - one document of a file changes, and no byte of the others does.
 * link: edge/documents.c
 */
#include "edge/documents.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct documents read_good(const char *text) {
    struct documents d;
    struct err err;
    if (!documents_read("x.yaml", text, strlen(text), &d, &err))
        fail_msg("%s", err.text);
    return d;
}

/* `before` with `content` for Service/`name`. */
static void replaces(const char *before, const char *name, const char *content, const char *after) {
    struct documents d = read_good(before);
    const struct document *one = documents_find(&d, "v1", "Service", name);
    assert_non_null(one);
    size_t length;
    char *text = document_replace(before, strlen(before), one, content, strlen(content), &length);
    assert_string_equal(text, after);
    assert_int_equal(length, strlen(after));
    free(text);
    documents_free(&d);
}

static void removes(const char *before, const char *name, const char *after) {
    struct documents d = read_good(before);
    const struct document *one = documents_find(&d, "v1", "Service", name);
    assert_non_null(one);
    size_t length;
    char *text = document_remove(before, strlen(before), &d, one, &length);
    assert_string_equal(text, after);
    free(text);
    documents_free(&d);
}

#define S(name) "apiVersion: v1\nkind: Service\nmetadata:\n  name: " name "\n"
#define FLOW(name) "{apiVersion: v1, kind: Service, metadata: {name: " name "}}\n"

static void only_the_bytes_of_the_document_change(void **state) {
    (void)state;
    replaces(S("a"), "a", "new\n", "new\n");
    replaces("# top\n" S("a") "# tail\n", "a", "new\n", "# top\nnew\n# tail\n");
    replaces("# top\n---\n# a\n" S("a") "# tail\n---\n" S("b"), "a", "new\n",
             "# top\n---\n# a\nnew\n# tail\n---\n" S("b"));
    replaces(S("a") "---\n" S("b") "\n\n# end\n", "b", "new\n", S("a") "---\nnew\n\n\n# end\n");
    replaces(S("a") "---\n\n---\n" S("b"), "b", "new\n", S("a") "---\n\n---\nnew\n");
    replaces(FLOW("a") "---\n" FLOW("b") "...\n---\n" FLOW("c"), "b", "new\n",
             FLOW("a") "---\nnew\n...\n---\n" FLOW("c"));
    replaces("--- " FLOW("a") "--- " FLOW("b"), "b", "new\n", "--- " FLOW("a") "--- \nnew\n");
    replaces(S("a") "  x: |\n    b\n\n    c\n---\n" S("b"), "a", "new\n", "new\n---\n" S("b"));
    replaces(S("a") "spec: {}  # why\n---\n" S("b"), "a", "new\n", "new\n---\n" S("b"));
}

static void the_text_may_hold_any_alphabet_and_line_ends(void **state) {
    (void)state;
    replaces("# \xc3\xbc\xe2\x82\xac\n---\n# \xf0\x9f\x98\x80\n" S("a") "---\n" S("b"), "b",
             "new\n", "# \xc3\xbc\xe2\x82\xac\n---\n# \xf0\x9f\x98\x80\n" S("a") "---\nnew\n");
    replaces("\xef\xbb\xbf" S("a") "---\n" S("b"), "a", "new\n",
             "\xef\xbb\xbf"
             "new\n---\n" S("b"));
    replaces("apiVersion: v1\r\nkind: Service\r\nmetadata: {name: a}\r\n---\r\n" S("b"), "a",
             "new\n", "new\n---\r\n" S("b"));
    replaces("apiVersion: v1\nkind: Service\nmetadata: {name: a}", "a", "new\n", "new\n");
}

static void a_name_is_that_of_the_metadata_only(void **state) {
    (void)state;
    struct documents d = read_good(
        "metadata: {labels: {name: x}, name: a, y: {name: z}}\nspec: {name: b}\nkind: Service\n"
        "apiVersion: v1\nname: c\n---\nkind: List\napiVersion: v1\nitems: [{metadata: {name: q}}]\n"
        "---\n[metadata, {name: r}]\n");
    assert_int_equal(d.count, 3);
    assert_string_equal(d.item[0].name, "a");
    assert_true(d.item[1].list);
    assert_string_equal(d.item[1].name, "");
    assert_string_equal(d.item[2].name, "");
    assert_null(documents_find(&d, "v2", "Service", "a"));
    documents_free(&d);
}

static void a_document_goes_and_comments_of_others_stay(void **state) {
    (void)state;
    removes("# top\n" S("a") "---\n# b\n" S("b"), "a", "# top\n---\n# b\n" S("b"));
    removes(S("a") "# of a\n---\n# b\n" S("b") "# tail\n---\n" S("c"), "b",
            S("a") "# of a\n# tail\n---\n" S("c"));
    removes(S("a") "---\n" S("b"), "b", S("a"));
    removes("# only\n" S("a"), "a", "# only\n");
}

static void a_document_more_begins_on_a_line_of_its_own(void **state) {
    (void)state;
    size_t length;
    char *text = document_append("a: b", 4, "c: d\n", 5, &length);
    assert_string_equal(text, "a: b\n---\nc: d\n");
    free(text);
    text = document_append("a: b\n", 5, "c: d\n", 5, &length);
    assert_string_equal(text, "a: b\n---\nc: d\n");
    free(text);
}

static void what_is_no_yaml_is_said(void **state) {
    (void)state;
    struct documents d;
    struct err err;
    assert_false(documents_read("x.yaml", "a: b\n- *x.y: [\n", 15, &d, &err));
    assert_non_null(strstr(err.text, "x.yaml:2:"));
    assert_int_equal(d.count, 0);
    char deep[200];
    memset(deep, '[', sizeof deep);
    assert_false(documents_read("x.yaml", deep, sizeof deep, &d, &err));
    assert_non_null(strstr(err.text, "nested deeper"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_bytes_of_the_document_change),
        cmocka_unit_test(the_text_may_hold_any_alphabet_and_line_ends),
        cmocka_unit_test(a_name_is_that_of_the_metadata_only),
        cmocka_unit_test(a_document_goes_and_comments_of_others_stay),
        cmocka_unit_test(a_document_more_begins_on_a_line_of_its_own),
        cmocka_unit_test(what_is_no_yaml_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
