/* SPDX-License-Identifier: GPL-3.0-or-later
 * trust.c - see trust.h.
 */
#include "core/trust.h"
#include "core/map.h"
#include "core/tls.h"
#include <stdlib.h>
#include <string.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

static struct map trusts; /* PEM of the authority, "" for none -> struct trust */
static uint64_t serials;

static const char *key_of(const char *ca_pem) {
    return ca_pem ? ca_pem : "";
}

static void trust_free(struct trust *t) {
    for (unsigned i = 0; i < t->slots; i++)
        if (t->ctx[i])
            wolfSSL_CTX_free(t->ctx[i]);
    free(t->ca_pem);
    free(t);
}

static struct trust *trust_new(const char *ca_pem, unsigned workers) {
    struct trust *t = calloc(1, sizeof *t + (workers + 1) * sizeof t->ctx[0]);
    if (!t)
        return NULL;
    t->slots = workers + 1;
    t->serial = ++serials;
    t->refs = 1;
    t->ca_pem = ca_pem ? strdup(ca_pem) : NULL;
    if ((ca_pem && !t->ca_pem) || !map_put(&trusts, key_of(ca_pem), t)) {
        trust_free(t);
        return NULL;
    }
    return t;
}

struct trust *trust_get(const char *ca_pem, unsigned workers) {
    struct trust *t = map_get(&trusts, key_of(ca_pem));
    if (!t)
        return trust_new(ca_pem, workers);
    t->refs++;
    return t;
}

void trust_put(struct trust *t) {
    if (!t || --t->refs)
        return;
    map_remove(&trusts, key_of(t->ca_pem));
    if (!trusts.count)
        map_fini(&trusts);
    trust_free(t);
}

/* ---- contexts ---- */

static bool ctx_load(WOLFSSL_CTX *ctx, const struct trust *t) {
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
    if (wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(ctx, groups, sizeof groups / sizeof *groups) != WOLFSSL_SUCCESS)
        return false;
    wolfSSL_CTX_set_verify(ctx, t->ca_pem ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE, NULL);
    return !t->ca_pem || wolfSSL_CTX_load_verify_buffer(ctx, (const unsigned char *)t->ca_pem,
                                                        (long)strlen(t->ca_pem),
                                                        WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS;
}

struct WOLFSSL_CTX *trust_context(struct trust *t, unsigned slot) {
    if (t->ctx[slot])
        return t->ctx[slot];
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (!ctx)
        return NULL;
    if (!ctx_load(ctx, t)) {
        wolfSSL_CTX_free(ctx);
        return NULL;
    }
    tls_prepare_client_context(ctx);
    return t->ctx[slot] = ctx;
}

/* ---- one connection ---- */

struct WOLFSSL *trust_session(struct WOLFSSL_CTX *ctx, const char *server_name, bool verify,
                              bool http2) {
    char h1[] = "http/1.1", h2[] = "h2";
    WOLFSSL *ssl = wolfSSL_new(ctx);
    if (!ssl)
        return NULL;
    bool good = wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, server_name,
                               (unsigned short)strlen(server_name)) == WOLFSSL_SUCCESS &&
                wolfSSL_UseALPN(ssl, http2 ? h2 : h1, (unsigned)(http2 ? sizeof h2 : sizeof h1) - 1,
                                WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) == WOLFSSL_SUCCESS &&
                (!verify || wolfSSL_check_domain_name(ssl, server_name) == WOLFSSL_SUCCESS);
    if (good)
        return ssl;
    wolfSSL_free(ssl);
    return NULL;
}

bool trust_agreed(struct WOLFSSL *ssl, bool http2) {
    char *name = NULL;
    unsigned short length = 0;
    if (!http2) /* who has no ALPN speaks HTTP/1.1 (RFC 7301 section 3.1 leaves it to him) */
        return true;
    return wolfSSL_ALPN_GetProtocol(ssl, &name, &length) == WOLFSSL_SUCCESS && length == 2 &&
           !memcmp(name, "h2", 2);
}

const char *trust_why(int error) {
    switch (error) {
    case TRUST_NO_H2:
        return "it does not speak HTTP/2 over TLS (ALPN h2)";
    case TRUST_LATE:
        return "its TLS handshake is not done in time";
    case TRUST_BROKEN:
    case SOCKET_PEER_CLOSED_E:
    case SOCKET_ERROR_E:
        return "it breaks the connection during the TLS handshake";
    case ASN_NO_SIGNER_E:
    case ASN_SELF_SIGNED_E:
    case ASN_SIG_CONFIRM_E:
        return "its certificate is signed by no authority of ringress/backend-ca-secret";
    case ASN_AFTER_DATE_E:
        return "its certificate has expired";
    case ASN_BEFORE_DATE_E:
        return "its certificate is not valid yet";
    case DOMAIN_NAME_MISMATCH:
        return "its certificate is for another name than ringress/backend-server-name";
    case FATAL_ERROR:
        return "it ends the TLS handshake with an alert";
    case UNKNOWN_RECORD_TYPE:
    case VERSION_ERROR:
    case INCOMPLETE_DATA:
    case LENGTH_ERROR:
        return "it does not speak TLS 1.2 or 1.3";
    case NO_PEER_CERT:
        return "it shows no certificate";
    default:
        return wolfSSL_ERR_reason_error_string((unsigned long)error);
    }
}
