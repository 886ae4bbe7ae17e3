/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_access.c - a line of the access log is JSON whatever clients sent, gets into the file whole or is counted as lost, and nobody
 * waits for it. The lines are made as workers make them, the files and pipes are real.
 */
#include "core/access_log.h"
#include "core/access_ring.h"
#include "core/json.h"
#include "core/module.h"
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000 };

static char folder[64], path[128];

/* ---- text ---- */

static json_t *text_parsed(const char *text, size_t length, size_t most) {
    char *out = malloc(most + 2); /* exactly: writing on is seen */
    char *end = json_text(out, most, text, length);
    assert_true(end <= out + most + 2);
    json_t *value = json_loadb(out, (size_t)(end - out), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    free(out);
    return value;
}

static void assert_text(const char *text, size_t length, size_t most, const char *want) {
    json_t *value = text_parsed(text, length, most);
    assert_string_equal(json_string_value(value), want);
    json_decref(value);
}

static void text_that_is_utf8_comes_out_as_it_was(void **state) {
    static const char *const texts[] = {"",
                                        "/plain",
                                        "/q\"uo\\te",
                                        "tab\there\r\n",
                                        "\x01\x1f\x7f",
                                        "gr\xc3\xbc\xc3\x9f",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x99\x82",
                                        "\xed\x9f\xbf\xee\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "\xc2\x80\xdf\xbf"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_text(texts[i], strlen(texts[i]), 200, texts[i]);
    json_t *nul = text_parsed("a\0b", 3, 20);
    assert_int_equal(json_string_length(nul), 3);
    json_decref(nul);
}

#define BAD "\xef\xbf\xbd"

static void bytes_that_are_no_utf8_are_replaced(void **state) {
    (void)state;
    assert_text("a\xff"
                "b",
                3, 20, "a" BAD "b");
    assert_text("\x80", 1, 20, BAD);
    assert_text("\xc3", 1, 20, BAD); /* cut */
    assert_text("\xc3(", 2, 20, BAD "(");
    assert_text("\xc0\xaf", 2, 20, BAD BAD); /* overlong */
    assert_text("\xe0\x9f\xbf", 3, 20, BAD BAD BAD);
    assert_text("\xf0\x8f\xbf\xbf", 4, 20, BAD BAD BAD BAD);
    assert_text("\xed\xa0\x80", 3, 20, BAD BAD BAD); /* a surrogate */
    assert_text("\xf4\x90\x80\x80", 4, 20, BAD BAD BAD BAD);
    assert_text("\xe2\x82", 2, 20, BAD BAD);
}

static void text_that_is_too_long_ends_in_an_ellipsis_at_a_whole_character(void **state) {
    (void)state;
    assert_text("12345678", 8, 8, "12345678");
    assert_text("123456789", 9, 8, "12345\xe2\x80\xa6");
    assert_text("1234\xe2\x82\xacxy", 9, 8, "1234\xe2\x80\xa6");
    assert_text("12345\xe2\x82\xac", 8, 8, "12345\xe2\x82\xac");
    assert_text("123456\xe2\x82\xac", 9, 8, "12345\xe2\x80\xa6");
    assert_text("\x01\x02", 2, 8, "\xe2\x80\xa6");
    assert_text("12\x01", 3, 8, "12\x01");
}

static void whatever_the_bytes_are_it_is_a_json_string(void **state) {
    char text[64];
    (void)state;
    srand(7);
    for (int i = 0; i < 20000; i++) {
        size_t length = (size_t)rand() % sizeof text;
        for (size_t k = 0; k < length; k++)
            text[k] = (char)(i & 1 ? rand() : "\"\\\xc3\xa9\xf0\x9f\x01z"[rand() % 8]);
        json_decref(text_parsed(text, length, 8 + (size_t)rand() % 80));
    }
}

/* ---- lines ---- */

static struct access_text all_of(char c, size_t length) {
    char *text = malloc(length + 1);
    memset(text, c, length);
    text[length] = 0;
    return (struct access_text){text, length};
}

static void the_longest_line_fits_and_is_valid(void **state) {
    struct access_text big = all_of('\x01', 100000);
    struct access_record r = {.size = sizeof r,
                              .error = ACCESS_POD_MALFORMED,
                              .status = 65535,
                              .retries = UINT32_MAX,
                              .tenant = big.text,
                              .client = big,
                              .host = big,
                              .method = big,
                              .path = big,
                              .query = big,
                              .protocol = big,
                              .sni = big,
                              .request_id = big,
                              .ingress = big.text,
                              .rule = big.text,
                              .service = big.text,
                              .pod = big.text,
                              .detail = big.text,
                              .bytes_in = INT64_MAX,
                              .bytes_out = INT64_MAX,
                              .routed_us = INT64_MAX,
                              .connected_us = INT64_MAX,
                              .first_byte_us = INT64_MAX,
                              .total_us = INT64_MAX};
    struct access_facts facts = {UINT32_MAX, UINT16_MAX, true, big.text, big.text, 1};
    struct access_clock clock = {0};
    char *out = malloc(ACCESS_LINE_MAX);
    (void)state;
    for (int type = ACCESS_HTTP; type <= ACCESS_REFUSED; type++) {
        r.type = (uint8_t)type;
        size_t length = access_line(out, &clock, &facts, &r);
        assert_true(length <= ACCESS_LINE_MAX);
        assert_ptr_equal(memchr(out, '\n', length), out + length - 1);
        json_t *line = json_loadb(out, length, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(line);
        json_decref(line);
    }
    free(out);
    free((char *)(uintptr_t)big.text);
}

static void what_is_not_there_is_null_and_every_line_has_every_field(void **state) {
    struct access_record r = {.size = sizeof r, .connected_us = ACCESS_NEVER};
    struct access_facts facts = {.worker = 3, .now_us = 1};
    struct access_clock clock = {0};
    char out[ACCESS_LINE_MAX];
    (void)state;
    json_t *bare = json_loadb(out, access_line(out, &clock, &facts, &r), 0, NULL);
    assert_non_null(bare);
    assert_int_equal(json_object_size(bare), 28);
    assert_true(json_is_null(json_object_get(bare, "tenant")));
    assert_true(json_is_null(json_object_get(bare, "status")));
    assert_true(json_is_null(json_object_get(bare, "error")));
    assert_true(json_is_null(json_object_get(bare, "connected_us")));
    assert_int_equal(json_integer_value(json_object_get(bare, "total_us")), 0);
    json_decref(bare);
}

static void time_is_utc_to_the_microsecond(void **state) {
    struct access_clock clock = {.wall_us = 1769860800000000, .checked_us = 5};
    struct access_record r = {.size = sizeof r, .begun_us = 7};
    struct access_facts facts = {.now_us = 5};
    char out[ACCESS_LINE_MAX];
    (void)state;
    access_line(out, &clock, &facts, &r);
    assert_memory_equal(out, "{\"time\":\"2026-01-31T12:00:00.000007Z\",", 38);
    r.begun_us = 999999;
    access_line(out, &clock, &facts, &r);
    assert_memory_equal(out, "{\"time\":\"2026-01-31T12:00:00.999999Z\",", 38);
    r.begun_us = 1000000;
    access_line(out, &clock, &facts, &r);
    assert_memory_equal(out, "{\"time\":\"2026-01-31T12:00:01.000000Z\",", 38);
}

/* ---- the ring ---- */

static void a_full_ring_loses_and_counts_and_takes_again(void **state) {
    struct access_ring r = {.data = malloc(64), .size = 64};
    char line[40];
    (void)state;
    memset(line, 'x', sizeof line);
    assert_true(access_ring_put(&r, line, 40, 64));
    assert_false(access_ring_put(&r, line, 40, 64));
    assert_true(access_ring_put(&r, line, 24, 64)); /* to the last byte */
    assert_int_equal(r.lines, 2);
    assert_int_equal(r.lost, 1);
    r.tail = 40;
    memset(line, 'y', sizeof line);
    assert_true(access_ring_put(&r, line, 40, 64)); /* around the end */
    assert_int_equal(r.head, 104);
    assert_memory_equal(r.data, line, 40);
    free(r.data);
}

/* ---- the writer ---- */

static void start(const char *to, unsigned workers, size_t ring_size) {
    struct err err;
    struct access_conf conf = {.path = to, .workers = workers, .ring_size = ring_size};
    if (!access_log_start(&conf, &err))
        fail_msg("%s", err.text);
}

/* A line that says its number as its status and its worker as its worker. */
static void put(unsigned worker, unsigned number) {
    struct access_record r = {.size = sizeof r, .bytes_in = number, .path = {"/a/path", 7}};
    struct access_facts facts = {.tenant = "acme", .now_us = 1 + number};
    access_log_put(worker, &facts, &r);
}

static void wait_until_written(void) {
    for (int ms = 0; access_log_figures().pending; ms++) {
        assert_true(ms < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

static char *file_text(const char *name) {
    FILE *f = fopen(name, "re");
    char *text = NULL;
    size_t length;
    assert_non_null(f);
    FILE *out = open_memstream(&text, &length);
    for (int c; (c = fgetc(f)) != EOF;)
        fputc(c, out);
    fclose(out);
    fclose(f);
    return text;
}

/* Marks in `seen` what the whole lines of the text say; `cut`: bytes behind the last of them may be there. */
static unsigned lines_mark(const char *text, unsigned char *seen, bool cut) {
    unsigned count = 0;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1, count++) {
        json_t *line = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, NULL);
        if (!line)
            fail_msg("no JSON: %.*s", (int)(end - text), text);
        seen[json_integer_value(json_object_get(line, "bytes_in"))]++;
        json_decref(line);
    }
    assert_true(cut || !*text);
    return count;
}

static unsigned file_mark(const char *name, unsigned char *seen, bool cut) {
    char *text = file_text(name);
    unsigned count = lines_mark(text, seen, cut);
    free(text);
    return count;
}

static void assert_each_once(const unsigned char *seen, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (seen[i] != 1)
            fail_msg("line %u is there %u times", i, seen[i]);
}

static void lines_of_several_workers_get_into_the_file_whole(void **state) {
    enum { WORKERS = 3, EACH = 3000 };
    unsigned char *seen = calloc(WORKERS, EACH);
    (void)state;
    start(path, WORKERS, 0);
    for (unsigned i = 0; i < EACH; i++)
        for (unsigned w = 0; w < WORKERS; w++)
            put(w, w * EACH + i);
    access_log_stop();
    assert_int_equal(file_mark(path, seen, false), WORKERS * EACH);
    assert_each_once(seen, WORKERS * EACH);
    free(seen);
}

static void stopping_without_a_log_or_twice_is_nothing(void **state) {
    struct err err;
    (void)state;
    access_log_stop();
    assert_false(access_wanted());
    assert_true(access_log_reopen(&err));
    assert_int_equal(access_log_figures().lines, 0);
}

static void a_path_that_can_not_be_opened_is_an_error(void **state) {
    struct err err;
    (void)state;
    assert_false(access_log_start(&(struct access_conf){.path = "/nowhere/x", .workers = 1}, &err));
    assert_non_null(strstr(err.text, "/nowhere/x: No such file"));
    assert_false(access_log_start(&(struct access_conf){.path = "/", .workers = 1}, &err));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(access_log_start(&(struct access_conf){.path = path, .workers = 1}, &err));
    assert_non_null(strstr(err.text, "nobody reads"));
    assert_false(access_wanted());
}

static void rotation_loses_no_line(void **state) {
    enum { LINES = 20000, TURNS = 20 };
    unsigned char *seen = calloc(1, LINES);
    char moved[160];
    unsigned count = 0;
    struct err err;
    (void)state;
    start(path, 1, 0);
    for (unsigned i = 0; i < LINES; i++) {
        if (i % (LINES / TURNS) == LINES / TURNS / 2) {
            snprintf(moved, sizeof moved, "%s.%u", path, i);
            assert_int_equal(rename(path, moved), 0);
            assert_true(access_log_reopen(&err));
            while (access(path, F_OK)) /* the next rename needs it */
                poll(NULL, 0, 1);
        }
        put(0, i);
        if (i % 500 == 0)
            wait_until_written();
    }
    access_log_stop();
    for (unsigned i = LINES / TURNS / 2; i < LINES; i += LINES / TURNS) {
        snprintf(moved, sizeof moved, "%s.%u", path, i);
        count += file_mark(moved, seen, false);
    }
    assert_int_equal(count + file_mark(path, seen, false), LINES);
    assert_each_once(seen, LINES);
    free(seen);
}

static void a_path_that_is_gone_when_it_is_opened_again_leaves_the_old_file(void **state) {
    unsigned char seen[2] = {0};
    char moved[160];
    struct err err;
    (void)state;
    start(path, 1, 0);
    snprintf(moved, sizeof moved, "%s.moved", path);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(access_log_reopen(&err));
    put(0, 0);
    put(0, 1);
    access_log_stop();
    assert_int_equal(file_mark(moved, seen, false), 2);
    rmdir(path);
}

/* ---- destinations that take nothing ---- */

static void file_size_limit(rlim_t most) {
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void wait_until_size(const char *name, off_t size) {
    struct stat st;
    for (int ms = 0; stat(name, &st) || st.st_size < size; ms++) {
        assert_true(ms < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

static void a_full_disk_is_survived_and_lines_go_on_where_they_stopped(void **state) {
    enum { LINES = 100 };
    unsigned char seen[LINES] = {0};
    (void)state;
    file_size_limit(
        10000); /* what the kernel does is what it does on a full disk: a part, then an error */
    start(path, 1, 0);
    for (unsigned i = 0; i < LINES; i++)
        put(0, i);
    wait_until_size(path, 10000);
    assert_true(access_log_figures().pending > 0);
    file_size_limit(RLIM_INFINITY);
    wait_until_written();
    access_log_stop();
    assert_int_equal(file_mark(path, seen, false), LINES);
    assert_each_once(seen, LINES);
}

static void a_file_taken_away_in_the_middle_of_a_line_is_followed_by_the_whole_line(void **state) {
    enum { LINES = 100 };
    unsigned char seen[LINES] = {0};
    char moved[160];
    struct err err;
    (void)state;
    file_size_limit(10000);
    start(path, 1, 0);
    for (unsigned i = 0; i < LINES; i++)
        put(0, i);
    wait_until_size(path, 10000);
    file_size_limit(RLIM_INFINITY);
    snprintf(moved, sizeof moved, "%s.full", path);
    assert_int_equal(rename(path, moved), 0);
    assert_true(access_log_reopen(&err));
    wait_until_written();
    access_log_stop();
    unsigned count = file_mark(moved, seen, true);
    assert_int_equal(count + file_mark(path, seen, false), LINES);
    assert_each_once(seen, LINES);
}

static void a_device_without_room_loses_lines_counted_and_holds_nobody_up(void **state) {
    enum { LINES = 1000 };
    (void)state;
    start("/dev/full", 1, 16384);
    for (unsigned i = 0; i < LINES; i++)
        put(0, i);
    struct access_figures f = access_log_figures();
    assert_true(f.lost > 0);
    assert_int_equal(f.lines + f.lost, LINES);
    access_log_stop();
}

static void a_pipe_that_nobody_reads_loses_lines_counted_and_the_others_come_whole(void **state) {
    enum { LINES = 20000 };
    unsigned char *seen = calloc(1, LINES);
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    start(path, 1, 65536);
    for (unsigned i = 0; i < LINES; i++)
        put(0, i);
    struct access_figures f = access_log_figures();
    assert_true(f.lost > 0);
    assert_int_equal(f.lines + f.lost, LINES);

    char *text = NULL, chunk[65536];
    size_t length;
    FILE *out = open_memstream(&text, &length);
    for (int ms = 0; access_log_figures().pending; ms++) {
        ssize_t n = read(reader, chunk, sizeof chunk);
        if (n > 0)
            fwrite(chunk, 1, (size_t)n, out);
        poll(NULL, 0, n > 0 ? 0 : 1);
        assert_true(ms < PATIENCE_MS);
    }
    access_log_stop();
    for (ssize_t n; (n = read(reader, chunk, sizeof chunk)) > 0;)
        fwrite(chunk, 1, (size_t)n, out);
    fclose(out);
    assert_int_equal(lines_mark(text, seen, false), f.lines);
    close(reader);
    free(text);
    free(seen);
}

/* Anybody can ask for names of nobody, and break off handshakes, as often as he likes. */
static void a_flood_of_nobodys_lines_and_of_refusals_leaves_room_for_the_others(void **state) {
    struct access_record refused = {.size = sizeof refused, .type = ACCESS_REFUSED},
                         asked = {.size = sizeof asked, .path = {"/", 1}};
    (void)state;
    start("/dev/full", 1, 65536);
    for (unsigned i = 0; i < 1000; i++) {
        access_log_put(0, &(struct access_facts){.now_us = 1}, &asked);
        access_log_put(0, &(struct access_facts){.tenant = "acme", .now_us = 1}, &refused);
    }
    struct access_figures flooded = access_log_figures();
    assert_true(flooded.pending <= 65536 / 4 && flooded.pending > 65536 / 4 - ACCESS_LINE_MAX);
    assert_int_equal(flooded.lines + flooded.lost, 2000);
    for (unsigned i = 0; i < 50; i++)
        access_log_put(0, &(struct access_facts){.tenant = "acme", .now_us = 1}, &asked);
    assert_int_equal(access_log_figures().lost, flooded.lost);
    assert_int_equal(access_log_figures().lines, flooded.lines + 50);
    access_log_stop();
}

static void a_pipe_whose_reader_has_gone_is_survived(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    start(path, 1, 16384);
    close(reader);
    for (unsigned i = 0; i < 1000; i++)
        put(0, i);
    assert_true(access_log_figures().lost > 0);
    access_log_stop();
}

/* ---- frame ---- */

static int folder_make(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ringress-access-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/access.log", folder);
    return 0;
}

static int folder_remove(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(text_that_is_utf8_comes_out_as_it_was),
        STORY(bytes_that_are_no_utf8_are_replaced),
        STORY(text_that_is_too_long_ends_in_an_ellipsis_at_a_whole_character),
        STORY(whatever_the_bytes_are_it_is_a_json_string),
        STORY(the_longest_line_fits_and_is_valid),
        STORY(what_is_not_there_is_null_and_every_line_has_every_field),
        STORY(time_is_utc_to_the_microsecond),
        STORY(a_full_ring_loses_and_counts_and_takes_again),
        STORY(lines_of_several_workers_get_into_the_file_whole),
        STORY(stopping_without_a_log_or_twice_is_nothing),
        STORY(a_path_that_can_not_be_opened_is_an_error),
        STORY(rotation_loses_no_line),
        STORY(a_path_that_is_gone_when_it_is_opened_again_leaves_the_old_file),
        STORY(a_full_disk_is_survived_and_lines_go_on_where_they_stopped),
        STORY(a_file_taken_away_in_the_middle_of_a_line_is_followed_by_the_whole_line),
        STORY(a_device_without_room_loses_lines_counted_and_holds_nobody_up),
        STORY(a_pipe_that_nobody_reads_loses_lines_counted_and_the_others_come_whole),
        STORY(a_flood_of_nobodys_lines_and_of_refusals_leaves_room_for_the_others),
        STORY(a_pipe_whose_reader_has_gone_is_survived),
    };
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
