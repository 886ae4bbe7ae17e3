/* SPDX-License-Identifier: GPL-3.0-or-later
 * pq_client.c - a TLS client that insists on the hybrid post-quantum key exchange; OpenSSL 3.0 can't be one.
 *
 *   pq_client PORT NAME CA.pem      prints "TLSv1.3 X25519MLKEM768" when that is what was agreed on
 *
 * Built by test_tls.py with the wolfSSL the edge itself is built with.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static int fail(const char *what) {
    fprintf(stderr, "pq_client: %s\n", what);
    return 1;
}

static int connect_to(const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (struct sockaddr *)&to, sizeof to) ? -1 : fd;
}

int main(int argc, char **argv) {
    int groups[] = {WOLFSSL_X25519MLKEM768};
    if (argc != 4)
        return fail("usage: pq_client PORT NAME CA");
    wolfSSL_Init();
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    if (!ctx || wolfSSL_CTX_load_verify_locations(ctx, argv[3], NULL) != WOLFSSL_SUCCESS)
        return fail("context");
    WOLFSSL *ssl = wolfSSL_new(ctx);
    int fd = connect_to(argv[1]);
    if (!ssl || fd < 0 || wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS)
        return fail("connect");
    wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, argv[2], (unsigned short)strlen(argv[2]));
    if (wolfSSL_set_groups(ssl, groups, 1) != WOLFSSL_SUCCESS ||
        wolfSSL_UseKeyShare(ssl, WOLFSSL_X25519MLKEM768) != WOLFSSL_SUCCESS)
        return fail("groups");
    if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS)
        return fail(wolfSSL_ERR_reason_error_string((unsigned long)wolfSSL_get_error(ssl, 0)));
    /* No other group was offered, so a handshake that is done has used it. */
    printf("%s X25519MLKEM768\n", wolfSSL_get_version(ssl));
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(ctx);
    return 0;
}
