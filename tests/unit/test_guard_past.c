/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_guard_past.c - what is known of a port over a restart: it comes back as it was, and less of it the longer that takes.
 * link: edge/guard_past.c
 */
#include "edge/guard_past.h"
#include "shutoff_defaults.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_MS = 5000000, HOUR = 3600 };
static const int64_t wall = 1800000000;

static struct shutoff_past read_at(const struct shutoff_unit *u, int64_t later) {
    static char text[PAST_TEXT];
    struct shutoff_past past = {0};
    past_print(u, NOW_MS, wall, text);
    if (!past_read(text, &DEFAULTS, wall + later, &past))
        past = (struct shutoff_past){0};
    return past;
}

static struct shutoff_unit shut_for(int64_t ms) {
    struct shutoff_unit u = {.state = SHUTOFF_SHUT, .offences = 2, .until_ms = NOW_MS + ms};
    snprintf(u.why, sizeof u.why, "others: 9 %% of the descriptors are left; this port: 99 %%");
    return u;
}

static void a_shut_port_stays_shut_for_what_is_left(void **state) {
    struct shutoff_unit u = shut_for(60000);
    struct shutoff_past past = read_at(&u, 0);
    (void)state;
    assert_int_equal(past.offences, 2);
    assert_int_equal(past.shut_ms, 60000);
    assert_string_equal(past.why, u.why);
    assert_int_equal(read_at(&u, 45).shut_ms, 15000);
    assert_int_equal(read_at(&u, 60).shut_ms, 0);
    assert_int_equal(read_at(&u, 61).offences, 2);
}

static void an_offence_is_forgotten_for_each_quiet_hour_from_when_it_opened(void **state) {
    struct shutoff_unit u = shut_for(30 * 60000), open = {.offences = 3};
    (void)state;
    assert_int_equal(read_at(&u, HOUR).offences, 2);
    assert_int_equal(read_at(&u, HOUR + 31 * 60).offences, 1);
    assert_int_equal(read_at(&u, 3 * HOUR).offences, 0);
    assert_int_equal(read_at(&open, HOUR - 1).offences, 3);
    assert_int_equal(read_at(&open, 2 * HOUR).offences, 1);
    assert_int_equal(read_at(&open, 30 * HOUR).offences, 0);
}

static void a_clock_that_was_set_shuts_nobody_for_longer_than_there_is(void **state) {
    struct shutoff_unit u = shut_for(60000);
    struct shutoff_past past = read_at(&u, -40ll * 24 * HOUR);
    (void)state;
    assert_int_equal(past.shut_ms, DEFAULTS.shut_most_ms * 6 / 5);
    assert_int_equal(past.offences, 2);
    assert_int_equal(read_at(&u, 40ll * 24 * HOUR).shut_ms, 0);
}

/* Until he opens it: that is another row. */
static void what_the_operator_shut_has_no_end_here(void **state) {
    struct shutoff_unit u = {.state = SHUTOFF_SHUT, .hand = true, .offences = 1};
    (void)state;
    assert_int_equal(read_at(&u, 0).shut_ms, 0);
    assert_int_equal(read_at(&u, 0).offences, 1);
}

static void on_probation_and_limited_it_is_open_and_not_forgiven(void **state) {
    struct shutoff_unit u = {.state = SHUTOFF_PROBATION, .offences = 1, .until_ms = NOW_MS + 5000};
    (void)state;
    assert_int_equal(read_at(&u, 0).shut_ms, 0);
    assert_int_equal(read_at(&u, 0).offences, 1);
}

static void rows_of_earlier_builds_are_read_and_what_is_none_is_not(void **state) {
    struct shutoff_past past;
    (void)state;
    assert_true(past_read("2 1800000000", &DEFAULTS, wall + 10, &past));
    assert_int_equal(past.offences, 2);
    assert_int_equal(past.shut_ms, 0);
    assert_false(past_read("", &DEFAULTS, wall, &past));
    assert_false(past_read("2", &DEFAULTS, wall, &past));
    assert_false(past_read("shut", &DEFAULTS, wall, &past));
    assert_false(past_read("0 1800000000 0 ", &DEFAULTS, wall, &past));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shut_port_stays_shut_for_what_is_left),
        cmocka_unit_test(an_offence_is_forgotten_for_each_quiet_hour_from_when_it_opened),
        cmocka_unit_test(a_clock_that_was_set_shuts_nobody_for_longer_than_there_is),
        cmocka_unit_test(what_the_operator_shut_has_no_end_here),
        cmocka_unit_test(on_probation_and_limited_it_is_open_and_not_forgiven),
        cmocka_unit_test(rows_of_earlier_builds_are_read_and_what_is_none_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
