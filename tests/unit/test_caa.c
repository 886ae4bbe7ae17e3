/* SPDX-License-Identifier: GPL-3.0-or-later
 * CAA as RFC 8659 and RFC 8657 have it, on records as they stand in zones.
 * link: modules/acme/caa.c
 */
#include "modules/acme/caa.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const issuers[] = {"ca.example.net", "ca.example.org"};
static const struct caa_wish plain = {issuers, 2, "https://ca.example.net/acct/1", "http-01",
                                      false};
static char why[CAA_REASON_MAX];

/* "128 issue ca.example.net; x=y" ... NULL */
static struct caa_set set_of(const char *first, ...) {
    struct caa_set set = {.found = CAA_RECORDS, .domain = "example.com"};
    va_list list;
    va_start(list, first);
    for (const char *text = first; text; text = va_arg(list, const char *)) {
        unsigned char wire[1024];
        char tag[64], *rest;
        wire[0] = (unsigned char)strtol(text, &rest, 10);
        size_t length = strcspn(++rest, " ");
        snprintf(tag, sizeof tag, "%.*s", (int)length, rest);
        const char *value = rest + length + (rest[length] == ' ');
        wire[1] = (unsigned char)length;
        memcpy(wire + 2, tag, length);
        memcpy(wire + 2 + length, value, strlen(value));
        assert_true(caa_record_read(wire, 2 + length + strlen(value), &set.record[set.count++]));
    }
    va_end(list);
    return set;
}

static void expect(enum caa_verdict verdict, const struct caa_set *set,
                   const struct caa_wish *wish) {
    assert_int_equal(caa_judge(set, wish, why), verdict);
    assert_true((verdict == CAA_ALLOWED) == !*why);
}

static void judge(enum caa_verdict verdict, const char *record) {
    struct caa_set set = set_of(record, NULL);
    expect(verdict, &set, &plain);
}

static void a_name_without_records_is_anybodys(void **state) {
    struct caa_set none = {.found = CAA_NONE}, unknown = {.found = CAA_UNKNOWN, .domain = "x.y"};
    (void)state;
    expect(CAA_ALLOWED, &none, &plain);
    expect(CAA_UNDECIDED, &unknown, &plain);
    assert_non_null(strstr(why, "x.y"));
}

static void only_the_named_ca_may_issue(void **state) {
    (void)state;
    judge(CAA_ALLOWED, "0 issue ca.example.net");
    judge(CAA_ALLOWED, "0 issue   CA.example.ORG  ");
    judge(CAA_ALLOWED, "128 issue ca.example.org; policy=ev");
    judge(CAA_FORBIDDEN, "0 issue letsencrypt.org");
    judge(CAA_FORBIDDEN, "0 issue ca.example.net.evil.example");
    judge(CAA_FORBIDDEN, "0 issue ;");
    judge(CAA_FORBIDDEN, "0 issue ");
    judge(CAA_FORBIDDEN, "0 issue %%%%%");
    judge(CAA_FORBIDDEN, "0 issue ca.example.net evil");
    judge(CAA_ALLOWED, "0 ISSUE ca.example.net");
}

static void one_that_allows_is_enough(void **state) {
    struct caa_set set = set_of("0 issue letsencrypt.org", "0 issue ca.example.net", NULL);
    (void)state;
    expect(CAA_ALLOWED, &set, &plain);
}

static void other_tags_do_not_restrict_but_critical_unknown_ones_forbid(void **state) {
    (void)state;
    judge(CAA_ALLOWED, "0 iodef mailto:a@example.com");
    judge(CAA_ALLOWED, "128 iodef mailto:a@example.com");
    judge(CAA_ALLOWED, "0 tbs Unknown");
    judge(CAA_FORBIDDEN, "128 tbs Unknown");
    assert_non_null(strstr(why, "tbs"));
    struct caa_set set = set_of("0 issue ca.example.net", "128 tbs Unknown", NULL);
    expect(CAA_FORBIDDEN, &set, &plain);
}

static void issuewild_speaks_for_wildcards_alone(void **state) {
    struct caa_wish wild = plain;
    struct caa_set both = set_of("0 issue ca.example.net", "0 issuewild ;", NULL);
    struct caa_set only = set_of("0 issuewild ca.example.net", NULL);
    struct caa_set issue = set_of("0 issue ca.example.net", NULL);
    struct caa_set other = set_of("0 issue ;", "0 issuewild ca.example.net", NULL);
    (void)state;
    wild.wildcard = true;
    expect(CAA_ALLOWED, &both, &plain);
    expect(CAA_FORBIDDEN, &both, &wild);
    expect(CAA_ALLOWED, &only, &plain); /* it says nothing of names that are no wildcard */
    expect(CAA_ALLOWED, &only, &wild);
    expect(CAA_ALLOWED, &issue, &wild);
    expect(CAA_FORBIDDEN, &other, &plain);
    expect(CAA_ALLOWED, &other, &wild);
}

static void accounts_and_methods_narrow_a_record(void **state) {
    (void)state;
    judge(CAA_ALLOWED, "0 issue ca.example.net; accounturi=https://ca.example.net/acct/1");
    judge(CAA_FORBIDDEN, "0 issue ca.example.net; accounturi=https://ca.example.net/acct/2");
    assert_non_null(strstr(why, "account"));
    judge(CAA_FORBIDDEN, "0 issue ca.example.net; accounturi=https://ca.example.net/acct/11");
    judge(CAA_FORBIDDEN, "0 issue ca.example.net; accounturi=https://ca.example.net/acct/1;"
                         "accounturi=https://ca.example.net/acct/1");
    judge(CAA_ALLOWED, "0 issue ca.example.net; validationmethods=dns-01,http-01");
    judge(CAA_ALLOWED, "0 issue ca.example.net;validationmethods=http-01 ; other=1");
    judge(CAA_FORBIDDEN, "0 issue ca.example.net; validationmethods=dns-01");
    assert_non_null(strstr(why, "http-01"));
    judge(CAA_FORBIDDEN, "0 issue ca.example.net; validationmethods=");
    judge(CAA_FORBIDDEN, "0 issue ca.example.net; validationmethods");
    struct caa_set set = set_of("0 issue ca.example.net; validationmethods=dns-01",
                                "0 issue ca.example.org; validationmethods=http-01", NULL);
    expect(CAA_ALLOWED, &set, &plain);
}

static void a_ca_that_does_not_say_its_names_is_stopped_only_by_what_stops_all(void **state) {
    struct caa_wish nameless = plain;
    struct caa_set some = set_of("0 issue letsencrypt.org", NULL), none = set_of("0 issue ;", NULL);
    (void)state;
    nameless.issuer_count = 0;
    expect(CAA_ALLOWED, &some, &nameless);
    expect(CAA_FORBIDDEN, &none, &nameless);
}

static void what_cannot_be_read_forbids(void **state) {
    struct caa_set set = set_of("0 issue ca.example.net", NULL);
    struct caa_record record;
    (void)state;
    set.broken = true;
    expect(CAA_FORBIDDEN, &set, &plain);
    assert_false(caa_record_read("", 0, &record));
    assert_false(caa_record_read("\0", 1, &record));
    assert_false(caa_record_read("\0\0x", 3, &record));
    assert_false(caa_record_read("\0\5issu", 6, &record));
    assert_false(caa_record_read("\0\5iss-e", 7, &record));
    assert_false(caa_record_read("\0\5issuea\0b", 10, &record));
    assert_true(caa_record_read("\0\5issue", 7, &record));
    assert_string_equal(record.value, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_without_records_is_anybodys),
        cmocka_unit_test(only_the_named_ca_may_issue),
        cmocka_unit_test(one_that_allows_is_enough),
        cmocka_unit_test(other_tags_do_not_restrict_but_critical_unknown_ones_forbid),
        cmocka_unit_test(issuewild_speaks_for_wildcards_alone),
        cmocka_unit_test(accounts_and_methods_narrow_a_record),
        cmocka_unit_test(a_ca_that_does_not_say_its_names_is_stopped_only_by_what_stops_all),
        cmocka_unit_test(what_cannot_be_read_forbids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
