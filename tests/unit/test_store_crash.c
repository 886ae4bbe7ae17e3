/* SPDX-License-Identifier: GPL-3.0-or-later
 * kill -9 in the middle of writing, two hundred times on one store: what was committed is there, what was not is wholly absent,
 * and the next life goes on where the last one was.
 *
 *   parent --fork--> writer: [put rows of round i] 'b' i -> commit -> 'c' i -> next    (the store of edge/store.c itself)
 *     after a random number of messages and a random moment: SIGKILL, read what else was said, open, judge
 *
 * That the judge would notice is shown by a writer that says 'c' before it commits.
 *
 * link: edge/store.c edge/file.c
 */
#include "edge/store.h"
#include "tests/unit/store_folder.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { KILLS = 200, KEPT = 7, BALLAST = 12000 };

struct message {
    char what; /* 'b': about to commit this round; 'c': committed */
    uint32_t round;
};

/* --- the writer ------------------------------------------------------------------------------*/

static void say(int to, char what, uint32_t round) {
    struct message m = {.what = what, .round = round};
    if (write(to, &m, sizeof m) != sizeof m)
        _exit(3);
}

/* A claim comes, an older one goes, and two rows that must always agree; the ballast makes commits long enough to hit. */
static void round_put(struct store *s, uint32_t round) {
    char key[32], value[BALLAST + 32];
    memset(value, 'x', sizeof value);
    snprintf(value, 32, "%u", round);
    value[strlen(value)] = ' ';
    value[sizeof value - 1] = 0;
    snprintf(key, sizeof key, "claim/%u", round);
    store_put(s, key, value);
    snprintf(key, sizeof key, "claim/%u", round - KEPT);
    if (round > KEPT)
        store_put(s, key, NULL);
    snprintf(value, 32, "%u", round);
    store_put(s, "head", value);
}

/* Every second round compares too: the fence must be where it was left. */
static bool round_commit(struct store *s, uint32_t round) {
    struct err err;
    char value[16];
    int64_t at;
    snprintf(value, sizeof value, "%u", round);
    store_put(s, "tail", value);
    if (round % 2)
        return store_commit(s, &err);
    free(store_get(s, "fence", &at));
    return store_put_if(s, "fence", value, at, NULL, &err) == STORE_DONE;
}

static void writer(int to, uint32_t round, bool hasty) {
    struct store s;
    struct err err;
    if (!store_open(&s, folder, &err))
        _exit(2);
    for (;; round++) {
        round_put(&s, round);
        say(to, 'b', round);
        if (hasty)
            say(to, 'c', round);
        if (!round_commit(&s, round))
            _exit(4);
        if (!hasty)
            say(to, 'c', round);
        store_tidy(&s);
    }
}

/* --- the judge -------------------------------------------------------------------------------*/

struct told {
    uint32_t begun, committed, fenced;
    int messages;
};

static bool listen_once(int from, struct told *t) {
    struct message m;
    if (read(from, &m, sizeof m) != sizeof m)
        return false;
    if (m.what == 'c')
        t->committed = t->fenced = m.round;
    else
        t->begun = m.round;
    t->messages++;
    return true;
}

static uint32_t row_number(struct store *s, const char *key) {
    int64_t revision;
    char *text = store_get(s, key, &revision);
    uint32_t number = text ? (uint32_t)strtoul(text, NULL, 10) : 0;
    free(text);
    return number;
}

static void note_claim(void *user, const char *key, const char *value) {
    uint32_t *sum = user;
    if (strncmp(key, "claim/", 6) != 0)
        return;
    assert_int_equal(strtoul(key + 6, NULL, 10), strtoul(value, NULL, 10));
    assert_int_equal(strlen(value), BALLAST + 31);
    *sum += (uint32_t)strtoul(value, NULL, 10);
}

/* The round that the store is at; exactly the claims of that round are there. False: not what was said to be committed. */
static bool judge(const struct told *t, uint32_t *ret_head) {
    struct store s;
    struct err err;
    uint32_t sum = 0, expected = 0;
    assert_true(store_open(&s, folder, &err));
    uint32_t head = row_number(&s, "head");
    assert_int_equal(row_number(&s, "tail"), head);
    bool fenced = head % 2 || head != t->fenced || row_number(&s, "fence") == head;
    assert_true(store_load(&s, note_claim, &sum, &err));
    for (uint32_t i = head > KEPT ? head - KEPT + 1 : 1; i <= head; i++)
        expected += i;
    assert_int_equal(sum, expected);
    store_close(&s);
    *ret_head = head;
    return fenced && (head == t->committed || head == t->begun);
}

static void moment_wait(unsigned *seed) {
    struct timespec moment = {.tv_nsec = rand_r(seed) % 3000000};
    nanosleep(&moment, NULL);
}

struct lives {
    unsigned seed;
    uint32_t head;
    unsigned amid; /* ended while they were committing */
};

static bool life(struct lives *l, bool hasty) {
    struct told t = {.begun = l->head, .committed = l->head};
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (!pid) {
        close(pipes[0]);
        writer(pipes[1], l->head + 1, hasty);
    }
    close(pipes[1]);
    for (int most = 1 + rand_r(&l->seed) % 12; t.messages < most && listen_once(pipes[0], &t);)
        ;
    moment_wait(&l->seed);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* it was writing to the end */
    while (listen_once(pipes[0], &t))
        ;
    close(pipes[0]);
    l->amid += t.begun != t.committed;
    return judge(&t, &l->head);
}

static struct lives lives_begin(void) {
    struct lives l = {.seed = (unsigned)time(NULL)};
    print_message("seed %u\n", l.seed);
    return l;
}

static void two_hundred_kills_lose_nothing_that_was_committed(void **state) {
    struct lives l = lives_begin();
    (void)state;
    for (int i = 0; i < KILLS; i++)
        assert_true(life(&l, false));
    print_message("%u rounds committed, %u kills amid a commit\n", l.head, l.amid);
    assert_true(l.head > KILLS / 2);
    assert_true(l.amid > KILLS / 10);
}

static void a_commit_that_was_only_said_is_missed(void **state) {
    struct lives l = lives_begin();
    int kills = 1;
    (void)state;
    while (life(&l, true))
        assert_true(kills++ < KILLS);
    print_message("missed after %d kills\n", kills);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_hundred_kills_lose_nothing_that_was_committed,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_commit_that_was_only_said_is_missed, folder_make,
                                        folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
