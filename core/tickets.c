/* SPDX-License-Identifier: GPL-3.0-or-later
 * tickets.c - session tickets valid on every worker, bound to one tenant and name (RFC 5077, RFC 8446 section 4.6.1).
 *
 *   ticket = key name | random nonce | AES-256-GCM(state), authenticated data: key name, nonce, tenant uid, SNI
 *
 * A ticket given to one name does not decrypt under another: the client gets a full handshake, never another's session. The keys
 * outlive the process in a file of the state folder (ticket_file.h), so that a restart costs clients no full handshakes.
 */
#include "core/control.h"
#include "core/retire.h"
#include "core/sys.h"
#include "core/ticket_file.h"
#include "core/tls.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>

enum { NONCE = 12, TAG = 16, AAD_MOST = 1024 };

_Static_assert(TICKET_NAME == WOLFSSL_TICKET_NAME_SZ, "the name stands in the ticket as it is");

/* Read by workers, replaced whole by the control thread: key[0] encrypts, all decrypt. */
static struct ticket_keys *keys;
static char *file; /* NULL: they die with the process */

/* ---- the keys ---- */

static void keys_free(void *object) {
    if (object)
        explicit_bzero(object, sizeof(struct ticket_keys));
    free(object);
}

static bool key_make(struct ticket_key *k, int64_t now) {
    k->made = now;
    return getrandom(k->name, sizeof k->name, 0) == sizeof k->name &&
           getrandom(k->secret, sizeof k->secret, 0) == sizeof k->secret;
}

static void keys_keep(const struct ticket_keys *k) {
    struct err err;
    if (file && !ticket_file_write(file, k, &err))
        log_write(1, "ticket keys: %s; sessions will not be resumed after a restart", err.text);
}

/* A new first key; the one before stays for as long as its tickets may be shown. */
static bool keys_rotate(int64_t now) {
    struct ticket_keys *old = keys, *fresh = calloc(1, sizeof *fresh);
    if (!fresh || !key_make(&fresh->key[0], now)) {
        free(fresh);
        return false;
    }
    fresh->count = 1;
    if (old && old->count)
        fresh->key[fresh->count++] = old->key[0];
    __atomic_store_n(&keys, fresh, __ATOMIC_RELEASE);
    if (old)
        retire(old, keys_free);
    keys_keep(fresh);
    return true;
}

static struct ticket_keys *keys_load(int64_t now) {
    struct err err;
    struct ticket_keys *k = calloc(1, sizeof *k);
    if (k && file && !ticket_file_read(file, now, 2 * TICKET_ROTATE_S, k, &err))
        log_write(1, "ticket keys: %s; new ones are made", err.text);
    return k;
}

bool tickets_init(const char *folder) {
    int64_t now = time(NULL);
    if (folder)
        mkdir(folder, 0700); /* the store, too, makes it when it is not there */
    if (folder && asprintf(&file, "%s/ticket-keys", folder) < 0)
        return false;
    keys = keys_load(now);
    return keys && ((keys->count && now - keys->key[0].made < TICKET_ROTATE_S) || keys_rotate(now));
}

void tickets_rotate_if_due(int64_t now) {
    struct ticket_keys *k = keys;
    if (k && now < k->key[0].made - 60) { /* the clock was set back */
        if (keys_rotate(now))
            return;
    }
    if (k && now - k->key[0].made >= TICKET_ROTATE_S)
        keys_rotate(now);
}

void tickets_fini(void) {
    keys_free(keys);
    keys = NULL;
    free(file);
    file = NULL;
}

/* ---- on workers ---- */

static const struct ticket_keys *keys_now(void) {
    return __atomic_load_n(&keys, __ATOMIC_ACQUIRE);
}

static const struct ticket_key *key_find(const uint8_t *name) {
    const struct ticket_keys *k = keys_now();
    for (unsigned i = 0; i < k->count; i++)
        if (!memcmp(k->key[i].name, name, sizeof k->key[i].name))
            return &k->key[i];
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
    const struct ticket_key *k = &keys_now()->key[0];
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
