/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_path.c - one meaning per path: the policy of docs/http.md, line by line.
 */
#include "tenants/path.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In a block of exactly its size. */
static void becomes(const char *path, const char *want) {
    size_t length = strlen(path);
    char *copy = malloc(length);
    memcpy(copy, path, length);
    long n = path_normalise(copy, length);
    if (!want && n >= 0)
        fail_msg("%s was not refused", path);
    if (want && (n != (long)strlen(want) || memcmp(copy, want, (size_t)n) != 0))
        fail_msg("%s became %.*s", path, (int)n, copy);
    free(copy);
}

static void plain_paths_stay(void **state) {
    (void)state;
    const char *const plain[] = {
        "/",    "/a",    "/a/", "/a.b/c..d/...", "/a;b=c", "/~x/!$&'()*+,;=:@", "/.well-known/x",
        "/..a", "/.a/b", "//",  "/a//b",         "///"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        becomes(plain[i], plain[i]);
}

static void dot_segments_are_resolved(void **state) {
    (void)state;
    becomes("/.", "/");
    becomes("/./", "/");
    becomes("/a/.", "/a/");
    becomes("/a/..", "/");
    becomes("/a/../", "/");
    becomes("/a/b/../c", "/a/c");
    becomes("/a/b/../../c", "/c");
    becomes("/./a/./b", "/a/b");
    becomes("/a/b/c/./../../g", "/a/g"); /* RFC 3986 section 5.2.4 */
    becomes("/%2e/a", "/a");
    becomes("/a/%2E%2e/b", "/b");
    becomes("/a/.%2e/b", "/b");
}

static void unreserved_characters_are_decoded_and_nothing_else(void **state) {
    (void)state;
    becomes("/%61%7E%2D", "/a~-");
    becomes("/a%2fb", "/a%2fb");
    becomes("/a%2Fb%5c%20%3f%23%25", "/a%2Fb%5c%20%3f%23%25");
    becomes("/%2561", "/%2561");
    becomes("/%252e%252e/", "/%252e%252e/");
    becomes("/%c3%a9", "/%c3%a9");
}

static void overlong_utf_8_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {"/%c0%af",    "/a%C1%81",      "/%c0%ae%c0%ae/a", "/%e0%80%af",
                               "/%E0%9f%bf", "/%f0%80%80%af", "/%f0%8f%bf%bf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        becomes(bad[i], NULL);
    const char *const good[] = {"/%c3%80%c2%af", "/%e0%a0%80", "/%f0%90%80%80", "/%c0",
                                "/%c0_%af",      "/%e9t%e9",   "/%c0/%af"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        becomes(good[i], good[i]);
    becomes("/%c0%41%af", "/%c0A%af");
}

static void above_the_root_is_refused(void **state) {
    (void)state;
    becomes("/..", NULL);
    becomes("/../", NULL);
    becomes("/../a", NULL);
    becomes("/a/../..", NULL);
    becomes("/a/../../b", NULL);
    becomes("/%2e%2e/a", NULL);
    becomes("/./../a", NULL);
}

static void bad_encoding_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {"/%",    "/%4",  "/%zz",   "/%4z", "/a%",
                               "/%%41", "/%00", "/a%00b", "/%-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        becomes(bad[i], NULL);
}

static void what_others_could_read_otherwise_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {"/a/..%2f",      "/a/..%2Fb",   "/a%2f..",    "/a%2f../b",
                               "/a%2F.%2Fb",    "/a/..%5cb",   "/a/..\\b",   "/a\\..\\b",
                               "/a\\../b",      "/a/..;/b",    "/a/.;x=y/b", "/a/..;",
                               "/a/%2e%2e;x/b", "/a/..%3bx/b", "/a/.%3B",    "/a//../b",
                               "/a/../b//c",    "//./a",       "/a/..//b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        becomes(bad[i], NULL);
}

static void empty_segments_are_folded_for_matching(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"//", "/"}, {"/a//b", "/a/b"}, {"///a///", "/a/"}, {"/a/b", "/a/b"}};
    for (size_t i = 0; i < 4; i++) {
        char out[16];
        size_t n = path_fold(pairs[i][0], strlen(pairs[i][0]), out);
        assert_int_equal(n, strlen(pairs[i][1]));
        assert_memory_equal(out, pairs[i][1], n);
        assert_int_equal(path_has_empty(pairs[i][0], strlen(pairs[i][0])), i < 3);
    }
}

static void normalising_twice_changes_nothing(void **state) {
    (void)state;
    static const char parts[][6] = {"/", ".", "%2e", "a", "%2f", "\\", ";", "%41", "%25", "%2"};
    srand(1);
    for (int i = 0; i < 200000; i++) {
        char path[64] = "/", once[64];
        for (int n = rand() % 10; n > 0; n--)
            strcat(path, parts[rand() % 10]);
        long length = path_normalise(path, strlen(path));
        if (length < 0)
            continue;
        memcpy(once, path, (size_t)length);
        assert_true(length > 0 && once[0] == '/');
        assert_int_equal(path_normalise(once, (size_t)length), length);
        assert_memory_equal(path, once, (size_t)length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_paths_stay),
        cmocka_unit_test(dot_segments_are_resolved),
        cmocka_unit_test(unreserved_characters_are_decoded_and_nothing_else),
        cmocka_unit_test(overlong_utf_8_is_refused),
        cmocka_unit_test(above_the_root_is_refused),
        cmocka_unit_test(bad_encoding_is_refused),
        cmocka_unit_test(what_others_could_read_otherwise_is_refused),
        cmocka_unit_test(empty_segments_are_folded_for_matching),
        cmocka_unit_test(normalising_twice_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
