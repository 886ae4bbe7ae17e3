/* SPDX-License-Identifier: GPL-3.0-or-later
 * update.h - a TXT record put into a zone and taken out again: DNS UPDATE (RFC 2136), signed by TSIG (RFC 8945, hmac-sha256).
 *
 *   update_build -> bytes -> [sent] -> bytes -> update_read        pure, both
 *   update_send: all of it, on a thread that may wait
 *
 * Both changes may be repeated: adding what is there and removing what is not are no errors.
 */
#pragma once
#include "core/diag.h"
#include <stddef.h>
#include <stdint.h>

enum {
    UPDATE_NAME_MAX = 253,
    UPDATE_SECRET_MAX = 128, /* bytes of a TSIG secret */
    UPDATE_MAC_LENGTH = 32,
    UPDATE_TEXT_MAX = 1024,
    UPDATE_MESSAGE_MAX = 2048, /* the longest that update_build makes */
    UPDATE_PATIENCE_MS = 10000
};

struct tsig_key {
    char name[UPDATE_NAME_MAX + 1]; /* lower case, without a final dot */
    uint8_t secret[UPDATE_SECRET_MAX];
    size_t secret_length;
};
/* "NAME:BASE64" or "hmac-sha256:NAME:BASE64", as knot's and BIND's tools print keys. False: *err says why, never with the
 * secret in it. */
bool tsig_key_parse(const char *text, struct tsig_key *ret, struct err *);

struct update {
    const char *zone; /* that the server is asked to change: "example.com" */
    const char *name; /* of the record: "_acme-challenge.www.example.com" */
    const char *
        text; /* of the TXT; at most UPDATE_TEXT_MAX; NULL: all TXT of that name (only with `remove`) */
    uint32_t ttl; /* seconds */
    bool remove;
};

/* What is to be sent: its length, and what the answer must be signed over. 0: the names or the text can't be in a message. */
size_t update_build(const struct update *, const struct tsig_key *, uint16_t id, uint64_t now,
                    uint8_t out[UPDATE_MESSAGE_MAX], uint8_t ret_mac[UPDATE_MAC_LENGTH]);

enum update_answer {
    UPDATE_DONE,
    UPDATE_REFUSED,   /* by the server, for `why` */
    UPDATE_TRUNCATED, /* ask again by TCP */
    UPDATE_FOREIGN, /* no answer to this request, or one that is not signed as it must be: go on waiting */
};
/* `why` (64 bytes, "" when there is nothing to say): the server's reason in words. */
enum update_answer update_read(const uint8_t *answer, size_t length, uint16_t id,
                               const struct tsig_key *,
                               const uint8_t request_mac[UPDATE_MAC_LENGTH], uint64_t now,
                               char why[64]);

/* By UDP, and by TCP when that brings nothing. `server`: "ADDRESS", "ADDRESS:PORT", "[ADDRESS]:PORT" or a host's name with or
 * without a port. Waits at most UPDATE_PATIENCE_MS. False: *err. */
bool update_send(const char *server, const struct update *, const struct tsig_key *, struct err *);
