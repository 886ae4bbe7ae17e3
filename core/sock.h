/* SPDX-License-Identifier: GPL-3.0-or-later
 * sock.h - a TCP socket as a stream: one receive and one send at a time, a queue between, backpressure both ways.
 *
 *   receive: multishot for small messages; one at a time, in bundles, for bulk and behind a pause (recv_mode)
 *   send:    what was queued during a turn goes out as one gathered send at its end
 *
 * Embedded in a client connection or an upstream connection; `gone` frees those when the last completion has come.
 */
#pragma once
#include "core/full.h"
#include "core/op.h"
#include "core/stream.h"
#include "core/worker.h"

struct sock {
    struct owner owner;
    struct stream stream;
    struct op recv, send; /* `send` also carries the connect */
    struct segs queue;
    struct flush flush;
    struct timer
        timer; /* free for the embedder until stream_close; then: how long the last bytes may take */
    struct queued_item starved; /* in its worker's line: it waits for buffers */
    struct full full_queue;     /* since a writer was told to wait */
    void (*gone)(struct sock *);
    struct pacer *pacer; /* NULL: its tenant has no bandwidth limit */
    uint32_t early;      /* bytes received while nobody's account paid */
    union {
        uint32_t debt;  /* before it closes: cycles that nobody was charged for it */
        uint32_t acked; /* while closing: what the peer had acknowledged at the last look */
    };
    uint32_t holds;   /* bytes of memory that its account is charged for it */
    uint32_t sending; /* bytes of the queue's front that a send is carrying */
    int fd;
    int16_t broken;   /* negative errno: neither read nor written any more */
    uint16_t moved;   /* when bytes last came or went: sock_clock */
    uint8_t calm : 4; /* small receives in a row since the last full one */
    bool client : 1;  /* else a pod's */
    bool heard : 1;   /* it has sent something */
    bool claimed : 1; /* somebody's: counted as accepted there */
    bool paused : 1;
    bool one_shot : 1;   /* receives are armed one at a time */
    bool dear : 1;       /* what it sends takes long to work off: it comes in small pieces */
    bool cancelling : 1; /* the armed receive has been asked to end */
    bool eof : 1;
    bool ended_by_peer : 1; /* or suddenly: the kernel keeps nothing of it */
    bool connecting : 1;
    bool shut : 1; /* FIN when the queue is sent */
    bool fin_sent : 1;
    bool full : 1;    /* a writer was told so */
    bool closing : 1; /* stream_close was called */
    bool told : 1;    /* the error event has been given */
    bool drain_due : 1;
    bool
        reset : 1; /* a send met the peer's RST: the end that a receive brings is that, not a FIN */
};

/* In steps of an eighth of a second or so; round in two hours. */
static inline uint16_t sock_clock(const struct worker *w) {
    return (uint16_t)((uint64_t)w->now_ns >> 27);
}

void sock_init(struct sock *, struct worker *, int fd, bool client, struct account *,
               void (*gone)(struct sock *));
/* An accepted socket: start receiving. */
void sock_start(struct sock *);
/* A fresh socket: connect it, within `ms`, else error -ETIMEDOUT. */
void sock_connect(struct sock *, const struct sockaddr *, socklen_t length, int64_t ms);
void sock_rearm(struct sock *);
/* Ends it with a RST, also while it is closing gracefully. */
void sock_abort(struct sock *);
/* Who pays from now on; what nobody was charged for it so far is theirs, too. */
void sock_charge(struct sock *, struct account *);
/* It came for this one, who lets it in or not. Only the first counts. */
void sock_claim(struct sock *, struct account *);
/* So many bytes of memory more, or fewer, are held for it: its account is charged until it is released. Not for what lies in buffers
 * of its queue. */
void sock_holds(struct sock *, int64_t bytes);
/* Nobody pays, and what has passed since the completion or timer that runs was for it. */
void sock_owes(struct sock *);

static inline struct sock *sock_of_stream(struct stream *s) {
    return container_of(s, struct sock, stream);
}
extern const struct stream_ops sock_ops;
