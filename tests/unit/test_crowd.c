/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_crowd.c - a flash crowd of good customers is not shut, however large: a hundred of them, drawn, come to one tenant's names or raw port,
 * on a worker that is simulated with the real deficit round robin (core/drr.h), and its windows are judged by the real rule (core/shutoff.h).
 *
 *   arrivals -> lanes -> turns of TURN_MOST_US -> what the kernel takes for them -> what everybody waited, in the windows' figures
 *
 * Costs are those of bench/ (README's table). The crowd asks for up to twice what the worker has. While there is time for everybody it is not
 * held at all; when there is not, others would wait for a worker without rest, and it is let in by a budget, as from step 3 on. That the
 * simulation can see harm at all is shown by a crowd whose single completions take long.
 */
#include "core/drr.h"
#include "core/ledger.h"
#include "core/shutoff.h"
#include "core/splitmix.h"
#include "core/turn.h"
#include "shutoff_defaults.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    WINDOW_US = 100000,
    WINDOWS = 30,
    QUIET = 5, /* before the crowd comes */
    TRIES = 100,
    VICTIMS = 20,
    STRANGERS = 0,
    CROWD = 1,
    FIRST_VICTIM = 2,
    LINES = FIRST_VICTIM + VICTIMS,
    WAITING_MOST = 4000, /* completions of the crowd: who waits for an answer does not ask again */
    POD_US = 200,
    PORT = 28001,
    REFUSED_US = 4,
    ACCEPTS = 100, /* a second, at a door with a budget (edge/conf.c) */
};

struct job { /* a completion */
    struct drr_item item;
    unsigned line;
    double at_us, cost_us;
    bool answer; /* with it a request is over */
};

struct crowd { /* what is drawn */
    unsigned victims;
    bool port, tls;
    double customers, asks; /* a second, when all have come; requests of each */
    double dear_us;         /* one completion of a hundred takes so long */
};

static struct world {
    struct crowd crowd;
    uint64_t random;
    struct shutoff *shutoff;
    struct drr drr;
    struct drr_line line[LINES];
    struct job *coming;
    size_t count, room, next;
    double now_us, busiest;
    unsigned moves, window;
    uint8_t step;
    bool shut;
    /* of this window */
    double busy_us[LINES], lag_us, kernel_us, squares;
    struct shutoff_fare fare[LINES];
    uint64_t accepted[LINES], requests[LINES];
    uint64_t strangers, strangers_us;
    int64_t open;
} w;

static double draw(double low, double high) {
    return low + (high - low) * ((double)(splitmix_next(&w.random) >> 11) / (double)(1ull << 53));
}

static unsigned draw_count(double mean) { /* about; whole */
    return (unsigned)(mean * draw(0.5, 1.5) + draw(0, 1));
}

/* ---- who comes ---- */

static void come(unsigned line, double at_us, double cost_us, bool answer) {
    if (w.count == w.room) {
        w.room = w.room ? 2 * w.room : 4096;
        w.coming = realloc(w.coming, w.room * sizeof *w.coming);
        assert_non_null(w.coming);
    }
    w.coming[w.count++] =
        (struct job){.line = line, .at_us = at_us, .cost_us = cost_us, .answer = answer};
}

static double sometime(void) {
    return w.now_us + draw(0, WINDOW_US);
}

static void ask(unsigned line) {
    double at = sometime();
    come(line, at, draw(6, 12), false);
    come(line, at + POD_US, draw(6, 12), true);
    w.requests[line]++;
}

static void customer(void) {
    double at = sometime();
    unsigned first = w.crowd.port ? CROWD : STRANGERS; /* a port's number says whose it is */
    come(first, at, draw(15, 35), false);
    if (w.crowd.tls)
        come(CROWD, at + 50, draw(100, 200), false);
    if (w.crowd.dear_us > 0 && draw(0, 100) < 1)
        come(CROWD, at, w.crowd.dear_us, false);
    for (unsigned n = draw_count(w.crowd.asks); n--;)
        ask(CROWD);
    w.accepted[CROWD]++;
    w.open += w.open < 3000;
}

static int by_time(const void *a, const void *b) {
    const struct job *x = a, *y = b;
    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void arrivals(void) {
    double come_yet = w.window < QUIET ? 0.02 : w.window < 2 * QUIET ? 0.5 : 1;
    if (w.count)
        memmove(w.coming, w.coming + w.next, (w.count - w.next) * sizeof *w.coming);
    w.count -= w.next;
    w.next = 0;
    for (unsigned i = 0; i < w.crowd.victims; i++)
        for (unsigned n = draw_count(2.5); n--;) { /* half of them on new connections */
            ask(FIRST_VICTIM + i);
            if (n % 2)
                come(STRANGERS, sometime(), draw(15, 35), false);
            w.accepted[FIRST_VICTIM + i] += n % 2;
        }
    unsigned let_in = w.step < STEP_ACCEPTS ? UINT_MAX : ACCEPTS / 10;
    for (unsigned n = draw_count(w.crowd.customers * come_yet / 10); n-- && let_in; let_in--)
        if (w.line[CROWD].count < WAITING_MOST)
            customer();
    if (w.count)
        qsort(w.coming, w.count, sizeof *w.coming, by_time);
}

/* ---- the worker ---- */

static void lanes_fill(void) {
    w.drr.now = (uint64_t)w.now_us;
    for (; w.next < w.count && w.coming[w.next].at_us <= w.now_us; w.next++) {
        struct job *j = malloc(sizeof *j);
        assert_non_null(j);
        *j = w.coming[w.next];
        drr_put(&w.drr, &w.line[j->line], &j->item);
    }
}

static void duration_count(unsigned line, double us) {
    static const double bounds[] = {ACCOUNT_BOUNDS};
    int bucket = 0;
    while (bucket < ACCOUNT_BUCKETS - 1 && us > bounds[bucket])
        bucket++;
    w.fare[line].duration[bucket]++;
    w.fare[line].tries++;
}

static void serve(struct drr_line *line, struct job *j) {
    struct shutoff_fare *fare = &w.fare[j->line];
    if (j->line == STRANGERS) {
        w.strangers++;
        w.strangers_us += (uint64_t)(w.now_us - j->at_us);
    } else if (line->waited) {
        fare->waits++;
        fare->waited_us += line->waited;
    }
    /* Beyond the budget, and what was there before it, is answered by 429, an alert or a reset. */
    bool refused = j->line < FIRST_VICTIM && w.step >= STEP_ACCEPTS && j->cost_us > REFUSED_US;
    double cost = refused ? REFUSED_US : j->cost_us;
    w.now_us += cost;
    w.busy_us[j->line] += 2 * cost; /* as much again in the kernel */
    w.drr.now = (uint64_t)w.now_us;
    drr_paid(&w.drr, line, (int64_t)cost);
    if (j->answer) /* it waited on its way in as well */
        duration_count(j->line, 2 * (w.now_us - j->at_us) + POD_US);
    free(j);
}

static void turn(void) {
    double began = w.now_us, until = began + TURN_MOST_US;
    struct drr_line *line;
    struct drr_item *item;
    lanes_fill();
    while (w.now_us < until && (item = drr_take(&w.drr, &line)))
        serve(line, (struct job *)item);
    double took = w.now_us - began;
    w.lag_us = took > w.lag_us ? took : w.lag_us;
    w.kernel_us = took > w.kernel_us ? took : w.kernel_us;
    double all = 2 * took; /* as much again in the kernel */
    w.squares += all < 2 * TURN_MOST_US ? all * all : 4.0 * TURN_MOST_US * TURN_MOST_US;
    w.now_us += took > 0 ? took : 20;
}

/* ---- a window ---- */

static void moved(void *user, const struct shutoff_unit *u, enum shutoff_state from,
                  enum shutoff_step step) {
    (void)user;
    (void)from;
    (void)step;
    w.moves++;
    w.step = u->step;
    w.shut |= u->state == SHUTOFF_SHUT;
}

static void tenant_judge(unsigned line) {
    char name[16];
    bool crowd = line == CROWD;
    struct ledger_use use = {.loop_ns = (uint64_t)(w.busy_us[line] * 1000),
                             .accepted = w.accepted[line],
                             .requests = w.requests[line],
                             .connections = crowd ? w.open : 3,
                             .descriptors = crowd ? 2 * w.open : 6};
    snprintf(name, sizeof name, crowd ? "crowd" : "t%u", line);
    w.fare[line].connections = use.connections;
    shutoff_fared(w.shutoff, shutoff_tenant(w.shutoff, name), &w.fare[line]);
    shutoff_used(w.shutoff, shutoff_tenant(w.shutoff, name), crowd && w.crowd.port ? PORT : 0, &use,
                 0);
}

static void window(void) {
    double until = (w.window + 1.0) * WINDOW_US, busy = 0;
    memset(w.busy_us, 0, sizeof w.busy_us);
    memset(w.fare, 0, sizeof w.fare);
    memset(w.accepted, 0, sizeof w.accepted);
    memset(w.requests, 0, sizeof w.requests);
    w.lag_us = w.kernel_us = 0;
    w.squares = 0;
    w.strangers = w.strangers_us = 0;
    arrivals();
    while (w.now_us < until)
        turn();
    w.window++;
    for (unsigned i = 0; i < LINES; i++)
        busy += w.busy_us[i];
    w.busiest = busy > w.busiest ? busy : w.busiest;
    w.busy_us[CROWD] += w.busy_us[STRANGERS]; /* nearly all of these */
    struct shutoff_edge edge = {
        .now_ms = 1000 + w.window * 100ll,
        .window_ms = 100,
        .loop_ns = (uint64_t)(busy * 1000),
        .capacity_ns = WINDOW_US * 1000ull,
        .lag_ns = (uint64_t)(1000 * (w.lag_us > w.kernel_us ? w.lag_us : w.kernel_us)),
        .turn_wait_ns =
            ledger_turn_wait_ns((uint64_t)w.squares, (int64_t)(1000 * busy), 1000ll * WINDOW_US),
        .strangers_ns = w.strangers ? 1000 * w.strangers_us / w.strangers : 0,
        .descriptors = 2 * w.open + 6 * w.crowd.victims,
        .descriptors_most = 8000,
        .buffers = w.drr.count,
        .buffers_most = 60000};
    shutoff_window(w.shutoff, &edge);
    for (unsigned i = CROWD; i < FIRST_VICTIM + w.crowd.victims; i++)
        tenant_judge(i);
    shutoff_judge(w.shutoff, moved, NULL);
}

static void crowd_come(const struct crowd *crowd, uint64_t seed) {
    w = (struct world){.crowd = *crowd,
                       .random = seed,
                       .shutoff = shutoff_new(&DEFAULTS, seed),
                       .drr = {.quantum = TURN_QUANTUM_US}};
    assert_non_null(w.shutoff);
    for (unsigned i = 0; i < LINES; i++)
        w.line[i].weight = i == STRANGERS ? LANE_STRANGERS : 1;
    while (w.window < WINDOWS)
        window();
}

static void crowd_go(void) {
    struct drr_line *line;
    struct drr_item *item;
    while ((item = drr_take(&w.drr, &line)))
        free(item);
    free(w.coming);
    shutoff_free(w.shutoff);
}

static struct crowd crowd_drawn(uint64_t seed, bool port) {
    w.random = seed * SPLITMIX_STEP;
    return (struct crowd){.victims = 1 + (unsigned)draw(0, VICTIMS),
                          .port = port,
                          .tls = !port && draw(0, 2) < 1,
                          .customers = draw(200, 8000),
                          .asks = draw(0.5, 6)};
}

static unsigned crowds_judge(bool port) {
    unsigned busiest = 0;
    for (uint64_t seed = 1; seed <= TRIES; seed++) {
        struct crowd c = crowd_drawn(seed, port);
        crowd_come(&c, seed);
        bool full = 100 * w.busiest >= LEDGER_BUSY_PERCENT * WINDOW_US;
        if (w.shut || (w.moves && !full))
            fail_msg("crowd %llu of %.0f customers a second was %s", (unsigned long long)seed,
                     c.customers, w.shut ? "shut" : "held");
        busiest += full;
        crowd_go();
    }
    return busiest;
}

/* ---- claims ---- */

static void a_hundred_flash_crowds_to_a_tenants_names_are_never_shut(void **unused) {
    (void)unused;
    assert_true(crowds_judge(false) > TRIES / 4); /* so often the worker had no time left */
}

static void a_hundred_flash_crowds_to_a_raw_port_are_never_shut(void **unused) {
    (void)unused;
    assert_true(crowds_judge(true) > TRIES / 4);
}

static void a_crowd_whose_completions_keep_the_others_waiting_is_held(void **unused) {
    (void)unused;
    for (unsigned port = 0; port < 2; port++) {
        struct crowd c = {
            .victims = 10, .port = port, .customers = 4000, .asks = 1, .dear_us = 15000};
        crowd_come(&c, 7);
        assert_true(w.moves > 0);
        crowd_go();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_flash_crowds_to_a_tenants_names_are_never_shut),
        cmocka_unit_test(a_hundred_flash_crowds_to_a_raw_port_are_never_shut),
        cmocka_unit_test(a_crowd_whose_completions_keep_the_others_waiting_is_held),
    };
    return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
