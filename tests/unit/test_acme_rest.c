/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_rest.c - who goes to rest, who wakes when, and that nothing is lost on the way. Rows are a table here.
 * link: modules/acme/rest.c modules/acme/entries.c modules/acme/texts.c
 */
#include "modules/acme/crew.h"
#include "modules/acme/entries.h"
#include "modules/acme/rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 2000000000, DAY = SCHEDULE_DAY };

struct keeper keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- a keeper in little: the row of an entry is what it was made with ---- */

static bool unreadable;
static unsigned reads, crew_woken;
static const char issuer[] = "Example Authority";

static struct entry *entry_make(struct followed *f, const char *id) {
    static const char *const name[] = {"www.example.com"};
    struct entry *e = entry_add(f, id, "uid", "as the row says", name, 1);
    assert_non_null(e);
    text_swap(&e->issuer, issuer);
    e->number = 3;
    e->not_before = NOW - DAY;
    e->not_after = NOW + 89 * DAY;
    e->attempt_at = NOW + 59 * DAY;
    e->ari_at = NOW; /* as after a start */
    return e;
}

void crew_wake(void) {
    crew_woken++;
}

struct entry *entry_read(struct followed *f, const char *id) {
    reads++;
    return unreadable ? NULL : entry_make(f, id);
}

static struct followed *tenant_make(const char *name) {
    struct followed *f = calloc(1, sizeof *f);
    f->name = strdup(name);
    f->known = true;
    assert_true(map_put(&keeper.tenants, name, f));
    return f;
}

static int end(void **state) {
    (void)state;
    while (keeper.count)
        entry_remove(keeper.entry[0]);
    for (size_t i = 0; i < keeper.tenants.room; i++)
        if (keeper.tenants.slot[i].key) {
            struct followed *f = keeper.tenants.slot[i].value;
            sleepers_free(f);
            free(f->name);
            free(f);
        }
    map_fini(&keeper.tenants);
    map_fini(&keeper.entries);
    texts_fini();
    free(keeper.entry);
    free(keeper.due);
    keeper = (struct keeper){.lock = PTHREAD_MUTEX_INITIALIZER};
    unreadable = false;
    reads = crew_woken = 0;
    return 0;
}

static struct entry *good(struct followed *f, unsigned n) {
    char id[33];
    snprintf(id, sizeof id, "%032x", n * 2654435761u);
    struct entry *e = entry_make(f, id);
    e->wanted = true;
    e->ari_at = NOW + 6 * SCHEDULE_HOUR;
    text_swap(&e->ingress, "web");
    entry_due(e);
    return e;
}

static bool rests(struct entry *e) {
    struct followed *f = e->tenant;
    char id[33];
    snprintf(id, sizeof id, "%s", e->id);
    tenant_rest(f, NOW);
    return sleeper_of(f, id);
}

/* ---- stories ---- */

static void what_is_good_and_not_due_rests_and_wakes_as_it_was(void **state) {
    (void)state;
    struct followed *f = tenant_make("t");
    struct entry *e = good(f, 1);
    char id[33], again[33];
    e->attempt_at = NOW + 30 * DAY;
    entry_due(e);
    snprintf(id, sizeof id, "%s", e->id);
    assert_true(rests(e));
    assert_int_equal(keeper.count, 0);
    assert_null(f->first);
    sleeper_id(sleeper_of(f, id), again);
    assert_string_equal(again, id);
    assert_int_equal(keeper.sleep_due, NOW + 6 * SCHEDULE_HOUR);
    tenant_wake(f);
    e = f->first;
    assert_non_null(e);
    assert_string_equal(e->id, id);
    assert_string_equal(e->ingress, "web"); /* renamed since its row was written */
    assert_string_equal(e->issuer, issuer);
    assert_true(e->wanted);
    assert_int_equal(e->attempt_at, NOW + 30 * DAY);
    assert_int_equal(e->ari_at, NOW + 6 * SCHEDULE_HOUR);
    assert_int_equal(keeper.due[e->index], NOW + 6 * SCHEDULE_HOUR);
    assert_int_equal(f->sleeper_count, 0);
}

static void whatever_is_under_way_or_wrong_stays_awake(void **state) {
    (void)state;
    char text[] = "said";
    struct followed *f = tenant_make("t");
    struct entry *e = good(f, 1);
    const struct entry was = *e;
#define STAYS(change)           \
    do {                        \
        change;                 \
        entry_due(e);           \
        assert_false(rests(e)); \
        *e = was;               \
    } while (0)
    STAYS(e->number = 0);
    STAYS(e->failures = 1);
    STAYS(e->error = text);
    STAYS(e->problem = text);
    STAYS(e->waits_for = text);
    STAYS(e->unreadable = text);
    STAYS(e->impossible = text);
    STAYS(e->busy = true);
    STAYS(e->shown = true);
    STAYS(e->gone = true);
    STAYS(e->wanted = false); /* retiring: its names are looked at */
    STAYS(e->alarmed_at = NOW - DAY);
    STAYS(e->came_at = NOW - SCHEDULE_HOUR + 1);
    STAYS(e->ari_at = NOW);
    STAYS(e->attempt_at = NOW - 1);
    STAYS(e->not_after = (int64_t)UINT32_MAX + 1);
    STAYS(e->id[5] = 'x');
    entry_due(e);
    assert_true(rests(e));
}

static void one_of_a_tenant_who_is_not_there_rests_and_is_never_due(void **state) {
    (void)state;
    struct followed *f = tenant_make("t");
    struct entry *e = good(f, 1);
    int64_t at;
    f->known = false;
    e->wanted = false;
    e->ari_at = NOW;
    entry_due(e);
    assert_true(rests(e));
    assert_false(sleepers_due(NOW + 1000 * DAY, &at));
    assert_int_equal(at, 0);
    assert_false(sleepers_all_wanted(f));
    crew_woken = 0;
    sleeper_want(f->sleeper, "shop"); /* there it is */
    assert_int_equal(crew_woken, 1);
    assert_true(sleepers_all_wanted(f));
    assert_true(sleepers_due(NOW, &at));
    sleepers_wake_due(NOW);
    assert_int_equal(f->sleeper_count, 0);
    assert_string_equal(f->first->ingress, "shop");
}

static void each_is_found_among_many_also_when_some_wake(void **state) {
    (void)state;
    enum { MANY = 500 };
    struct followed *f = tenant_make("t"), *other = tenant_make("u");
    for (unsigned i = 0; i < MANY; i++)
        good(i % 5 ? f : other, i);
    tenant_rest(f, NOW);
    tenant_rest(other, NOW);
    assert_int_equal(f->sleeper_count + other->sleeper_count, MANY);
    for (unsigned i = 0; i < 40; i++)
        assert_non_null(sleeper_wake(f, i * 7));
    struct roll asleep = roll_make();
    assert_int_equal(asleep.count, MANY - 40);
    for (unsigned i = 0; i < MANY; i++) {
        char id[33];
        snprintf(id, sizeof id, "%032x", i * 2654435761u);
        bool awake = false;
        for (size_t k = 0; k < keeper.count; k++)
            awake |= !strcmp(keeper.entry[k]->id, id);
        assert_int_equal(sleeper_of(i % 5 ? f : other, id) != NULL, !awake);
        assert_int_equal(roll_find(&asleep, id) != NULL, !awake);
        assert_null(sleeper_of(i % 5 ? other : f, id));
    }
    assert_null(roll_find(&asleep, "no id"));
    roll_fini(&asleep);
    tenant_rest(f, NOW);
    assert_int_equal(f->sleeper_count + other->sleeper_count, MANY);
}

static void who_is_due_wakes_and_nobody_else(void **state) {
    (void)state;
    struct followed *f = tenant_make("t");
    int64_t at;
    good(f, 1);
    struct entry *sooner = good(f, 2);
    char id[33];
    snprintf(id, sizeof id, "%s", sooner->id);
    sooner->attempt_at = NOW + 100;
    entry_due(sooner);
    tenant_rest(f, NOW);
    assert_false(sleepers_due(NOW + 99, &at));
    assert_int_equal(at, NOW + 100);
    assert_true(sleepers_due(NOW + 100, &at));
    sleepers_wake_due(NOW + 100);
    assert_int_equal(f->sleeper_count, 1);
    assert_string_equal(f->first->id, id);
    assert_false(sleepers_due(NOW + 100, &at));
    assert_int_equal(at, NOW + 6 * SCHEDULE_HOUR);
}

/* One with a thousand of them holds up nobody, and is served, too. */
static void many_that_are_due_wake_a_few_at_a_time_and_all_in_the_end(void **state) {
    (void)state;
    enum { BIG = 1000, SMALL = 100 };
    struct followed *big = tenant_make("big"), *small[SMALL];
    int64_t at, later = NOW + 7 * SCHEDULE_HOUR;
    for (unsigned i = 0; i < BIG; i++)
        good(big, i);
    tenant_rest(big, NOW);
    for (unsigned i = 0; i < SMALL; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i);
        small[i] = tenant_make(name);
        good(small[i], BIG + i);
        tenant_rest(small[i], NOW);
    }
    for (unsigned i = 0; i < 4; i++)
        sleepers_wake_due(later);
    for (unsigned i = 0; i < SMALL; i++)
        assert_int_equal(small[i]->sleeper_count, 0);
    assert_true(big->sleeper_count < BIG && big->sleeper_count >= BIG - 8);
    assert_true(sleepers_due(later, &at)); /* it is called again */
    unsigned rounds = 0;
    for (; big->sleeper_count && rounds < BIG; rounds++) {
        for (size_t i = 0; i < keeper.count; i++) {
            keeper.entry[i]->busy = true; /* a thread has it */
            entry_due(keeper.entry[i]);
        }
        sleepers_wake_due(later);
    }
    assert_int_equal(big->sleeper_count, 0);
    assert_int_equal(reads, BIG + SMALL);
}

static void a_row_that_cannot_be_read_is_asked_for_again_in_a_while(void **state) {
    (void)state;
    struct followed *f = tenant_make("t");
    int64_t at, later = NOW + 7 * SCHEDULE_HOUR;
    assert_true(rests(good(f, 1)));
    unreadable = true;
    sleepers_wake_due(later);
    assert_int_equal(f->sleeper_count, 1);
    assert_false(sleepers_due(later, &at));
    assert_true(at > later);
    tenant_wake(f);
    assert_int_equal(f->sleeper_count, 1);
    unreadable = false;
    sleepers_wake_due(at);
    assert_int_equal(f->sleeper_count, 0);
}

#define STORY(name) cmocka_unit_test_teardown(name, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(what_is_good_and_not_due_rests_and_wakes_as_it_was),
        STORY(whatever_is_under_way_or_wrong_stays_awake),
        STORY(one_of_a_tenant_who_is_not_there_rests_and_is_never_due),
        STORY(each_is_found_among_many_also_when_some_wake),
        STORY(who_is_due_wakes_and_nobody_else),
        STORY(many_that_are_due_wake_a_few_at_a_time_and_all_in_the_end),
        STORY(a_row_that_cannot_be_read_is_asked_for_again_in_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
