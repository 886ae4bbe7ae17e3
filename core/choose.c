/* SPDX-License-Identifier: GPL-3.0-or-later
 * choose.c - which pod a request goes to, and on which connection.
 *
 *   no cap:  pick -> a connection idle here -> one idle on another worker, lent -> a new one
 *   capped:  pick among those with room -> idle here -> a new one      nobody has room, or others wait: in line (wait.c)
 */
#include "core/dial.h"
#include "core/pick.h"
#include "core/pool.h"
#include "core/process.h"
#include <errno.h>

struct ask { /* what `weigh` looks at */
    struct worker *w;
    const struct upstream_set *set;
    const struct upstream_want *want;
    int64_t now_ms;
};

static bool is_full(const struct ask *a, const struct upstream *up) {
    uint32_t most = a->set->pod_connections;
    if (!most || a->want->instead == up) /* that one ends */
        return false;
    const struct upstream_slot *slot = &up->w[a->w->id];
    if (!a->want->fresh && (slot->idle || (slot->shared && slot->shared->room(slot->shared))))
        return false;
    return upstream_taken(up) >= most;
}

static uint64_t weigh(const void *of, unsigned index) {
    const struct ask *a = of;
    const struct upstream *up = a->set->member[index];
    const struct upstream_slot *s = &up->w[a->w->id];
    uint64_t weight = s->busy;
    if (s->failed_until_ms > a->now_ms)
        weight |= PICK_FAILED;
    if (up == a->want->avoid)
        weight |= PICK_AVOID;
    if (is_full(a, up))
        weight |= PICK_FULL;
    if (__atomic_load_n(&s->ejected_until_ms, __ATOMIC_RELAXED) > a->now_ms)
        weight |= PICK_EJECTED;
    if (__atomic_load_n(&s->leaving, __ATOMIC_RELAXED))
        weight |= PICK_LEAVING;
    if (__atomic_load_n(&s->out, __ATOMIC_RELAXED))
        weight |= PICK_OUT;
    return weight;
}

static uint64_t point(const void *of, unsigned index) {
    return ((const struct ask *)of)->set->member[index]->point;
}

static unsigned choose(const struct ask *a) {
    unsigned count = a->set->count;
    switch (a->set->balance) {
    case BALANCE_ROUND_ROBIN:
        return pick_in_turn(a, count, &a->set->pool->w[a->w->id].turn, weigh);
    case BALANCE_HASH:
        if (a->want->key)
            return pick_by_key(a, count, a->want->key, weigh, point);
        __attribute__((fallthrough));
    default:
        return pick_least(a, count, count > 1 ? worker_random(a->w) : 0, weigh);
    }
}

/* A new one now, or when its tenant may begin one more. */
static struct stream *dial(const struct ask *a, struct upstream *up,
                           struct upstream_wait **ret_wait, int *ret_error) {
    struct account *payer = a->want->payer ? a->want->payer : up->account;
    if (dial_may(a->w, payer))
        return upstream_connect(up, a->w, a->want->raw, a->want->payer, ret_error);
    if (a->want->turn) {
        *ret_error = wait_for_dial(a->w, up, a->want, ret_wait);
    } else {
        dial_refuse(a->w, payer);
        *ret_error = -EMFILE;
    }
    return NULL;
}

/* ---- without a cap ---- */

/* Another worker's idle connection, rather than one more to the pod: when it has one to spare, or this worker's own is busy. Each
 * worker so keeps one for itself, and a burst on one of them uses what the others don't need. */
static struct worker *lender_find(const struct upstream *up, const struct worker *w) {
    bool own = up->w[w->id].open;
    if (up->pool->speech.trust) /* TLS has keys and counters: a descriptor is not all of it */
        return NULL;
    for (unsigned i = 1; i < up->workers; i++) {
        unsigned at = (w->id + i) % up->workers;
        const struct upstream_slot *s = &up->w[at];
        if (__atomic_load_n(&s->idle_count, __ATOMIC_RELAXED) &&
            (own || __atomic_load_n(&s->open, __ATOMIC_RELAXED) > 1))
            return process.worker[at];
    }
    return NULL;
}

static struct stream *take(const struct ask *a, struct upstream *up,
                           struct upstream_wait **ret_wait, int *ret_error) {
    struct worker *w = a->w;
    struct stream *s = a->want->fresh ? NULL : upstream_idle_take(up, w);
    if (s)
        return s;
    struct worker *lender =
        a->want->turn && !a->want->fresh && !w->draining ? lender_find(up, w) : NULL;
    if (lender && (*ret_error = wait_for_lent(w, up, a->want, lender, ret_wait)) == -EINPROGRESS)
        return NULL;
    return dial(a, up, ret_wait, ret_error);
}

/* ---- with one ---- */

/* Under the pool's lock. Promises room for a new connection; `s` is an idle one instead. 0 or why not. */
static int room_find(const struct ask *a, struct upstream **ret_up, struct stream **ret_s,
                     struct upstream_wait **ret_wait) {
    struct upstream_set *set = (struct upstream_set *)a->set;
    if (a->want->instead || !queue_waits(&set->pool->line)) {
        unsigned i = choose(a);
        if (i == PICK_NONE)
            return -ENETUNREACH;
        struct upstream *up = set->member[i];
        if (!is_full(a, up)) {
            *ret_up = up;
            *ret_s = a->want->fresh ? NULL : upstream_idle_take(up, a->w);
            if (!*ret_s)
                __atomic_add_fetch(&up->reserved, 1, __ATOMIC_RELAXED);
            return 0;
        }
    }
    return a->want->turn ? wait_in_line(a->w, set, a->want, ret_wait) : -EBUSY;
}

static struct stream *take_capped(const struct ask *a, struct upstream_wait **ret_wait,
                                  int *ret_error) {
    struct pool *pool = a->set->pool;
    struct upstream *up = NULL;
    struct stream *s = NULL;
    pthread_mutex_lock(&pool->lock);
    *ret_error = room_find(a, &up, &s, ret_wait);
    pthread_mutex_unlock(&pool->lock);
    if (*ret_error == -EINPROGRESS) /* a connection that ended just before saw nobody in line */
        pool_serve(pool, a->w->ring);
    if (!up || s) /* none, or an idle one of it */
        return s;
    s = dial(a, up, ret_wait, ret_error);
    __atomic_sub_fetch(&up->reserved, 1, __ATOMIC_SEQ_CST);
    pool_serve(pool, a->w->ring); /* until now this one was counted twice */
    return s;
}

/* ---- what is asked for ---- */

struct stream *upstream_ask(struct worker *w, struct upstream_set *set,
                            const struct upstream_want *want, struct upstream_wait **ret_wait,
                            int *ret_error) {
    struct ask a = {w, set, want, worker_now_ms(w)};
    if (!set || !set->count) {
        *ret_error = -ENETUNREACH;
        return NULL;
    }
    if (!want->instead && __atomic_load_n(&set->retried, __ATOMIC_RELAXED))
        budget_earn(&set->pool->w[w->id].budget, set->policy->retry_percent);
    if (set->pod_connections)
        return take_capped(&a, ret_wait, ret_error);
    unsigned i = choose(&a);
    if (i != PICK_NONE)
        return take(&a, set->member[i], ret_wait, ret_error);
    *ret_error = -ENETUNREACH;
    return NULL;
}

struct upstream *upstream_choose(struct worker *w, struct upstream_set *set,
                                 const struct upstream_want *want, int *ret_error) {
    struct ask a = {w, set, want, worker_now_ms(w)};
    unsigned i = set && set->count ? choose(&a) : PICK_NONE;
    if (i == PICK_NONE) {
        *ret_error = -ENETUNREACH;
        return NULL;
    }
    if (!want->instead && __atomic_load_n(&set->retried, __ATOMIC_RELAXED))
        budget_earn(&set->pool->w[w->id].budget, set->policy->retry_percent);
    return set->member[i];
}

struct stream *upstream_dial(struct worker *w, struct upstream_set *set, struct upstream *up,
                             int *ret_error) {
    const struct upstream_want want = {0};
    const struct ask a = {.w = w, .set = set, .want = &want};
    if (!set->pod_connections)
        return dial(&a, up, NULL, ret_error);
    pthread_mutex_lock(&set->pool->lock);
    bool full = upstream_taken(up) >= set->pod_connections;
    if (!full)
        __atomic_add_fetch(&up->reserved, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&set->pool->lock);
    if (full) {
        *ret_error = -EBUSY;
        return NULL;
    }
    struct stream *s = dial(&a, up, NULL, ret_error);
    __atomic_sub_fetch(&up->reserved, 1, __ATOMIC_SEQ_CST);
    pool_serve(set->pool, w->ring);
    return s;
}

struct stream *upstream_open(struct worker *w, struct upstream_set *set, bool fresh,
                             const struct upstream *avoid, int *ret_error) {
    struct upstream_want want = {.fresh = fresh, .avoid = avoid};
    return upstream_ask(w, set, &want, NULL, ret_error);
}

const struct policy *upstream_policy(const struct upstream_set *set) {
    return set->policy;
}

bool upstream_wants_key(const struct upstream_set *set) {
    return set->balance == BALANCE_HASH;
}

uint64_t upstream_key(const void *data, size_t length) {
    return pick_key(data, length);
}

bool upstream_may_retry(struct worker *w, struct upstream_set *set) {
    struct pool_slot *slot = &set->pool->w[w->id];
    __atomic_store_n(&set->retried, 1, __ATOMIC_RELAXED);
    bool may = budget_take(&slot->budget, set->policy->retry_percent, worker_now_ms(w));
    ACCOUNT_ADD(*(may ? &slot->retries : &slot->retries_refused), 1);
    return may;
}
