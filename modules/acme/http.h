/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.h - one HTTPS exchange. The seam of this module: unit tests put an authority of their own in its place.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http; /* of one thread: keeps connections open */

enum { ANSWER_MOST = 1 << 20 };

struct http_answer {
    long status;
    char *body; /* owned; NUL-terminated, never NULL after success */
    size_t length;
    char nonce[512], location[1024], type[64]; /* Replay-Nonce, Location, Content-Type; "" */
    int64_t retry_after;                       /* seconds; 0: not said */
};

struct http *http_new(const char *ca_file, int64_t timeout_ms, bool (*stop)(void));
void http_free(struct http *);
/* `body` NULL: GET (or HEAD). False: no answer could be had, *err says why. http_answer_fini in either case. */
bool http_exchange(struct http *, const char *method, const char *url, const char *body,
                   struct http_answer *ret, struct err *);
void http_answer_fini(struct http_answer *);
