/* SPDX-License-Identifier: GPL-3.0-or-later
 * body.h - one direction's way out: a head, then a body in the framing chosen, into a stream.
 *
 *   head area:  | head | small body parts, chunk lines, trailers | spare |
 *                      ^ sent: what was written to the stream
 *
 * Parts of up to BODY_SMALL bytes are copied behind the head while the area has room, so that one send carries all; bigger ones go as
 * slices of the buffer they came in. On HTTP/2 (`way`) the head area holds head and trailers only, and h2_out.c makes frames of them.
 */
#pragma once
#include "core/stream.h"
#include "modules/http/message.h"

enum { BODY_SMALL = 1024 };

struct body_out;
/* Another wire than HTTP/1 with the same four verbs. */
struct body_way {
    void (*flush)(struct body_out *, uint32_t end);
    void (*part)(struct body_out *, const struct slice *source, const uint8_t *at, size_t length);
    void (*last)(struct body_out *);
    void (*end)(struct body_out *);
};

struct body_out {
    const struct body_way *way; /* NULL: HTTP/1, written below */
    struct stream *to;
    struct head *head;
    uint32_t sent;
    uint64_t bytes; /* that were given to the stream */
    bool chunked : 1;
    bool open : 1;   /* a chunk's closing CRLF is owed */
    bool full : 1;   /* the stream asked for a pause */
    bool dead : 1;   /* the stream takes no more */
    bool failed : 1; /* no memory for framing: the message can't be finished */
    bool direct : 1; /* parts have bypassed the head area: it is not the whole of what was sent */
};

/* Writes what the head area holds before `end`. */
void body_flush(struct body_out *, uint32_t end);
/* `at` lies in `source`, whose reference the caller keeps. */
void body_part(struct body_out *, const struct slice *source, const uint8_t *at, size_t length);
/* The last chunk's size line goes into the head area; trailer fields may follow there, then body_end. */
void body_last(struct body_out *);
/* The empty line after the trailers. */
void body_end(struct body_out *);
/* The head area from the start again, to another stream. Only while not `direct`. */
void body_replay(struct body_out *, struct stream *to);
