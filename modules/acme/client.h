/* SPDX-License-Identifier: GPL-3.0-or-later
 * client.h - one directory spoken to by one thread: nonces, signed posts, problem documents, Retry-After.
 */
#pragma once
#include "modules/acme/http.h"
#include "modules/acme/jose.h"
#include "modules/acme/wire.h"

enum { NONCES_KEPT = 8, NONCE_TRIES = 12 };

struct client { /* one per thread and directory */
    struct http *http;
    const char *url; /* of the directory */
    struct directory directory;
    int64_t directory_at; /* when it was read; 0: not yet */
    char nonce[NONCES_KEPT][512];
    unsigned nonce_count;
};

/* Reads the directory when it is not there yet or older than a day. False: *ret says why. */
bool client_ready(struct client *, int64_t now, struct problem *ret);

/* A signed POST; `kid` NULL: with the key itself. `payload` NULL: POST-as-GET. True: a 2xx answer, for http_answer_fini. False: *ret says
 * what the authority minds (type ""  and status 0: no answer could be had). badNonce is seen to here. */
bool client_post(struct client *, const struct key *, const char *kid, const char *url,
                 const char *payload, struct http_answer *answer, struct problem *ret);
/* Plain GET, as renewal information is read. */
bool client_get(struct client *, const char *url, struct http_answer *answer, struct problem *ret);
