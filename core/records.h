/* SPDX-License-Identifier: GPL-3.0-or-later
 * records.h - TLS handshake records before any key: the same messages in fewer records.
 *
 * RFC 8446 section 5.1 lets records cut a handshake message anywhere, also inside its header of four bytes; wolfSSL reads
 * that header from one record only. Which records carried a message is not part of what the handshake signs.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is the header of the first message cut? */
bool records_cut_header(const uint8_t *data, size_t length);
/* The whole handshake records that `data` starts with as one, then what follows as it is. `out` has room for `length` bytes;
 * returns how many were written. Whole records of more than 2^14 bytes together are left as they are. */
size_t records_join(const uint8_t *data, size_t length, uint8_t *out);
