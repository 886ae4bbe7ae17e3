/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_tickets.c - ticket keys on disk: what comes back after a restart, and what must not.
 */
#include "core/ticket_file.h"
#include "core/tls.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
/* after the above */
#include <cmocka.h>

enum { NOW = 1000000, AGE = 1000 };

static char folder[] = "/tmp/ringress-tickets-XXXXXX";
static char path[64], beside[72];

static int folder_make(void **state) {
    (void)state;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/ticket-keys", folder);
    snprintf(beside, sizeof beside, "%s.new", path);
    return 0;
}

static int folder_remove(void **state) {
    (void)state;
    unlink(path);
    unlink(beside);
    return rmdir(folder);
}

static struct ticket_keys some(int64_t first, int64_t second) {
    struct ticket_keys k = {.count = 2, .key = {{.made = first}, {.made = second}}};
    memset(k.key[0].name, 0x1f, TICKET_NAME);
    memset(k.key[0].secret, 0xa2, TICKET_SECRET);
    memset(k.key[1].name, 0xe3, TICKET_NAME);
    memset(k.key[1].secret, 0x04, TICKET_SECRET);
    return k;
}

static void text_write(const char *text, mode_t mode) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static char *text_of_file(void) {
    static char text[1000];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void keys_come_back_as_they_were_and_only_we_may_read_them(void **state) {
    (void)state;
    struct err err;
    struct stat st;
    struct ticket_keys k = some(NOW - 1, NOW - 500), back;
    text_write("an older one", 0644);
    assert_true(ticket_file_write(path, &k, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(access(beside, F_OK), 0);
    assert_true(ticket_file_read(path, NOW, AGE, &back, &err));
    assert_memory_equal(&back, &k, sizeof k);
}

static void no_file_is_no_error_and_no_keys(void **state) {
    (void)state;
    struct err err;
    struct ticket_keys back;
    assert_true(ticket_file_read(path, NOW, AGE, &back, &err));
    assert_int_equal(back.count, 0);
}

static void expired_keys_and_those_of_the_future_are_left_out(void **state) {
    (void)state;
    struct err err;
    struct ticket_keys k = some(NOW - 1, NOW - AGE), back;
    assert_true(ticket_file_write(path, &k, &err));
    assert_true(ticket_file_read(path, NOW, AGE, &back, &err));
    assert_int_equal(back.count, 1);
    assert_int_equal(back.key[0].made, NOW - 1);
    assert_true(ticket_file_read(path, NOW - 2, AGE, &back, &err));
    assert_int_equal(back.count, 1);
    assert_int_equal(back.key[0].made, NOW - AGE);
    assert_true(ticket_file_read(path, NOW + 2 * AGE, AGE, &back, &err));
    assert_int_equal(back.count, 0);
}

static void a_file_that_others_could_read_is_not_used(void **state) {
    (void)state;
    struct err err;
    struct ticket_keys k = some(NOW - 1, NOW - 2), back;
    assert_true(ticket_file_write(path, &k, &err));
    assert_int_equal(chmod(path, 0640), 0);
    assert_false(ticket_file_read(path, NOW, AGE, &back, &err));
    assert_int_equal(back.count, 0);
    assert_non_null(strstr(err.text, "others"));
}

static void a_link_is_not_followed(void **state) {
    (void)state;
    struct err err;
    struct ticket_keys k = some(NOW - 1, NOW - 2), back;
    assert_true(ticket_file_write(beside, &k, &err));
    assert_int_equal(symlink(beside, path), 0);
    assert_false(ticket_file_read(path, NOW, AGE, &back, &err));
    assert_int_equal(back.count, 0);
}

static void what_we_did_not_write_gives_no_keys(void **state) {
    (void)state;
    struct err err;
    struct ticket_keys k = some(NOW - 1, NOW - 2), back;
    assert_true(ticket_file_write(path, &k, &err));
    char whole[1000];
    strcpy(whole, text_of_file());
    size_t length = strlen(whole);
    for (size_t cut = 0; cut < length;
         cut++) { /* as a full disk leaves it, were it not for the rename */
        char part[1000];
        snprintf(part, sizeof part, "%.*s", (int)cut, whole);
        text_write(part, 0600);
        bool line_end = cut && part[cut - 1] == '\n';
        assert_int_equal(ticket_file_read(path, NOW, AGE, &back, &err), line_end);
        if (!line_end)
            assert_int_equal(back.count, 0);
    }
    const char *const bad[] = {"ringress ticket keys 2\n", "ringress ticket keys 1\n \n",
                               "ringress ticket keys 1\n99999999999999999999 00 00\n",
                               "ringress ticket keys 1\n5 XY\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        text_write(bad[i], 0600);
        assert_false(ticket_file_read(path, NOW, AGE, &back, &err));
    }
    snprintf(whole + length, sizeof whole - length, "%s", strchr(whole, '\n') + 1); /* four keys */
    text_write(whole, 0600);
    assert_false(ticket_file_read(path, NOW, AGE, &back, &err));
}

static void a_folder_that_is_gone_is_an_error_with_its_name(void **state) {
    (void)state;
    struct err err;
    struct ticket_keys k = some(NOW - 1, NOW - 2);
    assert_false(ticket_file_write("/nowhere/ticket-keys", &k, &err));
    assert_non_null(strstr(err.text, "/nowhere/ticket-keys"));
}

/* What a process would start with, as text. */
static char *started(void) {
    static char text[4][1000];
    static unsigned n;
    assert_true(tickets_init(folder));
    tickets_fini();
    return strcpy(text[n++ % 4], text_of_file());
}

static void key_at(int64_t made) {
    struct err err;
    struct ticket_keys k = {.count = 1, .key = {{.made = made}}};
    assert_true(ticket_file_write(path, &k, &err));
}

static unsigned lines(const char *text) {
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void a_restart_goes_on_with_the_keys_and_rotates_when_due(void **state) {
    (void)state;
    char *first = started(), *second = started();
    assert_string_equal(first, second);
    assert_int_equal(lines(first), 2);
    key_at(time(NULL) - TICKET_ROTATE_S - 1);
    char *due = started();
    assert_int_equal(lines(due), 3); /* a new one, and the one that sealed until now */
    key_at(time(NULL) - 2 * TICKET_ROTATE_S);
    assert_int_equal(lines(started()), 2);
    key_at(time(NULL) + 1000);
    assert_int_equal(lines(started()), 2);
}

static void keys_rotate_while_we_run_and_when_the_clock_is_set_back(void **state) {
    (void)state;
    char before[1000];
    int64_t now = time(NULL);
    assert_true(tickets_init(folder));
    strcpy(before, text_of_file());
    tickets_rotate_if_due(now + TICKET_ROTATE_S - 10);
    assert_string_equal(text_of_file(), before);
    tickets_rotate_if_due(now + TICKET_ROTATE_S + 10);
    assert_string_not_equal(text_of_file(), before);
    assert_int_equal(lines(text_of_file()), 3);
    strcpy(before, text_of_file());
    tickets_rotate_if_due(now);
    assert_string_not_equal(text_of_file(), before);
    tickets_fini();
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(keys_come_back_as_they_were_and_only_we_may_read_them),
        STORY(no_file_is_no_error_and_no_keys),
        STORY(expired_keys_and_those_of_the_future_are_left_out),
        STORY(a_file_that_others_could_read_is_not_used),
        STORY(a_link_is_not_followed),
        STORY(what_we_did_not_write_gives_no_keys),
        STORY(a_folder_that_is_gone_is_an_error_with_its_name),
        STORY(a_restart_goes_on_with_the_keys_and_rotates_when_due),
        STORY(keys_rotate_while_we_run_and_when_the_clock_is_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
