/* SPDX-License-Identifier: GPL-3.0-or-later
 * tickets.c - session tickets valid on every worker, bound to one tenant and name (RFC 5077, RFC 8446 section 4.6.1).
 *
 *   ticket = key name | random nonce | AES-256-GCM(state), authenticated data: key name, nonce, tenant uid, SNI
 *
 * A ticket given to one name does not decrypt under another: the client gets a full handshake, never another's session.
 */
#include "core/sys.h"
#include "core/tls.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>

enum { NONCE = 12, TAG = 16, KEYS = 2, AAD_MOST = 1024 };

struct ticket_key {
    uint8_t name[WOLFSSL_TICKET_NAME_SZ];
    uint8_t secret[32];
};

/* keys[current] encrypts, the other one still decrypts. The slot that is overwritten was last used for encrypting one
 * whole rotation ago. */
static struct ticket_key keys[KEYS];
static _Atomic unsigned current;
static int64_t rotated_ms;

static bool key_make(struct ticket_key *k) {
    return getrandom(k, sizeof *k, 0) == sizeof *k;
}

bool tickets_init(void) {
    rotated_ms = sys_now_ns() / 1000000;
    return key_make(&keys[0]) && key_make(&keys[1]);
}

void tickets_rotate_if_due(int64_t now_ms) {
    if (now_ms - rotated_ms < TICKET_ROTATE_S * 1000LL)
        return;
    unsigned next = 1 - atomic_load(&current);
    if (!key_make(&keys[next]))
        return;
    rotated_ms = now_ms;
    atomic_store(&current, next);
}

static const struct ticket_key *key_find(const uint8_t *name) {
    for (unsigned i = 0; i < KEYS; i++)
        if (!memcmp(keys[i].name, name, sizeof keys[i].name))
            return &keys[i];
    return NULL;
}

static word32 aad_build(WOLFSSL *ssl, const uint8_t *name, const uint8_t *nonce,
                        uint8_t out[AAD_MOST]) {
    const char *context;
    size_t length;
    tls_ticket_context(ssl, &context, &length);
    if (length > AAD_MOST - WOLFSSL_TICKET_NAME_SZ - NONCE)
        return 0;
    memcpy(out, name, WOLFSSL_TICKET_NAME_SZ);
    memcpy(out + WOLFSSL_TICKET_NAME_SZ, nonce, NONCE);
    memcpy(out + WOLFSSL_TICKET_NAME_SZ + NONCE, context, length);
    return (word32)(WOLFSSL_TICKET_NAME_SZ + NONCE + length);
}

static int ticket_seal(WOLFSSL *ssl, uint8_t *name, uint8_t *iv, uint8_t *mac, uint8_t *ticket,
                       int length) {
    const struct ticket_key *k = &keys[atomic_load(&current)];
    uint8_t aad[AAD_MOST];
    Aes aes;
    if (getrandom(iv, NONCE, 0) != NONCE)
        return WOLFSSL_TICKET_RET_REJECT;
    memset(iv + NONCE, 0, WOLFSSL_TICKET_IV_SZ - NONCE);
    memcpy(name, k->name, sizeof k->name);
    word32 aad_length = aad_build(ssl, name, iv, aad);
    if (!aad_length || wc_AesInit(&aes, NULL, INVALID_DEVID) ||
        wc_AesGcmSetKey(&aes, k->secret, sizeof k->secret))
        return WOLFSSL_TICKET_RET_REJECT;
    int error = wc_AesGcmEncrypt(&aes, ticket, ticket, (word32)length, iv, NONCE, mac, TAG, aad,
                                 aad_length);
    wc_AesFree(&aes);
    return error ? WOLFSSL_TICKET_RET_REJECT : WOLFSSL_TICKET_RET_OK;
}

static int ticket_open(WOLFSSL *ssl, const uint8_t *name, const uint8_t *iv, const uint8_t *mac,
                       uint8_t *ticket, int length) {
    const struct ticket_key *k = key_find(name);
    uint8_t aad[AAD_MOST];
    Aes aes;
    word32 aad_length = k ? aad_build(ssl, name, iv, aad) : 0;
    if (!aad_length || wc_AesInit(&aes, NULL, INVALID_DEVID) ||
        wc_AesGcmSetKey(&aes, k->secret, sizeof k->secret))
        return WOLFSSL_TICKET_RET_REJECT;
    int error = wc_AesGcmDecrypt(&aes, ticket, ticket, (word32)length, iv, NONCE, mac, TAG, aad,
                                 aad_length);
    wc_AesFree(&aes);
    return error ? WOLFSSL_TICKET_RET_REJECT : WOLFSSL_TICKET_RET_OK;
}

static int ticket_callback(WOLFSSL *ssl, unsigned char name[WOLFSSL_TICKET_NAME_SZ],
                           unsigned char iv[WOLFSSL_TICKET_IV_SZ],
                           unsigned char mac[WOLFSSL_TICKET_MAC_SZ], int seal,
                           unsigned char *ticket, int length, int *ret_length, void *user) {
    (void)user;
    *ret_length = length;
    if (!seal)
        return ticket_open(ssl, name, iv, mac, ticket, length);
    memset(mac + TAG, 0, WOLFSSL_TICKET_MAC_SZ - TAG);
    return ticket_seal(ssl, name, iv, mac, ticket, length);
}

void tickets_use(struct WOLFSSL_CTX *ctx) {
    wolfSSL_CTX_UseSessionTicket(ctx);
    wolfSSL_CTX_set_TicketEncCb(ctx, ticket_callback);
    wolfSSL_CTX_set_TicketHint(ctx, TICKET_ROTATE_S);
}
