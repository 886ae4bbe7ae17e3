/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_records.c - joining TLS records loses and adds nothing but record headers.
 */
#include "core/records.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_joined(const char *in, size_t in_length, const char *out, size_t out_length) {
    uint8_t *got = malloc(in_length);
    assert_int_equal(records_join((const uint8_t *)in, in_length, got), out_length);
    assert_memory_equal(got, out, out_length);
    free(got);
}

static void a_header_that_one_record_holds_is_not_cut(void **state) {
    (void)state;
    assert_false(records_cut_header((const uint8_t *)"\x16\3\1\0\4\1\0\0\0", 9));
    assert_true(records_cut_header((const uint8_t *)"\x16\3\1\0\3\1\0\0", 8));
    assert_false(records_cut_header((const uint8_t *)"\x17\3\1\0\1\1", 6));
    assert_false(records_cut_header((const uint8_t *)"\x16\3\1\0", 4));
}

static void whole_records_become_one(void **state) {
    (void)state;
    assert_joined("\x16\3\1\0\1a\x16\3\3\0\2bc\x16\3\3\0\1d", 19, "\x16\3\1\0\4abcd", 9);
}

static void what_follows_them_is_left_as_it_is(void **state) {
    (void)state;
    assert_joined("\x16\3\1\0\1a\x16\3\3\0\1b\x17\3\3\0\1x", 18, "\x16\3\1\0\2ab\x17\3\3\0\1x", 13);
    assert_joined("\x16\3\1\0\1a\x16\3\3\0\5b", 12, "\x16\3\1\0\1a\x16\3\3\0\5b", 12);
    assert_joined("GET", 3, "GET", 3);
}

static void a_record_never_grows_too_large(void **state) {
    (void)state;
    enum { PAYLOAD = 1 << 14, BIG = 5 + PAYLOAD };
    uint8_t *in = calloc(1, 6 + BIG), *out = malloc(6 + BIG);
    memcpy(in, "\x16\3\1\0\1a\x16\3\1\x40", 10);
    assert_int_equal(records_join(in, 6 + BIG, out), 6 + BIG);
    assert_memory_equal(in, out, 6 + BIG);
    free(in);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_one_record_holds_is_not_cut),
        cmocka_unit_test(whole_records_become_one),
        cmocka_unit_test(what_follows_them_is_left_as_it_is),
        cmocka_unit_test(a_record_never_grows_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
