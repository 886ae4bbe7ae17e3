/* SPDX-License-Identifier: GPL-3.0-or-later
 * client_auth.c - see client_auth.h.
 */
#include "core/client_auth.h"
#include "core/dn.h"
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#ifndef WOLFSSL_ALWAYS_VERIFY_CB
#error \
    "wolfSSL must be built with WOLFSSL_ALWAYS_VERIFY_CB (deps/wolfssl): else good certificates are never seen"
#endif

/* ---- whose it is ---- */

static bool subject_keep(struct client_auth *auth, const char *text) {
    size_t length = strlen(text);
    if (auth->subject)
        worker_free(auth->worker, auth->subject, auth->subject_length + 1u);
    auth->subject = worker_alloc(auth->worker, length + 1);
    if (!auth->subject)
        return false;
    memcpy(auth->subject, text, length + 1);
    auth->subject_length = (uint16_t)length;
    return true;
}

static bool subject_read(struct client_auth *auth, const WOLFSSL_BUFFER_INFO *leaf) {
    DecodedCert cert;
    char text[CLIENT_SUBJECT_MOST + 1];
    wc_InitDecodedCert(&cert, leaf->buffer, leaf->length, NULL);
    bool good = wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, NULL) == 0 && cert.subjectRaw &&
                dn_print(cert.subjectRaw, (size_t)cert.subjectRawLen, text, sizeof text) &&
                subject_keep(auth, text);
    wc_FreeDecodedCert(&cert);
    return good;
}

/* Called for what failed, and for the leaf of what did not. That its key is the client's as well is shown by the handshake's end. */
static int verified(int good, WOLFSSL_X509_STORE_CTX *store) {
    struct client_auth *auth = store->userCtx;
    if (!good || store->error_depth || !store->totalCerts) /* none was shown, and none had to be */
        return good;
    auth->shown = subject_read(auth, &store->certs[0]);
    return auth->shown;
}

/* ---- asking ---- */

static struct client_auth *client_auth_new(struct worker *w, const struct tls_rules *rules) {
    struct client_auth *auth = worker_alloc(w, sizeof *auth);
    if (auth) {
        auth->worker = w;
        auth->asked = rules->client;
        memcpy(auth->client_ca_id, rules->client_ca_id, sizeof auth->client_ca_id);
    }
    return auth;
}

bool client_auth_begin(struct worker *w, WOLFSSL *ssl, const struct tls_rules *rules,
                       struct client_auth **ret) {
    *ret = NULL;
    if (rules && rules->min_version == 3 &&
        wolfSSL_SetMinVersion(ssl, WOLFSSL_TLSV1_3) != WOLFSSL_SUCCESS)
        return false;
    if (!rules || !rules->client)
        return true;
    *ret = rules->client_ca ? client_auth_new(w, rules) : NULL;
    if (!*ret)
        return false;
    wolfSSL_set_verify(ssl,
                       rules->client == CLIENT_REQUIRED
                           ? WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : WOLFSSL_VERIFY_PEER,
                       verified);
    wolfSSL_SetCertCbCtx(ssl, *ret);
    wolfSSL_NoTicketTLSv12(ssl);
    wolfSSL_no_ticket_TLSv13(ssl);
    return true;
}

void client_auth_free(struct client_auth *auth) {
    if (!auth)
        return;
    if (auth->subject)
        worker_free(auth->worker, auth->subject, auth->subject_length + 1u);
    worker_free(auth->worker, auth, sizeof *auth);
}

/* ---- judging ---- */

bool client_auth_meets(const struct client_auth *auth, const char *version,
                       const struct tls_rules *rules) {
    if (!rules)
        return true;
    if (rules->min_version == 3 && strcmp(version, "TLSv1.3"))
        return false;
    if (!rules->client)
        return true;
    return auth && rules->client_ca &&
           !memcmp(auth->client_ca_id, rules->client_ca_id, sizeof auth->client_ca_id) &&
           (auth->shown || rules->client != CLIENT_REQUIRED);
}
