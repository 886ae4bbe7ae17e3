/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_turns.c - a crowded worker: whose completions it works off (core/turn.c), with time that passes as the stories say.
 *
 * link: -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=aligned_alloc
 */
#include "core/process.h"
#include "core/worker.h"
#include "fake_kernel.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OWNERS = 64, US = 1000 };

struct thing { /* somebody's socket, or what stands for one */
    struct owner owner;
    struct op op;
    uint64_t ns; /* that one of its completions costs */
    int32_t put, seen;
    struct account *becomes; /* at its first completion, as a connection whose tenant is found */
    bool released;
};

static struct scene {
    struct worker *w;
    struct account *nobody, *a, *b;
    struct thing thing[OWNERS];
    unsigned things;
    uint64_t given_a, given_b;
} scene;

static void thing_done(struct op *op, const struct completion *c) {
    struct thing *t = container_of(op, struct thing, op);
    assert_int_equal(c->res, t->seen++); /* in order, and each once */
    assert_false(t->released);
    fake_spend(t->ns);
    if (t->becomes)
        t->owner.account = t->becomes;
    if (t->owner.account == scene.a)
        scene.given_a += t->ns;
    if (t->owner.account == scene.b)
        scene.given_b += t->ns;
}

static void thing_release(struct owner *o) {
    struct thing *t = container_of(o, struct thing, owner);
    assert_int_equal(t->seen, t->put);
    t->released = true;
}

static struct thing *thing_new(struct account *a, uint64_t ns) {
    struct thing *t = &scene.thing[scene.things++];
    owner_init(&t->owner, scene.w, a, thing_release);
    op_init(&t->op, &t->owner, thing_done);
    t->op.armed = true;
    t->owner.inflight = 1;
    t->ns = ns;
    return t;
}

static void thing_put(struct thing *t, uint32_t flags) {
    struct completion c = {.res = t->put++, .flags = flags};
    turn_put(&scene.w->turn, &t->op, &c);
}

static void thing_fill(struct thing *t, int32_t most) {
    while (t->put < most)
        thing_put(t, OP_MORE);
}

/* A TLS handshake, or what stands for one. */
struct dear {
    struct chore chore;
    struct account *account;
    uint64_t ns;
    unsigned runs;
};

static void dear_run(struct chore *chore) {
    struct dear *d = container_of(chore, struct dear, chore);
    d->runs++;
    fake_spend(d->ns);
    *(d->account == scene.a ? &scene.given_a : &scene.given_b) += d->ns;
}

static void dear_put(struct dear *d, struct account *a, uint64_t ns) {
    *d = (struct dear){.chore = {.run = dear_run}, .account = a, .ns = ns};
    assert_true(turn_put_chore(scene.w, a, &d->chore));
}

static void scene_up(void) {
    struct err err;
    fake_start(&(struct fake_plan){.seed = 1, .free_clock = true});
    scene = (struct scene){
        .nobody = account_new("", 1), .a = account_new("a", 1), .b = account_new("b", 1)};
    struct worker_conf conf = {.nobody = scene.nobody, .seed = 1, .buffer_memory = 8 << 20};
    assert_true(worker_new(&conf, &scene.w, &err));
    scene.w->turn.cycles_us = 1000; /* the fake clock's cycles are nanoseconds */
    scene.w->turn.drr.quantum = TURN_QUANTUM_US * 1000;
    scene.w->turn.first_ns = 0;
}

static void scene_down(void) {
    assert_null(scene.w->turn.lanes);
    worker_end(scene.w);
    assert_int_equal(scene.a->refs, 1);
    account_unref(scene.a);
    account_unref(scene.b);
    account_unref(scene.nobody);
    accounts_end();
}

static void begin(void) {
    scene.w->charge_mark = sys_cycles();
    turn_begin(scene.w);
}

/* A turn as worker_turn has it, of what is queued. */
static void turn(void) {
    begin();
    turn_run(scene.w);
}

static void turns_until_idle(void) {
    for (unsigned i = 0; i < 100000 && turn_waits(&scene.w->turn); i++)
        turn();
    assert_false(turn_waits(&scene.w->turn));
}

/* ---- claims ---- */

/* Fifty busy connections beside one, whose completions are dearer: the same time for both, turn by turn. */
static void a_tenant_with_many_connections_gets_no_more_than_one_with_one(void **unused) {
    (void)unused;
    scene_up();
    for (unsigned i = 0; i < 50; i++)
        for (struct thing *t = thing_new(scene.a, 10 * US); t->put < 200;)
            thing_put(t, OP_MORE);
    struct thing *one = thing_new(scene.b, 70 * US);
    thing_fill(one, 2000);
    for (unsigned i = 0; i < 60; i++) {
        turn();
        assert_true(one->seen < one->put && scene.given_a < 50 * 200 * 10 * US);
        int64_t apart = (int64_t)scene.given_a - (int64_t)scene.given_b;
        assert_in_range(llabs(apart), 0, (TURN_QUANTUM_US + 70) * US); /* a quantum, an item */
        assert_true(scene.given_a && scene.given_b);
    }
    turns_until_idle();
    scene_down();
}

/* What the kernel brings for one tenant fills its own lane; who comes later is served within a round. */
static void who_comes_to_a_crowded_worker_is_served_within_a_turn(void **unused) {
    (void)unused;
    scene_up();
    struct thing *flood = thing_new(scene.a, 50 * US), *late = thing_new(scene.b, 50 * US);
    thing_fill(flood, 5000);
    turn();
    for (unsigned i = 0; i < 20; i++) {
        thing_put(late, OP_MORE);
        turn();
        assert_int_equal(late->seen, late->put);
    }
    assert_true(flood->seen < flood->put);
    turns_until_idle();
    assert_int_equal(flood->seen, flood->put);
    scene_down();
}

static void a_turn_ends_in_time_and_the_rest_goes_on_in_the_next(void **unused) {
    (void)unused;
    scene_up();
    struct thing *t = thing_new(scene.a, 100 * US);
    thing_fill(t, 200);
    unsigned turns = 0;
    while (turn_waits(&scene.w->turn)) {
        uint64_t before = scene.w->charge_mark;
        turn();
        turns++;
        assert_in_range(scene.w->charge_mark - before, 0, (TURN_MOST_US + 200) * US);
        assert_int_equal(turn_waits(&scene.w->turn), t->seen < t->put);
    }
    assert_true(turns >= 13);
    scene_down();
}

/* How many completions, each of which costs the kernel a weight of 20 us, a turn works off. */
static int32_t served_of_dear(struct thing *t) {
    int32_t before = t->seen;
    turn();
    return t->seen - before;
}

/* Where the kernel takes longer than the weights say, a turn brings it less: who comes then waits for what it takes, not for what it should. */
static void a_turn_is_as_short_where_the_kernel_is_slow(void **unused) {
    (void)unused;
    scene_up();
    struct thing *bulk = thing_new(scene.a, 5 * US);
    bulk->op.cost = 20 * US;
    thing_fill(bulk, 400);
    struct turn *t = &scene.w->turn;
    int32_t usual = served_of_dear(bulk);
    assert_in_range(usual, TURN_MOST_US / 25, TURN_MOST_US / 25 + 1);
    for (unsigned i = 0; i < 100; i++)
        turn_kernel_took(t, t->kernel * 4);
    assert_in_range(served_of_dear(bulk), 1, 2);
    for (unsigned i = 0; i < 100; i++)
        turn_kernel_took(t, t->kernel * 1000);
    assert_int_equal(t->dear, TURN_DEAR_MOST - 15); /* as near as the slow way gets */
    assert_int_equal(served_of_dear(bulk), 1);
    t->kernel = 100 * US;
    for (unsigned i = 0; i < 200; i++)
        turn_kernel_took(t, 1); /* one enter's work was another's, or nobody's */
    assert_int_equal(t->dear, TURN_DEAR_ONE);
    assert_int_equal(served_of_dear(bulk), usual);
    t->kernel = 10 * US;
    turn_kernel_took(t, 10000 * US);
    assert_int_equal(t->dear, TURN_DEAR_ONE);
    turns_until_idle();
    scene_down();
}

/* A connection whose tenant becomes known while its completions wait keeps their order. */
static void completions_of_one_owner_keep_their_order_when_its_payer_changes(void **unused) {
    (void)unused;
    scene_up();
    struct thing *stranger = thing_new(scene.nobody, 10 * US);
    struct thing *others[8];
    stranger->becomes = scene.b;
    for (unsigned i = 0; i < 8; i++)
        others[i] = thing_new(scene.a, 30 * US);
    for (unsigned round = 0; round < 400; round++) {
        thing_put(stranger, OP_MORE);
        thing_put(others[round % 8], OP_MORE);
        if (round % 7 == 0)
            turn();
    }
    assert_true(stranger->seen > 0);
    turns_until_idle();
    assert_int_equal(stranger->seen, stranger->put);
    scene_down();
}

static void a_dying_owner_gets_all_its_completions_and_is_released_once(void **unused) {
    (void)unused;
    scene_up();
    struct thing *dying = thing_new(scene.a, 10 * US), *busy = thing_new(scene.b, 60 * US);
    for (unsigned i = 0; i < 100; i++) {
        thing_put(dying, OP_MORE);
        thing_put(busy, OP_MORE);
    }
    turn();
    assert_true(dying->seen < dying->put);
    thing_put(dying, 0);
    owner_end(&dying->owner);
    for (unsigned i = 0; i < 1000 && !dying->released; i++)
        assert_int_equal(worker_turn(scene.w, 0), 0);
    assert_true(dying->released);
    assert_int_equal(dying->seen, dying->put);
    turns_until_idle();
    scene_down();
}

static void a_long_lane_brakes_what_fills_it_and_no_other(void **unused) {
    (void)unused;
    scene_up();
    struct thing *flood = thing_new(scene.a, 10 * US), *other = thing_new(scene.b, 10 * US);
    for (unsigned i = 0; i < LANE_LONG; i++) {
        assert_false(flood->op.braked);
        thing_put(flood, OP_MORE);
        if (i % 2)
            thing_put(other, OP_MORE);
    }
    assert_true(flood->op.braked);
    assert_false(other->op.braked);
    turns_until_idle();
    scene_down();
}

/* Each k-th allocation fails: everything comes, in order, at once if it can't wait. */
static void without_memory_order_is_kept(void **unused) {
    (void)unused;
    for (unsigned k = 1; k < 60; k++) {
        scene_up();
        struct thing *a = thing_new(scene.a, 10 * US), *b = thing_new(scene.b, 10 * US);
        fake_fail_at(k);
        for (unsigned i = 0; i < 300; i++)
            thing_put(i % 3 ? a : b, OP_MORE);
        turns_until_idle();
        fake_fail_at(0);
        assert_int_equal(a->seen, a->put);
        assert_int_equal(b->seen, b->put);
        scene_down();
    }
}

/* Buffers that wait are held by their tenant, and the kernel is lent others meanwhile. */
static void buffers_that_wait_count_for_their_tenant(void **unused) {
    (void)unused;
    scene_up();
    struct worker *w = scene.w;
    struct thing *t = thing_new(scene.a, 0);
    unsigned provided = w->provided, at = w->order_tail - w->provided;
    t->put = t->seen = 3 * BUF_SIZE - 10; /* what is received, and what thing_done awaits */
    struct completion c = {.res = t->put++, .flags = OP_MORE | OP_BUFFER, .buffer = w->order[at]};
    turn_put(&w->turn, &t->op, &c);
    assert_int_equal(scene.a->w[0].buffers, 3);
    assert_int_equal(w->provided, provided - 3);
    bufs_refill(w);
    assert_int_equal(w->provided, provided);
    turns_until_idle();
    assert_int_equal(scene.a->w[0].buffers, 0);
    scene_down();
}

/* What a tenant's completions cause after they were served (sends, TLS records) is charged to it, and its lane pays for it. */
static void what_comes_of_completions_at_the_end_of_the_turn_is_paid_for_too(void **unused) {
    (void)unused;
    scene_up();
    struct thing *heavy = thing_new(scene.a, 10 * US), *light = thing_new(scene.b, 10 * US);
    thing_fill(heavy, 4000);
    thing_fill(light, 4000);
    int32_t seen = 0;
    for (unsigned i = 0; i < 20; i++) {
        turn();
        for (; seen < heavy->seen; seen++) /* three times what serving them took */
            ACCOUNT_ADD(scene.a->w[0].loop_cycles, 30 * US);
    }
    assert_in_range(light->seen, 2 * heavy->seen, 6 * heavy->seen);
    turns_until_idle();
    scene_down();
}

/* A tenant's flood is in the way of the others' work, and that is counted with them; what it queues itself is not. */
static void what_a_tenant_waits_for_others_is_counted(void **unused) {
    (void)unused;
    scene_up();
    const struct account_worker *busy = &scene.a->w[0], *light = &scene.b->w[0];
    struct thing *flood = thing_new(scene.a, 90 * US), *one = thing_new(scene.b, 10 * US);
    begin();
    thing_fill(flood, 400);
    turns_until_idle();
    assert_int_equal(busy->waits, 0); /* nobody else was there */
    begin();
    thing_fill(flood, 800);
    for (unsigned i = 0; i < 10; i++) {
        begin();
        thing_put(one, OP_MORE);
        turn_run(scene.w);
    }
    turns_until_idle();
    assert_in_range(light->waits, 1, 10);
    assert_in_range(light->waited_us / light->waits, 50, TURN_QUANTUM_US + 90); /* for a quantum */
    assert_in_range(busy->waited_us, 0, 10 * 10);
    scene_down();
}

/* Between turns, too, while the kernel works for somebody. */
static void a_wait_goes_on_from_turn_to_turn(void **unused) {
    (void)unused;
    scene_up();
    struct thing *flood = thing_new(scene.a, 1600 * US), *one = thing_new(scene.b, 10 * US);
    begin();
    thing_put(flood, OP_MORE);
    thing_put(one, OP_MORE);
    turn_run(scene.w); /* over with the first completion */
    assert_int_equal(one->seen, 0);
    fake_spend(20000 * US);
    turn();
    assert_int_equal(scene.b->w[0].waits, 1);
    assert_in_range(scene.b->w[0].waited_us, 21500, 22000);
    scene_down();
}

/* Slow heads have a hundred pieces each waiting; who comes behind them is seen within a turn, and they all are in the end. */
static void who_comes_new_does_not_wait_behind_those_who_have_not_said_for_whom(void **unused) {
    (void)unused;
    enum { PIECES = 100 };
    scene_up();
    for (unsigned i = 0; i < OWNERS - 1; i++) {
        struct thing *slow = thing_new(scene.nobody, 10 * US);
        slow->owner.halting = true;
        while (slow->put < PIECES)
            thing_put(slow, OP_MORE);
    }
    struct thing *new = thing_new(scene.nobody, 10 * US);
    assert_ptr_not_equal(turn_payer(&new->op), turn_payer(&scene.thing[0].op));
    thing_put(new, 0);
    turn();
    assert_int_equal(new->seen, 1);
    assert_int_equal(scene.nobody->w[0].waits, 1); /* theirs is nobody's harm */
    turns_until_idle();
    for (unsigned i = 0; i < OWNERS - 1; i++)
        assert_int_equal(scene.thing[i].seen, PIECES);
    scene_down();
}

/* Nobody knows whose they are, and they wait behind each other. */
static void strangers_wait_from_when_they_come(void **unused) {
    (void)unused;
    scene_up();
    struct thing *stranger = thing_new(scene.nobody, 100 * US);
    begin();
    thing_fill(stranger, 10);
    turns_until_idle();
    assert_in_range(scene.nobody->w[0].waits, 9, 10);
    assert_in_range(scene.nobody->w[0].waited_us, 4500, 4600);
    scene_down();
}

/* Three hundred handshakes of one tenant before one of another's each turn: that one is begun in the turn in which it comes. */
static void a_flood_of_handshakes_keeps_nobody_elses_waiting(void **unused) {
    static struct dear flood[300], late[20];
    (void)unused;
    scene_up();
    for (unsigned i = 0; i < 300; i++)
        dear_put(&flood[i], scene.a, 400 * US);
    assert_int_equal(turn_chores(scene.w, scene.a), 300);
    for (unsigned i = 0; i < 20; i++) {
        dear_put(&late[i], scene.b, 400 * US);
        turn();
        turn(); /* what came before may have cost it the credit of a round or four */
        assert_int_equal(late[i].runs, 1);
    }
    assert_in_range(300 - turn_chores(scene.w, scene.a), 10, 200); /* it went on meanwhile */
    turns_until_idle();
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(flood[i].runs, 1);
    scene_down();
}

/* One tenant's handshakes cost eight times the other's, as those that resume a session do: the time is shared, not the number. */
static void handshakes_are_shared_by_what_they_took(void **unused) {
    static struct dear full[200], resumed[1600];
    (void)unused;
    scene_up();
    for (unsigned i = 0; i < 200; i++)
        dear_put(&full[i], scene.a, 400 * US);
    for (unsigned i = 0; i < 1600; i++)
        dear_put(&resumed[i], scene.b, 50 * US);
    for (unsigned i = 0; i < 30; i++)
        turn();
    int64_t apart = (int64_t)scene.given_a - (int64_t)scene.given_b;
    assert_in_range(llabs(apart), 0, (TURN_QUANTUM_US + 400) * US);
    assert_true(turn_chores(scene.w, scene.a) && turn_chores(scene.w, scene.b));
    turns_until_idle();
    scene_down();
}

/* Who has both, handshakes that wait and completions, gets no more than who has completions alone; and what is open goes first. */
static void handshakes_and_completions_of_one_tenant_are_one_share(void **unused) {
    static struct dear dear[400];
    (void)unused;
    scene_up();
    struct thing *both = thing_new(scene.a, 20 * US), *other = thing_new(scene.b, 20 * US);
    while (both->put < 6000) {
        thing_put(both, OP_MORE);
        thing_put(other, OP_MORE);
    }
    for (unsigned i = 0; i < 400; i++)
        dear_put(&dear[i], scene.a, 300 * US);
    for (unsigned i = 0; i < 40; i++) {
        turn();
        assert_true(other->seen < other->put && both->seen < both->put);
    }
    int64_t apart = (int64_t)scene.given_a - (int64_t)scene.given_b;
    assert_in_range(llabs(apart), 0, (2 * TURN_QUANTUM_US + 320) * US);
    assert_in_range(both->seen, other->seen * 9 / 10, other->seen);
    turns_until_idle();
    assert_int_equal(dear[399].runs, 1);
    scene_down();
}

/* A request needs four turns, so it is to meet four handshakes, not eight. */
static void a_turn_with_a_handshake_has_no_second_one(void **unused) {
    static struct dear dear[20], cheap[40];
    (void)unused;
    scene_up();
    for (unsigned i = 0; i < 20; i++)
        dear_put(&dear[i], scene.a, 120 * US);
    scene.w->turn.others_ns = sys_now_ns();
    for (unsigned i = 1; i <= 20; i++) {
        turn();
        assert_int_equal(turn_chores(scene.w, scene.a), 20 - i);
    }
    for (unsigned i = 0; i < 40; i++) /* pieces of work are chores as well */
        dear_put(&cheap[i], scene.a, 10 * US);
    turn();
    assert_in_range(40 - turn_chores(scene.w, scene.a), TURN_SLICE_US / 10 - 1,
                    TURN_SLICE_US / 10 + 1);
    turns_until_idle();
    scene_down();
}

/* Nothing waits and the turn is young: no line is asked for. */
static void what_is_dear_waits_only_in_turns_that_are_long(void **unused) {
    static struct dear one;
    (void)unused;
    scene_up();
    struct turn *t = &scene.w->turn;
    begin();
    assert_false(
        turn_is_young(t)); /* others were here, as far as is known: what is theirs goes first */
    scene.w->now_ns += TURN_ALONE_MS * 1000000ll;
    t->others_ns = scene.w->now_ns;
    begin();
    assert_true(turn_is_young(t));
    fake_spend(TURN_DEAR_US * US - US);
    assert_true(turn_is_young(t));
    fake_spend(2 * US);
    assert_false(turn_is_young(t) || turn_is_busy(t));
    fake_spend((TURN_SLICE_US - TURN_DEAR_US) * US);
    assert_true(turn_is_busy(t));
    scene.w->charge_mark = sys_cycles();
    turn_begin(scene.w);
    assert_true(turn_is_young(t) && !turn_is_busy(t));
    dear_put(&one, scene.b, US);
    assert_true(turn_is_busy(t) && !turn_is_young(t));
    turn_begin(scene.w);
    assert_true(t->crowded);
    turns_until_idle();
    scene_down();
}

static bool long_after(uint64_t ns) {
    enum { LOOKS = 4 };
    fake_spend(ns);
    return turn_is_long(&scene.w->turn, LOOKS, 0);
}

static void begin_now(void) {
    scene.w->now_ns = sys_now_ns();
    begin();
}

/* Where nobody is kept waiting a turn costs more than it is good for. */
static void who_was_alone_for_long_has_long_turns_until_somebody_else_comes(void **unused) {
    (void)unused;
    scene_up();
    struct turn *t = &scene.w->turn;
    struct thing *one = thing_new(scene.a, 0), *other = thing_new(scene.b, 0);
    begin_now();
    turn_meets(t, &one->op);
    fake_pass(TURN_ALONE_MS - 1);
    begin_now();
    turn_meets(t, &one->op);
    assert_true(long_after(TURN_SLICE_US * US));
    assert_false(turn_ends(t, false));
    assert_true(long_after(TURN_SLICE_US * US));
    assert_true(turn_ends(t, false));
    fake_pass(1);
    begin_now();
    turn_meets(t, &one->op);
    assert_false(long_after((TURN_ALONE_US - 1) * US));
    assert_true(long_after(US));
    assert_true(turn_ends(t, false));
    begin_now();
    assert_false(long_after(TURN_MOST_US * US));
    turn_meets(t, &other->op);
    assert_true(long_after(0));
    assert_true(turn_ends(t, false));
    begin_now();
    turn_meets(t, &other->op);
    assert_true(long_after(TURN_SLICE_US * US));
    scene_down();
}

/* However long all that comes is queued, as it is in turns that are crowded from the beginning. */
static void who_is_met_in_crowded_turns_only_is_met(void **unused) {
    (void)unused;
    scene_up();
    struct thing *one = thing_new(scene.a, 10 * US), *other = thing_new(scene.b, 10 * US);
    for (unsigned i = 0; i < 40; i++) {
        bool both = i >= 20;
        fake_pass(10);
        thing_put(one, OP_MORE);
        begin_now();
        assert_true(scene.w->turn.crowded);
        if (i == 20 || i == 39)
            assert_int_equal(scene.w->turn.alone, i == 20);
        if (both)
            thing_put(other, OP_MORE);
    }
    turns_until_idle();
    scene_down();
}

static void the_worker_ends_whatever_waits(void **unused) {
    (void)unused;
    scene_up();
    struct thing *t = thing_new(scene.a, 10 * US);
    thing_fill(t, 500);
    turn();
    static struct dear dear;
    dear_put(&dear, scene.b, 0);
    turn_end(scene.w);
    assert_int_equal(dear.runs, 1); /* its memory is its maker's */
    scene_down();
}

/* Ten thousand connections that were given the same second to say something: their turns are no longer than others, nobody is
 * forgotten, and who is stopped or put off meanwhile does not fire. */
enum { CLOCKS = 500 };
static struct clock {
    struct timer timer;
    unsigned fired;
} clocks[CLOCKS];
static unsigned clocks_fired;

static void clock_fire(struct timer *t) {
    container_of(t, struct clock, timer)->fired++;
    clocks_fired++;
    fake_spend(20 * US);
}

static void timers_turn(void) {
    scene.w->now_ns = sys_now_ns();
    begin();
    timers_run(scene.w);
}

static void timers_that_are_due_at_once_fire_over_many_turns(void **unused) {
    (void)unused;
    enum { PART = TURN_MOST_US / 20 + 1 };
    scene_up();
    clocks_fired = 0;
    for (unsigned i = 0; i < CLOCKS; i++) {
        clocks[i] = (struct clock){0};
        timer_init(&clocks[i].timer, clock_fire);
        timer_set(scene.w, &clocks[i].timer, 1000);
    }
    fake_pass(1100);
    timers_turn();
    assert_in_range(clocks_fired, 1, PART);
    struct clock *stopped = NULL, *later = NULL;
    for (unsigned i = 0; i < CLOCKS; i++)
        if (!clocks[i].fired)
            *(stopped ? &later : &stopped) = &clocks[i];
    timer_stop(&stopped->timer);
    timer_set(scene.w, &later->timer, 2000);
    for (unsigned before; clocks_fired < CLOCKS - 2;) {
        assert_int_equal(timers_wait_ns(scene.w), 0);
        before = clocks_fired;
        timers_turn();
        assert_in_range(clocks_fired, before + 1, before + PART);
    }
    assert_true(timers_wait_ns(scene.w) > 0);
    assert_false(stopped->fired || later->fired);
    fake_pass(2100);
    timers_turn();
    assert_true(!stopped->fired && later->fired);
    for (unsigned i = 0; i < CLOCKS; i++)
        assert_int_equal(clocks[i].fired, &clocks[i] != stopped);
    scene_down();
}

/* ---- what is left for the end of a turn ---- */

static struct
    ending { /* a connection's bytes that are to be encrypted and sent, or what stands for them */
    struct flush flush;
    unsigned runs;
} ending[1000], others;

static unsigned runs_of_many(void) {
    unsigned sum = 0;
    for (unsigned i = 0; i < 1000; i++)
        sum += ending[i].runs;
    return sum;
}

static void ending_run(struct flush *f) {
    container_of(f, struct ending, flush)->runs++;
    fake_spend(20 * US);
}

/* It takes no time, but asks the kernel for what does. */
static void sending_run(struct flush *f) {
    container_of(f, struct ending, flush)->runs++;
    kernel_pays(scene.w, scene.a, 20 * US);
}

static void what_is_sent_at_the_end_of_a_turn_counts_as_what_the_kernel_takes(void **unused) {
    (void)unused;
    scene_up();
    memset(ending, 0, sizeof ending);
    scene.w->payer = scene.a;
    begin();
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(turn_is_over(&scene.w->turn), i * KERNEL_SEND >= TURN_MOST_US * US);
        ending[i].flush.run = sending_run;
        worker_later(scene.w, &ending[i].flush);
    }
    for (unsigned i = 0, before = 0, done; before < 1000 && i < 300; i++, before = done) {
        begin();
        flushes_run(scene.w);
        done = runs_of_many();
        assert_in_range(done - before, done < 1000 ? TURN_MOST_US / 20 : 1, TURN_MOST_US / 20 + 3);
    }
    assert_false(flushes_wait(scene.w));
    scene_down();
}

static void what_one_left_for_the_end_of_a_turn_is_in_nobodys_way_for_long(void **unused) {
    (void)unused;
    scene_up();
    memset(ending, 0, sizeof ending);
    scene.w->payer = scene.a;
    for (unsigned i = 0; i < 1000; i++) {
        ending[i].flush.run = ending_run;
        worker_later(scene.w, &ending[i].flush);
        worker_later(scene.w, &ending[i].flush);
    }
    others = (struct ending){.flush = {.run = ending_run}};
    scene.w->payer = scene.b;
    worker_later(scene.w, &others.flush);
    flush_forget(&ending[500].flush);
    uint64_t began = sys_cycles();
    flushes_run(scene.w);
    assert_int_equal(others.runs, 1);
    assert_in_range(sys_cycles() - began, TURN_MOST_US * US, (TURN_MOST_US + 70) * US);
    for (unsigned i = 0; i < 300 && flushes_wait(scene.w); i++)
        flushes_run(scene.w);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(ending[i].runs, i != 500);
    assert_int_equal(runs_of_many(), 999);
    assert_false(scene.a->w[0].is_flushing || scene.b->w[0].is_flushing);
    scene_down();
}

/* ---- turns that end early ---- */

/* Whose answer can go is not kept for what others still ask for; but no two turns in a row are for him alone. */
static void a_turn_ends_when_who_asks_for_little_was_served(void **unused) {
    (void)unused;
    scene_up();
    struct thing *flood = thing_new(scene.a, 10 * US), *late = thing_new(scene.b, 10 * US);
    thing_fill(flood, 5000);
    turn();
    for (unsigned i = 0; i < 40; i++) {
        int32_t seen = flood->seen;
        thing_put(late, OP_MORE);
        turn();
        assert_int_equal(late->seen, 2 * i + 1);
        assert_int_equal(flood->seen, seen);
        assert_true(turn_is_brief(&scene.w->turn));
        thing_put(late, OP_MORE);
        turn();
        assert_int_equal(late->seen, 2 * i + 2);
        assert_true(flood->seen >= seen + TURN_MOST_US / 10 - 2);
        assert_false(turn_is_brief(&scene.w->turn));
    }
    turns_until_idle();
    assert_false(turn_is_brief(&scene.w->turn)); /* nothing waits for the next */
    scene_down();
}

/* What is charged behind a turn's service is paid for once, also by a lane that had nothing left. */
static void who_was_served_pays_once_for_what_comes_of_it_later(void **unused) {
    (void)unused;
    for (unsigned brief = 0; brief < 2; brief++) {
        scene_up();
        struct thing *flood = thing_new(scene.a, 10 * US), *late = thing_new(scene.b, 20 * US);
        thing_fill(flood, 1000);
        turn();
        thing_put(late, OP_MORE);
        scene.w->turn.brief = !brief; /* the turn before: no two in a row are */
        turn();
        assert_int_equal(late->seen, 1);
        assert_int_equal(turn_is_brief(&scene.w->turn), brief);
        const struct lane *l = scene.b->w[0].lane;
        int64_t credit = l->drr.credit;
        worker_pays(scene.w, scene.b); /* its bytes are encrypted */
        fake_spend(30 * US);
        worker_pays(scene.w, scene.nobody);
        begin();
        turn_run(scene.w);
        assert_int_equal(credit - l->drr.credit, 30 * US);
        turns_until_idle();
        scene_down();
    }
}

/* Who has more than a quantum's worth asks for much, however new he is. */
static void a_turn_does_not_end_early_for_who_asks_for_more_than_his_share(void **unused) {
    (void)unused;
    scene_up();
    struct thing *flood = thing_new(scene.a, 10 * US), *other = thing_new(scene.b, 10 * US);
    thing_fill(flood, 1000);
    turn();
    int32_t before = flood->seen;
    thing_fill(other, 1000);
    turn();
    assert_false(turn_is_brief(&scene.w->turn));
    assert_true(other->seen >= TURN_QUANTUM_US / 10);
    assert_int_equal(flood->seen - before + other->seen, TURN_MOST_US / 10);
    turns_until_idle();
    scene_down();
}

/* Bytes that wait to be sent are not kept for what is dear, where they may be another's. */
static void what_is_to_be_sent_goes_before_what_is_dear(void **unused) {
    static struct dear one;
    (void)unused;
    for (unsigned several = 0; several < 2; several++) {
        scene_up();
        if (!several)
            scene.w->now_ns += TURN_ALONE_MS * 1000000ll;
        others = (struct ending){.flush = {.run = ending_run}};
        dear_put(&one, scene.a, 100 * US);
        scene.w->payer = scene.b;
        begin();
        worker_later(scene.w, &others.flush);
        turn_run(scene.w);
        assert_int_equal(one.runs, !several);
        assert_int_equal(turn_is_brief(&scene.w->turn), several);
        flushes_run(scene.w);
        assert_int_equal(others.runs, 1);
        turn();
        assert_int_equal(one.runs, 1);
        scene_down();
    }
}

/* What others left of the turn before comes behind who has something new, and in a turn that ended for him not at all. */
static void who_has_something_new_to_send_is_before_who_had_too_much(void **unused) {
    (void)unused;
    scene_up();
    memset(ending, 0, sizeof ending);
    scene.w->payer = scene.a;
    for (unsigned i = 0; i < 1000; i++) {
        ending[i].flush.run = ending_run;
        worker_later(scene.w, &ending[i].flush);
    }
    begin();
    flushes_run(scene.w);
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = runs_of_many();
        begin();
        scene.w->turn.brief = i % 2;
        others = (struct ending){.flush = {.run = ending_run}};
        scene.w->payer = scene.b;
        worker_later(scene.w, &others.flush);
        uint64_t began = sys_cycles();
        flushes_run(scene.w);
        assert_int_equal(others.runs, 1);
        if (i % 2)
            assert_int_equal(runs_of_many(), before);
        else
            assert_in_range(runs_of_many() - before, 1, TURN_MOST_US / 20 + 1);
        assert_in_range(sys_cycles() - began, 20 * US, (TURN_MOST_US + 70) * US);
    }
    scene.w->turn.brief = false;
    while (flushes_wait(scene.w))
        flushes_run(scene.w);
    assert_int_equal(runs_of_many(), 1000);
    scene_down();
}

/* A worker waits for more to come only where one tenant's work is all there is. */
static void completions_are_gathered_for_one_tenant_only(void **unused) {
    (void)unused;
    scene_up();
    struct worker *w = scene.w;
    for (unsigned several = 0; several < 2; several++) {
        w->completions = 20;
        w->turn.several = several;
        assert_int_equal(worker_turn(w, 1000000), 0);
        assert_int_equal(fake_awaited(), several ? 1 : 40);
    }
    struct thing *a = thing_new(scene.a, 0), *b = thing_new(scene.b, 0);
    struct thing *stranger = thing_new(scene.nobody, 0);
    scene.w->now_ns = w->turn.tenants_ns + TURN_ALONE_MS * 1000000ll;
    turn_begin(w);
    turn_meets(&w->turn, &a->op);
    w->turn.tenants_ns = 0; /* the first that is ever met */
    turn_begin(w);
    turn_meets(&w->turn, &stranger->op);
    turn_meets(&w->turn, &a->op);
    assert_false(w->turn.several);
    turn_meets(&w->turn, &b->op);
    assert_true(w->turn.several);
    scene.w->now_ns += TURN_ALONE_MS * 1000000ll - 1;
    turn_begin(w);
    assert_true(w->turn.several);
    scene.w->now_ns++;
    turn_begin(w);
    assert_false(w->turn.several);
    scene_down();
}

/* Who comes meets long turns more often than short ones. Where one took very long its thread may have had no CPU. */
static void lengths_of_turns_are_summed_as_squares(void **unused) {
    (void)unused;
    scene_up();
    struct worker *w = scene.w;
    struct {
        uint64_t kernel_us, turn_us, squared;
    } turns[] = {{40, 0, 1600},
                 {0, 30, 900},
                 {20, 30, 2500},
                 {10000, 0, 4ull * TURN_MOST_US * TURN_MOST_US}};
    for (unsigned i = 0; i < sizeof turns / sizeof *turns; i++) {
        uint64_t before = w->turns_squared_us;
        w->turn.kernel = turns[i].kernel_us * US;
        w->turn_ns = (int64_t)(turns[i].turn_us * US);
        w->enter_cpu_ns = 0;
        assert_int_equal(worker_turn(w, 0), 0);
        assert_int_equal(w->turns_squared_us - before, turns[i].squared);
    }
    scene_down();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenant_with_many_connections_gets_no_more_than_one_with_one),
        cmocka_unit_test(who_comes_to_a_crowded_worker_is_served_within_a_turn),
        cmocka_unit_test(a_turn_ends_in_time_and_the_rest_goes_on_in_the_next),
        cmocka_unit_test(a_turn_is_as_short_where_the_kernel_is_slow),
        cmocka_unit_test(completions_of_one_owner_keep_their_order_when_its_payer_changes),
        cmocka_unit_test(a_dying_owner_gets_all_its_completions_and_is_released_once),
        cmocka_unit_test(a_long_lane_brakes_what_fills_it_and_no_other),
        cmocka_unit_test(without_memory_order_is_kept),
        cmocka_unit_test(buffers_that_wait_count_for_their_tenant),
        cmocka_unit_test(what_comes_of_completions_at_the_end_of_the_turn_is_paid_for_too),
        cmocka_unit_test(what_a_tenant_waits_for_others_is_counted),
        cmocka_unit_test(a_wait_goes_on_from_turn_to_turn),
        cmocka_unit_test(strangers_wait_from_when_they_come),
        cmocka_unit_test(who_comes_new_does_not_wait_behind_those_who_have_not_said_for_whom),
        cmocka_unit_test(a_flood_of_handshakes_keeps_nobody_elses_waiting),
        cmocka_unit_test(handshakes_are_shared_by_what_they_took),
        cmocka_unit_test(handshakes_and_completions_of_one_tenant_are_one_share),
        cmocka_unit_test(a_turn_with_a_handshake_has_no_second_one),
        cmocka_unit_test(what_is_dear_waits_only_in_turns_that_are_long),
        cmocka_unit_test(who_was_alone_for_long_has_long_turns_until_somebody_else_comes),
        cmocka_unit_test(timers_that_are_due_at_once_fire_over_many_turns),
        cmocka_unit_test(what_is_sent_at_the_end_of_a_turn_counts_as_what_the_kernel_takes),
        cmocka_unit_test(what_one_left_for_the_end_of_a_turn_is_in_nobodys_way_for_long),
        cmocka_unit_test(who_is_met_in_crowded_turns_only_is_met),
        cmocka_unit_test(a_turn_ends_when_who_asks_for_little_was_served),
        cmocka_unit_test(who_was_served_pays_once_for_what_comes_of_it_later),
        cmocka_unit_test(a_turn_does_not_end_early_for_who_asks_for_more_than_his_share),
        cmocka_unit_test(what_is_to_be_sent_goes_before_what_is_dear),
        cmocka_unit_test(who_has_something_new_to_send_is_before_who_had_too_much),
        cmocka_unit_test(completions_are_gathered_for_one_tenant_only),
        cmocka_unit_test(lengths_of_turns_are_summed_as_squares),
        cmocka_unit_test(the_worker_ends_whatever_waits),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
