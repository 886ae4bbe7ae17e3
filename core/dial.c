/* SPDX-License-Identifier: GPL-3.0-or-later
 * dial.c - see dial.h.
 *
 * Nobody stands in line without one of his tenant's being under way or called, and whatever ends of these calls the next.
 */
#include "core/dial.h"
#include "core/module.h"
#include "core/room.h"
#include "core/worker.h"

enum { LEAST = 4, PART = 4 };

static struct account_worker *row_of(const struct worker *w, const struct account *payer) {
    return &account_tenant(payer)->w[w->id];
}

static bool is_within(const struct worker *w, const struct account_worker *row) {
    int64_t part = room_left(w) / PART, most = part > LEAST ? part : LEAST;
    return row->dialing + (row->dials ? row->dials->called : 0) < most;
}

bool dial_may(const struct worker *w, const struct account *payer) {
    const struct account_worker *row = row_of(w, payer);
    return !(row->dials && row->dials->line.count) && is_within(w, row);
}

/* ---- the line ---- */

static void line_serve(struct worker *w, struct account_worker *row) {
    struct dials *d = row->dials;
    if (!d)
        return;
    while (d->line.count && is_within(w, row)) {
        struct dial_wait *t = container_of(queue_take(&d->line), struct dial_wait, item);
        t->called = true;
        d->called++;
        t->turn(t);
    }
    if (d->line.count || d->called)
        return;
    row->dials = NULL;
    worker_free(w, d, sizeof *d);
}

void dial_refuse(struct worker *w, const struct account *payer) {
    ACCOUNT_ADD(row_of(w, payer)->dials_refused, 1);
}

bool dial_line(struct worker *w, const struct account *payer, struct dial_wait *t) {
    struct account_worker *row = row_of(w, payer);
    if (!row->dials)
        row->dials = worker_alloc(w, sizeof *row->dials);
    if (!row->dials || row->dials->line.count >= DIALS_WAIT_MOST) {
        dial_refuse(w, payer);
        return false;
    }
    t->worker = w;
    t->tenant = account_tenant(payer);
    t->called = false;
    queue_put(&row->dials->line, &t->item);
    return true;
}

bool dial_is_in_line(const struct dial_wait *t) {
    return queue_holds(&t->item);
}

void dial_leave(struct dial_wait *t) {
    struct account_worker *row = row_of(t->worker, t->tenant);
    queue_remove(&row->dials->line, &t->item);
    line_serve(t->worker, row);
}

void dial_answered(struct dial_wait *t) {
    struct account_worker *row = row_of(t->worker, t->tenant);
    t->called = false;
    row->dials->called--;
    line_serve(t->worker, row);
}

/* ---- under way ---- */

void dial_begun(struct worker *w, struct account *payer) {
    ACCOUNT_ADD(row_of(w, payer)->dialing, 1);
}

void dial_over(struct worker *w, struct account *payer) {
    struct account_worker *row = row_of(w, payer);
    ACCOUNT_ADD(row->dialing, -1);
    line_serve(w, row);
}
