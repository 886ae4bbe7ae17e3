/* SPDX-License-Identifier: GPL-3.0-or-later
 * wire.h - what a directory answers, read from JSON into structs. Pure; an authority's answer is input like any other: lengths are
 * bounded, wrong types are as good as absent, and what we can't go on without is an error.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { URL_MOST = 1024, TOKEN_MOST = 256, AUTHORIZATIONS_MOST = 100, CHALLENGES_MOST = 8 };

struct directory {
    char new_nonce[URL_MOST], new_account[URL_MOST], new_order[URL_MOST], revoke[URL_MOST],
        key_change[URL_MOST], renewal_info[URL_MOST]; /* "": it has none */
    char terms[URL_MOST];
    char caa[256]; /* its names for CAA records, separated by spaces */
    bool binding_required;
    char profiles[512]; /* the names it offers, separated by spaces; "": it has none */
};
bool directory_read(const char *json, struct directory *ret, struct err *);
bool directory_has_profile(const struct directory *, const char *profile);

enum acme_status {
    STATUS_UNKNOWN,
    STATUS_PENDING,
    STATUS_READY,
    STATUS_PROCESSING,
    STATUS_VALID,
    STATUS_INVALID,
    STATUS_DEACTIVATED,
    STATUS_EXPIRED,
    STATUS_REVOKED
};

struct problem {         /* RFC 7807 */
    char type[64];       /* without "urn:ietf:params:acme:error:"; "": none was told */
    char detail[512];    /* one line, printable, with the first subproblems */
    int64_t retry_after; /* seconds from the answer on, 0: not said; filled by the client */
    long status;
    char name[256]; /* of the first subproblem that says which; or "" */
};
/* Never fails: what is no problem document is told as the HTTP status it came with. */
void problem_read(const char *json, long status, struct problem *ret);
bool problem_is(const struct problem *, const char *type);

struct acme_order {
    enum acme_status status;
    char finalize[URL_MOST], certificate[URL_MOST];
    char authorization[AUTHORIZATIONS_MOST][URL_MOST];
    size_t authorization_count;
    struct problem problem;
};
bool order_read(const char *json, struct acme_order *ret, struct err *);

struct acme_challenge {
    char type[32], url[URL_MOST], token[TOKEN_MOST];
    enum acme_status status;
    struct problem problem;
};
struct acme_authorization {
    enum acme_status status;
    char name[256]; /* without "*." */
    bool wildcard;
    struct acme_challenge challenge[CHALLENGES_MOST];
    size_t challenge_count;
};
bool authorization_read(const char *json, struct acme_authorization *ret, struct err *);
const struct acme_challenge *challenge_find(const struct acme_authorization *, const char *type);

struct renewal { /* RFC 9773 section 4.2 */
    int64_t start, end;
    char explanation[URL_MOST];
};
bool renewal_read(const char *json, struct renewal *ret, struct err *);
/* RFC 3339; false: it is not. */
bool time_read(const char *text, int64_t *ret);
