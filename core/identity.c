/* SPDX-License-Identifier: GPL-3.0-or-later
 * identity.c - see identity.h.
 */
#include "core/identity.h"
#include "core/control.h"
#include "core/tls.h"
#include "core/worker.h"
#include "tenants/compiled.h"
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

static unsigned identity_workers;
static int identity_min_version;
static struct identity *dead;
static _Atomic size_t count; /* the loader makes some */

void identities_init(unsigned workers, int tls_min_version) {
    identity_workers = workers;
    identity_min_version = tls_min_version;
}

size_t identities_count(void) {
    return count;
}

static const char CIPHERS[] =
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static int ctx_load(WOLFSSL_CTX *ctx, const struct identity *id) {
    int groups[] = {WOLFSSL_X25519MLKEM768, WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1,
                    WOLFSSL_ECC_SECP384R1};
    int ok = wolfSSL_CTX_SetMinVersion(ctx, identity_min_version >= 3 ? WOLFSSL_TLSV1_3
                                                                      : WOLFSSL_TLSV1_2);
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_set_cipher_list(ctx, CIPHERS);
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_set_groups(ctx, groups, sizeof groups / sizeof *groups);
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_use_certificate_chain_buffer(ctx, (const unsigned char *)id->chain_pem,
                                                      (long)strlen(id->chain_pem));
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_use_PrivateKey_buffer(ctx, (const unsigned char *)id->key_pem,
                                               (long)strlen(id->key_pem), WOLFSSL_FILETYPE_PEM);
    return ok;
}

static WOLFSSL_CTX *ctx_new(const struct identity *id, struct err *err) {
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (!ctx) {
        err_set(err, "out of memory");
        return NULL;
    }
    int ok = ctx_load(ctx, id);
    if (ok != WOLFSSL_SUCCESS) {
        char text[WOLFSSL_MAX_ERROR_SZ];
        wolfSSL_ERR_error_string_n((unsigned long)ok, text, sizeof text);
        err_set(err, "certificate or key can't be used: %s", text);
        wolfSSL_CTX_free(ctx);
        return NULL;
    }
    tls_prepare_context(ctx);
    return ctx;
}

/* ---- contexts that verify clients ---- */

enum { CA_CONTEXTS_MOST = 4 };

struct ca_context {
    struct ca_context *next;
    WOLFSSL_CTX *ctx;
    uint8_t id[32]; /* of the authorities */
};

static void ca_contexts_free(struct ca_context *c) {
    while (c) {
        struct ca_context *next = c->next;
        wolfSSL_CTX_free(c->ctx);
        free(c);
        c = next;
    }
}

static struct ca_context *ca_context_new(const struct identity *id, const struct tls_rules *rules) {
    struct err err;
    struct ca_context *c = calloc(1, sizeof *c);
    c = c && (c->ctx = ctx_new(id, &err)) ? c : (free(c), NULL);
    if (c && wolfSSL_CTX_load_verify_buffer(c->ctx, (const unsigned char *)rules->client_ca,
                                            (long)strlen(rules->client_ca),
                                            WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
        ca_contexts_free(c);
        return NULL;
    }
    if (c)
        memcpy(c->id, rules->client_ca_id, sizeof c->id);
    return c;
}

/* Authorities change now and then: those of before go once there are too many. Their connections hold the context itself. */
static void ca_contexts_trim(struct identity_slot *slot) {
    struct ca_context *last = slot->ca;
    for (unsigned n = 1; last && n < CA_CONTEXTS_MOST; n++)
        last = last->next;
    if (!last)
        return;
    ca_contexts_free(last->next);
    last->next = NULL;
}

static WOLFSSL_CTX *ca_context(const struct identity *id, struct identity_slot *slot,
                               const struct tls_rules *rules) {
    struct ca_context **link = &slot->ca, *c;
    while (*link && memcmp((*link)->id, rules->client_ca_id, sizeof(*link)->id))
        link = &(*link)->next;
    c = *link;
    if (c)
        *link = c->next;
    else if (!(c = ca_context_new(id, rules)))
        return NULL;
    c->next = slot->ca;
    slot->ca = c;
    ca_contexts_trim(slot);
    return c->ctx;
}

/* ---- life ---- */

static void identity_free(struct identity *id) {
    count--;
    for (unsigned i = 0; i < id->workers; i++) {
        if (id->w[i].ctx)
            wolfSSL_CTX_free(id->w[i].ctx);
        ca_contexts_free(id->w[i].ca);
    }
    if (id->key_pem)
        explicit_bzero(id->key_pem, strlen(id->key_pem));
    free(id->key_pem);
    free(id->chain_pem);
    free(id);
}

/* An authority's challenge (RFC 8737) has a critical extension that wolfSSL does not know, and that we need not understand. */
static int extension_accept(const word16 *oid, word32 length, int critical,
                            const unsigned char *der, word32 der_length) {
    (void)oid, (void)length, (void)critical, (void)der, (void)der_length;
    return 0;
}

static bool der_fits(const DerBuffer *leaf, const DerBuffer *key) {
    DecodedCert cert;
    wc_InitDecodedCert(&cert, leaf->buffer, leaf->length, NULL);
    wc_SetUnknownExtCallback(&cert, extension_accept);
    bool fits = !wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, NULL) &&
                wc_CheckPrivateKeyCert(key->buffer, key->length, &cert, 0, NULL) == 1;
    wc_FreeDecodedCert(&cert);
    return fits;
}

static bool key_fits(const struct identity *id) {
    DerBuffer *leaf = NULL, *key = NULL;
    int format = 0;
    bool fits = !wc_PemToDer((const byte *)id->chain_pem, (long)strlen(id->chain_pem), CERT_TYPE,
                             &leaf, NULL, NULL, NULL) &&
                !wc_PemToDer((const byte *)id->key_pem, (long)strlen(id->key_pem), PRIVATEKEY_TYPE,
                             &key, NULL, NULL, &format) &&
                der_fits(leaf, key);
    if (key)
        explicit_bzero(key->buffer, key->length);
    wc_FreeDer(&key);
    wc_FreeDer(&leaf);
    return fits;
}

struct identity *identity_new(const char *chain_pem, const char *key_pem, struct err *err) {
    size_t size = sizeof(struct identity) + identity_workers * sizeof(struct identity_slot);
    struct identity *id = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!id) {
        err_set(err, "out of memory");
        return NULL;
    }
    memset(id, 0, size);
    count++;
    id->workers = identity_workers;
    id->refs = 1;
    id->chain_pem = strdup(chain_pem);
    id->key_pem = strdup(key_pem);
    err_set(err, "out of memory");
    WOLFSSL_CTX *probe = id->chain_pem && id->key_pem ? ctx_new(id, err) : NULL;
    bool fits = probe && key_fits(id);
    if (probe && !fits)
        err_set(err, "the key is not the certificate's");
    wolfSSL_CTX_free(probe);
    if (fits)
        return id;
    identity_free(id);
    return NULL;
}

void identity_ref(struct identity *id) {
    id->refs++;
}

void identity_unref(struct identity *id) {
    if (!id || --id->refs)
        return;
    id->next_dead = dead;
    dead = id;
}

static bool identity_used(const struct identity *id) {
    for (unsigned i = 0; i < id->workers; i++)
        if (atomic_load_explicit(&id->w[i].users, memory_order_acquire))
            return true;
    return false;
}

/* Called after a grace period: whoever could still find it has entered by now. */
void identities_reap(void) {
    struct identity **link = &dead;
    while (*link) {
        struct identity *id = *link;
        if (identity_used(id)) {
            link = &id->next_dead;
            continue;
        }
        *link = id->next_dead;
        identity_free(id);
    }
}

static WOLFSSL_CTX *plain_context(const struct identity *id, struct identity_slot *slot) {
    struct err err;
    if (!slot->ctx)
        slot->ctx = ctx_new(id, &err);
    return slot->ctx;
}

struct WOLFSSL_CTX *identity_enter(struct identity *id, const struct worker *w,
                                   const struct tls_rules *rules) {
    struct identity_slot *slot = &id->w[w->id];
    WOLFSSL_CTX *ctx =
        rules && rules->client_ca ? ca_context(id, slot, rules) : plain_context(id, slot);
    if (!ctx)
        return NULL;
    atomic_store_explicit(&slot->users,
                          atomic_load_explicit(&slot->users, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&slot->asked, true, memory_order_relaxed);
    return ctx;
}

bool identity_asked(struct identity *id) {
    bool asked = false;
    for (unsigned i = 0; i < id->workers; i++)
        asked |= atomic_load_explicit(&id->w[i].asked, memory_order_relaxed);
    for (unsigned i = 0; asked && i < id->workers; i++)
        atomic_store_explicit(&id->w[i].asked, false, memory_order_relaxed);
    return asked;
}

void identity_leave(struct identity *id, const struct worker *w) {
    struct identity_slot *slot = &id->w[w->id];
    atomic_store_explicit(&slot->users,
                          atomic_load_explicit(&slot->users, memory_order_relaxed) - 1,
                          memory_order_release);
}
