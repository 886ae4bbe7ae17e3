/* SPDX-License-Identifier: MIT
 * challenge.h - what a certificate authority asks to see, known to every worker: answers over plain HTTP (RFC 8555 section 8.3)
 * and identities for acme-tls/1 (RFC 8737).
 *
 * The control thread sets and forgets, workers read without locks. Names are as the directory has them: lower case, no dot at the
 * end. Nothing here is kept over a restart: whoever set it sets it again.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct identity;

enum { CHALLENGE_TOKEN_MOST = 256, CHALLENGE_ANSWER_MOST = 512 };

/* GET http://HOST/.well-known/acme-challenge/TOKEN is answered with this text (copied), whatever the tenant's rules say. A token is
 * 1 to CHALLENGE_TOKEN_MOST characters of base64url; others, and longer answers, are not taken. NULL: forget. */
void challenge_http_set(const char *host, const char *token, const char *answer);
/* A handshake that offers acme-tls/1 alone for this name is done with this identity, whose reference is taken. NULL: forget. */
void challenge_alpn_set(const char *name, struct identity *taken);

/* ---- for workers ---- */
/* The answer to this path (without query) of this host; NULL: not ours. Good until the worker's turn ends. */
const char *challenge_http(const char *host, size_t host_length, const char *path,
                           size_t path_length);
/* Could a certificate authority ask for this path? Then it is not redirected, whoever answers it. */
bool challenge_is_path(const char *path, size_t path_length);
const struct identity *challenge_alpn(const char *name, size_t length);
