/* SPDX-License-Identifier: GPL-3.0-or-later
 * message.h - one HTTP message as it comes in, turned into types and into a new head; from HTTP/1 by llhttp's callbacks, from
 * HTTP/2 by h2_message.h.
 *
 *   bytes --message_feed--> [llhttp, strict] --> head: new start line and fields      (written as they come, framing left out)
 *                                            --> length, framing, wishes of the connection (typed)
 *                                            --> body spans, trailers
 *
 * The same code reads requests and responses; request.c and response.c hold the rules of each. Works for any fragmentation: each byte
 * of a head is copied once. Knows no streams and no routes: unit-tested and fuzzed alone.
 */
#pragma once
#include "modules/http/field.h"
#include "modules/http/head.h"
#include <llhttp.h>

enum {
    HEAD_MAX = 32 * 1024,  /* bytes of a head or of trailers as received: 431 */
    TARGET_MAX = 8 * 1024, /* 414 */
    FIELDS_MAX = 100,      /* 431 */
    EXTENSIONS_MAX = 4096, /* bytes of chunk extensions in one message: 400 */
    SIZE_DIGITS_MAX = 16,  /* of a chunk's size: 400 */
    NAMES_MAX = 512,       /* bytes of a Connection field that names others: 431 */
};

enum framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

enum step {
    STEP_MORE,   /* all bytes taken */
    STEP_PAUSED, /* head_done said so; the body is next */
    STEP_DONE,   /* the message is whole; what follows is another's */
    STEP_BAD,    /* message->refusal says why, as the status to answer */
};
enum { MESSAGE_PAUSE = -1 }; /* head_done: stop before the body */

struct message;
struct message_sink {
    /* The head is judged and good. 0, MESSAGE_PAUSE, or the status to refuse it with. */
    int (*head_done)(struct message *);
    void (*body)(struct message *, const uint8_t *at, size_t length);
    void (*body_last)(
        struct message
            *); /* chunked: the last chunk's size has come, trailers follow; may be NULL */
};

struct message {
    llhttp_t parser; /* first: the callbacks find us by it */
    const struct message_sink *sink;
    struct head head;
    uintptr_t
        origin; /* where the first byte would lie if all of the message lay before what is being parsed */
    size_t fed; /* bytes parsed so far */
    uint32_t
        word; /* request: where the last word of the request line ended, from origin; 0: see message.c */
    uint64_t length; /* FRAMING_LENGTH */
    uint32_t start;  /* where in head this message begins */
    uint32_t target; /* request: where the target begins, its whole length, that of its path */
    uint32_t target_length, path_length;
    uint32_t fields;      /* where the fields begin */
    uint32_t name, value; /* the field that is being read */
    uint32_t host, host_length;
    uint32_t forwarded_for_end; /* where the last X-Forwarded-For's value ends, or 0 */
    uint32_t forwarded_end;     /* the same of Forwarded */
    uint32_t raw;               /* bytes of head or trailers taken */
    uint16_t extensions;
    uint16_t refusal;
    uint16_t status; /* response */
    uint16_t keep_s; /* response: how long its sender will wait for another request; 0: not said */
    uint8_t count;   /* fields */
    uint8_t digits;  /* of the chunk size that is being read */
    uint8_t framing;
    uint8_t method; /* llhttp_method_t; of a response: its request's */
    bool request : 1;
    bool keep_trailers : 1; /* by whoever reads: they can be passed on */
    bool trust : 1;         /* request: the peer's X-Forwarded-* are believed */
    bool begun : 1;         /* a byte has come */
    bool paused : 1;        /* by head_done */
    bool sizing : 1;        /* a chunk's size is next, or has begun */
    bool complete : 1;      /* the head */
    bool trailing : 1;
    bool http_1_0 : 1;
    bool absolute : 1, host_seen : 1;
    bool close : 1, keep_alive : 1, upgrade : 1; /* elements of Connection */
    bool nominates : 1;                          /* Connection names other fields */
    bool trailers_wanted : 1;                    /* TE: trailers */
    bool transfer_encoding : 1, upgrade_seen : 1, expects : 1;
    bool has_proto : 1, has_forwarded_host : 1, has_request_id : 1;
    bool has_trace : 1, bad_trace : 1, has_trace_state : 1;
    const char *const
        *cookie_domain; /* response: where the tenant's own domain stands, NULL: not checked */
};

/* Begins a message at head->used. The head's area, `cookie_domain`, `trust`, `keep_trailers` and, for a response, its request's
 * `method` are then set by the caller. */
void message_init(struct message *, bool request, const struct message_sink *);
enum step message_feed(struct message *, const uint8_t *data, size_t length, size_t *ret_used);
/* The sender has ended: true when that is how this message ends (FRAMING_CLOSE). */
bool message_ends_here(const struct message *);

/* For whoever fills the head without llhttp (h2_message.c): the field's line, but for its end, is [name, used) of the head, its value
 * begins at `value`; 0, or `refusal` is set. And: no more body, trailers follow. */
int message_field_end(struct message *);
void message_body_end(struct message *);

/* After lines were taken out of the head: find again what is remembered by its place. */
void message_places_find(struct message *);

/* request.c, response.c: a start line is whole / a field is whole / all fields are there. 0 or the status to refuse with. */
int request_target_done(struct message *);
int request_field_done(struct message *, enum field, const uint8_t *value, size_t length,
                       bool *ret_keep);
int request_judge(struct message *);
/* "Host: authority" behind the request line, for a target that had it. */
bool request_host_put(struct message *, const uint8_t *authority, size_t length);
int response_field_done(struct message *, enum field, const uint8_t *value, size_t length,
                        bool *ret_keep);
int response_judge(struct message *);

/* What goes behind the judged fields of a request on its way to a pod. */
struct forwarding {
    const char *peer; /* the client's address as text */
    size_t peer_length;
    bool tls;
    bool client_asked;          /* for a certificate */
    const char *client_subject; /* whose it was; NULL: none was shown */
    uint64_t id[2];             /* random, for X-Request-Id */
    bool trace;                 /* begin one where none came */
    uint64_t trace_id[2], span_id;
};
bool request_finish(struct message *, const struct forwarding *);
/* The same for a response on its way to a client. */
struct delivery {
    bool http_1_0; /* the client speaks 1.0 */
    bool framed;   /* the client's protocol frames messages by itself (HTTP/2) */
    bool keep;     /* the client's connection stays open, if the framing allows it */
};
bool response_finish(struct message *, struct delivery *, enum framing *ret_out);
bool response_has_body(const struct message *);
/* Is every protocol that a 101 switches to one that the request asked for? */
bool response_upgrade_agrees(const struct message *, const struct message *request);
