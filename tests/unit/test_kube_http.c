/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_http.c - what a client of the Kubernetes API can make us wait for and keep: where a request begins, and bytes on their way.
 * link: modules/kube/http.c modules/kube/outgoing.c llhttp
 */
#include "modules/kube/http.h"
#include "modules/kube/outgoing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum http_answer fed(struct http *h, const char *text) {
    size_t taken;
    return http_feed(h, text, strlen(text), &taken);
}

/* Else one byte now and then would keep a connection for ever. */
static void anything_that_comes_begins_a_request(void **state) {
    static const char *const begins[] = {"\r\n", "\n", "G", "GET "};
    (void)state;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct http h;
        http_init(&h, 4096);
        assert_true(http_is_idle(&h));
        fed(&h, begins[i]);
        assert_false(http_is_idle(&h));
        http_fini(&h);
    }
}

static void the_next_request_has_not_begun(void **state) {
    struct http h;
    (void)state;
    http_init(&h, 4096);
    assert_int_equal(fed(&h, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), GOT_HEAD);
    assert_int_equal(fed(&h, ""), GOT_COMPLETE);
    http_next(&h);
    assert_true(http_is_idle(&h));
    http_fini(&h);
}

/* kubectl exec asks so: what it is told then is an answer like any other. */
static void an_upgrade_is_passed_over_and_the_next_request_is_read(void **state) {
    static const char asks[] = "POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                               "Upgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n";
    struct http h;
    (void)state;
    http_init(&h, 4096);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fed(&h, asks), GOT_HEAD);
        assert_int_equal(fed(&h, ""), GOT_COMPLETE);
        assert_true(h.request.keep_alive);
        http_next(&h);
    }
    assert_int_equal(fed(&h, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), GOT_BAD);
    http_fini(&h);
}

static void a_slow_reader_keeps_what_it_has_not_read_and_no_more(void **state) {
    struct outgoing o = {0};
    char piece[1000];
    (void)state;
    for (unsigned i = 0; i < 5000; i++) { /* never empty */
        memset(piece, (int)(i % 251), sizeof piece);
        assert_true(outgoing_add(&o, piece, sizeof piece));
        if (i < 3)
            continue;
        for (size_t k = 0; k < sizeof piece; k++)
            assert_int_equal((unsigned char)outgoing_next(&o)[k], (i - 3) % 251);
        outgoing_sent(&o, sizeof piece);
        assert_int_equal(outgoing_left(&o), 3 * sizeof piece);
    }
    assert_true(o.room <= 16 * sizeof piece);
    outgoing_fini(&o);
    assert_null(o.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anything_that_comes_begins_a_request),
        cmocka_unit_test(the_next_request_has_not_begun),
        cmocka_unit_test(an_upgrade_is_passed_over_and_the_next_request_is_read),
        cmocka_unit_test(a_slow_reader_keeps_what_it_has_not_read_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
