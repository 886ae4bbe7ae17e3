/* SPDX-License-Identifier: GPL-3.0-or-later
 * The key of the tokens: made once, kept, and never lost in silence.
 * link: edge/secret.c edge/store.c edge/file.c
 */
#include "core/log.h"
#include "core/module.h"
#include "edge/secret.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[128], log_path[128];
static struct store store;
static uint8_t first[SECRET_LENGTH], now[SECRET_LENGTH];

static int up(void **state) {
    struct err err;
    (void)state;
    strcpy(folder, "/tmp/ringress-secret-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/secret", folder);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    memset(first, 0, sizeof first);
    return !log_open(log_path, 2, &err) || !store_open(&store, folder, &err);
}

static int down(void **state) {
    static const char *const file[] = {"ringress.db", "ringress.db-wal", "ringress.db-shm",
                                       "secret", "log"};
    struct err err;
    char name[128];
    (void)state;
    store_close(&store);
    if (!log_open("stderr", 2, &err))
        return -1;
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, file[i]);
        unlink(name);
    }
    return rmdir(folder);
}

/* As after a restart. */
static void load(uint8_t ret[SECRET_LENGTH]) {
    struct err err;
    secret_load(folder, &store, ret);
    assert_true(store_commit(&store, &err));
    store_close(&store);
    assert_true(store_open(&store, folder, &err));
}

static bool logged(const char *words) {
    static char text[8192];
    FILE *f = fopen(log_path, "r");
    text[f ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
    if (f)
        fclose(f);
    return strstr(text, words);
}

static void file_is(const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void it_is_made_once_for_its_owner_and_kept(void **state) {
    struct stat st;
    (void)state;
    load(first);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    load(now);
    assert_memory_equal(first, now, SECRET_LENGTH);
    assert_false(logged("token"));
}

static void its_loss_is_told_once(void **state) {
    (void)state;
    load(first);
    unlink(path);
    load(now);
    assert_memory_not_equal(first, now, SECRET_LENGTH);
    assert_true(logged("was lost"));
    assert_int_equal(truncate(log_path, 0), 0);
    load(first);
    assert_memory_equal(first, now, SECRET_LENGTH);
    assert_false(logged("token"));
}

static void another_one_is_told(void **state) {
    (void)state;
    load(first);
    file_is("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    load(now);
    assert_int_equal(now[1], 0x11);
    assert_true(logged("is not the one it was"));
}

static void one_that_cannot_be_read_is_left_alone(void **state) {
    (void)state;
    load(first);
    file_is("half of it\n");
    load(now);
    assert_memory_not_equal(first, now, SECRET_LENGTH);
    assert_true(logged("is not 64 hexadecimal digits"));
    load(first);
    assert_memory_not_equal(first, now, SECRET_LENGTH); /* of one life */
    char text[32];
    FILE *f = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "half of it\n");
}

#define SECRET_TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SECRET_TEST(it_is_made_once_for_its_owner_and_kept),
        SECRET_TEST(its_loss_is_told_once),
        SECRET_TEST(another_one_is_told),
        SECRET_TEST(one_that_cannot_be_read_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
