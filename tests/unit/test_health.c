/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_health.c - what a check's results mean, and how an answer is read.
 * link: edge/health.c edge/agenda.c edge/probe.c edge/loop.c
 */
#include "edge/health.h"
#include "edge/probe.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct policy policy = {.health_rise = 2, .health_fall = 3};

static void the_first_result_is_believed(void **unused) {
    (void)unused;
    for (int passed = 0; passed < 2; passed++) {
        struct health_streak s = {0};
        bool fails = passed;
        assert_true(health_judge(&s, &policy, false, false, passed, &fails));
        assert_int_equal(fails, !passed);
    }
}

static void later_ones_need_their_number_in_a_row(void **unused) {
    (void)unused;
    struct health_streak s = {0};
    bool fails = false;
    assert_true(health_judge(&s, &policy, false, false, true, &fails));
    for (unsigned i = 0; i < 20; i++) { /* two failures, then a success: never enough */
        assert_false(health_judge(&s, &policy, true, false, false, &fails));
        assert_false(health_judge(&s, &policy, true, false, false, &fails));
        assert_false(health_judge(&s, &policy, true, false, true, &fails));
    }
    assert_false(health_judge(&s, &policy, true, false, false, &fails));
    assert_false(health_judge(&s, &policy, true, false, false, &fails));
    assert_true(health_judge(&s, &policy, true, false, false, &fails));
    assert_true(fails);
    assert_false(health_judge(&s, &policy, true, true, false, &fails)); /* no news */
    assert_false(health_judge(&s, &policy, true, true, true, &fails));
    assert_false(health_judge(&s, &policy, true, true, false, &fails));
    assert_false(health_judge(&s, &policy, true, true, true, &fails));
    assert_true(health_judge(&s, &policy, true, true, true, &fails));
    assert_false(fails);
}

static int status_of(const char *answer) {
    return health_status_read(answer, strlen(answer));
}

static void a_status_is_read_from_whatever_has_come(void **unused) {
    (void)unused;
    static const char answer[] = "HTTP/1.1 204 No Content\r\n";
    for (size_t n = 0; n < sizeof answer; n++)
        assert_int_equal(health_status_read(answer, n), n < 13 ? 0 : 204);
    assert_int_equal(status_of("HTTP/1.0 503\r\n"), 503);
    assert_int_equal(status_of("HTTP/1.1 200 OK"), 200);
}

static void what_is_not_http_1_is_said_at_its_first_wrong_byte(void **unused) {
    (void)unused;
    static const char *const bad[] = {"SSH-2.0-x",      "H\n",  "HTTP/2 200\r\n",
                                      "HTTP/1.1 20x",   "\r\n", "HTTP/1.1 2000",
                                      "http/1.1 200 OK"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(status_of(bad[i]), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_result_is_believed),
        cmocka_unit_test(later_ones_need_their_number_in_a_row),
        cmocka_unit_test(a_status_is_read_from_whatever_has_come),
        cmocka_unit_test(what_is_not_http_1_is_said_at_its_first_wrong_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
