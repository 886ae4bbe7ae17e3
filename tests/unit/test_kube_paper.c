/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_paper.c - the certificate that kubectl meets, and the tokens it shows: made, kept, made anew, judged.
 * link: modules/kube/paper.c modules/kube/tokens.c
 */
#include "core/control_host.h"
#include "core/map.h"
#include "modules/kube/paper.h"
#include "modules/kube/tokens.h"
#include "tenants/certificate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

/* ---- the control thread's side ---- */

static char folder[] = "/tmp/ringress-paper-XXXXXX";
static struct map rows;

const char *control_state_folder(void) {
    return folder;
}

char *control_path(const char *as_written) {
    return strdup(as_written);
}

void control_rows(const char *prefix, void (*row)(void *, const char *, const char *), void *user) {
    for (size_t i = 0; i < rows.room; i++)
        if (rows.slot[i].key && !strncmp(rows.slot[i].key, prefix, strlen(prefix)))
            row(user, rows.slot[i].key, rows.slot[i].value);
}

void control_row_put(const char *key, const char *value) {
    free(map_remove(&rows, key));
    if (value)
        map_put(&rows, key, strdup(value));
}

bool control_commit(struct err *err) {
    (void)err;
    return true;
}

/* ---- certificates ---- */

static char listen_at[] = "192.0.2.1:6443", name[] = "kube.example.com";
static char *listen_list[] = {listen_at}, *name_list[] = {name};
static struct kube_conf conf = {.listen = {1, listen_list}};
enum { DAY = 86400 };

static struct paper loaded(int64_t now) {
    struct paper p;
    struct err err = {""};
    if (!paper_load(&conf, now, &p, &err))
        fail_msg("%s", err.text);
    return p;
}

static void a_certificate_is_kept_until_it_ends_soon_and_its_authority_longer(void **state) {
    int64_t now = time(NULL);
    (void)state;
    struct paper first = loaded(now), again = loaded(now + 300 * DAY),
                 late = loaded(now + 340 * DAY);
    assert_string_equal(first.chain, again.chain);
    assert_string_equal(first.key, again.key);
    assert_string_not_equal(first.chain, late.chain);
    assert_string_equal(first.ca, late.ca);
    paper_fini(&first);
    paper_fini(&again);
    paper_fini(&late);
}

static void it_is_made_anew_for_other_names(void **state) {
    int64_t now = time(NULL);
    (void)state;
    struct paper before = loaded(now);
    conf.names = (struct conf_list){1, name_list};
    struct paper after = loaded(now);
    struct certificate_facts facts;
    struct stash *stash = stash_new();
    const char *why;
    assert_string_not_equal(before.chain, after.chain);
    assert_true(certificate_read(stash, after.chain, after.key, &facts, &why));
    bool named = false;
    for (size_t i = 0; i < facts.name_count; i++)
        named |= !strcmp(facts.name[i], name);
    assert_true(named);
    stash_free(stash);
    paper_fini(&before);
    paper_fini(&after);
}

static void its_keys_are_for_the_edges_user_alone(void **state) {
    static const char *const files[] = {"ca.key", "cert.key"};
    struct paper p = loaded(time(NULL));
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char path[200];
        struct stat st;
        snprintf(path, sizeof path, "%s/kube/%s", folder, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    paper_fini(&p);
}

/* ---- tokens ---- */

static char token[TOKEN_TEXT_MAX], tenant[TENANT_NAME_MAX];

static bool judged(const char *text, int64_t now) {
    memset(tenant, 0, sizeof tenant);
    return token_judge(text, strlen(text), now, tenant);
}

static int with_a_token(void **state) {
    struct err err;
    (void)state;
    tokens_tenant("acme", "uid-1");
    return token_make("acme", 100, 1000, token, &err) ? 0 : -1;
}

static int without(void **state) {
    (void)state;
    tokens_close();
    map_clear(&rows, free);
    return 0;
}

static void a_token_speaks_for_its_tenant_until_it_expires(void **state) {
    (void)state;
    assert_true(judged(token, 1099));
    assert_string_equal(tenant, "acme");
    assert_false(judged(token, 1100));
}

static void every_letter_of_a_token_counts(void **state) {
    (void)state;
    for (size_t i = 0; i < strlen(token); i++) {
        char other[TOKEN_TEXT_MAX];
        strcpy(other, token);
        other[i] = other[i] == 'a' ? 'b' : 'a';
        assert_false(judged(other, 1000));
        other[i] = 0;
        assert_false(judged(other, 1000));
    }
}

static void only_its_hash_is_in_the_rows_and_it_is_good_after_a_restart(void **state) {
    (void)state;
    assert_int_equal(rows.count, 1);
    for (size_t i = 0; i < rows.room; i++)
        if (rows.slot[i].key)
            assert_null(strstr(rows.slot[i].value, token + TOKEN_ID_AT + TOKEN_ID_LENGTH + 1));
    tokens_close();
    assert_false(judged(token, 1000));
    tokens_open();
    assert_false(judged(token, 1000)); /* its tenant is not there yet */
    tokens_tenant("acme", "uid-1");
    assert_true(judged(token, 1000));
}

static void it_is_of_a_uid_not_of_a_name(void **state) {
    (void)state;
    tokens_tenant("acme", NULL);
    assert_false(judged(token, 1000));
    tokens_tenant("acme", "uid-2");
    assert_false(judged(token, 1000));
    assert_false(token_is_good("aaaaaaaaaa", 1000));
}

static void it_is_revoked_by_its_own_tenant_only(void **state) {
    struct err err;
    size_t count;
    char id[TOKEN_ID_LENGTH + 1] = "";
    (void)state;
    memcpy(id, token + TOKEN_ID_AT, TOKEN_ID_LENGTH);
    tokens_tenant("globex", "uid-9");
    assert_true(tokens_revoke("globex", id, &count, &err));
    assert_int_equal(count, 0);
    assert_true(judged(token, 1000) && token_is_good(id, 1000));
    assert_true(tokens_revoke("acme", id, &count, &err));
    assert_int_equal(count, 1);
    assert_false(judged(token, 1000) || token_is_good(id, 1000));
    assert_int_equal(rows.count, 0);
}

static void what_expired_long_ago_is_forgotten(void **state) {
    (void)state;
    tokens_tidy(1100 + 29 * DAY);
    assert_int_equal(tokens_count(), 1);
    tokens_tidy(1101 + 30 * DAY);
    assert_int_equal(tokens_count(), 0);
    assert_int_equal(rows.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_kept_until_it_ends_soon_and_its_authority_longer),
        cmocka_unit_test(it_is_made_anew_for_other_names),
        cmocka_unit_test(its_keys_are_for_the_edges_user_alone),
        cmocka_unit_test_setup_teardown(a_token_speaks_for_its_tenant_until_it_expires,
                                        with_a_token, without),
        cmocka_unit_test_setup_teardown(every_letter_of_a_token_counts, with_a_token, without),
        cmocka_unit_test_setup_teardown(only_its_hash_is_in_the_rows_and_it_is_good_after_a_restart,
                                        with_a_token, without),
        cmocka_unit_test_setup_teardown(it_is_of_a_uid_not_of_a_name, with_a_token, without),
        cmocka_unit_test_setup_teardown(it_is_revoked_by_its_own_tenant_only, with_a_token,
                                        without),
        cmocka_unit_test_setup_teardown(what_expired_long_ago_is_forgotten, with_a_token, without),
    };
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) || failed;
}
