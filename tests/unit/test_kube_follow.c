/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_follow.c - what is kept of tenants that are asked about: how much of all of them, of one's log, and over a rest.
 * link: modules/kube/follow.c modules/kube/compose.c modules/kube/containers.c modules/kube/endpoints.c modules/kube/happenings.c
 * link: modules/kube/kinds.c modules/kube/renew.c modules/kube/blob.c
 */
#include "core/control_host.h"
#include "modules/kube/desk.h"
#include "modules/kube/follow.h"
#include "modules/kube/heavy.h"
#include "modules/kube/server.h"
#include "modules/kube/watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- what is around it ---- */

static int64_t now_ms = 1000;
static size_t object_size = 1000; /* of the one ConfigMap that every tenant has */
static bool there_are_objects = true, a_service_is_missing;
static unsigned revision, looked; /* what it says; how often somebody wanted to know */
static struct job *posted, **posted_end = &posted;

int64_t server_now_ms(void) {
    return now_ms;
}

void watches_pump(struct follow *f) {
    (void)f;
}

bool desk_follow(const char *tenant) {
    (void)tenant;
    return true;
}

void desk_unfollow(const char *tenant) {
    (void)tenant;
}

void desk_ask(struct job *j) {
    j->next = NULL;
    *posted_end = j;
    posted_end = &j->next;
}

/* As if the thread for it were slow: not before heavy_runs. */
static struct job *heavy;

void heavy_run(struct job *j) {
    assert_null(heavy);
    heavy = j;
}

static void heavy_runs(void) {
    struct job *j = heavy;
    heavy = NULL;
    if (!j)
        return;
    j->run(j);
    j->done(j);
}

static char *objects_of(void) {
    char *filler = malloc(object_size + 1), *text = NULL;
    memset(filler, 'x', object_size);
    filler[object_size] = 0;
    if (asprintf(&text,
                 "[{\"file\":\"a.yaml\",\"line\":1,\"modified\":%d,\"object\":{\"apiVersion\":"
                 "\"v1\",\"kind\":\"ConfigMap\",\"metadata\":"
                 "{\"name\":\"settings\"},\"data\":{\"revision\":\"%u\",\"filler\":\"%s\"}}}]",
                 1700000000 + (int)revision, revision, filler) < 0)
        abort();
    free(filler);
    return text;
}

char *control_get(const char *kind, const char *tenant) {
    char *text = NULL;
    if (!strcmp(kind, "objects")) {
        looked++;
        return there_are_objects ? objects_of() : strdup("[]");
    }
    if (a_service_is_missing && !strcmp(kind, "routes"))
        return strdup("[{\"ingress\":\"default\",\"host\":\"a.acme.example\",\"path\":\"/\","
                      "\"service\":\"x\",\"state\":\"unavailable\",\"reason\":\"Service x not "
                      "found\"}]");
    if (strcmp(kind, "tenants"))
        return strdup("[]");
    if (asprintf(&text, "[{\"tenant\":\"%s\",\"uid\":\"of-%s\",\"domain\":\"%s.example\"}]", tenant,
                 tenant, tenant) < 0)
        abort();
    return text;
}

static void control_runs(void) {
    struct job *list = posted;
    posted = NULL;
    posted_end = &posted;
    for (struct job *next; list; list = next) {
        next = list->next;
        list->run(list);
        list->done(list);
    }
}

/* ---- those who ask ---- */

static struct follow *seen;

static void ready(struct asker *a, struct follow *f) {
    (void)a;
    seen = f;
}

static struct follow *ask_small(const char *tenant) {
    struct asker a = {.ready = ready};
    seen = NULL;
    follow_ask(tenant, &a, true);
    control_runs();
    assert_non_null(seen);
    return seen;
}

static struct follow *ask(const char *tenant) {
    struct asker a = {.ready = ready};
    seen = NULL;
    follow_ask(tenant, &a, true);
    control_runs();
    heavy_runs();
    assert_non_null(seen);
    return seen;
}

static void change(const char *tenant) {
    revision++;
    follow_touched(tenant);
    ask(tenant);
}

static const struct kept *settings(const struct follow *f) {
    const struct kept *k = follow_find(f, "ConfigMap", "settings");
    assert_non_null(k);
    return k;
}

static int begin(void **state) {
    (void)state;
    object_size = 1000;
    revision = looked = 0;
    return 0;
}

static int end(void **state) {
    (void)state;
    follow_fini();
    return 0;
}

/* ---- stories ---- */

static void an_object_is_found_by_kind_and_name_and_so_is_what_the_edge_made(void **state) {
    (void)state;
    const struct follow *f = ask("acme");
    assert_true(settings(f)->written);
    const struct kept *made = follow_find(f, "Ingress", "default");
    assert_non_null(made);
    assert_false(made->written);
    assert_null(follow_find(f, "ConfigMap", "other"));
    assert_null(follow_find(f, "ConfigMap", ""));
}

static void whoever_was_asked_about_longest_ago_rests_when_all_keep_too_much(void **state) {
    enum { TENANTS = 20 };
    struct follow *of[TENANTS];
    char name[16];
    (void)state;
    object_size = 5 << 20; /* and as much again as text of the file */
    for (int i = 0; i < TENANTS; i++) {
        snprintf(name, sizeof name, "t%d", i);
        of[i] = ask(name);
        if (i)
            assert_ptr_equal(ask("t0"), of[0]); /* is asked about all the time */
    }
    size_t kept = 0;
    for (int i = 0; i < TENANTS; i++)
        kept += of[i]->bytes;
    assert_in_range(kept, 48 << 20, 64 << 20);
    assert_true(of[0]->warm && of[TENANTS - 1]->warm);
    for (int i = 1; i < TENANTS - 5; i++)
        assert_true(!of[i]->warm && !settings(of[i])->object && !of[i]->bytes);
}

static void who_is_watched_does_not_rest(void **state) {
    static char mark;
    char name[16];
    (void)state;
    object_size = 5 << 20;
    struct follow *watched = ask("watched");
    watched->watches = (struct watch *)&mark;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "t%d", i);
        ask(name);
    }
    assert_true(watched->warm && settings(watched)->object);
    watched->watches = NULL;
}

static void what_rested_is_of_the_version_that_it_was(void **state) {
    (void)state;
    struct follow *f = ask("acme");
    uint64_t version = settings(f)->version;
    now_ms += 60000;
    follow_beat();
    assert_false(f->warm);
    assert_null(settings(f)->object);
    assert_int_equal(settings(ask("acme"))->version, version);
    assert_int_equal(looked, 2);
    now_ms += 60000;
    follow_beat();
    revision++;
    assert_true(settings(ask("acme"))->version > version);
}

static void it_is_as_old_as_it_was_first_seen(void **state) {
    (void)state;
    ask("acme");
    change("acme"); /* its file is a second younger */
    json_t *object = blob_json(settings(ask("acme"))->object);
    assert_string_equal(json_string_value(json_object_get(json_object_get(object, "metadata"),
                                                          "creationTimestamp")),
                        "2023-11-14T22:13:20Z");
    json_decref(object);
}

static json_t *event_of(const struct follow *f) {
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->list[i]->kind->kind, "Event"))
            return blob_json(f->list[i]->object);
    return NULL;
}

static void a_warning_that_comes_later_is_not_as_old_as_all_else(void **state) {
    (void)state;
    struct follow *f = ask("acme");
    assert_null(event_of(f));
    f->since -= 1000;
    a_service_is_missing = true;
    json_t *event = event_of(ask("acme"));
    const char *last = json_string_value(json_object_get(event, "lastTimestamp"));
    struct tm tm = {0};
    assert_non_null(strptime(last, "%Y-%m-%dT%H:%M:%SZ", &tm));
    assert_in_range(timegm(&tm), f->since + 999, f->since + 1100);
    change("acme");
    json_t *again = event_of(f);
    assert_true(json_equal(event, again));
    a_service_is_missing = false;
    json_decref(event);
    json_decref(again);
}

static void a_log_holds_so_many_changes(void **state) {
    (void)state;
    struct follow *f = ask("acme");
    uint64_t start = f->version, serial;
    for (int i = 0; i < LOG_MOST; i++)
        change("acme");
    assert_true(follow_log_at(f, start, &serial));
    assert_int_equal(f->end - serial, LOG_MOST);
    for (uint64_t at = serial, before = start; at < f->end; before = follow_log(f, at++)->version)
        assert_true(follow_log(f, at)->version > before);
    change("acme");
    assert_false(follow_log_at(f, start, &serial));
}

static void a_log_of_large_objects_holds_fewer(void **state) {
    (void)state;
    object_size = 1 << 20;
    struct follow *f = ask("acme");
    uint64_t start = f->version, serial;
    change("acme");
    assert_true(follow_log_at(f, start, &serial));
    for (int i = 0; i < 30; i++)
        change("acme");
    assert_false(follow_log_at(f, start, &serial));
    assert_in_range(f->end - f->first, 2, 8);
    assert_in_range(f->bytes, 1 << 20, 12 << 20);
}

static void a_large_tenant_is_composed_while_others_are_answered(void **state) {
    struct asker a = {.ready = ready};
    (void)state;
    object_size = 1 << 20;
    seen = NULL;
    follow_ask("large", &a, true);
    control_runs();
    assert_null(seen);
    assert_non_null(heavy);
    object_size = 100;
    assert_string_equal(ask_small("acme")->name, "acme");
    now_ms += 60000;
    follow_beat(); /* nobody lets go of it meanwhile */
    seen = NULL;
    heavy_runs();
    assert_non_null(seen);
    assert_string_equal(seen->name, "large");
    assert_true(settings(seen)->object->length > 1 << 20);
}

/* What came before a rest is not known: whoever goes on from there must not think that he missed nothing. */
static void who_slept_over_a_rest_lists_anew_if_something_has_changed(void **state) {
    (void)state;
    const struct follow *f = ask("acme");
    uint64_t start = f->version, serial;
    now_ms += 60000;
    follow_beat();
    ask("acme");
    assert_true(follow_log_at(f, start, &serial)); /* nothing has */
    now_ms += 60000;
    follow_beat();
    there_are_objects = false;
    ask("acme");
    assert_null(follow_find(f, "ConfigMap", "settings"));
    assert_false(follow_log_at(f, start, &serial));
    there_are_objects = true;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_object_is_found_by_kind_and_name_and_so_is_what_the_edge_made, begin, end),
        cmocka_unit_test_setup_teardown(
            whoever_was_asked_about_longest_ago_rests_when_all_keep_too_much, begin, end),
        cmocka_unit_test_setup_teardown(who_is_watched_does_not_rest, begin, end),
        cmocka_unit_test_setup_teardown(what_rested_is_of_the_version_that_it_was, begin, end),
        cmocka_unit_test_setup_teardown(it_is_as_old_as_it_was_first_seen, begin, end),
        cmocka_unit_test_setup_teardown(a_warning_that_comes_later_is_not_as_old_as_all_else, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_log_holds_so_many_changes, begin, end),
        cmocka_unit_test_setup_teardown(a_log_of_large_objects_holds_fewer, begin, end),
        cmocka_unit_test_setup_teardown(a_large_tenant_is_composed_while_others_are_answered, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_slept_over_a_rest_lists_anew_if_something_has_changed,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
