/* SPDX-License-Identifier: GPL-3.0-or-later
 * pace.c - see pace.h.
 */
#include "core/pace.h"
#include "core/account.h"
#include "core/module.h"

enum { TICK_NS = 10000000, PIECES_A_SECOND = 200, PIECE_LEAST = 1460 };

static int way_of(enum limit limit) {
    return limit - LIMIT_BYTES_IN;
}

static enum limit limit_of(int way) {
    return LIMIT_BYTES_IN + way;
}

static int64_t rate_now(const struct pacer *p, enum limit limit) {
    return __atomic_load_n(&p->slot->limiter->rate[limit], __ATOMIC_RELAXED);
}

/* What one read or send moves: small enough to be smooth, large enough to be worth a call. */
static size_t piece_of(int64_t rate) {
    int64_t piece = rate / PIECES_A_SECOND;
    if (!rate || piece > RECV_CAP)
        return RECV_CAP;
    return (size_t)(piece < PIECE_LEAST ? PIECE_LEAST : piece);
}

/* ---- the worker's list of tenants that someone waits for ---- */

static bool slot_waits(const struct limit_slot *s) {
    return s->waiting[0].first || s->waiting[1].first;
}

static void slot_list(struct worker *w, struct limit_slot *s) {
    if (!w->paced)
        w->pace_due_ns = w->now_ns + TICK_NS;
    s->next = w->paced;
    w->paced = s;
}

static void slot_unlist(struct worker *w, struct limit_slot *s) {
    struct limit_slot **link = &w->paced;
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
}

/* ---- lines ---- */

static bool in_line(const struct pacer *p) {
    return p->place[0].link || p->place[1].link;
}

static void line_join(struct pacer *p, int way) {
    struct worker *w = p->sock->owner.worker;
    struct pacers *line = &p->slot->waiting[way];
    if (!in_line(p))
        p->since_ns = w->now_ns;
    if (!slot_waits(p->slot))
        slot_list(w, p->slot);
    p->place[way].next = NULL;
    p->place[way].link = line->last;
    *line->last = p;
    line->last = &p->place[way].next;
    limiter_refuse(p->slot->limiter, w->id,
                   limit_of(way)); /* counts how often someone had to wait */
}

static void line_leave(struct pacer *p, int way) {
    struct pace_place *place = &p->place[way];
    if (!place->link)
        return;
    *place->link = place->next;
    if (place->next)
        place->next->place[way].link = place->link;
    else
        p->slot->waiting[way].last = place->link;
    place->link = NULL;
    if (!in_line(p)) {
        p->held_ns += p->sock->owner.worker->now_ns - p->since_ns;
        p->since_ns = 0;
    }
    if (!slot_waits(p->slot))
        slot_unlist(p->sock->owner.worker, p->slot);
}

size_t pace_most(struct pacer *p, enum limit limit) {
    struct worker *w = p->sock->owner.worker;
    int way = way_of(limit);
    struct limit_slot *slot = p->slot;
    size_t piece = piece_of(rate_now(p, limit));
    if (p->place[way].link)
        return 0;
    if (p->place[way].promised)
        return piece;
    if (!slot->waiting[way].first &&
        (slot->lease[limit].tokens > 0 || limiter_refill(slot->limiter, w->id, limit, w->now_ns)))
        return piece;
    line_join(p, way);
    return 0;
}

/* What was promised and not used goes back, but never makes a heap to be spent at once. */
static void lease_settle(struct pacer *p, enum limit limit, int64_t bytes) {
    struct pace_place *place = &p->place[way_of(limit)];
    int64_t *tokens = &p->slot->lease[limit].tokens, rate = rate_now(p, limit);
    int64_t most = (int64_t)piece_of(rate);
    if (rate)
        *tokens += place->promised - bytes;
    if (place->promised && *tokens > most)
        *tokens = most;
    place->promised = 0;
}

void pace_spent(struct pacer *p, enum limit limit, size_t bytes) {
    lease_settle(p, limit, (int64_t)bytes);
}

void pace_unspent(struct pacer *p, enum limit limit, size_t bytes) {
    if (rate_now(p, limit))
        p->slot->lease[limit].tokens += (int64_t)bytes;
}

/* ---- the tick ---- */

static void line_call(struct worker *w, struct limit_slot *slot, int way) {
    enum limit limit = limit_of(way);
    struct lease *lease = &slot->lease[limit];
    struct pacer *p;
    while ((p = slot->waiting[way].first) &&
           (lease->tokens > 0 || limiter_refill(slot->limiter, w->id, limit, w->now_ns))) {
        line_leave(p, way);
        p->place[way].promised = (int64_t)piece_of(rate_now(p, limit));
        lease->tokens -= p->place[way].promised;
        if (limit == LIMIT_BYTES_IN)
            sock_rearm(p->sock);
        else
            worker_later(w, &p->sock->flush);
    }
}

void pace_run(struct worker *w) {
    if (w->now_ns < w->pace_due_ns)
        return;
    w->pace_due_ns = w->now_ns + TICK_NS / 2 + (int64_t)(worker_random(w) % TICK_NS);
    for (struct limit_slot *s = w->paced, *next; s; s = next) {
        next = s->next; /* the last one called takes its slot off the list */
        line_call(w, s, 0);
        line_call(w, s, 1);
    }
}

int64_t pace_wait_ns(const struct worker *w) {
    return ns_until(w, w->pace_due_ns);
}

/* ---- life ---- */

void pace_end(struct sock *s) {
    struct pacer *p = s->pacer;
    if (!p)
        return;
    for (int way = 0; way < 2; way++) {
        line_leave(p, way);
        lease_settle(p, limit_of(way), 0);
    }
    s->pacer = NULL;
    worker_free(s->owner.worker, p, sizeof *p);
}

static bool wants_pace(const struct limiter *l) {
    return l && (__atomic_load_n(&l->rate[LIMIT_BYTES_IN], __ATOMIC_RELAXED) ||
                 __atomic_load_n(&l->rate[LIMIT_BYTES_OUT], __ATOMIC_RELAXED));
}

bool pace_waits(const struct sock *s) {
    return s->pacer && in_line(s->pacer);
}

int64_t pace_held_ns(const struct sock *s) {
    const struct pacer *p = s->pacer;
    if (!p)
        return 0;
    return p->held_ns + (in_line(p) ? s->owner.worker->now_ns - p->since_ns : 0);
}

bool pace_charge(struct sock *s, struct account *account) {
    struct worker *w = s->owner.worker;
    struct limiter *l = account_limiter(account);
    if (s->pacer && s->pacer->slot->limiter == l)
        return true;
    struct pacer *fresh = wants_pace(l) ? worker_alloc(w, sizeof *fresh) : NULL;
    if (wants_pace(l) && !fresh)
        return false;
    bool was_in_line = pace_waits(s);
    pace_end(s);
    if (fresh)
        *fresh = (struct pacer){.sock = s, .slot = &l->slot[w->id]};
    s->pacer = fresh;
    if (was_in_line) { /* it would not be called any more */
        sock_rearm(s);
        worker_later(w, &s->flush);
    }
    return true;
}
