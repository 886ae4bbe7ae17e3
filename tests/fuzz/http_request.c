/* SPDX-License-Identifier: GPL-3.0-or-later
 * http_request.c - fuzz target: one request in, one request out, however it is cut.
 *
 *   whole == byte by byte == in pieces;  what is sent on parses to exactly one request of the same meaning
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/head.c modules/http/field.c
 * link: modules/http/body.c llhttp
 */
#include "tests/fuzz/http_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EDGE_FIELDS_MAX = 16, EDGE_BYTES_MAX = 2048 }; /* what the edge adds */

/* A message at its limits, trailers among it, is over them with what the edge adds; a pod's limits are its own. */
static bool is_within_limits(const struct message *m) {
    return m->count + EDGE_FIELDS_MAX <= FIELDS_MAX && m->raw + EDGE_BYTES_MAX <= HEAD_MAX;
}

/* What a pod reads is what we read. */
static void sent_check(const struct pipe *p) {
    const char *end = head_check(p);
    must(lines_count(p->sent, end, "host:") == 1);
    must(lines_count(p->sent, end, "x-forwarded-for:") == 1 &&
         lines_count(p->sent, end, "x-request-id:") == 1);
    if (!is_within_limits(&p->message))
        return;
    struct pipe pod;
    pipe_init(&pod, true);
    pod.message.trust = true;
    pipe_feed(&pod, (const uint8_t *)p->sent, p->sent_length, 97, false);
    must(pod.step == STEP_DONE && pod.used == p->sent_length);
    must(pod.message.framing == p->message.framing && pod.message.method == p->message.method);
    must(pod.message.length == p->message.length);
    must(same_bytes(pod.body, pod.body_length, p->body, p->body_length));
    must(same_bytes((char *)pod.message.head.data + pod.message.target, pod.message.target_length,
                    (char *)p->message.head.data + p->message.target, p->message.target_length));
    must(same_bytes((char *)pod.message.head.data + pod.message.host, pod.message.host_length,
                    (char *)p->message.head.data + p->message.host, p->message.host_length));
    must(p->message.framing != FRAMING_LENGTH || p->message.length == p->body_length);
    pipe_fini(&pod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 16)
        return 0;
    const size_t pieces[] = {size ? size : 1, 1, 2 + (size ? data[size / 2] % 61 : 0)};
    struct pipe p[3];
    for (int i = 0; i < 3; i++) {
        pipe_init(&p[i], true);
        pipe_feed(&p[i], data, size, pieces[i], false);
        pipes_agree(&p[0], &p[i]);
        if (p[i].step == STEP_DONE)
            sent_check(&p[i]);
    }
    for (int i = 0; i < 3; i++)
        pipe_fini(&p[i]);
    return 0;
}
