/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_ledger.c - windows of the ledger: time divided so that nothing is lost and nothing invented, counters as differences,
 * accounts that appear and end in between.
 */
#include "core/ledger.h"
#include "core/retire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MS = 1000000, WORKERS = 2, PORT = 28001, OTHER_PORT = 28002 };

static struct {
    struct account *own, *ann, *bob;
    struct ledger_worker worker[WORKERS];
    struct ledger_moment moment;
} t;

static void list_all(void) {
    for (struct account *a = account_first(); a; a = a->next)
        for (unsigned i = 0; i < WORKERS; i++)
            account_list(&t.worker[i].listed, &a->w[i]);
}

/* A nanosecond is two cycles here, and a window is over. */
static void window_as_listed(int64_t cpu_ns_0, int64_t cpu_ns_1) {
    t.moment.now_ns += 100 * MS;
    t.moment.cycles += 200 * MS;
    t.worker[0].cpu_ns += cpu_ns_0;
    t.worker[1].cpu_ns += cpu_ns_1;
    ledger_look_at(&t.moment);
    ledger_close_window(&t.moment);
    t.worker[0].listed = t.worker[1].listed = NULL;
}

static void window(int64_t cpu_ns_0, int64_t cpu_ns_1) {
    list_all();
    window_as_listed(cpu_ns_0, cpu_ns_1);
}

static int setup(void **state) {
    (void)state;
    memset(&t, 0, sizeof t);
    t.own = account_new("", WORKERS);
    t.ann = account_new("ann", WORKERS);
    t.bob = account_new("bob", WORKERS);
    t.moment = (struct ledger_moment){
        .now_ns = 5 * MS, .workers = WORKERS, .worker = t.worker, .descriptors_most = 1000};
    ledger_close_window(&t.moment);
    for (int i = 0; i < 4; i++)
        window_as_listed(0, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    account_unref(t.ann);
    account_unref(t.bob);
    account_unref(t.own);
    accounts_end();
    assert_null(account_first());
    ledger_fini();
    return 0;
}

struct found {
    const char *tenant;
    uint16_t port;
    struct ledger_use use;
    unsigned count;
};

static void row_find(void *user, const struct ledger_row *row) {
    struct found *f = user;
    if (strcmp(row->tenant, f->tenant) != 0 || row->port != f->port)
        return;
    f->use = row->now;
    f->count++;
}

static struct ledger_use use_of(const char *tenant, uint16_t port) {
    struct found f = {.tenant = tenant, .port = port};
    ledger_rows(row_find, &f);
    assert_true(f.count <= 1);
    return f.use;
}

static unsigned rows_of(const char *tenant, uint16_t port) {
    struct found f = {.tenant = tenant, .port = port};
    ledger_rows(row_find, &f);
    return f.count;
}

static void about(uint64_t a, int64_t b) {
    if ((int64_t)a < b - 2 || (int64_t)a > b + 2)
        fail_msg("%lld, not %lld", (long long)a, (long long)b);
}

/* ---- time ---- */

static void
what_was_measured_is_charged_and_the_rest_goes_by_the_weight_of_the_kernels_work(void **state) {
    (void)state;
    t.ann->w[0].loop_cycles += 2 * 10 * MS; /* 10 ms in callbacks */
    t.bob->w[0].loop_cycles += 2 * 5 * MS;
    t.own->w[0].loop_cycles += 2 * 1 * MS;
    t.ann->w[0].kernel += 1000;
    t.bob->w[0].kernel += 3000;
    window(56 * MS, 0); /* 40 ms more than the callbacks took */
    about(use_of("ann", 0).loop_ns, 20 * MS);
    about(use_of("bob", 0).loop_ns, 35 * MS);
    about(ledger_own()->loop_ns, 1 * MS);
    about(ledger_all()->loop_ns, 56 * MS);
    about(ledger_worker_tenants_ns(0), 55 * MS);
    about(ledger_worker_own_ns(0), 1 * MS);
    about(ledger_worker_tenants_ns(1), 0);
}

static void each_worker_divides_its_own_time(void **state) {
    (void)state;
    t.ann->w[0].kernel += 1;
    t.bob->w[1].kernel += 1000000;
    window(30 * MS, 7 * MS);
    about(use_of("ann", 0).loop_ns, 30 * MS);
    about(use_of("bob", 0).loop_ns, 7 * MS);
}

static void a_thread_that_was_not_running_all_the_time_charges_no_more_than_it_had(void **state) {
    (void)state;
    t.ann->w[0].loop_cycles += 2 * 60 * MS;
    t.bob->w[0].loop_cycles += 2 * 20 * MS;
    t.bob->w[0].kernel += 500;
    window(40 * MS, 0); /* others had the processor half of the time */
    about(use_of("ann", 0).loop_ns, 30 * MS);
    about(use_of("bob", 0).loop_ns, 10 * MS);
    about(ledger_own()->loop_ns, 0);
}

static void time_without_any_work_is_nobodys(void **state) {
    (void)state;
    window_as_listed(3 * MS, 4 * MS);
    about(ledger_own()->loop_ns, 7 * MS);
    assert_int_equal(rows_of("ann", 0), 0);
}

/* A client says late whose it is: what nobody was charged for goes over, perhaps in a later window than it was charged in. */
static void what_turns_out_to_be_a_tenants_moves_and_is_counted_once(void **state) {
    (void)state;
    t.own->w[0].loop_cycles += 2 * 8 * MS;
    window(8 * MS, 0);
    about(ledger_own()->loop_ns, 8 * MS);
    t.own->w[0].loop_cycles -= 2 * 6 * MS;
    t.ann->w[0].loop_cycles += 2 * 6 * MS;
    window(0, 0);
    about(ledger_loop_ns(t.ann), 6 * MS);
    about(ledger_own()->loop_ns, 0); /* it owes 6 */
    t.own->w[0].loop_cycles += 2 * 10 * MS;
    window(10 * MS, 0);
    about(ledger_own()->loop_ns, 4 * MS);
    about(ledger_loop_ns(t.own), 12 * MS);
    about(ledger_loop_ns(t.ann) + ledger_loop_ns(t.own), 18 * MS);
}

/* ---- counters, gauges ---- */

static void counters_are_differences_and_gauges_are_values(void **state) {
    (void)state;
    t.ann->w[0].accepted += 7;
    t.ann->w[1].accepted += 1;
    t.ann->w[0].connections += 3;
    t.ann->w[1].connections -=
        1; /* opened on the one, closed on the other: can't be, but adds up */
    t.ann->w[0].silent += 2;
    t.ann->w[0].pod_bytes_in += 100;
    window(0, 0);
    struct ledger_use use = use_of("ann", 0);
    assert_int_equal(use.accepted, 8);
    assert_int_equal(use.connections, 2);
    assert_int_equal(use.silent, 2);
    assert_int_equal(use.pod_bytes_in, 100);
    assert_int_equal(use.pod_bytes_out, 0);
    for (int i = 0; i < 5; i++) { /* at rest, but they are held still */
        window_as_listed(0, 0);
        use = use_of("ann", 0);
        assert_int_equal(use.accepted, 0);
        assert_int_equal(use.connections, 2);
    }
    assert_int_equal(rows_of("bob", 0), 0);
    t.ann->w[0].connections = t.ann->w[1].connections = t.ann->w[0].silent = 0;
    window(0, 0);
    assert_int_equal(use_of("ann", 0).connections, 0);
    for (int i = 0; i < 3; i++)
        window_as_listed(0, 0);
    assert_int_equal(rows_of("ann", 0), 0);
}

/* ---- what is looked at ---- */

static void only_what_a_worker_has_listed_is_looked_at(void **state) {
    (void)state;
    t.ann->w[0].accepted += 1;
    window_as_listed(0, 0);
    assert_int_equal(rows_of("ann", 0), 0);
    account_list(&t.worker[0].listed, &t.ann->w[0]);
    account_list(&t.worker[0].listed, &t.ann->w[0]); /* once is enough */
    window_as_listed(0, 0);
    assert_int_equal(use_of("ann", 0).accepted, 1);
    assert_int_equal(t.ann->w[0].listed, 0);
}

/* The worker saw the mark, which the ledger was about to take off, and the ledger did not see the count. */
static void what_is_counted_while_its_mark_is_taken_off_is_seen_a_window_later(void **state) {
    (void)state;
    account_list(&t.worker[1].listed, &t.ann->w[1]);
    window_as_listed(0, 0);
    t.ann->w[1].connections += 1;
    window_as_listed(0, 0);
    assert_int_equal(use_of("ann", 0).connections, 1);
}

static void a_port_wakes_its_tenant(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT);
    port->w[0].resets += 4;
    account_list(&t.worker[0].listed, &port->w[0]);
    window_as_listed(0, 0);
    assert_int_equal(use_of("ann", 0).resets, 4);
    assert_int_equal(use_of("ann", PORT).resets, 4);
    account_unref(port);
}

static void a_listed_account_is_not_freed_under_the_list(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT);
    account_list(&t.worker[0].listed, &port->w[0]);
    account_unref(port);
    for (int i = 0; i < 3; i++)
        retired_free();
    assert_ptr_equal(account_port_find(t.ann, PORT), port);
    window_as_listed(0, 0);
    for (int i = 0; i < 3; i++)
        retired_free();
    assert_null(account_port_find(t.ann, PORT));
}

/* Turns of 50 us and of 150 us by turns, without a pause: who comes meets a long one three times as often. */
static void how_long_a_turn_is_waited_for_depends_on_long_ones_and_on_rest(void **state) {
    (void)state;
    const uint64_t squares = 500 * (50 * 50 + 150 * 150);
    assert_int_equal(ledger_turn_wait_ns(squares, 100 * MS, 100 * MS), 62500);
    assert_int_equal(ledger_turn_wait_ns(squares, 100 * MS, 200 * MS), 0);
    assert_int_equal(ledger_turn_wait_ns(squares, LEDGER_BUSY_PERCENT * MS, 100 * MS), 62500);
    assert_int_equal(ledger_turn_wait_ns(squares, 58 * MS, 100 * MS), 31250);
    assert_int_equal(ledger_turn_wait_ns(squares, LEDGER_REST_PERCENT * MS, 100 * MS), 0);
    assert_int_equal(ledger_turn_wait_ns(squares, 0, 0), 0);
    t.worker[0].turns_squared_us = 1000;
    t.worker[1].turns_squared_us = squares;
    t.worker[1].cpu_ns = 100 * MS;
    window(0, 0);
    assert_int_equal(ledger_all()->turn_wait_ns, 62500); /* of the worse one */
}

static void the_edge_itself_adds_up_workers_and_descriptors(void **state) {
    (void)state;
    t.worker[0] = (struct ledger_worker){.lag_ns_max = 5,
                                         .lanes = {3, 600},
                                         .lanes_us_max = 400,
                                         .buffers_short = 3,
                                         .descriptors = 2,
                                         .buffers = 10,
                                         .buffers_most = 100};
    t.worker[1] = (struct ledger_worker){.lag_ns_max = 9,
                                         .lanes = {1, 50},
                                         .lanes_us_max = 50,
                                         .memory_short = 2,
                                         .accepted = 8,
                                         .buffers_short = 1,
                                         .descriptors = 5,
                                         .buffers = 1,
                                         .buffers_most = 100};
    t.own->w[1].waits = 4;
    t.own->w[1].waited_us = 1000;
    t.ann->w[1].descriptors = 9;
    t.ann->w[1].kept = 4; /* as good as free */
    window(0, 0);
    assert_int_equal(use_of("ann", 0).descriptors, 5);
    const struct ledger_all *all = ledger_all();
    assert_int_equal(all->descriptors, 7);
    assert_int_equal(all->descriptors_most, 1000);
    assert_int_equal(all->buffers, 11);
    assert_int_equal(all->buffers_most, 200);
    assert_int_equal(all->buffers_short, 4);
    assert_int_equal(all->lag_ns_max, 9);
    assert_int_equal(all->capacity_ns, 200 * MS);
    assert_int_equal(all->lanes.count, 4);
    assert_int_equal(all->lanes.us, 650);
    assert_int_equal(all->lanes_us_max, 400);
    assert_int_equal(all->strangers.count, 4);
    assert_int_equal(all->strangers.us, 1000);
    assert_int_equal(all->memory_short, 2);
    assert_int_equal(all->accepted, 8);
    window(0, 0);
    assert_int_equal(ledger_all()->buffers_short, 0);
    assert_int_equal(ledger_all()->lanes.count, 0);
    assert_int_equal(ledger_all()->strangers.us, 0);
}

static void look(void) {
    t.moment.now_ns += 100 * MS;
    t.moment.cycles += 200 * MS;
    ledger_look_at(&t.moment);
}

/* Looks at the edge leave tenants alone: a window is what was since the window before, however many looks that is. */
static void a_window_is_as_long_as_nobody_ends_it(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        t.ann->w[0].requests += 2;
        t.ann->w[0].kernel += 1;
        account_list(&t.worker[0].listed, &t.ann->w[0]);
        t.worker[0].cpu_ns += 3 * MS;
        look();
        assert_int_equal(rows_of("ann", 0), 0);
        about(ledger_all()->loop_ns, 3 * MS);
        assert_int_equal(ledger_all()->window_ns, 100 * MS);
    }
    ledger_close_window(&t.moment);
    assert_int_equal(use_of("ann", 0).requests, 10);
    about(use_of("ann", 0).loop_ns, 15 * MS);
}

static void who_asks_for_the_time_in_between_does_not_end_the_window(void **state) {
    (void)state;
    t.ann->w[0].requests += 2;
    t.ann->w[0].duration[1] += 2;
    t.ann->w[0].kernel += 1;
    t.worker[0].cpu_ns += 3 * MS;
    account_list(&t.worker[0].listed, &t.ann->w[0]);
    ledger_charge_at(&t.moment);
    t.worker[0].listed = NULL;
    about(ledger_loop_ns(t.ann), 3 * MS);
    assert_int_equal(rows_of("ann", 0), 1);
    assert_int_equal(use_of("ann", 0).requests, 0);
    t.ann->w[0].requests += 1;
    t.ann->w[0].kernel += 1;
    window(2 * MS, 0);
    assert_int_equal(use_of("ann", 0).requests, 3);
    about(use_of("ann", 0).loop_ns, 5 * MS);
    assert_int_equal(ledger_durations(t.ann)[1], 2);
    window_as_listed(0, 0);
    window_as_listed(0, 0);
    assert_int_equal(ledger_durations(t.ann)[1], 0);
}

/* ---- raw ports ---- */

static void a_tenants_figures_are_its_own_and_its_ports(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT), *other = account_port(t.ann, OTHER_PORT);
    assert_ptr_equal(account_tenant(port), t.ann);
    t.ann->w[0].requests += 1;
    port->w[0].accepted += 10;
    port->w[0].kernel += 300;
    other->w[1].accepted += 5;
    t.ann->w[0].kernel += 100;
    window(8 * MS, 0);
    assert_int_equal(use_of("ann", 0).accepted, 15);
    assert_int_equal(use_of("ann", 0).requests, 1);
    assert_int_equal(use_of("ann", PORT).accepted, 10);
    assert_int_equal(use_of("ann", OTHER_PORT).accepted, 5);
    about(use_of("ann", PORT).loop_ns, 6 * MS);
    about(use_of("ann", 0).loop_ns, 8 * MS);
    about(ledger_loop_ns(t.ann), 8 * MS);
    about(ledger_loop_ns(port), 6 * MS);
    account_unref(port);
    account_unref(other);
}

static void retired_twice(void) {
    for (int i = 0; i < 3; i++)
        retired_free();
}

static void a_port_that_ends_leaves_what_it_counted_to_its_tenant(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT);
    port->w[0].accepted += 10;
    port->w[0].bytes_in += 1000;
    port->w[0].kernel += 1;
    window(5 * MS, 0);
    account_unref(port);
    retired_twice();
    assert_null(account_port_find(t.ann, PORT));
    assert_int_equal(account_sum(t.ann).accepted, 0);
    assert_int_equal(account_tree_sum(t.ann).accepted, 10);
    assert_int_equal(account_tree_sum(t.ann).bytes_in, 1000);
    about(ledger_loop_ns(t.ann), 5 * MS);
    window(0, 0);
    assert_int_equal(use_of("ann", 0).accepted, 0); /* nothing falls, nothing comes twice */
    about(ledger_loop_ns(t.ann), 5 * MS);
}

static void what_a_port_counts_and_ends_with_within_one_window_is_still_its_tenants(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT);
    port->w[1].accepted += 3;
    account_unref(port);
    retired_twice();
    window(0, 0);
    assert_int_equal(use_of("ann", 0).accepted, 3);
    assert_int_equal(rows_of("ann", PORT), 0);
}

static void a_port_goes_only_when_no_socket_pays_to_it(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT);
    port->w[1].descriptors = 1;
    account_unref(port);
    retired_twice();
    assert_ptr_equal(account_port_find(t.ann, PORT), port);
    port->w[1].descriptors = 0;
    retired_free(); /* it is quiet: its last worker may still be writing down what that took */
    assert_ptr_equal(account_port_find(t.ann, PORT), port);
    retired_free();
    assert_null(account_port_find(t.ann, PORT));
}

static void a_port_that_is_given_again_goes_on_where_it_was(void **state) {
    (void)state;
    struct account *port = account_port(t.ann, PORT);
    port->w[0].accepted += 10;
    account_unref(port);
    retired_free();
    assert_ptr_equal(account_port(t.ann, PORT), port);
    retired_twice();
    assert_ptr_equal(account_port_find(t.ann, PORT), port);
    assert_int_equal(account_sum(port).accepted, 10);
    account_unref(port);
    account_unref(account_port(t.ann, PORT)); /* both before the first was looked at */
    retired_twice();
    assert_null(account_port_find(t.ann, PORT));
}

static void one_number_under_two_tenants_is_two_accounts(void **state) {
    (void)state;
    struct account *anns = account_port(t.ann, PORT), *bobs = account_port(t.bob, PORT);
    assert_ptr_not_equal(anns, bobs);
    anns->w[0].accepted += 1;
    bobs->w[0].accepted += 2;
    account_unref(anns);
    window(0, 0);
    assert_int_equal(use_of("ann", PORT).accepted, 1);
    assert_int_equal(use_of("bob", PORT).accepted, 2);
    account_unref(bobs);
}

/* ---- appearing and ending ---- */

static void an_account_that_appears_between_windows_is_in_the_next(void **state) {
    (void)state;
    struct account *eve = account_new("eve", WORKERS);
    eve->w[0].kernel += 5;
    window(2 * MS, 0);
    about(use_of("eve", 0).loop_ns, 2 * MS);
    account_unref(eve);
    retired_twice();
    window(1 * MS, 0);
    assert_int_equal(rows_of("eve", 0), 0);
    about(ledger_worker_tenants_ns(0), 2 * MS); /* the worker's sums do not fall with it */
}

int main(void) {
#define STORY(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORY(what_was_measured_is_charged_and_the_rest_goes_by_the_weight_of_the_kernels_work),
        STORY(each_worker_divides_its_own_time),
        STORY(a_thread_that_was_not_running_all_the_time_charges_no_more_than_it_had),
        STORY(time_without_any_work_is_nobodys),
        STORY(what_turns_out_to_be_a_tenants_moves_and_is_counted_once),
        STORY(counters_are_differences_and_gauges_are_values),
        STORY(only_what_a_worker_has_listed_is_looked_at),
        STORY(what_is_counted_while_its_mark_is_taken_off_is_seen_a_window_later),
        STORY(a_port_wakes_its_tenant),
        STORY(a_listed_account_is_not_freed_under_the_list),
        STORY(how_long_a_turn_is_waited_for_depends_on_long_ones_and_on_rest),
        STORY(the_edge_itself_adds_up_workers_and_descriptors),
        STORY(a_window_is_as_long_as_nobody_ends_it),
        STORY(who_asks_for_the_time_in_between_does_not_end_the_window),
        STORY(a_tenants_figures_are_its_own_and_its_ports),
        STORY(a_port_that_ends_leaves_what_it_counted_to_its_tenant),
        STORY(what_a_port_counts_and_ends_with_within_one_window_is_still_its_tenants),
        STORY(a_port_goes_only_when_no_socket_pays_to_it),
        STORY(a_port_that_is_given_again_goes_on_where_it_was),
        STORY(one_number_under_two_tenants_is_two_accounts),
        STORY(an_account_that_appears_between_windows_is_in_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
