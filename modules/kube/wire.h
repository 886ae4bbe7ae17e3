/* SPDX-License-Identifier: GPL-3.0-or-later
 * wire.h - TLS over a non-blocking socket, for the one thread of this module.
 */
#pragma once
#include "core/diag.h"
#include <stddef.h>
#include <sys/types.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

/* TLS 1.2 and up, ALPN http/1.1. NULL: *err. */
struct WOLFSSL_CTX *wire_context(const char *chain_pem, const char *key_pem, struct err *);
void wire_context_free(struct WOLFSSL_CTX *);

enum wire_answer { WIRE_DONE, WIRE_WANTS_READ, WIRE_WANTS_WRITE, WIRE_BROKEN };

struct wire {
    struct WOLFSSL *ssl;
    int fd;     /* the wire's */
    bool open;  /* the handshake is done */
    bool begun; /* something of it has come */
};
bool wire_init(struct wire *, struct WOLFSSL_CTX *, int fd); /* false: `fd` is still the caller's */
void wire_fini(struct wire *); /* says goodbye if that can be said at once */
enum wire_answer wire_handshake(struct wire *);
/* WIRE_DONE: *ret bytes, at least one. The end of the stream is WIRE_BROKEN. */
enum wire_answer wire_read(struct wire *, void *out, size_t room, size_t *ret);
/* After WIRE_WANTS_WRITE the same bytes must come again. */
enum wire_answer wire_write(struct wire *, const void *data, size_t length, size_t *ret);
