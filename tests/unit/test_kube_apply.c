/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_apply.c - who owns which field, who may take it, and what goes when its owner lets go.
 * link: modules/kube/apply.c modules/kube/fieldset.c modules/kube/patch_json.c modules/kube/shape.c modules/kube/fault.c
 */
#include "modules/kube/apply.h"
#include "modules/kube/fieldset.h"
#include "tests/unit/kube_json.h"

static const struct author alice = {"alice", "v1", "2026-01-01T00:00:00Z"};
static const struct author bob = {"bob", "v1", "2026-01-02T00:00:00Z"};

static const struct shape *service(void) {
    return shape_find("v1", "Service");
}

/* Takes `live`; fails the test when refused. */
static json_t *applied_at(json_t *live, const char *config, const struct author *author,
                          bool force) {
    struct fault fault = {0};
    json_t *wanted = js(config), *result = NULL;
    if (!apply_server_side(live, wanted, service(), author, force, &fault, &result))
        fail_msg("%s: %s", config, fault.message);
    json_decref(wanted);
    json_decref(live);
    return result;
}

static json_t *applied(json_t *live, const char *config, const struct author *author) {
    return applied_at(live, config, author, false);
}

static void refused(const json_t *live, const char *config, const struct author *author, int code,
                    const char *message, size_t causes) {
    struct fault fault = {0};
    json_t *wanted = js(config), *result = NULL;
    assert_false(apply_server_side(live, wanted, service(), author, false, &fault, &result));
    assert_null(result);
    assert_int_equal(fault.code, code);
    assert_string_equal(fault.message, message);
    assert_int_equal(fault_causes(&fault), causes);
    fault_fini(&fault);
    json_decref(wanted);
}

static json_t *spec_of(const json_t *object) {
    return json_incref(json_object_get(object, "spec"));
}

static json_t *set_of(const json_t *object, const char *manager) {
    json_t *entry, *managed = json_object_get(json_object_get(object, "metadata"), "managedFields");
    size_t i;
    json_array_foreach(managed, i, entry) {
        if (!strcmp(json_string_value(json_object_get(entry, "manager")), manager))
            return json_incref(json_object_get(entry, "fieldsV1"));
    }
    return json_null();
}

#define HEAD "'apiVersion':'v1','kind':'Service','metadata':{'name':'s'}"

static void the_first_apply_owns_what_it_says(void **state) {
    (void)state;
    json_t *s = applied(NULL,
                        "{" HEAD ",'spec':{'type':'NodePort','selector':{'a':'b'},"
                        "'ports':[{'port':80,'name':'web'}]}}",
                        &alice);
    assert_json(set_of(s, "alice"),
                "{'f:spec':{'f:type':{},'f:selector':{},'f:ports':{"
                "'k:{\\'port\\':80,\\'protocol\\':\\'TCP\\'}':{'.':{},'f:port':{},'f:name':{}}}}}");
    json_t *entry =
        json_array_get(json_object_get(json_object_get(s, "metadata"), "managedFields"), 0);
    assert_string_equal(json_string_value(json_object_get(entry, "operation")), "Apply");
    assert_string_equal(json_string_value(json_object_get(entry, "fieldsType")), "FieldsV1");
    json_decref(s);
}

static void the_same_again_changes_nothing(void **state) {
    (void)state;
    const char *config = "{" HEAD ",'spec':{'type':'NodePort','ports':[{'port':80}]}}";
    const struct author later = {"alice", "v1", "2027-01-01T00:00:00Z"};
    json_t *first = applied(NULL, config, &alice),
           *again = applied(json_incref(first), config, &later);
    assert_true(json_equal(first, again));
    json_decref(first);
    json_decref(again);
}

static void two_managers_may_own_parts_of_one_list(void **state) {
    (void)state;
    json_t *s = applied(NULL, "{" HEAD ",'spec':{'ports':[{'port':80}]}}", &alice);
    s = applied(s, "{" HEAD ",'spec':{'ports':[{'port':443},{'port':80,'protocol':'UDP'}]}}", &bob);
    assert_json(spec_of(s), "{'ports':[{'port':80},{'port':443},{'port':80,'protocol':'UDP'}]}");
    s = applied(s, "{" HEAD ",'spec':{'ports':[{'port':443}]}}", &bob);
    assert_json(spec_of(s), "{'ports':[{'port':80},{'port':443}]}");
    s = applied(s, "{" HEAD "}", &bob);
    assert_json(spec_of(s), "{'ports':[{'port':80}]}");
    s = applied(s, "{" HEAD "}", &alice);
    assert_null(json_object_get(s, "spec"));
    json_decref(s);
}

static void what_is_applied_no_more_goes_unless_another_owns_it(void **state) {
    (void)state;
    json_t *s = applied(NULL, "{" HEAD ",'spec':{'type':'NodePort','clusterIP':'None'}}", &alice);
    s = applied(s, "{" HEAD ",'spec':{'type':'NodePort'}}", &bob);
    s = applied(s, "{" HEAD "}", &alice);
    assert_json(spec_of(s), "{'type':'NodePort'}");
    assert_json(set_of(s, "bob"), "{'f:spec':{'f:type':{}}}");
    assert_json(set_of(s, "alice"), "null");
    json_decref(s);
}

static void a_field_of_another_is_a_conflict_in_upstreams_words(void **state) {
    (void)state;
    json_t *s = applied(
        NULL, "{" HEAD ",'spec':{'type':'NodePort','ports':[{'port':80,'name':'a'}]}}", &alice);
    refused(s, "{" HEAD ",'spec':{'type':'ClusterIP'}}", &bob, 409,
            "Apply failed with 1 conflict: conflict with \"alice\": .spec.type", 1);
    refused(s, "{" HEAD ",'spec':{'type':'ClusterIP','ports':[{'port':80,'name':'b'}]}}", &bob, 409,
            "Apply failed with 2 conflicts: conflicts with \"alice\":\n- .spec.type\n"
            "- .spec.ports[port=80,protocol=\"TCP\"].name",
            2);
    s = applied(s, "{" HEAD ",'spec':{'type':'NodePort'}}", &bob); /* the same value: shared */
    json_decref(s);
}

static void force_takes_the_field(void **state) {
    (void)state;
    json_t *s = applied(NULL, "{" HEAD ",'spec':{'type':'NodePort','clusterIP':'None'}}", &alice);
    s = applied_at(s, "{" HEAD ",'spec':{'type':'ClusterIP'}}", &bob, true);
    assert_json(spec_of(s), "{'type':'ClusterIP','clusterIP':'None'}");
    assert_json(set_of(s, "alice"), "{'f:spec':{'f:clusterIP':{}}}");
    assert_json(set_of(s, "bob"), "{'f:spec':{'f:type':{}}}");
    json_decref(s);
}

static void other_writes_own_what_they_change(void **state) {
    (void)state;
    json_t *s =
        applied(NULL, "{" HEAD ",'spec':{'type':'NodePort','ports':[{'port':80}]}}", &alice);
    json_t *edited = json_deep_copy(s);
    json_object_set_new(json_object_get(edited, "spec"), "type", json_string("ClusterIP"));
    apply_track(s, edited, service(), &bob);
    assert_json(set_of(edited, "bob"), "{'f:spec':{'f:type':{}}}");
    assert_json(set_of(edited, "alice"),
                "{'f:spec':{'f:ports':{'k:{\\'port\\':80,\\'protocol\\':\\'TCP\\'}':"
                "{'.':{},'f:port':{}}}}}");
    refused(edited, "{" HEAD ",'spec':{'type':'NodePort','ports':[{'port':80}]}}", &alice, 409,
            "Apply failed with 1 conflict: conflict with \"bob\" using v1 at 2026-01-02T00:00:00Z: "
            ".spec.type",
            1);
    json_decref(s);
    json_decref(edited);
}

static void what_a_write_removes_is_nobodys(void **state) {
    (void)state;
    json_t *s = js("{" HEAD ",'spec':{'type':'NodePort','clusterIP':'None'}}"), *edited;
    apply_track(NULL, s, service(), &alice);
    edited = json_deep_copy(s);
    json_object_del(json_object_get(edited, "spec"), "clusterIP");
    apply_track(s, edited, service(), &bob);
    assert_json(set_of(edited, "alice"), "{'f:spec':{'f:type':{}}}");
    assert_json(set_of(edited, "bob"), "null");
    json_decref(s);
    json_decref(edited);
}

static void a_file_written_by_hand_was_there_before_the_first_apply(void **state) {
    (void)state;
    json_t *s = js("{" HEAD ",'spec':{'type':'NodePort'}}");
    refused(s, "{" HEAD ",'spec':{'type':'ClusterIP'}}", &alice, 409,
            "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1 at "
            "2026-01-01T00:00:00Z: .spec.type",
            1);
    s = applied(s, "{" HEAD ",'spec':{'type':'NodePort','clusterIP':'None'}}", &alice);
    assert_json(set_of(s, "before-first-apply"), "{'f:spec':{'f:type':{}}}");
    json_decref(s);
}

static void the_server_keeps_its_own_metadata(void **state) {
    (void)state;
    json_t *s = js("{'apiVersion':'v1','kind':'Service','metadata':{'name':'s','uid':'u',"
                   "'resourceVersion':'7','labels':{'x':'y'}}}");
    s = applied(s,
                "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s','uid':'other',"
                "'labels':{'a':'b'}}}",
                &alice);
    assert_json(set_of(s, "alice"), "{'f:metadata':{'f:labels':{'f:a':{}}}}");
    json_object_del(json_object_get(s, "metadata"), "managedFields");
    assert_json(s, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s','uid':'u',"
                   "'resourceVersion':'7','labels':{'x':'y','a':'b'}}}");
}

static void an_item_without_its_key_or_twice_is_refused(void **state) {
    (void)state;
    refused(NULL, "{" HEAD ",'spec':{'ports':[{'name':'x'}]}}", &alice, 400,
            ".spec.ports: element 0: associative list with keys has an element that omits key "
            "field \"port\"",
            0);
    refused(NULL, "{" HEAD ",'spec':{'ports':[{'port':1},{'port':1,'protocol':'TCP'}]}}", &alice,
            400, ".spec.ports: duplicate entries for key [1,\"TCP\"]", 0);
    refused(NULL, "{'metadata':{'managedFields':[{}]}}", &alice, 400,
            "metadata.managedFields must be nil", 0);
}

/* A client may bring any managedFields: they are taken for what they are, and nothing falls over them. */
static void strange_managed_fields_are_survived(void **state) {
    (void)state;
    static const char *const strange[] = {
        "[1,'x',null,{}]",
        "[{'manager':'m','operation':'Apply','fieldsV1':{'f:spec':7,'k:{':{},'':{},'f:':[]}}]",
        ("[{'manager':'alice','operation':'Apply','fieldsV1':"
         "{'f:spec':{'f:ports':{'k:nonsense':{},'f:x':{}},'f:type':{'f:y':{}}}}}]"),
    };
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        json_t *s = js("{" HEAD ",'spec':{'type':'NodePort','ports':[{'port':80}]}}");
        json_object_set_new(json_object_get(s, "metadata"), "managedFields", js(strange[i]));
        s = applied_at(s, "{" HEAD ",'spec':{'type':'ClusterIP'}}", &alice, true);
        assert_string_equal(json_string_value(json_object_get(json_object_get(s, "spec"), "type")),
                            "ClusterIP");
        json_decref(s);
    }
}

static void sets_combine_as_sets_do(void **state) {
    (void)state;
    json_t *a = js("{'f:a':{'.':{},'f:b':{}},'f:c':{}}"), *b = js("{'f:a':{'f:b':{}},'f:d':{}}");
    assert_json(fieldset_union(a, b), "{'f:a':{'.':{},'f:b':{}},'f:c':{},'f:d':{}}");
    assert_json(fieldset_intersect(a, b), "{'f:a':{'f:b':{}}}");
    assert_json(fieldset_subtract(a, b), "{'f:a':{},'f:c':{}}");
    assert_json(fieldset_subtract(b, a), "{'f:d':{}}");
    assert_json(fieldset_subtract(a, a), "{}");
    json_decref(a);
    json_decref(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_apply_owns_what_it_says),
        cmocka_unit_test(the_same_again_changes_nothing),
        cmocka_unit_test(two_managers_may_own_parts_of_one_list),
        cmocka_unit_test(what_is_applied_no_more_goes_unless_another_owns_it),
        cmocka_unit_test(a_field_of_another_is_a_conflict_in_upstreams_words),
        cmocka_unit_test(force_takes_the_field),
        cmocka_unit_test(other_writes_own_what_they_change),
        cmocka_unit_test(what_a_write_removes_is_nobodys),
        cmocka_unit_test(a_file_written_by_hand_was_there_before_the_first_apply),
        cmocka_unit_test(the_server_keeps_its_own_metadata),
        cmocka_unit_test(an_item_without_its_key_or_twice_is_refused),
        cmocka_unit_test(strange_managed_fields_are_survived),
        cmocka_unit_test(sets_combine_as_sets_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
