/* SPDX-License-Identifier: GPL-3.0-or-later
 * jose.h - keys and what is signed with them: JWK, thumbprints, JWS in flattened JSON (RFC 7515, 7517, 7518, 7638), the
 * external account binding and the key change of RFC 8555.
 *
 * Any thread; a key is used by one thread at a time. What is returned as text is malloc'd; NULL: no memory, or a key that can't sign.
 */
#pragma once
#include "core/diag.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key; /* P-256 or RSA, with its private half */

enum key_kind { KEY_P256, KEY_RSA };

struct key *key_new(enum key_kind, int rsa_bits, struct err *);
struct key *key_read(const char *pem, struct err *); /* PKCS #8 or the older forms */
char *key_pem(const struct key *);                   /* PKCS #8 */
enum key_kind key_kind(const struct key *);
void key_free(struct key *); /* wiped */

/* {"crv","kty","x","y"} of a P-256 key: only those sign for an account. */
json_t *key_jwk(const struct key *);
char *key_thumbprint(const struct key *);
/* TOKEN.THUMBPRINT, RFC 8555 section 8.1. */
char *key_authorization(const struct key *, const char *token);
/* base64url(SHA-256(text)): of a key authorization, what dns-01 publishes. */
char *digest_text(const char *text);
void digest_of(const char *text, uint8_t out[32]);

/* Flattened JSON. `kid` NULL: with the key itself (jwk). `payload` NULL: empty, as POST-as-GET has it. `nonce` NULL: none. */
char *jws_sign(const struct key *, const char *kid, const char *nonce, const char *url,
               const char *payload);
/* HMAC-SHA256 over `text`. */
bool hs256(const uint8_t *key, size_t length, const char *text, uint8_t out[32]);
/* RFC 8555 section 7.3.4: `account`'s public key, signed by HS256 with what the authority gave. */
json_t *jws_binding(const struct key *account, const char *kid, const uint8_t *hmac_key,
                    size_t hmac_length, const char *url);
/* RFC 8555 section 7.3.5: the inner JWS of a key change, signed by the new key. */
char *jws_key_change(const struct key *old, const struct key *fresh, const char *account_url,
                     const char *url);
/* Raw r || s of an ES256 signature over `text`; for jws_sign and for tests. */
bool key_sign(const struct key *, const char *text, uint8_t out[64]);
bool key_verifies(const struct key *, const char *text, const uint8_t signature[64]);
