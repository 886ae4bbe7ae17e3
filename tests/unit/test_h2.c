/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_h2.c - header blocks as messages and back, frames and what they cost: the pure parts of HTTP/2.
 * link: modules/http/h2_message.c modules/http/h2_guard.c modules/http/message.c modules/http/request.c
 * link: modules/http/response.c modules/http/head.c modules/http/field.c llhttp PkgConfig::NGHTTP2
 */
#include "core/account.h"
#include "modules/http/h2_guard.h"
#include "modules/http/h2_message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- header blocks ---- */

struct told {
    struct message m; /* first */
    uint8_t area[64 * 1024];
    int heads;
};

static int told_head(struct message *m) {
    ((struct told *)m)->heads++;
    return 0;
}
static void told_body(struct message *m, const uint8_t *at, size_t length) {
    (void)m, (void)at, (void)length;
}
static bool no_growth(struct head *h, size_t need) {
    (void)h, (void)need;
    return false;
}
static const struct message_sink sink = {.head_done = told_head, .body = told_body};

static int read_block(struct told *t, bool request, bool ended, const char *const *pairs) {
    struct block b;
    memset(&t->m, 0, sizeof t->m);
    t->m.head = (struct head){.data = t->area, .room = sizeof t->area, .grow = no_growth};
    t->heads = 0;
    message_init(&t->m, request, &sink);
    t->m.method = HTTP_GET;
    block_begin(&b);
    for (; *pairs; pairs += 2)
        block_field(&b, &t->m, (const uint8_t *)pairs[0], strlen(pairs[0]),
                    (const uint8_t *)pairs[1], strlen(pairs[1]));
    return request ? block_request_done(&b, &t->m, ended, "AAAAAAAAAAAAAAAAAAAAAA==")
                   : block_response_done(&b, &t->m, ended);
}

static const char *head_text(struct told *t) {
    t->area[t->m.head.used] = 0;
    return (const char *)t->area;
}

#define PSEUDO ":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct told told;

static void a_block_becomes_the_head_http1_would_have(void **state) {
    (void)state;
    assert_int_equal(read_block(&told, true, true,
                                PAIRS(":path", "/x/../%7e?q", ":scheme", "http", ":method", "POST",
                                      ":authority", "A.example:80", "cookie", "a=1", "x-b", "c",
                                      "cookie", "d=2", "te", "trailers", "host", "a.example:80")),
                     0);
    assert_string_equal(
        head_text(&told),
        "POST /~?q HTTP/1.1\r\nHost: A.example:80\r\ncookie: a=1; d=2\r\nx-b: c\r\n");
    assert_true(told.m.trailers_wanted && told.m.complete && told.heads == 1);
    assert_int_equal(told.m.framing, FRAMING_NONE);
}

static void framing_follows_length_and_end(void **state) {
    (void)state;
    assert_int_equal(read_block(&told, true, false, PAIRS(PSEUDO, "content-length", "12")), 0);
    assert_true(told.m.framing == FRAMING_LENGTH && told.m.length == 12);
    assert_int_equal(read_block(&told, true, false, PAIRS(PSEUDO)), 0);
    assert_int_equal(told.m.framing, FRAMING_CHUNKED);
    assert_int_equal(read_block(&told, true, true, PAIRS(PSEUDO, "content-length", "12")), 400);
    assert_int_equal(told.heads, 0);
}

static void a_websocket_becomes_an_upgrade(void **state) {
    (void)state;
    assert_int_equal(read_block(&told, true, false,
                                PAIRS(":method", "CONNECT", ":protocol", "websocket", ":scheme",
                                      "https", ":authority", "a.example", ":path", "/chat",
                                      "sec-websocket-key", "theirs")),
                     0);
    assert_string_equal(head_text(&told),
                        "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    assert_true(told.m.upgrade);
}

static void what_http1_could_not_carry_is_refused(void **state) {
    static const char *const bad[][2] = {{"X", "a"},
                                         {"x\r\ny", "a"},
                                         {"x:y", "a"},
                                         {"", "a"},
                                         {"x", "a\r\nb"},
                                         {"x", "a\rb"},
                                         {"x", " a"},
                                         {"x", "a\t"},
                                         {"x", "a\x7f"},
                                         {"x", "a\x01"},
                                         {"connection", "x"},
                                         {"transfer-encoding", "chunked"},
                                         {"upgrade", "x"},
                                         {"keep-alive", "5"},
                                         {"te", "gzip"},
                                         {":x", "y"},
                                         {":status", "200"},
                                         {"content-length", "+1"},
                                         {"host", "other"},
                                         {"content_length", "1"},
                                         {"content-length", "99999999999999999999"}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_block(&told, true, false, PAIRS(PSEUDO, bad[i][0], bad[i][1])), 400);
        assert_int_equal(told.heads, 0);
    }
    assert_int_equal(read_block(&told, true, true, PAIRS(":method", "CONNECT", ":authority", "a")),
                     405);
    assert_int_equal(read_block(&told, true, true, PAIRS("x", "y", PSEUDO)), 400);
}

static void too_much_is_431_before_it_is_kept(void **state) {
    static char value[HEAD_MAX];
    (void)state;
    memset(value, 'a', sizeof value - 1);
    assert_int_equal(read_block(&told, true, true, PAIRS(PSEUDO, "x", value)), 431);
    assert_true(told.m.head.used < 200);
}

static void a_pods_block_is_scrutinised_too(void **state) {
    (void)state;
    assert_int_equal(read_block(&told, false, false, PAIRS(":status", "200", "a", "b")), 0);
    assert_string_equal(head_text(&told), "HTTP/1.1 200 \r\na: b\r\n");
    assert_int_equal(told.m.framing, FRAMING_CHUNKED);
    assert_int_equal(read_block(&told, false, true, PAIRS(":status", "200", "content-length", "1")),
                     502);
    assert_int_equal(read_block(&told, false, true, PAIRS(":status", "101")), 502);
    assert_int_equal(read_block(&told, false, true, PAIRS(":status", "103")), 502);
    assert_int_equal(read_block(&told, false, true, PAIRS("a", "b")), 502);
    assert_int_equal(read_block(&told, false, true, PAIRS(":status", "200", "connection", "close")),
                     502);
}

static void a_head_becomes_pairs(void **state) {
    char text[] =
        "GET /x?y HTTP/1.1\r\nHost: a.example\r\nX-A: b\r\nConnection: TE\r\nTE: trailers\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    struct head h = {.data = (uint8_t *)text, .used = sizeof text - 1, .room = sizeof text};
    static const char *const want[] = {":method",    "GET",       ":scheme", "https",
                                       ":authority", "a.example", ":path",   "/x?y",
                                       "x-a",        "b",         "te",      "trailers"};
    nghttp2_nv pairs[PAIRS_MAX];
    (void)state;
    assert_int_equal(head_to_request(&h, 0, h.used, true, pairs), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(pairs[i].namelen, strlen(want[2 * i]));
        assert_memory_equal(pairs[i].name, want[2 * i], pairs[i].namelen);
        assert_int_equal(pairs[i].valuelen, strlen(want[2 * i + 1]));
        assert_memory_equal(pairs[i].value, want[2 * i + 1], pairs[i].valuelen);
    }
}

/* ---- frames ---- */

static bool nothing_is_open(void *user, int32_t id) {
    return user && *(int32_t *)user == id;
}

static size_t frame_put(uint8_t *out, uint32_t length, uint8_t type, uint8_t flags, uint32_t id) {
    uint8_t head[9] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,    type,       flags,
        (uint8_t)(id >> 24),     (uint8_t)(id >> 16),    (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(out, head, 9);
    memset(out + 9, 0, length);
    return 9 + length;
}

static enum h2_verdict feed(struct h2_guard *g, const uint8_t *data, size_t length, size_t step,
                            int64_t now, int32_t *open) {
    enum h2_verdict verdict = H2_GOOD;
    for (size_t at = 0; at < length && verdict == H2_GOOD;) {
        size_t n = length - at < step ? length - at : step;
        size_t used = guard_next(g, data + at, n, now, nothing_is_open, open, &verdict);
        assert_true(used > 0 && used <= n);
        at += used;
    }
    return verdict;
}

static void start(struct h2_guard *g) {
    guard_init(g, 0, true);
    assert_int_equal(feed(g, (const uint8_t *)NGHTTP2_CLIENT_MAGIC, 24, 24, 0, NULL), H2_GOOD);
}

static void streams_only_rise_in_any_fragmentation(void **state) {
    uint8_t data[256];
    int32_t open = 5;
    (void)state;
    for (size_t step = 1; step < 30; step++) {
        struct h2_guard g;
        size_t n = frame_put(data, 3, NGHTTP2_HEADERS, 5, 5);
        n += frame_put(data + n, 4, NGHTTP2_WINDOW_UPDATE, 0, 5);
        n += frame_put(data + n, 0, NGHTTP2_HEADERS, 5, 7);
        start(&g);
        assert_int_equal(feed(&g, data, n, step, 0, NULL), H2_GOOD);
        n = frame_put(data, 3, NGHTTP2_HEADERS, 5, 5);
        assert_int_equal(feed(&g, data, n, step, 0, &open), H2_GOOD); /* its trailers */
        assert_int_equal(feed(&g, data, n, step, 0, NULL), H2_BROKEN);
        start(&g);
        n = frame_put(data, 3, NGHTTP2_HEADERS, 5, 2);
        assert_int_equal(feed(&g, data, n, step, 0, NULL), H2_BROKEN);
    }
}

static void a_block_is_one_piece_and_has_an_end(void **state) {
    static uint8_t data[64 * 1024];
    struct h2_guard g;
    (void)state;
    start(&g);
    size_t n = frame_put(data, 3, NGHTTP2_HEADERS, 0, 1);
    n += frame_put(data + n, 8, NGHTTP2_PING, 0, 0);
    assert_int_equal(feed(&g, data, n, n, 0, NULL), H2_BROKEN);
    start(&g);
    n = frame_put(data, 3, NGHTTP2_HEADERS, 0, 1);
    for (int i = 0; i < 20; i++)
        n += frame_put(data + n, 0, NGHTTP2_CONTINUATION, 0, 1);
    assert_int_equal(feed(&g, data, n, n, 0, NULL), H2_CALM);
    start(&g);
    n = frame_put(data, 16384, NGHTTP2_HEADERS, 0, 1);
    n += frame_put(data + n, 16384, NGHTTP2_CONTINUATION, 0, 1);
    assert_int_equal(feed(&g, data, n, n, 0, NULL), H2_GOOD);
    n = frame_put(data, 16384, NGHTTP2_CONTINUATION, 4, 1);
    assert_int_equal(feed(&g, data, n, n, 0, NULL), H2_CALM);
}

/* How many of a frame a second, from a full budget, until it is over. */
static int until_calm(uint8_t type, uint32_t length, int a_second) {
    uint8_t data[64];
    struct h2_guard g;
    size_t n = frame_put(data, length, type, 0, 1);
    start(&g);
    for (int i = 0; i < 100000; i++)
        if (feed(&g, data, n, n, (int64_t)i * 1000 / a_second, NULL) == H2_CALM)
            return i;
    return 0;
}

static void floods_end_and_what_is_ordinary_does_not(void **state) {
    (void)state;
    assert_in_range(until_calm(NGHTTP2_PING, 8, 1000000), 1000, 5000);
    assert_in_range(until_calm(NGHTTP2_SETTINGS, 0, 1000000), 100, 1000);
    assert_in_range(until_calm(NGHTTP2_DATA, 0, 1000000), 500, 2000);
    assert_in_range(until_calm(NGHTTP2_WINDOW_UPDATE, 4, 1000000), 1000, 5000);
    assert_in_range(until_calm(0xbb, 1, 1000000), 1000, 10000);
    assert_int_equal(until_calm(NGHTTP2_PING, 8, 40), 0);
    assert_int_equal(until_calm(NGHTTP2_SETTINGS, 0, 9), 0);
}

static void a_budget_never_falls_without_end_nor_rises_above_its_most(void **state) {
    struct h2_budget b;
    (void)state;
    budget_init(&b, 0);
    for (int i = 0; i < 1000; i++)
        budget_debit(&b, 0, UINT32_MAX);
    assert_int_equal(b.left, -1);
    assert_true(budget_debit(&b, 1000, H2_REFILL - 1));
    budget_earn(&b, UINT32_MAX);
    assert_int_equal(b.left, H2_BUDGET);
    assert_true(budget_debit(&b, INT32_MAX, H2_BUDGET));
    assert_false(budget_debit(&b, INT32_MAX, 1));
}

static void who_asks_and_reads_the_answers_never_gets_poorer(void **state) {
    struct h2_budget b;
    (void)state;
    budget_init(&b, 0);
    for (int i = 0; i < 1000000; i++) {
        unsigned cost = COST_STREAM + 1;
        assert_true(budget_debit(&b, 0, cost));
        assert_true(budget_debit(&b, 0, COST_PING));
        assert_true(budget_debit(&b, 0, COST_WINDOW));
        budget_earn(&b, cost + COST_WHOLE);
    }
}

static void waste_is_what_nobody_got_an_answer_for(void **state) {
    struct h2_budget b;
    (void)state;
    budget_init(&b, 0);
    for (int i = 0; i < 10000; i++) { /* asked and answered, with a PING and windows */
        assert_true(budget_debit(&b, 0, COST_STREAM));
        budget_hold(&b, COST_STREAM);
        assert_true(budget_debit(&b, 0, COST_PING));
        assert_true(budget_debit(&b, 0, COST_WINDOW));
        budget_return(&b, COST_STREAM);
        budget_earn(&b, COST_WHOLE);
        assert_int_equal(budget_tell(&b, H2_TELL), 0);
    }
    assert_int_equal(b.waste, 0);
    unsigned told_of = 0;
    for (int i = 0; i < 100; i++) { /* asked and reset */
        assert_true(budget_debit(&b, 0, COST_STREAM));
        budget_hold(&b, COST_STREAM);
        assert_true(budget_debit(&b, 0, COST_RESET));
        budget_lose(&b, COST_STREAM);
        told_of += budget_tell(&b, H2_TELL);
    }
    assert_int_equal(b.waste, 100 * (COST_STREAM + COST_RESET));
    assert_in_range(told_of, (unsigned)b.waste - H2_TELL, (unsigned)b.waste);
    told_of += budget_tell(&b, 1);
    assert_int_equal(told_of, b.waste);
}

static void waste_fades_more_slowly_than_the_budget_refills(void **state) {
    struct h2_budget b;
    (void)state;
    budget_init(&b, 0);
    for (int64_t ms = 0; ms < 100000; ms += 10) /* just what refills: 200 units a second */
        assert_true(budget_debit(&b, ms, 2));
    assert_in_range(b.left, H2_BUDGET - 10, H2_BUDGET);
    assert_in_range(b.waste, 18000, 20000);
    assert_true(budget_debit(&b, 100000000, 0));
    assert_int_equal(b.waste, 0);
    assert_int_equal(budget_tell(&b, 1), 0);
}

static void a_tenants_budget_holds_over_all_its_connections_and_refills(void **state) {
    static _Alignas(64) char room[sizeof(struct account) + 2 * sizeof(struct account_worker)];
    struct account *account = (struct account *)room;
    struct account_worker *w = account->w;
    int good = 0;
    (void)state;
    for (int i = 0; i < 3000; i++)
        good += account_waste(account, &w[i % 2], 1000, 100);
    assert_int_equal(good, ACCOUNT_WASTE_MOST / 100);
    assert_int_equal(w[0].wasted + w[1].wasted, 300000);
    assert_false(account_waste(account, w, 1000 + 49, 100));
    assert_true(account_waste(account, w, 1000 + 50, 100));
    assert_false(account_waste(account, w, 1000 + 50, 100));
    assert_true(account_waste(account, w, 100000, ACCOUNT_WASTE_MOST));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_becomes_the_head_http1_would_have),
        cmocka_unit_test(framing_follows_length_and_end),
        cmocka_unit_test(a_websocket_becomes_an_upgrade),
        cmocka_unit_test(what_http1_could_not_carry_is_refused),
        cmocka_unit_test(too_much_is_431_before_it_is_kept),
        cmocka_unit_test(a_pods_block_is_scrutinised_too),
        cmocka_unit_test(a_head_becomes_pairs),
        cmocka_unit_test(streams_only_rise_in_any_fragmentation),
        cmocka_unit_test(a_block_is_one_piece_and_has_an_end),
        cmocka_unit_test(floods_end_and_what_is_ordinary_does_not),
        cmocka_unit_test(a_budget_never_falls_without_end_nor_rises_above_its_most),
        cmocka_unit_test(waste_is_what_nobody_got_an_answer_for),
        cmocka_unit_test(waste_fades_more_slowly_than_the_budget_refills),
        cmocka_unit_test(a_tenants_budget_holds_over_all_its_connections_and_refills),
        cmocka_unit_test(who_asks_and_reads_the_answers_never_gets_poorer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
