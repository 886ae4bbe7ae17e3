/* SPDX-License-Identifier: GPL-3.0-or-later
 * keys.c - private keys: made, read, written as PKCS #8.
 */
#include "modules/acme/keys.h"
#include <stdlib.h>
#include <string.h>

enum { DER_MAX = 8192, PEM_MAX = 12288 };

static struct key *key_empty(enum key_kind kind) {
    struct key *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->kind = kind;
    int bad = wc_InitRng(&k->rng);
    if (!bad)
        bad = kind == KEY_RSA ? wc_InitRsaKey(&k->rsa, NULL) : wc_ecc_init(&k->ecc);
    if (!bad && kind == KEY_RSA)
        bad = wc_RsaSetRNG(&k->rsa, &k->rng);
    if (!bad && kind == KEY_P256)
        bad = wc_ecc_set_rng(&k->ecc, &k->rng);
    if (!bad)
        return k;
    free(k);
    return NULL;
}

struct key *key_new(enum key_kind kind, int rsa_bits, struct err *err) {
    struct key *k = key_empty(kind);
    int bad = !k                ? MEMORY_E
              : kind == KEY_RSA ? wc_MakeRsaKey(&k->rsa, rsa_bits, WC_RSA_EXPONENT, &k->rng)
                                : wc_ecc_make_key_ex(&k->rng, 32, &k->ecc, ECC_SECP256R1);
    if (!bad)
        return k;
    key_free(k);
    err_set(err, "no key could be made (wolfCrypt %d)", bad);
    return NULL;
}

void key_free(struct key *k) {
    if (!k)
        return;
    if (k->kind == KEY_RSA)
        wc_FreeRsaKey(&k->rsa);
    else
        wc_ecc_free(&k->ecc);
    wc_FreeRng(&k->rng);
    explicit_bzero(k, sizeof *k);
    free(k);
}

enum key_kind key_kind(const struct key *k) {
    return k->kind;
}

/* ---- PEM ---- */

static bool ecc_read(struct key *k, const uint8_t *der, unsigned length) {
    word32 at = 0;
    return !wc_EccPrivateKeyDecode(der, &at, &k->ecc, length) && k->ecc.dp &&
           k->ecc.dp->id == ECC_SECP256R1 &&
           !wc_ecc_make_pub_ex(&k->ecc, NULL, &k->rng); /* PKCS #8 may leave it out */
}

static bool rsa_read(struct key *k, const uint8_t *der, unsigned length) {
    word32 at = 0;
    return !wc_RsaPrivateKeyDecode(der, &at, &k->rsa, length) && wc_RsaEncryptSize(&k->rsa) >= 256;
}

struct key *key_read(const char *pem, struct err *err) {
    uint8_t der[DER_MAX];
    int length = wc_KeyPemToDer((const uint8_t *)pem, (int)strlen(pem), der, sizeof der, NULL);
    for (int kind = KEY_P256; length > 0 && kind <= KEY_RSA; kind++) {
        struct key *k = key_empty(kind);
        bool good = k && (kind == KEY_RSA ? rsa_read : ecc_read)(k, der, (unsigned)length);
        if (good) {
            explicit_bzero(der, sizeof der);
            return k;
        }
        key_free(k);
    }
    explicit_bzero(der, sizeof der);
    err_set(err, "not a private key of P-256 or of RSA with 2048 bits or more, in PEM");
    return NULL;
}

static int rsa_pkcs8(const struct key *k, uint8_t *out, word32 room) {
    uint8_t inner[DER_MAX];
    int length = wc_RsaKeyToDer((RsaKey *)&k->rsa, inner, sizeof inner);
    word32 size = room;
    int written =
        length <= 0 ? length : wc_CreatePKCS8Key(out, &size, inner, (word32)length, RSAk, NULL, 0);
    explicit_bzero(inner, sizeof inner);
    return written;
}

char *key_pem(const struct key *k) {
    uint8_t der[DER_MAX], *pem = calloc(1, PEM_MAX);
    word32 room = sizeof der;
    int length = k->kind == KEY_RSA ? rsa_pkcs8(k, der, room)
                                    : wc_EccKeyToPKCS8((ecc_key *)&k->ecc, der, &room);
    if (pem && (length <= 0 ||
                wc_DerToPem(der, (word32)length, pem, PEM_MAX - 1, PKCS8_PRIVATEKEY_TYPE) <= 0)) {
        free(pem);
        pem = NULL;
    }
    explicit_bzero(der, sizeof der);
    return (char *)pem;
}
