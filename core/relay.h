/* SPDX-License-Identifier: MIT
 * relay.h - two streams joined: each one's bytes are written to the other in the buffers they came in.
 */
#pragma once
#include "core/stream.h"

struct relay;

/* What passed, for whoever asked to be told. */
struct relay_tally {
    uint64_t in, out; /* bytes from near, to it */
    int64_t first_us; /* when the first came from far; 0: none did */
    bool near_broke, far_broke, over;
};

/* Takes both streams' events. `ended` is called once, when both directions are done (reset false) or one end broke (true);
 * the relay has then closed `far` and is freed; `near` is the caller's to close. `tally` (NULL: none) outlives the relay.
 * NULL: no memory. */
struct relay *relay_new(struct stream *near, struct stream *far,
                        void (*ended)(void *user, bool reset), void *user,
                        struct relay_tally *tally);
struct stream *relay_far(const struct relay *);
/* When a byte last came from either side, else when they were joined; of the clock of worker_now_us. */
int64_t relay_moved_ns(const struct relay *);
/* `near` may not begin with a PROXY header: the pod could take it for ours. Such a one ends both with a reset. */
void relay_guard(struct relay *);
/* Before the caller closes `near` by itself: closes `far`. */
void relay_cut(struct relay *, bool reset);
