/* SPDX-License-Identifier: GPL-3.0-or-later
 * The state store: what was committed is there after a restart, and never more than that.
 * link: edge/store.c edge/file.c
 */
#include "edge/store.h"
#include "tests/unit/store_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void row_note(void *user, const char *key, const char *value) {
    char *seen = user;
    strcat(seen, key);
    strcat(seen, "=");
    strcat(seen, value);
    strcat(seen, " ");
}

static void expect_rows(const char *rows) {
    struct store s;
    struct err err;
    char seen[1024] = "";
    assert_true(store_open(&s, folder, &err));
    assert_true(store_load(&s, row_note, seen, &err));
    assert_string_equal(seen, rows);
    store_close(&s);
}

static void committed_rows_survive_and_others_do_not(void **state) {
    struct store s;
    struct err err;
    (void)state;
    assert_true(store_open(&s, folder, &err));
    store_put(&s, "b", "2");
    store_put(&s, "a", "1");
    store_put(&s, "gone", "x");
    assert_int_equal(store_pending(&s), 3);
    assert_true(store_commit(&s, &err));
    assert_int_equal(store_pending(&s), 0);
    store_put(&s, "gone", NULL);
    store_put(&s, "a", "one");
    assert_true(store_commit(&s, &err));
    store_put(&s, "c", "3");
    store_close(&s);
    expect_rows("a=one b=2 ");
}

static void the_last_of_two_writes_to_a_row_wins(void **state) {
    struct store s;
    struct err err;
    (void)state;
    assert_true(store_open(&s, folder, &err));
    store_put(&s, "k", "first");
    store_put(&s, "k", NULL);
    store_put(&s, "k", "last");
    assert_int_equal(store_pending(&s), 1);
    assert_true(store_commit(&s, &err));
    store_close(&s);
    expect_rows("k=last ");
}

static void its_file_is_for_its_owner_alone(void **state) {
    struct store s;
    struct err err;
    struct stat st;
    char path[128];
    (void)state;
    assert_true(store_open(&s, folder, &err));
    store_close(&s);
    snprintf(path, sizeof path, "%s/ringress.db", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_process_cannot_open_what_is_held(void **state) {
    struct store first, second;
    struct err err;
    (void)state;
    assert_true(store_open(&first, folder, &err));
    store_put(&first, "k", "v");
    assert_true(store_commit(&first, &err));
    assert_false(store_open(&second, folder, &err) &&
                 store_load(&second, row_note, (char[64]){0}, &err));
    assert_false(store_reachable(&second));
    store_put(&second, "k", "stolen");
    assert_false(store_commit(&second, &err));
    assert_int_equal(store_pending(&second), 1);
    store_close(&second);
    store_close(&first);
    expect_rows("k=v ");
}

static void what_is_no_database_is_left_alone(void **state) {
    struct store s;
    struct err err;
    char path[128], text[64] = "";
    (void)state;
    snprintf(path, sizeof path, "%s/ringress.db", folder);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 400; i++)
        fputs("this is not a database\n", f);
    fclose(f);
    assert_false(store_open(&s, folder, &err));
    store_put(&s, "k", "v");
    assert_false(store_commit(&s, &err));
    store_close(&s);
    f = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "this is not a database\n");
}

/* --- compare, then write ---------------------------------------------------------------------*/

static struct store held;
static struct err why;

static int held_open(void **state) {
    return folder_make(state) || !store_open(&held, folder, &why);
}

static int held_close(void **state) {
    store_close(&held);
    return folder_remove(state);
}

static void expect_row(const char *key, const char *value, int64_t revision) {
    int64_t at;
    char *text = store_get(&held, key, &at);
    assert_true(value ? text && !strcmp(text, value) : !text);
    assert_int_equal(at, revision);
    free(text);
}

static void a_row_is_written_only_by_who_saw_it_as_it_is(void **state) {
    int64_t first, second;
    (void)state;
    expect_row("k", NULL, STORE_ABSENT);
    assert_int_equal(store_put_if(&held, "k", "1", STORE_ABSENT, &first, &why), STORE_DONE);
    expect_row("k", "1", first);
    assert_int_equal(store_put_if(&held, "k", "x", STORE_ABSENT, NULL, &why), STORE_STALE);
    assert_int_equal(store_put_if(&held, "k", "2", first, &second, &why), STORE_DONE);
    assert_true(second > first);
    assert_int_equal(store_put_if(&held, "k", "x", first, NULL, &why), STORE_STALE);
    assert_int_equal(store_delete_if(&held, "k", first, &why), STORE_STALE);
    expect_row("k", "2", second);
    assert_int_equal(store_delete_if(&held, "k", second, &why), STORE_DONE);
    expect_row("k", NULL, STORE_ABSENT);
    assert_int_equal(store_delete_if(&held, "k", second, &why), STORE_STALE);
}

static void a_row_made_anew_is_not_taken_for_the_old_one(void **state) {
    int64_t old, anew;
    (void)state;
    assert_int_equal(store_put_if(&held, "k", "1", STORE_ABSENT, &old, &why), STORE_DONE);
    assert_int_equal(store_delete_if(&held, "k", old, &why), STORE_DONE);
    store_close(&held); /* nor after a restart */
    assert_true(store_open(&held, folder, &why));
    assert_int_equal(store_put_if(&held, "k", "1", STORE_ABSENT, &anew, &why), STORE_DONE);
    assert_int_not_equal(old, anew);
    assert_int_equal(store_put_if(&held, "k", "x", old, NULL, &why), STORE_STALE);
}

static void a_transaction_is_all_or_nothing(void **state) {
    int64_t a, both;
    (void)state;
    assert_int_equal(store_put_if(&held, "a", "1", STORE_ABSENT, &a, &why), STORE_DONE);
    const struct store_step steps[] = {{"b", STORE_ABSENT, STORE_PUT, "2"},
                                       {"a", STORE_ANY, STORE_DELETE, NULL},
                                       {"c", a, STORE_CHECK, NULL}};
    assert_int_equal(store_transact(&held, steps, 3, NULL, &why), STORE_STALE);
    expect_row("a", "1", a);
    expect_row("b", NULL, STORE_ABSENT);
    assert_int_equal(store_transact(&held, steps, 2, &both, &why), STORE_DONE);
    expect_row("a", NULL, STORE_ABSENT);
    expect_row("b", "2", both);
}

static void what_was_put_is_seen_and_comes_first(void **state) {
    int64_t at;
    (void)state;
    store_put(&held, "k", "put");
    expect_row("k", "put", STORE_UNCOMMITTED);
    assert_int_equal(store_put_if(&held, "k", "x", STORE_ABSENT, NULL, &why), STORE_STALE);
    char *text = store_get(&held, "k", &at);
    assert_string_equal(text, "put");
    assert_true(at > 0);
    free(text);
    store_put(&held, "k", NULL);
    expect_row("k", NULL, STORE_UNCOMMITTED);
}

static void a_lease_has_one_holder_until_it_ends(void **state) {
    int64_t fence, later;
    (void)state;
    assert_int_equal(store_lease(&held, "acme", "edge1", 100, 30, &fence, &why), STORE_DONE);
    assert_int_equal(store_lease(&held, "acme", "edge2", 129, 30, &later, &why), STORE_STALE);
    assert_int_equal(store_lease(&held, "acme", "edge1", 110, 30, &later, &why), STORE_DONE);
    assert_int_equal(later, fence);
    assert_int_equal(store_lease(&held, "acme", "edge2", 139, 30, &later, &why), STORE_STALE);
    assert_int_equal(store_lease(&held, "acme", "edge2", 140, 30, &later, &why), STORE_DONE);
    assert_true(later > fence);
    assert_int_equal(store_lease_end(&held, "acme", "edge1", &why), STORE_STALE);
    assert_int_equal(store_lease_end(&held, "acme", "edge2", &why), STORE_DONE);
    fence = later;
    assert_int_equal(store_lease(&held, "acme", "edge1", 141, 30, &later, &why), STORE_DONE);
    assert_true(later > fence);
}

static void note_changed(void *user, const char *key, const char *value, int64_t revision) {
    char *seen = user;
    assert_true(revision > 0);
    sprintf(seen + strlen(seen), "%s=%s ", key, value ? value : "(gone)");
    if (!strcmp(key, "claim/a"))
        store_put(&held, "claim/echo", "put by a watcher");
}

static void watchers_hear_of_what_is_on_disk_and_of_nothing_else(void **state) {
    char seen[256] = "";
    struct store_watch watch = {.prefix = "claim/", .changed = note_changed, .user = seen};
    (void)state;
    store_watch(&held, &watch);
    store_put(&held, "claim/a", "1");
    store_put(&held, "port/1", "x");
    assert_string_equal(seen, "");
    assert_true(store_commit(&held, &why));
    assert_string_equal(seen, "claim/a=1 ");
    assert_int_equal(store_pending(&held), 1);
    *seen = 0;
    assert_int_equal(store_put_if(&held, "claim/b", "2", 77, NULL, &why), STORE_STALE);
    assert_string_equal(seen, "claim/echo=put by a watcher ");
    *seen = 0;
    assert_int_equal(store_delete_if(&held, "claim/a", STORE_ANY, &why), STORE_DONE);
    assert_string_equal(seen, "claim/a=(gone) ");
    store_unwatch(&held, &watch);
    assert_int_equal(store_put_if(&held, "claim/b", "2", STORE_ABSENT, NULL, &why), STORE_DONE);
    assert_string_equal(seen, "claim/a=(gone) ");
}

static void a_store_that_cannot_be_had_answers_so(void **state) {
    struct store other;
    int64_t at;
    (void)state;
    assert_true(store_commit(&held, &why));
    assert_int_equal(store_put_if(&held, "k", "v", STORE_ANY, NULL, &why), STORE_DONE);
    assert_false(store_open(&other, folder, &why));
    assert_null(store_get(&other, "k", &at));
    assert_int_equal(at, STORE_ANY);
    assert_int_equal(store_put_if(&other, "k", "x", STORE_ANY, NULL, &why), STORE_FAILED);
    assert_int_equal(store_lease(&other, "acme", "edge2", 1, 1, &at, &why), STORE_FAILED);
    store_close(&other);
}

static void rows_of_the_first_layout_are_kept(void **state) {
    static const char old[] = "CREATE TABLE row(key TEXT PRIMARY KEY, value TEXT NOT NULL,"
                              " revision INTEGER NOT NULL) WITHOUT ROWID;"
                              "INSERT INTO row VALUES('name/a.example', '{}', 7);"
                              "PRAGMA user_version = 1";
    sqlite3 *db;
    int64_t revision;
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/ringress.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, old, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(store_open(&held, folder, &why));
    expect_row("name/a.example", "{}", 7);
    assert_int_equal(store_put_if(&held, "b", "1", STORE_ABSENT, &revision, &why), STORE_DONE);
    assert_int_equal(revision, 8);
    store_close(&held);
}

#define HELD_TEST(name) cmocka_unit_test_setup_teardown(name, held_open, held_close)
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(committed_rows_survive_and_others_do_not),
        STORE_TEST(the_last_of_two_writes_to_a_row_wins),
        STORE_TEST(its_file_is_for_its_owner_alone),
        STORE_TEST(a_second_process_cannot_open_what_is_held),
        STORE_TEST(what_is_no_database_is_left_alone),
        STORE_TEST(rows_of_the_first_layout_are_kept),
        HELD_TEST(a_row_is_written_only_by_who_saw_it_as_it_is),
        HELD_TEST(a_row_made_anew_is_not_taken_for_the_old_one),
        HELD_TEST(a_transaction_is_all_or_nothing),
        HELD_TEST(what_was_put_is_seen_and_comes_first),
        HELD_TEST(a_lease_has_one_holder_until_it_ends),
        HELD_TEST(watchers_hear_of_what_is_on_disk_and_of_nothing_else),
        HELD_TEST(a_store_that_cannot_be_had_answers_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
