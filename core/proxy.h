/* SPDX-License-Identifier: GPL-3.0-or-later
 * proxy.h - the PROXY protocol (haproxy.org, proxy-protocol.txt): who a connection comes from, said in its first bytes.
 *
 *   v1   "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
 *   v2   12 bytes of signature, version and command, family, length; addresses, TLVs
 *
 * Pure: bytes in, types out, and back. Knows no sockets.
 */
#pragma once
#include "tenants/compiled.h"

enum {
    PROXY_V1_MOST = 107,  /* with its CRLF */
    PROXY_V2_MOST = 4096, /* with TLVs; the protocol could say up to 65,551 */
    PROXY_WRITE_MOST = 128,
    PROXY_SIGNATURE = 12,
    PROXY_WORD = 6, /* "PROXY " */
};

enum proxy_step {
    PROXY_MORE, /* so far so good */
    PROXY_DONE,
    PROXY_BAD,
};

struct proxy_header {
    /* Family 0 in both: the proxy speaks for itself (LOCAL), or does not say (UNKNOWN): the socket's own addresses count. */
    union address source, destination;
    size_t length; /* of the header: what follows is the client's */
};

/* `data`: all bytes of the connection so far. */
enum proxy_step proxy_read(const uint8_t *data, size_t length, struct proxy_header *ret);
/* `version`: 1 or 2. Two addresses of different families, or unknown ones: UNKNOWN, in v2 LOCAL. Returns the length. */
size_t proxy_write(unsigned version, const union address *source, const union address *destination,
                   uint8_t out[PROXY_WRITE_MOST]);

/* Watches a stream's first bytes for the beginning of a header where none may be; starts zeroed. True: it is one; the bytes
 * that complete its signature must not be passed on. */
struct proxy_watch {
    uint8_t seen; /* bytes that agreed so far */
    bool over;    /* it is none */
};
bool proxy_watch(struct proxy_watch *, const uint8_t *data, size_t length);
