/* SPDX-License-Identifier: GPL-3.0-or-later
 * records.c - see records.h. Pure, and only for hellos that are cut strangely: nobody pays for it otherwise.
 */
#include "core/records.h"
#include <string.h>

enum { HEADER = 5, HANDSHAKE = 22, MESSAGE_HEADER = 4, PAYLOAD_MOST = 1 << 14 };

static size_t payload_of(const uint8_t *record) {
    return (size_t)record[3] << 8 | record[4];
}

/* The bytes of the whole handshake record at `data`; 0: there is none. */
static size_t record_size(const uint8_t *data, size_t length) {
    if (length < HEADER || data[0] != HANDSHAKE || length < HEADER + payload_of(data))
        return 0;
    return HEADER + payload_of(data);
}

bool records_cut_header(const uint8_t *data, size_t length) {
    return length >= HEADER && data[0] == HANDSHAKE && payload_of(data) < MESSAGE_HEADER;
}

size_t records_join(const uint8_t *data, size_t length, uint8_t *out) {
    size_t read = 0, payload = 0, size;
    while ((size = record_size(data + read, length - read))) {
        if (payload + size - HEADER > PAYLOAD_MOST)
            break;
        memcpy(out + HEADER + payload, data + read + HEADER, size - HEADER);
        payload += size - HEADER;
        read += size;
    }
    if (!read) {
        memcpy(out, data, length);
        return length;
    }
    memcpy(out, data, 3);
    out[3] = (uint8_t)(payload >> 8);
    out[4] = (uint8_t)payload;
    memcpy(out + HEADER + payload, data + read, length - read);
    return HEADER + payload + length - read;
}
