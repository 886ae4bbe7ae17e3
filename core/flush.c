/* SPDX-License-Identifier: GPL-3.0-or-later
 * flush.c - see flush.h. A line is a ring around its tenant's row; rows with something in them are in one of the
 * worker's two lines.
 */
#include "core/worker.h"

static void row_list(struct flush_rows *rows, struct account_worker *row) {
    row->next_flushing = NULL;
    *(rows->first ? &rows->last->next_flushing : &rows->first) = row;
    rows->last = row;
}

static struct account_worker *row_take(struct flush_rows *rows) {
    struct account_worker *row = rows->first;
    rows->first = row->next_flushing;
    return row;
}

static void row_begin(struct worker *w, struct account_worker *row) {
    row->flushes.next = row->flushes.prev = &row->flushes;
    __atomic_store_n(&row->is_flushing, true, __ATOMIC_RELAXED);
    row_list(&w->flushing, row);
}

void worker_later(struct worker *w, struct flush *f) {
    struct account_worker *row = &account_tenant(w->payer)->w[w->id];
    struct flush *ring = &row->flushes;
    if (f->next)
        return;
    if (!row->is_flushing)
        row_begin(w, row);
    w->turn.due += KERNEL_SEND;
    f->next = ring;
    f->prev = ring->prev;
    f->prev->next = ring->prev = f;
}

void flush_forget(struct flush *f) {
    if (!f->next)
        return;
    f->prev->next = f->next;
    f->next->prev = f->prev;
    f->next = NULL;
}

/* With what the kernel will take for it. */
static uint64_t time_with_kernel(const struct worker *w) {
    return turn_reaches(&w->turn, sys_cycles());
}

/* When it has come to the end of the line, or of its time. */
static uint64_t row_run(struct worker *w, struct account_worker *row, uint64_t now) {
    uint64_t until = now + TURN_QUANTUM_US * w->turn.cycles_us;
    while (row->flushes.next != &row->flushes && now < until) {
        struct flush *f = row->flushes.next;
        flush_forget(f);
        f->run(f);
        now = time_with_kernel(w);
    }
    if (row->flushes.next != &row->flushes)
        row_list(&w->unflushed, row);
    else
        __atomic_store_n(&row->is_flushing, false, __ATOMIC_RELAXED);
    return now;
}

void flushes_run(struct worker *w) {
    if (!flushes_wait(w))
        return;
    w->turn.due = 0; /* now it comes */
    uint64_t most_us = w->turn.alone ? TURN_ALONE_US : TURN_MOST_US;
    uint64_t now = time_with_kernel(w), until = now + most_us * w->turn.cycles_us;
    while (w->flushing.first && now < until)
        now = row_run(w, row_take(&w->flushing), now);
    if (turn_is_brief(&w->turn))
        return;
    for (bool ran = false; w->unflushed.first && (!ran || now < until); ran = true)
        now = row_run(w, row_take(&w->unflushed), now);
}
