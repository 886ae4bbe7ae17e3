/* SPDX-License-Identifier: GPL-3.0-or-later
 * head.c - see head.h. llhttp says whether it is one; it is given a whole head, so that what follows is not its.
 */
#include "modules/docker/head.h"
#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct reading {
    struct head *head;
    size_t target_length;
    bool too_long, complete;
};

static int url_take(llhttp_t *parser, const char *at, size_t length) {
    struct reading *r = parser->data;
    struct head *h = r->head;
    if (r->target_length + length >= sizeof h->target) {
        r->too_long = true;
        return 0;
    }
    memcpy(h->target + r->target_length, at, length);
    r->target_length += length;
    h->target[r->target_length] = 0;
    return 0;
}

static int head_done(llhttp_t *parser) {
    struct reading *r = parser->data;
    struct head *h = r->head;
    snprintf(h->method, sizeof h->method, "%s",
             llhttp_method_name((llhttp_method_t)parser->method));
    h->has_body = parser->content_length || parser->flags & F_CHUNKED;
    h->upgrade = parser->upgrade;
    h->keeps = llhttp_should_keep_alive(parser);
    r->complete = true;
    return HPE_PAUSED;
}

static void agent_take(const char *data, struct head *h) {
    static const char field[] = "user-agent:";
    const char *end = data + h->length, *line = data;
    for (; line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1)
        if ((size_t)(end - line) > sizeof field && !strncasecmp(line, field, sizeof field - 1)) {
            const char *value = line + sizeof field - 1 + (line[sizeof field - 1] == ' ');
            size_t length =
                (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) - value);
            length = length < sizeof h->agent ? length : sizeof h->agent - 1;
            memcpy(h->agent, value, length);
            h->agent[length] = 0;
        }
}

enum head_state head_read(const char *data, size_t length, struct head *ret) {
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    struct head head = {.length = end ? (size_t)(end + 4 - data) : 0};
    struct reading reading = {.head = &head};
    llhttp_settings_t settings;
    llhttp_t parser;
    if (!end)
        return HEAD_MORE;
    llhttp_settings_init(&settings);
    settings.on_url = url_take;
    settings.on_headers_complete = head_done;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &reading;
    llhttp_execute(&parser, data, head.length);
    if (!reading.complete || reading.too_long)
        return HEAD_BAD;
    agent_take(data, &head);
    *ret = head;
    return HEAD_GOOD;
}
