/* SPDX-License-Identifier: GPL-3.0-or-later
 * lull.c - see lull.h.
 */
#include "core/lull.h"
#include "core/turn.h"
#include "core/worker.h"

struct held { /* of one tenant */
    struct held *next;
    struct account *account;
    struct drr_item *first, *last; /* of chores */
    unsigned count;
};

/* When somebody else than this tenant was last served; who that was is known of the last only, but also when it was last another. */
static int64_t others_ns(const struct worker *w, const struct account *tenant) {
    const struct turn *t = &w->turn;
    return t->tenant != tenant && t->met_ns > t->tenants_ns ? t->met_ns : t->tenants_ns;
}

static int64_t lull_ns(const struct worker *w, const struct account *tenant) {
    int64_t known = others_ns(w, tenant) + LULL_US * 1000;
    int64_t strangers = w->turn.strangers_ns + LULL_STRANGERS_US * 1000;
    return known > strangers ? known : strangers;
}

static int64_t lesser(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void pause_begin(const struct worker *w, struct pause *p) {
    bool alone = !w->turn.several;
    *p = (struct pause){w->now_ns + (alone ? 0 : PAUSE_US * 1000), account_tenant(w->payer)};
}

int64_t pause_wait_ns(const struct worker *w, const struct pause *p) {
    int64_t lull = lesser(lull_ns(w, p->of), p->least_ns + PAUSE_MOST_US * 1000);
    return ns_until(w, w->turn.several && lull > p->least_ns ? lull : p->least_ns);
}

/* When the next goes on, if nobody else is served meanwhile: not in the lull in which the one before it has not run yet. */
static int64_t next_due_ns(const struct worker *w) {
    const struct lull *l = &w->lull;
    if (!l->count || !w->turn.several)
        return w->now_ns;
    int64_t each = l->went_ns + lesser(LULL_EACH_US * 1000, LULL_MOST_MS * 1000000ll / l->count);
    return turn_chores(w, l->first->account) ? each : lesser(lull_ns(w, l->first->account), each);
}

/* Each of a tenant's is noted, so that who goes on asking is known by it. */
static bool asks_often(const struct worker *w, struct account_worker *row) {
    uint32_t now_ms = (uint32_t)(w->now_ns / 1000000), since_ms = now_ms - row->dear_ms;
    row->dear_ms = now_ms;
    return since_ms < LULL_OFTEN_MS;
}

/* ---- lines, one of each tenant ---- */

static struct account_worker *row_of(const struct worker *w, const struct held *h) {
    return &h->account->w[w->id];
}

static void held_append(struct lull *l, struct held *h) {
    h->next = NULL;
    *(l->first ? &l->last->next : &l->first) = h;
    l->last = h;
}

static struct held *held_new(struct worker *w, struct account *tenant) {
    struct held *h = worker_alloc(w, sizeof *h);
    if (!h)
        return NULL;
    *h = (struct held){.account = tenant};
    held_append(&w->lull, h);
    __atomic_store_n(&row_of(w, h)->held, h, __ATOMIC_RELAXED);
    return h;
}

/* Of the first line. */
static struct chore *lull_take(struct worker *w) {
    struct held *h = w->lull.first;
    struct chore *c = container_of(h->first, struct chore, item);
    h->first = h->first->next;
    lull_forget(w, c);
    return c;
}

void lull_forget(struct worker *w, struct chore *c) {
    if (!c->held)
        return;
    c->held->count--;
    w->lull.count--;
    c->held = NULL;
}

/* That is the last then, or, with nothing in it, none. */
static void lull_pass(struct worker *w) {
    struct lull *l = &w->lull;
    struct held *h = l->first;
    l->first = h->next;
    if (h->first) {
        held_append(l, h);
        return;
    }
    __atomic_store_n(&row_of(w, h)->held, NULL, __ATOMIC_RELAXED);
    worker_free(w, h, sizeof *h);
}

bool lull_put(struct worker *w, struct account *tenant, struct chore *c) {
    struct account_worker *row = &tenant->w[w->id];
    struct held *h = row->held;
    c->held = NULL;
    if (!asks_often(w, row) || !w->turn.several || (!h && !(h = held_new(w, tenant))))
        return turn_put_chore(w, tenant, c);
    c->item.next = NULL;
    *(h->first ? &h->last->next : &h->first) = &c->item;
    h->last = &c->item;
    h->count++;
    c->held = h;
    if (!w->lull.count++)
        w->lull.went_ns = w->now_ns;
    return true;
}

unsigned lull_held(const struct worker *w, const struct account *tenant) {
    const struct held *h = tenant->w[w->id].held;
    return h ? h->count : 0;
}

/* Of those that come first; true: so many that others are for the next turn. */
static bool forgotten_run(struct worker *w) {
    enum { MOST = 256 };
    for (unsigned n = 0; n < MOST; n++) {
        const struct held *h = w->lull.first;
        if (!h || container_of(h->first, struct chore, item)->held)
            return false;
        struct chore *c = lull_take(w);
        c->run(c);
        lull_pass(w);
    }
    return true;
}

/* One, since others may come while it runs. */
void lull_run(struct worker *w) {
    if (forgotten_run(w) || !w->lull.first || w->now_ns < next_due_ns(w))
        return;
    struct chore *c = lull_take(w);
    if (!turn_put_chore(w, w->lull.first->account, c))
        c->run(c);
    lull_pass(w); /* now its lane keeps the account, or nothing has to */
    w->lull.went_ns = w->now_ns;
}

int64_t lull_wait_ns(const struct worker *w) {
    return ns_until(w, next_due_ns(w));
}

void lull_end(struct worker *w) {
    while (w->lull.first) {
        struct chore *c = lull_take(w);
        c->run(c);
        lull_pass(w);
    }
}
