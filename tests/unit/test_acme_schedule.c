/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_schedule.c - years of certificates in a second: when is renewed, how is failed, and that nothing ever expires.
 * link: modules/acme/schedule.c
 */
#include "modules/acme/schedule.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DAY = SCHEDULE_DAY, HOUR = SCHEDULE_HOUR };

/* ---- when ---- */

static void renewal_is_when_a_third_is_left_and_spread(void **state) {
    (void)state;
    int64_t low = 90 * DAY, high = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        int64_t at = schedule_renew(0, 90 * DAY, NULL, seed);
        assert_true(at > 56 * DAY && at <= 60 * DAY);
        assert_int_equal(at, schedule_renew(0, 90 * DAY, NULL, seed));
        low = at < low ? at : low;
        high = at > high ? at : high;
    }
    assert_true(high - low > 2 * DAY);
    assert_int_equal(schedule_alarm(0, 90 * DAY), 60 * DAY);
}

static void the_authoritys_window_decides(void **state) {
    (void)state;
    struct window soon = {10 * DAY, 12 * DAY}, past = {-5 * DAY, -4 * DAY},
                  silly = {1000 * DAY, 2000 * DAY};
    for (uint64_t seed = 0; seed < 100; seed++) {
        int64_t at = schedule_renew(0, 90 * DAY, &soon, seed);
        assert_true(at >= 10 * DAY && at < 12 * DAY);
        assert_int_equal(schedule_renew(0, 90 * DAY, &past, seed), 0); /* now */
        assert_true(schedule_renew(0, 90 * DAY, &silly, seed) < 90 * DAY);
    }
}

static void what_has_just_come_is_not_renewed_at_once(void **state) {
    (void)state;
    struct window past = {-5 * DAY, -4 * DAY};
    int64_t at = schedule_renew(0, 90 * DAY, &past, 3), day = 5 * DAY;
    assert_int_equal(schedule_not_at_once(at, day, 0, 90 * DAY), day + HOUR);
    assert_int_equal(schedule_not_at_once(60 * DAY, day, 0, 90 * DAY), 60 * DAY);
    assert_int_equal(schedule_not_at_once(at, 0, -DAY, 89 * DAY),
                     HOUR); /* known since before the start */
    assert_int_equal(schedule_not_at_once(10, 10, 0, 26), 10 + 13);
    assert_int_equal(schedule_not_at_once(10, 10, 26, 0), 10); /* dates that make no sense */
}

static void a_certificate_of_six_days_is_renewed_after_four(void **state) {
    (void)state;
    int64_t at = schedule_renew(0, 6 * DAY, NULL, 7);
    assert_true(at > 3 * DAY && at <= 4 * DAY);
}

static void failures_back_off_to_a_day_and_respect_retry_after(void **state) {
    (void)state;
    int64_t last = 0;
    for (unsigned failures = 1; failures < 40; failures++) {
        int64_t wait = schedule_retry(1000, failures, 0, 0, 0, 5) - 1000;
        assert_true(wait >= 30 && wait <= DAY + DAY / 4);
        if (failures <= 12)
            assert_true(wait > last * 3 / 2);
        last = wait;
    }
    int64_t asked = schedule_retry(1000, 1, 0, 0, 1000 + 7 * DAY, 5);
    assert_true(asked >= 1000 + 7 * DAY && asked <= 1000 + 7 * DAY + 60);
}

static void who_is_about_to_expire_is_tried_more_often(void **state) {
    (void)state;
    int64_t calm = schedule_retry(0, 20, -60 * DAY, 60 * DAY, 0, 5),
            near = schedule_retry(0, 20, -88 * DAY, 2 * DAY, 0, 5);
    assert_true(calm >= DAY);
    assert_true(near < 7 * HOUR && near >= HOUR);
}

static void the_window_is_asked_for_as_the_authority_says_within_reason(void **state) {
    (void)state;
    int64_t at = schedule_ari(0, 0, 1);
    assert_true(at >= 6 * HOUR && at < 7 * HOUR);
    assert_true(schedule_ari(0, 1, 1) >= 60);
    assert_true(schedule_ari(0, 400 * DAY, 1) <= 2 * DAY);
}

static void directories_take_turns_only_after_a_second_failure(void **state) {
    (void)state;
    assert_int_equal(schedule_directory(0, 3), 0);
    assert_int_equal(schedule_directory(1, 3), 0);
    assert_int_equal(schedule_directory(2, 3), 1);
    assert_int_equal(schedule_directory(6, 3), 0);
    assert_int_equal(schedule_directory(9, 1), 0);
}

/* ---- buckets ---- */

static void a_bucket_gives_its_capacity_and_says_when_there_is_more(void **state) {
    (void)state;
    struct allowance b = {0};
    int64_t at = 0;
    for (int i = 0; i < 300; i++)
        assert_true(allowance_take(&b, 300, 0, 3 * HOUR, 1000, &at));
    assert_false(allowance_take(&b, 300, 0, 3 * HOUR, 1000, &at));
    assert_true(at > 1000 && at <= 1000 + 38); /* one each 36 s */
    assert_true(allowance_take(&b, 300, 0, 3 * HOUR, at, &at));
    assert_false(allowance_is_full(&b, 300, 3 * HOUR, 2000));
    assert_true(allowance_is_full(&b, 300, 3 * HOUR, 1000 + 4 * HOUR));
    allowance_drain(&b, 300, 5000);
    assert_false(allowance_take(&b, 300, 0, 3 * HOUR, 5000, &at));
}

static void a_clock_set_back_gives_no_tokens(void **state) {
    (void)state;
    struct allowance b = {0};
    int64_t at;
    for (int i = 0; i < 5; i++)
        assert_true(allowance_take(&b, 5, 0, HOUR, 100000, &at));
    assert_false(allowance_take(&b, 5, 0, HOUR, 0, &at));
}

/* ---- 10,000 certificates, two years ---- */

enum { MANY = 10000, ORDERS = 300, YEARS_2 = 730 * DAY };

struct one {
    int64_t not_before, not_after, attempt_at;
    unsigned failures, number;
    bool short_lived;
};

struct figures {
    unsigned expired, renewals, in_one_hour, most_in_one_hour;
    int64_t hour;
};

static uint64_t dice_state;
static unsigned dice(unsigned sides) {
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice_state >> 33) % sides;
}

/* Ten days in the first year the authority is out of order, and one order in twenty fails at any time. */
static bool authority_answers(int64_t now) {
    return !(now > 100 * DAY && now < 110 * DAY) && dice(20) != 0;
}

static void one_try(struct one *c, size_t i, int64_t now, struct allowance *orders,
                    struct figures *f) {
    int64_t at;
    if (!allowance_take(orders, ORDERS, 0, 3 * HOUR, now, &at)) {
        c->attempt_at = at;
        return;
    }
    if (!authority_answers(now)) {
        c->failures++;
        c->attempt_at = schedule_retry(now, c->failures, c->not_before, c->not_after, 0, i);
        return;
    }
    c->number++;
    c->failures = 0;
    c->not_before = now - HOUR;
    c->not_after = now + (c->short_lived ? 45 : 90) * DAY;
    /* Each fourth comes with a window, as if the authority had one for it. */
    struct window w = {now + 25 * DAY, now + 28 * DAY};
    c->attempt_at =
        schedule_renew(c->not_before, c->not_after, i % 4 ? NULL : &w, i * 7919 + c->number);
    f->renewals++;
    if (f->hour != now / HOUR)
        f->hour = now / HOUR, f->in_one_hour = 0;
    if (++f->in_one_hour > f->most_in_one_hour)
        f->most_in_one_hour = f->in_one_hour;
}

static void ten_thousand_renew_for_two_years_and_none_expires(void **state) {
    (void)state;
    struct one *c = calloc(MANY, sizeof *c);
    struct allowance orders = {0};
    struct figures f = {0};
    dice_state = 42;
    for (size_t i = 0; i < MANY; i++) { /* all made in one week, ten days ago at most */
        c[i].short_lived = i % 3 == 0;
        c[i].not_before = -(int64_t)dice(7 * DAY) - 3 * DAY;
        c[i].not_after = c[i].not_before + (c[i].short_lived ? 45 : 90) * DAY;
        c[i].attempt_at = schedule_renew(c[i].not_before, c[i].not_after, NULL, i);
    }
    for (int64_t now = 0; now < YEARS_2; now += 300)
        for (size_t i = 0; i < MANY; i++) {
            if (c[i].attempt_at <= now)
                one_try(&c[i], i, now, &orders, &f);
            f.expired += c[i].not_after <= now;
        }
    printf("%u renewals, at most %u in one hour, %u expired\n", f.renewals, f.most_in_one_hour,
           f.expired);
    assert_int_equal(f.expired, 0);
    assert_true(f.renewals > 10 * (unsigned)MANY);
    assert_true(f.most_in_one_hour <=
                ORDERS + 101); /* the bucket's capacity, and what comes back */
    free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renewal_is_when_a_third_is_left_and_spread),
        cmocka_unit_test(the_authoritys_window_decides),
        cmocka_unit_test(what_has_just_come_is_not_renewed_at_once),
        cmocka_unit_test(a_certificate_of_six_days_is_renewed_after_four),
        cmocka_unit_test(failures_back_off_to_a_day_and_respect_retry_after),
        cmocka_unit_test(who_is_about_to_expire_is_tried_more_often),
        cmocka_unit_test(the_window_is_asked_for_as_the_authority_says_within_reason),
        cmocka_unit_test(directories_take_turns_only_after_a_second_failure),
        cmocka_unit_test(a_bucket_gives_its_capacity_and_says_when_there_is_more),
        cmocka_unit_test(a_clock_set_back_gives_no_tokens),
        cmocka_unit_test(ten_thousand_renew_for_two_years_and_none_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
