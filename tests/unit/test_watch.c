/* SPDX-License-Identifier: GPL-3.0-or-later
 * The watcher of conf.d: a tenant settles once per drop, however editors, copies and renames go about it.
 * The loop is the test's own and time passes only in it: no machine is too slow for a story, and none is waited for.
 * link: edge/watch.c edge/drop.c edge/file.c
 */
#include "edge/drop.h"
#include "edge/watch.h"
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
    struct watch watch;
    struct loop_source *source;
    struct loop_timer *timer;
    int64_t now_ns;
    char folder[64], settled[512];
    unsigned rescans;
};
static struct stage stage;

static void settled(void *user, const char *tenant) {
    strcat(((struct stage *)user)->settled, tenant);
    strcat(((struct stage *)user)->settled, " ");
}

static void flushed(void *user) {
    (void)user;
}

static void rescanned(void *user) {
    ((struct stage *)user)->rescans++;
}

/* --- the loop, as the watcher knows it ---------------------------------------------------------*/

int64_t loop_now_ns(void) {
    return stage.now_ns;
}

bool loop_add(struct loop *l, struct loop_source *s) {
    (void)l;
    stage.source = s;
    return true;
}

void loop_remove(struct loop *l, struct loop_source *s) {
    (void)l;
    (void)s;
    stage.source = NULL;
}

bool loop_add_timer(struct loop *l, struct loop_timer *t) {
    (void)l;
    stage.timer = t;
    return true;
}

static void source_read(void) {
    struct pollfd fd = {.fd = stage.source->fd, .events = stage.source->events};
    if (poll(&fd, 1, 0) == 1)
        stage.source->ready(stage.source, fd.revents);
}

static bool timer_fire(int64_t until_ns) {
    struct loop_timer *t = stage.timer;
    if (!t->due_ns || t->due_ns > until_ns)
        return false;
    if (stage.now_ns < t->due_ns)
        stage.now_ns = t->due_ns;
    t->due_ns = 0;
    t->fire(t);
    return true;
}

/* What has settled by `ms` from now; forgets it. */
static const char *after_ms(int ms) {
    static char text[512];
    int64_t until_ns = stage.now_ns + ms * 1000000ll;
    do
        source_read();
    while (timer_fire(until_ns));
    stage.now_ns = until_ns;
    strcpy(text, stage.settled);
    stage.settled[0] = 0;
    return text;
}

static const char *path(const char *name) {
    static char text[2][256];
    static unsigned turn;
    turn ^= 1;
    snprintf(text[turn], sizeof text[turn], "%s/%s", stage.folder, name);
    return text[turn];
}

static int file_open(const char *name) {
    int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: b\n", 5), 5);
    return fd;
}

static void file_put(const char *name) {
    close(file_open(name));
}

static int stage_open(void **state) {
    static const struct watch_events events = {settled, flushed, rescanned};
    (void)state;
    stage = (struct stage){.now_ns = 1};
    strcpy(stage.folder, "/tmp/ringress-watch-XXXXXX");
    if (!mkdtemp(stage.folder))
        return -1;
    watch_init(&stage.watch, NULL, stage.folder, &events, &stage);
    return 0;
}

static int stage_close(void **state) {
    char command[128];
    (void)state;
    watch_fini(&stage.watch);
    snprintf(command, sizeof command, "rm -r %s", stage.folder);
    return system(command);
}

static void a_closed_file_settles_within_20_ms(void **state) {
    (void)state;
    file_put("acme.yaml");
    assert_string_equal(after_ms(20), "acme ");
}

static void a_file_that_is_being_written_does_not_settle(void **state) {
    (void)state;
    int fd = file_open("acme.yaml");
    assert_string_equal(after_ms(150), "");
    assert_true(watch_busy(&stage.watch, "acme"));
    assert_int_equal(write(fd, "c: d\n", 5), 5);
    assert_string_equal(after_ms(50), "");
    close(fd);
    assert_string_equal(after_ms(20), "acme ");
    assert_false(watch_busy(&stage.watch, "acme"));
}

static void a_rename_onto_it_settles_once(void **state) {
    (void)state;
    file_put(".acme.yaml.swp");
    file_put("acme.yaml.tmp");
    assert_string_equal(after_ms(20), "");
    assert_int_equal(rename(path("acme.yaml.tmp"), path("acme.yaml")), 0);
    assert_string_equal(after_ms(20), "acme ");
}

static void a_file_that_comes_back_at_once_settles_once(void **state) {
    (void)state;
    file_put("acme.yaml");
    assert_string_equal(after_ms(20), "acme ");
    assert_int_equal(rename(path("acme.yaml"), path("acme.yaml~")), 0);
    assert_string_equal(after_ms(20), "");
    file_put("acme.yaml");
    unlink(path("acme.yaml~"));
    assert_string_equal(after_ms(100), "acme ");
}

static void a_file_that_is_gone_settles_after_the_grace(void **state) {
    (void)state;
    file_put("acme.yaml");
    after_ms(20);
    unlink(path("acme.yaml"));
    assert_string_equal(after_ms(WATCH_GRACE_MS / 2), "");
    assert_string_equal(after_ms(WATCH_GRACE_MS), "acme ");
}

static void only_the_tenant_that_changed_settles(void **state) {
    (void)state;
    file_put("acme.yaml");
    file_put("globex.yaml");
    file_put("README.md");
    file_put("4913");
    after_ms(50);
    file_put("globex.yaml");
    assert_string_equal(after_ms(50), "globex ");
}

static void files_of_a_new_folder_are_noticed(void **state) {
    (void)state;
    mkdir(path("acme"), 0700);
    assert_string_equal(after_ms(50), "acme ");
    file_put("acme/web.yaml");
    assert_string_equal(after_ms(20), "acme ");
    file_put("acme/notes.txt");
    file_put("acme/.web.yaml.swp");
    assert_string_equal(after_ms(50), "");
    assert_int_equal(rename(path("acme"), path("globex")), 0);
    assert_non_null(strstr(after_ms(100), "globex "));
    file_put("globex/web.yaml");
    assert_string_equal(after_ms(50), "globex ");
}

static void a_swapped_data_link_settles_its_tenant(void **state) {
    (void)state;
    mkdir(path("acme"), 0700);
    mkdir(path("acme/..1"), 0700);
    assert_int_equal(symlink("..1", path("acme/..data")), 0);
    assert_int_equal(symlink("..data/web.yaml", path("acme/web.yaml")), 0);
    after_ms(50);
    mkdir(path("acme/..2"), 0700);
    assert_int_equal(symlink("..2", path("acme/..new")), 0);
    assert_string_equal(after_ms(20), "");
    assert_int_equal(rename(path("acme/..new"), path("acme/..data")), 0);
    assert_string_equal(after_ms(20), "acme ");
}

static void file_append(const char *name) {
    int fd = open(path(name), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "c: d\n", 5), 5);
    close(fd);
}

static void a_file_elsewhere_that_a_link_leads_to_settles_when_it_is_edited(void **state) {
    (void)state;
    mkdir(path(".kept"), 0700);
    mkdir(path("globex"), 0700);
    file_put(".kept/a.txt");
    file_put(".kept/g.txt");
    after_ms(50);
    assert_int_equal(symlink(".kept/a.txt", path("acme.yaml")), 0);
    assert_int_equal(symlink("../.kept/g.txt", path("globex/web.yaml")), 0);
    after_ms(50);
    assert_string_equal(after_ms(3 * WATCH_LOOK_MS), "");
    file_append(".kept/a.txt");
    assert_string_equal(after_ms(3 * WATCH_LOOK_MS), "acme ");
    file_append(".kept/g.txt");
    assert_string_equal(after_ms(3 * WATCH_LOOK_MS), "globex ");
    file_put(".kept/new"); /* a rename over it */
    assert_int_equal(rename(path(".kept/new"), path(".kept/a.txt")), 0);
    assert_string_equal(after_ms(3 * WATCH_LOOK_MS), "acme ");
    unlink(path("acme.yaml"));
    after_ms(2 * WATCH_LOOK_MS);
    file_append(".kept/a.txt");
    assert_string_equal(after_ms(3 * WATCH_LOOK_MS), "");
}

static void a_folder_that_cannot_be_watched_is_looked_at_instead(void **state) {
    char away[80];
    (void)state;
    snprintf(away, sizeof away, "%s.away", stage.folder);
    assert_int_equal(rename(stage.folder, away), 0);
    after_ms(WATCH_RESCAN_MS + 200);
    assert_true(stage.rescans >= 1);
    assert_int_equal(rename(away, stage.folder), 0);
    after_ms(WATCH_RESCAN_MS + 200);
    file_put("acme.yaml");
    assert_string_equal(after_ms(20), "acme ");
}

static void names_decide_what_is_a_tenant(void **state) {
    char tenant[256];
    (void)state;
    assert_true(drop_tenant_of("acme.yaml", false, tenant));
    assert_string_equal(tenant, "acme");
    assert_true(drop_tenant_of("acme", true, tenant));
    assert_string_equal(tenant, "acme");
    assert_false(drop_tenant_of("acme", false, tenant));
    assert_false(drop_tenant_of(".yaml", false, tenant));
    assert_false(drop_tenant_of(".acme.yaml", false, tenant));
    assert_false(drop_tenant_of("acme.yaml~", false, tenant));
    assert_false(drop_tenant_of(".git", true, tenant));
    assert_true(drop_reads("compose.yml"));
    assert_false(drop_reads(".#web.yaml"));
    assert_false(drop_reads("web.yaml~"));
}

static void both_a_file_and_a_folder_are_refused(void **state) {
    struct drop_files files;
    struct err err;
    (void)state;
    file_put("acme.yaml");
    assert_int_equal(drop_read(stage.folder, "acme", &files, &err), DROP_READ);
    assert_int_equal(files.drop.source_count, 1);
    drop_free(&files);
    mkdir(path("acme"), 0700);
    assert_int_equal(drop_read(stage.folder, "acme", &files, &err), DROP_FAILED);
    assert_non_null(strstr(err.text, "both"));
    assert_int_equal(drop_read(stage.folder, "nobody", &files, &err), DROP_NONE);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state) {
    struct drop_files files;
    struct err err;
    (void)state;
    assert_int_equal(mkfifo(path("acme.yaml"), 0600), 0);
    assert_int_equal(drop_read(stage.folder, "acme", &files, &err), DROP_FAILED);
    assert_non_null(strstr(err.text, "regular"));
}

#define STAGED(name) cmocka_unit_test_setup_teardown(name, stage_open, stage_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGED(a_closed_file_settles_within_20_ms),
        STAGED(a_file_that_is_being_written_does_not_settle),
        STAGED(a_rename_onto_it_settles_once),
        STAGED(a_file_that_comes_back_at_once_settles_once),
        STAGED(a_file_that_is_gone_settles_after_the_grace),
        STAGED(only_the_tenant_that_changed_settles),
        STAGED(files_of_a_new_folder_are_noticed),
        STAGED(a_swapped_data_link_settles_its_tenant),
        STAGED(a_file_elsewhere_that_a_link_leads_to_settles_when_it_is_edited),
        STAGED(a_folder_that_cannot_be_watched_is_looked_at_instead),
        cmocka_unit_test(names_decide_what_is_a_tenant),
        STAGED(both_a_file_and_a_folder_are_refused),
        STAGED(what_is_no_regular_file_is_refused_without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
