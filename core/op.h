/* SPDX-License-Identifier: GPL-3.0-or-later
 * op.h - an operation is a struct inside its owner; an owner dies when its last completion has come.
 *
 *   user_data -> struct op -> owner; owner.inflight rises where an op is armed (ring.c) and falls where its last CQE is
 *   dispatched (op_complete), nowhere else. `release` runs from the loop once: dying, and nothing in flight.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct op;
/* res: the CQE's result, negative errno on failure. flags: OP_* below. buffer: id of a provided buffer when OP_BUFFER. */
struct completion {
    int32_t res;
    uint32_t flags;
    uint16_t buffer;
};
enum { OP_MORE = 1, OP_BUFFER = 2, OP_NONEMPTY = 4 };

typedef void op_done_fn(struct op *, const struct completion *);

struct owner {
    unsigned inflight;
    bool dying;
    void (*release)(struct owner *);
    struct account *account; /* who pays for the loop time of its completions; never NULL */
};

struct op {
    op_done_fn *done;
    struct owner *owner;
    bool armed; /* between arming and its last CQE */
};

static inline void owner_init(struct owner *o, void (*release)(struct owner *), struct account *account) {
    *o = (struct owner){.release = release, .account = account};
}
static inline void op_init(struct op *op, struct owner *owner, op_done_fn *done) {
    *op = (struct op){.done = done, .owner = owner};
}
/* After dying is set by the owner's own close: release it at once when nothing is in flight. */
void owner_release_if_idle(struct owner *);
/* The one place where inflight falls. Called by the kernel side (ring.c, or the tests' fake) for every CQE. */
void op_complete(struct op *, const struct completion *);
