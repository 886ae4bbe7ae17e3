/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_message.h - header blocks of HTTP/2 <-> the typed messages and heads of HTTP/1 (message.h, head.h).
 *
 *   :method :path :authority, fields --block_field, ..._done--> "GET /path HTTP/1.1\r\nHost: ...\r\nfields" in the head, judged
 *   head --head_to_request, head_to_response, lines_to_fields--> name/value pairs
 *
 * So the rules of request.c and response.c hold for both, and a head goes to either kind of pod or client. What HTTP/2 could carry and
 * HTTP/1 can't (RFC 9113 section 8.2.1: CR, LF, NUL, spaces around values; 8.2.2: connection-specific fields) is refused here, whether or
 * not nghttp2 would have let it pass. Pure: unit-tested and fuzzed alone.
 */
#pragma once
#include "modules/http/message.h"
#include <nghttp2/nghttp2.h>

enum { AUTHORITY_MAX = 260, PAIRS_MAX = FIELDS_MAX + 24 };

struct block {       /* one header block while it comes in; one per connection */
    uint16_t status; /* not 0: refused with that; the rest is not looked at */
    uint8_t method;
    bool method_seen : 1, path_seen : 1, scheme_seen : 1, authority_seen : 1, status_seen : 1;
    bool protocol_seen : 1; /* of an extended CONNECT (RFC 8441); websocket, that is */
    bool connect : 1;
    bool started : 1; /* the start line stands in the head */
    bool length_seen : 1;
    uint16_t authority_length;
    uint32_t cookie_end; /* where Cookie's value ends in the head; 0: none yet */
    uint32_t path_length;
    uint8_t authority[AUTHORITY_MAX];
};

/* `m` is from message_init. Pairs in the order they came. */
void block_begin(struct block *);
void block_field(struct block *, struct message *, const uint8_t *name, size_t name_length,
                 const uint8_t *value, size_t value_length);
/* All pairs are there: judges, tells m->sink. 0, or the status to refuse with. `ended`: there is no body. `key`: for the
 * Sec-WebSocket-Key of a handshake that HTTP/2 does not have, 24 characters. */
int block_request_done(struct block *, struct message *, bool ended, const char *key);
int block_response_done(struct block *, struct message *, bool ended);
/* A pair of a trailer section, after message_body_end. 0 or the status. */
int trailer_field(struct message *, const uint8_t *name, size_t name_length, const uint8_t *value,
                  size_t value_length);

/* The other way: pairs that point into `h` (field names become lower case there). Return how many; 0: can't be. `end`: behind the
 * head's empty line. */
size_t head_to_request(struct head *, uint32_t from, uint32_t end, bool tls,
                       nghttp2_nv out[PAIRS_MAX]);
size_t head_to_response(struct head *, uint32_t from, uint32_t end, nghttp2_nv out[PAIRS_MAX],
                        int *ret_status);
size_t lines_to_fields(struct head *, uint32_t from, uint32_t end, nghttp2_nv out[PAIRS_MAX]);
