/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_answers.c - what orders had shown before the edge ended is shown again from their rows, and what they leave is seen to.
 * link: modules/acme/answers.c modules/acme/leftovers.c modules/acme/jose.c modules/acme/keys.c modules/acme/paper.c modules/acme/bank.c
 */
#include "core/challenge.h"
#include "core/control.h"
#include "core/control_host.h"
#include "core/identity.h"
#include "core/module.h"
#include "modules/acme/answers.h"
#include "modules/acme/bank.h"
#include "modules/acme/jose.h"
#include "modules/acme/leftovers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 16, START = 1000000 };

static struct { char key[300], value[1000]; } row[ROWS];
static int64_t now;
static char folder[64];
static struct key *account;

/* ---- the edge around it ---- */

void control_rows(const char *prefix, void (*each)(void *, const char *, const char *),
                  void *user) {
    for (size_t i = 0; i < ROWS; i++)
        if (*row[i].key && !strncmp(row[i].key, prefix, strlen(prefix)))
            each(user, row[i].key, row[i].value);
}

void control_row_put(const char *key, const char *value) {
    size_t i = 0;
    while (i < ROWS && strcmp(row[i].key, key))
        i++;
    for (size_t j = 0; i == ROWS && value && j < ROWS; j++)
        if (!*row[j].key)
            i = j;
    if (i == ROWS)
        return;
    snprintf(row[i].key, sizeof row[i].key, "%s", value ? key : "");
    snprintf(row[i].value, sizeof row[i].value, "%s", value ? value : "");
}

struct identity *control_identity(const char *chain_pem, const char *key_pem, struct err *err) {
    return identity_new(chain_pem, key_pem, err);
}

int64_t world_now(void);
int64_t world_now(void) {
    return now;
}

void directory_hash(const char *url, char out[17]);
void directory_hash(const char *url, char out[17]) {
    strcpy(out, !strcmp(url, "https://ca/dir") ? "0123456789abcdef" : "fedcba9876543210");
}

static int begin(void **state) {
    struct err err;
    (void)state;
    memset(row, 0, sizeof row);
    now = START;
    snprintf(folder, sizeof folder, "/tmp/acme-answers-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_true(bank_open(folder, &err));
    account = key_new(KEY_P256, 0, &err);
    char *pem = key_pem(account);
    assert_true(bank_write("account-0123456789abcdef.key", pem, &err));
    free(pem);
    identities_init(1, 2);
    return 0;
}

static int end(void **state) {
    char command[128];
    (void)state;
    leftovers_close();
    bank_close();
    key_free(account);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- seen as a worker sees it ---- */

static const char *answer(const char *host, const char *token) {
    char path[300];
    int n = snprintf(path, sizeof path, "/.well-known/acme-challenge/%s", token);
    return challenge_http(host, strlen(host), path, (size_t)n);
}

static bool shows_alpn(const char *name) {
    return challenge_alpn(name, strlen(name));
}

static const char order[] =
    "{\"step\":\"proving\",\"directory\":\"https://ca/dir\",\"url\":\"https://ca/order/"
    "1\",\"proofs\":["
    "[\"http-01\",\"shop.example.com\",\"token-1\",\"https://ca/chal/1\",\"\"],"
    "[\"tls-alpn-01\",\"www.example.com\",\"token-2\",\"https://ca/chal/2\"],"
    "[\"dns-01\",\"zone.example.com\",\"token-3\",\"https://ca/chal/3\",\"DIGEST\"]]}";

static void what_was_shown_before_the_end_is_shown_again(void **state) {
    (void)state;
    assert_null(answer("shop.example.com", "token-1"));
    control_row_put("acme/order/1", order);
    answers_show_again();
    char *expected = key_authorization(account, "token-1");
    assert_string_equal(answer("shop.example.com", "token-1"), expected);
    free(expected);
    assert_true(shows_alpn("www.example.com"));
    assert_null(answer("www.example.com", "token-2")); /* each by its own challenge only */
    assert_false(shows_alpn("shop.example.com"));
    assert_true(answers_any(order));
    assert_int_equal(leftovers_count(), 0);
    answers_forget(order, NULL, NULL);
}

static void a_dropped_order_takes_everything_back(void **state) {
    struct leftover left;
    int64_t at;
    (void)state;
    control_row_put("acme/order/1", order);
    answers_show_again();
    answers_forget(order, NULL, NULL);
    assert_null(answer("shop.example.com", "token-1"));
    assert_false(shows_alpn("www.example.com"));
    assert_true(leftover_take(now, &left, &at));
    assert_string_equal(left.name, "zone.example.com");
    assert_string_equal(left.text, "DIGEST");
}

static bool keeps(const void *user, const char *name) {
    return !strcmp(name, user);
}

static void what_another_order_proves_too_stays_shown(void **state) {
    (void)state;
    control_row_put("acme/order/1", order);
    answers_show_again();
    answers_forget(order, keeps, "www.example.com");
    assert_true(shows_alpn("www.example.com"));
    assert_null(answer("shop.example.com", "token-1"));
    answers_forget(order, NULL, NULL);
    assert_false(shows_alpn("www.example.com"));
}

/* Whatever somebody wrote into the store. */
static void rows_that_are_no_good_show_nothing(void **state) {
    static const char *const bad[] = {
        "", "{", "[]", "{}", "{\"directory\":\"https://ca/dir\"}",
        "{\"directory\":\"https://ca/dir\",\"proofs\":{}}",
        ("{\"directory\":\"https://ca/dir\","
         "\"proofs\":[[],[1],[\"http-01\"],null,[\"http-01\",2,3,4]]}"),
        "{\"directory\":7,\"proofs\":[[\"http-01\",\"shop.example.com\",\"token-1\",\"u\"]]}",
        "{\"proofs\":[[\"http-01\",\"shop.example.com\",\"token-1\",\"u\"]]}",
        /* of a directory whose account's key is not there */
        ("{\"directory\":\"https://other/dir\","
         "\"proofs\":[[\"http-01\",\"shop.example.com\",\"token-1\",\"u\"]]}")};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        control_row_put("acme/order/1", bad[i]);
        answers_show_again();
        answers_forget(bad[i], NULL, NULL);
        assert_null(answer("shop.example.com", "token-1"));
    }
    answers_forget(NULL, NULL, NULL);
    assert_false(answers_any(NULL));
    assert_int_equal(leftovers_count(), 0);
}

/* ---- leftovers ---- */

static void a_record_is_removed_until_it_works_and_over_a_restart(void **state) {
    struct leftover l;
    int64_t at;
    (void)state;
    leftover_add("zone.example.com", "DIGEST");
    leftover_add("zone.example.com", "DIGEST"); /* once is enough */
    assert_int_equal(leftovers_count(), 1);
    assert_true(leftover_take(now, &l, &at));
    assert_false(leftover_take(now, &l, &at)); /* one at a time */
    leftover_tried(&l, "no answer", now);
    assert_false(leftover_take(now, &l, &at));
    assert_int_equal(at, now + 60);
    leftovers_close();
    leftovers_open();
    assert_true(leftover_take(now, &l, &at));
    assert_string_equal(l.text, "DIGEST");
    leftover_tried(&l, NULL, now);
    assert_int_equal(leftovers_count(), 0);
    leftovers_close();
    leftovers_open();
    assert_int_equal(leftovers_count(), 0);
}

static void a_zone_that_never_answers_is_given_up(void **state) {
    struct leftover l;
    int64_t at;
    unsigned tries = 0;
    (void)state;
    leftover_add("zone.example.com", "DIGEST");
    for (; leftovers_count(); tries++) {
        assert_in_range(tries, 0, 60);
        while (!leftover_take(now, &l, &at))
            now = at;
        leftover_tried(&l, "no answer", now);
    }
    assert_in_range(now - START, 3 * 86400, 4 * 86400);
    assert_in_range(tries, 20, 60);
}

static void one_that_is_wanted_again_stays(void **state) {
    struct leftover l;
    int64_t at;
    (void)state;
    leftover_add("a.example.com", "ONE");
    leftover_add("b.example.com", "TWO");
    leftover_forget("a.example.com", "ONE");
    assert_true(leftover_take(now, &l, &at));
    assert_string_equal(l.text, "TWO");
    leftover_forget("b.example.com", "TWO"); /* in the midst of it */
    leftover_tried(&l, "no answer", now);
    assert_int_equal(leftovers_count(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_shown_before_the_end_is_shown_again, begin, end),
        cmocka_unit_test_setup_teardown(a_dropped_order_takes_everything_back, begin, end),
        cmocka_unit_test_setup_teardown(what_another_order_proves_too_stays_shown, begin, end),
        cmocka_unit_test_setup_teardown(rows_that_are_no_good_show_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_record_is_removed_until_it_works_and_over_a_restart,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_zone_that_never_answers_is_given_up, begin, end),
        cmocka_unit_test_setup_teardown(one_that_is_wanted_again_stays, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
