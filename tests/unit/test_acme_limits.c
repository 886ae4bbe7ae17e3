/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_limits.c - what new orders may take of a directory's allowance, and what is left for renewals.
 * link: modules/acme/limits.c modules/acme/schedule.c
 */
#include "core/control_host.h"
#include "modules/acme/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000000, HOUR_MS = 3600000 };

static unsigned written;
static struct acme_conf conf;

void control_rows(const char *prefix, void (*each)(void *, const char *, const char *),
                  void *user) {
    (void)prefix, (void)each, (void)user;
}

void control_row_put(const char *key, const char *value) {
    (void)key, (void)value;
    written++;
}

void directory_hash(const char *url, char out[17]);
void directory_hash(const char *url, char out[17]) {
    (void)url;
    strcpy(out, "0123456789abcdef");
}

static int begin(void **state) {
    (void)state;
    conf.limits.orders = 300;
    conf.limits.orders_window_ms = 3 * HOUR_MS;
    conf.limits.domain = 50;
    conf.limits.domain_window_ms = 7 * 24ll * HOUR_MS;
    written = 0;
    limits_init(&conf, NOW);
    return 0;
}

static int end(void **state) {
    (void)state;
    limits_fini();
    return 0;
}

static bool ask(const char *name, bool renewal, bool take, int64_t now, int64_t *ret_at) {
    return limits_take(&(struct order_wish){"https://ca/dir", &name, 1, renewal}, take, now,
                       ret_at);
}

/* Each of a domain of its own, until no more is given. */
static unsigned take_all(bool renewal, int64_t now, int64_t *ret_at) {
    char name[64];
    unsigned n = 0;
    for (; n < 1000; n++) {
        snprintf(name, sizeof name, "www.example%u.com", n);
        if (!ask(name, renewal, true, now, ret_at))
            break;
    }
    return n;
}

static void a_fourth_of_the_orders_is_for_renewals(void **state) {
    int64_t at = 0;
    (void)state;
    assert_int_equal(take_all(false, NOW, &at), 225);
    assert_in_range(at, NOW + 1, NOW + 38); /* one comes back each 36 s */
    assert_int_equal(take_all(true, NOW, &at), 75);
    assert_false(ask("www.example.com", true, true, NOW, &at));
}

/* What comes back goes to renewals first: who is new waits until the reserve is whole again. */
static void the_reserve_is_filled_first(void **state) {
    int64_t at = 0;
    (void)state;
    take_all(false, NOW, &at);
    for (int i = 0; i < 10; i++)
        assert_true(ask("www.example.com", true, true, NOW, &at));
    assert_false(ask("www.example.org", false, true, NOW, &at));
    assert_in_range(at, NOW + 36 * 11, NOW + 36 * 11 + 2);
    assert_false(ask("www.example.org", false, true, NOW + 36 * 10, &at));
    assert_true(ask("www.example.org", false, true, NOW + 36 * 11 + 2, &at));
}

static void asking_takes_nothing(void **state) {
    int64_t at = 0;
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(ask("www.example.com", false, false, NOW, &at));
    assert_int_equal(written, 0);
    assert_int_equal(take_all(false, NOW, &at), 225);
    assert_false(ask("www.example.com", false, false, NOW, &at));
}

static void a_domain_that_is_used_up_takes_nothing_of_the_account(void **state) {
    char name[64];
    int64_t at = 0;
    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "n%d.example.co.uk", i);
        assert_int_equal(ask(name, false, true, NOW, &at), i < 50);
    }
    assert_int_equal(take_all(false, NOW, &at), 175);
    assert_true(ask("n1.example.co.uk", true, true, NOW, &at)); /* not counted there */
}

static void an_authority_that_says_when_is_believed(void **state) {
    int64_t at = 0;
    (void)state;
    limits_block("https://ca/dir", NOW + 500);
    limits_block("https://ca/dir", NOW + 400); /* an earlier time does not shorten it */
    assert_false(ask("www.example.com", true, true, NOW, &at));
    assert_int_equal(at, NOW + 500);
    assert_true(ask("www.example.com", true, true, NOW + 500, &at));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fourth_of_the_orders_is_for_renewals, begin, end),
        cmocka_unit_test_setup_teardown(the_reserve_is_filled_first, begin, end),
        cmocka_unit_test_setup_teardown(asking_takes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_domain_that_is_used_up_takes_nothing_of_the_account,
                                        begin, end),
        cmocka_unit_test_setup_teardown(an_authority_that_says_when_is_believed, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
