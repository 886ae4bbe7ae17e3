/* SPDX-License-Identifier: GPL-3.0-or-later
 * paper.h - what is made of a key: the request for a certificate, the certificate that answers tls-alpn-01 (RFC 8737), and the judgement
 * of a chain that an authority sent.
 */
#pragma once
#include "modules/acme/jose.h"

enum { NAMES_MOST = 100, NAMES_BYTES = 14000 };

/* PKCS #10 in base64url, for these names; malloc'd. */
char *request_make(const struct key *, const char *const *name, size_t count, struct err *);
/* Self-signed, for one name, with the digest of the key authorization; both PEM and malloc'd. */
bool challenge_make(const char *name, const uint8_t digest[32], char **ret_chain, char **ret_key,
                    struct err *);

struct paper { /* what the leaf says */
    int64_t not_before, not_after;
    char issuer[256];
    char renewal_id[256]; /* RFC 9773 section 4.1; "": it has no key identifier of its issuer */
};
/* May this chain be served with this key for these names now? False: *err says why not. The chain is followed by signatures; whether
 * its end is trusted is the clients' to say. */
bool chain_judge(const char *chain_pem, const struct key *, const char *const *name, size_t count,
                 int64_t now, struct paper *ret, struct err *);
/* Only what the first certificate says, without its issuer's name; nothing is judged. */
bool leaf_read(const char *chain_pem, struct paper *ret, struct err *);
