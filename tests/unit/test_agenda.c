/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_agenda.c - who is checked next: nobody early, nobody forgotten, and no party at the others' cost.
 * link: edge/agenda.c
 */
#include "edge/agenda.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 256, PARTIES = 120, EACH = 100 };
static const int64_t second = 1000000000;

struct story {
    struct agenda agenda;
    struct agenda_party party[PARTIES];
    struct agenda_item item[PARTIES][EACH];
    int64_t due[PARTIES][EACH];
};

static int story_begin(void **state) {
    struct story *s = *state = calloc(1, sizeof *s);
    assert_non_null(s);
    agenda_init(&s->agenda, MOST, 7 * second);
    for (int p = 0; p < PARTIES; p++)
        for (int i = 0; i < EACH; i++)
            s->item[p][i].party = &s->party[p];
    return 0;
}

static int story_end(void **state) {
    free(*state);
    return 0;
}

static void all_due(struct story *s, int party) {
    for (int i = 0; i < EACH; i++)
        agenda_wait(&s->agenda, &s->item[party][i], 0);
}

/* All who may run do, until `end`. */
static unsigned run_all(struct story *s, int64_t now, int64_t end) {
    unsigned begun = 0;
    struct agenda_item *i;
    assert_null(agenda_late(&s->agenda, now));
    for (; (i = agenda_next(&s->agenda)); begun++)
        agenda_run(&s->agenda, i, end);
    return begun;
}

static void a_party_that_never_ends_leaves_half_of_the_places(void **state) {
    struct story *s = *state;
    for (int p = 0; p < 3; p++) /* one party of three hundred */
        for (int i = 0; i < EACH; i++) {
            s->item[p][i].party = &s->party[0];
            agenda_wait(&s->agenda, &s->item[p][i], 0);
        }
    assert_int_equal(run_all(s, 8 * second, 3600 * second), MOST / 2);
    agenda_wait(&s->agenda, &s->item[9][0], 0);
    assert_int_equal(run_all(s, 9 * second, 3600 * second), 1);
    assert_int_equal(s->party[9].running, 1);
}

/* Each time one of theirs ends, those who have more than their share wait for the others. */
static void however_many_only_time_out_the_next_party_finds_a_place(void **state) {
    struct story *s = *state;
    struct agenda_item *i;
    for (int p = 0; p < PARTIES - 1; p++)
        all_due(s, p);
    for (int64_t now = 8 * second; now < 60 * second; now += AGENDA_TICK_NS) {
        while ((i = agenda_late(&s->agenda, now)))
            agenda_wait(&s->agenda, i, 0);
        while ((i = agenda_next(&s->agenda)))
            agenda_run(&s->agenda, i, now + 5 * second);
    }
    for (int p = 0; p < PARTIES - 1; p++)
        assert_in_range(s->party[p].running, 1, 4);
    agenda_wait(&s->agenda, &s->item[PARTIES - 1][0], 0);
    while ((i = agenda_late(&s->agenda, 60 * second)))
        agenda_wait(&s->agenda, i, 0);
    run_all(s, 60 * second, 65 * second);
    assert_int_equal(s->party[PARTIES - 1].running, 1);
}

static void parties_take_turns_when_places_are_few(void **state) {
    struct story *s = *state;
    agenda_init(&s->agenda, 1, 7 * second);
    unsigned turns[PARTIES] = {0};
    for (int p = 0; p < PARTIES; p++)
        for (int i = 0; i < (p ? 10 : EACH); i++)
            agenda_wait(&s->agenda, &s->item[p][i], 0);
    assert_null(agenda_late(&s->agenda, 8 * second));
    for (int n = 0; n < PARTIES * 10; n++) {
        struct agenda_item *i = agenda_next(&s->agenda);
        assert_non_null(i);
        turns[i->party - s->party]++;
        agenda_run(&s->agenda, i, 9 * second);
        assert_null(agenda_next(&s->agenda));
        agenda_remove(&s->agenda, i);
    }
    for (int p = 0; p < PARTIES; p++)
        assert_int_equal(turns[p], 10);
}

static void who_runs_too_long_is_told_so_once(void **state) {
    struct story *s = *state;
    all_due(s, 0);
    run_all(s, 8 * second, 10 * second);
    assert_null(agenda_late(&s->agenda, 10 * second - AGENDA_TICK_NS));
    for (int n = 0; n < EACH; n++) {
        struct agenda_item *late = agenda_late(&s->agenda, 10 * second);
        assert_non_null(late);
        agenda_wait(&s->agenda, late, 20 * second);
    }
    assert_null(agenda_late(&s->agenda, 11 * second));
    assert_int_equal(s->agenda.running, 0);
    assert_int_equal(s->party[0].running, 0);
}

static void nobody_is_early_and_nobody_is_forgotten(void **state) {
    struct story *s = *state;
    const int64_t tick = AGENDA_TICK_NS;
    int left = PARTIES * EACH;
    srandom(1);
    for (int p = 0; p < PARTIES; p++) /* up to four rounds of the wheel */
        for (int i = 0; i < EACH; i++) {
            s->due[p][i] = 7 * second + random() % (400 * second);
            agenda_wait(&s->agenda, &s->item[p][i], s->due[p][i]);
        }
    for (int64_t now = 7 * second; now < 409 * second; now += tick) {
        struct agenda_item *i;
        assert_null(agenda_late(&s->agenda, now));
        while ((i = agenda_next(&s->agenda))) {
            int p = (int)(i->party - s->party);
            int64_t due = s->due[p][i - s->item[p]];
            assert_true(due <= now && now < due + 2 * tick);
            agenda_remove(&s->agenda, i);
            left--;
        }
    }
    assert_int_equal(left, 0);
}

/* Whatever happens to whom, in any order: what is counted is what is there. */
static void counts_are_right_whatever_happens(void **state) {
    struct story *s = *state;
    srandom(2);
    for (int64_t now = 7 * second, n = 0; n < 200000; n++, now += random() % (second / 20)) {
        struct agenda_item *i = &s->item[random() % PARTIES][random() % EACH], *late;
        if (random() % 8 == 0)
            agenda_remove(&s->agenda, i);
        else if (!i->running)
            agenda_wait(&s->agenda, i, now + random() % (300 * second));
        if (n % 16)
            continue;
        while ((late = agenda_late(&s->agenda, now)))
            agenda_wait(&s->agenda, late, now + random() % (9 * second));
        while ((i = agenda_next(&s->agenda)))
            agenda_run(&s->agenda, i, now + random() % (60 * second));
        assert_true(s->agenda.running <= MOST);
    }
    unsigned running = 0;
    for (int p = 0; p < PARTIES; p++) {
        unsigned own = 0;
        for (int i = 0; i < EACH; i++)
            own += s->item[p][i].running;
        assert_int_equal(own, s->party[p].running);
        running += own;
        for (int i = 0; i < EACH; i++)
            agenda_remove(&s->agenda, &s->item[p][i]);
        assert_false(queue_holds(&s->party[p].item));
    }
    assert_true(running > 0);
    assert_int_equal(s->agenda.running, 0);
    for (int i = 0; i < AGENDA_SLOTS; i++)
        assert_null(s->agenda.slot[i].first);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, story_begin, story_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_party_that_never_ends_leaves_half_of_the_places),
        STORY(however_many_only_time_out_the_next_party_finds_a_place),
        STORY(parties_take_turns_when_places_are_few),
        STORY(who_runs_too_long_is_told_so_once),
        STORY(nobody_is_early_and_nobody_is_forgotten),
        STORY(counts_are_right_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
