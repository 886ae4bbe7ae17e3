/* SPDX-License-Identifier: GPL-3.0-or-later
 * wait.c - requests that wait for a connection to a pod: in their service's line until there is room, or for one that another
 * worker lends.
 *
 *   LINE --room, or a connection another gives up--> GRANTED --message--> turn(stream)      on its own worker
 *     '--queue-timeout--> turn(NULL, -ETIMEDOUT)
 *   LENT --message to the lender, and back------------------------------> turn(stream)
 *   DIAL --its tenant may begin one more (dial.h)------------------------> turn(stream)
 *     '--timeouts.connect--> turn(NULL, -ETIMEDOUT)
 *   cancelled: leaves the line at once; once a grant is on its way, what it brings is given back
 *
 * A grant, and who waits to dial the pod that was picked for it, holds `reserved` of its pod, so that the cap counts it and neither pod nor pool can go before it arrives.
 */
#include "core/dial.h"
#include "core/module.h"
#include "core/pick.h"
#include "core/pool.h"
#include "core/process.h"
#include <errno.h>

struct upstream_wait {
    struct queued_item item;
    struct message message; /* carries it between workers */
    struct flush flush;     /* the same within one */
    struct timer timer;
    struct dial_wait dial; /* its tenant has as many under way as he may */
    struct worker *worker, *lender;
    struct pool *pool;
    bool lined;            /* counted in its worker's `waiting` */
    bool called;           /* there is room on a shared connection of its worker's */
    bool fresh;            /* one that others have used is none for it */
    struct account *payer; /* for what is new; who asked keeps it */
    bool raw;              /* without the TLS that the pod speaks */
    struct upstream *up;   /* granted; NULL: there is none any more */
    struct stream *stream; /* granted with it, of this worker; or */
    int fd;                /* a connection of another; -1: a new one is to be made */
    void (*turn)(void *, struct stream *, int); /* NULL: cancelled */
    void *user;
};

static void wait_send(struct upstream_wait *t, struct ring *from);

static struct upstream_wait *wait_of(struct queued_item *item) {
    return container_of(item, struct upstream_wait, item);
}

static struct upstream_wait *wait_new(struct worker *w, const struct upstream_want *want) {
    struct upstream_wait *t = worker_alloc(w, sizeof *t);
    if (!t)
        return NULL;
    *t = (struct upstream_wait){.worker = w,
                                .fd = -1,
                                .fresh = want->fresh,
                                .raw = want->raw,
                                .payer = want->payer,
                                .turn = want->turn,
                                .user = want->user};
    ACCOUNT_ADD(w->wait_count, 1); /* workers that end wait for it */
    return t;
}

static void wait_uncount(struct upstream_wait *t) {
    if (t->lined)
        t->pool->w[t->worker->id].waiting--;
    t->lined = false;
}

static void wait_free(struct upstream_wait *t) {
    struct worker *w = t->worker;
    ACCOUNT_ADD(w->wait_count, -1);
    wait_uncount(t);
    timer_stop(&t->timer);
    worker_free(w, t, sizeof *t);
}

/* All pods of a pool are one tenant's. */
static struct account *wait_payer(const struct upstream_wait *t) {
    if (t->turn && t->payer)
        return t->payer;
    if (t->up)
        return t->up->account;
    if (!t->turn)
        return t->worker->nobody;
    const struct upstream_set *set = __atomic_load_n(&t->pool->set, __ATOMIC_ACQUIRE);
    return set && set->count ? set->member[0]->account : t->worker->nobody;
}

static void wait_end(struct upstream_wait *t, struct stream *s, int error) {
    void (*turn)(void *, struct stream *, int) = t->turn;
    void *user = t->user;
    wait_free(t);
    turn(user, s, error);
}

/* ---- the turn has come ---- */

static struct stream *grant_open(struct upstream_wait *t, int *ret_error) {
    if (t->stream && upstream_is_open(t->stream)) /* it may have ended within this very turn */
        return t->stream;
    if (t->fd >= 0) {
        struct stream *s = upstream_adopt(t->up, t->worker, t->fd);
        *ret_error = s ? 0 : -ENOMEM;
        return s;
    }
    return upstream_connect(t->up, t->worker, t->raw, t->payer, ret_error);
}

/* Nobody wants it any more. */
static void grant_return(struct upstream_wait *t) {
    struct stream *s = t->stream && upstream_is_open(t->stream) ? t->stream : NULL;
    if (t->fd >= 0)
        s = upstream_adopt(t->up, t->worker, t->fd);
    if (s)
        upstream_keep(s);
}

/* ---- its tenant has as many under way as he may ---- */

static void promise_end(struct upstream *up, struct ring *from) {
    struct pool *pool = up->pool;
    upstream_hold(up); /* the promise ends, but who else waits is still to be looked at */
    __atomic_sub_fetch(&up->reserved, 1, __ATOMIC_SEQ_CST);
    pool_serve(pool, from); /* until now a connection that was made was counted twice */
    upstream_unhold(up);
}

static struct account *dial_payer(const struct upstream_wait *t) {
    return t->payer ? t->payer : t->up->account;
}

static void dial_turn(struct dial_wait *dial) {
    struct upstream_wait *t = container_of(dial, struct upstream_wait, dial);
    timer_stop(&t->timer);
    wait_send(t, t->worker->ring);
}

static void dial_late(struct timer *timer) {
    struct upstream_wait *t = container_of(timer, struct upstream_wait, timer);
    struct upstream *up = t->up;
    worker_pays(t->worker, wait_payer(t));
    dial_refuse(t->worker, dial_payer(t));
    dial_leave(&t->dial);
    promise_end(up, t->worker->ring);
    wait_end(t, NULL, -ETIMEDOUT);
}

/* False: his line is full. */
static bool stand_in_line(struct upstream_wait *t) {
    t->dial.turn = dial_turn;
    if (!dial_line(t->worker, dial_payer(t), &t->dial))
        return false;
    timer_stop(&t->timer); /* its service's line is behind it */
    timer_init(&t->timer, dial_late);
    timer_set(t->worker, &t->timer, edge_timeouts()->connect);
    return true;
}

/* A new connection is wanted, and not his tenant's turn. */
static bool grant_must_wait(const struct upstream_wait *t) {
    return t->turn && t->fd < 0 && !(t->stream && upstream_is_open(t->stream)) && !t->dial.called &&
           !dial_may(t->worker, dial_payer(t));
}

int wait_for_dial(struct worker *w, struct upstream *up, const struct upstream_want *want,
                  struct upstream_wait **ret) {
    struct upstream_wait *t = wait_new(w, want);
    if (!t)
        return -ENOMEM;
    t->up = up;
    t->pool = up->pool;
    if (!stand_in_line(t)) {
        wait_free(t);
        return -EBUSY;
    }
    __atomic_add_fetch(&up->reserved, 1, __ATOMIC_RELAXED);
    *ret = t;
    return -EINPROGRESS;
}

/* ---- the turn has come ---- */

/* It asks again, before any who came later; one who does not want it any more leaves it to the next. */
static void called_arrived(struct upstream_wait *t) {
    struct upstream *up = t->up;
    struct upstream_slot *slot = &up->w[t->worker->id];
    slot->called--;
    if (t->turn)
        wait_end(t, NULL, 0);
    else
        wait_free(t);
    if (slot->shared)
        slot->shared->serve(slot->shared);
    upstream_unhold(up);
}

static void wait_arrived(struct upstream_wait *t) {
    int error = 0;
    if (t->called) {
        called_arrived(t);
        return;
    }
    struct upstream *up = t->up;
    struct ring *ring = t->worker->ring;
    worker_pays(t->worker, wait_payer(t));
    if (!up) {
        if (t->turn)
            wait_end(t, NULL, -ENETUNREACH);
        else
            wait_free(t);
        return;
    }
    struct stream *s = NULL;
    bool waits = grant_must_wait(t);
    if (waits && stand_in_line(t))
        return;
    if (waits)
        error = -EBUSY;
    else if (t->turn)
        s = grant_open(t, &error);
    else
        grant_return(t);
    if (t->dial.called)
        dial_answered(&t->dial);
    promise_end(up, ring);
    if (t->turn)
        wait_end(t, s, error);
    else
        wait_free(t);
}

static void arrived_message(struct message *m) {
    wait_arrived(container_of(m, struct upstream_wait, message));
}

static void arrived_flush(struct flush *f) {
    wait_arrived(container_of(f, struct upstream_wait, flush));
}

static void wait_send(struct upstream_wait *t, struct ring *from) {
    if (t->worker->ring == from) {
        t->flush.run = arrived_flush;
        worker_later(t->worker, &t->flush);
        return;
    }
    t->message.run = arrived_message;
    worker_post(t->worker, from, &t->message);
}

bool upstream_wait_in_line(const struct upstream_wait *t) {
    return timer_is_set(&t->timer); /* its own worker's; the link is everybody's */
}

/* Who cancels lets go of his version, and the pool may go with it before a grant that holds no pod of it arrives. */
void upstream_wait_cancel(struct upstream_wait *t) {
    struct pool *pool = t->pool;
    struct worker *w = t->worker;
    if (dial_is_in_line(&t->dial)) {
        struct upstream *up = t->up;
        dial_leave(&t->dial);
        wait_free(t);
        promise_end(up, w->ring);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    bool waits = queue_holds(&t->item);
    if (waits)
        queue_remove(&pool->line, &t->item);
    pthread_mutex_unlock(&pool->lock);
    timer_stop(&t->timer);
    wait_uncount(t);
    t->turn = NULL;
    if (waits)
        wait_free(t);
}

/* ---- lent by another worker ---- */

static void lend_run(struct message *m) {
    struct upstream_wait *t = container_of(m, struct upstream_wait, message);
    worker_pays(t->lender, t->up->account);
    int fd = upstream_idle_lend(t->up, t->lender);
    t->fd = fd < 0 ? -1 : fd;
    wait_send(t, t->lender->ring);
}

int wait_for_lent(struct worker *w, struct upstream *up, const struct upstream_want *want,
                  struct worker *lender, struct upstream_wait **ret) {
    struct upstream_wait *t = wait_new(w, want);
    if (!t)
        return -ENOMEM;
    t->up = up;
    t->pool = up->pool;
    t->lender = lender;
    __atomic_add_fetch(&up->reserved, 1, __ATOMIC_RELAXED);
    t->message.run = lend_run;
    worker_post(lender, w->ring, &t->message);
    *ret = t;
    return -EINPROGRESS;
}

/* ---- the line ---- */

struct room {
    const struct upstream_set *set;
    int64_t now_ms;
};

static uint64_t weigh_room(const void *of, unsigned index) {
    const struct room *r = of;
    const struct upstream *up = r->set->member[index];
    uint64_t taken = upstream_taken(up), weight = taken;
    if (r->set->pod_connections && taken >= r->set->pod_connections)
        weight |= PICK_FULL;
    if (ejection_is(&up->ejection, r->now_ms))
        weight |= PICK_EJECTED;
    if (upstream_is_out(up))
        weight |= PICK_OUT;
    return weight;
}

/* Under the lock. The next in line with a pod that has room, or with none when there is no pod at all; NULL: they go on waiting. */
static struct upstream_wait *grant_next(struct pool *pool) {
    const struct upstream_set *set = __atomic_load_n(&pool->set, __ATOMIC_ACQUIRE);
    struct upstream *up = NULL;
    if (!pool->line.first)
        return NULL;
    if (set && set->count) {
        struct room r = {set, sys_now_ns() / 1000000};
        unsigned i = pick_lightest(&r, set->count, 0, weigh_room);
        if (i == PICK_NONE || weigh_room(&r, i) & PICK_FULL)
            return NULL;
        up = set->member[i];
        __atomic_add_fetch(&up->reserved, 1, __ATOMIC_RELAXED);
    }
    struct upstream_wait *t = wait_of(queue_take(&pool->line));
    t->up = up;
    return t;
}

void pool_serve(struct pool *pool, struct ring *from) {
    if (!queue_waits(&pool->line))
        return;
    pthread_mutex_lock(&pool->lock);
    struct upstream_wait *t;
    while ((t = grant_next(pool)))
        wait_send(t, from);
    pthread_mutex_unlock(&pool->lock);
}

/* Whoever sees the last connection of a retired pod gone may free it and the pool: held until the line was looked at. */
void upstream_slot_free(struct upstream_slot *slot, struct worker *w) {
    struct upstream *up = slot->up;
    upstream_hold(up);
    __atomic_sub_fetch(&up->opened, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->open, slot->open - 1, __ATOMIC_SEQ_CST);
    pool_serve(up->pool, w->ring);
    upstream_give(up, w); /* it may have been closed for one who wanted no used one; others do */
    upstream_unhold(up);
}

static void wait_late(struct timer *timer) {
    struct upstream_wait *t = container_of(timer, struct upstream_wait, timer);
    struct pool *pool = t->pool;
    worker_pays(t->worker, wait_payer(t));
    pthread_mutex_lock(&pool->lock);
    bool waits = queue_holds(&t->item);
    if (waits) {
        queue_remove(&pool->line, &t->item);
        ACCOUNT_ADD(pool->late, 1);
    }
    pthread_mutex_unlock(&pool->lock);
    if (waits)
        wait_end(t, NULL, -ETIMEDOUT);
}

/* ---- connections that others keep idle ---- */

/* One that others have used is none for him; and what speaks TLS can't go to another worker. */
static bool takes_none(const struct upstream_wait *t, const struct upstream *up,
                       const struct worker *w) {
    return t->fresh || (up->pool->speech.trust && t->worker != w);
}

/* Under the lock: the first in line gets this very pod, which gives one connection up. *ret_fresh: he takes none that is kept. */
static struct upstream_wait *give_next(struct upstream *up, const struct worker *w,
                                       bool *ret_fresh) {
    struct queued_item *first = up->pool->line.first;
    *ret_fresh = first && takes_none(wait_of(first), up, w);
    if (!first || *ret_fresh)
        return NULL;
    struct upstream_wait *t = wait_of(queue_take(&up->pool->line));
    t->up = up;
    __atomic_add_fetch(&up->reserved, 1, __ATOMIC_RELAXED);
    return t;
}

void upstream_give(struct upstream *up, struct worker *w) {
    struct upstream_slot *slot = &up->w[w->id];
    if (slot->shared)
        slot->shared->serve(slot->shared);
    /* Our idle connection is seen before we look whether they wait; they stand in line before they look whether we have one. */
    __atomic_store_n(&slot->idle_count, slot->idle_count, __ATOMIC_SEQ_CST);
    bool fresh;
    while (slot->idle && queue_waits(&up->pool->line)) {
        pthread_mutex_lock(&up->pool->lock);
        struct upstream_wait *t = give_next(up, w, &fresh);
        pthread_mutex_unlock(&up->pool->lock);
        if (fresh)
            upstream_idle_drop(up, w); /* its end makes room, and goes on with the line */
        if (!t)
            return;
        if (t->worker == w) {
            t->stream = upstream_idle_take(up, w);
        } else {
            int fd = upstream_idle_lend(up, w);
            t->fd = fd < 0 ? -1 : fd;
        }
        wait_send(t, w->ring);
    }
}

static void give_run(struct message *m) {
    struct upstream_slot *slot = container_of(m, struct upstream_slot, give);
    struct upstream *up = slot->up;
    unsigned id = (unsigned)(slot - up->w);
    upstream_hold(up);
    /* First: who gets in line while we look either is seen, or asks again. */
    __atomic_store_n(&slot->give_posted, 0, __ATOMIC_SEQ_CST);
    worker_pays(process.worker[id], up->account);
    upstream_give(up, process.worker[id]);
    upstream_unhold(up);
}

/* Has that worker an idle connection, or one that requests share? */
static bool may_give(const struct upstream *up, unsigned worker) {
    const struct upstream_slot *s = &up->w[worker];
    return __atomic_load_n(up->pool->speech.http2 ? &s->open : &s->idle_count, __ATOMIC_SEQ_CST);
}

void givers_ask(const struct upstream_set *set, struct ring *from, unsigned except) {
    for (unsigned i = 0; i < set->count; i++)
        for (unsigned at = 0; at < set->member[i]->workers; at++) {
            struct upstream_slot *slot = &set->member[i]->w[at];
            if (at == except || !may_give(set->member[i], at) ||
                __atomic_exchange_n(&slot->give_posted, 1, __ATOMIC_SEQ_CST))
                continue;
            slot->give.run = give_run;
            worker_post(process.worker[at], from, &slot->give);
        }
}

int wait_in_line(struct worker *w, struct upstream_set *set, const struct upstream_want *want,
                 struct upstream_wait **ret) {
    struct pool *pool = set->pool;
    if (pool->line.count >= set->policy->queue_most) {
        ACCOUNT_ADD(pool->refused, 1);
        return -EBUSY;
    }
    struct upstream_wait *t = wait_new(w, want);
    if (!t)
        return -ENOMEM;
    t->pool = pool;
    timer_init(&t->timer, wait_late);
    timer_set(w, &t->timer, set->policy->queue_ms);
    t->lined = true;
    pool->w[w->id].waiting++;
    queue_put(&pool->line, &t->item);
    givers_ask(set, w->ring, pool->speech.http2 ? w->id : UINT32_MAX);
    *ret = t;
    return -EINPROGRESS;
}

/* ---- room on connections that requests share ---- */

int upstream_line(struct worker *w, struct upstream_set *set, const struct upstream_want *want,
                  struct upstream_wait **ret) {
    pthread_mutex_lock(&set->pool->lock);
    int error = wait_in_line(w, set, want, ret);
    pthread_mutex_unlock(&set->pool->lock);
    if (error == -EINPROGRESS) /* a connection that ended just before saw nobody in line */
        pool_serve(set->pool, w->ring);
    return error;
}

bool upstream_lines(const struct upstream_set *set, const struct worker *w) {
    return set->pool->w[w->id].waiting;
}

enum upstream_first upstream_first(struct upstream *up, const struct worker *w) {
    struct pool *pool = up->pool;
    if (!queue_waits(&pool->line))
        return FIRST_NOBODY;
    pthread_mutex_lock(&pool->lock);
    struct queued_item *first = pool->line.first;
    enum upstream_first whose = !first ? FIRST_NOBODY
                                : wait_of(first)->worker == w && !wait_of(first)->fresh
                                    ? FIRST_OURS
                                    : FIRST_OTHERS;
    pthread_mutex_unlock(&pool->lock);
    return whose;
}

/* Under the lock: who needs a connection of his own waits for one. */
static struct upstream_wait *call_next(struct pool *pool, const struct worker *w) {
    for (struct queued_item *i = pool->line.first; i; i = i->next) {
        struct upstream_wait *t = wait_of(i);
        if (t->worker != w || t->fresh)
            continue;
        queue_remove(&pool->line, i);
        return t;
    }
    return NULL;
}

bool upstream_call(struct upstream *up, struct worker *w) {
    struct pool *pool = up->pool;
    if (!queue_waits(&pool->line))
        return false;
    pthread_mutex_lock(&pool->lock);
    struct upstream_wait *t = call_next(pool, w);
    pthread_mutex_unlock(&pool->lock);
    if (!t)
        return false;
    t->up = up;
    t->called = true;
    up->w[w->id].called++;
    upstream_hold(up);
    wait_send(t, w->ring);
    return true;
}

unsigned upstream_called(const struct upstream *up, const struct worker *w) {
    return up->w[w->id].called;
}
