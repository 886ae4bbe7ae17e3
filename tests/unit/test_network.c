/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_network.c - which addresses are dialled for a tenant: a table of what hostile grants, files and resolvers come up with.
 */
#include "tenants/network.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ALLOW_MOST = 4 };

struct world {
    struct prefix allow[ALLOW_MOST];
    struct network network;
};

static const struct network *allowing(struct world *w, const char *prefixes) {
    char text[200], *at = text, *one;
    snprintf(text, sizeof text, "%s", prefixes);
    *w = (struct world){.network.allow = w->allow};
    while ((one = strsep(&at, " ")) && *one)
        assert_true(prefix_parse(one, &w->allow[w->network.allow_count++]));
    return &w->network;
}

static union address at(const char *ip, uint16_t port) {
    union address a;
    assert_true(address_parse(ip, port, &a));
    return a;
}

/* A machine with two addresses, that listens everywhere on :80 and :443, on one address for the administrator, and has a pool. */
static const struct own *machine(void) {
    static struct own_listener listener[] = {{.low = 80, .high = 80},
                                             {.low = 443, .high = 443},
                                             {.low = 9180, .high = 9180},
                                             {.low = 28000, .high = 31999},
                                             {.low = 80, .high = 80}};
    static struct prefix address[3];
    static struct own own = {listener, 5, address, 3};
    assert_true(prefix_parse("0.0.0.0", &listener[0].at));
    assert_true(prefix_parse("::", &listener[1].at));
    assert_true(prefix_parse("127.0.0.1", &listener[2].at));
    assert_true(prefix_parse("0.0.0.0", &listener[3].at));
    assert_true(prefix_parse("203.0.113.7", &listener[4].at)); /* public, behind a NAT */
    assert_true(prefix_parse("10.11.0.1", &address[0]));
    assert_true(prefix_parse("fd00::1", &address[1]));
    assert_true(prefix_parse("10.11.255.255", &address[2])); /* where it broadcasts */
    own_sort(&own);
    return &own;
}

static const char everything[] = "0.0.0.0/0 ::/0";

static void what_is_never_dialled_is_not_whatever_is_allowed(void **state) {
    static const char *const never[] = {
        "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23",
        "100.100.100.200", "192.0.0.192", "168.63.129.16", "::", "ff02::1", "ff0e::1",
        "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "fe80::a9fe:a9fe",
        "fd00:a9fe:a9fe::1", "fd00:c1::a9fe:a9fe", "fd00:100::100:200",
        /* the same, in disguise */
        "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255",
        "::169.254.169.254", "::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::7f00:1",
        "64:ff9b:1::169.254.169.254", "64:ff9b:1:ffff::7f00:1", "2002:7f00:1::1",
        "2002:a9fe:a9fe::", "2001:0:a9fe:a9fe::1", "::ffff:0:127.0.0.1"};
    struct world w, exact;
    (void)state;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        union address a = at(never[i], 8080);
        if (!network_refusal(allowing(&w, everything), NULL, &a))
            fail_msg("%s is dialled where everything is allowed", never[i]);
        if (!network_refusal(allowing(&exact, never[i]), NULL, &a))
            fail_msg("%s is dialled where it is named", never[i]);
        assert_false(network_allows(&w.network, &a));
    }
}

static void loopback_and_link_local_need_a_prefix_of_their_own(void **state) {
    static const struct {
        const char *ip, *allow;
        bool good;
    } row[] = {
        {"127.0.0.1", "0.0.0.0/0", false},
        {"127.0.0.1", "126.0.0.0/7", false},
        {"127.0.0.1", "127.0.0.0/8", true},
        {"127.8.9.1", "127.8.0.0/16", true},
        {"127.8.9.1", "127.9.0.0/16", false},
        {"::ffff:127.0.0.1", "::/0 0.0.0.0/0", false},
        {"::ffff:127.0.0.1", "127.0.0.0/8", true},
        {"169.254.3.4", "0.0.0.0/0", false},
        {"169.254.3.4", "169.254.3.0/24", true},
        {"::1", "::/0", false},
        {"::1", "::1", true},
        {"fe80::1", "::/0", false},
        {"fe80::1", "fe80::/10", true},
        {"10.11.0.5", "10.11.0.0/16", true},
        {"::ffff:10.11.0.5", "10.11.0.0/16", true},
        {"10.12.0.5", "10.11.0.0/16", false},
        {"10.11.0.5", "", false},
        {"fd00::5", "10.0.0.0/8", false},
        {"fd00::5", "fd00::/8", true},
    };
    struct world w;
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        union address a = at(row[i].ip, 8080);
        const char *refusal = network_refusal(allowing(&w, row[i].allow), NULL, &a);
        if (!refusal != row[i].good)
            fail_msg("%s under %s: %s", row[i].ip, row[i].allow, refusal ? refusal : "dialled");
    }
}

static void a_listener_of_the_edge_is_never_a_pod(void **state) {
    static const struct {
        const char *ip;
        uint16_t port;
    } row[] = {
        {"10.11.0.1", 80},    {"127.0.0.1", 80},        {"127.77.0.1", 80},  {"10.11.0.1", 28000},
        {"10.11.0.1", 31999}, {"::ffff:10.11.0.1", 80}, {"fd00::1", 443},    {"::1", 443},
        {"10.11.0.1", 443}, /* [::] takes both */
        {"127.0.0.1", 9180},  {"::ffff:127.0.0.1", 80}, {"203.0.113.7", 80}, {"10.11.255.255", 80},
    };
    struct world w, exact;
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        union address a = at(row[i].ip, row[i].port);
        char text[100];
        snprintf(text, sizeof text, "%s 127.0.0.0/8 10.11.0.1", row[i].ip);
        const char *refusal = network_refusal(allowing(&w, text), machine(), &a);
        if (!refusal || !strstr(refusal, "listener"))
            fail_msg("%s:%u: %s", row[i].ip, row[i].port, refusal ? refusal : "dialled");
        assert_non_null(network_refusal(allowing(&exact, everything), machine(), &a));
    }
}

static void an_address_of_the_machine_needs_to_be_named(void **state) {
    struct world w;
    union address own = at("10.11.0.1", 8080), other = at("10.11.0.5", 8080);
    union address mapped = at("::ffff:10.11.0.1", 8080), six = at("fd00::1", 8080);
    (void)state;
    allowing(&w, "10.11.0.0/16 fd00::/8");
    assert_null(network_refusal(&w.network, machine(), &other));
    assert_non_null(network_refusal(&w.network, machine(), &own));
    assert_non_null(network_refusal(&w.network, machine(), &mapped));
    assert_non_null(network_refusal(&w.network, machine(), &six));
    allowing(&w, "10.11.0.1/32 fd00::1/128");
    assert_null(network_refusal(&w.network, machine(), &own));
    assert_null(network_refusal(&w.network, machine(), &mapped));
    assert_null(network_refusal(&w.network, machine(), &six));
    assert_non_null(network_refusal(&w.network, machine(), &other));
}

static void
in_a_namespace_the_same_address_is_somebody_elses_but_a_listener_may_be_reached(void **state) {
    struct world w;
    union address own = at("10.11.0.1", 8080), listener = at("10.11.0.1", 80);
    union address loopback = at("127.0.0.1", 80);
    (void)state;
    allowing(&w, "10.11.0.0/16 127.0.0.0/8");
    w.network.netns = "acme";
    assert_null(network_refusal(&w.network, machine(), &own));
    assert_null(network_refusal(&w.network, machine(), &loopback));
    assert_non_null(network_refusal(&w.network, machine(), &listener));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_never_dialled_is_not_whatever_is_allowed),
        cmocka_unit_test(loopback_and_link_local_need_a_prefix_of_their_own),
        cmocka_unit_test(a_listener_of_the_edge_is_never_a_pod),
        cmocka_unit_test(an_address_of_the_machine_needs_to_be_named),
        cmocka_unit_test(
            in_a_namespace_the_same_address_is_somebody_elses_but_a_listener_may_be_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
