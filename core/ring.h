/* SPDX-License-Identifier: GPL-3.0-or-later
 * ring.h - the kernel as the core sees it: one function per verb. ring.c is io_uring; tests/sim links a seeded fake.
 *
 * Every verb that takes an op arms it: op->armed, owner->inflight + 1. The op's `done` runs from ring_dispatch once per CQE; the
 * last CQE of an op is the one without OP_MORE. Memory handed to send/connect must live until the op's last CQE, except iovec
 * arrays and addresses, which are copied. A verb can't fail: when the queue is full it is submitted first.
 */
#pragma once
#include "core/diag.h"
#include "core/op.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct ring;
struct turn; /* core/turn.h */

enum ring_feature {
    RING_BUNDLE = 1,   /* receive bundles (6.10) */
    RING_MIN_WAIT = 2, /* a wait may gather completions for a short while (6.12) */
};

struct ring_conf {
    unsigned entries;      /* submission queue; the completion queue is 8 times that */
    unsigned buffer_count; /* room of the provided-buffer ring, a power of two */
    unsigned buffer_size;
    struct worker *worker; /* whose it is; NULL: the control thread's */
};

/* On the thread that will use it. False: *err holds the true cause and the command that mends it, two lines. */
bool ring_new(const struct ring_conf *, struct ring **ret, struct err *);
void ring_free(struct ring *);
unsigned ring_features(const struct ring *);
int ring_fd(const struct ring *);

void ring_accept(struct ring *, struct op *, int fd);      /* multishot; res: the new descriptor */
void ring_accept_once(struct ring *, struct op *, int fd); /* one connection */
/* Multishot, one provided buffer a completion. */
void ring_recv(struct ring *, struct op *, int fd);
/* One completion of up to `cap` bytes: in several provided buffers where there are bundles, else in one. */
void ring_recv_once(struct ring *, struct op *, int fd, size_t cap);
void ring_send(struct ring *, struct op *, int fd, const void *data,
               size_t length); /* whole or error */
void ring_sendv(struct ring *, struct op *, int fd, const struct iovec *,
                unsigned count); /* whole or error; count <= 1024 */
void ring_connect(struct ring *, struct op *, int fd, const struct sockaddr *, socklen_t length);
/* Asks an armed op to end; its own last CQE still comes (-ECANCELED, or what won the race). */
void ring_cancel(struct ring *, struct op *target);
/* Gives the descriptor back. Only when no op of ours is armed on it but cancelled ones. */
void ring_close(struct ring *, int fd);
void ring_submit(
    struct ring *); /* what has been asked for goes out now, not with the end of the turn */
/* Runs message->run on the thread of `to`. Ownership of the message travels. A full queue there is retried from here. */
struct message {
    void (*run)(struct message *);
    struct ring *to;
    uint32_t
        posted; /* what the poster wrote before is seen by `run`: release here, acquire there */
};
void ring_message(struct ring *, struct ring *to, struct message *);

/* Provide buffers to the kernel: `id` names `data`; published by ring_buffers_publish. */
void ring_buffer_add(struct ring *, void *data, unsigned size, uint16_t id);
void ring_buffers_publish(struct ring *);

/* Submit what is queued and wait for at least one completion or until timeout_ns passed (0: don't wait, <0: for ever);
 * `expected` more than 1: first, for at most 60 µs, for that many, where the kernel can (RING_MIN_WAIT); without waiting, up to so many
 * are finished of those that are ready.
 * Returns 0, or negative errno when the ring is broken; a signal or a time-out is not an error. */
int ring_wait(struct ring *, int64_t timeout_ns, unsigned expected);
/* Run `done` of every completion that is there, or queue them by tenant when the turn is crowded. Returns their number. NULL: not on
 * a worker, nothing is queued. */
unsigned ring_dispatch(struct ring *, struct turn *);
