/* SPDX-License-Identifier: GPL-3.0-or-later
 * op.c - the life of owners: where `inflight` falls, and how a dying owner reaches the loop's list of the dead.
 */
#include "core/op.h"
#include "core/worker.h"

static void owner_bury(struct owner *o) {
    if (o->dead || o->inflight)
        return;
    o->dead = true;
    o->next_dead = o->worker->dead;
    o->worker->dead = o;
}

void owner_end(struct owner *o) {
    o->dying = true;
    owner_bury(o);
}

void op_complete(struct op *op, const struct completion *c) {
    struct owner *o = op->owner;
    bool last = !(c->flags & OP_MORE);
    uint64_t cost = op->cost && c->res > 0 ? op->cost + (uint64_t)c->res / KERNEL_BYTES : op->cost;
    if (last)
        op->armed = false;
    worker_pays(o->worker, o->account);
    op->done(op, c);
    /* Falls only now: while `done` runs its owner can't be released. `done` may have armed the op again; that counted
     * by itself. */
    if (last)
        o->inflight--;
    /* Whose it is may have turned out just now. */
    kernel_pays(o->worker, o->account, cost);
    if (o->dying)
        owner_bury(o);
}

void message_begin(struct worker *w) {
    if (w)
        worker_pays(w, w->nobody);
}

/* Ops lie within the first lines of a socket, which is its owner. */
void op_fetch_owner(const struct op *op) {
    enum { LINE = 64 };
    if (!op)
        return;
    for (int line = -2; line <= 3; line++)
        __builtin_prefetch((const char *)op + line * LINE);
}

void op_fetch_payer(const struct op *op) {
    if (op)
        __builtin_prefetch(&op->owner->account->w[op->owner->worker->id]);
}
