/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_views.c - what is said of a certificate: nothing that keeps it from being renewed stays quiet until it has expired.
 * link: modules/acme/views.c modules/acme/texts.c modules/acme/schedule.c modules/acme/turns.c modules/acme/conf.c modules/acme/secrets.c
 */
#include "core/control_host.h"
#include "modules/acme/keeper.h"
#include "modules/acme/rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *control_path(const char *as_written) {
    return strdup(as_written);
}

/* Nobody sleeps here. */
void tenant_wake(struct followed *f) {
    assert_int_equal(f->sleeper_count, 0);
}
void tenant_rest(struct followed *f, int64_t now) {
    (void)now;
    assert_int_equal(f->sleeper_count, 0);
}

struct keeper keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

enum { DAY = SCHEDULE_DAY, LIFE = 90 * DAY };

static struct entry served(void) {
    return (struct entry){.wanted = true, .number = 1, .not_before = 0, .not_after = LIFE};
}

static void is_told_late(const struct entry *e) {
    assert_string_equal(entry_state(e, LIFE / 2), "ok");
    assert_false(entry_is_late(e, LIFE / 2));
    assert_string_equal(entry_state(e, LIFE * 2 / 3), "expiring");
    assert_true(entry_is_late(e, LIFE * 2 / 3));
    assert_string_equal(entry_state(e, LIFE), "expired");
    assert_true(entry_is_late(e, LIFE));
}

static void whatever_hinders_a_renewal_is_told_from_a_third_of_the_lifetime(void **state) {
    (void)state;
    struct entry failed = served(), waits = served(), impossible = served();
    failed.failures = 1;
    failed.error = (char *)"refused";
    waits.waits_for = (char *)"our own limit of orders";
    impossible.impossible = "no zone holds it";
    is_told_late(&failed);
    is_told_late(&waits);
    is_told_late(&impossible);
    assert_string_equal(entry_hindrance(&failed), "refused");
    assert_string_equal(entry_hindrance(&waits), "our own limit of orders");
    assert_string_equal(entry_hindrance(&impossible), "no zone holds it");
}

static void what_goes_well_is_not_told(void **state) {
    (void)state;
    struct entry good = served(), retiring = served(), none = served();
    retiring.wanted = false;
    retiring.failures = 3;
    none.number = 0;
    none.failures = 3;
    assert_null(entry_hindrance(&good));
    assert_false(entry_is_late(&good, LIFE - 1));
    assert_string_equal(entry_state(&good, LIFE - 1), "ok");
    assert_string_equal(entry_state(&retiring, LIFE - 1), "retiring");
    assert_false(entry_is_late(&retiring, LIFE - 1));
    assert_string_equal(entry_state(&none, 0), "failing");
    assert_false(entry_is_late(&none, 0));
}

static void files_that_can_not_be_read_are_a_state_of_their_own(void **state) {
    (void)state;
    struct entry gone = served(), retiring = served();
    gone.unreadable = (char *)"its file x.key is missing";
    assert_string_equal(entry_state(&gone, LIFE / 2), "unreadable");
    assert_string_equal(entry_state(&gone, LIFE), "expired");
    retiring.wanted = false;
    assert_string_equal(entry_state(&retiring, LIFE / 2), "retiring");
}

static void mended(const char *text, const char *expected) {
    char copy[16];
    snprintf(copy, sizeof copy, "%s", text);
    text_mend(copy, sizeof copy);
    assert_string_equal(copy, expected);
}

static void what_was_cut_in_a_character_can_be_kept(void **state) {
    (void)state;
    mended("", "");
    mended("plain", "plain");
    mended("h\xc3\xb6re", "h\xc3\xb6re");
    mended("0123456789abcd\xc3\xb6", "0123456789abcd"); /* the 16th byte is lost */
    mended("to\xf0\x9f\x98", "to");
    mended("\xf0\x9f\x98", "");
    mended("\xff\xfe in Latin", "(not UTF-8)");
}

static void a_text_is_kept_once_for_all_who_take_it_and_goes_with_the_last(void **state) {
    (void)state;
    char made[] = "Example CA";
    const char *one = text_take(made), *two = text_take("Example CA"), *other = text_take("");
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, made);
    text_give(two);
    assert_string_equal(one, "Example CA");
    text_swap(&one, "Another CA");
    assert_string_equal(one, "Another CA");
    text_give(one);
    text_give(other);
    text_give(NULL);
    char *said = NULL;
    text_say(&said, "%s", "");
    assert_null(said);
    text_say(&said, "%s %d", "h\xc3 and so on", 1); /* broken, and not by a cut */
    assert_string_equal(said, "(not UTF-8)");
    text_unsay(&said);
    assert_null(said);
    texts_fini();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_hinders_a_renewal_is_told_from_a_third_of_the_lifetime),
        cmocka_unit_test(what_goes_well_is_not_told),
        cmocka_unit_test(files_that_can_not_be_read_are_a_state_of_their_own),
        cmocka_unit_test(what_was_cut_in_a_character_can_be_kept),
        cmocka_unit_test(a_text_is_kept_once_for_all_who_take_it_and_goes_with_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
