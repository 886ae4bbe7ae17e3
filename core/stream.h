/* SPDX-License-Identifier: MIT
 * stream.h - bytes both ways with backpressure, whatever carries them.
 *
 * The problem: HTTP must not care whether a client speaks TLS; a relay must not care what its two ends are; and no reader may
 * outrun its writer. So every carrier is a `struct stream` with one small vtable below and one set of events above:
 *
 *      consumer (http, relay)          events: data, eof, drain, error
 *      ------------------------------------------------------------------
 *      struct stream (sock | tls)      ops:    write, pause, resume, shutdown, close
 *
 * Rules. All calls and events happen on the stream's worker. Events never nest inside a call the consumer makes: except
 * that none of the ops below ever calls an event synchronously, an event may make any call, including close.
 * After stream_close no event comes. Exactly one of eof-then-close or error ends what is read; after `error` only close
 * is left to do. What is queued when the stream is closed gracefully is still sent.
 */
#pragma once
#include "core/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;
struct account;
struct stream;
/* What runs now for this stream, out of the loop's own turn (a timer, a flush), is charged to who pays for it. */
void stream_pays(struct stream *);
struct account_worker;
/* Who that is, on this worker; NULL: nobody can say. */
struct account_worker *stream_payer(const struct stream *);

struct stream_events {
    /* Bytes arrived; the slice is the consumer's now. May come a few more times after stream_pause. */
    void (*data)(struct stream *, void *user, struct slice);
    /* The other side has finished writing (TCP FIN, TLS close_notify). The write side may go on. */
    void (*eof)(struct stream *, void *user);
    /* What was queued has fallen to STREAM_LOW or below after a write had reported a full queue. NULL: not needed. */
    void (*drain)(struct stream *, void *user);
    /* The stream is broken: negative errno (-ECONNRESET, -EPIPE, -ECONNREFUSED, -ETIMEDOUT, -EPROTO for TLS). */
    void (*error)(struct stream *, void *user, int error);
    /* An outgoing connection is up (after it, or after `error`, `connected` never comes). NULL: not needed. */
    void (*connected)(struct stream *, void *user);
};

struct stream_ops {
    int (*write)(struct stream *, struct slice);
    int (*write_copy)(struct stream *, const void *data, size_t length);
    void (*pause)(struct stream *);
    void (*resume)(struct stream *);
    void (*shutdown)(struct stream *);
    void (*close)(struct stream *, bool reset);
    size_t (*queued)(const struct stream *);
    struct stream *(*below)(const struct stream *); /* that carries it; NULL: the kernel does */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    void *user;
    struct worker *worker;
};

enum { STREAM_HIGH = 512 * 1024, STREAM_LOW = 64 * 1024 };

/* Both take the bytes in any case (the slice's reference is the stream's, also on failure). Return 0; 1 when the queue has
 * reached STREAM_HIGH: pause your source and wait for `drain`; negative errno when the stream can't be written any more
 * (the `error` event follows or has come). Sent at the end of the loop's turn, gathered. */
static inline int stream_write(struct stream *s, struct slice slice) {
    return s->ops->write(s, slice);
}
static inline int stream_write_copy(struct stream *s, const void *data, size_t length) {
    return s->ops->write_copy(s, data, length);
}
static inline void stream_pause(struct stream *s) {
    s->ops->pause(s);
}
static inline void stream_resume(struct stream *s) {
    s->ops->resume(s);
}
/* No more writes: FIN (TLS: close_notify, then FIN) once the queue is sent. */
static inline void stream_shutdown(struct stream *s) {
    s->ops->shutdown(s);
}
/* Give the stream back. reset false: what is queued is sent, then FIN; true: RST, now. The pointer is dead on return. */
static inline void stream_close(struct stream *s, bool reset) {
    s->ops->close(s, reset);
}
static inline size_t stream_queued(const struct stream *s) {
    return s->ops->queued(s);
}
static inline void stream_consume(struct stream *s, const struct stream_events *events,
                                  void *user) {
    s->events = events;
    s->user = user;
}
/* What carries it all: the lowest layer. */
static inline struct stream *stream_base(const struct stream *s) {
    while (s->ops->below)
        s = s->ops->below(s);
    return (struct stream *)(uintptr_t)s;
}
