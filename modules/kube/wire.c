/* SPDX-License-Identifier: GPL-3.0-or-later
 * wire.c - see wire.h. No session tickets: kubectl makes few connections and holds them.
 */
#include "modules/kube/wire.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static int socket_recv(WOLFSSL *ssl, char *out, int size, void *user) {
    const struct wire *w = user;
    ssize_t n = recv(w->fd, out, (size_t)size, MSG_DONTWAIT);
    (void)ssl;
    if (n > 0)
        return (int)n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return WOLFSSL_CBIO_ERR_WANT_READ;
    return n ? WOLFSSL_CBIO_ERR_CONN_RST : WOLFSSL_CBIO_ERR_CONN_CLOSE;
}

static int socket_send(WOLFSSL *ssl, char *data, int size, void *user) {
    const struct wire *w = user;
    ssize_t n = send(w->fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)ssl;
    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EINTR ? WOLFSSL_CBIO_ERR_WANT_WRITE
                                             : WOLFSSL_CBIO_ERR_CONN_RST;
}

struct WOLFSSL_CTX *wire_context(const char *chain, const char *key, struct err *err) {
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (!ctx) {
        err_set(err, "out of memory");
        return NULL;
    }
    int ok = wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2);
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_use_certificate_chain_buffer(ctx, (const unsigned char *)chain,
                                                      (long)strlen(chain));
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_use_PrivateKey_buffer(ctx, (const unsigned char *)key, (long)strlen(key),
                                               WOLFSSL_FILETYPE_PEM);
    if (ok == WOLFSSL_SUCCESS)
        ok = wolfSSL_CTX_check_private_key(ctx);
    if (ok != WOLFSSL_SUCCESS) {
        err_set(err, "kube: the certificate or its key can't be used (wolfSSL %d)", ok);
        wolfSSL_CTX_free(ctx);
        return NULL;
    }
    wolfSSL_CTX_SetIORecv(ctx, socket_recv);
    wolfSSL_CTX_SetIOSend(ctx, socket_send);
    return ctx;
}

void wire_context_free(struct WOLFSSL_CTX *ctx) {
    wolfSSL_CTX_free(ctx);
}

bool wire_init(struct wire *w, struct WOLFSSL_CTX *ctx, int fd) {
    static char protocols[] = "http/1.1";
    *w = (struct wire){.ssl = wolfSSL_new(ctx), .fd = fd};
    if (!w->ssl)
        return false;
    wolfSSL_SetIOReadCtx(w->ssl, w);
    wolfSSL_SetIOWriteCtx(w->ssl, w);
    if (wolfSSL_UseALPN(w->ssl, protocols, sizeof protocols - 1,
                        WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) == WOLFSSL_SUCCESS)
        return true;
    wolfSSL_free(w->ssl);
    return false;
}

void wire_fini(struct wire *w) {
    if (w->open)
        wolfSSL_shutdown(w->ssl);
    wolfSSL_free(w->ssl);
    close(w->fd);
}

static enum wire_answer answer_of(struct wire *w, int result) {
    int error = wolfSSL_get_error(w->ssl, result);
    return error == WOLFSSL_ERROR_WANT_READ    ? WIRE_WANTS_READ
           : error == WOLFSSL_ERROR_WANT_WRITE ? WIRE_WANTS_WRITE
                                               : WIRE_BROKEN;
}

/* As Go's server says it, which kubectl shows: whoever asks without TLS is told so. */
static bool is_plain_http(struct wire *w) {
    static const char words[] = "HTTP/1.0 400 Bad Request\r\nContent-Length: 48\r\n\r\n"
                                "Client sent an HTTP request to an HTTPS server.\n";
    char said[4096];
    if (w->begun || recv(w->fd, said, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
        return false;
    w->begun = true;
    if (*said < 'A' || *said > 'Z') /* a record of TLS begins with a number */
        return false;
    while (recv(w->fd, said, sizeof said, MSG_DONTWAIT) == sizeof said)
        continue; /* what is not read would reset the connection before the answer is */
    (void)!send(w->fd, words, sizeof words - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return true;
}

enum wire_answer wire_handshake(struct wire *w) {
    if (is_plain_http(w))
        return WIRE_BROKEN;
    int result = wolfSSL_accept(w->ssl);
    w->open = result == WOLFSSL_SUCCESS;
    return w->open ? WIRE_DONE : answer_of(w, result);
}

enum wire_answer wire_read(struct wire *w, void *out, size_t room, size_t *ret) {
    int n = wolfSSL_read(w->ssl, out, (int)room);
    if (n <= 0)
        return answer_of(w, n);
    *ret = (size_t)n;
    return WIRE_DONE;
}

enum wire_answer wire_write(struct wire *w, const void *data, size_t length, size_t *ret) {
    int n = wolfSSL_write(w->ssl, data, (int)length);
    if (n <= 0)
        return answer_of(w, n);
    *ret = (size_t)n;
    return WIRE_DONE;
}
