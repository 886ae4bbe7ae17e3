/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_write.c - whose turn it is to write: one of a tenant at a time, with rests, also when nobody waits for the answer; and
 * how many may wait.
 * link: modules/kube/write.c modules/kube/apply.c modules/kube/blame.c modules/kube/containers.c modules/kube/body.c modules/kube/compose.c modules/kube/endpoints.c
 * link: modules/kube/fault.c modules/kube/fieldset.c modules/kube/happenings.c modules/kube/kinds.c modules/kube/patch_json.c
 * link: modules/kube/patch_merge.c modules/kube/proto.c modules/kube/selector.c modules/kube/shape.c modules/kube/status.c
 * link: modules/kube/strict.c modules/kube/target.c modules/kube/validate.c modules/kube/words.c modules/kube/yaml_out.c kube_proto
 */
#include "core/control_host.h"
#include "modules/kube/desk.h"
#include "modules/kube/pay.h"
#include "modules/kube/server.h"
#include "modules/kube/tokens.h"
#include "modules/kube/write.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is around it ---- */

static int64_t put_ms; /* that one takes of the control thread */
static struct follow tenant_now = {.name = "acme", .uid = "u", .there = true};
static int64_t now_ms = 1000;
static unsigned asked, written, answered, refused;
static struct job *posted;
static bool alone;

int64_t server_now_ms(void) {
    return now_ms;
}

bool tenant_alone(const char *tenant) {
    (void)tenant;
    return alone;
}

void tenant_pays(const char *tenant, int64_t ms) {
    (void)tenant, (void)ms;
}

bool token_is_good(const char *id, int64_t now) {
    (void)id, (void)now;
    return true;
}

void follow_ask(const char *tenant, struct asker *a, bool anew) {
    (void)tenant, (void)anew;
    asked++;
    a->ready(a, &tenant_now);
}

void follow_forget(struct asker *a) {
    (void)a;
}

struct kept *follow_find(const struct follow *f, const char *kind, const char *name) {
    (void)f, (void)kind, (void)name;
    return NULL;
}

json_t *follow_known(const struct follow *f) {
    (void)f;
    return json_object();
}

json_t *blob_json(const struct blob *b) {
    (void)b;
    return NULL;
}

void follow_touched(const char *tenant) {
    (void)tenant;
}

void desk_ask(struct job *j) {
    assert_null(posted);
    posted = j;
}

enum control_put control_object_put(const struct control_object *o, char **ret_told) {
    (void)o;
    *ret_told = NULL;
    written++;
    now_ms += put_ms;
    return CONTROL_PUT_DONE;
}

/* ---- those who write ---- */

struct author_of { /* a client that creates an object */
    struct http_request request;
    struct target target;
    struct writing *writing;
};

static void answer(void *user, int code, json_t *value, const char *warnings) {
    (void)user, (void)warnings;
    assert_true(code == 201 || code == 429);
    json_decref(value);
    if (code == 201)
        answered++;
    else
        refused++;
}

static void create_of(const char *tenant, struct author_of *a) {
    static const char path[] = "/api/v1/namespaces/default/services";
    static char body[] = "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"ports\":[{\"port\":80}]}}";
    assert_true(target_parse(path, sizeof path - 1, &a->target));
    a->request = (struct http_request){.method = "POST",
                                       .content_type = "application/json",
                                       .body = body,
                                       .body_length = sizeof body - 1};
    write_begin(&(struct write_wish){.verb = VERB_CREATE,
                                     .kind = kind_of_resource("", "v1", "services"),
                                     .target = &a->target,
                                     .request = &a->request,
                                     .tenant = tenant,
                                     .token = "t",
                                     .answer = answer,
                                     .user = a,
                                     .slot = &a->writing});
}

static void create(struct author_of *a) {
    create_of("acme", a);
}

static void control_runs(void) {
    struct job *j = posted;
    assert_non_null(j);
    posted = NULL;
    j->run(j);
    j->done(j);
}

static int begin(void **state) {
    (void)state;
    asked = written = answered = refused = 0;
    tenant_now.took_ms = 0;
    put_ms = 1000;
    alone = false;
    return 0;
}

static int end(void **state) {
    (void)state;
    writes_fini();
    return 0;
}

static void one_of_a_tenant_writes_at_a_time_and_then_its_others_rest(void **state) {
    struct author_of first = {.writing = NULL}, second = {.writing = NULL};
    (void)state;
    create(&first);
    create(&second);
    assert_int_equal(asked, 1);
    control_runs();
    assert_int_equal(answered, 1);
    writes_beat();
    assert_null(posted);
    now_ms += 3 * put_ms;
    writes_beat();
    assert_null(posted);
    now_ms += put_ms;
    writes_beat();
    control_runs();
    assert_int_equal(answered, 2);
    assert_int_equal(written, 2);
}

/* Else whoever does not stay for the answer would have the control thread to himself. */
static void it_is_the_same_when_who_wrote_does_not_wait_for_the_answer(void **state) {
    struct author_of first = {.writing = NULL}, second = {.writing = NULL};
    (void)state;
    create(&first);
    assert_non_null(posted);
    struct job *of_first = posted;
    write_forget(first.writing);
    create(&second);
    assert_int_equal(asked, 1);
    assert_ptr_equal(posted, of_first);
    control_runs();
    writes_beat();
    assert_int_equal(asked, 1);
    assert_null(posted);
    now_ms += 4 * put_ms;
    writes_beat();
    control_runs();
    assert_int_equal(answered, 1);
    assert_int_equal(written, 2);
}

static unsigned run_till_rest(void) {
    unsigned before = written;
    while (posted)
        control_runs();
    return written - before;
}

/* Many small ones are no less than one large one. */
static void writes_that_take_little_rest_when_they_are_many(void **state) {
    enum { MANY = 90 };
    static struct author_of author[MANY];
    (void)state;
    put_ms = 10;
    for (unsigned i = 0; i < MANY; i++)
        create(&author[i]);
    assert_in_range(run_till_rest(), 10, 20);
    for (int i = 0; i < 4; i++) {
        now_ms += 250;
        writes_beat();
        assert_in_range(run_till_rest(), 4, 8);
    }
    while (written < MANY) {
        now_ms += 250;
        writes_beat();
        run_till_rest();
    }
    assert_int_equal(answered, MANY);
}

/* Nobody has anything of a rest that is for nobody; but drops and checks go on, and a debt made so is none to who comes then. */
static void
while_nobody_else_asks_many_are_written_at_once_and_then_half_of_the_time(void **state) {
    enum { MANY = 100 };
    static struct author_of author[MANY];
    (void)state;
    alone = true;
    put_ms = 100;
    for (unsigned i = 0; i < MANY; i++)
        create(&author[i]);
    assert_int_equal(run_till_rest(), MANY);
    for (unsigned i = 0; i < MANY; i++)
        create(&author[i]);
    unsigned more = run_till_rest();
    assert_in_range(more, 15, 25); /* 12 s in all, of which the half is not paid yet */
    now_ms += 2000;
    writes_beat();
    assert_in_range(run_till_rest(), 19, 21);
    alone = false;
    writes_beat();
    assert_in_range(run_till_rest(), 1, 2);
    now_ms += 500;
    writes_beat();
    assert_in_range(run_till_rest(), 1, 2);
    for (unsigned i = 0; i < MANY; i++)
        if (author[i].writing)
            write_forget(author[i].writing);
}

/* The control thread looked at all of the tenant for them. */
static void what_was_looked_at_for_a_write_counts_as_well(void **state) {
    struct author_of first = {.writing = NULL}, second = {.writing = NULL};
    (void)state;
    put_ms = 0;
    tenant_now.took_ms = 1000;
    create(&first);
    create(&second);
    control_runs();
    assert_null(posted);
    now_ms += 20000;
    writes_beat();
    control_runs();
    assert_int_equal(answered, 2);
}

static void so_many_of_a_tenant_wait_and_more_are_asked_to_come_again(void **state) {
    enum { MOST = 100 };
    static struct author_of author[MOST + 2];
    struct author_of other = {.writing = NULL};
    (void)state;
    for (unsigned i = 0; i < MOST; i++)
        create(&author[i]);
    assert_int_equal(refused, 0);
    create(&author[MOST]);
    assert_int_equal(refused, 1);
    assert_null(author[MOST].writing);
    write_forget(author[1].writing); /* one went */
    author[1].writing = NULL;
    create(&author[MOST + 1]);
    assert_int_equal(refused, 1);
    struct job *of_acme = posted;
    posted = NULL;
    create_of("globex", &other); /* is not in that line */
    assert_int_equal(refused, 1);
    control_runs();
    posted = of_acme;
    for (unsigned i = 0; i < MOST + 2; i++)
        if (author[i].writing)
            write_forget(author[i].writing);
    control_runs();
}

static void so_many_wait_of_all_tenants_together(void **state) {
    enum { MOST = 1000, EACH = 50 };
    static struct author_of author[MOST + 1];
    struct job *begun[MOST / EACH];
    char tenant[16];
    (void)state;
    for (unsigned i = 0; i < MOST; i++) {
        snprintf(tenant, sizeof tenant, "t%u", i / EACH);
        create_of(tenant, &author[i]);
        if (i % EACH == 0) {
            begun[i / EACH] = posted;
            posted = NULL;
        }
    }
    assert_int_equal(refused, 0);
    create_of("one-more", &author[MOST]);
    assert_int_equal(refused, 1);
    for (unsigned i = 0; i < MOST; i++)
        write_forget(author[i].writing);
    for (unsigned i = 0; i < MOST / EACH; i++) {
        posted = begun[i];
        control_runs();
    }
    create_of("one-more", &author[MOST]);
    control_runs();
    assert_int_equal(answered, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_of_a_tenant_writes_at_a_time_and_then_its_others_rest,
                                        begin, end),
        cmocka_unit_test_setup_teardown(it_is_the_same_when_who_wrote_does_not_wait_for_the_answer,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            while_nobody_else_asks_many_are_written_at_once_and_then_half_of_the_time, begin, end),
        cmocka_unit_test_setup_teardown(writes_that_take_little_rest_when_they_are_many, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_was_looked_at_for_a_write_counts_as_well, begin, end),
        cmocka_unit_test_setup_teardown(so_many_of_a_tenant_wait_and_more_are_asked_to_come_again,
                                        begin, end),
        cmocka_unit_test_setup_teardown(so_many_wait_of_all_tenants_together, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
