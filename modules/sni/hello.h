/* SPDX-License-Identifier: GPL-3.0-or-later
 * hello.h - what a TLS ClientHello says, read from however many bytes have come (RFC 8446 section 4.1.2, RFC 6066).
 *
 *   bytes -> records -> handshake message -> extensions -> struct hello
 *
 * Pure: no allocation, no sockets. A byte is framed once, however the stream is cut; the message is parsed once, when it
 * is whole. The answer depends on the stream alone: once it is not HELLO_MORE, more bytes never change it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HELLO_SIZE_MAX = 16 * 1024, /* the largest message that can be allowed, with its header of 4 */
    HELLO_SNI_MAX = 255,
    HELLO_ALPN_MAX = 255,
};

/* RFC 8446 section 6. */
enum tls_alert {
    TLS_ALERT_UNEXPECTED_MESSAGE = 10,
    TLS_ALERT_RECORD_OVERFLOW = 22,
    TLS_ALERT_HANDSHAKE_FAILURE = 40,
    TLS_ALERT_ILLEGAL_PARAMETER = 47,
    TLS_ALERT_ACCESS_DENIED = 49,
    TLS_ALERT_DECODE_ERROR = 50,
    TLS_ALERT_PROTOCOL_VERSION = 70,
    TLS_ALERT_INTERNAL_ERROR = 80,
    TLS_ALERT_UNRECOGNIZED_NAME = 112,
    TLS_ALERT_NO_APPLICATION_PROTOCOL = 120,
};

enum hello_answer {
    HELLO_MORE,  /* call again when there is more */
    HELLO_WHOLE, /* *ret_hello is filled */
    HELLO_TEXT,  /* somebody speaks a text protocol (plain HTTP) to a TLS port */
    HELLO_BAD,   /* *ret_alert says how to refuse it */
};

/* How far a stream has been framed. Zeroed at its start, kept between calls, never looked into. */
struct hello_scan {
    uint32_t offset;      /* bytes of the stream that are done with */
    uint32_t record_left; /* payload of the current record that is still to come */
    uint32_t gathered;    /* bytes of the handshake message among `offset` */
    uint32_t need;        /* the whole message, header included; 0: not known yet */
    uint8_t header[4];    /* its type and length, which records may split */
    bool split;           /* it spans records */
};

struct hello {
    uint16_t version; /* the highest offered: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3 */
    size_t sni_length;
    char sni[HELLO_SNI_MAX + 1]; /* the host_name as sent, NUL-terminated; "" when there is none */
    bool alpn_more;              /* something did not fit into */
    size_t alpn_length;
    uint8_t alpn[HELLO_ALPN_MAX]; /* as on the wire: length, name, length, name, … as many as fit */
};

/* `data`: the stream from its first byte, at least as long as at the last call. `size_max`: of the message; a stream is
 * given twice that to deliver it (records cost five bytes each). Only what the answer names is written. */
enum hello_answer hello_read(struct hello_scan *, const uint8_t *data, size_t length,
                             size_t size_max, struct hello *ret_hello, enum tls_alert *ret_alert);

/* Is this protocol ("http/1.1") among those offered by ALPN? */
bool hello_offers(const struct hello *, const char *protocol);
/* Is it all that is offered? */
bool hello_offers_only(const struct hello *, const char *protocol);
