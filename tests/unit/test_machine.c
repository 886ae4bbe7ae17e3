/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_machine.c - edge/machine.h: what nobody is blamed for.
 */
#include "edge/machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t ms = 1000000;

static void what_a_busy_worker_keeps_waiting_is_all_of_it(void **unused) {
    (void)unused;
    assert_int_equal(machine_less(60 * ms, 0, 95 * ms), 60 * ms);
}

static void what_it_had_no_processor_for_is_not_in_it(void **unused) {
    (void)unused;
    assert_int_equal(machine_less(60 * ms, 50 * ms, 95 * ms), 10 * ms);
    assert_int_equal(machine_less(60 * ms, 500 * ms, 95 * ms), 0);
}

static void a_worker_that_does_nothing_keeps_nobody_waiting(void **unused) {
    (void)unused;
    assert_int_equal(machine_less(71602 * ms, 0, 2 * ms), 2 * ms);
    assert_int_equal(machine_less(71602 * ms, 0, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_busy_worker_keeps_waiting_is_all_of_it),
        cmocka_unit_test(what_it_had_no_processor_for_is_not_in_it),
        cmocka_unit_test(a_worker_that_does_nothing_keeps_nobody_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
