/* SPDX-License-Identifier: GPL-3.0-or-later
 * base64.h - bytes as letters, RFC 4648: base64 with padding (section 4), base64url without (section 5). Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* base64url of so many bytes, with its NUL. */
#define BASE64URL_ROOM(length) (((length)*4 + 2) / 3 + 1)
void base64url_print(const void *, size_t length, char *out);

/* malloc'd; NULL: no memory. */
char *base64(const void *, size_t length);
char *base64url(const void *, size_t length);

/* False: not base64url without padding (RFC 7515 section 2), or no memory. *ret is malloc'd. */
bool base64url_decode(const char *text, uint8_t **ret, size_t *ret_length);
