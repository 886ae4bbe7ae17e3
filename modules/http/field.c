/* SPDX-License-Identifier: GPL-3.0-or-later
 * field.c - what a field's name means to a proxy, see field.h. Pure.
 */
#include "modules/http/field.h"
#include <string.h>

static uint8_t folded(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c | 0x20;
    return c == '_' ? '-' : c;
}

static bool same(const uint8_t *name, const char *lower, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (folded(name[i]) != (uint8_t)lower[i])
            return false;
    return true;
}

#define IS(literal) (length == sizeof(literal) - 1 && same(name, literal, sizeof(literal) - 1))
#define STARTS(literal) (length >= sizeof(literal) - 1 && same(name, literal, sizeof(literal) - 1))

static enum field classify_c(const uint8_t *name, size_t length) {
    if (IS("connection"))
        return FIELD_CONNECTION;
    if (IS("content-length"))
        return FIELD_CONTENT_LENGTH;
    return FIELD_PLAIN;
}

static enum field classify_t(const uint8_t *name, size_t length) {
    if (IS("te"))
        return FIELD_TE;
    if (IS("transfer-encoding"))
        return FIELD_TRANSFER_ENCODING;
    if (IS("traceparent"))
        return FIELD_TRACEPARENT;
    if (IS("tracestate"))
        return FIELD_TRACESTATE;
    return IS("trailer") ? FIELD_HOP : FIELD_PLAIN;
}

static enum field classify_x(const uint8_t *name, size_t length) {
    if (IS("x-request-id"))
        return FIELD_REQUEST_ID;
    if (IS("x-real-ip"))
        return FIELD_FORWARDED_MORE;
    if (!STARTS("x-forwarded-"))
        return FIELD_PLAIN;
    if (IS("x-forwarded-for"))
        return FIELD_FORWARDED_FOR;
    if (IS("x-forwarded-proto"))
        return FIELD_FORWARDED_PROTO;
    return IS("x-forwarded-host") ? FIELD_FORWARDED_HOST : FIELD_FORWARDED_MORE;
}

enum field field_classify(const uint8_t *name, size_t length) {
    switch (length ? name[0] | 0x20 : 0) {
    case 'c':
        return classify_c(name, length);
    case 'e':
        return IS("expect") ? FIELD_EXPECT : FIELD_PLAIN;
    case 'f':
        return IS("forwarded") ? FIELD_FORWARDED : FIELD_PLAIN;
    case 'h': /* HTTP2-Settings asks for h2c, which would be a tunnel past the router */
        return IS("host") ? FIELD_HOST : IS("http2-settings") ? FIELD_HOP : FIELD_PLAIN;
    case 'k':
        return IS("keep-alive") ? FIELD_KEEP_ALIVE : FIELD_PLAIN;
    case 'p': /* "Proxy" alone becomes HTTP_PROXY in CGI programs */
        return IS("proxy") || STARTS("proxy-") ? FIELD_HOP : FIELD_PLAIN;
    case 's': /* what ingress-nginx calls the certificate a client has shown */
        return IS("set-cookie")        ? FIELD_SET_COOKIE
               : STARTS("ssl-client-") ? FIELD_FORWARDED_MORE
                                       : FIELD_PLAIN;
    case 't':
        return classify_t(name, length);
    case 'u':
        return IS("upgrade") ? FIELD_UPGRADE : FIELD_PLAIN;
    case 'x':
        return classify_x(name, length);
    default:
        return FIELD_PLAIN;
    }
}

bool field_is(const uint8_t *name, size_t length, const char *lower, size_t lower_length) {
    if (length != lower_length)
        return false;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = name[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)lower[i])
            return false;
    }
    return true;
}

bool field_fits_trailer(const uint8_t *name, size_t length) {
    static const char *const refused[] = {"age",
                                          "authorization",
                                          "cache-control",
                                          "content-encoding",
                                          "content-range",
                                          "content-type",
                                          "cookie",
                                          "date",
                                          "expires",
                                          "if-match",
                                          "if-modified-since",
                                          "if-none-match",
                                          "if-range",
                                          "if-unmodified-since",
                                          "location",
                                          "max-forwards",
                                          "pragma",
                                          "range",
                                          "retry-after",
                                          "vary",
                                          "warning",
                                          "www-authenticate"};
    if (field_classify(name, length) != FIELD_PLAIN)
        return false;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        if (field_is(name, length, refused[i], strlen(refused[i])))
            return false;
    return true;
}
