/* SPDX-License-Identifier: GPL-3.0-or-later
 * client.c - RFC 8555 section 6.
 *
 *   nonce at hand, else HEAD newNonce -> sign -> POST -> badNonce: again with the nonce that came along
 */
#include "modules/acme/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTORY_KEPT = 86400 };

static bool unreachable(struct problem *p, const char *why) {
    *p = (struct problem){0};
    snprintf(p->detail, sizeof p->detail, "%s", why);
    return false;
}

/* ---- nonces ---- */

static void nonce_keep(struct client *c, const char *nonce) {
    if (!*nonce || strlen(nonce) >= sizeof *c->nonce)
        return;
    if (c->nonce_count ==
        NONCES_KEPT) { /* the oldest goes: it is the first to be forgotten there */
        memmove(c->nonce[0], c->nonce[1], sizeof c->nonce - sizeof *c->nonce);
        c->nonce_count--;
    }
    memcpy(c->nonce[c->nonce_count++], nonce, strlen(nonce) + 1);
}

static bool nonce_take(struct client *c, char out[512], struct problem *p) {
    struct http_answer a;
    struct err err;
    if (!c->nonce_count) {
        if (http_exchange(c->http, "HEAD", c->directory.new_nonce, NULL, &a, &err))
            nonce_keep(c, a.nonce);
        else
            unreachable(p, err.text);
        if (a.status && !c->nonce_count)
            problem_read(NULL, a.status, p);
        http_answer_fini(&a);
    }
    if (!c->nonce_count)
        return false;
    memcpy(out, c->nonce[--c->nonce_count], sizeof *c->nonce);
    return true;
}

/* ---- answers ---- */

/* A 2xx answer, or what is wrong with it; then the answer is gone. */
static bool answer_judge(struct http_answer *a, struct problem *p) {
    if (a->status >= 200 && a->status < 300)
        return true;
    problem_read(a->body, a->status, p);
    p->status = a->status;
    p->retry_after = a->retry_after;
    http_answer_fini(a);
    return false;
}

static bool post_once(struct client *c, const struct key *key, const char *kid, const char *url,
                      const char *payload, struct http_answer *a, struct problem *p) {
    char nonce[512];
    struct err err;
    if (!nonce_take(c, nonce, p))
        return false;
    char *body = jws_sign(key, kid, nonce, url, payload);
    if (!body)
        return unreachable(p, "the request can't be signed");
    bool sent = http_exchange(c->http, "POST", url, body, a, &err);
    free(body);
    if (!sent) {
        http_answer_fini(a);
        return unreachable(p, err.text);
    }
    nonce_keep(c, a->nonce);
    return answer_judge(a, p);
}

bool client_post(struct client *c, const struct key *key, const char *kid, const char *url,
                 const char *payload, struct http_answer *a, struct problem *p) {
    for (unsigned tries = 1;; tries++) {
        if (post_once(c, key, kid, url, payload, a, p))
            return true;
        if (!problem_is(p, "badNonce") || tries == NONCE_TRIES)
            return false;
        if (c->nonce_count > 1) { /* those that were kept are of no use any more; the newest is */
            snprintf(c->nonce[0], sizeof c->nonce[0], "%s", c->nonce[c->nonce_count - 1]);
            c->nonce_count = 1;
        }
    }
}

bool client_get(struct client *c, const char *url, struct http_answer *a, struct problem *p) {
    struct err err;
    if (http_exchange(c->http, "GET", url, NULL, a, &err))
        return answer_judge(a, p);
    http_answer_fini(a);
    return unreachable(p, err.text);
}

/* ---- the directory ---- */

bool client_ready(struct client *c, int64_t now, struct problem *p) {
    struct http_answer a;
    struct err err;
    if (c->directory_at && now - c->directory_at < DIRECTORY_KEPT && now >= c->directory_at)
        return true;
    if (!client_get(c, c->url, &a, p))
        return false;
    bool good = directory_read(a.body, &c->directory, &err);
    http_answer_fini(&a);
    if (!good)
        return unreachable(p, err.text);
    c->directory_at = now;
    c->nonce_count = 0;
    return true;
}
