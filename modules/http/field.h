/* SPDX-License-Identifier: GPL-3.0-or-later
 * field.h - what a field's name means to a proxy.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field {
    FIELD_PLAIN, /* none of our business: passed on */
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,    /* framing: typed, written anew */
    FIELD_TRANSFER_ENCODING, /* framing: typed, written anew */
    FIELD_CONNECTION,
    FIELD_UPGRADE,
    FIELD_TE,
    FIELD_EXPECT,
    FIELD_HOP,           /* hop-by-hop without a meaning to us: dropped */
    FIELD_KEEP_ALIVE,    /* the same; a pod's says how long it will wait */
    FIELD_FORWARDED_FOR, /* this and below: believed only from a trusted proxy */
    FIELD_FORWARDED_PROTO,
    FIELD_FORWARDED_HOST,
    FIELD_REQUEST_ID,
    FIELD_FORWARDED,      /* RFC 7239 */
    FIELD_FORWARDED_MORE, /* X-Real-IP, ssl-client-… and others of that kind */
    FIELD_SET_COOKIE,
    FIELD_TRACEPARENT, /* w3.org/TR/trace-context: passed on by anyone, if it is good */
    FIELD_TRACESTATE,
};

/* By first letter and length, so that most names cost one comparison or none. '_' counts as '-', for servers that read them alike
 * (CGI): whoever gets anything but FIELD_PLAIN asks field_is_disguised. */
enum field field_classify(const uint8_t *name, size_t length);
static inline bool field_is_disguised(const uint8_t *name, size_t length) {
    return __builtin_memchr(name, '_', length) != NULL;
}
/* Equal but for case? `lower` is lower case. */
bool field_is(const uint8_t *name, size_t length, const char *lower, size_t lower_length);
/* May it stand in a trailer section (RFC 9110 section 6.5.1)? */
bool field_fits_trailer(const uint8_t *name, size_t length);
