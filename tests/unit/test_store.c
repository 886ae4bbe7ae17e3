/* SPDX-License-Identifier: GPL-3.0-or-later
 * The state store: what was committed is there after a restart, and never more than that.
 * link: edge/store.c edge/file.c
 */
#include "edge/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int folder_make(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ringress-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state) {
    static const char *const file[] = {"ringress.db", "ringress.db-wal", "ringress.db-shm"};
    char path[128];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, file[i]);
        unlink(path);
    }
    return rmdir(folder);
}

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

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(committed_rows_survive_and_others_do_not),
        STORE_TEST(the_last_of_two_writes_to_a_row_wins),
        STORE_TEST(its_file_is_for_its_owner_alone),
        STORE_TEST(a_second_process_cannot_open_what_is_held),
        STORE_TEST(what_is_no_database_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
