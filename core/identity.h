/* SPDX-License-Identifier: GPL-3.0-or-later
 * identity.h - a certificate chain with its key, and the TLS context each worker makes of it when first asked.
 *
 * Made and given back by the control thread. A context belongs to one worker's thread (wolfSSL is built single-threaded);
 * it is freed by the control thread when nobody can use it any more: no reference, and no worker's connection.
 */
#pragma once
#include "core/diag.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct WOLFSSL_CTX;
struct worker;

struct tls_rules;  /* tenants/compiled.h */
struct ca_context; /* one that verifies clients */

struct identity_slot {
    struct WOLFSSL_CTX *ctx;
    struct ca_context *ca;  /* the last used first, CA_CONTEXTS_MOST at most */
    _Atomic uint32_t users; /* connections; written by the worker only */
    _Atomic bool asked;     /* for, since identity_asked looked last */
} __attribute__((aligned(64)));

struct identity {
    char *chain_pem, *key_pem;
    int refs; /* control thread */
    unsigned workers;
    struct identity *next_dead; /* or off the shelf (shelf.c), while it still has references */
    struct identity_slot w[];
};

void identities_init(unsigned workers, int tls_min_version);
size_t identities_count(void); /* in memory, also those that wait to be freed */
void identities_reap(void);    /* frees what was unref'd and is not used any more */
/* On a worker: the context, with the authorities for clients when the rules (NULL: none) name some, or NULL when it can't be made. The
 * user count is up until identity_leave. */
struct WOLFSSL_CTX *identity_enter(struct identity *, const struct worker *,
                                   const struct tls_rules *);
void identity_leave(struct identity *, const struct worker *);
/* Has any worker entered it since this was asked last? */
bool identity_asked(struct identity *);
