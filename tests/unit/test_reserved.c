/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_reserved.c - edge/reserved.c: what of the pool the kernel may give away.
 * link: edge/reserved.c edge/file.c
 */
#include "edge/reserved.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const range = "32768\t60999\n";

static void a_pool_below_or_above_the_range_is_safe(void **unused) {
    (void)unused;
    assert_int_equal(reserved_lacks(28000, 31999, range, "\n"), 0);
    assert_int_equal(reserved_lacks(61000, 65535, range, "\n"), 0);
}

static void what_overlaps_is_counted(void **unused) {
    (void)unused;
    assert_int_equal(reserved_lacks(30000, 32768, range, "\n"), 1);
    assert_int_equal(reserved_lacks(60999, 65535, range, "\n"), 1);
    assert_int_equal(reserved_lacks(40000, 40999, range, "\n"), 1000);
    assert_int_equal(reserved_lacks(20000, 65535, range, "\n"), 60999 - 32768 + 1);
}

static void what_is_reserved_is_not(void **unused) {
    (void)unused;
    assert_int_equal(reserved_lacks(40000, 40999, range, "40000-40999\n"), 0);
    assert_int_equal(reserved_lacks(40000, 40999, range, "8080,30000-50000\n"), 0);
    assert_int_equal(reserved_lacks(40000, 40999, range, "40000,40010-40019,50000-50100\n"), 989);
    assert_int_equal(reserved_lacks(32000, 33000, range, "32000-32800\n"), 200);
}

static void what_cannot_be_read_is_nothing(void **unused) {
    (void)unused;
    assert_int_equal(reserved_lacks(40000, 40999, "", ""), 0);
    assert_int_equal(reserved_lacks(40000, 40999, "60999 32768", ""), 0);
    assert_int_equal(reserved_lacks(40000, 40999, range, "nonsense"), 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_below_or_above_the_range_is_safe),
        cmocka_unit_test(what_overlaps_is_counted),
        cmocka_unit_test(what_is_reserved_is_not),
        cmocka_unit_test(what_cannot_be_read_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
