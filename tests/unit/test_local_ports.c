/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_local_ports.c - nobody takes the last local port towards an address that others' pods have, too (core/local_ports.h).
 */
#include "core/account.h"
#include "core/local_ports.h"
#include "core/sys.h"
#include "tenants/network.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PORTS = 900, TENANTS = 4, MINUTE = 60000 };

static struct account *tenant[TENANTS];
static const struct place here = {.space = 7, .ports = PORTS};

static int tenants_up(void **unused) {
    (void)unused;
    for (unsigned i = 0; i < TENANTS; i++)
        tenant[i] = account_new("t", 1);
    return 0;
}

static int tenants_down(void **unused) {
    (void)unused;
    for (unsigned i = 0; i < TENANTS; i++)
        account_unref(tenant[i]);
    accounts_end();
    local_ports_fini();
    return 0;
}

static union address at(const char *ip, uint16_t port) {
    union address a = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
    assert_int_equal(inet_pton(AF_INET, ip, &a.v4.sin_addr), 1);
    return a;
}

static struct local_ports *part(unsigned of, const struct place *place, const char *ip,
                                uint16_t port) {
    union address a = at(ip, port);
    struct local_ports *p = local_ports_get(place, &a, tenant[of]);
    assert_non_null(p);
    return p;
}

/* Takes as many as he may, `most` at most. */
static unsigned take(struct local_ports *p, unsigned most, int64_t now_ms) {
    unsigned n = 0;
    while (n < most && local_ports_may(p, now_ms)) {
        local_ports_take(p);
        n++;
    }
    return n;
}

static void give(struct local_ports *p, unsigned n, bool lingers, int64_t now_ms) {
    while (n--)
        local_ports_give(p, lingers, now_ms);
}

/* ---- claims ---- */

static void who_has_an_address_to_himself_is_not_counted_against_anything(void **unused) {
    (void)unused;
    struct local_ports *p = part(0, &here, "10.0.0.1", 80);
    assert_int_equal(take(p, 2 * PORTS, 0), 2 * PORTS);
    give(p, 2 * PORTS, true, 0);
    assert_int_equal(take(p, PORTS, 0), PORTS);
    give(p, PORTS, false, 0);
    local_ports_put(p);
}

/* 8/9 for one, and what is left is the other's, whose ninth is left again; never one more than there are. */
static void of_two_at_one_address_neither_takes_the_last(void **unused) {
    (void)unused;
    struct local_ports *a = part(0, &here, "10.0.0.1", 80), *b = part(1, &here, "10.0.0.1", 80);
    unsigned first = take(a, 2 * PORTS, 0), second = take(b, 2 * PORTS, 0);
    assert_in_range(first, PORTS * 8 / 9, PORTS * 8 / 9 + 1);
    assert_in_range(second, (PORTS - first) * 8 / 9, (PORTS - first) * 8 / 9 + 1);
    assert_int_equal(take(a, 1, 0), 0);
    /* As the greedy one's end, the other may have them, up to his own share. */
    give(a, 400, false, 0);
    second += take(b, PORTS, 0);
    assert_in_range(second, (PORTS - first + 400) * 8 / 9, (PORTS - first + 400) * 8 / 9 + 1);
    give(a, first - 400, false, 0);
    give(b, second, false, 0);
    local_ports_put(a);
    local_ports_put(b);
}

static void all_services_of_one_tenant_are_one_part(void **unused) {
    (void)unused;
    struct local_ports *a = part(0, &here, "10.0.0.2", 80), *b = part(1, &here, "10.0.0.2", 80);
    struct local_ports *again = part(0, &here, "10.0.0.2", 80);
    assert_ptr_equal(a, again);
    unsigned n = take(a, PORTS, 0);
    assert_int_equal(take(again, PORTS, 0), 0);
    local_ports_put(again);
    give(a, n, false, 0);
    local_ports_put(a);
    local_ports_put(b);
}

static void other_ports_addresses_and_networks_are_others(void **unused) {
    (void)unused;
    const struct place there = {.space = 8, .ports = PORTS},
                       bound = {.space = 7, .device = 3, .ports = PORTS};
    struct local_ports *full = part(0, &here, "10.0.0.3", 80),
                       *same = part(1, &here, "10.0.0.3", 80);
    struct local_ports *other[] = {part(1, &here, "10.0.0.3", 81), part(1, &here, "10.0.0.4", 80),
                                   part(1, &there, "10.0.0.3", 80),
                                   part(1, &bound, "10.0.0.3", 80)};
    unsigned n = take(full, PORTS, 0);
    for (unsigned i = 0; i < 4; i++) {
        struct local_ports *second[] = {
            part(2, &here, "10.0.0.3", 81), part(2, &here, "10.0.0.4", 80),
            part(2, &there, "10.0.0.3", 80), part(2, &bound, "10.0.0.3", 80)};
        assert_int_equal(take(other[i], 700, 0), 700);
        give(other[i], 700, false, 0);
        for (unsigned k = 0; k < 4; k++)
            local_ports_put(second[k]);
    }
    give(full, n, false, 0);
    local_ports_put(full);
    local_ports_put(same);
    for (unsigned i = 0; i < 4; i++)
        local_ports_put(other[i]);
}

/* The kernel keeps what we ended first: a churn of short connections uses ports up as open ones do. */
static void what_the_edge_ended_counts_for_a_minute(void **unused) {
    (void)unused;
    struct local_ports *a = part(0, &here, "10.0.0.5", 80), *b = part(1, &here, "10.0.0.5", 80);
    int64_t now = 123456789;
    unsigned n = take(a, PORTS, now);
    give(a, n, true, now);
    assert_int_equal(take(a, PORTS, now + MINUTE / 2), 0);
    assert_int_equal(take(a, PORTS, now + MINUTE - 8000), 0);
    assert_int_equal(take(a, PORTS, now + MINUTE + 8000), n);
    give(a, n, false, now + MINUTE + 8000); /* the pod ended these */
    assert_int_equal(take(a, PORTS, now + MINUTE + 8000), n);
    give(a, n, false, now);
    local_ports_put(a);
    local_ports_put(b);
}

/* A few are anybody's, however little is left. */
static void the_least_is_always_to_be_had(void **unused) {
    (void)unused;
    const struct place small = {.space = 9, .ports = 6};
    struct local_ports *a = part(0, &small, "10.0.0.6", 80), *b = part(1, &small, "10.0.0.6", 80);
    assert_int_equal(take(a, 6, 0), 6);
    assert_int_equal(take(b, 1, 0), 1); /* the kernel will say */
    give(a, 6, false, 0);
    give(b, 1, false, 0);
    local_ports_put(a);
    local_ports_put(b);
}

static void networks_whose_ports_are_not_known_have_no_share(void **unused) {
    (void)unused;
    const struct place unknown = {.space = 10};
    struct local_ports *a = part(0, &unknown, "10.0.0.7", 80),
                       *b = part(1, &unknown, "10.0.0.7", 80);
    assert_int_equal(take(a, PORTS, 0), PORTS);
    give(a, PORTS, true, 0);
    local_ports_put(a);
    local_ports_put(b);
}

static void *churn(void *of) {
    struct local_ports *p = of;
    for (unsigned i = 0; i < 20000; i++) {
        if (local_ports_may(p, i)) {
            local_ports_take(p);
            local_ports_give(p, i % 64 == 0, i);
        }
    }
    return NULL;
}

static void workers_count_at_once_and_none_is_lost(void **unused) {
    (void)unused;
    pthread_t thread[TENANTS];
    struct local_ports *p[TENANTS];
    const struct place wide = {.space = 11, .ports = 20000};
    for (unsigned i = 0; i < TENANTS; i++)
        p[i] = part(i / 2, &wide, "10.0.0.8", 80);
    for (unsigned i = 0; i < TENANTS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, churn, p[i]), 0);
    for (unsigned i = 0; i < TENANTS; i++)
        pthread_join(thread[i], NULL);
    int64_t later = 10 * MINUTE;
    assert_in_range(take(p[0], 20000, later), 20000 * 8 / 9, 20000 * 8 / 9 + 1);
    for (unsigned i = 0; i < TENANTS; i++)
        local_ports_put(p[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_an_address_to_himself_is_not_counted_against_anything),
        cmocka_unit_test(of_two_at_one_address_neither_takes_the_last),
        cmocka_unit_test(all_services_of_one_tenant_are_one_part),
        cmocka_unit_test(other_ports_addresses_and_networks_are_others),
        cmocka_unit_test(what_the_edge_ended_counts_for_a_minute),
        cmocka_unit_test(the_least_is_always_to_be_had),
        cmocka_unit_test(networks_whose_ports_are_not_known_have_no_share),
        cmocka_unit_test(workers_count_at_once_and_none_is_lost),
    };
    return cmocka_run_group_tests_name("local_ports", tests, tenants_up, tenants_down);
}
