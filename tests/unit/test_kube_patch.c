/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_patch.c - the three patches: the examples of the RFCs, what kubectl sends, and what is no patch.
 * link: modules/kube/patch_json.c modules/kube/patch_merge.c modules/kube/shape.c modules/kube/fault.c
 */
#include "modules/kube/patch.h"
#include "tests/unit/kube_json.h"

typedef bool patch_fn(const json_t *, const json_t *, struct fault *, json_t **);

static bool service_patch(const json_t *object, const json_t *patch, struct fault *fault,
                          json_t **ret) {
    return patch_strategic(object, patch, shape_find("v1", "Service"), fault, ret);
}

static bool pod_patch(const json_t *object, const json_t *patch, struct fault *fault,
                      json_t **ret) {
    return patch_strategic(object, patch, shape_find("v1", "Pod"), fault, ret);
}

/* The patch makes `after` of `before`, and leaves `before` as it was. */
static void patches(patch_fn *patch, const char *before, const char *change, const char *after) {
    struct fault fault = {0};
    json_t *object = js(before), *diff = js(change), *result = NULL;
    if (!patch(object, diff, &fault, &result))
        fail_msg("%s: %s", change, fault.message);
    assert_json(result, after);
    assert_json(object, before);
    assert_json(diff, change);
}

static void refuses(patch_fn *patch, const char *before, const char *change, int code,
                    const char *message) {
    struct fault fault = {0};
    json_t *object = js(before), *diff = js(change), *result = NULL;
    assert_false(patch(object, diff, &fault, &result));
    assert_null(result);
    assert_int_equal(fault.code, code);
    if (!strstr(fault.message, message))
        fail_msg("`%s` is not in `%s`", message, fault.message);
    assert_json(object, before);
    json_decref(diff);
    fault_fini(&fault);
}

static void a_merge_patch_is_that_of_rfc_7386(void **state) {
    (void)state;
    patches(patch_merge, "{'a':'b'}", "{'a':'c'}", "{'a':'c'}");
    patches(patch_merge, "{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}");
    patches(patch_merge, "{'a':'b'}", "{'a':null}", "{}");
    patches(patch_merge, "{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}");
    patches(patch_merge, "{'a':['b']}", "{'a':'c'}", "{'a':'c'}");
    patches(patch_merge, "{'a':'c'}", "{'a':['b']}", "{'a':['b']}");
    patches(patch_merge, "{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}");
    patches(patch_merge, "{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}");
    patches(patch_merge, "{'e':null}", "{'a':1}", "{'e':null,'a':1}");
    patches(patch_merge, "{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}");
    refuses(patch_merge, "{'a':'foo'}", "['c']", 400, "must be an object");
    refuses(patch_merge, "{'a':'foo'}", "'bar'", 400, "must be an object");
}

static void a_json_patch_does_the_operations_of_rfc_6902(void **state) {
    (void)state;
    patches(patch_json, "{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]",
            "{'baz':'qux','foo':'bar'}");
    patches(patch_json, "{'foo':['bar','baz']}", "[{'op':'add','path':'/foo/1','value':'qux'}]",
            "{'foo':['bar','qux','baz']}");
    patches(patch_json, "{'foo':['bar']}", "[{'op':'add','path':'/foo/-','value':['abc','def']}]",
            "{'foo':['bar',['abc','def']]}");
    patches(patch_json, "{'baz':'qux','foo':'bar'}", "[{'op':'remove','path':'/baz'}]",
            "{'foo':'bar'}");
    patches(patch_json, "{'foo':['bar','qux','baz']}", "[{'op':'remove','path':'/foo/1'}]",
            "{'foo':['bar','baz']}");
    patches(patch_json, "{'baz':'qux','foo':'bar'}",
            "[{'op':'replace','path':'/baz','value':'boo'}]", "{'baz':'boo','foo':'bar'}");
    patches(patch_json, "{'foo':{'bar':'baz','waldo':'fred'},'qux':{'corge':'grault'}}",
            "[{'op':'move','from':'/foo/waldo','path':'/qux/thud'}]",
            "{'foo':{'bar':'baz'},'qux':{'corge':'grault','thud':'fred'}}");
    patches(patch_json, "{'foo':['all','grass','cows','eat']}",
            "[{'op':'move','from':'/foo/1','path':'/foo/3'}]",
            "{'foo':['all','cows','eat','grass']}");
    patches(patch_json, "{'a':{'b':1}}", "[{'op':'copy','from':'/a','path':'/c'}]",
            "{'a':{'b':1},'c':{'b':1}}");
    patches(patch_json, "{'baz':'qux','foo':['a',2,'c']}",
            "[{'op':'test','path':'/baz','value':'qux'},{'op':'test','path':'/foo/1','value':2}]",
            "{'baz':'qux','foo':['a',2,'c']}");
    patches(patch_json, "{'foo':'bar'}", "[{'op':'add','path':'','value':{'a':1}}]", "{'a':1}");
    patches(patch_json, "{'a':1}", "[]", "{'a':1}");
}

static void a_pointer_escapes_slash_and_tilde_once(void **state) {
    (void)state;
    patches(patch_json, "{'m~n':8,'a/b':1,'~1':2}",
            "[{'op':'test','path':'/m~0n','value':8},{'op':'test','path':'/a~1b','value':1},"
            "{'op':'test','path':'/~01','value':2}]",
            "{'m~n':8,'a/b':1,'~1':2}");
    patches(patch_json, "{'':1}", "[{'op':'replace','path':'/','value':2}]", "{'':2}");
    refuses(patch_json, "{'a':[1,2]}", "[{'op':'test','path':'/a/01','value':2}]", 422, "/a/01");
    refuses(patch_json, "{'a':[1]}", "[{'op':'add','path':'/a/-1','value':2}]", 422,
            "invalid index");
    refuses(patch_json, "{'a':[1]}", "[{'op':'add','path':'/a/2','value':2}]", 422,
            "Unable to access invalid index: 2");
    refuses(patch_json, "{'a':1}", "[{'op':'add','path':'a','value':2}]", 422, "missing path");
}

static void a_json_patch_that_does_not_fit_says_what_is_missing(void **state) {
    (void)state;
    refuses(patch_json, "{'a':1}", "[{'op':'test','path':'/a','value':2}]", 422,
            "testing value /a failed: test failed");
    refuses(patch_json, "{'a':1}", "[{'op':'remove','path':'/b'}]", 422,
            "Unable to remove nonexistent key: b: missing value");
    refuses(patch_json, "{'a':1}", "[{'op':'replace','path':'/b','value':1}]", 422,
            "replace operation does not apply: doc is missing key: /b: missing value");
    refuses(patch_json, "{'a':1}", "[{'op':'add','path':'/b/c','value':1}]", 422,
            "add operation does not apply: doc is missing path: \"/b/c\": missing value");
    refuses(patch_json, "{'a':1}", "[{'op':'copy','from':'/b','path':'/c'}]", 422,
            "copy operation does not apply: doc is missing from path: /b");
    refuses(patch_json, "{'a':{'b':1}}", "[{'op':'move','from':'/a','path':'/a/b/c'}]", 422,
            "lies within");
    refuses(patch_json, "{'a':1}", "[{'op':'frob','path':'/a'}]", 400, "Unexpected kind: frob");
    refuses(patch_json, "{'a':1}", "[{'op':'add','path':'/a'}]", 400, "has a `value`");
    refuses(patch_json, "{'a':1}", "[7]", 400, "an `op` and a `path`");
    refuses(patch_json, "{'a':1}", "{'a':2}", 400, "a list of operations");
    refuses(patch_json, "{'a':1}", "[{'op':'add','path':'','value':7}]", 422, "no object");
}

/* The first operations have been done on the copy only: nothing of them is seen. */
static void a_later_failure_undoes_all(void **state) {
    (void)state;
    refuses(patch_json, "{'a':{'b':1}}",
            "[{'op':'add','path':'/a/c','value':2},{'op':'remove','path':'/a/b'},"
            "{'op':'test','path':'/a/c','value':3}]",
            422, "testing value /a/c failed");
}

static void copies_that_double_are_stopped(void **state) {
    (void)state;
    json_t *patch = json_array(), *object = js("{'a':['x','x','x','x']}"), *result = NULL;
    struct fault fault = {0};
    for (int i = 0; i < 64; i++)
        json_array_append_new(patch, js("{'op':'copy','from':'/a','path':'/a/-'}"));
    assert_false(patch_json(object, patch, &fault, &result));
    assert_true(fault.code == 413 || fault.code == 422);
    json_decref(patch);
    json_decref(object);
    fault_fini(&fault);
}

static json_t *nested(size_t depth) {
    json_t *value = json_integer(1);
    while (depth--)
        value = json_pack("{s:o}", "a", value);
    return value;
}

static void what_is_nested_too_deep_is_refused(void **state) {
    (void)state;
    struct fault fault = {0};
    json_t *object = js("{'a':1}"), *deep = nested(PATCH_DEPTH + 5), *result = NULL;
    json_t *add = json_pack("[{s:s,s:s,s:O}]", "op", "add", "path", "/a", "value", deep);
    assert_false(patch_merge(object, deep, &fault, &result));
    assert_false(patch_strategic(object, deep, NULL, &fault, &result));
    assert_false(patch_json(object, add, &fault, &result));
    json_decref(object);
    json_decref(deep);
    json_decref(add);
    fault_fini(&fault);
}

/* ---- strategic ---- */

#define PORTS \
    "{'spec':{'ports':[{'port':80,'name':'a'},{'port':443,'name':'b'}],'type':'NodePort'}}"

static void ports_merge_by_their_number(void **state) {
    (void)state;
    patches(service_patch, PORTS, "{'spec':{'ports':[{'port':443,'targetPort':8443}]}}",
            "{'spec':{'ports':[{'port':80,'name':'a'},"
            "{'port':443,'name':'b','targetPort':8443}],'type':'NodePort'}}");
    patches(service_patch, PORTS, "{'spec':{'ports':[{'port':22}]}}",
            "{'spec':{'ports':[{'port':22},{'port':80,'name':'a'},{'port':443,'name':'b'}],"
            "'type':'NodePort'}}");
    patches(service_patch, PORTS,
            "{'spec':{'$setElementOrder/ports':[{'port':443},{'port':22},{'port':80}],"
            "'ports':[{'port':22}]}}",
            "{'spec':{'ports':[{'port':443,'name':'b'},{'port':22},{'port':80,'name':'a'}],"
            "'type':'NodePort'}}");
}

static void an_item_is_deleted_by_its_key(void **state) {
    (void)state;
    patches(service_patch, PORTS, "{'spec':{'ports':[{'$patch':'delete','port':80}]}}",
            "{'spec':{'ports':[{'port':443,'name':'b'}],'type':'NodePort'}}");
    patches(service_patch, PORTS,
            "{'spec':{'$setElementOrder/ports':[{'port':443}],"
            "'ports':[{'$patch':'delete','port':80}]}}",
            "{'spec':{'ports':[{'port':443,'name':'b'}],'type':'NodePort'}}");
    refuses(service_patch, PORTS, "{'spec':{'ports':[{'$patch':'delete','name':'a'}]}}", 400,
            "does not contain declared merge key: port");
}

static void a_list_and_a_map_can_be_replaced(void **state) {
    (void)state;
    patches(service_patch, PORTS, "{'spec':{'ports':[{'port':1},{'$patch':'replace'}]}}",
            "{'spec':{'ports':[{'port':1}],'type':'NodePort'}}");
    patches(service_patch, PORTS, "{'spec':{'$patch':'replace','type':'ClusterIP'}}",
            "{'spec':{'type':'ClusterIP'}}");
    patches(service_patch, PORTS, "{'spec':{'ports':null}}", "{'spec':{'type':'NodePort'}}");
    refuses(service_patch, PORTS, "{'spec':{'$patch':'frob'}}", 400, "unknown patch type: frob");
    refuses(service_patch, PORTS, "{'spec':{'ports':[{'$patch':'frob','port':80}]}}", 400,
            "unknown patch type: frob in map");
    refuses(service_patch, PORTS, "{'spec':{'ports':[{'name':'x'}]}}", 400,
            "map: {\"name\":\"x\"} does not contain declared merge key: port");
}

static void containers_merge_by_name_and_their_ports_within(void **state) {
    (void)state;
    patches(pod_patch,
            "{'spec':{'containers':[{'name':'a','image':'x','ports':[{'containerPort':80}]},"
            "{'name':'b','image':'y'}]}}",
            "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80,'name':'web'},"
            "{'containerPort':81}]}]}}",
            "{'spec':{'containers':[{'name':'a','image':'x','ports':[{'containerPort':80,"
            "'name':'web'},{'containerPort':81}]},{'name':'b','image':'y'}]}}");
}

static void a_list_without_keys_is_replaced(void **state) {
    (void)state;
    struct fault fault = {0};
    json_t *object = js("{'spec':{'rules':[{'host':'a'},{'host':'b'}]}}"), *result = NULL;
    json_t *patch = js("{'spec':{'rules':[{'host':'c'}]}}");
    assert_true(patch_strategic(object, patch, shape_find("networking.k8s.io/v1", "Ingress"),
                                &fault, &result));
    assert_json(result, "{'spec':{'rules':[{'host':'c'}]}}");
    json_decref(object);
    json_decref(patch);
}

static void scalars_are_added_and_pruned(void **state) {
    (void)state;
    patches(pod_patch, "{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['c']}}",
            "{'metadata':{'finalizers':['c','a','b']}}");
    patches(pod_patch, "{'metadata':{'finalizers':['a','b','c']}}",
            "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b','z'],"
            "'$setElementOrder/finalizers':['c','a']}}",
            "{'metadata':{'finalizers':['c','a']}}");
    refuses(pod_patch, "{'metadata':{'finalizers':['a']}}",
            "{'metadata':{'$deleteFromPrimitiveList/finalizers':'a'}}", 400,
            "invalid patch format of primitive list");
}

static void retained_keys_clear_the_others(void **state) {
    (void)state;
    patches(pod_patch, "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
            "{'spec':{'volumes':[{'$retainKeys':['name','hostPath'],'name':'v',"
            "'hostPath':{'path':'/x'}}]}}",
            "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}");
    refuses(pod_patch, "{'spec':{'nodeName':'a'}}",
            "{'spec':{'$retainKeys':['nodeName'],'hostname':'x'}}", 400,
            "patch content doesn't match retainKeys list");
}

static void what_is_new_carries_no_directives(void **state) {
    (void)state;
    patches(pod_patch, "{}",
            "{'metadata':{'annotations':{'a':'b','c':null}},"
            "'spec':{'$setElementOrder/containers':[{'name':'x'}],'containers':[{'name':'x'}]}}",
            "{'metadata':{'annotations':{'a':'b'}},'spec':{'containers':[{'name':'x'}]}}");
    patches(service_patch, "{'spec':{}}", "{'spec':{'ports':[{'port':1},{'$patch':'replace'}]}}",
            "{'spec':{'ports':[{'port':1}]}}");
    patches(pod_patch, "{'metadata':{'name':'n'}}", "{'metadata':{'labels':{'$patch':'delete'}}}",
            "{'metadata':{'name':'n'}}");
}

/* Two ports of one number: whole when there was no list before. */
static void a_first_list_keeps_all_its_items(void **state) {
    (void)state;
    patches(service_patch, "{'spec':{}}",
            "{'spec':{'ports':[{'port':53,'protocol':'UDP'},{'port':53,'protocol':'TCP'}]}}",
            "{'spec':{'ports':[{'port':53,'protocol':'UDP'},{'port':53,'protocol':'TCP'}]}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merge_patch_is_that_of_rfc_7386),
        cmocka_unit_test(a_json_patch_does_the_operations_of_rfc_6902),
        cmocka_unit_test(a_pointer_escapes_slash_and_tilde_once),
        cmocka_unit_test(a_json_patch_that_does_not_fit_says_what_is_missing),
        cmocka_unit_test(a_later_failure_undoes_all),
        cmocka_unit_test(copies_that_double_are_stopped),
        cmocka_unit_test(what_is_nested_too_deep_is_refused),
        cmocka_unit_test(ports_merge_by_their_number),
        cmocka_unit_test(an_item_is_deleted_by_its_key),
        cmocka_unit_test(a_list_and_a_map_can_be_replaced),
        cmocka_unit_test(containers_merge_by_name_and_their_ports_within),
        cmocka_unit_test(a_list_without_keys_is_replaced),
        cmocka_unit_test(scalars_are_added_and_pruned),
        cmocka_unit_test(retained_keys_clear_the_others),
        cmocka_unit_test(what_is_new_carries_no_directives),
        cmocka_unit_test(a_first_list_keeps_all_its_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
