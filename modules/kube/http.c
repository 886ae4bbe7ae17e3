/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.c - see http.h. The parser pauses behind the head and behind the body; header fields that nobody asks for are counted, not kept.
 */
#include "modules/kube/http.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct http *http_of(llhttp_t *parser) {
    return (struct http *)parser->data;
}

static int stop(struct http *h, enum http_answer why) {
    h->answer = why;
    return HPE_USER;
}

static bool head_grow(struct http *h, size_t length) {
    h->head_length += length;
    return h->head_length <= HEAD_MOST;
}

static int on_url(llhttp_t *parser, const char *at, size_t length) {
    struct http *h = http_of(parser);
    struct http_request *r = &h->request;
    if (!head_grow(h, length) || r->target_length + length > TARGET_MAX)
        return stop(h, GOT_TOO_LONG);
    memcpy(r->target + r->target_length, at, length);
    r->target_length += length;
    r->target[r->target_length] = 0;
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t length) {
    struct http *h = http_of(parser);
    if (!head_grow(h, length))
        return stop(h, GOT_TOO_LONG);
    for (size_t i = 0; i < length; i++) {
        if (h->field_length < sizeof h->field - 1)
            h->field[h->field_length] = (char)tolower((unsigned char)at[i]);
        h->field_length++;
    }
    return 0;
}

static void value_choose(struct http *h) {
    struct http_request *r = &h->request;
    const struct {
        const char *name;
        char *to;
        size_t room;
    } wanted[] = {
        {"authorization", r->authorization, sizeof r->authorization},
        {"accept", r->accept, sizeof r->accept},
        {"content-type", r->content_type, sizeof r->content_type},
    };
    h->value = NULL;
    h->field[h->field_length < sizeof h->field ? h->field_length : 0] = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strcmp(wanted[i].name, h->field)) {
            h->value = wanted[i].to;
            h->value_room = wanted[i].room;
        }
    r->expects_continue |= !strcmp(h->field, "expect");
    r->impersonates |= !strncmp(h->field, "impersonate-", strlen("impersonate-"));
}

static int on_field_complete(llhttp_t *parser) {
    struct http *h = http_of(parser);
    value_choose(h);
    h->field_length = 0;
    /* Which of two tokens counts, proxies do not agree on. */
    return h->value == h->request.authorization && *h->value ? stop(h, GOT_BAD) : 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length) {
    struct http *h = http_of(parser);
    if (!head_grow(h, length))
        return stop(h, GOT_TOO_LONG);
    size_t have = h->value ? strlen(h->value) : 0;
    if (!h->value)
        return 0;
    if (have + length >= h->value_room)
        return stop(h, GOT_TOO_LONG);
    memcpy(h->value + have, at, length);
    h->value[have + length] = 0;
    return 0;
}

/* A list over several lines is one list. */
static int on_value_complete(llhttp_t *parser) {
    struct http *h = http_of(parser);
    size_t length = h->value ? strlen(h->value) : 0;
    if (h->value == h->request.accept && length + 2 < h->value_room)
        memcpy(h->value + length, ",", 2);
    return 0;
}

static int on_headers_complete(llhttp_t *parser) {
    struct http *h = http_of(parser);
    h->request.method = llhttp_method_name((llhttp_method_t)parser->method);
    h->head_done = true;
    if (parser->method == HTTP_CONNECT || parser->http_major != 1)
        return stop(h, GOT_BAD);
    parser->upgrade = 0; /* to whatever it is: RFC 9110 section 7.8 lets a server go on as it is */
    if ((parser->flags & F_CONTENT_LENGTH) && parser->content_length > h->body_most)
        return stop(h, GOT_TOO_LARGE);
    h->answer = GOT_HEAD;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t length) {
    struct http *h = http_of(parser);
    struct http_request *r = &h->request;
    if (r->body_length + length > h->body_most)
        return stop(h, GOT_TOO_LARGE);
    if (r->body_length + length + 1 > h->body_room) {
        size_t room = (r->body_length + length + 1) * 2;
        char *more = realloc(r->body, room);
        if (!more)
            return stop(h, GOT_TOO_LARGE);
        r->body = more;
        h->body_room = room;
    }
    memcpy(r->body + r->body_length, at, length);
    r->body_length += length;
    r->body[r->body_length] = 0;
    return 0;
}

static int on_message_complete(llhttp_t *parser) {
    struct http *h = http_of(parser);
    h->request.keep_alive = llhttp_should_keep_alive(parser);
    h->answer = GOT_COMPLETE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void request_clear(struct http *h) {
    free(h->request.body);
    explicit_bzero(h->request.authorization, sizeof h->request.authorization);
    h->request = (struct http_request){.method = ""};
    h->body_room = h->head_length = h->field_length = 0;
    h->value = NULL;
    h->head_done = h->begun = false;
}

void http_init(struct http *h, size_t body_most) {
    *h = (struct http){.body_most = body_most};
    llhttp_init(&h->parser, HTTP_REQUEST, &settings);
    h->parser.data = h;
    request_clear(h);
}

void http_fini(struct http *h) {
    request_clear(h);
}

enum http_answer http_feed(struct http *h, const char *data, size_t length, size_t *ret_taken) {
    if (llhttp_get_errno(&h->parser) == HPE_PAUSED)
        llhttp_resume(&h->parser);
    h->answer = GOT_MORE;
    h->begun |= length > 0;
    llhttp_errno_t error = llhttp_execute(&h->parser, data, length);
    *ret_taken = length;
    if (error == HPE_OK)
        return GOT_MORE;
    const char *at = llhttp_get_error_pos(&h->parser);
    *ret_taken = at ? (size_t)(at - data) : length;
    return h->answer == GOT_MORE ? GOT_BAD : h->answer; /* not every callback's code comes back */
}

void http_next(struct http *h) {
    request_clear(h);
}

bool http_is_idle(const struct http *h) {
    return !h->begun;
}
