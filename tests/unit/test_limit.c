/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_limit.c - over any schedule of any workers no more is spent than the rate allows, and no less than it should. Time is made up
 * here; one test has real threads.
 */
#include "core/account.h"
#include "core/limit.h"
#include "tenants/compiled.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WORKERS_MOST = 16, SECOND = 1000000000 };

static uint64_t state = 88172645463325252ull;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? state % below : 0;
}

/* What the whole may hold beyond rate * time: one burst in the bucket, one batch in all leases, rounding of one each. */
static int64_t slack_of(int64_t rate, unsigned workers) {
    int64_t burst = rate / (SECOND / LIMIT_BURST_NS), batch = rate / (SECOND / LIMIT_BATCH_NS);
    return (burst > LIMIT_BURST_LEAST ? burst : LIMIT_BURST_LEAST) + 1 +
           (batch / workers > 1 ? batch : 0);
}

static int64_t allowed(int64_t rate, int64_t ns) {
    return (int64_t)((double)rate * (double)ns / SECOND);
}

/* ---- rates ---- */

struct schedule { /* moments at which something was let through */
    int64_t *at;
    size_t count;
};

/* Bursts, pauses and steady load at random, from workers at random whose clocks lag a little behind one another. */
static struct schedule random_schedule(struct limiter *l, int64_t rate, unsigned workers,
                                       unsigned events) {
    struct schedule s = {.at = calloc(events, sizeof *s.at)};
    int64_t now = 5 * (int64_t)SECOND, step = 2ll * SECOND / rate + 1;
    for (unsigned i = 0; i < events; i++) {
        switch (draw(64)) {
        case 0:
            now += (int64_t)draw(SECOND); /* nobody asks for a while */
            break;
        case 1:
            step = (int64_t)draw((uint64_t)(4ll * SECOND / rate)); /* another load */
            break;
        default:
            now += (int64_t)draw((uint64_t)step + 1);
        }
        int64_t seen = now - (int64_t)draw(200000);
        if (limiter_spend(l, (unsigned)draw(workers), LIMIT_REQUESTS, seen))
            s.at[s.count++] = now;
    }
    return s;
}

/* In every window, not only from the start: the tightest are those that begin and end with one let through. */
static void windows_hold(const struct schedule *s, int64_t rate, unsigned workers) {
    for (unsigned i = 0; i < 4000 && s->count; i++) {
        size_t a = draw(s->count), b = a + draw(s->count - a);
        int64_t spent = (int64_t)(b - a + 1), ns = s->at[b] - s->at[a] + 200000;
        int64_t most = allowed(rate, ns) + slack_of(rate, workers);
        if (spent > most)
            fail_msg("rate %lld, %u workers: %lld in %lld ns, %lld may be", (long long)rate,
                     workers, (long long)spent, (long long)ns, (long long)most);
    }
}

static void no_window_of_any_schedule_exceeds_the_rate_by_more_than_a_burst(void **unused) {
    static const int64_t rates[] = {1, 7, 100, 999, 5000, 123457, 10000000};
    (void)unused;
    for (unsigned round = 0; round < 140; round++) {
        int64_t rate = rates[round % 7];
        unsigned workers = 1 + (unsigned)draw(WORKERS_MOST);
        struct limiter *l = limiter_new(workers);
        limiter_set(l, &(struct limits){.requests_per_second = rate});
        struct schedule s = random_schedule(l, rate, workers, 20000);
        windows_hold(&s, rate, workers);
        free(s.at);
        limiter_free(l);
    }
}

/* Everyone asks for more than there is, for ten seconds. */
static void spent_under_load(int64_t rate, unsigned workers, int64_t step) {
    struct limiter *l = limiter_new(workers);
    int64_t spent = 0, start = SECOND, end = start + 10ll * SECOND;
    limiter_set(l, &(struct limits){.requests_per_second = rate});
    uint64_t asked = 0;
    for (int64_t now = start; now < end; now += step, asked++)
        spent += limiter_spend(l, (unsigned)draw(workers), LIMIT_REQUESTS, now);
    int64_t whole = allowed(rate, end - start);
    assert_true(spent <= whole + slack_of(rate, workers));
    assert_in_range(spent * 100, whole * 95, whole * 105 + 200); /* within 5 %, 2 tokens at least */
    assert_int_equal(asked - (uint64_t)spent, limiter_refused(l, LIMIT_REQUESTS));
    limiter_free(l);
}

static void under_load_all_workers_together_get_the_rate(void **unused) {
    (void)unused;
    for (unsigned workers = 1; workers <= WORKERS_MOST; workers *= 2) {
        spent_under_load(10, workers, 1000000);
        spent_under_load(100, workers, 100000);
        spent_under_load(5000, workers, 50000);
        spent_under_load(200000, workers, 2000);
    }
}

static void below_the_rate_nothing_is_refused(void **unused) {
    (void)unused;
    for (unsigned workers = 1; workers <= WORKERS_MOST; workers *= 2) {
        struct limiter *l = limiter_new(workers);
        limiter_set(l, &(struct limits){.requests_per_second = 2000});
        int64_t now = SECOND;
        for (unsigned i = 0; i < 20000; i++) {
            now += SECOND / 1800;
            assert_true(limiter_spend(l, (unsigned)draw(workers), LIMIT_REQUESTS, now));
        }
        limiter_free(l);
    }
}

static void a_limit_that_is_lifted_lets_everything_through(void **unused) {
    (void)unused;
    struct limiter *l = limiter_new(1);
    limiter_set(l, &(struct limits){.requests_per_second = 1});
    while (limiter_spend(l, 0, LIMIT_REQUESTS, SECOND))
        ;
    limiter_set(l, &(struct limits){0});
    for (int i = 0; i < 1000; i++)
        assert_true(limiter_spend(l, 0, LIMIT_REQUESTS, SECOND));
    limiter_free(l);
}

/* The bucket was emptied at 1 a second, so it says "full in 2 s"; at 1000 a second that is no debt of 2000. */
static void a_rate_that_is_raised_counts_at_once(void **unused) {
    (void)unused;
    struct bucket b = {0};
    assert_int_equal(bucket_take(&b, 1, SECOND, 10), 2);
    assert_int_equal(bucket_take(&b, 1000, SECOND, 10), 0);
    assert_int_equal(bucket_take(&b, 1000, SECOND + LIMIT_BURST_NS / 10, 100), 10);
}

static void the_wait_that_is_told_is_enough_and_not_too_long(void **unused) {
    (void)unused;
    for (int64_t rate = 1; rate < 1000000; rate = rate * 3 + 1) {
        struct bucket b = {0};
        int64_t now = SECOND;
        bucket_take(&b, rate, now, INT32_MAX);
        int64_t wait = bucket_wait_ns(&b, rate, now);
        assert_true(wait > 0 && wait <= SECOND / rate + 2);
        assert_int_equal(bucket_take(&b, rate, now + wait / 2, 1), 0);
        assert_int_equal(bucket_take(&b, rate, now + wait + 1, 1), 1);
    }
}

/* 80 Gbit/s: products of bytes and nanoseconds need more than 64 bits. */
static void great_rates_do_not_overflow(void **unused) {
    (void)unused;
    struct bucket b = {0};
    int64_t rate = 10000000000, now = SECOND, spent = 0;
    for (int i = 0; i < 10000; i++, now += 1000000)
        spent += bucket_take(&b, rate, now, 1ll << 40);
    int64_t whole = allowed(rate, 10ll * SECOND);
    assert_in_range(spent, whole, whole + rate / 10 + rate / 100);
}

/* ---- connections ---- */

static struct account *limited(int64_t connections, unsigned workers) {
    struct account *a = account_new("acme", workers);
    a->limiter = limiter_new(workers);
    limiter_set(a->limiter, &(struct limits){.connections = connections});
    return a;
}

static void connections_of_all_workers_are_one_count(void **unused) {
    (void)unused;
    struct account *a = limited(10, 4);
    for (unsigned i = 0; i < 10; i++)
        assert_true(limiter_connect(a, i % 4));
    assert_false(limiter_connect(a, 3));
    ACCOUNT_ADD(a->w[1].connections, -1); /* closed on another worker */
    assert_true(limiter_connect(a, 3));
    assert_false(limiter_connect(a, 0));
    assert_int_equal(limiter_refused(a->limiter, LIMIT_CONNECTIONS), 2);
    account_unref(a);
}

static void a_tenant_without_a_limiter_is_counted_and_not_limited(void **unused) {
    (void)unused;
    struct account *a = account_new("acme", 1);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(limiter_connect(a, 0));
    assert_int_equal(account_sum(a).connections, 1000);
    account_unref(a);
}

/* ---- threads ---- */

enum { THREADS = 4, PLACES = 5 };

static struct race {
    struct account *account;
    int64_t inside, most; /* seen by whoever is in */
    int64_t spent;
} race;

static void *race_run(void *argument) {
    unsigned id = (unsigned)(uintptr_t)argument;
    int64_t spent = 0;
    for (int i = 0; i < 100000; i++) {
        spent += limiter_spend(race.account->limiter, id, LIMIT_REQUESTS, SECOND);
        if (!limiter_connect(race.account, id))
            continue;
        int64_t now = __atomic_add_fetch(&race.inside, 1, __ATOMIC_SEQ_CST);
        int64_t most = __atomic_load_n(&race.most, __ATOMIC_RELAXED);
        while (now > most && !__atomic_compare_exchange_n(&race.most, &most, now, false,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
        __atomic_sub_fetch(&race.inside, 1, __ATOMIC_SEQ_CST);
        ACCOUNT_ADD(race.account->w[id].connections, -1);
    }
    __atomic_add_fetch(&race.spent, spent, __ATOMIC_RELAXED);
    return NULL;
}

static void threads_never_take_more_than_there_is(void **unused) {
    (void)unused;
    pthread_t thread[THREADS];
    race = (struct race){.account = limited(PLACES, THREADS)};
    limiter_set(race.account->limiter,
                &(struct limits){.connections = PLACES, .requests_per_second = 1000000});
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, race_run, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_true(race.most <= PLACES);
    assert_int_equal(race.spent, 100000); /* time stood still: the burst, all of it, once */
    assert_int_equal(account_sum(race.account).connections, 0);
    account_unref(race.account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_window_of_any_schedule_exceeds_the_rate_by_more_than_a_burst),
        cmocka_unit_test(under_load_all_workers_together_get_the_rate),
        cmocka_unit_test(below_the_rate_nothing_is_refused),
        cmocka_unit_test(a_limit_that_is_lifted_lets_everything_through),
        cmocka_unit_test(a_rate_that_is_raised_counts_at_once),
        cmocka_unit_test(the_wait_that_is_told_is_enough_and_not_too_long),
        cmocka_unit_test(great_rates_do_not_overflow),
        cmocka_unit_test(connections_of_all_workers_are_one_count),
        cmocka_unit_test(a_tenant_without_a_limiter_is_counted_and_not_limited),
        cmocka_unit_test(threads_never_take_more_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
