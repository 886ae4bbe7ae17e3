/* SPDX-License-Identifier: GPL-3.0-or-later
 * jose.c - ES256 and HS256, and the four shapes ACME signs: a request with a key, with an account's URL, a binding, a key change.
 *
 *   {"protected": base64url(header), "payload": base64url(text), "signature": base64url(sign(protected.payload))}
 */
#include "core/base64.h"
#include "modules/acme/keys.h"
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha256.h>

/* ---- digests ---- */

void digest_of(const char *text, uint8_t out[32]) {
    wc_Sha256Hash((const uint8_t *)text, (word32)strlen(text), out);
}

char *digest_text(const char *text) {
    uint8_t digest[32];
    digest_of(text, digest);
    return base64url(digest, sizeof digest);
}

/* ---- keys as JSON ---- */

json_t *key_jwk(const struct key *k) {
    uint8_t x[32] = {0}, y[32] = {0};
    word32 nx = sizeof x, ny = sizeof y;
    if (k->kind != KEY_P256 ||
        wc_ecc_export_public_raw((ecc_key *)&k->ecc, x, &nx, y, &ny)) /* of the curve's size */
        return NULL;
    char *tx = base64url(x, nx), *ty = base64url(y, ny);
    json_t *jwk = json_pack("{s:s s:s s:s s:s}", "crv", "P-256", "kty", "EC", "x", tx ? tx : "",
                            "y", ty ? ty : "");
    free(tx);
    free(ty);
    return jwk;
}

/* RFC 7638: the required members, sorted, without white space. */
char *key_thumbprint(const struct key *k) {
    json_t *jwk = key_jwk(k);
    char *text = jwk ? json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    char *thumbprint = text ? digest_text(text) : NULL;
    free(text);
    json_decref(jwk);
    return thumbprint;
}

char *key_authorization(const struct key *k, const char *token) {
    char *thumbprint = key_thumbprint(k), *text = NULL;
    if (thumbprint && asprintf(&text, "%s.%s", token, thumbprint) < 0)
        text = NULL;
    free(thumbprint);
    return text;
}

/* ---- signing ---- */

bool key_sign(const struct key *k, const char *text, uint8_t out[64]) {
    uint8_t digest[32], der[ECC_MAX_SIG_SIZE], r[32], s[32];
    word32 length = sizeof der, nr = sizeof r, ns = sizeof s;
    struct key *own = (struct key *)(uintptr_t)k; /* signing moves its random numbers on */
    if (k->kind != KEY_P256)
        return false;
    digest_of(text, digest);
    if (wc_ecc_sign_hash(digest, sizeof digest, der, &length, &own->rng, &own->ecc) ||
        wc_ecc_sig_to_rs(der, length, r, &nr, s, &ns) || nr > 32 || ns > 32)
        return false;
    memset(out, 0, 64);
    memcpy(out + 32 - nr, r, nr);
    memcpy(out + 64 - ns, s, ns);
    return true;
}

bool key_verifies(const struct key *k, const char *text, const uint8_t signature[64]) {
    uint8_t digest[32], der[ECC_MAX_SIG_SIZE];
    word32 length = sizeof der;
    int good = 0;
    digest_of(text, digest);
    return k->kind == KEY_P256 &&
           !wc_ecc_rs_raw_to_sig(signature, 32, signature + 32, 32, der, &length) &&
           !wc_ecc_verify_hash(der, length, digest, sizeof digest, &good,
                               (ecc_key *)(uintptr_t)&k->ecc) &&
           good == 1;
}

/* base64url(header).base64url(payload) */
static char *signing_input(json_t *header, const char *payload) {
    char *dump = header ? json_dumps(header, JSON_COMPACT) : NULL, *text = NULL;
    char *first = dump ? base64url(dump, strlen(dump)) : NULL;
    char *second = base64url(payload ? payload : "", payload ? strlen(payload) : 0);
    if (!first || !second || asprintf(&text, "%s.%s", first, second) < 0)
        text = NULL;
    free(dump);
    free(first);
    free(second);
    return text;
}

static json_t *flattened(const char *input, const uint8_t *signature, size_t length) {
    const char *dot = strchr(input, '.');
    char *text = base64url(signature, length);
    json_t *jws = text ? json_pack("{s:s% s:s s:s}", "protected", input, (size_t)(dot - input),
                                   "payload", dot + 1, "signature", text)
                       : NULL;
    free(text);
    return jws;
}

/* Takes `header`. */
static json_t *es256(const struct key *k, json_t *header, const char *payload) {
    uint8_t signature[64];
    char *input = signing_input(header, payload);
    json_t *jws = input && key_sign(k, input, signature)
                      ? flattened(input, signature, sizeof signature)
                      : NULL;
    free(input);
    json_decref(header);
    return jws;
}

static char *dumped(json_t *jws) {
    char *text = jws ? json_dumps(jws, JSON_COMPACT) : NULL;
    json_decref(jws);
    return text;
}

char *jws_sign(const struct key *k, const char *kid, const char *nonce, const char *url,
               const char *payload) {
    json_t *header = json_pack("{s:s s:s}", "alg", "ES256", "url", url);
    if (nonce)
        json_object_set_new(header, "nonce", json_string(nonce));
    if (kid)
        json_object_set_new(header, "kid", json_string(kid));
    else
        json_object_set_new(header, "jwk", key_jwk(k));
    return dumped(es256(k, header, payload));
}

char *jws_key_change(const struct key *old, const struct key *fresh, const char *account_url,
                     const char *url) {
    json_t *inner = json_pack("{s:s s:o}", "account", account_url, "oldKey", key_jwk(old));
    char *payload = dumped(inner);
    char *text = payload ? jws_sign(fresh, NULL, NULL, url, payload) : NULL;
    free(payload);
    return text;
}

bool hs256(const uint8_t *key, size_t length, const char *text, uint8_t out[32]) {
    Hmac hmac;
    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID))
        return false;
    bool good = !wc_HmacSetKey(&hmac, WC_SHA256, key, (word32)length) &&
                !wc_HmacUpdate(&hmac, (const uint8_t *)text, (word32)strlen(text)) &&
                !wc_HmacFinal(&hmac, out);
    wc_HmacFree(&hmac);
    return good;
}

json_t *jws_binding(const struct key *account, const char *kid, const uint8_t *hmac_key,
                    size_t hmac_length, const char *url) {
    json_t *header = json_pack("{s:s s:s s:s}", "alg", "HS256", "kid", kid, "url", url);
    char *payload = dumped(key_jwk(account));
    char *input = payload ? signing_input(header, payload) : NULL;
    uint8_t mac[32];
    json_t *jws = input && hs256(hmac_key, hmac_length, input, mac)
                      ? flattened(input, mac, sizeof mac)
                      : NULL;
    free(input);
    free(payload);
    json_decref(header);
    return jws;
}
