/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_turns.c - who is next: nobody waits for a tenant that has a thousand names, and no two orders prove one name at one time.
 * link: modules/acme/turns.c modules/acme/conf.c modules/acme/secrets.c
 */
#include "core/control_host.h"
#include "modules/acme/turns.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 1100, NOW = 1000000 };

struct keeper keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct entry *table[MOST];
static int64_t due[MOST];
static char *alpn_only[] = {(char *)"tls-alpn-01"}, *http_only[] = {(char *)"http-01"};
static struct acme_conf conf = {.challenges = {1, alpn_only}};
static struct followed big = {.name = (char *)"big"}, small = {.name = (char *)"small"};

char *control_path(const char *as_written) {
    return strdup(as_written);
}

static int begin(void **state) {
    (void)state;
    keeper.entry = table;
    keeper.due = due;
    keeper.count = 0;
    keeper.turns = 0;
    keeper.conf = &conf;
    conf.challenges.item = alpn_only;
    big.turn = small.turn = 0;
    big.first = small.first = NULL;
    return 0;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < keeper.count; i++) {
        free(table[i]->name[0]);
        free(table[i]->name);
        free(table[i]);
    }
    return 0;
}

static struct entry *add(struct followed *f, const char *name, int64_t at) {
    struct entry *e = calloc(1, sizeof *e);
    e->name = calloc(1, sizeof *e->name);
    e->name[0] = strdup(name);
    e->name_count = 1;
    e->tenant = f;
    e->wanted = true;
    e->index = keeper.count;
    e->attempt_at = at;
    e->next = f->first;
    f->first = e;
    table[keeper.count] = e;
    due[keeper.count++] = at;
    return e;
}

static struct entry *taken(void) {
    int64_t at;
    struct entry *e = turn_next(NOW, &at);
    if (e) {
        turn_taken(e);
        e->busy = e->ordering = true;
        due[e->index] = 0;
    }
    return e;
}

static void a_thousand_names_of_one_do_not_hold_up_another(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d.example.com", i);
        add(&big, name, NOW - 1000);
    }
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(taken()->tenant, &big);
    struct entry *late = add(&small, "a.example.net", NOW),
                 *later = add(&small, "b.example.net", NOW);
    assert_ptr_equal(taken(), late);
    assert_ptr_equal(taken()->tenant, &big);
    assert_ptr_equal(taken(), later);
    assert_ptr_equal(taken()->tenant, &big);
}

static void what_renews_goes_before_what_is_new(void **state) {
    (void)state;
    struct entry *fresh = add(&big, "new.example.com", NOW - 100),
                 *renewal = add(&big, "old.example.com", NOW);
    renewal->number = 1;
    assert_ptr_equal(taken(), renewal);
    assert_ptr_equal(taken(), fresh);
    assert_null(taken());
}

static void what_waits_longest_goes_first_and_what_is_not_due_waits(void **state) {
    int64_t at;
    (void)state;
    add(&big, "later.example.com", NOW + 50);
    struct entry *second = add(&big, "b.example.com", NOW - 5),
                 *first = add(&big, "a.example.com", NOW - 50);
    add(&big, "sooner.example.com", NOW + 20);
    assert_ptr_equal(taken(), first);
    assert_ptr_equal(taken(), second);
    assert_null(turn_next(NOW, &at));
    assert_int_equal(at, NOW + 20);
}

static void orders_for_one_name_go_one_after_the_other(void **state) {
    int64_t at;
    (void)state;
    struct entry *one = add(&big, "shop.example.com", NOW - 9),
                 *two = add(&big, "shop.example.com", NOW - 5),
                 *other = add(&big, "x.example.com", NOW);
    assert_ptr_equal(taken(), one);
    assert_string_equal(turn_clash(two), "shop.example.com");
    assert_ptr_equal(taken(), other);
    assert_null(turn_next(NOW, &at));
    assert_int_equal(at, 0); /* whoever is done wakes us: no time is known */
    one->busy = one->ordering = false;
    one->shown = true; /* it goes on later, and its answers still stand */
    assert_null(turn_next(NOW, &at));
    one->shown = false;
    assert_ptr_equal(taken(), two);
}

/* Both were in their midst when the edge ended. */
static void two_that_both_show_do_not_wait_for_each_other(void **state) {
    (void)state;
    struct entry *one = add(&big, "shop.example.com", NOW - 9),
                 *two = add(&big, "shop.example.com", NOW - 5);
    one->shown = two->shown = true;
    assert_ptr_equal(taken(), one);
    assert_null(taken());
    one->busy = one->shown = false;
    assert_ptr_equal(taken(), two);
}

/* A token tells one from the other there. */
static void other_challenges_need_not_wait(void **state) {
    (void)state;
    conf.challenges.item = http_only;
    struct entry *one = add(&big, "shop.example.com", NOW - 9),
                 *two = add(&big, "shop.example.com", NOW - 5);
    assert_ptr_equal(taken(), one);
    assert_ptr_equal(taken(), two);
}

static void a_question_when_to_renew_waits_for_no_order(void **state) {
    (void)state;
    struct entry *one = add(&big, "shop.example.com", NOW - 9),
                 *two = add(&big, "shop.example.com", NOW - 5);
    assert_ptr_equal(taken(), one);
    two->number = 1;
    two->ari_at = NOW - 5;
    two->attempt_at = NOW + 1000;
    assert_false(turn_orders(two, NOW));
    assert_ptr_equal(taken(), two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thousand_names_of_one_do_not_hold_up_another, begin, end),
        cmocka_unit_test_setup_teardown(what_renews_goes_before_what_is_new, begin, end),
        cmocka_unit_test_setup_teardown(what_waits_longest_goes_first_and_what_is_not_due_waits,
                                        begin, end),
        cmocka_unit_test_setup_teardown(orders_for_one_name_go_one_after_the_other, begin, end),
        cmocka_unit_test_setup_teardown(two_that_both_show_do_not_wait_for_each_other, begin, end),
        cmocka_unit_test_setup_teardown(other_challenges_need_not_wait, begin, end),
        cmocka_unit_test_setup_teardown(a_question_when_to_renew_waits_for_no_order, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
