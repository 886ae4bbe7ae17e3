/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_review.c - a token is told that it may do what it may, whatever it asks.
 * link: modules/kube/review.c modules/kube/kinds.c
 */
#include "modules/kube/review.h"
#include "tests/unit/kube_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *answered(const char *kind, const char *question) {
    json_t *asked = js(question);
    const char *group =
        strcmp(kind, "SelfSubjectReview") ? "authorization.k8s.io/v1" : "authentication.k8s.io/v1";
    json_t *answer = review_of(kind_of_object(group, kind), asked, "tenant:acme");
    json_decref(asked);
    return answer;
}

static bool allowed(const char *what) {
    char question[300];
    snprintf(question, sizeof question, "{'spec':{%s}}", what);
    json_t *answer = answered("SelfSubjectAccessReview", question);
    const json_t *said = json_object_get(json_object_get(answer, "status"), "allowed");
    assert_true(json_is_boolean(said));
    bool yes = json_is_true(said);
    json_decref(answer);
    return yes;
}
#define RESOURCE(rest) "'resourceAttributes':{" rest "}"
#define PODS(rest) RESOURCE("'resource':'pods','verb':" rest)

static void what_can_be_done_is_allowed(void **state) {
    (void)state;
    assert_true(allowed(PODS("'create','namespace':'default'")));
    assert_true(allowed(PODS("'get','namespace':'default','version':'*','name':'web'")));
    assert_true(allowed(PODS("'watch','namespace':''")));
    assert_true(allowed(PODS("'patch','subresource':'status','namespace':'default'")));
    assert_true(allowed(RESOURCE("'resource':'ingresses','group':'networking.k8s.io',"
                                 "'version':'v1','verb':'update','namespace':'default'")));
    assert_true(allowed(RESOURCE("'resource':'namespaces','verb':'list'")));
    assert_true(allowed(RESOURCE("'resource':'namespaces','verb':'get','name':'default'")));
    assert_true(allowed("'nonResourceAttributes':{'path':'/apis/x','verb':'get'}"));
}

static void nothing_else_is(void **state) {
    (void)state;
    assert_false(allowed(PODS("'create','namespace':'globex'")));
    assert_false(allowed(PODS("'list','namespace':'globex'")));
    assert_false(allowed(PODS("'create','namespace':''")));
    assert_false(allowed(PODS("'get','subresource':'log','namespace':'default'")));
    assert_false(allowed(PODS("'*','namespace':'default'")));
    assert_false(allowed(PODS("'get','group':'apps','namespace':'default'")));
    assert_false(allowed(PODS("'get','version':'v2','namespace':'default'")));
    assert_false(allowed(RESOURCE("'resource':'*','group':'*','verb':'*'")));
    assert_false(allowed(RESOURCE("'resource':'ingresses','verb':'get','namespace':'default'")));
    assert_false(allowed(RESOURCE("'resource':'events','verb':'delete','namespace':'default'")));
    assert_false(allowed(RESOURCE("'resource':'namespaces','verb':'get','name':'globex'")));
    assert_false(allowed(RESOURCE("'resource':'namespaces','verb':'create'")));
    assert_false(allowed("'nonResourceAttributes':{'path':'/metrics','verb':'get'}"));
    assert_false(allowed("'nonResourceAttributes':{'path':'/apis','verb':'post'}"));
    assert_false(allowed("'resourceAttributes':7"));
    assert_false(allowed(""));
}

static void rules_are_those_of_ones_own_namespace(void **state) {
    (void)state;
    json_t *own = answered("SelfSubjectRulesReview", "{'spec':{'namespace':'default'}}");
    json_t *other = answered("SelfSubjectRulesReview", "{'spec':{'namespace':'globex'}}");
    size_t i, kinds = 0, namespaced = 0;
    json_t *rule;
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        if (k->nature != KIND_ABSENT) {
            kinds++;
            namespaced += k->namespaced;
        }
    const json_t *rules = json_object_get(json_object_get(other, "status"), "resourceRules");
    assert_int_equal(json_array_size(rules), kinds - namespaced);
    rules = json_object_get(json_object_get(own, "status"), "resourceRules");
    assert_int_equal(json_array_size(rules), kinds);
    json_array_foreach(rules, i, rule) {
        assert_true(json_array_size(json_object_get(rule, "verbs")) > 0);
    }
    json_decref(own);
    json_decref(other);
}

static void who_asks_is_told_who_it_is(void **state) {
    (void)state;
    assert_json(answered("SelfSubjectReview", "{}"),
                "{'kind':'SelfSubjectReview','apiVersion':'authentication.k8s.io/v1',"
                "'metadata':{'creationTimestamp':null},'status':{'userInfo':{"
                "'username':'tenant:acme','groups':['system:authenticated']}}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_done_is_allowed),
        cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(rules_are_those_of_ones_own_namespace),
        cmocka_unit_test(who_asks_is_told_who_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
