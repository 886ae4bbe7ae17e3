/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_spare.c - which limit of memory is the nearest, and how much is left of it, as files of either version of cgroups say.
 * link: edge/spare.c
 */
#include "edge/edge.h"
#include "edge/spare.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1ll << 20)

int64_t memory_retained(void) {
    return 5 * MIB;
}

/* ---- a /proc and a /sys of our own ---- */

static char root[] = "/tmp/ringress-spare-XXXXXX";

__attribute__((format(printf, 2, 3))) static void file_put(const char *name, const char *format,
                                                           ...) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(path, 0700);
    }
    FILE *f = fopen(path, "w");
    va_list list;
    assert_non_null(f);
    va_start(list, format);
    vfprintf(f, format, list);
    va_end(list);
    fclose(f);
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void resident_put(long long mib) {
    long long pages = mib * MIB / sysconf(_SC_PAGESIZE);
    file_put("proc/self/statm", "%lld %lld 300 20 0 %lld 0\n", 4 * pages, pages, 2 * pages);
}

/* A machine of 8 GiB, 10 MiB in use here, no cgroup. */
static int setup(void **state) {
    (void)state;
    strcpy(root, "/tmp/ringress-spare-XXXXXX");
    assert_non_null(mkdtemp(root));
    resident_put(10);
    file_put("proc/meminfo",
             "MemTotal: 8388608 kB\nMemFree: 100 kB\nMemAvailable: 4194304 kB\nSwapFree: 0 kB\n");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return nftw(root, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static struct spare spare;

static struct spare_look look(void) {
    return spare_look(&spare);
}

static void look_is(struct spare_look l, const char *what, long long limit, long long left) {
    assert_string_equal(l.what, what);
    assert_int_equal(l.limit / MIB, limit);
    assert_int_equal(l.left / MIB, left);
}

/* ---- stories ---- */

static void the_machine_limits_when_nothing_else_does(void **state) {
    (void)state;
    spare_open(&spare, 0, root);
    look_is(look(), "machine", 8192, 4096);
    assert_int_equal(look().strain, STRAIN_NONE);
    spare_close(&spare);
}

static void what_edge_yaml_says_is_tight_then_dire_then_over(void **state) {
    (void)state;
    spare_open(&spare, 100 * MIB, root);
    look_is(look(), "memory", 100, 90);
    assert_int_equal(look().strain, STRAIN_NONE);
    assert_int_equal(look().reserve, 100 * MIB / 8);
    resident_put(89);
    look_is(look(), "memory", 100, 11);
    assert_int_equal(look().strain, STRAIN_TIGHT);
    resident_put(95);
    assert_int_equal(look().strain, STRAIN_DIRE);
    resident_put(120);
    assert_int_equal(look().strain, STRAIN_DIRE);
    assert_true(look().left < 0);
    resident_put(50);
    assert_int_equal(look().strain, STRAIN_NONE);
    spare_close(&spare);
}

/* Else an edge that just fits would give up every connection. */
static void a_reserve_is_at_most_half_of_what_was_left_at_the_start(void **state) {
    (void)state;
    resident_put(98);
    spare_open(&spare, 100 * MIB, root);
    assert_int_equal(look().strain, STRAIN_NONE);
    assert_int_equal(look().reserve, MIB);
    spare_close(&spare);
}

static void the_least_limit_of_a_cgroup_and_those_above_it_counts(void **state) {
    (void)state;
    file_put("proc/self/cgroup", "0::/system.slice/ringress.service\n");
    file_put("sys/fs/cgroup/system.slice/memory.max", "%lld\n", 200 * MIB);
    file_put("sys/fs/cgroup/system.slice/memory.current", "%lld\n", 150 * MIB);
    file_put("sys/fs/cgroup/system.slice/memory.stat",
             "anon 1\nfile 9\nactive_file %lld\ninactive_file %lld\n", 10 * MIB, 20 * MIB);
    file_put("sys/fs/cgroup/system.slice/ringress.service/memory.max", "max\n");
    file_put("sys/fs/cgroup/system.slice/ringress.service/memory.current", "%lld\n", 20 * MIB);
    spare_open(&spare, 0, root);
    look_is(look(), "cgroup", 200, 80); /* pages of files can be dropped */
    file_put("sys/fs/cgroup/system.slice/memory.max", "%lld\n", 140 * MIB); /* changed meanwhile */
    look_is(look(), "cgroup", 140, 20);
    assert_int_equal(look().strain, STRAIN_TIGHT);
    spare_close(&spare);
}

static void in_a_container_the_cgroup_is_what_is_mounted(void **state) {
    (void)state;
    file_put("proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    file_put("sys/fs/cgroup/memory.max", "%lld\n", 64 * MIB);
    file_put("sys/fs/cgroup/memory.current", "%lld\n", 14 * MIB);
    file_put("sys/fs/cgroup/memory.stat", "anon 1\n");
    spare_open(&spare, 0, root);
    look_is(look(), "cgroup", 64, 50);
    spare_close(&spare);
}

static void version_1_of_cgroups_is_read_as_well(void **state) {
    (void)state;
    file_put("proc/self/cgroup", "9:name=systemd:/x\n4:memory:/edge\n0::/\n");
    file_put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    file_put("sys/fs/cgroup/memory/memory.usage_in_bytes", "%lld\n", 900 * MIB);
    file_put("sys/fs/cgroup/memory/edge/memory.limit_in_bytes", "%lld\n", 64 * MIB);
    file_put("sys/fs/cgroup/memory/edge/memory.usage_in_bytes", "%lld\n", 24 * MIB);
    file_put("sys/fs/cgroup/memory/edge/memory.stat",
             "rss 7\nactive_file 1\ntotal_rss 5\ntotal_inactive_file %lld\ntotal_active_file 0\n",
             4 * MIB);
    spare_open(&spare, 0, root);
    look_is(look(), "cgroup", 64, 44);
    spare_close(&spare);
}

static void a_limit_of_addresses_does_not_count_what_the_allocator_can_use_again(void **state) {
    struct rlimit was, less;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_DATA, &was), 0);
    spare_open(&spare, 0, root);
    less = (struct rlimit){2000 * MIB, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_DATA, &less), 0);
    struct spare_look l = look();
    setrlimit(RLIMIT_DATA, &was);
    look_is(l, "RLIMIT_DATA", 2000, 2000 - 20 + 5);
    spare_close(&spare);
}

static void what_can_not_be_read_limits_nothing(void **state) {
    (void)state;
    teardown(state);
    spare_open(&spare, 0, root);
    assert_int_equal(look().strain, STRAIN_NONE);
    assert_true(look().left == INT64_MAX);
    spare_close(&spare);
    setup(state);
}

static void a_cgroup_that_does_not_say_what_it_uses_limits_nothing(void **state) {
    (void)state;
    file_put("proc/self/cgroup", "0::/\n");
    file_put("sys/fs/cgroup/memory.max", "%lld\n", 64 * MIB);
    file_put("sys/fs/cgroup/memory.stat", "anon 1\n");
    spare_open(&spare, 0, root);
    assert_string_equal(look().what, "machine");
    assert_int_equal(look().strain, STRAIN_NONE);
    spare_close(&spare);
}

int main(void) {
#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORY(the_machine_limits_when_nothing_else_does),
        STORY(what_edge_yaml_says_is_tight_then_dire_then_over),
        STORY(a_reserve_is_at_most_half_of_what_was_left_at_the_start),
        STORY(the_least_limit_of_a_cgroup_and_those_above_it_counts),
        STORY(in_a_container_the_cgroup_is_what_is_mounted),
        STORY(version_1_of_cgroups_is_read_as_well),
        STORY(a_limit_of_addresses_does_not_count_what_the_allocator_can_use_again),
        STORY(what_can_not_be_read_limits_nothing),
        STORY(a_cgroup_that_does_not_say_what_it_uses_limits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
