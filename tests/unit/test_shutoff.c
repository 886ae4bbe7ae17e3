/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_shutoff.c - the rule book of shutoff.h, with time made up: one window is 100 ms. Every state and step is left in each of its
 * ways; then random worlds try to have somebody held who harms nobody.
 */
#include "core/shutoff.h"
#include "shutoff_defaults.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WINDOW = 100, PORT = 28001, MINUTE = 60000, HOUR = 60 * MINUTE };

/* ---- a world: one edge, an attacked port, victims ---- */

struct world {
    struct shutoff *shutoff;
    int64_t now;
    struct shutoff_edge edge;     /* of the next window */
    struct ledger_use attacked;   /* evil:28001 */
    struct ledger_use victims;    /* each */
    struct shutoff_fare fare;     /* each victim */
    uint64_t turned_away, waited; /* of the attacked, so far */
    unsigned victim_count, moves;
    enum shutoff_step highest;
    bool names; /* evil's names are attacked, not its port */
};

static void moved(void *user, const struct shutoff_unit *u, enum shutoff_state from,
                  enum shutoff_step from_step) {
    struct world *w = user;
    assert_true(u->state != from || u->step != from_step || u->hand || u->moves);
    assert_true(strlen(u->why) > 0);
    bool ends = u->state == SHUTOFF_PROBATION || (u->state == SHUTOFF_SHUT && !u->hand);
    assert_true(ends ? u->until_ms > w->now : !u->until_ms); /* told when it is moved */
    w->moves++;
    if (u->step > w->highest)
        w->highest = u->step;
}

static struct world world_new(const struct shutoff_conf *conf, unsigned victims, uint64_t seed) {
    struct world w = {.shutoff = shutoff_new(conf, seed), .now = 1000000, .victim_count = victims};
    assert_non_null(w.shutoff);
    w.edge = (struct shutoff_edge){.window_ms = WINDOW,
                                   .loop_ns = 20000000,
                                   .capacity_ns = 200000000,
                                   .lag_ns = 500000,
                                   .descriptors = 200,
                                   .descriptors_most = 20000,
                                   .buffers = 10,
                                   .buffers_most = 60000};
    w.victims = (struct ledger_use){
        .loop_ns = 1000000, .requests = 3, .accepted = 1, .connections = 4, .descriptors = 8};
    w.fare = (struct shutoff_fare){.tries = 3, .connections = 4, .duration = {3}};
    return w;
}

static void window(struct world *w) {
    struct shutoff_fare own = {.connections = w->attacked.connections,
                               .tries = w->attacked.requests};
    char name[32];
    w->now += w->edge.window_ms;
    w->edge.now_ms = w->now;
    shutoff_window(w->shutoff, &w->edge);
    for (unsigned i = 0; i < w->victim_count; i++) {
        snprintf(name, sizeof name, "victim%u", i);
        shutoff_fared(w->shutoff, shutoff_tenant(w->shutoff, name), &w->fare);
        shutoff_used(w->shutoff, shutoff_tenant(w->shutoff, name), 0, &w->victims, 0);
    }
    if (w->attacked.connections || w->attacked.accepted) {
        shutoff_fared(w->shutoff, shutoff_tenant(w->shutoff, "evil"), &own);
        shutoff_used(w->shutoff, shutoff_tenant(w->shutoff, "evil"), w->names ? 0 : PORT,
                     &w->attacked, 0);
        shutoff_turned_away(w->shutoff, shutoff_tenant(w->shutoff, "evil"), w->names ? 0 : PORT,
                            w->turned_away, w->waited);
    }
    shutoff_judge(w->shutoff, moved, w);
}

static void windows(struct world *w, unsigned count) {
    while (count--)
        window(w);
}

static const struct shutoff_unit *evil(const struct world *w) {
    static const struct shutoff_unit none;
    const struct shutoff_unit *u = shutoff_find(w->shutoff, "evil", w->names ? 0 : PORT);
    return u ? u : &none;
}

/* The port takes nearly all of the loop. */
static void attack(struct world *w, int64_t lag_ms) {
    w->attacked = (struct ledger_use){.loop_ns = 150000000,
                                      .accepted = 2000,
                                      .connections = 500,
                                      .silent = 400,
                                      .descriptors = 500};
    w->edge.loop_ns = 190000000;
    w->edge.lag_ns = (uint64_t)lag_ms * 1000000;
}

/* As it is when the door holds him, or he has gone. */
static void calm(struct world *w) {
    w->attacked =
        (struct ledger_use){.loop_ns = 1000000, .accepted = 1, .connections = 5, .descriptors = 10};
    w->edge.loop_ns = 20000000;
    w->edge.lag_ns = 500000;
}

static void until_state(struct world *w, enum shutoff_state state, unsigned most) {
    while (evil(w)->state != state && most--)
        window(w);
    assert_int_equal(evil(w)->state, state);
}

/* ---- entering ---- */

static void one_bad_window_is_not_enough(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    for (int i = 0; i < 20; i++) {
        attack(&w, 30);
        window(&w);
        calm(&w);
        windows(&w, 2);
    }
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void two_of_three_bad_windows_are_noticed(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    calm(&w);
    windows(&w, 20);
    attack(&w, 30);
    window(&w);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    calm(&w);
    window(&w);
    attack(&w, 30);
    window(&w);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    shutoff_free(w.shutoff);
}

static void severe_harm_skips_the_first_steps(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    windows(&w, 2);
    assert_int_equal(evil(&w)->step, STEP_ACCEPTS);
    shutoff_free(w.shutoff);
}

static void a_busy_port_that_harms_nobody_is_a_customer(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 3);
    w.attacked.accepted = 100000;
    windows(&w, 1000);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void without_others_nobody_is_harmed(void **unused) {
    struct world w = world_new(&DEFAULTS, 0, 1);
    (void)unused;
    attack(&w, 500);
    w.edge.descriptors = 19999;
    w.edge.dropped = 100;
    windows(&w, 100);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

/* Who measures how fast his own site is, on an edge whose other tenants were there a moment ago. */
static void a_worker_without_rest_harms_nobody_while_nobody_else_asks(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    calm(&w);
    windows(&w, 20);
    unsigned others = w.victim_count;
    w.victim_count = 0;
    calm(&w);
    windows(&w, 10);
    attack(&w, 3);
    w.edge.turn_wait_ns = 400000;
    windows(&w, 40);
    assert_int_equal(w.moves, 0);
    w.victim_count = others;
    windows(&w, 3);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
}

/* Nor are the others asked then how they fare: there may be thousands, and what they wait is far below any limit. */
static void a_worker_without_rest_harms_nobody_while_nobody_has_half_of_it(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    calm(&w);
    windows(&w, 20);
    double usual = evil(&w)->calm_accepts;
    attack(&w, 0);
    w.edge.descriptors = w.edge.buffers = 0; /* nothing else is anywhere near a limit */
    w.attacked.loop_ns = 15000000;
    w.victims.loop_ns = 8000000;
    w.fare.waits = 10;
    w.fare.waited_us = 5000;
    w.edge.turn_wait_ns = 400000;
    for (int i = 0; i < 40; i++) {
        window(&w);
        assert_true(evil(&w)->harm == 0);
    }
    assert_true(evil(&w)->calm_accepts > 2 * usual); /* what is usual for it is learned */
    assert_int_equal(w.moves, 0);
    attack(&w, 3);
    w.victims.loop_ns = 1000000;
    windows(&w, 4);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
}

/* A crowd on a slow host does no more than that; a port, whose clients nothing else turns away, is shut for it. */
static void names_are_not_refused_wholly_for_what_is_mild(void **unused) {
    (void)unused;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct world w = world_new(&DEFAULTS, 20, 1);
        bool late = kind & 1;
        w.names = kind < 2;
        calm(&w);
        windows(&w, 50);
        attack(&w, late ? 6 : 3);
        if (late)
            w.fare = (struct shutoff_fare){.tries = 3, .connections = 4, .duration = {1, 0, 2}};
        else
            w.edge.turn_wait_ns = 400000;
        windows(&w, 200);
        assert_int_equal(w.highest, w.names ? STEP_SHED : STEP_SHUT);
        if (w.names) {
            assert_int_equal(evil(&w)->step, STEP_SHED);
            w.edge.lag_ns = 12000000; /* less than the other, but nothing mild */
            windows(&w, 1);
            assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
        }
        shutoff_free(w.shutoff);
    }
}

static void who_uses_no_more_than_his_share_is_not_to_blame(void **unused) {
    struct world w = world_new(&DEFAULTS, 4, 1);
    (void)unused;
    attack(&w, 80);
    w.attacked = w.victims; /* the loop is slow for another reason */
    windows(&w, 50);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void only_the_top_contributor_is_held(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    for (int i = 0; i < 3; i++) {
        w.edge.now_ms = w.now += WINDOW;
        shutoff_window(w.shutoff, &w.edge);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "evil"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "big"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), &w.fare);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT, &w.attacked, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), 0, &w.victims, 0);
        struct ledger_use big = {.loop_ns = 90000000, .requests = 900, .connections = 100};
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "big"), 0, &big, 0);
        shutoff_judge(w.shutoff, moved, &w);
    }
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_int_equal(shutoff_find(w.shutoff, "big", 0)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void two_attackers_at_once_are_both_held(void **unused) {
    struct world w = world_new(&DEFAULTS, 0, 1);
    (void)unused;
    attack(&w, 80);
    for (int i = 0; i < 10; i++) {
        w.edge.now_ms = w.now += WINDOW;
        shutoff_window(w.shutoff, &w.edge);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "evil"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "worse"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "victim1"), &w.fare);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT, &w.attacked, 0);
        struct ledger_use other = w.attacked;
        other.loop_ns = other.loop_ns * 11 / 10;
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "worse"), 28002, &other, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), 0, &w.victims, 0);
        shutoff_judge(w.shutoff, moved, &w);
    }
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    assert_int_equal(shutoff_find(w.shutoff, "worse", 28002)->state, SHUTOFF_SHUT);
    shutoff_free(w.shutoff);
}

/* One window of two with a port each, beside twenty victims. */
static void window_of(struct world *w, const struct ledger_use *evil,
                      const struct ledger_use *worse) {
    w->edge.now_ms = w->now += WINDOW;
    shutoff_window(w->shutoff, &w->edge);
    for (int k = 0; k < 20; k++) {
        char name[32];
        snprintf(name, sizeof name, "victim%d", k);
        shutoff_fared(w->shutoff, shutoff_tenant(w->shutoff, name), &w->fare);
        shutoff_used(w->shutoff, shutoff_tenant(w->shutoff, name), 0, &w->victims, 0);
    }
    shutoff_fared(w->shutoff, shutoff_tenant(w->shutoff, "evil"), &w->fare);
    shutoff_fared(w->shutoff, shutoff_tenant(w->shutoff, "worse"), &w->fare);
    shutoff_used(w->shutoff, shutoff_tenant(w->shutoff, "evil"), PORT, evil, 0);
    shutoff_used(w->shutoff, shutoff_tenant(w->shutoff, "worse"), 28002, worse, 0);
    shutoff_judge(w->shutoff, moved, w);
}

/* They use so much of the workers' time. */
static void window_of_two(struct world *w, uint64_t evil_ns, uint64_t worse_ns) {
    struct ledger_use evil = {.loop_ns = evil_ns, .connections = 60, .descriptors = 60},
                      worse = {.loop_ns = worse_ns, .connections = 60, .descriptors = 60};
    w->edge.loop_ns = evil_ns + worse_ns + 20 * w->victims.loop_ns;
    window_of(w, &evil, &worse);
}

static const struct shutoff_unit *worse(const struct world *w) {
    return shutoff_find(w->shutoff, "worse", 28002);
}

static void who_has_half_as_much_as_the_worst_and_stands_out_is_held_too(void **unused) {
    struct world w = world_new(&DEFAULTS, 0, 1);
    (void)unused;
    w.edge.lag_ns = 30000000;
    for (int i = 0; i < 2; i++)
        window_of_two(&w, 70000000, 110000000);
    assert_int_equal(worse(&w)->step, STEP_SOURCES);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    while (worse(&w)->state != SHUTOFF_SHUT) { /* he goes first */
        window_of_two(&w, 70000000, 110000000);
        assert_true(evil(&w)->step <= STEP_ACCEPTS);
    }
    assert_int_equal(evil(&w)->step, STEP_ACCEPTS);
    for (int i = 0; i < 3; i++)
        window_of_two(&w, 70000000, 1000);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    shutoff_free(w.shutoff);
}

static void a_customer_who_stands_out_beside_an_attack_is_not_shut(void **unused) {
    struct world w = world_new(&DEFAULTS, 0, 1);
    (void)unused;
    w.edge.lag_ns = 30000000;
    for (int i = 0; i < 20 && (!worse(&w) || worse(&w)->state != SHUTOFF_SHUT); i++)
        window_of_two(&w, 70000000, 110000000);
    assert_int_equal(worse(&w)->state, SHUTOFF_SHUT);
    w.edge.lag_ns = 500000;
    for (int i = 0; i < 70; i++)
        window_of_two(&w, 70000000, 1000);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void who_has_less_than_half_or_does_not_stand_out_is_not_held_for_the_worst(void **unused) {
    struct world w = world_new(&DEFAULTS, 0, 1);
    (void)unused;
    w.edge.lag_ns = 30000000;
    for (int i = 0; i < 5; i++)
        window_of_two(&w, 50000000, 110000000);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_int_equal(worse(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
    w = world_new(&DEFAULTS, 0, 1); /* twenty times 8: the worst has 15 %, he 10 */
    w.victims.loop_ns = 8000000;
    w.edge.lag_ns = 30000000;
    for (int i = 0; i < 5; i++)
        window_of_two(&w, 21000000, 33000000);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_int_equal(worse(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
}

static void who_holds_half_as_many_descriptors_as_the_worst_is_not_held_for_him(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    const struct ledger_use most = {.loop_ns = 1000, .connections = 9000, .descriptors = 11000},
                            less = {.loop_ns = 1000, .connections = 5000, .descriptors = 7000};
    (void)unused;
    w.edge.descriptors = 19000;
    for (int i = 0; i < 5; i++)
        window_of(&w, &less, &most);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_int_equal(worse(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
}

static void two_who_leave_a_worker_no_rest_together_are_noticed(void **unused) {
    struct world w = world_new(&DEFAULTS, 0, 1);
    (void)unused;
    w.edge.turn_wait_ns = 300000;
    for (int i = 0; i < 2; i++)
        window_of_two(&w, 80000000, 85000000); /* 43 and 46 % */
    assert_int_equal(worse(&w)->state, SHUTOFF_LIMITED);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
    w = world_new(&DEFAULTS, 0, 1); /* nor are they who have less than half together */
    w.edge.turn_wait_ns = 300000;
    w.victims.loop_ns = 10000000;
    for (int i = 0; i < 10; i++)
        window_of_two(&w, 40000000, 45000000);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

/* ---- what counts as harm ---- */

static void descriptors_that_run_out_are_blamed_on_who_holds_them(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    w.attacked = (struct ledger_use){
        .loop_ns = 1000, .connections = 9000, .silent = 9000, .descriptors = 18500};
    w.edge.descriptors = 18900;
    windows(&w, 2);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "descriptors"));
    assert_non_null(strstr(evil(&w)->why, "9000 silent"));
    shutoff_free(w.shutoff);
}

/* It can be told before: who fills the table within a second is met while there is still room in it for the others. */
static void descriptors_that_are_about_to_run_out_are_harm(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    windows(&w, 20);
    for (int64_t i = 1; i <= 2; i++) {
        w.edge.descriptors_more = 4400;
        w.edge.descriptors = 200 + i * w.edge.descriptors_more;
        w.attacked = (struct ledger_use){
            .loop_ns = 1000, .accepted = 2200, .connections = 2200 * i, .descriptors = 4400 * i};
        assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
        window(&w);
    }
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "4400 descriptors more are in use"));
    w.edge.descriptors_more = 0;
    windows(&w, 100);
    assert_int_equal(w.highest, STEP_SOURCES);
    shutoff_free(w.shutoff);
}

/* A crowd that comes as fast, but would not fill the table, is a crowd. */
static void who_comes_fast_is_let_in_while_there_is_room(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    for (int64_t i = 1; i <= 4; i++) {
        w.edge.descriptors_more = 2000;
        w.edge.descriptors = 200 + i * w.edge.descriptors_more;
        w.attacked = (struct ledger_use){
            .loop_ns = 1000, .accepted = 1000, .connections = 1000 * i, .descriptors = 2000 * i};
        window(&w);
    }
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

/* Who was not let in for want of descriptors found no room in the queue either: that is not for want of time. */
static void who_finds_no_descriptor_is_harmed_by_who_holds_them(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    w.attacked = (struct ledger_use){
        .loop_ns = 1000, .connections = 4000, .silent = 9000, .descriptors = 8000};
    w.victims.loop_ns = 5000000;
    w.edge.descriptors = 9000;
    w.edge.descriptors_short = 3;
    w.edge.dropped = 20;
    windows(&w, 2);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    assert_non_null(strstr(evil(&w)->why, "3 times there was no descriptor"));
    assert_int_equal(w.moves, 1);
    shutoff_free(w.shutoff);
}

static void what_the_machine_lacks_is_no_tenants_fault(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    w.attacked = (struct ledger_use){
        .loop_ns = 60000000, .connections = 4, .accepted = 10, .descriptors = 8};
    w.victims.loop_ns = 1000000;
    w.edge.loop_ns = 80000000;
    w.edge.wait_ns = 100000000;
    w.edge.descriptors_short = w.edge.dropped = 3;
    w.fare.no_descriptor = 5;
    w.edge.others_lack = true;
    windows(&w, 50);
    assert_int_equal(w.moves, 0);
    w.edge.others_lack = false;
    windows(&w, 3);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    shutoff_free(w.shutoff);
}

static void buffers_that_run_out_are_blamed_on_who_holds_them(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    w.attacked = (struct ledger_use){.loop_ns = 1000, .connections = 64, .buffers = 50000};
    w.edge.buffers_short = 3;
    windows(&w, 2);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "buffers"));
    shutoff_free(w.shutoff);
}

static void connections_that_find_no_room_are_severe(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 1);
    w.edge.dropped = 12;
    windows(&w, 2);
    assert_int_equal(evil(&w)->step, STEP_ACCEPTS);
    assert_non_null(strstr(evil(&w)->why, "12 new connections"));
    shutoff_free(w.shutoff);
}

static void a_p99_far_above_its_calm_value_is_harm(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    calm(&w);
    windows(&w, 50);
    attack(&w, 6);
    w.fare = (struct shutoff_fare){.tries = 3, .connections = 4, .duration = {1, 0, 2}};
    windows(&w, 4);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "p99"));
    shutoff_free(w.shutoff);
}

static void a_p99_that_was_always_so_is_no_harm(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    w.fare = (struct shutoff_fare){.tries = 3, .connections = 4, .duration = {1, 0, 2}};
    calm(&w);
    windows(&w, 50);
    attack(&w, 6);
    windows(&w, 50);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void slow_pods_of_others_are_no_harm_on_an_idle_edge(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    calm(&w);
    w.attacked.loop_ns = 20000000; /* the top contributor, but of next to nothing */
    windows(&w, 50);
    w.fare = (struct shutoff_fare){.tries = 3, .duration = {0, 0, 0, 3}};
    windows(&w, 100);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

/* What the port takes, nothing but `lag` of it being seen at the edge: he is the top contributor of everything. */
static void takes_all(struct world *w, int64_t lag_ms) {
    attack(w, lag_ms);
    w->attacked.buffers = 5000;
}

static void
failures_of_others_beyond_one_percent_for_what_the_edge_lacks_are_severe(void **unused) {
    (void)unused;
    for (int memory = 0; memory < 2; memory++) {
        struct world w = world_new(&DEFAULTS, 20, 1);
        calm(&w);
        windows(&w, 50);
        takes_all(&w, 2);
        w.fare.tries = 10;
        *(memory ? &w.fare.no_memory : &w.fare.no_descriptor) = 1;
        windows(&w, 3);
        assert_true(evil(&w)->step >= STEP_ACCEPTS);
        assert_non_null(
            strstr(evil(&w)->why, memory ? "for want of buffers" : "for want of descriptors"));
        shutoff_free(w.shutoff);
    }
}

/* Who holds the descriptors is asked about descriptors, not who is busy. */
static void what_others_lack_is_blamed_on_who_has_it(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 2);
    w.attacked.descriptors = 5;
    w.victims.descriptors = 20;
    w.fare.no_descriptor = 1;
    windows(&w, 50);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void work_of_others_in_the_way_is_harm(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 2);
    w.fare.waits = 4;
    w.fare.waited_us = 4 * 4900;
    windows(&w, 100);
    assert_int_equal(w.moves, 0);
    w.fare.waited_us = 4 * 5100;
    windows(&w, 4); /* of three windows together, and of the latest */
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "in the way"));
    shutoff_free(w.shutoff);
}

static void new_connections_that_wait_for_a_worker_are_harmed(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 2);
    w.edge.nobody.accepted = (uint64_t)-700; /* they were others', as it turned out */
    w.edge.strangers_ns = 9900000;
    windows(&w, 50);
    assert_int_equal(w.moves, 0);
    w.edge.strangers_ns = 10100000;
    windows(&w, 2);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "for a worker"));
    shutoff_free(w.shutoff);
}

/* What he himself waits for is not held against another, and his floods do not hide what the others wait. */
static void who_waits_is_not_who_harms(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    for (int i = 0; i < 50; i++) {
        attack(&w, 2);
        w.edge.now_ms = w.now += WINDOW;
        shutoff_window(w.shutoff, &w.edge);
        struct shutoff_fare slow = {
            .tries = 3, .connections = 4, .waits = 100, .waited_us = 3000000};
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "evil"), &slow);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), &w.fare);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT, &w.attacked, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), 0, &w.victims, 0);
        shutoff_judge(w.shutoff, moved, &w);
    }
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void what_nobody_waited_for_lately_is_over(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    for (int i = 0; i < 20; i++) {
        attack(&w, 2);
        w.fare.waits = 50;
        w.fare.waited_us = 50 * 20000;
        w.fare.duration[3] = 3;
        window(&w);
        w.fare = (struct shutoff_fare){.tries = 3, .connections = 4, .duration = {3}};
        windows(&w, 2);
    }
    assert_int_equal(w.moves, 0); /* one bad window of three, each time */
    shutoff_free(w.shutoff);
}

/* ---- what a tenant can make up ---- */

/* A busy neighbour, and tenants whose pods are evil, on an edge that is strained by both but harms nobody. */
struct plot {
    struct world w;
    struct ledger_use busy;   /* the innocent one: by far the busiest */
    struct shutoff_fare evil; /* each of those who make something up */
    unsigned evils;
};

static struct plot plot_new(unsigned evils) {
    struct plot p = {.w = world_new(&DEFAULTS, 0, 1), .evils = evils};
    p.w.edge.loop_ns = 180000000;
    p.w.edge.lag_ns = 6000000; /* more than half the limit */
    p.busy = (struct ledger_use){
        .loop_ns = 150000000, .requests = 900, .connections = 50, .descriptors = 100};
    p.evil = (struct shutoff_fare){.tries = 40, .connections = 10, .duration = {40}};
    return p;
}

static void plot_window(struct plot *p) {
    struct shutoff_fare well = {.tries = 900, .connections = 50, .duration = {900}};
    struct ledger_use use = {
        .loop_ns = 5000000, .requests = 40, .connections = 10, .descriptors = 20};
    char name[32];
    p->w.edge.now_ms = p->w.now += WINDOW;
    shutoff_window(p->w.shutoff, &p->w.edge);
    shutoff_fared(p->w.shutoff, shutoff_tenant(p->w.shutoff, "busy"), &well);
    shutoff_used(p->w.shutoff, shutoff_tenant(p->w.shutoff, "busy"), 0, &p->busy, 0);
    for (unsigned i = 0; i < p->evils; i++) {
        snprintf(name, sizeof name, "evil%u", i);
        shutoff_fared(p->w.shutoff, shutoff_tenant(p->w.shutoff, name), &p->evil);
        shutoff_used(p->w.shutoff, shutoff_tenant(p->w.shutoff, name), 0, &use, 0);
    }
    well.tries = well.duration[0] = 40;
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "other%u", i);
        shutoff_fared(p->w.shutoff, shutoff_tenant(p->w.shutoff, name), &well);
        shutoff_used(p->w.shutoff, shutoff_tenant(p->w.shutoff, name), 0, &use, 0);
    }
    shutoff_judge(p->w.shutoff, moved, &p->w);
}

static void plot_calm(struct plot *p) {
    struct shutoff_edge strained = p->w.edge;
    struct shutoff_fare made_up = p->evil;
    p->w.edge.loop_ns = 20000000;
    p->w.edge.lag_ns = 500000;
    p->evil = (struct shutoff_fare){.tries = 40, .connections = 10, .duration = {40}};
    for (int i = 0; i < 100; i++)
        plot_window(p);
    p->w.edge = strained;
    p->evil = made_up;
}

static void slow_pods_of_one_tenant_do_not_make_a_busy_neighbour_guilty(void **unused) {
    struct plot p = plot_new(1);
    (void)unused;
    p.evil.duration[0] = 0;
    p.evil.duration[5] = 40; /* half a second to two and a half */
    plot_calm(&p);
    for (int i = 0; i < 300; i++)
        plot_window(&p);
    assert_int_equal(p.w.moves, 0);
    shutoff_free(p.w.shutoff);
}

static void what_several_tenants_feel_while_the_edge_is_late_is_believed(void **unused) {
    struct plot p = plot_new(3);
    (void)unused;
    p.evil.duration[0] = 0;
    p.evil.duration[2] = 40;
    plot_calm(&p);
    for (int i = 0; i < 5; i++)
        plot_window(&p);
    assert_int_equal(shutoff_find(p.w.shutoff, "busy", 0)->state, SHUTOFF_LIMITED);
    shutoff_free(p.w.shutoff);
}

static void slow_pods_of_many_do_not_either_while_the_edge_is_in_time(void **unused) {
    struct plot p = plot_new(5);
    (void)unused;
    p.evil.duration[0] = 0;
    p.evil.duration[5] = 40;
    p.w.edge.lag_ns = 2000000; /* busy, and no more than that */
    plot_calm(&p);
    for (int i = 0; i < 300; i++)
        plot_window(&p);
    assert_int_equal(p.w.moves, 0);
    shutoff_free(p.w.shutoff);
}

/* ---- who hides ---- */

/* Four ports and names, a fifth of it each: less than a fair share each, where there are but two tenants. */
static void an_attack_that_is_spread_over_all_ports_of_a_tenant_is_held_on_each(void **unused) {
    struct world w = world_new(&DEFAULTS, 1, 1);
    (void)unused;
    for (int i = 0; i < 20; i++) {
        w.edge.now_ms = w.now += WINDOW;
        w.edge.lag_ns = 80000000;
        w.edge.loop_ns = 190000000;
        shutoff_window(w.shutoff, &w.edge);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "evil"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), &w.fare);
        struct ledger_use part = {.loop_ns = 30000000, .accepted = 400, .connections = 100};
        struct ledger_use more = {.loop_ns = 50000000, .requests = 400, .connections = 100};
        for (uint16_t k = 0; k < 4; k++)
            shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT + k, &part, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), 0, &part, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), 0, &more,
                     0); /* more than any of these */
        shutoff_judge(w.shutoff, moved, &w);
    }
    for (uint16_t k = 0; k < 4; k++)
        assert_int_equal(shutoff_find(w.shutoff, "evil", PORT + k)->state, SHUTOFF_SHUT);
    assert_int_equal(shutoff_find(w.shutoff, "evil", 0)->state, SHUTOFF_SHUT);
    assert_int_equal(shutoff_find(w.shutoff, "victim0", 0)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

/* The ports of a tenant that are not where it comes from are left alone. */
static void only_the_port_that_is_attacked_is_held(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 1);
    struct ledger_use quiet = {.loop_ns = 2000000, .accepted = 1, .connections = 5};
    (void)unused;
    attack(&w, 80);
    for (int i = 0; i < 20; i++) {
        w.edge.now_ms = w.now += WINDOW;
        shutoff_window(w.shutoff, &w.edge);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "evil"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), &w.fare);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT, &w.attacked, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT + 1, &quiet, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), 0, &quiet, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "victim0"), 0, &w.victims, 0);
        shutoff_judge(w.shutoff, moved, &w);
    }
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    assert_int_equal(shutoff_find(w.shutoff, "evil", PORT + 1)->state, SHUTOFF_OPEN);
    assert_int_equal(shutoff_find(w.shutoff, "evil", 0)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

/* A flood that never says a name is nobody's: it is not held against whoever happens to be the busiest tenant. */
static void what_no_tenant_causes_is_no_tenants_fault(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    w.attacked = (struct ledger_use){
        .loop_ns = 30000000, .requests = 300, .connections = 50, .descriptors = 2000};
    w.edge.lag_ns = 80000000;
    w.edge.loop_ns = 190000000;
    w.edge.dropped = 50;
    w.edge.descriptors = 19500;
    w.edge.nobody =
        (struct ledger_use){.loop_ns = 130000000, .connections = 8000, .descriptors = 17000};
    windows(&w, 50);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void two_who_take_turns_are_both_held(void **unused) {
    struct world w = world_new(&DEFAULTS, 10, 1);
    (void)unused;
    for (int i = 0; i < 30; i++) {
        attack(&w, 80);
        w.edge.now_ms = w.now += WINDOW;
        shutoff_window(w.shutoff, &w.edge);
        struct ledger_use less = w.attacked;
        less.loop_ns /= 10;
        less.accepted /= 10;
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "evil"), &w.fare);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, "worse"), &w.fare);
        for (int k = 0; k < 10; k++) {
            char name[32];
            snprintf(name, sizeof name, "victim%d", k);
            shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, name), &w.fare);
            shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, name), 0, &w.victims, 0);
        }
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "evil"), PORT,
                     i % 2 ? &less : &w.attacked, 0);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, "worse"), 28002,
                     i % 2 ? &w.attacked : &less, 0);
        shutoff_judge(w.shutoff, moved, &w);
    }
    assert_true(evil(&w)->state != SHUTOFF_OPEN);
    assert_true(shutoff_find(w.shutoff, "worse", 28002)->state != SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

/* ---- who judges is late himself ---- */

static void one_long_window_is_not_judged(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    calm(&w);
    windows(&w, 20);
    for (int i = 0; i < 20; i++) {
        attack(&w, 80);
        w.edge.window_ms = 2000;
        window(&w);
        w.edge.window_ms = WINDOW;
        window(&w); /* one alone says nothing */
        calm(&w);
        windows(&w, 3);
    }
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

static void a_long_window_does_not_climb(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    windows(&w, 2);
    assert_int_equal(evil(&w)->step, STEP_ACCEPTS);
    w.edge.window_ms = 2000;
    window(&w);
    assert_int_equal(evil(&w)->step, STEP_ACCEPTS);
    shutoff_free(w.shutoff);
}

static void a_long_window_is_not_calm(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 30);
    windows(&w, 2);
    calm(&w);
    windows(&w, 10);
    w.edge.window_ms = 2000;
    window(&w);
    w.edge.window_ms = WINDOW;
    windows(&w, 15);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    windows(&w, 10);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void who_is_always_late_still_judges(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    w.edge.window_ms = 400;
    windows(&w, 8);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    shutoff_free(w.shutoff);
}

static void what_is_shut_is_opened_in_time_also_by_who_is_late(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    attack(&w, 80);
    until_state(&w, SHUTOFF_SHUT, 10);
    calm(&w);
    w.edge.window_ms = 40000;
    window(&w);
    assert_int_equal(evil(&w)->state, SHUTOFF_PROBATION);
    shutoff_free(w.shutoff);
}

/* ---- the ladder ---- */

static void each_step_that_does_not_help_gives_way_to_the_next(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 30);
    windows(&w, 2);
    for (enum shutoff_step step = STEP_SOURCES; step < STEP_SHED; step++) {
        assert_int_equal(evil(&w)->step, step);
        window(&w);
    }
    assert_int_equal(evil(&w)->step, STEP_SHED);
    until_state(&w, SHUTOFF_SHUT, 4);
    assert_true(w.now <= 1000000 + 1000);
    shutoff_free(w.shutoff);
}

static void a_step_that_helps_is_not_left(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 40);
    windows(&w, 2);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    attack(&w, 22);
    window(&w);
    attack(&w, 13);
    window(&w);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    attack(&w, 7); /* between half the limit and the limit: neither up nor down */
    windows(&w, 100);
    assert_int_equal(evil(&w)->step, STEP_SOURCES);
    shutoff_free(w.shutoff);
}

static void steps_are_taken_back_one_by_one_when_all_is_calm(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    windows(&w, 2);
    assert_int_equal(evil(&w)->step, STEP_ACCEPTS);
    calm(&w);
    for (int step = STEP_ACCEPTS; step > STEP_NONE; step--) {
        windows(&w, 15);
        assert_int_equal(evil(&w)->step, step);
        windows(&w, 6);
        assert_int_equal(evil(&w)->step, step - 1);
    }
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void a_step_that_was_taken_back_too_early_stays_longer_the_next_time(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    unsigned waits[4];
    (void)unused;
    for (int i = 0; i < 4; i++) {
        attack(&w, 30);
        until_state(&w, SHUTOFF_LIMITED, 3);
        calm(&w);
        for (waits[i] = 0; evil(&w)->state == SHUTOFF_LIMITED; waits[i]++)
            window(&w);
    }
    for (int i = 1; i < 4; i++)
        assert_true(waits[i] > waits[i - 1] * 3 / 2);
    calm(&w); /* and not for ever */
    windows(&w, 3 * MINUTE / WINDOW);
    attack(&w, 30);
    until_state(&w, SHUTOFF_LIMITED, 3);
    assert_int_equal(evil(&w)->relax_ms, DEFAULTS.relax_ms);
    shutoff_free(w.shutoff);
}

/* Windows until a step is taken back, while so many are turned away in each of the first `pressed`. */
static unsigned held_windows(struct world *w, unsigned turned_away, unsigned pressed) {
    enum shutoff_step step = evil(w)->step;
    unsigned count = 0;
    for (; evil(w)->step == step; count++) {
        w->turned_away += count < pressed ? turned_away : 0;
        window(w);
    }
    return count;
}

static void who_is_attacked_all_the_same_is_held_ten_times_as_long(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    windows(&w, 2);
    calm(&w);
    w.attacked.accepted = 10; /* as its budget lets in */
    unsigned whole = held_windows(&w, 0, 0);
    assert_in_range(whole, 20, 22);
    assert_in_range(held_windows(&w, 100, 1000), 10 * 20, 10 * 20 + 2);
    attack(&w, 80); /* it was too early again */
    window(&w);
    calm(&w);
    w.attacked.accepted = 10;
    whole = held_windows(&w, 4, 1000); /* a few of those who come */
    assert_in_range(whole, 40, 42);
    assert_in_range(held_windows(&w, 100, 60), 60 + 19, 60 + 21); /* it ends */
    shutoff_free(w.shutoff);
}

/* Whose request is refused came with a connection and a handshake: that is one who was turned away, of one. */
static void who_is_refused_is_counted_once(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    windows(&w, 2);
    calm(&w);
    w.attacked.accepted = w.attacked.handshakes = w.attacked.requests = 100;
    assert_in_range(held_windows(&w, 60, 1000), 10 * 20, 10 * 20 + 2);
    shutoff_free(w.shutoff);
}

static void whose_budget_is_used_up_now_and_then_is_held_as_long(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    windows(&w, 2);
    calm(&w);
    w.attacked.accepted = 10;
    unsigned count = 0;
    for (; evil(&w)->step == STEP_ACCEPTS; count++) {
        w.waited += count % 10 == 0;
        window(&w);
    }
    assert_in_range(count, 200, 202);
    shutoff_free(w.shutoff);
}

static void who_was_turned_away_before_the_door_was_made_anew_does_not_count(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    (void)unused;
    attack(&w, 80);
    w.turned_away = 1000;
    windows(&w, 2);
    calm(&w);
    w.turned_away = 0;
    windows(&w, 1);
    unsigned whole = held_windows(&w, 0, 0);
    assert_in_range(whole, 19, 22);
    shutoff_free(w.shutoff);
}

/* ---- shut, probation, offences ---- */

static void shut_it(struct world *w) {
    attack(w, 80);
    until_state(w, SHUTOFF_SHUT, 10);
    w->attacked = (struct ledger_use){0};
    w->edge.lag_ns = 500000;
    w->edge.loop_ns = 20000000;
}

static void it_is_shut_for_thirty_seconds_give_or_take_a_fifth(void **unused) {
    int64_t least = HOUR, most = 0;
    (void)unused;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world w = world_new(&DEFAULTS, 5, seed * 7919);
        shut_it(&w);
        int64_t length = evil(&w)->until_ms - w.now;
        assert_in_range(length, 24000, 36000);
        least = length < least ? length : least;
        most = length > most ? length : most;
        shutoff_free(w.shutoff);
    }
    assert_true(least < 25500 && most > 34500); /* it is spread */
}

static void each_offence_doubles_the_time_up_to_half_an_hour(void **unused) {
    struct world w = world_new(&DEFAULTS, 1, 3);
    (void)unused;
    for (unsigned n = 0; n < 9; n++) {
        int64_t length = n < 6 ? 30000ll << n : 30 * MINUTE;
        shut_it(&w);
        assert_int_equal(evil(&w)->offences, n + 1);
        assert_in_range(evil(&w)->until_ms - w.now, length * 8 / 10, length * 12 / 10);
        until_state(&w, SHUTOFF_OPEN, 40 * MINUTE / WINDOW);
    }
    shutoff_free(w.shutoff);
}

static void one_offence_is_forgotten_each_quiet_hour(void **unused) {
    struct world w = world_new(&DEFAULTS, 1, 3);
    (void)unused;
    for (int i = 0; i < 3; i++) {
        shut_it(&w);
        until_state(&w, SHUTOFF_OPEN, 40 * MINUTE / WINDOW);
    }
    for (unsigned n = 3; n > 0; n--) {
        assert_int_equal(evil(&w)->offences, n);
        windows(&w, HOUR / WINDOW + 1);
    }
    assert_int_equal(evil(&w)->offences, 0);
    shut_it(&w);
    assert_in_range(evil(&w)->until_ms - w.now, 24000, 36000);
    shutoff_free(w.shutoff);
}

static void probation_without_harm_ends_in_open(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    until_state(&w, SHUTOFF_PROBATION, 400);
    assert_int_equal(evil(&w)->until_ms - w.now, DEFAULTS.probation_ms);
    calm(&w);
    windows(&w, 99);
    assert_int_equal(evil(&w)->state, SHUTOFF_PROBATION);
    windows(&w, 2);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_int_equal(evil(&w)->step, STEP_NONE);
    shutoff_free(w.shutoff);
}

static void harm_during_probation_shuts_it_again_for_longer(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    until_state(&w, SHUTOFF_PROBATION, 400);
    attack(&w, 30);
    windows(&w, 2);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    assert_in_range(evil(&w)->until_ms - w.now, 48000, 72000);
    shutoff_free(w.shutoff);
}

static void probation_goes_on_while_harm_is_above_half_the_limit(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    until_state(&w, SHUTOFF_PROBATION, 400);
    attack(&w, 7);
    windows(&w, 300);
    assert_int_equal(evil(&w)->state, SHUTOFF_PROBATION);
    calm(&w);
    windows(&w, 4);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void harm_by_another_during_probation_is_not_held_against_it(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    until_state(&w, SHUTOFF_PROBATION, 400);
    calm(&w);
    w.victims.loop_ns = 30000000;
    w.edge.lag_ns = 7000000;
    windows(&w, 110);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void how_long_it_was_shut_is_counted(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    int64_t begun = w.now;
    windows(&w, 50);
    assert_int_equal(shutoff_shut_ms(evil(&w), w.now), w.now - begun);
    until_state(&w, SHUTOFF_PROBATION, 400);
    int64_t whole = w.now - begun;
    windows(&w, 10);
    assert_int_equal(shutoff_shut_ms(evil(&w), w.now), whole);
    shutoff_free(w.shutoff);
}

/* ---- the operator, and what is known ---- */

static void the_operators_hand_holds_until_he_takes_it_away(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    assert_true(shutoff_hand(w.shutoff, "evil", PORT, true, w.now, moved, &w));
    calm(&w);
    windows(&w, HOUR / WINDOW);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    assert_int_equal(evil(&w)->until_ms, 0);
    assert_true(shutoff_hand(w.shutoff, "evil", PORT, false, w.now, moved, &w));
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_int_equal(evil(&w)->offences, 0);
    shutoff_free(w.shutoff);
}

static void the_operator_opens_what_was_shut_and_it_is_judged_afresh(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    assert_true(shutoff_hand(w.shutoff, "evil", PORT, false, w.now, moved, &w));
    window(&w);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shut_it(&w);
    assert_in_range(evil(&w)->until_ms - w.now, 24000, 36000);
    shutoff_free(w.shutoff);
}

static void switched_off_it_does_nothing_but_what_the_operator_says(void **unused) {
    struct shutoff_conf conf = DEFAULTS;
    conf.on = false;
    struct world w = world_new(&conf, 5, 3);
    (void)unused;
    attack(&w, 200);
    windows(&w, 100);
    assert_int_equal(w.moves, 0);
    assert_true(shutoff_hand(w.shutoff, "evil", PORT, true, w.now, moved, &w));
    window(&w);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    shutoff_free(w.shutoff);
}

static void offences_are_remembered_over_a_restart(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shutoff_remember(w.shutoff, "evil", PORT, &(struct shutoff_past){.offences = 2}, w.now, moved,
                     &w);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shut_it(&w);
    assert_in_range(evil(&w)->until_ms - w.now, 96000, 144000);
    shutoff_free(w.shutoff);
}

static void what_was_shut_before_a_restart_is_shut_for_the_rest_of_its_time(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    const struct shutoff_past past = {.offences = 2, .shut_ms = 20000, .why = "others: harmed"};
    (void)unused;
    shutoff_remember(w.shutoff, "evil", PORT, &past, w.now, moved, &w);
    assert_int_equal(w.moves, 1);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    assert_int_equal(evil(&w)->step, STEP_SHUT);
    assert_int_equal(evil(&w)->until_ms, w.now + 20000);
    assert_string_equal(evil(&w)->why, "others: harmed");
    windows(&w, 199);
    assert_int_equal(evil(&w)->state, SHUTOFF_SHUT);
    window(&w);
    assert_int_equal(evil(&w)->state, SHUTOFF_PROBATION);
    assert_int_equal(shutoff_shut_ms(evil(&w), w.now), 20000);
    assert_int_equal(evil(&w)->offences, 2);
    shutoff_free(w.shutoff);
}

/* Nobody would open it. */
static void where_nobody_is_held_nothing_is_shut_for_what_it_was(void **unused) {
    struct shutoff_conf off = DEFAULTS;
    off.on = false;
    struct world w = world_new(&off, 5, 3);
    const struct shutoff_past past = {.offences = 2, .shut_ms = 20000, .why = "others: harmed"};
    (void)unused;
    shutoff_remember(w.shutoff, "evil", PORT, &past, w.now, moved, &w);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    shutoff_free(w.shutoff);
}

static void what_is_given_back_is_forgotten(void **unused) {
    struct world w = world_new(&DEFAULTS, 5, 3);
    (void)unused;
    shut_it(&w);
    shutoff_forget(w.shutoff, "evil", PORT);
    assert_null(shutoff_find(w.shutoff, "evil", PORT));
    shut_it(&w);
    shutoff_forget(w.shutoff, "evil", 0);
    assert_null(shutoff_find(w.shutoff, "evil", PORT));
    shutoff_free(w.shutoff);
}

static size_t counted;
static void count(void *user, const struct shutoff_unit *u) {
    (void)user;
    (void)u;
    counted++;
}

static void who_is_silent_for_long_costs_nothing(void **unused) {
    struct world w = world_new(&DEFAULTS, 1, 3);
    (void)unused;
    for (unsigned i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "passer-by-%u", i);
        w.edge.now_ms = w.now += WINDOW;
        shutoff_window(w.shutoff, &w.edge);
        shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, name), &w.fare);
        shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, name), 0, &w.victims, 0);
        shutoff_judge(w.shutoff, moved, &w);
    }
    windows(&w, 11 * MINUTE / WINDOW);
    counted = 0;
    shutoff_each(w.shutoff, count, NULL);
    assert_int_equal(counted, 1); /* the victim */
    shutoff_free(w.shutoff);
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t roll(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* ---- who looks at tenants, and when ---- */

struct looks { /* what is to be in the next window */
    struct ledger_use attacked, victims;
    struct shutoff_fare fare;
    unsigned rows; /* that were looked at */
};

static void uses_add(struct ledger_use *sum, const struct ledger_use *use) {
    sum->loop_ns += use->loop_ns;
    sum->accepted += use->accepted;
    sum->requests += use->requests;
    sum->connections = use->connections;
    sum->silent = use->silent;
    sum->descriptors = use->descriptors;
    sum->buffers = use->buffers;
}

static void fares_add(struct shutoff_fare *sum, const struct shutoff_fare *fare) {
    sum->tries += fare->tries;
    sum->no_descriptor += fare->no_descriptor;
    sum->no_memory += fare->no_memory;
    sum->waits += fare->waits;
    sum->waited_us += fare->waited_us;
    sum->connections = fare->connections;
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        sum->duration[i] += fare->duration[i];
}

/* As edge/guard_feed.c does it: what tenants did is kept until it is asked for. */
static void look(struct world *w, struct looks *l) {
    struct ledger_use attacked = w->attacked, victims = w->victims;
    struct shutoff_fare fare = w->fare;
    struct shutoff_edge edge = w->edge, one = w->edge;
    uses_add(&l->attacked, &attacked);
    uses_add(&l->victims, &victims);
    fares_add(&l->fare, &fare);
    one.now_ms = w->now + WINDOW;
    one.lanes =
        (struct ledger_waits){w->victim_count * fare.waits, w->victim_count * fare.waited_us};
    one.lane_us = fare.waits ? fare.waited_us / fare.waits : 0;
    if (!shutoff_look(w->shutoff, &one)) {
        w->now += WINDOW;
        return;
    }
    w->attacked = l->attacked;
    w->victims = l->victims;
    w->fare = l->fare;
    w->edge = one;
    w->now += WINDOW - one.window_ms; /* window() adds it */
    window(w);
    *l = (struct looks){.rows = l->rows + w->victim_count + 1};
    w->attacked = attacked;
    w->victims = victims;
    w->fare = fare;
    w->edge = edge;
}

static void looks(struct world *w, struct looks *l, unsigned count) {
    while (count--)
        look(w, l);
}

static void while_all_is_calm_tenants_are_looked_at_each_fifth_time(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    struct looks l = {0};
    (void)unused;
    calm(&w);
    looks(&w, &l, 100);
    assert_int_equal(l.rows, 100 / SHUTOFF_CALM_LOOKS * 21);
    assert_int_equal(w.moves, 0);
    shutoff_free(w.shutoff);
}

/* Each kind by itself, at half its limit, in whichever look it begins. */
static void strain_brings_all_of_them_back_at_once(void **unused) {
    (void)unused;
    enum { KINDS = 12 };
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned before = 5; before < 10; before++) {
            struct world w = world_new(&DEFAULTS, 20, 1);
            struct looks l = {0};
            struct shutoff_edge *e = &w.edge;
            calm(&w);
            looks(&w, &l, before);
            l.rows = 0;
            switch (kind) {
            case 0:
                e->lag_ns = 5100000;
                break;
            case 1:
                e->turn_wait_ns = 6100;
                break;
            case 2:
                e->wait_ns = 26000000;
                break;
            case 3:
                e->strangers_ns = 5100000;
                break;
            case 4:
                e->dropped = 1;
                break;
            case 5:
                e->buffers_short = 1;
                break;
            case 6:
                e->descriptors_short = 1;
                break;
            case 7:
                e->memory_short = 1;
                break;
            case 8:
                e->descriptors = 17000;
                break;
            case 9:
                e->buffers = 52000;
                break;
            case 10:
                e->window_ms = 300;
                break;
            case 11:
                w.fare.waits = 3, w.fare.waited_us = 3 * 2600;
                break;
            }
            looks(&w, &l, 10);
            assert_int_equal(l.rows, 10 * 21);
            shutoff_free(w.shutoff);
        }
}

static void who_is_held_or_was_to_blame_is_looked_at_each_time(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1);
    struct looks l = {0};
    (void)unused;
    attack(&w, 30);
    look(&w, &l);
    calm(&w);
    l.rows = 0;
    looks(&w, &l, 3); /* perhaps the second of three */
    assert_int_equal(l.rows, 3 * 21);
    looks(&w, &l, 10);
    assert_int_equal(l.rows, 5 * 21);
    attack(&w, 30);
    looks(&w, &l, 2);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    calm(&w);
    l.rows = 0;
    looks(&w, &l, 15);
    assert_int_equal(l.rows, 15 * 21);
    looks(&w, &l, 100);
    assert_int_equal(evil(&w)->state, SHUTOFF_OPEN);
    assert_true(shutoff_hand(w.shutoff, "evil", PORT, true, w.now, moved, &w));
    l.rows = 0;
    looks(&w, &l, 10);
    assert_int_equal(l.rows, 2 * 21);
    shutoff_free(w.shutoff);
}

/* The same look in both: one world looks at tenants each time. */
static void look_in_both(struct world *w, struct looks *l, struct world *each) {
    struct shutoff *own = each->shutoff;
    unsigned moves = each->moves;
    *each = *w;
    each->shutoff = own;
    each->moves = moves;
    window(each);
    look(w, l);
}

/* Wherever within the calm looks it begins: as soon as if all had been looked at each time. */
static void an_attack_after_a_calm_time_is_noticed_as_soon(void **unused) {
    (void)unused;
    for (int try = 0; try < 1000; try++) {
        struct world w = world_new(&DEFAULTS, 1 + (unsigned)roll(20), roll(1u << 30)), each = w;
        struct looks l = {0};
        each.shutoff = shutoff_new(&DEFAULTS, 1);
        w.victims.loop_ns = roll(4000000);
        w.fare.waits = roll(20);
        w.fare.waited_us = w.fare.waits * roll(2400);
        calm(&w);
        w.edge.loop_ns = 20000000 + w.victims.loop_ns * w.victim_count;
        for (unsigned n = 1 + (unsigned)roll(60); n--;)
            look_in_both(&w, &l, &each);
        bool lanes = roll(2);
        uint64_t part = 1 + roll(100); /* of the first look, in percent */
        unsigned count = 0;
        for (; evil(&each)->state == SHUTOFF_OPEN; count++) {
            attack(&w, lanes ? 2 : 11 + (int64_t)roll(100));
            w.fare.waits = lanes ? 10 : w.fare.waits;
            w.fare.waited_us = lanes ? 10 * (6000 + roll(2000)) : w.fare.waited_us;
            if (!count) {
                w.attacked.loop_ns = w.attacked.loop_ns * part / 100;
                w.attacked.accepted = w.attacked.accepted * part / 100 + 1;
                w.edge.lag_ns = w.edge.lag_ns * part / 100;
                w.fare.waited_us = w.fare.waited_us * part / 100;
            }
            look_in_both(&w, &l, &each);
            assert_true(count < 6);
        }
        assert_true(lanes || count <= 3);
        assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
        shutoff_free(w.shutoff);
        shutoff_free(each.shutoff);
    }
}

/* A customer who did much while all was calm is not to blame for what another does after. */
static void what_was_done_while_all_was_calm_is_not_held_against_anybody(void **unused) {
    (void)unused;
    for (unsigned before = 5; before < 10; before++) {
        struct world w = world_new(&DEFAULTS, 3, 1);
        struct looks l = {0};
        calm(&w);
        w.victims.loop_ns = 25000000; /* in a look: a window has five of them */
        looks(&w, &l, before + 20);
        attack(&w, 30);
        w.attacked.loop_ns = 90000000;
        looks(&w, &l, 3);
        assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
        for (unsigned i = 0; i < 3; i++) {
            char name[32];
            snprintf(name, sizeof name, "victim%u", i);
            assert_int_equal(shutoff_find(w.shutoff, name, 0)->moves, 0);
            assert_int_equal(shutoff_find(w.shutoff, name, 0)->blamed, 0);
        }
        shutoff_free(w.shutoff);
    }
}

static void what_is_usual_is_learned_from_long_windows_as_from_short_ones(void **unused) {
    struct world w = world_new(&DEFAULTS, 20, 1), v = world_new(&DEFAULTS, 20, 1);
    struct looks l = {0};
    (void)unused;
    calm(&w);
    calm(&v);
    w.attacked.accepted = v.attacked.accepted = 0;
    w.victims.accepted = v.victims.accepted = 7;
    looks(&w, &l, 1000);
    windows(&v, 1000);
    double a = shutoff_find(w.shutoff, "victim3", 0)->calm_accepts,
           b = shutoff_find(v.shutoff, "victim3", 0)->calm_accepts;
    assert_true(b > 1 && a > 0.97 * b && a < 1.03 * b);
    attack(&w, 6);
    w.fare = (struct shutoff_fare){.tries = 3, .connections = 4, .duration = {1, 0, 2}};
    looks(&w, &l, 4);
    assert_int_equal(evil(&w)->state, SHUTOFF_LIMITED);
    assert_non_null(strstr(evil(&w)->why, "p99"));
    shutoff_free(w.shutoff);
    shutoff_free(v.shutoff);
}

/* ---- random worlds ---- */

/* Whatever a crowd does: as long as the others fare as they did, no step is taken. */
static void a_flash_crowd_that_harms_nobody_is_never_held(void **unused) {
    (void)unused;
    for (int try = 0; try < 100; try++) {
        struct world w = world_new(&DEFAULTS, (unsigned)roll(10), roll(1u << 30));
        calm(&w);
        windows(&w, (unsigned)roll(40));
        for (int i = 0; i < 300; i++) {
            w.attacked = (struct ledger_use){.loop_ns = roll(200000000),
                                             .accepted = roll(20000),
                                             .requests = roll(30000),
                                             .handshakes = roll(5000),
                                             .bytes_out = roll(1u << 30),
                                             .resets = roll(20000),
                                             .connections = (int64_t)roll(8000) + 1,
                                             .silent = (int64_t)roll(8000),
                                             .descriptors = (int64_t)roll(9000),
                                             .buffers = (int64_t)roll(30000)};
            w.edge.loop_ns = w.attacked.loop_ns;
            w.edge.lag_ns = roll(9900000);
            w.edge.wait_ns = roll(49000000);
            w.edge.strangers_ns = roll(9900000);
            w.edge.descriptors = (int64_t)roll(17900);
            w.edge.buffers = (int64_t)roll(53000);
            w.fare.waits = roll(50);
            w.fare.waited_us = w.fare.waits * roll(4900);
            w.fare.duration[0] = 3;
            window(&w);
        }
        assert_int_equal(w.moves, 0);
        shutoff_free(w.shutoff);
    }
}

/* Random harm, but never by a unit above its fair share. */
static void nobody_below_his_fair_share_is_ever_held(void **unused) {
    (void)unused;
    for (int try = 0; try < 50; try++) {
        struct world w = world_new(&DEFAULTS, 3 + (unsigned)roll(10), roll(1u << 30));
        uint64_t each = 1000000 + roll(20000000);
        for (int i = 0; i < 300; i++) {
            w.victims.loop_ns = each;
            w.victims.descriptors = 50;
            w.victims.buffers = 5;
            w.attacked = w.victims;
            w.edge.lag_ns = roll(200000000);
            w.edge.dropped = roll(3);
            w.edge.descriptors = (int64_t)roll(20000);
            w.edge.buffers_short = roll(2);
            w.fare.no_descriptor = roll(2);
            w.fare.no_memory = roll(2);
            w.fare.waits = roll(10);
            w.fare.waited_us = roll(1000000);
            window(&w);
        }
        assert_int_equal(w.moves, 0);
        shutoff_free(w.shutoff);
    }
}

/* Whenever within a window it begins, and however it varies: with the third window at the latest, which is after 300 ms. */
static void an_attack_is_noticed_within_three_windows(void **unused) {
    (void)unused;
    for (int try = 0; try < 100; try++) {
        struct world w = world_new(&DEFAULTS, 1 + (unsigned)roll(20), roll(1u << 30));
        calm(&w);
        windows(&w, (unsigned)roll(60));
        uint64_t part = 1 + roll(100); /* of the first window, in percent */
        attack(&w, 11 + (int64_t)roll(100));
        w.attacked.loop_ns = w.attacked.loop_ns * part / 100;
        w.attacked.accepted = w.attacked.accepted * part / 100 + 1;
        w.edge.lag_ns = w.edge.lag_ns * part / 100;
        window(&w);
        unsigned count = 1;
        for (; evil(&w)->state == SHUTOFF_OPEN; count++) {
            attack(&w, 11 + (int64_t)roll(100));
            window(&w);
            assert_true(count < 3);
        }
        shutoff_free(w.shutoff);
    }
}

static void severe_harm_is_shut_within_a_second_and_opened_after(void **unused) {
    struct shutoff_conf conf = DEFAULTS;
    conf.quiet_ms = MINUTE;
    (void)unused;
    for (int try = 0; try < 100; try++) {
        struct world w = world_new(&conf, 1 + (unsigned)roll(6), roll(1u << 30));
        calm(&w);
        windows(&w, (unsigned)roll(60));
        int64_t begun = w.now;
        while (evil(&w)->state != SHUTOFF_SHUT) {
            attack(&w, 51 + (int64_t)roll(300));
            w.attacked.accepted = roll(3000) + 1;
            window(&w);
            assert_true(w.now - begun <= 1000);
        }
        int64_t first_step = begun + 200;
        assert_true(evil(&w)->since_ms > first_step);
        w.attacked = (struct ledger_use){0};
        w.edge.lag_ns = 500000;
        until_state(&w, SHUTOFF_OPEN, 460);
        assert_int_equal(evil(&w)->offences, 1);
        windows(&w, MINUTE / WINDOW + 2);
        assert_int_equal(evil(&w)->offences, 0);
        shutoff_free(w.shutoff);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_bad_window_is_not_enough),
        cmocka_unit_test(two_of_three_bad_windows_are_noticed),
        cmocka_unit_test(severe_harm_skips_the_first_steps),
        cmocka_unit_test(a_busy_port_that_harms_nobody_is_a_customer),
        cmocka_unit_test(without_others_nobody_is_harmed),
        cmocka_unit_test(a_worker_without_rest_harms_nobody_while_nobody_else_asks),
        cmocka_unit_test(a_worker_without_rest_harms_nobody_while_nobody_has_half_of_it),
        cmocka_unit_test(names_are_not_refused_wholly_for_what_is_mild),
        cmocka_unit_test(who_uses_no_more_than_his_share_is_not_to_blame),
        cmocka_unit_test(only_the_top_contributor_is_held),
        cmocka_unit_test(two_attackers_at_once_are_both_held),
        cmocka_unit_test(who_has_half_as_much_as_the_worst_and_stands_out_is_held_too),
        cmocka_unit_test(a_customer_who_stands_out_beside_an_attack_is_not_shut),
        cmocka_unit_test(who_has_less_than_half_or_does_not_stand_out_is_not_held_for_the_worst),
        cmocka_unit_test(descriptors_that_are_about_to_run_out_are_harm),
        cmocka_unit_test(who_comes_fast_is_let_in_while_there_is_room),
        cmocka_unit_test(who_holds_half_as_many_descriptors_as_the_worst_is_not_held_for_him),
        cmocka_unit_test(two_who_leave_a_worker_no_rest_together_are_noticed),
        cmocka_unit_test(descriptors_that_run_out_are_blamed_on_who_holds_them),
        cmocka_unit_test(who_finds_no_descriptor_is_harmed_by_who_holds_them),
        cmocka_unit_test(what_the_machine_lacks_is_no_tenants_fault),
        cmocka_unit_test(buffers_that_run_out_are_blamed_on_who_holds_them),
        cmocka_unit_test(connections_that_find_no_room_are_severe),
        cmocka_unit_test(a_p99_far_above_its_calm_value_is_harm),
        cmocka_unit_test(a_p99_that_was_always_so_is_no_harm),
        cmocka_unit_test(slow_pods_of_others_are_no_harm_on_an_idle_edge),
        cmocka_unit_test(failures_of_others_beyond_one_percent_for_what_the_edge_lacks_are_severe),
        cmocka_unit_test(what_others_lack_is_blamed_on_who_has_it),
        cmocka_unit_test(work_of_others_in_the_way_is_harm),
        cmocka_unit_test(new_connections_that_wait_for_a_worker_are_harmed),
        cmocka_unit_test(who_waits_is_not_who_harms),
        cmocka_unit_test(what_nobody_waited_for_lately_is_over),
        cmocka_unit_test(slow_pods_of_one_tenant_do_not_make_a_busy_neighbour_guilty),
        cmocka_unit_test(what_several_tenants_feel_while_the_edge_is_late_is_believed),
        cmocka_unit_test(slow_pods_of_many_do_not_either_while_the_edge_is_in_time),
        cmocka_unit_test(an_attack_that_is_spread_over_all_ports_of_a_tenant_is_held_on_each),
        cmocka_unit_test(only_the_port_that_is_attacked_is_held),
        cmocka_unit_test(what_no_tenant_causes_is_no_tenants_fault),
        cmocka_unit_test(two_who_take_turns_are_both_held),
        cmocka_unit_test(one_long_window_is_not_judged),
        cmocka_unit_test(a_long_window_does_not_climb),
        cmocka_unit_test(a_long_window_is_not_calm),
        cmocka_unit_test(who_is_always_late_still_judges),
        cmocka_unit_test(what_is_shut_is_opened_in_time_also_by_who_is_late),
        cmocka_unit_test(each_step_that_does_not_help_gives_way_to_the_next),
        cmocka_unit_test(a_step_that_helps_is_not_left),
        cmocka_unit_test(steps_are_taken_back_one_by_one_when_all_is_calm),
        cmocka_unit_test(a_step_that_was_taken_back_too_early_stays_longer_the_next_time),
        cmocka_unit_test(who_is_attacked_all_the_same_is_held_ten_times_as_long),
        cmocka_unit_test(who_is_refused_is_counted_once),
        cmocka_unit_test(whose_budget_is_used_up_now_and_then_is_held_as_long),
        cmocka_unit_test(who_was_turned_away_before_the_door_was_made_anew_does_not_count),
        cmocka_unit_test(it_is_shut_for_thirty_seconds_give_or_take_a_fifth),
        cmocka_unit_test(each_offence_doubles_the_time_up_to_half_an_hour),
        cmocka_unit_test(one_offence_is_forgotten_each_quiet_hour),
        cmocka_unit_test(probation_without_harm_ends_in_open),
        cmocka_unit_test(harm_during_probation_shuts_it_again_for_longer),
        cmocka_unit_test(probation_goes_on_while_harm_is_above_half_the_limit),
        cmocka_unit_test(harm_by_another_during_probation_is_not_held_against_it),
        cmocka_unit_test(how_long_it_was_shut_is_counted),
        cmocka_unit_test(the_operators_hand_holds_until_he_takes_it_away),
        cmocka_unit_test(the_operator_opens_what_was_shut_and_it_is_judged_afresh),
        cmocka_unit_test(switched_off_it_does_nothing_but_what_the_operator_says),
        cmocka_unit_test(offences_are_remembered_over_a_restart),
        cmocka_unit_test(what_was_shut_before_a_restart_is_shut_for_the_rest_of_its_time),
        cmocka_unit_test(where_nobody_is_held_nothing_is_shut_for_what_it_was),
        cmocka_unit_test(what_is_given_back_is_forgotten),
        cmocka_unit_test(who_is_silent_for_long_costs_nothing),
        cmocka_unit_test(while_all_is_calm_tenants_are_looked_at_each_fifth_time),
        cmocka_unit_test(strain_brings_all_of_them_back_at_once),
        cmocka_unit_test(who_is_held_or_was_to_blame_is_looked_at_each_time),
        cmocka_unit_test(an_attack_after_a_calm_time_is_noticed_as_soon),
        cmocka_unit_test(what_was_done_while_all_was_calm_is_not_held_against_anybody),
        cmocka_unit_test(what_is_usual_is_learned_from_long_windows_as_from_short_ones),
        cmocka_unit_test(a_flash_crowd_that_harms_nobody_is_never_held),
        cmocka_unit_test(nobody_below_his_fair_share_is_ever_held),
        cmocka_unit_test(an_attack_is_noticed_within_three_windows),
        cmocka_unit_test(severe_harm_is_shut_within_a_second_and_opened_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
