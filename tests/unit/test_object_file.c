/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_object_file.c - an object is written into a tenant's folder: whole, where it stood, and over nobody's work.
 * link: edge/object_file.c edge/documents.c edge/drop.c edge/file.c
 */
#include "edge/file.h"
#include "edge/object_file.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char conf_d[64];

static const char *path_of(const char *name) {
    static char text[4][300];
    static unsigned turn;
    char *out = text[turn++ % 4];
    snprintf(out, sizeof *text, "%s/%s", conf_d, name);
    return out;
}

static int stage_make(void **state) {
    (void)state;
    strcpy(conf_d, "/tmp/ringress-object-XXXXXX");
    return mkdtemp(conf_d) ? 0 : -1;
}

static int stage_remove(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", conf_d);
    return system(command);
}

static void lay(const char *name, const char *text) {
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void holds(const char *name, const char *text) {
    struct err err;
    size_t length;
    char *is = file_read(path_of(name), 1 << 20, &length, &err);
    if (!is)
        fail_msg("%s", err.text);
    assert_string_equal(is, text);
    free(is);
}

static void gone(const char *name) {
    assert_int_equal(access(path_of(name), F_OK), -1);
}

#define SERVICE(name, more) "apiVersion: v1\nkind: Service\nmetadata:\n  name: " name "\n" more
#define TENANT "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: acme}\nspec: {}\n"

static struct object_place service_at(const char *name) {
    static char file[100];
    snprintf(file, sizeof file, "service.%s.yaml", name);
    return (struct object_place){conf_d, "acme", "v1", "Service", name, file, false, false, NULL};
}

static enum object_done plan(const char *name, const char *text, struct object_plan *p,
                             struct err *err) {
    struct object_place at = service_at(name);
    return object_plan(&at, text, text ? strlen(text) : 0, p, err);
}

static void write_good(const char *name, const char *text) {
    struct object_plan p;
    struct err err;
    if (plan(name, text, &p, &err) != OBJECT_DONE || object_commit(&p, &err) != OBJECT_DONE)
        fail_msg("%s", err.text);
    /* what was planned is what is read now, to the digest */
    struct drop_files now;
    assert_int_equal(drop_read(conf_d, "acme", &now, &err), DROP_READ);
    assert_int_equal(now.digest, p.after.digest);
    assert_int_equal(now.drop.folder, p.after.drop.folder);
    drop_free(&now);
    object_plan_fini(&p);
}

static void folder_lay(void) {
    mkdir(path_of("acme"), 0755);
    lay("acme/tenant.yaml", TENANT);
}

static void a_new_object_gets_a_file_of_its_own(void **state) {
    (void)state;
    struct stat st;
    folder_lay();
    write_good("web", SERVICE("web", ""));
    holds("acme/service.web.yaml", SERVICE("web", ""));
    assert_int_equal(stat(path_of("acme/service.web.yaml"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    struct object_place at = {conf_d,          "acme", "v1", "Secret", "s",
                              "secret.s.yaml", false,  true, NULL};
    struct object_plan p;
    struct err err;
    static const char secret[] = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    assert_int_equal(object_plan(&at, secret, strlen(secret), &p, &err), OBJECT_DONE);
    assert_int_equal(object_commit(&p, &err), OBJECT_DONE);
    object_plan_fini(&p);
    assert_int_equal(stat(path_of("acme/secret.s.yaml"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    gone("acme/.ringress.tmp");
}

static void a_secret_makes_the_file_it_comes_into_its_owners_alone(void **state) {
    struct object_place at = {conf_d,          "acme", "v1", "Secret", "s",
                              "secret.s.yaml", false,  true, NULL};
    static const char secret[] = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    struct object_plan p;
    struct err err;
    struct stat st;
    (void)state;
    folder_lay();
    lay("acme/secret.s.yaml", SERVICE("web", "")); /* somebody's idea of a name */
    assert_int_equal(chmod(path_of("acme/secret.s.yaml"), 0644), 0);
    assert_int_equal(object_plan(&at, secret, strlen(secret), &p, &err), OBJECT_DONE);
    assert_int_equal(object_commit(&p, &err), OBJECT_DONE);
    object_plan_fini(&p);
    assert_int_equal(stat(path_of("acme/secret.s.yaml"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Whoever may read the folder may lock it, and the control thread has more to do than to wait for him. */
static void nobody_keeps_us_waiting_with_a_lock_on_the_folder(void **state) {
    struct object_plan p;
    struct err err;
    (void)state;
    folder_lay();
    int other = open(conf_d, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(plan("web", SERVICE("web", ""), &p, &err), OBJECT_DONE);
    alarm(10);
    assert_int_equal(object_commit(&p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "locked"));
    gone("acme/service.web.yaml");
    close(other);
    assert_int_equal(object_commit(&p, &err), OBJECT_DONE);
    alarm(0);
    object_plan_fini(&p);
}

static void an_object_is_changed_where_it_stands(void **state) {
    (void)state;
    folder_lay();
    lay("acme/all.yaml", "# mine\n" SERVICE("a", "") "# of a\n---\n# b\n" SERVICE("b", "x: 1\n"));
    write_good("b", SERVICE("b", "x: 2\n"));
    holds("acme/all.yaml", "# mine\n" SERVICE("a", "") "# of a\n---\n# b\n" SERVICE("b", "x: 2\n"));
    gone("acme/service.b.yaml");
    write_good("a", NULL);
    holds("acme/all.yaml", "# mine\n# of a\n---\n# b\n" SERVICE("b", "x: 2\n"));
    write_good("b", NULL);
    gone("acme/all.yaml");
    holds("acme/tenant.yaml", TENANT);
}

static void a_file_of_that_name_that_holds_another_is_kept(void **state) {
    (void)state;
    folder_lay();
    lay("acme/service.web.yaml", SERVICE("other", ""));
    write_good("web", SERVICE("web", ""));
    holds("acme/service.web.yaml", SERVICE("other", "") "---\n" SERVICE("web", ""));
}

static void a_file_becomes_a_folder_at_the_first_write(void **state) {
    (void)state;
    lay("acme.yaml", "# grant\n" TENANT "---\n# a\n" SERVICE("a", "") "---\n" SERVICE("b", ""));
    write_good("c", SERVICE("c", ""));
    gone("acme.yaml");
    gone("acme/" DROP_INSTEAD_OF);
    gone(".acme.new");
    gone(".acme.old");
    holds("acme/tenant.yaml", "# grant\n" TENANT);
    holds("acme/objects.yaml", "---\n# a\n" SERVICE("a", "") "---\n" SERVICE("b", ""));
    holds("acme/service.c.yaml", SERVICE("c", ""));
    write_good("a", SERVICE("a", "x: 1\n"));
    holds("acme/objects.yaml", "---\n# a\n" SERVICE("a", "x: 1\n") "---\n" SERVICE("b", ""));
}

static void an_object_of_the_file_changes_on_the_way(void **state) {
    (void)state;
    lay("acme.yaml", SERVICE("a", "") "---\n" TENANT "---\n" SERVICE("b", ""));
    write_good("b", SERVICE("b", "x: 1\n"));
    holds("acme/tenant.yaml", "---\n" TENANT);
    holds("acme/objects.yaml", SERVICE("a", "") "---\n" SERVICE("b", "x: 1\n"));
}

/* Cut off after the folder came and before the file went: the folder counts, and the next write ends it. */
static void between_file_and_folder_the_tenant_is_whole(void **state) {
    (void)state;
    struct drop_files now;
    struct err err;
    folder_lay();
    lay("acme.yaml", TENANT "---\n" SERVICE("a", ""));
    assert_int_equal(drop_read(conf_d, "acme", &now, &err), DROP_FAILED);
    lay("acme/" DROP_INSTEAD_OF, TENANT "---\n" SERVICE("a", ""));
    assert_int_equal(drop_read(conf_d, "acme", &now, &err), DROP_READ);
    assert_true(now.drop.folder);
    drop_free(&now);
    lay("acme.yaml", TENANT); /* another file: somebody else's */
    assert_int_equal(drop_read(conf_d, "acme", &now, &err), DROP_FAILED);
    assert_non_null(strstr(err.text, "remove one of them"));
    lay("acme.yaml", TENANT "---\n" SERVICE("a", ""));
    write_good("b", SERVICE("b", ""));
    gone("acme.yaml");
    gone("acme/" DROP_INSTEAD_OF);
}

enum { TENANTS = 40 };

static const char *tenant_name(int i) {
    static char name[16];
    snprintf(name, sizeof name, "t%d", i);
    return name;
}

static int read_until_stopped(void) {
    for (int pass = 0; pass < 100000; pass++) {
        bool stopped = access(path_of("stop"), F_OK) == 0;
        for (int i = 0; i < TENANTS; i++) {
            struct drop_files now;
            struct err err;
            if (drop_read(conf_d, tenant_name(i), &now, &err) != DROP_READ)
                return 1;
            bool whole = now.drop.source_count >= 1 && now.drop.folder >= stopped;
            drop_free(&now);
            if (!whole)
                return 2;
        }
        if (stopped)
            return 0;
    }
    return 3;
}

/* Somebody reads all the time, as `check` may: there is never a moment without a tenant, or with two of it. */
static void a_reader_always_finds_the_tenant(void **state) {
    (void)state;
    int status;
    for (int i = 0; i < TENANTS; i++) {
        char file[32];
        snprintf(file, sizeof file, "%s.yaml", tenant_name(i));
        lay(file, TENANT "---\n" SERVICE("a", ""));
    }
    pid_t reader = fork();
    if (!reader)
        _exit(read_until_stopped());
    for (int i = 0; i < TENANTS; i++) {
        struct object_plan p;
        struct err err;
        struct object_place at = service_at("b");
        at.tenant = tenant_name(i);
        static const char text[] = SERVICE("b", "");
        assert_int_equal(object_plan(&at, text, strlen(text), &p, &err), OBJECT_DONE);
        assert_int_equal(object_commit(&p, &err), OBJECT_DONE);
        object_plan_fini(&p);
    }
    lay("stop", "");
    waitpid(reader, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_somebody_wrote_meanwhile_is_not_lost(void **state) {
    (void)state;
    struct object_plan p;
    struct err err;
    folder_lay();
    lay("acme/service.web.yaml", SERVICE("web", "x: 1\n"));
    assert_int_equal(plan("web", SERVICE("web", "x: 2\n"), &p, &err), OBJECT_DONE);
    lay("acme/service.web.yaml", SERVICE("web", "x: 3\n"));
    assert_int_equal(object_commit(&p, &err), OBJECT_CHANGED);
    object_plan_fini(&p);
    holds("acme/service.web.yaml", SERVICE("web", "x: 3\n"));
    gone("acme/.ringress.tmp");
    assert_int_equal(plan("web", NULL, &p, &err), OBJECT_DONE);
    lay("acme/service.web.yaml", SERVICE("web", "x: 4\n"));
    assert_int_equal(object_commit(&p, &err), OBJECT_CHANGED);
    object_plan_fini(&p);
    holds("acme/service.web.yaml", SERVICE("web", "x: 4\n"));
    assert_int_equal(plan("new", SERVICE("new", ""), &p, &err), OBJECT_DONE);
    lay("acme/service.new.yaml", "# theirs\n");
    assert_int_equal(object_commit(&p, &err), OBJECT_CHANGED);
    object_plan_fini(&p);
    holds("acme/service.new.yaml", "# theirs\n");
    assert_int_equal(plan("web", SERVICE("web", ""), &p, &err), OBJECT_DONE);
    unlink(path_of("acme/service.web.yaml"));
    assert_int_equal(object_commit(&p, &err), OBJECT_CHANGED);
    object_plan_fini(&p);
    gone("acme/service.web.yaml");
}

static void a_file_that_changed_becomes_no_folder(void **state) {
    (void)state;
    struct object_plan p;
    struct err err;
    lay("acme.yaml", TENANT);
    assert_int_equal(plan("web", SERVICE("web", ""), &p, &err), OBJECT_DONE);
    lay("acme.yaml", TENANT "# theirs\n");
    assert_int_equal(object_commit(&p, &err), OBJECT_CHANGED);
    object_plan_fini(&p);
    holds("acme.yaml", TENANT "# theirs\n");
    gone("acme");
    gone(".acme.new");
}

/* Each of many writers adds one document to one file, and tries again when another was first. */
static void many_writers_lose_nothing(void **state) {
    enum { WRITERS = 6, WRITES = 8 };
    (void)state;
    folder_lay();
    lay("acme/all.yaml", SERVICE("a", ""));
    for (int w = 0; w < WRITERS; w++) {
        if (fork())
            continue;
        for (int i = 0; i < WRITES; i++) {
            struct object_plan p;
            struct err err;
            char name[32], text[128];
            snprintf(name, sizeof name, "s%d-%d", w, i);
            snprintf(text, sizeof text, SERVICE("%s", ""), name);
            struct object_place at = {conf_d,     "acme", "v1",  "Service", name,
                                      "all.yaml", false,  false, NULL};
            enum object_done done = OBJECT_CHANGED;
            err.text[0] = 0;
            /* Six at once may keep one from the lock for longer than he waits; then nothing was written. */
            while (done == OBJECT_CHANGED || strstr(err.text, "can't be locked")) {
                err.text[0] = 0;
                done = object_plan(&at, text, strlen(text), &p, &err);
                if (done == OBJECT_DONE) {
                    done = object_commit(&p, &err);
                    object_plan_fini(&p);
                }
            }
            if (done != OBJECT_DONE)
                _exit(1);
        }
        _exit(0);
    }
    for (int w = 0, status; w < WRITERS; w++) {
        wait(&status);
        assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
    }
    struct err err;
    size_t length, names = 0;
    char *text = file_read(path_of("acme/all.yaml"), 1 << 20, &length, &err);
    for (const char *at = text; (at = strstr(at, "  name: s")); at++)
        names++;
    free(text);
    assert_int_equal(names, WRITERS * WRITES);
}

static void kept_is(const char *name, const char *kept) {
    struct object_plan p;
    struct err err;
    assert_int_equal(plan(name, SERVICE("web", ""), &p, &err), OBJECT_DONE);
    assert_int_equal(object_commit(&p, &err), OBJECT_DONE);
    if (kept)
        assert_string_equal(p.kept, kept);
    else
        assert_null(p.kept);
    object_plan_fini(&p);
}

/* Cut off between an exchange and the look at what came out of it, it is all that is left of what somebody wrote. */
static void what_a_write_that_was_cut_off_has_left_is_put_aside_and_told_of(void **state) {
    (void)state;
    folder_lay();
    lay("acme/.ringress.tmp", "# theirs\n");
    kept_is("web", "acme/.ringress.tmp.kept-1");
    holds("acme/.ringress.tmp.kept-1", "# theirs\n");
    kept_is("web", NULL);
    lay("acme/.ringress.tmp", "# theirs, too\n");
    kept_is("web", "acme/.ringress.tmp.kept-2");
    holds("acme/.ringress.tmp.kept-1", "# theirs\n");
    holds("acme/.ringress.tmp.kept-2", "# theirs, too\n");
    gone("acme/.ringress.tmp");
}

static void so_is_what_lies_where_a_file_becomes_a_folder(void **state) {
    (void)state;
    lay("acme.yaml", TENANT);
    assert_int_equal(mkdir(path_of(".acme.new"), 0755), 0);
    lay(".acme.new/notes", "# theirs\n");
    kept_is("web", ".acme.new.kept-1");
    holds(".acme.new.kept-1/notes", "# theirs\n");
    gone(".acme.new");
}

static void so_is_another_old_file_but_not_a_copy_of_this_one(void **state) {
    (void)state;
    lay("acme.yaml", TENANT);
    lay(".acme.old", "# theirs\n");
    kept_is("web", ".acme.old.kept-1");
    holds(".acme.old.kept-1", "# theirs\n");
    gone(".acme.old");
    assert_int_equal(rename(path_of("acme"), path_of(".was")), 0);
    lay("acme.yaml", TENANT);
    lay(".acme.old", TENANT);
    kept_is("web", NULL);
    gone(".acme.old");
}

static void what_is_the_operators_is_not_written(void **state) {
    (void)state;
    struct object_plan p;
    struct err err;
    folder_lay();
    lay("acme/tenant.yaml", TENANT "---\n" SERVICE("a", ""));
    assert_int_equal(plan("a", SERVICE("a", "x: 1\n"), &p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "only the operator writes"));
    assert_int_equal(plan("a", NULL, &p, &err), OBJECT_FAILED);
    static const char *const bad[] = {"tenant.yaml", "compose.yaml", "../x.yaml", ".x.yaml", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct object_place at = {conf_d, "acme", "v1", "Service", "n", bad[i], false, false, NULL};
        assert_int_equal(object_plan(&at, "a: b\n", 5, &p, &err), OBJECT_FAILED);
    }
}

static void links_are_not_followed(void **state) {
    (void)state;
    struct object_plan p;
    struct err err;
    folder_lay();
    lay("elsewhere", SERVICE("a", ""));
    assert_int_equal(symlink("../elsewhere", path_of("acme/a.yaml")), 0);
    assert_int_equal(plan("a", SERVICE("a", "x: 1\n"), &p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "is a link"));
    assert_int_equal(rename(path_of("acme"), path_of(".real")), 0);
    assert_int_equal(symlink(".real", path_of("acme")), 0);
    assert_int_equal(plan("b", SERVICE("b", ""), &p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "is a link"));
    holds("elsewhere", SERVICE("a", ""));
}

static void who_might_read_a_file_may_read_what_comes_instead(void **state) {
    const char *path = path_of("acme/a.yaml");
    struct stat st;
    (void)state;
    if (geteuid())
        skip(); /* only root has groups to spare */
    folder_lay();
    lay("acme/a.yaml", SERVICE("a", ""));
    assert_int_equal(chown(path, (uid_t)-1, 4242), 0);
    assert_int_equal(chmod(path, 0640), 0);
    write_good("a", SERVICE("a", "x: 1\n"));
    assert_int_equal(stat(path_of("acme/a.yaml"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_gid, 4242);
}

static void what_is_not_there_is_said_to_be(void **state) {
    (void)state;
    struct object_plan p;
    struct err err;
    assert_int_equal(plan("a", SERVICE("a", ""), &p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "has no files"));
    folder_lay();
    assert_int_equal(plan("a", NULL, &p, &err), OBJECT_CHANGED);
    lay("acme/list.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
    assert_int_equal(plan("a", NULL, &p, &err), OBJECT_FAILED);
    assert_non_null(
        strstr(err.text, "acme/list.yaml: Service/a is not there, unless in this List"));
    struct object_place at = service_at("a");
    const char *text = SERVICE("a", "");
    at.there = true; /* somebody saw it */
    assert_int_equal(object_plan(&at, text, strlen(text), &p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "unless in this List"));
    lay("acme/bad.yaml", "a: [\n");
    assert_int_equal(plan("a", SERVICE("a", ""), &p, &err), OBJECT_FAILED);
    assert_non_null(strstr(err.text, "bad.yaml:"));
}

#define STORY(f) cmocka_unit_test_setup_teardown(f, stage_make, stage_remove)

/* ---- what was read a moment ago ---- */

static void read_again(struct drop_files *files) {
    struct drop_files now;
    struct err err;
    assert_int_equal(drop_read_again(conf_d, "acme", files->tenant ? files : NULL, &now, &err),
                     DROP_READ);
    drop_free(files);
    *files = now;
}

/* Against a reading that knows nothing. */
static void is_what_is_there(const struct drop_files *files) {
    struct drop_files all;
    struct err err;
    assert_int_equal(drop_read(conf_d, "acme", &all, &err), DROP_READ);
    assert_int_equal(files->drop.source_count, all.drop.source_count);
    for (size_t i = 0; i < all.drop.source_count; i++) {
        assert_string_equal(files->source[i].path, all.source[i].path);
        assert_string_equal(files->source[i].text, all.source[i].text);
    }
    assert_true(files->digest == all.digest);
    drop_free(&all);
}

static void files_settle(void) {
    usleep(70000); /* longer than the kernel's times stand still */
}

static void acme_of_two_files(void) {
    mkdir(path_of("acme"), 0755);
    lay("acme/a.yaml", "a: 1\n");
    lay("acme/b.yaml", "b: 1\n");
}

static void a_file_that_nobody_touched_is_not_read_again(void **state) {
    struct drop_files files = {.tenant = NULL};
    (void)state;
    acme_of_two_files();
    files_settle();
    read_again(&files);
    assert_true(files.mark[0].firm && files.mark[1].firm);
    memcpy((char *)files.source[0].text, "x: 1", 4); /* so that it shows where it comes from */
    read_again(&files);
    assert_string_equal(files.source[0].text, "x: 1\n");
    lay("acme/a.yaml", "a: 2\n");
    read_again(&files);
    is_what_is_there(&files);
    assert_false(files.mark[0].firm);
    drop_free(&files);
}

/* As large, and in the same tick of the kernel's clock: nothing but the text tells them apart. */
static void an_edit_in_the_moment_of_the_reading_is_seen(void **state) {
    (void)state;
    acme_of_two_files();
    for (int i = 0; i < 300; i++) {
        struct drop_files files = {.tenant = NULL};
        char text[8];
        read_again(&files);
        snprintf(text, sizeof text, "a: %d\n", i % 10);
        FILE *f = fopen(path_of("acme/a.yaml"), "r+");
        fputs(text, f);
        fclose(f);
        read_again(&files);
        is_what_is_there(&files);
        drop_free(&files);
    }
}

static void what_is_renamed_put_back_in_time_or_gone_is_seen(void **state) {
    struct drop_files files = {.tenant = NULL};
    struct stat st;
    (void)state;
    acme_of_two_files();
    files_settle();
    read_again(&files);
    assert_int_equal(rename(path_of("acme/b.yaml"), path_of("acme/a.yaml")), 0);
    read_again(&files);
    is_what_is_there(&files);
    files_settle();
    read_again(&files);
    stat(path_of("acme/a.yaml"), &st);
    lay("acme/a.yaml", "a: 3\n"); /* as large, and with the time of the one before */
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path_of("acme/a.yaml"), times, 0), 0);
    read_again(&files);
    is_what_is_there(&files);
    drop_free(&files);
}

static void a_copy_with_a_file_changed_is_read_as_what_is_there(void **state) {
    struct drop_files files = {.tenant = NULL}, copy;
    (void)state;
    acme_of_two_files();
    files_settle();
    read_again(&files);
    assert_true(drop_copy(&files, &copy));
    assert_true(copy.digest == files.digest);
    assert_true(drop_put(&copy, conf_d, "aa.yaml", strdup("c: 1\n"), 5));
    assert_true(drop_put(&copy, conf_d, "a.yaml", NULL, 0));
    assert_int_equal(copy.drop.source_count, 2);
    assert_false(copy.mark[0].firm);
    assert_true(copy.mark[1].firm);
    read_again(&copy); /* it came to nothing */
    is_what_is_there(&copy);
    drop_free(&copy);
    drop_free(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_new_object_gets_a_file_of_its_own),
        STORY(a_secret_makes_the_file_it_comes_into_its_owners_alone),
        STORY(nobody_keeps_us_waiting_with_a_lock_on_the_folder),
        STORY(who_might_read_a_file_may_read_what_comes_instead),
        STORY(an_object_is_changed_where_it_stands),
        STORY(a_file_of_that_name_that_holds_another_is_kept),
        STORY(a_file_becomes_a_folder_at_the_first_write),
        STORY(an_object_of_the_file_changes_on_the_way),
        STORY(between_file_and_folder_the_tenant_is_whole),
        STORY(a_reader_always_finds_the_tenant),
        STORY(what_somebody_wrote_meanwhile_is_not_lost),
        STORY(a_file_that_changed_becomes_no_folder),
        STORY(many_writers_lose_nothing),
        STORY(what_a_write_that_was_cut_off_has_left_is_put_aside_and_told_of),
        STORY(so_is_what_lies_where_a_file_becomes_a_folder),
        STORY(so_is_another_old_file_but_not_a_copy_of_this_one),
        STORY(what_is_the_operators_is_not_written),
        STORY(links_are_not_followed),
        STORY(a_file_that_nobody_touched_is_not_read_again),
        STORY(an_edit_in_the_moment_of_the_reading_is_seen),
        STORY(what_is_renamed_put_back_in_time_or_gone_is_seen),
        STORY(a_copy_with_a_file_changed_is_read_as_what_is_there),
        STORY(what_is_not_there_is_said_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
