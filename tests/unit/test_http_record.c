/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_http_record.c - each way an exchange can go has one line, and the line says which way it was.
 * link: modules/http/http.c modules/http/exchange.c modules/http/record.c modules/http/route.c modules/http/pod_h1.c modules/http/pod_h2.c
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/body.c modules/http/answer.c
 * link: modules/http/head.c modules/http/field.c modules/http/affinity.c modules/http/h2_front.c modules/http/h2_session.c
 * link: modules/http/h2_stream.c modules/http/h2_message.c modules/http/h2_guard.c modules/http/slices.c
 * link: tests/unit/mock_core.c llhttp PkgConfig::NGHTTP2 no-kernel
 */
#include "modules/http/http.h"
#include "tests/unit/mock_core.h"
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GET "GET /x?q HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void say(struct mock_end *end, const char *text) {
    mock_say(end, text, strlen(text));
    mock_turn();
}

static int begin(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    return 0;
}

static int end(void **state) {
    (void)state;
    mock_stop();
    return 0;
}

/* There is one line; its status (0: null), its error (NULL: null). */
static json_t *line_check(int status, const char *error) {
    assert_int_equal(mock.lines, 1);
    json_t *line = json_loads(mock.logged, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), status);
    const char *said = json_string_value(json_object_get(line, "error"));
    if (error && said)
        assert_string_equal(said, error);
    else
        assert_ptr_equal(said, error);
    return line;
}

static json_int_t number(const json_t *line, const char *key) {
    return json_integer_value(json_object_get(line, key));
}

static void times_are_those_of_what_happened(void **state) {
    (void)state;
    mock_say(&mock.client, GET, 10);
    mock.now += 2;
    say(&mock.client, &(GET)[10]);
    mock.now += 3;
    mock_connected(&mock.pod[0]);
    mock.now += 4;
    mock_say(&mock.pod[0], OK, 20);
    mock.now += 5;
    say(&mock.pod[0], &(OK)[20]);
    json_t *line = line_check(200, NULL);
    assert_int_equal(number(line, "routed_us"), 2000);
    assert_int_equal(number(line, "connected_us"), 5000);
    assert_int_equal(number(line, "first_byte_us"), 9000);
    assert_int_equal(number(line, "total_us"), 14000);
    assert_int_equal(number(line, "bytes_in"), strlen(GET));
    assert_int_equal(number(line, "bytes_out"), mock.client.out_length);
    assert_int_equal(mock.account->w[0].answered[1], 1);
    assert_int_equal(mock.account->w[0].duration[2], 1); /* 5 to 25 ms */
    assert_int_equal(mock.account->w[0].duration_us, 14000);
    json_decref(line);
}

static void what_a_second_pod_made_good_is_a_retry_and_no_error(void **state) {
    (void)state;
    mock.upstreams = 2;
    say(&mock.client, GET);
    mock_fail(&mock.pod[0], -ECONNREFUSED);
    mock_connected(&mock.pod[1]);
    say(&mock.pod[1], OK);
    json_t *line = line_check(200, NULL);
    assert_int_equal(number(line, "retries"), 1);
    assert_int_equal(mock.account->w[0].pod_failures, 1);
    assert_int_equal(mock.account->w[0].retries, 1);
    json_decref(line);
}

static void a_pod_that_does_not_answer_is_a_timeout(void **state) {
    (void)state;
    say(&mock.client, GET);
    mock_connected(&mock.pod[0]);
    mock_wait(61000);
    json_decref(line_check(504, "pod_timeout"));
}

static void a_pod_that_breaks_in_its_answer_leaves_the_status_that_was_sent(void **state) {
    (void)state;
    say(&mock.client, GET);
    mock_connected(&mock.pod[0]);
    mock_say(&mock.pod[0], OK, strlen(OK) - 1);
    mock_turn();
    mock_fail(&mock.pod[0], -ECONNRESET);
    json_decref(line_check(200, "pod_broke"));
}

static void a_client_that_leaves_has_no_status(void **state) {
    (void)state;
    say(&mock.client, GET);
    mock_fail(&mock.client, -ECONNRESET);
    json_decref(line_check(0, "client_gone"));
}

static void a_client_that_leaves_in_the_answer_keeps_its_status(void **state) {
    (void)state;
    say(&mock.client, GET);
    mock_connected(&mock.pod[0]);
    mock_say(&mock.pod[0], OK, strlen(OK) - 1);
    mock_turn();
    mock_fail(&mock.client, -ECONNRESET);
    json_decref(line_check(200, "client_gone"));
}

static void a_module_that_says_no_is_told_from_the_edge(void **state) {
    (void)state;
    mock.verdict = VERDICT_REJECT;
    mock.reject_status = 400;
    say(&mock.client, GET);
    json_decref(line_check(400, "rejected"));
}

static void too_large_and_unsupported_are_words_of_their_own(void **state) {
    (void)state;
    say(&mock.client, "TRACE / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    json_decref(line_check(405, "unsupported"));
}

static void a_connection_that_asks_nothing_has_no_line(void **state) {
    (void)state;
    say(&mock.client, "\r\n");
    mock_say_eof(&mock.client);
    assert_int_equal(mock.lines, 0);
}

static void a_tunnel_is_told_at_its_end(void **state) {
    (void)state;
    say(&mock.client,
        "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    mock_connected(&mock.pod[0]);
    say(&mock.pod[0], "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nrest");
    assert_true(mock.at_end);
    assert_int_equal(mock.account->w[0].answered[0], 1);
    json_t *line = line_check(101, NULL);
    assert_int_equal(number(line, "bytes_out"), mock.client.out_length);
    json_decref(line);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(times_are_those_of_what_happened),
        STORY(what_a_second_pod_made_good_is_a_retry_and_no_error),
        STORY(a_pod_that_does_not_answer_is_a_timeout),
        STORY(a_pod_that_breaks_in_its_answer_leaves_the_status_that_was_sent),
        STORY(a_client_that_leaves_has_no_status),
        STORY(a_client_that_leaves_in_the_answer_keeps_its_status),
        STORY(a_module_that_says_no_is_told_from_the_edge),
        STORY(too_large_and_unsupported_are_words_of_their_own),
        STORY(a_connection_that_asks_nothing_has_no_line),
        STORY(a_tunnel_is_told_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
