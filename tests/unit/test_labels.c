/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_labels.c - the label syntax, and what is a name.
 */
#include "tenants/hostname.h"
#include "tenants/labels.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void each_form_of_the_table_is_read(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        int port;
        enum label_scheme scheme;
        const char *host, *path;
    } story[] = {
        {"kr.ingress.80", "https://nginx.*", 80, LABEL_HTTPS, "nginx.123123.1d.pt", "/"},
        {"kr.ingress.8080", "https://web.example.com/api", 8080, LABEL_HTTPS, "web.example.com",
         "/api"},
        {"kr.ingress.80", "http://nginx.*/", 80, LABEL_HTTP, "nginx.123123.1d.pt", "/"},
        {"kr.ingress.5432", "tls://db.*", 5432, LABEL_TLS, "db.123123.1d.pt", "/"},
        {"kr.ingress.3306", "tcp://", 3306, LABEL_TCP, NULL, "/"},
        {"kr.ingress.80", "HTTPS://nginx.*", 80, LABEL_HTTPS, "nginx.123123.1d.pt", "/"},
        {"kr.ingress.80", "https://*", 80, LABEL_HTTPS, "123123.1d.pt", "/"},
        {"kr.ingress.80", "https://*.*", 80, LABEL_HTTPS, "*.123123.1d.pt", "/"},
        {"kr.ingress.80", "https://WEB.Example.com.", 80, LABEL_HTTPS, "web.example.com", "/"},
    };
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        struct stash *stash = stash_new();
        struct label label;
        const char *why = NULL;
        if (!label_parse(stash, story[i].key, story[i].value, strlen(story[i].value),
                         "123123.1d.pt", &label, &why))
            fail_msg("%s: %s", story[i].value, why);
        assert_int_equal(label.port, story[i].port);
        assert_int_equal(label.scheme, story[i].scheme);
        assert_string_equal(label.path, story[i].path);
        if (story[i].host)
            assert_string_equal(label.host, story[i].host);
        else
            assert_null(label.host);
        stash_free(stash);
    }
}

static void mistakes_say_what_they_are(void **state) {
    (void)state;
    static const char *const story[][3] = {
        {"kr.ingress.0", "tcp://", "1 to 65535"},
        {"kr.ingress.65536", "tcp://", "1 to 65535"},
        {"kr.ingress.80x", "tcp://", "1 to 65535"},
        {"kr.ingress.80", "ftp://a.*", "must start with"},
        {"kr.ingress.80", "", "must start with"},
        {"kr.ingress.80", "https://", "missing"},
        {"kr.ingress.80", "https://10.0.0.1", "IP address"},
        {"kr.ingress.80", "https://a.*:8080", "without port"},
        {"kr.ingress.80", "https://${SUB:-a}.*", "variables are not replaced"},
        {"kr.ingress.80", "https://a*", "label of its own"},
        {"kr.ingress.80", "https://b\xc3\xbc.example.com", "A-label"},
        {"kr.ingress.80", "https://a.*/?q", "path"},
        {"kr.ingress.80", "https://a.*/../x", "path"},
        {"kr.ingress.80", "tcp://x", "neither"},
        {"kr.ingress.80", "tls://a.*/x", "no path"},
    };
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        struct stash *stash = stash_new();
        struct label label;
        const char *why = NULL;
        assert_false(label_parse(stash, story[i][0], story[i][1], strlen(story[i][1]),
                                 "123123.1d.pt", &label, &why));
        if (!why || !strstr(why, story[i][2]))
            fail_msg("%s: `%s`", story[i][1], why ? why : "");
        stash_free(stash);
    }
}

static void a_star_needs_a_domain(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct label label;
    const char *why = NULL;
    assert_false(label_parse(stash, "kr.ingress.80", "https://a.*", 11, NULL, &label, &why));
    assert_non_null(strstr(why, "spec.domain"));
    stash_free(stash);
}

static void a_wildcard_covers_one_label(void **state) {
    (void)state;
    assert_true(hostname_covers("*.example.com", "a.example.com"));
    assert_true(hostname_covers("*.example.com", "*.example.com"));
    assert_false(hostname_covers("*.example.com", "a.b.example.com"));
    assert_false(hostname_covers("*.example.com", "example.com"));
    assert_true(hostname_under("a.b.example.com", "example.com"));
    assert_false(hostname_under("notexample.com", "example.com"));
}

static void public_suffixes_and_single_labels_are_refused(void **state) {
    (void)state;
    assert_non_null(hostname_refusal("com"));
    assert_non_null(hostname_refusal("co.uk"));
    assert_non_null(hostname_refusal("*.co.uk"));
    assert_non_null(hostname_refusal("localhost"));
    assert_null(hostname_refusal("example.co.uk"));
    assert_null(hostname_refusal("*.example.com"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_the_table_is_read),
        cmocka_unit_test(mistakes_say_what_they_are),
        cmocka_unit_test(a_star_needs_a_domain),
        cmocka_unit_test(a_wildcard_covers_one_label),
        cmocka_unit_test(public_suffixes_and_single_labels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
