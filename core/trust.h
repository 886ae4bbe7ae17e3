/* SPDX-License-Identifier: GPL-3.0-or-later
 * trust.h - what pods that speak TLS are judged by: an authority, or nothing; and the client contexts made of it.
 *
 * One for each authority there is (and one for none), shared by all who name it: a context holds no session and no name. Made and
 * given back by the control thread; each worker, and the control thread for its checks, has a context of its own, made when first
 * asked for, since wolfSSL is built single-threaded.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stdint.h>

struct WOLFSSL_CTX;
struct WOLFSSL;

struct trust {
    char *ca_pem;    /* NULL: nobody is verified */
    uint64_t serial; /* of no other, ever */
    unsigned refs, slots;
    struct WOLFSSL_CTX *ctx[]; /* a worker's each; the last is the control thread's */
};

struct speech {          /* what the pods of a service speak */
    struct trust *trust; /* TLS, judged by this; NULL: none */
    char *server_name;   /* with `trust`: SNI, and the name that is checked */
    bool http2;
};

enum {                  /* what a handshake may fail for besides wolfSSL's own, negative reasons */
       TRUST_NO_H2 = 1, /* the pod did not agree on HTTP/2 */
       TRUST_LATE,      /* not done in time */
       TRUST_BROKEN,    /* the connection broke */
};

struct trust *trust_get(const char *ca_pem, unsigned workers); /* NULL: no memory */
void trust_put(struct trust *);                                /* NULL is fine */
/* NULL: it can't be made. */
struct WOLFSSL_CTX *trust_context(struct trust *, unsigned slot);
static inline unsigned trust_control_slot(const struct trust *t) {
    return t->slots - 1;
}
/* A client's end of one connection: SNI, the name that is checked where anything is, ALPN. NULL: no memory. */
struct WOLFSSL *trust_session(struct WOLFSSL_CTX *, const char *server_name, bool verify,
                              bool http2);
/* The handshake is done: did it agree on what was offered? */
bool trust_agreed(struct WOLFSSL *, bool http2);
/* Why a handshake failed, for people: what is said of the pod. */
const char *trust_why(int error);
