/* SPDX-License-Identifier: GPL-3.0-or-later
 * base64.c - see base64.h.
 */
#include "core/base64.h"
#include <stdlib.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char standard[] = LETTERS "+/", for_urls[] = LETTERS "-_";

/* Returns where they end. */
static char *letters_print(const char *alphabet, const uint8_t *bytes, size_t length, char *out) {
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = alphabet[bits >> (have - 6) & 63];
    }
    if (have)
        *out++ = alphabet[bits << (6 - have) & 63];
    return out;
}

char *base64(const void *data, size_t length) {
    char *text = malloc((length + 2) / 3 * 4 + 1);
    if (!text)
        return NULL;
    char *end = letters_print(standard, data, length, text);
    while ((end - text) % 4)
        *end++ = '=';
    *end = 0;
    return text;
}

void base64url_print(const void *data, size_t length, char *out) {
    *letters_print(for_urls, data, length, out) = 0;
}

char *base64url(const void *data, size_t length) {
    char *text = malloc(BASE64URL_ROOM(length));
    if (text)
        base64url_print(data, length, text);
    return text;
}

bool base64url_decode(const char *text, uint8_t **ret, size_t *ret_length) {
    size_t length = strlen(text), n = 0;
    uint8_t *out = length % 4 == 1 ? NULL : malloc(length / 4 * 3 + 4);
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; out && i < length; i++) {
        const char *c = strchr(for_urls, text[i]);
        if (!c) {
            free(out);
            return false;
        }
        bits = bits << 6 | (uint32_t)(c - for_urls);
        have += 6;
        if (have >= 8)
            out[n++] = (uint8_t)(bits >> (have -= 8));
    }
    if (!out || bits & ((1u << have) - 1)) { /* bits that say nothing must be zero */
        free(out);
        return false;
    }
    *ret = out;
    *ret_length = n;
    return true;
}
