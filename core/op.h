/* SPDX-License-Identifier: GPL-3.0-or-later
 * op.h - an operation is a struct inside its owner; an owner dies when its last completion has come.
 *
 *   user_data -> struct op -> owner; owner.inflight rises where an op is armed (ring.c) and falls where its last CQE is
 *   dispatched (op_complete), nowhere else. `release` runs from the loop, once: when it is dying and nothing is in flight.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct op;
struct worker;
struct account;
struct lane; /* core/turn.h */
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
    uint16_t queued;   /* completions that have come and wait in `lane` (core/turn.h) */
    bool dying : 1;    /* asked to end; completions are only cleaned up after */
    bool dead : 1;     /* on its worker's list of owners to release */
    bool own_lane : 1; /* `lane` is its own, whoever pays */
    bool halting : 1;  /* it has spoken, and nobody knows yet for whom it comes */
    struct worker *worker;
    union { /* the dead have no completions that could wait */
        struct owner *next_dead;
        struct lane *lane;
    };
    void (*release)(struct owner *);
    struct account *account; /* who pays for the loop time of its completions; never NULL */
};

struct op {
    op_done_fn *done;
    struct owner *owner;
    bool armed;    /* between arming and its last CQE */
    bool braked;   /* multishot, and asked to end because its tenant's lane is long */
    uint16_t cost; /* enum kernel_cost: of one completion */
};

/* What the kernel does for an operation it does within io_uring_enter, where no one sees for whom: so its time is divided by these
 * weights (ledger.c). Only their proportions count; about nanoseconds, by judgement (docs/accounts.md). */
enum kernel_cost {
    KERNEL_PAID =
        0, /* by whom asks: sends and connects are done in the next enter, which is not to take long */
    KERNEL_RECV = 900,
    KERNEL_SEND = 4500, /* the way through the stack to the peer, whom it wakes */
    KERNEL_ACCEPT = 4000,
    KERNEL_CONNECT = 14000, /* with a socket */
    KERNEL_CLOSE = 12000,   /* with what is armed there, and the way to the peer */
    KERNEL_BYTES = 8,       /* so many bytes for one more */
};

static inline void owner_init(struct owner *o, struct worker *w, struct account *account,
                              void (*release)(struct owner *)) {
    *o = (struct owner){.worker = w, .release = release, .account = account};
}
static inline void op_init(struct op *op, struct owner *owner, op_done_fn *done) {
    *op = (struct op){.done = done, .owner = owner};
}
/* The owner's own close calls this once, after it asked every armed op to end. The loop releases it when the last completion
 * has been dispatched; never earlier than the end of the current turn, so callers up the stack may still look at it. */
void owner_end(struct owner *);
/* The one place where inflight falls. Called by the kernel side (ring.c, or the tests' fake) for every CQE. */
void op_complete(struct op *, const struct completion *);
/* A message's `run` is about to be called: nobody pays, unless it knows better. NULL: the control thread, whose time is not counted. */
void message_begin(struct worker *);
/* Before a completion is dispatched: brings its op and owner, then (when those have come) who pays, into the cache. NULL: none. */
void op_fetch_owner(const struct op *);
void op_fetch_payer(const struct op *);
