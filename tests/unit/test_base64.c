/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_base64.c - the examples of RFC 4648 section 10, and what base64url without padding is not.
 */
#include "core/base64.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_of(char *text, const char *expected) {
    assert_string_equal(text, expected);
    free(text);
}

static void bytes_are_padded_or_not(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t length = strlen(rows[i][0]);
        char *out = malloc(BASE64URL_ROOM(length)); /* and not a byte more is written */
        text_of(base64(rows[i][0], length), rows[i][1]);
        text_of(base64url(rows[i][0], length), rows[i][2]);
        base64url_print(rows[i][0], length, out);
        text_of(out, rows[i][2]);
    }
}

static void base64url_is_strict(void **state) {
    (void)state;
    static const char *const bad[] = {"A", "AA=", "AA==", "A+A", "A/A", "AB", "AAB", "A A", "\xff"};
    uint8_t *out;
    size_t length;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(base64url_decode(bad[i], &out, &length));
    static const uint8_t bytes[] = {0, 0xff, 0xfe, 0x10, 0x83};
    for (size_t n = 0; n <= sizeof bytes; n++) {
        char *text = base64url(bytes, n);
        assert_true(base64url_decode(text, &out, &length));
        assert_int_equal(length, n);
        assert_memory_equal(out, bytes, n);
        free(out);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_padded_or_not),
        cmocka_unit_test(base64url_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
