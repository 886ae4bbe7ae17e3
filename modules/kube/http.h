/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.h - one HTTP/1.1 request after another out of bytes: llhttp in strict mode, everything bounded. Knows no socket.
 */
#pragma once
#include "modules/kube/target.h"
#include <llhttp.h>
#include <stdint.h>

enum { HEAD_MOST = 32 << 10 };

struct http_request {
    const char *method;
    char target[TARGET_MAX + 1];
    size_t target_length;
    char authorization[256], accept[1024], content_type[128]; /* NUL-terminated; "" when absent */
    char *body;                                               /* NUL-terminated */
    size_t body_length;
    bool keep_alive;
    bool expects_continue;
    bool impersonates; /* asks to be taken for somebody else */
};

enum http_answer {
    GOT_MORE,     /* all was taken, the request is not complete */
    GOT_HEAD,     /* the head is complete: judge it; http_go_on reads its body */
    GOT_COMPLETE, /* the request is; http_next goes on with the next one */
    GOT_BAD,      /* not HTTP: 400 */
    GOT_TOO_LONG, /* its head: 431 */
    GOT_TOO_LARGE /* its body: 413 */
};

struct http {
    llhttp_t parser;
    struct http_request request;
    size_t body_most, body_room, head_length, field_length;
    char field[32]; /* the name of the header field that is read, lower case */
    char *value;    /* where its value goes, or NULL */
    size_t value_room;
    enum http_answer answer; /* why the parser stopped */
    bool begun;              /* something came, if only an empty line before it */
    bool head_done;
};

void http_init(struct http *, size_t body_most);
void http_fini(struct http *);
/* How much of `data` was taken goes to *ret_taken; what was not comes again. */
enum http_answer http_feed(struct http *, const char *data, size_t length, size_t *ret_taken);
void http_next(struct http *);
bool http_is_idle(const struct http *); /* nothing of a request has come yet */
