/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_lull.c - what is dear, or many, waits for a moment in which nobody else's answer is on its way (core/lull.h).
 *
 * link: -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=aligned_alloc
 */
#include "core/worker.h"
#include "fake_kernel.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct scene {
    struct worker *w;
    struct account *nobody, *a, *b, *victim;
    char order[64]; /* whose chores ran */
} scene;

static struct dear {
    struct chore chore;
    char name;
    unsigned runs;
} dears[64];
static unsigned dears_put;

static void dear_run(struct chore *chore) {
    struct dear *d = container_of(chore, struct dear, chore);
    size_t end = strlen(scene.order);
    d->runs++;
    if (end + 1 < sizeof scene.order)
        scene.order[end] = d->name;
}

static struct dear *dear_put(struct account *a) {
    struct dear *d = &dears[dears_put++];
    *d = (struct dear){.chore = {.run = dear_run}, .name = *a->name};
    assert_true(lull_put(scene.w, a, &d->chore));
    return d;
}

static void pass(int64_t us) {
    scene.w->now_ns += us * 1000;
}

/* As worker_turn does it. */
static void turn(void) {
    scene.w->charge_mark = sys_cycles();
    turn_begin(scene.w);
    if (scene.w->lull.first)
        lull_run(scene.w);
    turn_run(scene.w);
}

static void served(struct account *a) {
    turn_meets_tenant(&scene.w->turn, a);
}

static void scene_up(void) {
    struct err err;
    fake_start(&(struct fake_plan){.seed = 1, .free_clock = true});
    scene = (struct scene){.nobody = account_new("", 1),
                           .a = account_new("a", 1),
                           .b = account_new("b", 1),
                           .victim = account_new("v", 1)};
    struct worker_conf conf = {.nobody = scene.nobody, .seed = 1, .buffer_memory = 8 << 20};
    assert_true(worker_new(&conf, &scene.w, &err));
    scene.w->turn.cycles_us = 1000; /* the fake clock's cycles are nanoseconds */
    scene.w->turn.first_ns = 0;
    dears_put = 0;
    pass(1000000);
}

static void scene_down(void) {
    assert_null(scene.w->lull.first);
    assert_null(scene.a->w[0].held);
    worker_end(scene.w);
    account_unref(scene.a);
    account_unref(scene.b);
    account_unref(scene.victim);
    account_unref(scene.nobody);
    accounts_end();
}

/* The second of who asks often, while another has been served. */
static struct dear *dear_held(void) {
    dear_put(scene.a);
    turn();
    served(scene.victim);
    return dear_put(scene.a);
}

static void who_asks_for_little_waits_for_nobody(void **unused) {
    (void)unused;
    scene_up();
    for (unsigned i = 0; i < 5; i++) {
        served(scene.victim);
        struct dear *d = dear_put(scene.a);
        turn();
        assert_int_equal(d->runs, 1);
        pass(LULL_OFTEN_MS * 1000 + 1000);
    }
    scene_down();
}

static void who_asks_often_waits_until_others_have_their_answers(void **unused) {
    (void)unused;
    scene_up();
    struct dear *d = dear_held();
    turn();
    assert_int_equal(d->runs, 0);
    assert_int_equal(lull_wait_ns(scene.w), LULL_US * 1000);
    pass(LULL_US - 20);
    served(scene.victim); /* its pod's answer */
    turn();
    served(scene.a); /* what comes for himself is not in his way */
    pass(LULL_US - 1);
    turn();
    assert_int_equal(d->runs, 0);
    pass(1);
    turn();
    assert_int_equal(d->runs, 1);
    scene_down();
}

static void one_goes_on_in_a_lull_and_others_may_come_meanwhile(void **unused) {
    (void)unused;
    scene_up();
    dear_put(scene.a);
    turn();
    served(scene.victim);
    for (unsigned i = 0; i < 3; i++)
        dear_put(scene.a);
    pass(LULL_US);
    turn();
    assert_string_equal(scene.order, "aa");
    served(scene.victim);
    turn();
    assert_string_equal(scene.order, "aa");
    pass(LULL_US);
    turn();
    turn();
    assert_string_equal(scene.order, "aaaa");
    scene_down();
}

/* Others are served all the time: one goes on now and then, and of many more, so that none waits for long; tenants by turns. */
static void there_may_be_no_lull(void **unused) {
    enum { STEP_US = 10 };
    (void)unused;
    scene_up();
    dear_put(scene.a);
    dear_put(scene.b);
    turn();
    scene.order[0] = scene.order[1] = 0;
    served(scene.victim);
    for (unsigned i = 0; i < 20; i++)
        dear_put(scene.a);
    for (unsigned i = 0; i < 3; i++)
        dear_put(scene.b);
    unsigned turns = 0;
    for (; scene.w->lull.first; turns++) {
        served(turns % 2 ? scene.victim : scene.nobody);
        served(scene.victim);
        pass(STEP_US);
        turn();
    }
    assert_in_range(turns * STEP_US, 22 * LULL_EACH_US, 24 * (LULL_EACH_US + STEP_US));
    assert_memory_equal(scene.order, "abababaaaa", 10);
    scene_down();
}

static bool rests;
static void rest_run(struct chore *chore) {
    assert_true(!rests || turn_put_chore(scene.w, scene.a, chore));
    fake_spend(TURN_MOST_US * 1000);
}

/* One tenant has work in his lane for ever, and is the first who waits: that is in nobody else's way, and not in his own. */
static void who_has_always_something_in_his_lane_keeps_nobody_waiting(void **unused) {
    static struct chore rest = {.run = rest_run};
    (void)unused;
    scene_up();
    served(scene.a);
    served(scene.victim);
    dear_put(scene.a);
    dear_put(scene.b);
    turn();
    struct dear *own = dear_put(scene.a), *others = dear_put(scene.b);
    rests = true;
    assert_true(turn_put_chore(scene.w, scene.a, &rest));
    for (unsigned i = 0; i < 20; i++) {
        served(scene.victim);
        pass(LULL_EACH_US);
        turn();
    }
    assert_int_equal(own->runs, 1);
    assert_int_equal(others->runs, 1);
    rests = false;
    turn_end(scene.w);
    scene_down();
}

/* A client that says hello and goes, again and again, is in nobody's way: not even of those who come after it. */
static void who_is_gone_takes_no_time(void **unused) {
    (void)unused;
    scene_up();
    served(scene.a);
    served(scene.victim);
    dear_put(scene.a);
    turn();
    for (unsigned i = 0; i < 40; i++)
        lull_forget(scene.w, &dear_put(scene.a)->chore);
    struct dear *d = dear_put(scene.a);
    assert_int_equal(lull_held(scene.w, scene.a), 1);
    lull_forget(scene.w, &dear_put(scene.a)->chore);
    pass(LULL_EACH_US);
    served(scene.victim);
    turn();
    assert_int_equal(d->runs, 1);
    turn();
    for (unsigned i = 1; i < dears_put; i++)
        assert_int_equal(dears[i].runs, 1); /* their memory is their makers' again */
    scene_down();
}

/* The line is there while its tenant is not any more, and who made what is in it neither. */
static void what_waits_keeps_its_account_and_ends_with_the_worker(void **unused) {
    (void)unused;
    scene_up();
    struct dear *d = dear_held();
    assert_int_equal(lull_held(scene.w, scene.a), 1);
    assert_non_null(scene.a->w[0].held);
    lull_end(scene.w);
    assert_int_equal(d->runs, 1);
    assert_int_equal(lull_held(scene.w, scene.a), 0);
    scene_down();
}

/* Each k-th allocation fails: what is taken runs once, what is not never does. */
static void without_memory_nothing_is_lost(void **unused) {
    (void)unused;
    unsigned refused = 0;
    for (unsigned k = 1; k < 8; k++) {
        scene_up();
        fake_fail_at(k);
        bool taken[12];
        for (unsigned i = 0; i < 12; i++) {
            dears[i] = (struct dear){.chore = {.run = dear_run}, .name = 'a'};
            taken[i] = lull_put(scene.w, i % 3 ? scene.a : scene.b, &dears[i].chore);
            refused += !taken[i];
            served(scene.victim);
        }
        for (unsigned i = 0; i < 100; i++) {
            pass(LULL_US);
            turn();
        }
        fake_fail_at(0);
        for (unsigned i = 0; i < 12; i++)
            assert_int_equal(dears[i].runs, taken[i]);
        scene_down();
    }
    assert_true(refused > 0);
}

/* ---- pauses ---- */

static void a_piece_is_followed_by_a_pause_and_then_by_a_lull(void **unused) {
    struct pause p = {0};
    (void)unused;
    scene_up();
    worker_pays(scene.w, scene.a);
    pause_begin(scene.w, &p); /* nobody else was met for long */
    assert_int_equal(pause_wait_ns(scene.w, &p), 0);
    served(scene.victim);
    pause_begin(scene.w, &p);
    assert_int_equal(pause_wait_ns(scene.w, &p), PAUSE_US * 1000);
    pass(PAUSE_US - 10);
    served(scene.victim);
    assert_int_equal(pause_wait_ns(scene.w, &p), LULL_US * 1000);
    for (unsigned i = 0; i < 25; i++) {
        pass(10);
        served(scene.victim);
    }
    assert_int_equal(pause_wait_ns(scene.w, &p), 10 * 1000); /* and no later */
    worker_pays(scene.w, scene.nobody);
    scene_down();
}

enum { CLOCKS = 2000 };
static struct timer clocks[CLOCKS];
static unsigned fired;

static void clock_fire(struct timer *t) {
    if (!timer_may_end(scene.w, t))
        return;
    fired++;
    worker_pays(scene.w, scene.a);
    fake_spend(20000);
}

static void other_fire(struct timer *t) {
    (void)t;
}

/* Who was let in at the same time is ended at the same time; others are served between, and it does not take for ever. */
static void timers_that_are_due_at_once_leave_turns_between(void **unused) {
    enum { STEP_US = 30 };
    (void)unused;
    scene_up();
    fired = 0;
    for (unsigned i = 0; i < CLOCKS; i++) {
        timer_init(&clocks[i], clock_fire);
        timer_set(scene.w, &clocks[i], 100);
    }
    served(scene.victim);
    struct timer other = {.fire = other_fire}, *stopped = &clocks[7], *later = &clocks[9];
    timer_set(scene.w, &other, 105);
    pass(200000);
    served(scene.b);
    timers_run(scene.w);
    assert_in_range(fired, 0, 2);
    unsigned busy = 0, turns = 0;
    for (; fired < CLOCKS - 2 && turns < 10 * CLOCKS * PAUSE_MOST_US / STEP_US; turns++) {
        unsigned before = fired;
        served(scene.b);
        served(scene.victim);
        turn();
        timers_run(scene.w);
        assert_in_range(fired - before, 0, 1);
        if (turns == 5) { /* they wait */
            timer_stop(stopped);
            timer_set(scene.w, later, 5000);
        }
        assert_true(turns < 100 || !timer_is_set(&other)); /* the wheel goes on */
        busy += fired > before;
        assert_true(timers_wait_ns(scene.w) >= 0);
        pass(STEP_US);
    }
    assert_int_equal(fired, CLOCKS - 2);
    assert_in_range(turns, 5 * busy, 20 * busy);
    pass(6000000);
    timers_run(scene.w);
    assert_int_equal(fired, CLOCKS - 1);
    assert_false(timer_is_set(later));
    scene_down();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_for_little_waits_for_nobody),
        cmocka_unit_test(who_asks_often_waits_until_others_have_their_answers),
        cmocka_unit_test(one_goes_on_in_a_lull_and_others_may_come_meanwhile),
        cmocka_unit_test(there_may_be_no_lull),
        cmocka_unit_test(who_has_always_something_in_his_lane_keeps_nobody_waiting),
        cmocka_unit_test(who_is_gone_takes_no_time),
        cmocka_unit_test(what_waits_keeps_its_account_and_ends_with_the_worker),
        cmocka_unit_test(without_memory_nothing_is_lost),
        cmocka_unit_test(a_piece_is_followed_by_a_pause_and_then_by_a_lull),
        cmocka_unit_test(timers_that_are_due_at_once_leave_turns_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
