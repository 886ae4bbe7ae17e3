/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod_h2.c - fuzz target: whatever a pod of HTTP/2 says, over a core without a kernel.
 *
 *   byte 0: how it is cut; byte 1: who asks, for what, and how it ends; byte 2: which allocation fails; the rest: what each pod says
 *
 * The pod hears requests that were asked, the client answers: whole ones, or such as are seen to break off. Nothing leaks, and the
 * client's connection ends when it is ended.
 * link: modules/http/http.c modules/http/exchange.c modules/http/record.c modules/http/route.c modules/http/pod_h1.c modules/http/pod_h2.c
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/body.c modules/http/answer.c
 * link: modules/http/head.c modules/http/field.c modules/http/affinity.c modules/http/h2_front.c modules/http/h2_session.c
 * link: modules/http/h2_stream.c modules/http/h2_message.c modules/http/h2_guard.c modules/http/slices.c
 * link: tests/unit/mock_core.c llhttp PkgConfig::NGHTTP2 no-kernel
 */
#include "modules/http/h2_session.h"
#include "tests/unit/mock_core.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS = 3 };
enum { /* bits of byte 1 */
       HOW_H1 = 1,
       HOW_HEAD = 2,
       HOW_POST = 4,
       HOW_MANY = 8,
       HOW_EOF = 16,    /* the pod ends then */
       HOW_LEAVES = 32, /* the client does, while there is more to come */
       HOW_STALLS = 64, /* the client reads nothing for a while */
};

static void must(bool truth) {
    if (!truth)
        abort();
}

static const char *method_of(unsigned how) {
    return how & HOW_HEAD ? "HEAD" : how & HOW_POST ? "POST" : "GET";
}

static bool has_body(unsigned how) {
    return method_of(how)[0] == 'P';
}

/* ---- the client ---- */

static int never_invalid(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user) {
    (void)ng, (void)frame, (void)error, (void)user;
    abort();
}

/* One that speaks HTTP/2 is nghttp2's own. */
static nghttp2_session *client_new(void) {
    nghttp2_session_callbacks *c;
    nghttp2_session *ng;
    must(!nghttp2_session_callbacks_new(&c));
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, never_invalid);
    must(!nghttp2_session_client_new(&ng, c, NULL));
    nghttp2_session_callbacks_del(c);
    must(!nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, NULL, 0));
    return ng;
}

static struct client {
    nghttp2_session *ng; /* NULL: it speaks HTTP/1.1 */
    size_t heard;        /* of mock.client.out */
} client;

static ssize_t upload(nghttp2_session *ng, int32_t id, uint8_t *out, size_t length, uint32_t *flags,
                      nghttp2_data_source *source, void *user) {
    (void)ng, (void)id, (void)length, (void)source, (void)user;
    memcpy(out, "hello", 5);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 5;
}

static void client_ask(unsigned how) {
    static const nghttp2_data_provider body = {.read_callback = upload};
    const char *method = method_of(how);
    if (client.ng) {
        nghttp2_nv pairs[] = {
            {(uint8_t *)":method", (uint8_t *)(uintptr_t)method, 7, strlen(method), 0},
            {(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
            {(uint8_t *)":authority", (uint8_t *)"a.example", 10, 9, 0},
            {(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0}};
        must(nghttp2_submit_request(client.ng, NULL, pairs, 4, has_body(how) ? &body : NULL, NULL) >
             0);
        return;
    }
    char text[128];
    int n = snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a.example\r\n%s", method,
                     has_body(how) ? "Content-Length: 5\r\n\r\nhello" : "\r\n");
    mock_say(&mock.client, text, (size_t)n);
}

/* A turn, and what the client makes of what it brought. */
static void client_turn(void) {
    const uint8_t *data;
    ssize_t n;
    mock_turn();
    if (!client.ng)
        return;
    n = (ssize_t)(mock.client.out_length - client.heard);
    must(nghttp2_session_mem_recv(client.ng, (uint8_t *)mock.client.out + client.heard,
                                  (size_t)n) == n);
    client.heard += (size_t)n;
    while ((n = nghttp2_session_mem_send(client.ng, &data)) > 0)
        mock_say(&mock.client, data, (size_t)n);
    must(n == 0);
    mock_turn();
}

static int answer_head(struct message *m) {
    (void)m;
    return 0;
}
static void answer_body(struct message *m, const uint8_t *at, size_t length) {
    (void)m, (void)at, (void)length;
}
static bool answer_grow(struct head *h, size_t need) {
    (void)h, (void)need;
    return false;
}

/* What a client of HTTP/1.1 makes of it: answers, and half of one only at the end of a connection that is cut. */
static void answers_check(unsigned how) {
    static const struct message_sink sink = {.head_done = answer_head, .body = answer_body};
    static uint8_t area[256 * 1024];
    unsigned answers = 0;
    for (size_t at = 0, used; at < mock.client.out_length; at += used) {
        struct message m = {.head = {.data = area, .room = sizeof area, .grow = answer_grow}};
        message_init(&m, false, &sink);
        m.method = how & HOW_HEAD ? HTTP_HEAD : HTTP_GET;
        enum step step = message_feed(&m, (const uint8_t *)mock.client.out + at,
                                      mock.client.out_length - at, &used);
        must(step == STEP_DONE || (step == STEP_MORE && (mock.client.reset || mock.client.stream)));
        answers += step == STEP_DONE && m.status >= 200;
    }
    must(answers <= REQUESTS);
}

static void client_begin(unsigned how) {
    client = (struct client){.ng = how & HOW_H1 ? NULL : client_new()};
    mock_connect(NULL);
    mock.client.blocked = how & HOW_STALLS;
    for (unsigned i = 0; i < (how & HOW_MANY ? REQUESTS : 1); i++)
        client_ask(how);
    client_turn();
}

static void client_end(unsigned how) {
    if (mock.client.blocked)
        mock_unblock(&mock.client);
    for (unsigned i = 0; i < REQUESTS; i++) { /* those behind are asked when one is over */
        client_turn();
        mock_wait(100 * 1000);
    }
    client_turn();
    if (!client.ng)
        answers_check(how);
    nghttp2_session_del(client.ng);
    mock_say_eof(&mock.client);
    mock_turn();
    must(!mock.conn_open);
}

/* ---- pods ---- */

static void pod_act(struct mock_end *pod, unsigned how, const uint8_t *data, size_t size,
                    unsigned step) {
    mock_connected(pod);
    client_turn();
    for (size_t at = 0; at < size && pod->stream; at += step) {
        mock_say(pod, data + at, size - at < step ? size - at : step);
        client_turn();
        if (how & HOW_LEAVES && at >= size / 2)
            mock_say_eof(&mock.client);
    }
    if (how & HOW_EOF)
        mock_say_eof(pod);
    client_turn();
}

/* One header block: a request that was asked. */
static void request_check(nghttp2_hd_inflater *inflater, const uint8_t *at, size_t length,
                          unsigned how) {
    static const char *const pseudo[] = {":method", ":scheme", ":authority", ":path"};
    const char *wanted[] = {method_of(how), "http", "a.example", "/"};
    unsigned seen = 0;
    for (int flags = 0; !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, length, 1);
        must(n >= 0 && (n > 0 || flags));
        at += n;
        length -= (size_t)n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) || nv.name[0] != ':')
            continue;
        must(seen < 4 && !strcmp((char *)nv.name, pseudo[seen]));
        must(!strcmp((char *)nv.value, wanted[seen++]));
    }
    nghttp2_hd_inflate_end_headers(inflater);
    must(seen == 4 && !length);
}

/* Frames of a client: the preface, requests on new streams, each with the body it has. */
static void pod_check(const struct mock_end *pod, unsigned how) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const uint8_t *at = (const uint8_t *)pod->out, *end = at + pod->out_length;
    size_t body[2 * REQUESTS] = {0}, length;
    nghttp2_hd_inflater *inflater;
    uint32_t last = 0;
    must(!nghttp2_hd_inflate_new(&inflater));
    must(!pod->out_length || !memcmp(at, preface, sizeof preface - 1));
    for (at += pod->out_length ? sizeof preface - 1 : 0; end - at >= 9; at += 9 + length) {
        uint32_t id = (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
        bool ends = at[4] & NGHTTP2_FLAG_END_STREAM;
        length = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (length > (size_t)(end - at) - 9) /* memory was out */
            break;
        if (at[3] == NGHTTP2_HEADERS) {
            must(at[4] == (NGHTTP2_FLAG_END_HEADERS | (ends ? NGHTTP2_FLAG_END_STREAM : 0)));
            must(id % 2 && id > last && id < 4 * REQUESTS && ends == !has_body(how));
            request_check(inflater, at + 9, length, how);
            last = id;
        } else if (at[3] == NGHTTP2_DATA) {
            must(has_body(how) && id % 2 && id <= last);
            body[id / 2] += length;
            must(body[id / 2] <= 5 && (!ends || body[id / 2] == 5));
        } else {
            must(at[3] == NGHTTP2_SETTINGS || at[3] == NGHTTP2_RST_STREAM ||
                 at[3] == NGHTTP2_PING || at[3] == NGHTTP2_GOAWAY ||
                 at[3] == NGHTTP2_WINDOW_UPDATE);
        }
    }
    nghttp2_hd_inflate_del(inflater);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3 || size > 1 << 14)
        return 0;
    unsigned step = data[0] ? data[0] * 4u : 1, how = data[1];
    mock_start(&ringress_module);
    mock.pods_h2 = true;
    mock.fail_in = data[2];
    client_begin(how);
    for (unsigned i = 0; i < mock.pods; i++) /* what is asked again makes new ones */
        if (mock.pod[i].stream)
            pod_act(&mock.pod[i], how, data + 3, size - 3, step);
    client_end(how);
    for (unsigned i = 0; i < mock.pods; i++)
        pod_check(&mock.pod[i], how);
    mock_stop();
    return 0;
}
