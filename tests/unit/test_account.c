/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_account.c - an account's last reference, on whatever thread it is dropped (core/account.h).
 */
#include "core/account.h"
#include "core/retire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned ends;

static void ended(struct account *a) {
    (void)a;
    ends++;
}

static struct account *watched(const char *name) {
    struct account *a = account_new(name, 1);
    a->ended = ended;
    ends = 0;
    return a;
}

static void what_the_last_worker_drops_ends_when_it_was_adopted(void **unused) {
    struct account *a = watched("a");
    (void)unused;
    account_drop(a);
    assert_false(retired_any()); /* the list is the control thread's */
    accounts_adopt();
    assert_true(retired_any());
    retired_free();
    assert_int_equal(ends, 0); /* seen quiet twice */
    retired_free();
    assert_int_equal(ends, 1);
    assert_false(retired_any());
    accounts_end();
}

static void what_is_wanted_again_before_that_goes_on(void **unused) {
    struct account *a = watched("a");
    (void)unused;
    account_drop(a);
    account_ref(a);
    accounts_adopt();
    assert_false(retired_any());
    account_drop(a);
    account_ref(a);
    account_drop(a); /* it is in the list already */
    accounts_adopt();
    accounts_adopt();
    for (unsigned i = 0; i < 4; i++)
        retired_free();
    assert_int_equal(ends, 1);
    accounts_end();
}

/* Retired by the control thread, and a worker drops it once more: it is freed when it is in no list. */
static void what_is_dropped_meanwhile_is_freed_once(void **unused) {
    struct account *a = watched("a");
    (void)unused;
    account_unref(a);
    retired_free();
    account_ref(a);
    account_drop(a);
    retired_free();
    retired_free();
    assert_int_equal(ends, 0);
    accounts_adopt();
    retired_free();
    retired_free();
    assert_int_equal(ends, 1);
    accounts_end();
}

static void what_is_dropped_at_the_end_ends(void **unused) {
    struct account *a = watched("a"), *b = watched("b");
    (void)unused;
    account_drop(a);
    account_drop(b);
    accounts_end();
    assert_int_equal(ends, 2);
    assert_null(account_first());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_last_worker_drops_ends_when_it_was_adopted),
        cmocka_unit_test(what_is_wanted_again_before_that_goes_on),
        cmocka_unit_test(what_is_dropped_meanwhile_is_freed_once),
        cmocka_unit_test(what_is_dropped_at_the_end_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
