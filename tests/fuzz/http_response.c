/* SPDX-License-Identifier: GPL-3.0-or-later
 * http_response.c - fuzz target: one response in, one response out, however it is cut.
 *
 *   first byte: 1 the request was HEAD, 2 the client speaks 1.0, 4 the pod ends after these bytes, 8 the client stays;  then the bytes
 *   whole == byte by byte == in pieces;  what is sent on parses to exactly one response with the same body
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/head.c modules/http/field.c
 * link: modules/http/body.c llhttp
 */
#include "tests/fuzz/http_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void response_init(struct pipe *p, uint8_t how) {
    pipe_init(p, false);
    p->message.method = how & 1 ? HTTP_HEAD : HTTP_GET;
    static const char *const domain = "acme.zone.example";
    p->message.cookie_domain = &domain;
    p->delivery = (struct delivery){.http_1_0 = how & 2, .keep = how & 8};
}

/* What the client reads is what the pod said. */
static void sent_check(const struct pipe *p, uint8_t how) {
    struct pipe client;
    const char *end = head_check(p);
    bool until_close = p->framing_out == FRAMING_CLOSE;
    must(!until_close ||
         (!p->delivery.keep && lines_count(p->sent, end, "connection: close") == 1));
    must(!until_close || (how & 2));
    response_init(&client, how);
    pipe_feed(&client, (const uint8_t *)p->sent, p->sent_length, 97, until_close);
    must(client.step == STEP_DONE && client.used == p->sent_length);
    must(client.message.status == p->message.status);
    must(same_bytes(client.body, client.body_length, p->body, p->body_length));
    must(p->framing_out != FRAMING_LENGTH || p->message.length == p->body_length);
    must(response_has_body(&p->message) || p->body_length == 0);
    pipe_fini(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 1 << 16)
        return 0;
    uint8_t how = data[0];
    data++;
    size--;
    const size_t pieces[] = {size ? size : 1, 1, 2 + (size ? data[size / 2] % 61 : 0)};
    struct pipe p[3];
    for (int i = 0; i < 3; i++) {
        response_init(&p[i], how);
        pipe_feed(&p[i], data, size, pieces[i], how & 4);
        pipes_agree(&p[0], &p[i]);
        if (p[i].step == STEP_DONE)
            sent_check(&p[i], how);
    }
    for (int i = 0; i < 3; i++)
        pipe_fini(&p[i]);
    return 0;
}
