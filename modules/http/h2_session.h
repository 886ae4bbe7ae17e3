/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_session.h - one connection that speaks HTTP/2, from either end, and the streams on it.
 *
 *   wire --slice--> [guard] -> nghttp2 --callbacks--> role (h2_front.c: a client's; h2_pod.c: a pod's)
 *   wire <--end of the loop's turn-- nghttp2 <-- frames, bodies queued per stream <-- body_way (heads, parts, trailers)
 *
 * Each stream is a `struct stream` too, so that whoever paces, closes or joins streams need not know what carries them. All that a turn
 * of the loop brought is sent at its end. Bodies are never copied into frames: their slices follow the frame's header.
 */
#pragma once
#include "core/flush.h"
#include "core/full.h"
#include "modules/http/h2_guard.h"
#include "modules/http/h2_message.h"
#include "modules/http/http.h"
#include "modules/http/slices.h"

enum {
    H2_STREAMS_MAX = 100,
    H2_WINDOW = 256 * 1024,      /* per stream, what its sender may have under way */
    H2_WINDOW_ALL = 1024 * 1024, /* per connection */
    H2_QUEUE_HIGH = 128 * 1024,  /* waits for the peer's window: the source pauses */
    H2_QUEUE_LOW = 32 * 1024,    /* goes on */
    H2_LEFT = 8,                 /* streams that we gave up last */
};

struct h2_session;
struct h2_stream;

struct h2_role {
    bool server;
    /* A header block begins on a stream that is not known yet: make it, or NULL to refuse it. */
    struct h2_stream *(*opened)(struct h2_session *, int32_t id);
    /* The message a header block on this stream is to be read into; NULL: nobody wants it. */
    struct message *(*message)(struct h2_stream *);
    void (*head)(struct h2_stream *, bool ended); /* the block is whole: session->block has it */
    void (*trailer)(struct h2_stream *, const uint8_t *name, size_t name_length,
                    const uint8_t *value, size_t value_length);
    void (*data)(struct h2_stream *, struct slice);     /* the slice moves in */
    void (*end)(struct h2_stream *);                    /* END_STREAM came */
    void (*closed)(struct h2_stream *, uint32_t error); /* nghttp2 has forgotten it; frees it */
    void (*settings)(struct h2_session *);              /* the peer's have come */
    void (*goaway)(struct h2_session *, int32_t last);
    void (*sent)(struct h2_session *); /* a flush is over: may it end? */
    /* Who pays hears of so much waste. False: he has no more to spend. */
    bool (*waste)(struct h2_session *, unsigned units);
    void (*calmed)(struct h2_session *); /* ENHANCE_YOUR_CALM has been said */
    void (*yield)(struct h2_stream *);   /* what waits in it is needed: it ends */
    void (*pace)(struct h2_session *);   /* `braked` has changed */
    /* A stream has begun and more was received: is that to wait? Then the role goes on with it. NULL: no. */
    bool (*rests)(struct h2_session *);
};

struct h2_session {
    const struct h2_role *role;
    nghttp2_session *ng;
    struct worker *worker;
    struct stream *wire;
    struct flush flush;
    const struct slice *source; /* whose bytes are being parsed */
    struct h2_stream *streams;  /* all */
    struct h2_stream *drained;  /* those who may have more */
    struct h2_stream *reading;  /* whose header block comes in */
    unsigned count;
    unsigned begun; /* streams, round */
    bool tls : 1;
    bool full : 1;   /* the wire asked for a pause */
    bool broken : 1; /* nothing more is read or sent */
    bool ending : 1; /* GOAWAY is on its way and nothing more is read */
    bool calmed : 1; /* it says ENHANCE_YOUR_CALM */
    bool
        braked : 1; /* more came than windows allow for, of one who holds much: the wire is not read */
    uint32_t unread;       /* of all its streams */
    uint32_t earned;       /* bytes of bodies not yet counted for the budget */
    unsigned fields;       /* pairs of the block that comes in */
    uint32_t expanded;     /* what they have come to, however few bytes said so */
    int32_t left[H2_LEFT]; /* reset by us before their end had come */
    unsigned left_next;
    struct h2_guard guard;
    struct block block;
};

struct h2_stream {
    struct stream stream;
    struct h2_session *session;
    struct h2_stream *next, **link; /* in session->streams */
    struct h2_stream *next_drained;
    uint8_t *trailers; /* lines that follow the body, or NULL */
    uint32_t trailers_length;
    int32_t id;       /* -1: a request that is not submitted yet */
    uint32_t unread;  /* bytes that came and whose window was not given back */
    uint32_t debited; /* comes back when all went well */
    struct slices out;
    struct account_worker *payer; /* of what waits in it; NULL: not known yet */
    struct full full_queue;
    bool head_sent : 1; /* final one */
    bool out_ended : 1; /* nothing will be added to `out` */
    bool waiting : 1;   /* nghttp2 was told to wait for more */
    bool paused : 1;    /* windows are not given back */
    bool full : 1;      /* drain is owed */
    bool listed : 1;    /* in session->drained */
    bool leaving : 1;   /* whoever has it is being told of its end, and it goes after that */
    bool closed : 1;    /* given up: nothing is wanted any more */
    bool end_seen : 1;  /* END_STREAM came */
    bool ends_here : 1; /* it stands on the DATA that is being read, of which this is the last */
    bool end_sent : 1;  /* END_STREAM went */
    bool rest_unwanted : 1; /* once END_STREAM is sent, RST_STREAM follows */
    uint32_t rest_error;
};

bool h2_session_init(struct h2_session *, const struct h2_role *, struct worker *,
                     struct stream *wire, bool tls);
void h2_session_fini(struct h2_session *); /* no streams are left */
/* The slice stays the caller's; what is left of it is to be fed later (rests). False: GOAWAY has been said, or nothing can be; see `ending`,
 * `broken`. */
bool h2_session_feed(struct h2_session *, struct slice *);
/* Something is to be sent at the end of the turn. */
void h2_session_kick(struct h2_session *);
void h2_session_goaway(struct h2_session *, uint32_t error);
void h2_session_drained(struct h2_session *); /* the wire takes more */

void h2_stream_init(struct h2_stream *, struct h2_session *, int32_t id,
                    struct account_worker *payer);
void h2_stream_fini(struct h2_stream *); /* unlinks, drops what is queued */
void h2_stream_reset(struct h2_stream *, uint32_t error);
void h2_stream_resume(struct h2_stream *); /* nghttp2 may take more of it, if there is any */
/* What waited in it has gone, or goes on. */
void h2_stream_emptied(struct h2_stream *);
void h2_stream_came(struct h2_stream *, uint32_t bytes); /* so much, and is not used yet */
/* Whose it has turned out to be. */
void h2_stream_charge(struct h2_stream *, struct account_worker *payer);
/* What came is used: its window may be given back, unless the stream is paused. */
void h2_stream_used(struct h2_stream *, size_t bytes);
/* A whole answer of the edge's own. */
bool h2_stream_answer(struct h2_stream *, const struct reply *);
static inline struct h2_stream *h2_stream_of(struct stream *s) {
    return (struct h2_stream *)s;
}

/* nghttp2's data source: what stands in `out`. */
ssize_t h2_read(nghttp2_session *, int32_t id, uint8_t *, size_t length, uint32_t *flags,
                nghttp2_data_source *, void *user);

extern const struct body_way h2_way;
