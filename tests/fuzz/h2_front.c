/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_front.c - fuzz target: a whole connection of HTTP/2 against modules/http over a core without a kernel.
 *
 *   byte 0: how it is cut; byte 1: what pods do; the rest: frames behind the preface
 *
 * Whatever comes, each pod hears the beginning of exactly one good request, nothing leaks, and the connection ends when it is ended.
 * link: modules/http/http.c modules/http/exchange.c modules/http/record.c modules/http/route.c modules/http/pod_h1.c modules/http/pod_h2.c
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/body.c modules/http/answer.c
 * link: modules/http/head.c modules/http/field.c modules/http/affinity.c modules/http/h2_front.c modules/http/h2_session.c
 * link: modules/http/h2_stream.c modules/http/h2_message.c modules/http/h2_guard.c modules/http/slices.c
 * link: tests/unit/mock_core.c llhttp PkgConfig::NGHTTP2 no-kernel
 */
#include "modules/http/h2_front.h"
#include "tests/unit/mock_core.h"
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth) {
    if (!truth)
        abort();
}

static int pod_head(struct message *m) {
    (void)m;
    return 0;
}
static void pod_body(struct message *m, const uint8_t *at, size_t length) {
    (void)m, (void)at, (void)length;
}
static bool pod_grow(struct head *h, size_t need) {
    (void)h, (void)need;
    return false;
}

/* What a pod's own parser makes of it: never a bad request, never a second one. */
static void pod_check(const struct mock_end *pod) {
    static const struct message_sink sink = {.head_done = pod_head, .body = pod_body};
    static uint8_t area[256 * 1024];
    struct message m = {.head = {.data = area, .room = sizeof area, .grow = pod_grow}};
    size_t used = 0;
    message_init(&m, true, &sink);
    m.trust = true;
    enum step step = message_feed(&m, (const uint8_t *)pod->out, pod->out_length, &used);
    must(step != STEP_BAD || m.refusal == 431); /* what the edge adds may be one field too many */
    must(step != STEP_DONE || used == pod->out_length || m.upgrade);
}

static void pod_act(struct mock_end *pod, unsigned how) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n1\r\nx\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"};
    const char *answer = answers[how % 4];
    if (how & 4)
        mock_fail(pod, -ECONNREFUSED);
    mock_connected(pod);
    mock_turn();
    if (!(how & 8))
        mock_say(pod, answer, strlen(answer));
    if (how & 16)
        mock_say_eof(pod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 1 << 16)
        return 0;
    unsigned step = data[0] ? data[0] * 4u : 1, how = data[1], seen = 0;
    mock_start(&ringress_module);
    mock_connect(NULL);
    mock_say(&mock.client, H2_PREFACE, sizeof H2_PREFACE - 1);
    for (size_t at = 2; at < size && mock.client.stream; at += step) {
        mock_say(&mock.client, data + at, size - at < step ? size - at : step);
        mock_turn();
        for (; seen < mock.pods; seen++)
            if (mock.pod[seen].stream)
                pod_act(&mock.pod[seen], how);
        mock_turn();
    }
    mock_wait(100 * 1000);
    for (unsigned i = 0; i < mock.pods; i++)
        pod_check(&mock.pod[i]);
    mock_say_eof(&mock.client);
    mock_turn();
    must(!mock.conn_open);
    mock_stop();
    return 0;
}
