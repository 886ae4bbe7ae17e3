/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_h2_front.c - a client of HTTP/2 (nghttp2's own) and a pod of HTTP/1.1, over a core without a kernel.
 * link: modules/http/http.c modules/http/exchange.c modules/http/record.c modules/http/route.c modules/http/pod_h1.c modules/http/pod_h2.c
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/body.c modules/http/answer.c
 * link: modules/http/head.c modules/http/field.c modules/http/affinity.c modules/http/h2_front.c modules/http/h2_session.c
 * link: modules/http/h2_stream.c modules/http/h2_message.c modules/http/h2_guard.c modules/http/slices.c
 * link: tests/unit/mock_core.c llhttp PkgConfig::NGHTTP2 no-kernel
 */
#include "modules/http/h2_front.h"
#include "tests/unit/mock_core.h"
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a client ---- */

static struct client {
    nghttp2_session *ng;
    size_t read; /* of mock.client.out */
    char status[8], body[1024], trailer[64];
    size_t body_length;
    uint32_t reset; /* its error + 1 */
    bool ended, goaway;
    const char *upload;
} client;

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user) {
    (void)ng, (void)frame, (void)flags, (void)user;
    if (name_length == 7 && memcmp(name, ":status", 7) == 0)
        snprintf(client.status, sizeof client.status, "%.*s", (int)value_length, value);
    if (name_length == 1 && *name == 't')
        snprintf(client.trailer, sizeof client.trailer, "%.*s", (int)value_length, value);
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *user) {
    (void)ng, (void)flags, (void)id, (void)user;
    assert_true(client.body_length + length < sizeof client.body);
    memcpy(client.body + client.body_length, data, length);
    client.body_length += length;
    client.body[client.body_length] = 0;
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user) {
    (void)ng, (void)user;
    client.ended |= frame->hd.type <= NGHTTP2_HEADERS && frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    client.goaway |= frame->hd.type == NGHTTP2_GOAWAY;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        client.reset = frame->rst_stream.error_code + 1;
    return 0;
}

static ssize_t on_upload(nghttp2_session *ng, int32_t id, uint8_t *out, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user) {
    size_t n = strlen(client.upload);
    (void)ng, (void)id, (void)source, (void)user;
    assert_true(n < length);
    memcpy(out, client.upload, n);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void client_send(void) {
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(client.ng, &data)) > 0)
        if (mock.client.stream)
            mock_say(&mock.client, data, (size_t)n);
    assert_true(n == 0);
    mock_turn();
}

static void client_read(void) {
    size_t length = mock.client.out_length - client.read;
    if (length)
        assert_int_equal(
            nghttp2_session_mem_recv(client.ng, (uint8_t *)mock.client.out + client.read, length),
            length);
    client.read += length;
}

static void client_open(void) {
    nghttp2_session_callbacks *c;
    memset(&client, 0, sizeof client);
    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_client_new(&client.ng, c, NULL);
    nghttp2_session_callbacks_del(c);
    nghttp2_submit_settings(client.ng, 0, NULL, 0);
}

static void client_ask(const char *method, const char *path, const char *upload) {
    nghttp2_nv pairs[] = {
        {(uint8_t *)":method", (uint8_t *)(uintptr_t)method, 7, strlen(method), 0},
        {(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
        {(uint8_t *)":authority", (uint8_t *)"a.example", 10, 9, 0},
        {(uint8_t *)":path", (uint8_t *)(uintptr_t)path, 5, strlen(path), 0}};
    nghttp2_data_provider body = {.read_callback = on_upload};
    client.upload = upload;
    nghttp2_submit_request(client.ng, NULL, pairs, 4, upload ? &body : NULL, NULL);
    client_send();
}

static void pod_answer(const char *text) {
    if (!mock.pods || !mock.pod[mock.pods - 1].stream)
        return;
    struct mock_end *pod = &mock.pod[mock.pods - 1];
    mock_connected(pod);
    mock_turn();
    if (pod->stream)
        mock_say(pod, text, strlen(text));
    mock_turn();
    client_read();
}

static void begin(void) {
    mock_start(&ringress_module);
    mock_connect(NULL);
    client_open();
}

static void end(void) {
    nghttp2_session_del(client.ng);
    mock_stop();
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: u\r\n\r\n"

struct slice_of {
    size_t length;
    uint8_t data[4096];
};

/* ---- stories ---- */

static void a_get_and_an_answer_with_trailers(void **state) {
    (void)state;
    begin();
    client_ask("GET", "/x", NULL);
    assert_non_null(strstr(mock.pod[0].out, "GET /x HTTP/1.1\r\nHost: a.example\r\n"));
    pod_answer(CHUNKED);
    assert_string_equal(client.status, "200");
    assert_string_equal(client.body, "hi");
    assert_string_equal(client.trailer, "u");
    assert_true(client.ended && !client.reset && mock.pod[0].kept);
    end();
}

static void a_body_waits_until_the_pod_is_there(void **state) {
    (void)state;
    begin();
    client_ask("POST", "/", "hello");
    assert_null(strstr(mock.pod[0].out, "hello"));
    pod_answer(CHUNKED);
    assert_non_null(strstr(mock.pod[0].out, "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
    assert_true(client.ended);
    end();
}

static void a_pod_that_breaks_off_is_a_reset(void **state) {
    (void)state;
    begin();
    client_ask("GET", "/", NULL);
    pod_answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
    mock_say_eof(&mock.pod[0]);
    mock_turn();
    client_read();
    assert_true(!client.ended && client.reset == NGHTTP2_INTERNAL_ERROR + 1);
    end();
}

static void a_client_without_a_window_pauses_the_pod(void **state) {
    static char big[256 * 1024];
    (void)state;
    begin();
    client_ask("GET", "/", NULL);
    pod_answer("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    mock_say(&mock.pod[0], big, sizeof big);
    mock_turn();
    assert_true(mock.pod[0].paused);
    assert_in_range(mock.client.out_length, 65535, 65535 + 2000);
    end();
}

static void a_drain_waits_for_what_runs(void **state) {
    (void)state;
    begin();
    client_ask("GET", "/", NULL);
    mock_drain();
    mock_turn();
    client_read();
    assert_true(client.goaway && mock.conn_open);
    pod_answer(CHUNKED);
    assert_true(client.ended);
    mock_turn();
    mock_wait(LINGER_MS + 1000);
    assert_false(mock.conn_open);
    end();
}

/* Three requests in one slice. */
static void asks_at_once(struct slice_of *all, const char *host) {
    nghttp2_nv pairs[] = {
        {(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0},
        {(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
        {(uint8_t *)":authority", (uint8_t *)(uintptr_t)host, 10, strlen(host), 0},
        {(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0}};
    const uint8_t *data;
    ssize_t n;
    all->length = 0;
    for (int i = 0; i < 3; i++)
        nghttp2_submit_request(client.ng, NULL, pairs, 4, NULL, NULL);
    while ((n = nghttp2_session_mem_send(client.ng, &data)) > 0) {
        assert_true(all->length + (size_t)n <= sizeof all->data);
        memcpy(all->data + all->length, data, (size_t)n);
        all->length += (size_t)n;
    }
}

static void where_others_wait_each_stream_waits_for_a_turn(void **state) {
    struct slice_of all;
    (void)state;
    begin();
    mock.crowded = true;
    asks_at_once(&all, "a.example");
    mock_say(&mock.client, all.data, all.length);
    assert_int_equal(mock.pods, 1);
    asks_at_once(&all, "a.example");
    mock_say(&mock.client, all.data, all.length); /* behind the others */
    for (unsigned i = 2; i <= 6; i++) {
        assert_int_equal(mock.pods, i - 1);
        assert_true(mock_rested());
        assert_int_equal(mock.pods, i);
    }
    assert_false(mock_rested());
    asks_at_once(&all, "a.example");
    mock_say(&mock.client, all.data, all.length);
    mock_fail(&mock.client, -ECONNRESET);
    assert_false(mock_rested()); /* and what is held goes with it */
    end();
}

static void who_outstays_hears_so_and_is_not_listened_to(void **state) {
    struct slice_of all;
    (void)state;
    begin();
    mock.outstays = true;
    asks_at_once(&all, "nobody.example");
    mock_say(&mock.client, all.data, all.length);
    mock_turn();
    client_read();
    assert_true(client.goaway && mock.conn_open);
    mock.outstays = false;
    mock_say(&mock.client, all.data,
             all.length); /* read, so that no reset overtakes what it is told; not heard */
    mock_turn();
    assert_true(mock.conn_open && !mock.pods);
    mock_wait(CALM_LINGER_MS + 50);
    assert_false(mock.conn_open);
    end();
}

static int64_t charged(void) {
    return mock.account->w[0].buffers;
}

static void every_buffer_that_waits_is_its_tenants(void **state) {
    (void)state;
    begin();
    client_ask("POST", "/", "hello");
    assert_int_equal(charged(), 3); /* the body's, and two of the exchange */
    pod_answer(CHUNKED);
    assert_true(client.ended);
    assert_int_equal(charged(), 0);
    client_ask("POST", "/", "hello");
    assert_int_equal(charged(), 3);
    mock_fail(&mock.client, -ECONNRESET);
    assert_int_equal(charged(), 0);
    end();
}

static void a_queue_of_who_holds_much_is_full_with_little_and_gives_way(void **state) {
    static char big[64 * 1024];
    (void)state;
    begin();
    mock.glut = 2 * BUF_SIZE;
    client_ask("GET", "/", NULL);
    pod_answer("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    mock_say(&mock.pod[0], big, BUF_SIZE);
    assert_false(mock.pod[0].paused);
    mock_say(&mock.pod[0], big, BUF_SIZE);
    assert_true(mock.pod[0].paused);
    mock_turn(); /* the window takes it */
    assert_false(mock.pod[0].paused || mock_yield());
    mock_say(&mock.pod[0], big, sizeof big);
    mock_turn();
    mock_say(&mock.pod[0], big, 2 * BUF_SIZE);
    mock_turn();
    assert_true(mock.pod[0].paused && charged() > 2);
    assert_true(mock_yield());
    mock_turn();
    static const char reset[] = "\0\0\4\3\0\0\0\0\1\0\0\0\x0b"; /* ENHANCE_YOUR_CALM */
    assert_non_null(memmem(mock.client.out, mock.client.out_length, reset, sizeof reset - 1));
    assert_int_equal(charged(), 0);
    assert_true(mock.pod[0].reset && mock.conn_open);
    end();
}

/* Its window is granted already: only what is not read of the connection does not come. */
static void what_comes_for_who_holds_much_and_waits_stops_its_connection(void **state) {
    (void)state;
    begin();
    mock.glut = strlen("hello");
    client_ask("POST", "/", "hello");
    assert_true(mock.client.paused);
    pod_answer(CHUNKED);
    assert_true(client.ended && !mock.client.paused);
    end();
}

static void who_holds_all_is_told_to_come_later(void **state) {
    (void)state;
    begin();
    mock.holds_all = true;
    client_ask("GET", "/", NULL);
    client_read();
    assert_string_equal(client.status, "503");
    assert_int_equal(mock.pods, 0);
    mock.holds_all = false;
    client_ask("GET", "/", NULL);
    pod_answer(CHUNKED);
    assert_string_equal(client.status, "200");
    end();
}

static ssize_t on_open(nghttp2_session *ng, int32_t id, uint8_t *out, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user) {
    (void)ng, (void)id, (void)out, (void)length, (void)flags, (void)source, (void)user;
    return NGHTTP2_ERR_DEFERRED;
}

static void client_joins(void) {
    static const char *const pair[][2] = {{":method", "CONNECT"}, {":protocol", "websocket"},
                                          {":scheme", "http"},    {":authority", "a.example"},
                                          {":path", "/"},         {"sec-websocket-version", "13"}};
    nghttp2_nv pairs[6];
    nghttp2_data_provider open = {.read_callback = on_open};
    for (int i = 0; i < 6; i++)
        pairs[i] = (nghttp2_nv){(uint8_t *)(uintptr_t)pair[i][0], (uint8_t *)(uintptr_t)pair[i][1],
                                strlen(pair[i][0]), strlen(pair[i][1]), 0};
    nghttp2_submit_request(client.ng, NULL, pairs, 6, &open, NULL);
    client_send();
    pod_answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
               "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n");
    assert_string_equal(client.status, "200");
}

static unsigned pods_open(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < mock.pods; i++)
        n += mock.pod[i].stream != NULL;
    return n;
}

/* A worker has no time for a hundred at once. */
static void what_is_taken_back_within_a_connection_ends_a_few_at_a_time(void **state) {
    (void)state;
    begin();
    for (int i = 0; i < 6; i++)
        client_joins();
    assert_int_equal(pods_open(), 6);
    assert_true(mock_withdraw());
    assert_int_equal(pods_open(), 2);
    assert_false(mock_withdraw());
    assert_int_equal(pods_open(), 0);
    mock_turn();
    assert_true(mock.conn_open);
    end();
}

/* One field of 4,000 bytes into HPACK's table, then its name of one byte, `times`. */
static size_t bomb(uint8_t *out, unsigned stream, unsigned times) {
    static const char start[] = "\x82\x84\x86\x01\x09"
                                "a.example"
                                "\x40\x01x\x7f\xa1\x1e"; /* 127 + 33 + 30 * 128 */
    size_t used = 9, value = 4000;
    memcpy(out + used, start, sizeof start - 1);
    used += sizeof start - 1;
    memset(out + used, 'y', value);
    memset(out + used + value, 0x80 | 62, times);
    used += value + times;
    memcpy(out,
           (uint8_t[]){0, (uint8_t)((used - 9) >> 8), (uint8_t)(used - 9), 1, 5, 0, 0, 0,
                       (uint8_t)stream},
           9);
    return used;
}

static void a_block_that_expands_without_end_is_read_no_further(void **state) {
    uint8_t out[8192];
    (void)state;
    begin();
    client_send();
    mock_say(&mock.client, out, bomb(out, 1, 12)); /* too much for a head, which is said */
    mock_turn();
    assert_true(mock.conn_open && !mock.pods);
    assert_null(memmem(mock.client.out, mock.client.out_length, "\0\0\0\x0b", 4));
    mock_say(&mock.client, out, bomb(out, 3, 40));
    mock_turn();
    mock_wait(CALM_LINGER_MS + 50);
    assert_false(mock.conn_open);
    assert_non_null(memmem(mock.client.out, mock.client.out_length, "\0\0\0\x0b", 4));
    end();
}

/* Each allocation fails once: nothing leaks, nobody hangs, and what was not answered in full is not called whole. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    for (int n = 1; n < 40; n++) {
        begin();
        mock.fail_in = n;
        client_ask("POST", "/", "hello");
        pod_answer(CHUNKED);
        if (mock.conn_open)
            client_read();
        if (client.ended && strcmp(client.status, "200") == 0)
            assert_string_equal(client.body, "hi");
        mock_wait(100 * 1000);
        end();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_and_an_answer_with_trailers),
        cmocka_unit_test(a_body_waits_until_the_pod_is_there),
        cmocka_unit_test(a_pod_that_breaks_off_is_a_reset),
        cmocka_unit_test(a_client_without_a_window_pauses_the_pod),
        cmocka_unit_test(a_drain_waits_for_what_runs),
        cmocka_unit_test(where_others_wait_each_stream_waits_for_a_turn),
        cmocka_unit_test(who_outstays_hears_so_and_is_not_listened_to),
        cmocka_unit_test(every_buffer_that_waits_is_its_tenants),
        cmocka_unit_test(a_queue_of_who_holds_much_is_full_with_little_and_gives_way),
        cmocka_unit_test(what_comes_for_who_holds_much_and_waits_stops_its_connection),
        cmocka_unit_test(who_holds_all_is_told_to_come_later),
        cmocka_unit_test(a_block_that_expands_without_end_is_read_no_further),
        cmocka_unit_test(what_is_taken_back_within_a_connection_ends_a_few_at_a_time),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
