/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_drr.c - deficit round robin: the bounds that core/drr.h states, over drawn loads, and what happens at the edges.
 */
#include "core/drr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LINES = 12, QUANTUM = 100, ITEMS = 4000 };

struct item {
    struct drr_item item; /* first */
    unsigned number;
};

static struct load {
    struct drr d;
    struct drr_line line[LINES];
    int64_t given[LINES];
    unsigned put[LINES], taken[LINES];
    uint64_t state, waited; /* what the line that was served last had waited for others */
} load;

static uint64_t draw(uint64_t below) {
    load.state ^= load.state << 13;
    load.state ^= load.state >> 7;
    load.state ^= load.state << 17;
    return load.state % below;
}

static void start(uint64_t seed, unsigned weight_most) {
    load = (struct load){.d = {.quantum = QUANTUM}, .state = seed * 0x9e3779b97f4a7c15ull + 1};
    for (unsigned i = 0; i < LINES; i++)
        load.line[i].weight = 1 + (unsigned)draw(weight_most);
}

static void put(unsigned line) {
    struct item *i = malloc(sizeof *i);
    assert_non_null(i);
    i->number = load.put[line]++;
    drr_put(&load.d, &load.line[line], &i->item);
}

/* One item, of this cost. Returns whose it was. */
static unsigned serve(int64_t cost) {
    struct drr_line *line = NULL;
    struct item *i = (struct item *)drr_take(&load.d, &line);
    assert_non_null(i);
    unsigned at = (unsigned)(line - load.line);
    assert_int_equal(i->number, load.taken[at]++); /* in the order in which they came */
    free(i);
    load.waited = line->waited;
    load.d.now += (uint64_t)cost;
    drr_paid(&load.d, line, cost);
    load.given[at] += cost;
    return at;
}

static void drain(void) {
    while (load.d.count)
        serve(1);
    for (unsigned i = 0; i < LINES; i++) {
        assert_int_equal(load.put[i], load.taken[i]);
        assert_null(load.line[i].first);
    }
    drr_rest(&load.d);
    assert_null(load.d.fresh.first);
    assert_null(load.d.round.first);
    for (unsigned i = 0; i < LINES; i++)
        assert_false(load.line[i].in);
}

static int64_t cost_of(unsigned line, int64_t most) {
    int64_t of_line = line % 3 == 0 ? most : line % 3 == 1 ? most / 20 : most / 4;
    return 1 + (int64_t)draw((uint64_t)(of_line ? of_line : 1));
}

static int64_t apart(const int64_t *since, unsigned a, unsigned b) {
    int64_t of_a = load.given[a] - since[a], of_b = load.given[b] - since[b];
    return of_a > of_b ? of_a - of_b : of_b - of_a;
}

/* All have something waiting from the first moment on; some have items that cost much, some little. */
static void
whoever_waits_all_the_time_is_given_the_same_up_to_a_quantum_and_an_item(void **unused) {
    static const int64_t zero[LINES];
    (void)unused;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const int64_t most = 1 + (int64_t)(seed % 40) * 25;
        start(seed, 1);
        for (unsigned i = 0; i < LINES; i++)
            put(i);
        int64_t since[LINES] = {0};
        for (unsigned n = 0; n < ITEMS; n++) {
            struct drr_line *next = load.d.fresh.first ? load.d.fresh.first : load.d.round.first;
            put((unsigned)(next - load.line)); /* never runs empty */
            for (unsigned i = 0; i < LINES; i++)
                if (load.line[i].count < 2)
                    put(i);
            unsigned at = serve(1);
            int64_t cost = cost_of(at, most) - 1;
            drr_paid(&load.d, &load.line[at], cost);
            load.given[at] += cost;
            if (draw(500) == 0)
                for (unsigned i = 0; i < LINES; i++)
                    since[i] = load.given[i];
            for (unsigned i = 1; i < LINES; i++) {
                assert_true(apart(zero, 0, i) <= QUANTUM + most);
                assert_true(apart(since, 0, i) <= QUANTUM + 2 * most);
            }
        }
        drain();
    }
}

/* The same of shares: who has weight w is given w times as much. */
static void weights_are_shares(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        start(seed, 5);
        for (unsigned n = 0; n < 20 * ITEMS; n++) {
            for (unsigned i = 0; i < LINES; i++)
                if (load.line[i].count < 2)
                    put(i);
            serve(1 + (int64_t)draw(50));
        }
        for (unsigned i = 1; i < LINES; i++) {
            int64_t a = load.given[0] / load.line[0].weight,
                    b = load.given[i] / load.line[i].weight;
            assert_true((a > b ? a - b : b - a) <= QUANTUM + 50);
        }
        drain();
    }
}

/* Lines come and go as they like: nothing is lost, and who waits is served before any other is twice (and a bit). */
static void nobody_starves_whoever_comes_and_goes(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        start(seed, 1);
        int64_t waited_since[LINES] = {0}, total = 0;
        bool waits[LINES] = {false};
        for (unsigned n = 0; n < ITEMS; n++) {
            for (unsigned puts = (unsigned)draw(4); puts--;)
                put((unsigned)draw(LINES));
            if (!load.d.count)
                continue;
            for (unsigned i = 0; i < LINES; i++) {
                if (load.line[i].count && !waits[i])
                    waited_since[i] = total;
                waits[i] = load.line[i].count;
            }
            unsigned at = serve(50);
            total += 50;
            /* What it owes, and one quantum and an item of each other. */
            assert_true(total - waited_since[at] <= 2 * LINES * (QUANTUM + 50));
            waits[at] = false;
        }
        drain();
    }
}

static void what_a_line_owes_is_not_forgotten_when_it_runs_empty(void **unused) {
    (void)unused;
    start(1, 1);
    put(0);
    put(1);
    put(1);
    assert_int_equal(serve(10 * QUANTUM), 0); /* it is empty now, and owes nine quanta */
    unsigned others = 0;
    put(0);
    while (serve(QUANTUM) != 0) {
        others++;
        put(1);
    }
    assert_in_range(others, 8, 10);
    drain();
}

static void a_debt_has_an_end(void **unused) {
    (void)unused;
    start(1, 1);
    put(0);
    put(0);
    put(1);
    assert_int_equal(serve(INT32_MAX), 0);
    unsigned others = 0;
    while (serve(QUANTUM) != 0) {
        others++;
        put(1);
    }
    assert_in_range(others, DRR_DEBT_MOST - 1, DRR_DEBT_MOST + 1);
    drain();
}

static void a_line_waits_for_what_others_are_given_before_it(void **unused) {
    (void)unused;
    start(1, 1);
    for (unsigned i = 0; i < 10; i++)
        put(0);
    put(1);
    assert_int_equal(serve(30), 0);
    assert_int_equal(serve(80), 0); /* what is left of its quantum, and some more */
    assert_int_equal(serve(20), 1);
    assert_int_equal(load.waited, 110);
    drain();
}

static void neither_its_own_items_nor_what_it_owes_are_waited_for(void **unused) {
    (void)unused;
    start(1, 1);
    for (unsigned i = 0; i < 20; i++)
        put(0);
    for (unsigned i = 0; i < 19; i++) {
        serve(3 * QUANTUM);
        assert_int_equal(load.waited, 0);
    }
    put(1);
    serve(1); /* the other's, while the first pays back */
    put(1);
    while (serve(QUANTUM) != 0)
        put(1);
    assert_in_range(load.waited, 1,
                    2 * QUANTUM); /* once it could be served: not all that it missed */
    drain();
}

/* Whatever comes: who is served has waited for no more than a round of the others. */
static void nobody_waits_for_more_than_a_round(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        start(seed, 1);
        for (unsigned n = 0; n < ITEMS; n++) {
            for (unsigned puts = 1 + (unsigned)draw(4); puts--;)
                put((unsigned)draw(LINES));
            serve(1 + (int64_t)draw(50));
            assert_true(load.waited <= (LINES - 1) * (QUANTUM + 50));
        }
        drain();
    }
}

static void a_line_may_be_served_out_of_turn(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        start(seed, 1);
        for (unsigned n = 0; n < 400; n++) {
            put((unsigned)draw(LINES));
            unsigned at = (unsigned)draw(LINES);
            struct item *i = (struct item *)drr_take_of(&load.d, &load.line[at]);
            assert_int_equal(!i, load.put[at] == load.taken[at]);
            if (i)
                assert_int_equal(i->number, load.taken[at]++);
            free(i);
            if (load.d.count && draw(3) == 0)
                serve(30);
        }
        drain();
    }
}

/* Nine lines always have more; who asks for little, now and then, is not behind them. */
static void who_asks_for_little_is_served_next(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        start(seed, 1);
        for (unsigned n = 0; n < 400; n++) {
            for (unsigned i = 1; i < 10; i++)
                while (load.line[i].count < 3)
                    put(i);
            if (n >= 40 && !load.line[0].in) { /* a round has passed it, empty */
                put(0);
                assert_int_equal(serve(QUANTUM / 4), 0);
            }
            serve(1 + (int64_t)draw(2 * QUANTUM));
        }
        drain();
    }
}

/* Who is always back a moment after it ran empty is fresh once a round, not each time. */
static void who_comes_again_at_once_does_not_pass_the_round(void **unused) {
    (void)unused;
    start(1, 1);
    for (unsigned n = 0; n < 1000; n++) {
        for (unsigned i = 0; i < 4; i++)
            if (!load.line[i].count)
                put(i); /* 0 has never two, the others always have more */
        for (unsigned i = 1; i < 4; i++)
            put(i);
        serve(30);
    }
    for (unsigned i = 1; i < 4; i++)
        assert_true(load.given[0] - load.given[i] <= QUANTUM + 30);
    drain();
}

static void a_line_that_ends_is_in_no_round(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        start(seed, 1);
        for (unsigned n = 0; n < 60; n++) {
            put((unsigned)draw(LINES));
            if (draw(3) == 0)
                serve((int64_t)draw(3 * QUANTUM));
        }
        unsigned gone = (unsigned)draw(LINES);
        for (struct drr_item *i; (i = drr_take_of(&load.d, &load.line[gone])); free(i))
            load.taken[gone]++;
        drr_remove(&load.d, &load.line[gone]);
        load.line[gone].next = (struct drr_line *)1; /* whoever follows it falls */
        drain();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_waits_all_the_time_is_given_the_same_up_to_a_quantum_and_an_item),
        cmocka_unit_test(weights_are_shares),
        cmocka_unit_test(nobody_starves_whoever_comes_and_goes),
        cmocka_unit_test(what_a_line_owes_is_not_forgotten_when_it_runs_empty),
        cmocka_unit_test(a_debt_has_an_end),
        cmocka_unit_test(a_line_waits_for_what_others_are_given_before_it),
        cmocka_unit_test(neither_its_own_items_nor_what_it_owes_are_waited_for),
        cmocka_unit_test(nobody_waits_for_more_than_a_round),
        cmocka_unit_test(a_line_may_be_served_out_of_turn),
        cmocka_unit_test(who_asks_for_little_is_served_next),
        cmocka_unit_test(who_comes_again_at_once_does_not_pass_the_round),
        cmocka_unit_test(a_line_that_ends_is_in_no_round),
    };
    return cmocka_run_group_tests_name("drr", tests, NULL, NULL);
}
