/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_door.c - who is let in at a door of each step: one address, its network, everybody; and that what has left no longer counts.
 */
#include "core/door.h"
#include "core/retire.h"
#include "core/shutoff.h"
#include "core/worker.h"
#include "tenants/network.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 28000, SECOND = 1000000000, PLENTY = 1000000 };

static const struct door_conf strict = {.source_rate = 20,
                                        .source_open = 8,
                                        .source_requests = 100,
                                        .network_rate = 80,
                                        .network_open = 32,
                                        .network_requests = 400,
                                        .accepts = 10,
                                        .requests = 1000};
static const struct door_at port = {.port = PORT};
static struct worker *worker;

static struct door *door_of_step(const struct door_conf *conf, unsigned workers,
                                 enum shutoff_step step) {
    const struct door_rule rule = {(uint8_t)step, conf->accepts, conf->requests};
    doors_start(conf, workers);
    assert_true(door_set(&port, &rule));
    return door_of_port(PORT);
}

static struct door *rule_again(enum shutoff_step step) {
    const struct door_rule rule = {(uint8_t)step, strict.accepts, strict.requests};
    assert_true(door_set(&port, &rule));
    return door_of_port(PORT);
}

static int set_up(void **state) {
    (void)state;
    worker = calloc(1, sizeof *worker);
    worker->now_ns = 1000ll * SECOND;
    return worker ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    door_remove(&port);
    retired_free();
    free(worker);
    return 0;
}

static union address at(const char *text) {
    union address a;
    assert_true(address_parse(text, 1, &a));
    return a;
}

/* The number instead of the star. */
static union address numbered(const char *pattern, unsigned n) {
    char text[64];
    const char *star = strchr(pattern, '*');
    snprintf(text, sizeof text, "%.*s%u%s", (int)(star - pattern), pattern, n, star + 1);
    return at(text);
}

/* Each in a /24 of its own. */
static union address elsewhere(unsigned n) {
    union address a = at("10.0.0.1");
    a.v4.sin_addr.s_addr = htonl(ntohl(a.v4.sin_addr.s_addr) + (n << 8));
    return a;
}

/* So many come from there, one after the other; how many are let in. */
static unsigned come(struct door *d, const union address *a, unsigned count, uint32_t *ticket) {
    unsigned in = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t t = door_enter(d, worker, a);
        if (t != TICKET_NONE && ticket)
            ticket[in] = t;
        in += t != TICKET_NONE;
    }
    return in;
}

static void leave(const uint32_t *ticket, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        door_leave(PORT, worker, ticket[i]);
}

/* So many from each of `count` addresses of that form. */
static unsigned come_from(struct door *d, const char *pattern, unsigned count, unsigned each,
                          uint32_t *ticket) {
    unsigned in = 0;
    for (unsigned n = 1; n <= count; n++) {
        union address a = numbered(pattern, n);
        in += come(d, &a, each, ticket ? ticket + in : NULL);
    }
    return in;
}

static void time_goes(unsigned seconds) {
    worker->now_ns += (int64_t)seconds * SECOND;
}

/* ---- one source ---- */

static void one_address_has_so_many_open_and_another_its_own(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    union address one = at("192.0.2.1"), other = at("192.0.2.2");
    uint32_t ticket[8];
    (void)state;
    assert_int_equal(come(d, &one, 12, ticket), 8);
    assert_int_equal(come(d, &other, 12, NULL), 8);
    time_goes(10);
    assert_int_equal(come(d, &one, 1, NULL), 0);
    leave(ticket, 3);
    assert_int_equal(come(d, &one, 12, NULL), 3);
    assert_int_equal(door_figures(&port).sources, 2);
    assert_int_equal(door_figures(&port).refused, 4 + 4 + 1 + 9);
}

/* His socket can't say any more where he came from: or a flood of connects and resets would be let in, one and all. */
static void who_is_gone_is_turned_away(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    (void)state;
    assert_int_equal(door_enter(d, worker, NULL), TICKET_NONE);
    assert_false(door_request(d, worker, NULL));
    assert_false(door_handshake(d, worker, NULL));
    assert_int_equal(door_figures(&port).refused, 3);
}

static void one_address_brings_so_many_a_second(void **state) {
    struct door_conf open = strict;
    open.source_open = open.network_open = PLENTY;
    struct door *d = door_of_step(&open, 1, STEP_SOURCES);
    union address one = at("192.0.2.1");
    unsigned in = come(d, &one, 100, NULL);
    (void)state;
    assert_in_range(in, 19, 20);
    for (int i = 0; i < 10; i++) {
        time_goes(1);
        in += come(d, &one, 100, NULL);
    }
    assert_in_range(in, 11 * 19, 11 * 20);
}

/* Whatever their number: what one of them has is a part of it, and nothing is rounded away. */
static void workers_share_the_rates(void **state) {
    struct door_conf open = strict;
    open.source_open = open.network_open = PLENTY;
    struct door *d = door_of_step(&open, 8, STEP_SOURCES);
    union address one = at("192.0.2.1");
    unsigned in = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        worker->now_ns += SECOND / 10;
        for (worker->id = 0; worker->id < 8; worker->id++)
            in += come(d, &one, 4, NULL);
    }
    assert_in_range(in, 1980, 2020);
}

static void an_ipv6_source_is_a_whole_64(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    (void)state;
    assert_int_equal(come_from(d, "2001:db8:1:2::*", 12, 1, NULL), 8);
    assert_int_equal(come_from(d, "2001:db8:1:3::*", 12, 1, NULL), 8);
}

static void workers_share_the_caps(void **state) {
    struct door *d = door_of_step(&strict, 4, STEP_SOURCES);
    union address one = at("192.0.2.1");
    unsigned in = 0;
    (void)state;
    for (worker->id = 0; worker->id < 4; worker->id++)
        in += come(d, &one, 12, NULL);
    assert_int_equal(in, 8);
}

/* ---- its network ---- */

static void networks_count_from_the_second_step_on(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    (void)state;
    assert_int_equal(come_from(d, "192.0.2.*", 20, 4, NULL), 80);
    d = rule_again(STEP_FIRST_DATA);
    assert_int_equal(come_from(d, "192.0.2.*", 20, 1, NULL), 0);
    assert_int_equal(come_from(d, "198.51.100.*", 20, 4, NULL), 32);
    assert_int_equal(come_from(d, "203.0.113.*", 4, 1, NULL), 4);
}

/* It does not come back by waiting, as a rate does. */
static void a_network_has_so_many_open_however_slowly_they_come(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_FIRST_DATA);
    uint32_t ticket[32];
    (void)state;
    assert_int_equal(come_from(d, "192.0.2.*", 20, 4, ticket), 32);
    time_goes(60);
    assert_int_equal(come_from(d, "192.0.2.*", 20, 4, NULL), 0);
    leave(ticket, 32);
    assert_int_equal(come_from(d, "192.0.2.*", 20, 4, NULL), 32);
}

static void an_ipv6_network_is_a_48(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_FIRST_DATA);
    (void)state;
    assert_int_equal(come_from(d, "2001:db8:1:*00::1", 40, 1, NULL), 32);
    assert_int_equal(come_from(d, "2001:db8:2:*00::1", 40, 1, NULL), 32);
}

static void a_network_brings_so_many_a_second(void **state) {
    struct door_conf open = strict;
    open.source_open = open.network_open = PLENTY;
    struct door *d = door_of_step(&open, 1, STEP_FIRST_DATA);
    (void)state;
    assert_in_range(come_from(d, "192.0.2.*", 50, 4, NULL), 79, 80);
    time_goes(1);
    assert_in_range(come_from(d, "192.0.2.*", 50, 4, NULL), 79, 80);
}

/* ---- more than the tables hold ---- */

/* Who has something open is never forgotten: it would be counted out of a row that is another's. */
static void a_full_table_keeps_who_is_there(void **state) {
    struct door_conf open = strict;
    open.network_open = open.network_rate = PLENTY;
    struct door *d = door_of_step(&open, 1, STEP_SOURCES);
    union address one = at("192.0.2.1");
    uint32_t ticket[8];
    (void)state;
    assert_int_equal(come(d, &one, 8, ticket), 8);
    for (unsigned i = 0; i < 20000; i++) {
        union address a = elsewhere(i);
        uint32_t t = door_enter(d, worker, &a);
        assert_int_not_equal(t, TICKET_NONE);
        door_leave(PORT, worker, t);
        worker->now_ns += 1000000;
    }
    assert_int_equal(come(d, &one, 1, NULL), 0);
    leave(ticket, 8);
    assert_int_equal(come(d, &one, 12, NULL), 8);
}

/* Rows are where others' were: each that was counted out by mistake would let one more in. */
static void tickets_of_an_earlier_door_count_nobody_out(void **state) {
    enum { SOURCES = 1000 };
    static uint32_t ticket[SOURCES];
    struct door_conf open = strict;
    open.source_open = 1;
    struct door *d = door_of_step(&open, 1, STEP_SOURCES);
    (void)state;
    for (unsigned i = 0; i < SOURCES; i++)
        ticket[i] = door_enter(d, worker, &(union address[]){elsewhere(i)}[0]);
    door_remove(&port);
    leave(ticket, SOURCES / 2);
    d = door_of_step(&open, 1, STEP_SOURCES);
    unsigned in = 0, again = 0;
    for (unsigned i = 0; i < SOURCES; i++)
        in += come(d, &(union address[]){elsewhere(i)}[0], 1, NULL);
    assert_int_equal(in, SOURCES);
    leave(ticket, SOURCES);
    time_goes(1);
    for (unsigned i = 0; i < SOURCES; i++)
        again += come(d, &(union address[]){elsewhere(i)}[0], 1, NULL);
    assert_true(again < SOURCES / 10); /* a few find no row, and are not counted */
}

/* ---- names ---- */

static unsigned ask(struct door *d, const char *pattern, unsigned count, unsigned each,
                    bool (*way)(struct door *, struct worker *, const union address *)) {
    unsigned good = 0;
    for (unsigned n = 1; n <= count; n++) {
        union address a = numbered(pattern, n);
        for (unsigned i = 0; i < each; i++)
            good += way(d, worker, &a);
    }
    return good;
}

static void requests_are_capped_by_source_then_by_network_then_for_all(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    (void)state;
    assert_in_range(ask(d, "192.0.2.*", 1, 200, door_request), 99, 100);
    assert_in_range(ask(d, "198.51.100.*", 10, 200, door_request), 990, 1000);
    time_goes(2);
    d = rule_again(STEP_FIRST_DATA);
    assert_in_range(ask(d, "192.0.2.*", 10, 200, door_request), 398, 400);
    assert_in_range(ask(d, "2001:db8:1:*::1", 10, 200, door_request), 398, 400);
    time_goes(2);
    d = rule_again(STEP_ACCEPTS);
    unsigned good = 0;
    for (unsigned n = 0; n < 4000; n++)
        good += door_request(d, worker, &(union address[]){elsewhere(n)}[0]);
    assert_in_range(good, 50, 150); /* a tenth of a second's worth is there at once */
    d = rule_again(STEP_SHUT);
    time_goes(2);
    assert_int_equal(ask(d, "203.0.113.*", 10, 1, door_request), 0);
}

static void handshakes_are_capped_by_source_and_network_and_refused_when_shut(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    (void)state;
    assert_in_range(ask(d, "192.0.2.*", 1, 200, door_handshake), 19, 20);
    d = rule_again(STEP_FIRST_DATA);
    time_goes(2);
    assert_in_range(ask(d, "192.0.2.*", 50, 4, door_handshake), 79, 80);
    d = rule_again(STEP_SHUT);
    time_goes(2);
    assert_int_equal(ask(d, "192.0.2.*", 50, 4, door_handshake), 0);
}

/* A flood from more addresses than there are rows does not free who came a moment ago. */
static void who_asked_a_moment_ago_is_remembered_before_who_asked_long_ago(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_SOURCES);
    union address one = at("192.0.2.1");
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        door_request(d, worker, &one);
    for (unsigned i = 0; i < 2000; i++) {
        union address a = elsewhere(i);
        for (unsigned k = 0; k < 2; k++)
            door_request(d, worker, &a);
    }
    assert_false(door_request(d, worker, &one));
}

/* ---- how many they are ---- */

static void a_source_is_one_whichever_workers_it_comes_to_and_however_often(void **state) {
    struct door *d = door_of_step(&strict, 4, STEP_SOURCES);
    (void)state;
    for (worker->id = 0; worker->id < 4; worker->id++)
        ask(d, "192.0.2.*", 3, 100, door_request);
    assert_int_equal(door_figures(&port).sources, 3);
    worker->id = 3;
    d = rule_again(STEP_SHUT);
    ask(d, "192.0.2.*", 5, 100, door_request);
    assert_int_equal(door_figures(&port).sources, 5);
}

static void many_sources_are_counted_about_right(void **state) {
    struct door *d = door_of_step(&strict, 4, STEP_SOURCES);
    (void)state;
    for (unsigned i = 0; i < 3 * 10000; i++) {
        worker->id = i % 4;
        door_handshake(d, worker, &(union address[]){elsewhere(i % 10000)}[0]);
    }
    assert_in_range(door_figures(&port).sources, 9000, 11000);
}

/* ---- accepts ---- */

static void accepts_have_a_budget_from_the_third_step_on(void **state) {
    struct door *d = door_of_step(&strict, 1, STEP_FIRST_DATA);
    (void)state;
    assert_false(door_counts_accepts(d));
    assert_int_equal(door_accept_wait_ms(d, worker), 0);
    d = rule_again(STEP_ACCEPTS);
    assert_true(door_counts_accepts(d));
    unsigned in = 0;
    for (unsigned i = 0; i < 1000; i++, worker->now_ns += SECOND / 100)
        in += !door_accept_wait_ms(d, worker);
    assert_in_range(in, 95, 120);
    assert_int_equal(door_figures(&port).waited, 1000 - in);
    d = rule_again(STEP_SHUT);
    worker->now_ns += 60ll * SECOND;
    assert_true(door_accept_wait_ms(d, worker) > 0);
    union address one = at("192.0.2.1");
    assert_int_equal(come(d, &one, 4, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(one_address_has_so_many_open_and_another_its_own),
        TEST(who_is_gone_is_turned_away),
        TEST(one_address_brings_so_many_a_second),
        TEST(workers_share_the_rates),
        TEST(an_ipv6_source_is_a_whole_64),
        TEST(workers_share_the_caps),
        TEST(networks_count_from_the_second_step_on),
        TEST(a_network_has_so_many_open_however_slowly_they_come),
        TEST(an_ipv6_network_is_a_48),
        TEST(a_network_brings_so_many_a_second),
        TEST(a_full_table_keeps_who_is_there),
        TEST(tickets_of_an_earlier_door_count_nobody_out),
        TEST(requests_are_capped_by_source_then_by_network_then_for_all),
        TEST(handshakes_are_capped_by_source_and_network_and_refused_when_shut),
        TEST(who_asked_a_moment_ago_is_remembered_before_who_asked_long_ago),
        TEST(a_source_is_one_whichever_workers_it_comes_to_and_however_often),
        TEST(many_sources_are_counted_about_right),
        TEST(accepts_have_a_budget_from_the_third_step_on),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
