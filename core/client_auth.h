/* SPDX-License-Identifier: GPL-3.0-or-later
 * client_auth.h - what the rules of a name ask of TLS that ends here: its oldest version, and a certificate of the client.
 *
 * wolfSSL verifies a chain against the authorities of its context; so there is a context for each identity and bundle of
 * authorities (identity_context). The certificate is asked for in the handshake, and whose it was is kept for as long as the
 * connection lives. Sessions of such handshakes are not resumed: whoever comes shows his certificate again.
 */
#pragma once
#include "core/worker.h"
#include "tenants/compiled.h"

struct WOLFSSL;

enum { CLIENT_SUBJECT_MOST = 1024 }; /* a certificate with a longer one is refused */

struct client_auth { /* of one connection whose rules ask for a certificate */
    uint8_t client_ca_id[32];
    uint8_t asked; /* enum client_certificate */
    bool shown;    /* and verified */
    uint16_t subject_length;
    char *subject; /* RFC 4514; NULL unless shown */
    struct worker *worker;
};

/* Asks that session for what the rules say, before its handshake. *ret: NULL when they don't ask for a certificate. False: no memory. */
bool client_auth_begin(struct worker *, struct WOLFSSL *, const struct tls_rules *,
                       struct client_auth **ret);
void client_auth_free(struct client_auth *); /* NULL is fine */
/* Would a connection with this (NULL: nothing was asked), of that version ("TLSv1.3"), have been let in by these rules? */
bool client_auth_meets(const struct client_auth *, const char *version, const struct tls_rules *);
