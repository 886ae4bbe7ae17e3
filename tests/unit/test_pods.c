/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_pods.c - how pods are chosen, left alone and queued for, as pure functions: pick, eject, budget, queue.
 */
#include "core/budget.h"
#include "core/eject.h"
#include "core/pick.h"
#include "core/queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PODS_MOST = 64, KEYS = 20000 };

struct pods {
    unsigned count;
    uint64_t weight[PODS_MOST], point[PODS_MOST];
};

static uint64_t weigh(const void *of, unsigned i) {
    return ((const struct pods *)of)->weight[i];
}
static uint64_t point(const void *of, unsigned i) {
    return ((const struct pods *)of)->point[i];
}

static struct pods pods_named(unsigned count) {
    struct pods p = {.count = count};
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "10.11.0.%u:8080", i + 1);
        p.point[i] = pick_key(name, (size_t)n);
    }
    return p;
}

static uint64_t roll(void) {
    static uint64_t state = 42;
    return pick_mix(state += 0x9e3779b97f4a7c15ull);
}

static uint64_t key_of(unsigned i) {
    char text[32];
    int n = snprintf(text, sizeof text, "client-%u", i);
    return pick_key(text, (size_t)n);
}

/* ---- least requests ---- */

static void of_two_at_random_the_lesser_loaded_is_taken(void **unused) {
    (void)unused;
    struct pods p = {.count = 2, .weight = {5, 1}};
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(pick_least(&p, p.count, roll(), weigh), 1);
}

static void load_is_spread_evenly_and_never_far_apart(void **unused) {
    (void)unused;
    struct pods p = {.count = 20};
    for (unsigned i = 0; i < 20000; i++)
        p.weight[pick_least(&p, p.count, roll(), weigh)]++;
    for (unsigned i = 0; i < p.count; i++)
        assert_in_range(p.weight[i], 990, 1010); /* one at random would be off by 100 */
}

static void
a_pod_that_something_speaks_against_is_never_taken_while_another_is_there(void **unused) {
    (void)unused;
    static const uint64_t reasons[] = {PICK_FAILED,  PICK_AVOID,   PICK_FULL,
                                       PICK_EJECTED, PICK_LEAVING, PICK_OUT};
    for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++) {
        struct pods p = {.count = 10};
        for (unsigned i = 0; i < p.count; i++)
            p.weight[i] = i == 7 ? 1000000 : reasons[r];
        for (unsigned i = 0; i < 200; i++) {
            uint32_t turn = (uint32_t)roll();
            assert_int_equal(pick_least(&p, p.count, roll(), weigh), 7);
            assert_int_equal(pick_in_turn(&p, p.count, &turn, weigh), 7);
            assert_int_equal(pick_by_key(&p, p.count, roll(), weigh, point), 7);
        }
    }
}

static void when_something_speaks_against_all_the_lesser_reason_is_taken(void **unused) {
    (void)unused;
    struct pods p = {.count = 4,
                     .weight = {PICK_LEAVING, PICK_EJECTED | PICK_FAILED, PICK_EJECTED, PICK_OUT}};
    uint32_t turn = 0;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(pick_least(&p, p.count, roll(), weigh), 2);
        assert_int_equal(pick_in_turn(&p, p.count, &turn, weigh), 2);
        assert_int_equal(pick_by_key(&p, p.count, roll(), weigh, point), 2);
    }
}

static void pods_that_fail_their_checks_are_not_taken_even_when_they_are_all(void **unused) {
    (void)unused;
    for (unsigned count = 1; count <= 3; count++) {
        struct pods p = {.count = count, .weight = {PICK_OUT, PICK_OUT | PICK_EJECTED, PICK_OUT}};
        uint32_t turn = 1;
        assert_int_equal(pick_least(&p, count, roll(), weigh), PICK_NONE);
        assert_int_equal(pick_in_turn(&p, count, &turn, weigh), PICK_NONE);
        assert_int_equal(pick_by_key(&p, count, roll(), weigh, point), PICK_NONE);
    }
}

/* ---- round robin ---- */

static void round_robin_takes_each_in_turn_and_skips_the_bad(void **unused) {
    (void)unused;
    struct pods p = {.count = 4, .weight = {9, 0, PICK_EJECTED, 3}};
    uint32_t turn = 0;
    static const unsigned expected[] = {0, 1, 3, 0, 1, 3, 0};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(pick_in_turn(&p, p.count, &turn, weigh), expected[i]);
    turn = UINT32_MAX; /* wraps */
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(pick_in_turn(&p, p.count, &turn, weigh), 0, 3);
}

/* ---- hash ---- */

static unsigned winner(const struct pods *p, uint64_t key) {
    return pick_by_key(p, p->count, key, weigh, point);
}

static void hashing_spreads_keys_evenly_and_always_the_same_way(void **unused) {
    (void)unused;
    struct pods p = pods_named(10);
    unsigned won[PODS_MOST] = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned pod = winner(&p, key_of(i));
        p.weight[pod] = roll() % 1000; /* how busy a pod is does not matter */
        assert_int_equal(winner(&p, key_of(i)), pod);
        won[pod]++;
    }
    for (unsigned i = 0; i < p.count; i++)
        assert_in_range(won[i], KEYS / 10 * 9 / 10, KEYS / 10 * 11 / 10);
}

/* One more pod: only keys that it wins move, 1/n of them. Seen the other way: one pod less. */
static void adding_or_removing_one_of_n_pods_moves_one_nth_of_the_keys(void **unused) {
    (void)unused;
    for (unsigned n = 2; n <= 32; n *= 2) {
        struct pods before = pods_named(n - 1), after = pods_named(n);
        unsigned moved = 0;
        for (unsigned i = 0; i < KEYS; i++) {
            unsigned to = winner(&after, key_of(i));
            if (to == winner(&before, key_of(i)))
                continue;
            assert_int_equal(to, n - 1); /* to the new one, from nowhere to anywhere else */
            moved++;
        }
        assert_in_range(moved, KEYS / n * 85 / 100, KEYS / n * 115 / 100);
    }
}

static void the_order_of_the_set_does_not_matter(void **unused) {
    (void)unused;
    struct pods p = pods_named(7), q = p;
    for (unsigned i = 0; i < 7; i++)
        q.point[i] = p.point[6 - i];
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(winner(&p, key_of(i)), 6 - winner(&q, key_of(i)));
}

static void keys_of_an_ejected_pod_are_shared_out_and_come_back(void **unused) {
    (void)unused;
    struct pods p = pods_named(5), q = p;
    unsigned to[5] = {0}, displaced = 0;
    q.weight[2] = PICK_EJECTED;
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned home = winner(&p, key_of(i)), now = winner(&q, key_of(i));
        if (home != 2) {
            assert_int_equal(now, home);
            continue;
        }
        displaced++;
        to[now]++;
    }
    for (unsigned i = 0; i < 5; i++)
        if (i != 2)
            assert_in_range(to[i], displaced / 4 * 85 / 100, displaced / 4 * 115 / 100);
}

/* ---- ejection ---- */

static const struct policy rule = {
    .eject_after = 3, .eject_ms = 1000, .eject_most_ms = 8000, .eject_percent = 50};

static void it_takes_that_many_failures_in_a_row(void **unused) {
    (void)unused;
    struct ejection e = {0};
    for (unsigned i = 0; i < 100; i++) {
        assert_false(ejection_failed(&e, &rule, 100));
        assert_false(ejection_failed(&e, &rule, 100));
        ejection_passed(&e, 100);
    }
    assert_false(ejection_failed(&e, &rule, 100));
    assert_false(ejection_failed(&e, &rule, 100));
    assert_true(ejection_failed(&e, &rule, 100));
    assert_false(ejection_is(&e, 100)); /* whoever judges may spare it */
    assert_true(ejection_failed(&e, &rule, 100));
}

static void the_spell_doubles_up_to_its_limit_and_varies_by_a_quarter(void **unused) {
    (void)unused;
    static const int64_t expected[] = {1000, 2000, 4000, 8000, 8000, 8000};
    for (unsigned seed = 0; seed < 50; seed++) {
        struct ejection e = {0};
        int64_t now = 5000;
        for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
            ejection_begin(&e, &rule, now, roll());
            assert_in_range(e.until_ms - now, expected[i], expected[i] * 5 / 4);
            assert_true(ejection_is(&e, e.until_ms - 1));
            now = e.until_ms;
            assert_false(ejection_is(&e, now));
        }
    }
}

static void different_draws_come_back_at_different_times(void **unused) {
    (void)unused;
    struct ejection a = {0}, b = {0};
    ejection_begin(&a, &rule, 0, 17);
    ejection_begin(&b, &rule, 0, 200);
    assert_int_not_equal(a.until_ms, b.until_ms);
}

static void after_its_return_one_failure_is_enough_and_one_success_ends_that(void **unused) {
    (void)unused;
    struct ejection e = {0};
    ejection_begin(&e, &rule, 0, 0);
    assert_false(ejection_failed(&e, &rule, 500)); /* still out: says nothing new */
    assert_true(ejection_failed(&e, &rule, 1001));
    ejection_begin(&e, &rule, 1001, 0);
    ejection_passed(&e, 3001);
    assert_false(ejection_failed(&e, &rule, 3002));
}

static void as_long_in_peace_as_it_was_out_forgets_the_past(void **unused) {
    (void)unused;
    struct ejection e = {0};
    ejection_begin(&e, &rule, 0, 0);
    ejection_begin(&e, &rule, 1000, 0); /* until 3000 */
    ejection_passed(&e, 3100);
    ejection_begin(&e, &rule, 3200, 0);
    assert_int_equal(e.until_ms, 3200 + 4000); /* too early to be forgotten */
    ejection_passed(&e, e.until_ms + 4000);
    ejection_begin(&e, &rule, 20000, 0);
    assert_int_equal(e.until_ms, 21000);
}

static void it_never_happens_when_the_rule_says_never(void **unused) {
    (void)unused;
    struct policy never = rule;
    struct ejection e = {0};
    never.eject_after = 0;
    for (unsigned i = 0; i < 1000; i++)
        assert_false(ejection_failed(&e, &never, i));
}

static void a_share_of_the_pods_and_at_least_one_is_never_out(void **unused) {
    (void)unused;
    struct policy p = rule;
    assert_false(ejection_allowed(&p, 1, 0));
    assert_true(ejection_allowed(&p, 2, 0));
    assert_false(ejection_allowed(&p, 2, 1));
    assert_true(ejection_allowed(&p, 5, 1));
    assert_false(ejection_allowed(&p, 5, 2)); /* three of five are more than half */
    p.eject_percent = 100;
    assert_true(ejection_allowed(&p, 5, 3));
    assert_false(ejection_allowed(&p, 5, 4));
    p.eject_percent = 0;
    assert_false(ejection_allowed(&p, 5, 0));
}

/* ---- the retry budget ---- */

static void a_dead_service_is_retried_for_a_fifth_of_its_requests(void **unused) {
    (void)unused;
    struct budget b = {0};
    unsigned retries = 0;
    for (unsigned i = 0; i < 10000; i++) { /* all within one moment */
        budget_earn(&b, 20);
        retries += budget_take(&b, 20, 1000);
        retries += budget_take(&b, 20, 1000);
    }
    assert_in_range(retries, 2000, 2000 + BUDGET_MOST / BUDGET_TOKEN);
}

static void few_requests_may_always_be_retried_once_a_second(void **unused) {
    (void)unused;
    struct budget b = {0};
    for (int64_t second = 1; second < 1000; second++)
        assert_true(budget_take(&b, 20, second * 1000));
    for (unsigned i = 0; i < BUDGET_MOST / BUDGET_TOKEN - 1; i++)
        assert_true(budget_take(&b, 20, 999000));
    assert_false(budget_take(&b, 20, 999000));
    assert_false(budget_take(&b, 20, 998000)); /* a clock that steps back earns nothing */
}

static void no_budget_means_no_retry(void **unused) {
    (void)unused;
    struct budget b = {0};
    budget_earn(&b, 0);
    assert_false(budget_take(&b, 0, 1000));
}

/* ---- the line ---- */

static void the_line_is_first_come_first_served(void **unused) {
    (void)unused;
    struct queue q = {0};
    struct queued_item item[5] = {0};
    for (unsigned i = 0; i < 5; i++)
        queue_put(&q, &item[i]);
    assert_int_equal(q.count, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_ptr_equal(queue_take(&q), &item[i]);
    assert_null(queue_take(&q));
    assert_false(queue_waits(&q));
}

static void whoever_leaves_the_line_leaves_it_whole(void **unused) {
    (void)unused;
    enum { MANY = 40 };
    for (unsigned round = 0; round < 500; round++) {
        struct queue q = {0};
        struct queued_item item[MANY] = {0};
        struct queued_item *expected[MANY];
        unsigned left = 0;
        for (unsigned i = 0; i < MANY; i++)
            queue_put(&q, &item[i]);
        for (unsigned i = 0; i < MANY; i++) {
            if (roll() % 3 == 0)
                queue_remove(&q, &item[i]);
            else
                expected[left++] = &item[i];
            assert_int_equal(queue_holds(&item[i]), left && expected[left - 1] == &item[i]);
        }
        struct queued_item late = {0};
        queue_put(&q, &late);
        assert_int_equal(q.count, left + 1);
        for (unsigned i = 0; i < left; i++)
            assert_ptr_equal(queue_take(&q), expected[i]);
        assert_ptr_equal(queue_take(&q), &late);
        assert_null(q.last);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_at_random_the_lesser_loaded_is_taken),
        cmocka_unit_test(load_is_spread_evenly_and_never_far_apart),
        cmocka_unit_test(a_pod_that_something_speaks_against_is_never_taken_while_another_is_there),
        cmocka_unit_test(when_something_speaks_against_all_the_lesser_reason_is_taken),
        cmocka_unit_test(pods_that_fail_their_checks_are_not_taken_even_when_they_are_all),
        cmocka_unit_test(round_robin_takes_each_in_turn_and_skips_the_bad),
        cmocka_unit_test(hashing_spreads_keys_evenly_and_always_the_same_way),
        cmocka_unit_test(adding_or_removing_one_of_n_pods_moves_one_nth_of_the_keys),
        cmocka_unit_test(the_order_of_the_set_does_not_matter),
        cmocka_unit_test(keys_of_an_ejected_pod_are_shared_out_and_come_back),
        cmocka_unit_test(it_takes_that_many_failures_in_a_row),
        cmocka_unit_test(the_spell_doubles_up_to_its_limit_and_varies_by_a_quarter),
        cmocka_unit_test(different_draws_come_back_at_different_times),
        cmocka_unit_test(after_its_return_one_failure_is_enough_and_one_success_ends_that),
        cmocka_unit_test(as_long_in_peace_as_it_was_out_forgets_the_past),
        cmocka_unit_test(it_never_happens_when_the_rule_says_never),
        cmocka_unit_test(a_share_of_the_pods_and_at_least_one_is_never_out),
        cmocka_unit_test(a_dead_service_is_retried_for_a_fifth_of_its_requests),
        cmocka_unit_test(few_requests_may_always_be_retried_once_a_second),
        cmocka_unit_test(no_budget_means_no_retry),
        cmocka_unit_test(the_line_is_first_come_first_served),
        cmocka_unit_test(whoever_leaves_the_line_leaves_it_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
