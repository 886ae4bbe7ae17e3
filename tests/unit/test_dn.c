/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_dn.c - distinguished names as text: what RFC 4514 writes, and that no value can be more than a value.
 */
#include "core/dn.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* after the above */
#include <cmocka.h>

/* A Name under construction. */
static uint8_t name[600];
static size_t used;

static void begin(void) {
    used = 0;
}

static void attribute_put(uint8_t *at, size_t *n, const char *oid, size_t oid_length, uint8_t tag,
                          const char *value, size_t length) {
    uint8_t head[] = {0x30, (uint8_t)(oid_length + length + 4), 0x06, (uint8_t)oid_length};
    memcpy(at + *n, head, 4);
    memcpy(at + *n + 4, oid, oid_length);
    at[*n + 4 + oid_length] = tag;
    at[*n + 5 + oid_length] = (uint8_t)length;
    memcpy(at + *n + 6 + oid_length, value, length);
    *n += 6 + oid_length + length;
}

static void part(const char *oid, uint8_t tag, const char *value, size_t length) {
    size_t n = 2;
    uint8_t *at = name + used;
    attribute_put(at, &n, oid, 3, tag, value, length);
    at[0] = 0x31;
    at[1] = (uint8_t)(n - 2);
    used += n;
}

#define CN "\x55\x04\x03"
#define O "\x55\x04\x0a"
#define PART(oid, text) part(oid, 12, text, sizeof(text) - 1)

static const char *printed(void) {
    static char text[400];
    return dn_print(name, used, text, sizeof text) ? text : "(refused)";
}

static void the_last_component_comes_first(void **state) {
    (void)state;
    begin();
    PART(O, "Example");
    PART(CN, "ann");
    assert_string_equal(printed(), "CN=ann,O=Example");
    begin();
    assert_string_equal(printed(), "");
}

static void what_is_special_is_escaped(void **state) {
    (void)state;
    static const struct {
        const char *value, *text;
    } cases[] = {
        {"ann,O=Admin", "CN=ann\\,O\\=Admin"},
        {"a+b", "CN=a\\+b"},
        {"\"q\"", "CN=\\\"q\\\""},
        {"a\\b", "CN=a\\\\b"},
        {"<a;b>", "CN=\\<a\\;b\\>"},
        {" a b ", "CN=\\ a b\\ "},
        {"#a#", "CN=\\#a#"},
        {"a\r\nX-Admin: 1", "CN=a\\0D\\0AX-Admin: 1"},
        {"m\xc3\xbc", "CN=m\\C3\\BC"},
        {"/O=x", "CN=/O\\=x"},
        {" ", "CN=\\ "},
        {"", "CN="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        part(CN, 12, cases[i].value, strlen(cases[i].value));
        assert_string_equal(printed(), cases[i].text);
    }
    begin();
    part(CN, 12, "a\0b", 3);
    assert_string_equal(printed(), "CN=a\\00b");
}

static void several_attributes_of_one_part_are_joined(void **state) {
    (void)state;
    begin();
    size_t n = 2;
    attribute_put(name, &n, CN, 3, 12, "a", 1);
    attribute_put(name, &n, O, 3, 19, "b", 1);
    name[0] = 0x31;
    name[1] = (uint8_t)(n - 2);
    used = n;
    assert_string_equal(printed(), "CN=a+O=b");
}

static void what_has_no_name_or_is_no_text_is_written_as_octets(void **state) {
    (void)state;
    begin();
    part("\x55\x04\x63", 12, "x", 1); /* 2.5.4.99 */
    part(CN, 30, "\0a", 2);           /* BMPString */
    assert_string_equal(printed(), "CN=#1E020061,2.5.4.99=x");
}

static void a_long_name_is_refused_and_never_cut(void **state) {
    (void)state;
    char text[64], value[121];
    memset(value, 'x', sizeof value);
    begin();
    for (int i = 0; i < 4; i++)
        part(CN, 12, value, 100);
    assert_string_equal(printed(), "(refused)");
    begin();
    part(CN, 12, value, 60);
    assert_true(dn_print(name, used, text, 64)); /* "CN=", 60, NUL: all of it */
    assert_int_equal(strlen(text), 63);
    assert_false(dn_print(name, used, text, 63));
    assert_false(dn_print(name, used, text, 1));
    assert_false(dn_print(name, used, text, 0));
}

static void cut_and_changed_names_are_refused_or_text_without_control_characters(void **state) {
    (void)state;
    char text[400];
    begin();
    PART(O, "Example");
    size_t first = used;
    PART(CN, "ann");
    for (size_t cut = 1; cut < used; cut++)
        assert_int_equal(dn_print(name, cut, text, sizeof text), cut == first);
    for (size_t i = 0; i < used; i++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t *copy = malloc(used); /* of its exact length: sanitizers see a step past it */
            memcpy(copy, name, used);
            copy[i] = (uint8_t)value;
            if (dn_print(copy, used, text, sizeof text))
                for (const char *at = text; *at; at++)
                    assert_true(*at >= 0x20 && *at < 0x7f);
            free(copy);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_component_comes_first),
        cmocka_unit_test(what_is_special_is_escaped),
        cmocka_unit_test(several_attributes_of_one_part_are_joined),
        cmocka_unit_test(what_has_no_name_or_is_no_text_is_written_as_octets),
        cmocka_unit_test(a_long_name_is_refused_and_never_cut),
        cmocka_unit_test(cut_and_changed_names_are_refused_or_text_without_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
