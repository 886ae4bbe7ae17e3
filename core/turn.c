/* SPDX-License-Identifier: GPL-3.0-or-later
 * turn.c - see turn.h.
 */
#include "core/turn.h"
#include "core/glut.h"
#include "core/worker.h"

struct waiting {          /* a completion in a lane */
    struct drr_item item; /* first */
    uint64_t since;       /* cycles: its turn began */
    struct op *op;
    struct completion completion;
};

static struct worker *worker_of(struct turn *t) {
    return container_of(t, struct worker, turn);
}

/* ---- the clock: cycles are what is measured, microseconds are what is meant ---- */

enum { CYCLES_US_GUESS = 1000, LEARN_LEAST_NS = 1000000, LEARN_MOST_NS = 1000000000 };
enum { LEARN_KERNEL = 20000 }; /* of less than such a weight an enter says little */

static void clock_set(struct turn *t, uint64_t cycles_us) {
    t->cycles_us = cycles_us ? cycles_us : 1;
    t->drr.quantum = (int64_t)(TURN_QUANTUM_US * t->cycles_us);
}

/* How fast cycles pass is known better each turn, and well enough after a second. */
static void clock_learn(struct worker *w) {
    struct turn *t = &w->turn;
    int64_t ns = w->now_ns - t->first_ns;
    if (!t->first_ns || ns < LEARN_LEAST_NS)
        return;
    clock_set(t, (w->charge_mark - t->first_cycles) / (uint64_t)(ns / 1000));
    if (ns >= LEARN_MOST_NS)
        t->first_ns = 0;
}

void turn_kernel_took(struct turn *t, uint64_t ns) {
    if (t->kernel < LEARN_KERNEL)
        return;
    uint64_t dear = ns * TURN_DEAR_ONE / t->kernel;
    dear = dear < TURN_DEAR_ONE ? TURN_DEAR_ONE : dear < TURN_DEAR_MOST ? dear : TURN_DEAR_MOST;
    t->dear = (unsigned)((t->dear * 15 + dear) / 16);
}

void turn_init(struct worker *w) {
    struct turn *t = &w->turn;
    t->dear = TURN_DEAR_ONE;
    t->first_ns = w->now_ns;
    t->first_cycles = w->charge_mark;
    t->halting = (struct lane){.drr = {.weight = 1}, .account = w->nobody};
    t->others_ns = t->tenants_ns = w->now_ns;
    clock_set(t, CYCLES_US_GUESS);
}

/* So long after it began; while nobody else comes, all of a tenant's own may as well be in one. */
static uint64_t until(const struct turn *t, unsigned us) {
    return t->began + (t->alone ? TURN_ALONE_US : us) * t->cycles_us;
}

static bool is_long_ago(const struct worker *w, int64_t ns) {
    return w->now_ns - ns >= TURN_ALONE_MS * 1000000ll;
}

void turn_begin(struct worker *w) {
    struct turn *t = &w->turn;
    clock_learn(w);
    t->began = w->charge_mark;
    t->mark = t->began;
    t->kernel = t->due = 0;
    t->was_brief = t->brief;
    t->brief = false;
    t->crowded = turn_waits(t); /* who waits already is not to be overtaken */
    t->alone = is_long_ago(w, t->others_ns);
    t->several = !is_long_ago(w, t->tenants_ns);
    t->slice_end = until(t, TURN_SLICE_US);
}

static void others_are_here(struct turn *t) {
    t->others_ns = worker_of(t)->now_ns;
    t->alone = false;
}

/* Who comes to a shared listener is nobody's yet, and so in the way of no other tenant. */
void turn_meets_tenant(struct turn *t, const struct account *tenant) {
    const struct worker *w = worker_of(t);
    if (tenant == w->nobody || t->in_order)
        return;
    t->met_ns = w->now_ns;
    if (tenant == t->tenant)
        return;
    t->payer = NULL; /* the next completion is another's than this */
    t->tenant = tenant;
    t->tenants_ns = w->now_ns;
    t->several = true;
}

/* Somebody comes to a shared listener, or has spoken, and who he is is not known yet. */
static bool is_strangers(const struct worker *w, const struct owner *o) {
    return (o->own_lane ? o->lane->account : o->account) == w->nobody && !o->halting;
}

void turn_meets(struct turn *t, const struct op *op) {
    const void *payer = turn_payer(op);
    if (payer == t->tenant)
        t->met_ns = worker_of(t)->now_ns;
    else if (is_strangers(worker_of(t), op->owner))
        t->strangers_ns = worker_of(t)->now_ns;
    if (payer == t->payer)
        return;
    turn_meets_tenant(t, account_tenant(op->owner->account));
    t->payer = payer;
    others_are_here(t);
    t->slice_end = until(t, TURN_SLICE_US);
}

bool turn_ends(struct turn *t, bool several) {
    if (several) {
        others_are_here(t);
        t->crowded = true;
        t->small_until_ns = worker_of(t)->now_ns + TURN_SMALL_US * 1000ll;
        ACCOUNT_ADD(t->crowds, 1);
        return false;
    }
    uint64_t now = turn_reaches(t, t->mark);
    t->slice_end = now + TURN_SLICE_US * t->cycles_us;
    return now >= until(t, TURN_MOST_US);
}

bool turn_is_tight(const struct worker *w) {
    return w->turn.crowded || w->now_ns < w->turn.small_until_ns;
}

bool turn_is_busy(const struct turn *t) {
    return t->crowded || turn_waits(t) || (!t->in_order && sys_cycles() >= until(t, TURN_SLICE_US));
}

bool turn_is_young(const struct turn *t) {
    return !t->several && !t->crowded && !turn_waits(t) &&
           (t->in_order || sys_cycles() < until(t, TURN_DEAR_US));
}

/* ---- lanes ---- */

void lane_init_own(struct lane *l, struct owner *o, struct account *waits) {
    *l = (struct lane){.drr = {.weight = 1}, .account = waits};
    o->lane = l;
    o->own_lane = true;
}

void lane_end_own(struct worker *w, struct lane *l) {
    drr_remove(&w->turn.drr, &l->drr);
}

const void *turn_payer(const struct op *op) {
    const struct owner *o = op->owner;
    if (o->halting)
        return &o->worker->turn.halting;
    return o->own_lane ? (const void *)o->lane : account_tenant(o->account);
}

static struct lane *lane_of(struct worker *w, struct account *a) {
    struct lane *l = a->w[w->id].lane;
    if (l || !(l = worker_alloc(w, sizeof *l)))
        return l;
    *l = (struct lane){.drr = {.weight = a == w->nobody ? LANE_STRANGERS : 1},
                       .account = a,
                       .next = w->turn.lanes};
    w->turn.lanes = l;
    __atomic_store_n(&a->w[w->id].lane, l, __ATOMIC_RELAXED);
    return l;
}

static struct lane *lane_of_owner(struct worker *w, const struct owner *o) {
    if (o->queued || o->own_lane)
        return o->lane;
    return o->halting ? &w->turn.halting : lane_of(w, account_tenant(o->account));
}

static struct lane *lane_of_chores(struct worker *w, struct account *a) {
    struct lane *l = lane_of(w, a), *second = l ? l->chores : NULL;
    if (!l || second || !(second = worker_alloc(w, sizeof *second)))
        return second;
    *second = (struct lane){.drr = {.weight = 1}, .account = a, .of_chores = true};
    l->chores = second;
    return second;
}

/* Nothing waits: what lanes owe is forgotten, since nobody had to wait for it. */
static void lanes_free(struct worker *w) {
    struct lane *l;
    drr_rest(&w->turn.drr);
    w->turn.remembered = NULL;
    while ((l = w->turn.lanes)) {
        w->turn.lanes = l->next;
        __atomic_store_n(&l->account->w[w->id].lane, NULL, __ATOMIC_RELAXED);
        if (l->chores)
            worker_free(w, l->chores, sizeof *l->chores);
        worker_free(w, l, sizeof *l);
    }
}

/* Once each: his tenant's first lane. */
static void lane_remember(struct worker *w, struct lane *l) {
    struct lane *first = l->account ? l->account->w[w->id].lane : NULL;
    if (!first || first->remembered || (l != first && !l->of_chores))
        return;
    first->remembered = true;
    first->next_remembered = w->turn.remembered;
    w->turn.remembered = first;
}

/* What a tenant's completions cause at the end of the turn (sends, TLS records) and in what was looked ahead for is not seen while
 * they are served, but it is charged: so lanes that were served, or wait, pay for it before the next turn. These are a few, of thousands
 * that were in the round. */
static void lanes_note(struct worker *w) {
    const struct drr_lines *of[] = {&w->turn.drr.fresh, &w->turn.drr.round};
    worker_pays(w, w->nobody); /* what was served last is charged before it is looked at */
    for (int i = 0; i < 2; i++)
        for (struct drr_line *line = of[i]->first; line; line = line->next)
            lane_remember(w, container_of(line, struct lane, drr));
    for (struct lane *l = w->turn.remembered; l; l = l->next_remembered)
        l->charged = l->account->w[w->id].loop_cycles;
}

/* A lane's completions are its tenant's chores' to pay for as well, while there are any. Both in cycles: by the clock, and what the
 * kernel took. */
static void lane_paid(struct worker *w, struct lane *l, uint64_t clock, uint64_t kernel) {
    struct lane *of[] = {l, l->chores && l->chores->drr.first ? l->chores : NULL};
    for (int i = 0; i < 2 && of[i]; i++) {
        drr_paid(&w->turn.drr, &of[i]->drr, (int64_t)clock);
        drr_owes(&w->turn.drr, &of[i]->drr, (int64_t)kernel);
    }
}

static void lanes_settle(struct worker *w) {
    struct lane *l;
    while ((l = w->turn.remembered)) {
        w->turn.remembered = l->next_remembered;
        l->remembered = false;
        if (l->charged && l->account != w->nobody)
            lane_paid(w, l, l->account->w[w->id].loop_cycles - l->charged, 0);
        l->charged = 0;
    }
}

/* ---- into a lane, and out of it ---- */

static unsigned buffers_of(const struct completion *c) {
    return c->flags & OP_BUFFER && c->res > 0 ? ((unsigned)c->res + BUF_SIZE - 1) / BUF_SIZE : 0;
}

static void lane_charge(const struct worker *w, const struct lane *l, int64_t buffers) {
    if (buffers && l->account)
        ACCOUNT_ADD(l->account->w[w->id].buffers, buffers);
}

static void lane_brake(const struct worker *w, const struct lane *l, struct op *op,
                       const struct completion *c) {
    bool is_long = l->drr.count >= LANE_LONG || (buffers_of(c) && op->owner->queued >= OWNER_LONG);
    if (op->braked || !(c->flags & OP_MORE))
        return;
    if (!is_long && !(buffers_of(c) && l->account && glut_degree(w, l->account)))
        return;
    op->braked = true;
    ring_cancel(w->ring, op);
}

/* A lane that is served several times in a row has waited once. Who speaks haltingly waits for his own sake. */
static void wait_note(struct worker *w, const struct lane *l, const struct waiting *i) {
    struct turn *t = &w->turn;
    if (l == &t->halting)
        return;
    uint64_t waited = l->account != w->nobody ? l->drr.waited : t->mark - i->since;
    if (!waited || !l->account)
        return;
    struct account_worker *row = &l->account->w[w->id];
    uint64_t us = waited / t->cycles_us;
    ACCOUNT_ADD(row->waited_us, us);
    ACCOUNT_ADD(row->waits, 1);
    if (l->account == w->nobody)
        return;
    ACCOUNT_ADD(t->waited_us, us);
    ACCOUNT_ADD(t->waits, 1);
    if (us > __atomic_load_n(&t->waited_us_max, __ATOMIC_RELAXED))
        __atomic_store_n(&t->waited_us_max, us, __ATOMIC_RELAXED);
}

static void mark_set(struct turn *t, uint64_t now) {
    t->mark = t->drr.now = now;
}

static void serve_completion(struct worker *w, const struct lane *l, struct drr_item *item) {
    struct waiting *i = container_of(item, struct waiting, item);
    struct completion c = i->completion;
    struct op *op = i->op;
    wait_note(w, l, i);
    worker_free(w, i, sizeof *i);
    op->owner->queued--;
    lane_charge(w, l, -(int64_t)buffers_of(&c));
    op_complete(op, &c);
}

static void chore_run(struct drr_item *item) {
    struct chore *chore = container_of(item, struct chore, item);
    chore->run(chore);
}

static void serve(struct worker *w, struct drr_line *line, struct drr_item *item) {
    struct lane *l = container_of(line, struct lane, drr);
    struct turn *t = &w->turn;
    uint64_t kernel = t->kernel;
    if (l->of_chores)
        chore_run(item);
    else
        serve_completion(w, l, item);
    uint64_t now = sys_cycles();
    lane_paid(w, l, now - t->mark, turn_kernel_cycles(t, t->kernel - kernel));
    lane_remember(w, l);
    mark_set(t, now);
}

/* What came before it, first. */
static void put_without_memory(struct worker *w, struct op *op, const struct completion *c) {
    struct lane *l = op->owner->lane;
    while (l && op->owner->queued) /* who has something waiting has a lane */
        serve(w, &l->drr, drr_take_of(&w->turn.drr, &l->drr));
    op_complete(op, c);
}

void turn_put(struct turn *t, struct op *op, const struct completion *c) {
    struct worker *w = worker_of(t);
    turn_meets(t, op);
    struct owner *o = op->owner;
    struct lane *l = lane_of_owner(w, o);
    struct waiting *i = l && o->queued < UINT16_MAX ? worker_alloc(w, sizeof *i) : NULL;
    if (!i) {
        put_without_memory(w, op, c);
        return;
    }
    *i = (struct waiting){.since = t->began, .op = op, .completion = *c};
    if (buffers_of(c))
        bufs_claim(w, c->buffer, (size_t)c->res);
    lane_charge(w, l, buffers_of(c));
    o->lane = l;
    o->queued++;
    t->drr.now = t->began; /* the latest that it can have come */
    drr_put(&t->drr, &l->drr, &i->item);
    lane_brake(w, l, op, c);
}

bool turn_put_chore(struct worker *w, struct account *tenant, struct chore *chore) {
    struct lane *l = lane_of_chores(w, tenant);
    if (l)
        drr_put(&w->turn.drr, &l->drr, &chore->item);
    return l;
}

unsigned turn_chores(const struct worker *w, const struct account *tenant) {
    const struct lane *l = tenant->w[w->id].lane;
    return l && l->chores ? l->chores->drr.count : 0;
}

static bool may_be_brief(const struct turn *t) {
    return t->several && !t->was_brief;
}

bool turn_sends_first(struct worker *w) {
    return w->turn.brief = may_be_brief(&w->turn) && w->flushing.first;
}

void turn_run(struct worker *w) {
    struct turn *t = &w->turn;
    if (!turn_waits(t))
        return;
    uint64_t end = until(t, TURN_MOST_US);
    bool light = false; /* somebody was given all he asked for, before those whose work goes on */
    struct drr_line *line;
    lanes_settle(w);
    mark_set(t, sys_cycles());
    while (turn_reaches(t, t->mark) < end && (line = drr_next(&t->drr))) {
        uint64_t before = t->mark;
        bool fresh = drr_is_fresh(&t->drr, line);
        bool dear = container_of(line, struct lane, drr)->of_chores;
        if ((light && !fresh && (t->brief = may_be_brief(t))) || (dear && turn_sends_first(w)))
            break;
        serve(w, line, drr_take_next(&t->drr, line));
        light = light || (fresh && !line->first);
        if (dear) /* who comes meanwhile is seen soon */
            end = until(t, t->mark - before >= TURN_DEAR_US * t->cycles_us ? TURN_DEAR_US
                                                                           : TURN_SLICE_US);
    }
    if (turn_waits(t))
        lanes_note(w);
    else
        lanes_free(w);
}

void turn_end(struct worker *w) {
    struct drr_line *line;
    struct drr_item *item;
    while ((item = drr_take(&w->turn.drr, &line)))
        if (container_of(line, struct lane, drr)->of_chores)
            chore_run(item);
        else
            worker_free(w, container_of(item, struct waiting, item), sizeof(struct waiting));
    lanes_free(w);
}
