/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_top.c - whatever keys come, memory is bounded, those that come most often are there, and their hits are never too many.
 * link: core/top.c
 */
#include "core/top.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 20 };

/* splitmix64: numbers as keys whose bits are mixed */
static uint64_t key_of(uint64_t n) {
    n += 0x9e3779b97f4a7c15ull;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ull;
    n = (n ^ n >> 27) * 0x94d049bb133111ebull;
    return (n ^ n >> 31) | 1;
}

/* Hits of this key; 0: it is not there. */
static uint64_t hits_of(const struct top *t, uint64_t key) {
    struct top_way way;
    for (size_t i = 0; i < top_ways(t); i++)
        if (top_read(t, i, &way) && way.key == key)
            return way.hits;
    return 0;
}

static void a_few_keys_are_counted_exactly(void **state) {
    struct top *t = top_new(MOST);
    (void)state;
    for (uint64_t n = 0; n < MOST; n++)
        for (uint64_t i = 0; i <= n; i++)
            top_count(t, key_of(n));
    for (uint64_t n = 0; n < MOST; n++)
        assert_int_equal(hits_of(t, key_of(n)), n + 1);
    assert_int_equal(hits_of(t, key_of(MOST)), 0);
    free(t);
}

/* A hundred times as many keys as there is room for, each once, between those of the popular. */
static void the_popular_stay_among_a_crowd_and_nobody_has_too_many_hits(void **state) {
    struct top *t = top_new(MOST);
    uint64_t crowd = 1000;
    struct top_way way;
    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        for (uint64_t n = 0; n < MOST; n++) {
            top_count(t, key_of(n));
            top_count(t, key_of(crowd++));
        }
    for (uint64_t n = 0; n < MOST; n++)
        assert_in_range(hits_of(t, key_of(n)), 990, 1000);
    for (size_t i = 0; i < top_ways(t); i++)
        if (top_read(t, i, &way))
            assert_true(way.hits <= 1000);
    free(t);
}

static void what_was_popular_long_ago_makes_room(void **state) {
    struct top *t = top_new(MOST);
    struct top_way way;
    size_t ways = top_ways(t);
    (void)state;
    for (uint64_t n = 0; n < 8 * ways; n++) /* fills every set, some of them twice over */
        for (int i = 0; i < 1000; i++)
            top_count(t, key_of(n));
    for (uint64_t i = 0; i < 20ull * TOP_AGE; i++)
        top_count(t, key_of(100000 + i % MOST));
    for (uint64_t n = 0; n < MOST; n++)
        assert_in_range(hits_of(t, key_of(100000 + n)), TOP_AGE - 10000, TOP_AGE);
    for (size_t i = 0; i < ways; i++)
        assert_true(top_read(t, i, &way) && (way.hits > TOP_AGE / 2 || way.weight == 0));
    free(t);
}

static void keys_of_one_set_share_its_ways(void **state) {
    struct top *t = top_new(MOST);
    unsigned there = 0;
    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        top_count(t, 2 * i + 1); /* the upper halves choose the set */
    for (uint64_t i = 0; i < 100; i++)
        there += hits_of(t, 2 * i + 1) != 0;
    assert_int_equal(there, TOP_WAYS);
    free(t);
}

static void room_follows_what_is_wanted(void **state) {
    (void)state;
    for (unsigned most = 1; most <= 1000; most++) {
        struct top *t = top_new(most);
        assert_true(top_ways(t) >= 8 * most && top_ways(t) < 16 * most + 256);
        free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_keys_are_counted_exactly),
        cmocka_unit_test(the_popular_stay_among_a_crowd_and_nobody_has_too_many_hits),
        cmocka_unit_test(what_was_popular_long_ago_makes_room),
        cmocka_unit_test(keys_of_one_set_share_its_ways),
        cmocka_unit_test(room_follows_what_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
