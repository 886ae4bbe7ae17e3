/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_api.c - what is pure in answering kubectl: paths, selectors, accept headers, ages, and the objects that are composed of what
 * the edge knows.
 * link: modules/kube/target.c modules/kube/selector.c modules/kube/kinds.c modules/kube/accept.c modules/kube/table.c
 * link: modules/kube/compose.c modules/kube/containers.c modules/kube/endpoints.c modules/kube/happenings.c modules/kube/words.c
 */
#include "modules/kube/accept.h"
#include "modules/kube/compose.h"
#include "modules/kube/parts.h"
#include "modules/kube/selector.h"
#include "modules/kube/table.h"
#include "modules/kube/target.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- paths ---- */

static struct target target;

static bool parsed(const char *text) {
    return target_parse(text, strlen(text), &target);
}

static void a_path_is_taken_apart(void **state) {
    (void)state;
    assert_true(
        parsed("/apis/networking.k8s.io/v1/namespaces/default/ingresses/web/status?a=b%20c&d"));
    assert_int_equal(target.what, TARGET_RESOURCE);
    assert_string_equal(target.group, "networking.k8s.io");
    assert_string_equal(target.version, "v1");
    assert_string_equal(target.namespace, "default");
    assert_string_equal(target.resource, "ingresses");
    assert_string_equal(target.name, "web");
    assert_string_equal(target.subresource, "status");
    assert_string_equal(target_query(&target, "a"), "b c");
    assert_string_equal(target_query(&target, "d"), "");
    assert_null(target_query(&target, "e"));
}

static void what_a_path_is_of_is_told_by_its_shape(void **state) {
    static const struct {
        const char *path;
        enum target_what what;
    } paths[] = {{"/", TARGET_ROOT},
                 {"/version", TARGET_VERSION},
                 {"/healthz", TARGET_HEALTH},
                 {"/api", TARGET_API},
                 {"/api/", TARGET_API},
                 {"/apis", TARGET_APIS},
                 {"/apis/discovery.k8s.io", TARGET_GROUP},
                 {"/api/v1", TARGET_GROUP_VERSION},
                 {"/api/v1/pods", TARGET_RESOURCE},
                 {"/api/v1/namespaces/default", TARGET_RESOURCE},
                 {"/api/v1/namespaces/default/status", TARGET_RESOURCE},
                 {"/openapi/v2", TARGET_OPENAPI_V2},
                 {"/openapi/v3", TARGET_OPENAPI_V3},
                 {"/openapi/v3/api/v1", TARGET_OPENAPI_V3_GROUP},
                 {"/openapi/v3/apis/x/v1", TARGET_OPENAPI_V3_GROUP},
                 {"/openapi/v3/x/v1", TARGET_UNKNOWN},
                 {"/metrics", TARGET_UNKNOWN},
                 {"/api/v1/namespaces/default/pods/a/log/b", TARGET_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_true(parsed(paths[i].path));
        if (target.what != paths[i].what)
            fail_msg("%s is %d", paths[i].path, target.what);
    }
    assert_true(parsed("/api/v1/namespaces/default"));
    assert_string_equal(target.resource, "namespaces");
    assert_string_equal(target.name, "default");
}

static void an_encoded_slash_is_a_letter_of_a_name(void **state) {
    (void)state;
    assert_true(parsed("/api/v1/namespaces/default%2F..%2Fglobex/pods/a%2Fb"));
    assert_string_equal(target.namespace, "default/../globex");
    assert_string_equal(target.name, "a/b");
}

static void what_is_no_path_is_refused(void **state) {
    static const char *const bad[] = {"",           "api",
                                      "/api//v1",   "/api/../v1",
                                      "/api/./",    "/api/%2e%2e/",
                                      "/api/v1/%",  "/api/v1/%0g",
                                      "/a%00b",     "/a%0ab",
                                      "/api?x=%00", "/api#x",
                                      "//",         "/1/2/3/4/5/6/7/8/9/10/11",
                                      "/api/v1/%7f"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parsed(bad[i]))
            fail_msg("`%s` was taken", bad[i]);
}

/* ---- selectors ---- */

static json_t *labelled(void) {
    return json_pack("{s:{s:s s:s s:{s:s s:s s:s s:s}} s:{s:s}}", "metadata", "name", "web",
                     "namespace", "default", "labels", "app", "web", "tier", "front", "empty", "",
                     "size", "12", "status", "phase", "Running");
}

static void labels_are_selected_as_kubectl_writes_them(void **state) {
    static const struct {
        const char *selector;
        enum match match;
    } cases[] = {{NULL, MATCH_YES},
                 {"", MATCH_YES},
                 {"app=web", MATCH_YES},
                 {"app==web,tier=front", MATCH_YES},
                 {"app=db", MATCH_NO},
                 {"app!=db", MATCH_YES},
                 {"none!=db", MATCH_YES},
                 {"app in (db, web)", MATCH_YES},
                 {"app in (db)", MATCH_NO},
                 {"app notin (db,x),tier", MATCH_YES},
                 {"none notin (x)", MATCH_YES},
                 {"!none", MATCH_YES},
                 {"!app", MATCH_NO},
                 {"empty=", MATCH_YES},
                 {"in in (in)", MATCH_NO},
                 {"app in", MATCH_MALFORMED},
                 {"app in (web", MATCH_MALFORMED},
                 {"=web", MATCH_MALFORMED},
                 {"app=web tier=front", MATCH_MALFORMED},
                 {"size>3", MATCH_YES},
                 {"size > 11,size<13", MATCH_YES},
                 {"size<12", MATCH_NO},
                 {"app<3", MATCH_NO},
                 {"none>3", MATCH_NO},
                 {"size<", MATCH_MALFORMED},
                 {"size<large", MATCH_MALFORMED},
                 {"!", MATCH_MALFORMED}};
    json_t *object = labelled();
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (labels_match(cases[i].selector, object, &err) != cases[i].match)
            fail_msg("%s", cases[i].selector);
    json_decref(object);
}

static void only_fields_that_the_api_server_has_select(void **state) {
    const struct kube_kind *pod = kind_of_object("v1", "Pod"),
                           *event = kind_of_object("v1", "Event");
    json_t *object = labelled();
    struct err err;
    (void)state;
    assert_int_equal(fields_match("metadata.name=web,metadata.namespace!=x", pod, object, &err),
                     MATCH_YES);
    assert_int_equal(fields_match("status.phase=Running", pod, object, &err), MATCH_YES);
    assert_int_equal(fields_match("status.phase=Failed", pod, object, &err), MATCH_NO);
    assert_int_equal(fields_match("status.phase=Running", event, object, &err), MATCH_MALFORMED);
    assert_int_equal(fields_match("metadata.uid=1", pod, object, &err), MATCH_MALFORMED);
    assert_int_equal(fields_match("metadata.name", pod, object, &err), MATCH_MALFORMED);
    json_decref(object);
}

/* ---- forms, ages ---- */

static void the_first_form_there_is_is_given(void **state) {
    (void)state;
    assert_int_equal(accept_choose(""), FORM_JSON);
    assert_int_equal(accept_choose(" ,"), FORM_JSON);
    assert_int_equal(accept_choose("application/json, */*"), FORM_JSON);
    assert_int_equal(accept_choose("application/json;as=Table;v=v1;g=meta.k8s.io,"
                                   "application/json;as=Table;v=v1beta1;g=meta.k8s.io"),
                     FORM_TABLE);
    assert_int_equal(accept_choose("application/vnd.kubernetes.protobuf,application/json"),
                     FORM_JSON);
    assert_int_equal(accept_choose("application/vnd.kubernetes.protobuf"), FORM_NONE);
    assert_int_equal(
        accept_choose("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
        FORM_PARTIAL);
    assert_int_equal(accept_choose("application/json;g=apidiscovery.k8s.io;v=v2;as="
                                   "APIGroupDiscoveryList,application/json"),
                     FORM_DISCOVERY);
}

static void ages_are_said_as_kubectl_says_them(void **state) {
    static const struct {
        int64_t seconds;
        const char *text;
    } ages[] = {{-5, "0s"},          {45, "45s"},      {119, "119s"},   {120, "2m"},
                {190, "3m10s"},      {3600, "60m"},    {10800, "3h"},   {11520, "3h12m"},
                {86400, "24h"},      {190000, "2d4h"}, {864000, "10d"}, {63072000, "2y"},
                {70000000, "2y80d"}, {300000000, "9y"}};
    char text[AGE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        assert_string_equal(age_text(ages[i].seconds, text), ages[i].text);
}

/* ---- composing ---- */

static const char known_text[] =
    "{\"tenants\":[{\"domain\":\"t.1d.pt\",\"uid\":\"u1\"}],"
    "\"objects\":["
    "{\"file\":\"a.yaml\",\"line\":1,\"modified\":1000,\"object\":{\"apiVersion\":\"v1\",\"kind\":"
    "\"Pod\","
    "\"metadata\":{\"name\":\"db-1\",\"labels\":{\"app\":\"db\"}},\"spec\":{\"containers\":[{"
    "\"name\":\"c\","
    "\"ports\":[{\"name\":\"sql\",\"containerPort\":3306}]}]},"
    "\"status\":{\"podIP\":\"10.0.0.9\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}"
    "},"
    "{\"file\":\"a.yaml\",\"line\":9,\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Service\","
    "\"metadata\":{\"name\":\"db\"},\"spec\":{\"type\":\"NodePort\",\"selector\":{\"app\":\"db\"},"
    "\"ports\":[{\"port\":3306,\"targetPort\":\"sql\"}]}}},"
    "{\"file\":\"b.yaml\",\"line\":1,\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\","
    "\"metadata\":{\"name\":\"s\"},\"stringData\":{\"a\":\"b\"}}},"
    "{\"file\":\"c.yaml\",\"line\":1,\"object\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
    "\"metadata\":{\"name\":\"plain-1\"}}}],"
    "\"routes\":[{\"ingress\":\"default\",\"origin\":\"label kr.ingress.80 on compose/files\","
    "\"host\":\"files.t.1d.pt\",\"path\":\"/"
    "\",\"pathType\":\"Prefix\",\"service\":\"files\",\"port\":80}],"
    "\"ports\":[{\"service\":\"db\",\"containerPort\":3306,\"publicPort\":28791,\"state\":\"shut\","
    "\"reason\":\"attacked\"}],"
    "\"backends\":[{\"service\":\"files\",\"port\":80,\"address\":\"[fd00::9]:8080\",\"pod\":"
    "\"files\","
    "\"state\":\"ejected\",\"reason\":\"failed too often\"}],"
    "\"containers\":[{\"feed\":\"docker\",\"name\":\"web-1\",\"notReady\":null,\"addresses\":["
    "\"10.0.0.3\"],\"labels\":{\"kr.ingress.80\":\"https://web.*\"},\"id\":\"e5793bc7\","
    "\"image\":\"nginx:1.27\",\"created\":\"2026-11-20T08:15:00Z\","
    "\"started\":\"2026-11-20T08:15:01Z\",\"restarts\":2},"
    "{\"feed\":\"docker\",\"name\":\"web-2\",\"notReady\":\"paused\",\"addresses\":[],\"labels\":{}"
    "},"
    "{\"feed\":\"docker\",\"name\":\"db-1\",\"notReady\":null,\"addresses\":[],\"labels\":{}}],"
    "\"events\":[{\"object\":\"Container/web-2\",\"reason\":\"Paused\",\"message\":\"m\","
    "\"type\":\"Normal\"},{\"object\":\"compose/"
    "files\",\"reason\":\"BadLabel\",\"message\":\"m\",\"type\":\"Warning\","
    "\"since\":\"2026-01-01T00:00:00Z\"}]}";

static json_t *known;
static struct composition c;

static int composed(void **state) {
    (void)state;
    known = json_loads(known_text, 0, NULL);
    compose(known, "u1", 500, &c);
    return known ? 0 : -1;
}

static int decomposed(void **state) {
    (void)state;
    composition_fini(&c);
    json_decref(known);
    return 0;
}

static json_t *find(const char *kind, const char *name) {
    for (size_t i = 0; i < c.count; i++)
        if (!strcmp(c.item[i].kind->kind, kind) && !strcmp(object_name(c.item[i].object), name))
            return c.item[i].object;
    return NULL;
}

static json_t *at(json_t *value, const char *path) {
    char text[200], *rest = text, *part;
    snprintf(text, sizeof text, "%s", path);
    while (value && (part = strsep(&rest, ".")))
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(part))
                                     : json_object_get(value, part);
    return value;
}

static const char *text(json_t *value, const char *path) {
    const char *found = json_string_value(at(value, path));
    return found ? found : "";
}

static void every_tenant_has_a_default_ingress_with_its_domain_and_its_labels_routes(void **state) {
    json_t *ingress = find("Ingress", "default");
    (void)state;
    assert_non_null(ingress);
    assert_string_equal(text(ingress, "spec.tls.0.hosts.0"), "*.t.1d.pt");
    assert_string_equal(text(ingress, "spec.rules.0.host"), "files.t.1d.pt");
    assert_string_equal(text(ingress, "spec.rules.0.http.paths.0.backend.service.name"), "files");
    assert_string_equal(text(ingress, "status.loadBalancer.ingress.0.hostname"), "t.1d.pt");
    assert_string_equal(text(ingress, "metadata.creationTimestamp"), "1970-01-01T00:08:20Z");
}

static void a_service_shows_the_raw_port_that_was_given_and_why_it_is_shut(void **state) {
    json_t *service = find("Service", "db");
    (void)state;
    assert_int_equal(json_integer_value(at(service, "spec.ports.0.nodePort")), 28791);
    assert_string_equal(text(service, "status.conditions.0.status"), "False");
    assert_string_equal(text(service, "status.conditions.0.message"), "attacked");
    assert_string_equal(text(find("Service", "files"), "metadata.annotations.ringress/origin"),
                        "labels");
}

static void pods_are_found_as_the_workers_see_them_or_by_the_selector(void **state) {
    json_t *slice = find("EndpointSlice", "db-3306-3306"),
           *live = find("EndpointSlice", "files-80-8080");
    (void)state;
    assert_string_equal(text(slice, "endpoints.0.addresses.0"), "10.0.0.9");
    assert_true(json_is_true(at(slice, "endpoints.0.conditions.ready")));
    assert_string_equal(text(live, "addressType"), "IPv6");
    assert_string_equal(text(live, "endpoints.0.addresses.0"), "fd00::9");
    assert_true(json_is_false(at(live, "endpoints.0.conditions.ready")));
    assert_string_equal(text(find("Endpoints", "files"), "subsets.0.notReadyAddresses.0.ip"),
                        "fd00::9");
}

static void containers_are_pods_that_say_whose_word_that_is(void **state) {
    json_t *web = find("Pod", "web-1"), *paused = find("Pod", "web-2"),
           *written = find("Pod", "db-1");
    (void)state;
    assert_string_equal(text(web, "metadata.annotations.ringress/origin"), "docker");
    assert_string_equal(
        json_string_value(json_object_get(at(web, "metadata.annotations"), "kr.ingress.80")),
        "https://web.*");
    assert_int_equal(json_integer_value(at(web, "spec.containers.0.ports.0.containerPort")), 80);
    assert_string_equal(text(web, "status.podIP"), "10.0.0.3");
    assert_string_equal(text(web, "status.conditions.0.status"), "True");
    assert_string_equal(text(web, "spec.containers.0.image"), "nginx:1.27");
    assert_string_equal(text(web, "metadata.creationTimestamp"), "2026-11-20T08:15:00Z");
    assert_string_equal(text(web, "status.startTime"), "2026-11-20T08:15:01Z");
    json_t *container = at(web, "status.containerStatuses.0");
    assert_string_equal(text(container, "image"), "nginx:1.27");
    assert_string_equal(text(container, "containerID"), "docker://e5793bc7");
    assert_string_equal(text(container, "state.running.startedAt"), "2026-11-20T08:15:01Z");
    assert_int_equal(json_integer_value(at(container, "restartCount")), 2);
    assert_string_equal(text(paused, "status.conditions.0.message"), "paused");
    assert_string_equal(text(paused, "metadata.creationTimestamp"), "1970-01-01T00:08:20Z");
    assert_null(at(paused, "status.podIP"));
    assert_null(at(written, "metadata.annotations")); /* a file's word goes before an engine's */
    bool told = false;
    for (size_t i = 0; i < c.count; i++)
        told |= !strcmp(text(c.item[i].object, "reason"), "Paused") &&
                !strcmp(text(c.item[i].object, "involvedObject.uid"), text(paused, "metadata.uid"));
    assert_true(told);
}

static void the_next_container_of_a_name_is_another_pod(void **state) {
    struct composition again;
    const char *first = text(find("Pod", "web-1"), "metadata.uid");
    json_t *row = at(known, "containers.0");
    (void)state;
    assert_string_equal(json_string_value(json_object_get(row, "name")), "web-1");
    json_object_set_new(row, "id", json_string("0badcafe"));
    compose(known, "u1", 500, &again);
    const char *second = text(composed_find(&again, "Pod", "web-1"), "metadata.uid");
    assert_int_equal(strlen(first), 36);
    assert_int_equal(strlen(second), 36);
    assert_string_not_equal(first, second);
    composition_fini(&again);
}

static void what_befell_a_pod_is_told_of_the_ingress_that_routes_to_it(void **state) {
    size_t bad_label = 0, ejected = 0;
    (void)state;
    for (size_t i = 0; i < c.count; i++) {
        json_t *o = c.item[i].object;
        if (strcmp(c.item[i].kind->kind, "Event") ||
            strcmp(text(o, "involvedObject.kind"), "Ingress") ||
            strcmp(text(o, "involvedObject.name"), "default"))
            continue;
        bad_label += !strcmp(text(o, "reason"), "BadLabel");
        ejected += !strcmp(text(o, "reason"), "Ejected");
    }
    assert_int_equal(bad_label, 1);
    assert_int_equal(ejected, 1);
}

static void a_secret_is_read_as_base64_however_it_was_written(void **state) {
    json_t *secret = find("Secret", "s");
    (void)state;
    assert_string_equal(text(secret, "data.a"), "Yg==");
    assert_null(at(secret, "stringData"));
    assert_string_equal(text(secret, "type"), "Opaque");
}

static void the_same_knowledge_composes_the_same_objects(void **state) {
    struct composition again;
    (void)state;
    compose(known, "u1", 500, &again);
    assert_int_equal(again.count, c.count);
    for (size_t i = 0; i < c.count; i++)
        assert_true(json_equal(again.item[i].object, c.item[i].object));
    composition_fini(&again);
}

static void what_was_added_is_taken_away_before_it_is_written(void **state) {
    json_t *ingress = json_deep_copy(find("Ingress", "default"));
    json_t *service = json_deep_copy(find("Service", "db"));
    const json_t *original = at(json_array_get(json_object_get(known, "objects"), 1), "object");
    (void)state;
    json_array_append_new(at(ingress, "spec.rules"), json_pack("{s:s}", "host", "mine.t.1d.pt"));
    compose_undo(kind_of_object("networking.k8s.io/v1", "Ingress"), known, NULL, ingress);
    assert_int_equal(json_array_size(at(ingress, "spec.rules")), 1);
    assert_string_equal(text(ingress, "spec.rules.0.host"), "mine.t.1d.pt");
    assert_null(at(ingress, "spec.tls"));
    assert_null(at(ingress, "status"));
    compose_undo(kind_of_object("v1", "Service"), known, original, service);
    assert_true(json_equal(at(service, "spec"), json_object_get(original, "spec")));
    json_decref(ingress);
    json_decref(service);
}

/* Of a Pod that the file gives no phase: an address that somebody adds is kept, the phase is not. */
static void a_phase_that_nobody_wrote_is_shown_and_not_written(void **state) {
    const json_t *original = at(json_array_get(json_object_get(known, "objects"), 3), "object");
    const struct kube_kind *kind = kind_of_object("v1", "Pod");
    json_t *pod = json_deep_copy(find("Pod", "plain-1"));
    (void)state;
    assert_string_equal(text(pod, "status.phase"), "Pending");
    compose_undo(kind, known, original, pod);
    assert_null(at(pod, "status"));
    json_object_set_new(pod, "status",
                        json_pack("{s:s s:s}", "phase", "Pending", "podIP", "10.0.0.9"));
    compose_undo(kind, known, original, pod);
    assert_null(at(pod, "status.phase"));
    assert_string_equal(text(pod, "status.podIP"), "10.0.0.9");
    json_object_set_new(at(pod, "status"), "phase", json_string("Failed"));
    compose_undo(kind, known, original, pod);
    assert_string_equal(text(pod, "status.phase"), "Failed");
    json_decref(pod);
}

static void a_row_has_a_cell_for_each_column(void **state) {
    (void)state;
    for (size_t i = 0; i < c.count; i++) {
        json_t *table = table_new(c.item[i].kind, "1", true);
        table_add(table, c.item[i].kind, c.item[i].object, INCLUDE_METADATA, 1000);
        assert_int_equal(json_array_size(at(table, "columnDefinitions")),
                         json_array_size(at(table, "rows.0.cells")));
        json_decref(table);
    }
    json_t *table = table_new(kind_of_object("v1", "Service"), "1", true);
    table_add(table, kind_of_object("v1", "Service"), find("Service", "db"), INCLUDE_NONE, 1000);
    assert_string_equal(text(table, "rows.0.cells.4"), "3306:28791/TCP");
    json_decref(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_taken_apart),
        cmocka_unit_test(what_a_path_is_of_is_told_by_its_shape),
        cmocka_unit_test(an_encoded_slash_is_a_letter_of_a_name),
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(labels_are_selected_as_kubectl_writes_them),
        cmocka_unit_test(only_fields_that_the_api_server_has_select),
        cmocka_unit_test(the_first_form_there_is_is_given),
        cmocka_unit_test(ages_are_said_as_kubectl_says_them),
        cmocka_unit_test_setup_teardown(
            every_tenant_has_a_default_ingress_with_its_domain_and_its_labels_routes, composed,
            decomposed),
        cmocka_unit_test_setup_teardown(
            a_service_shows_the_raw_port_that_was_given_and_why_it_is_shut, composed, decomposed),
        cmocka_unit_test_setup_teardown(pods_are_found_as_the_workers_see_them_or_by_the_selector,
                                        composed, decomposed),
        cmocka_unit_test_setup_teardown(containers_are_pods_that_say_whose_word_that_is, composed,
                                        decomposed),
        cmocka_unit_test_setup_teardown(the_next_container_of_a_name_is_another_pod, composed,
                                        decomposed),
        cmocka_unit_test_setup_teardown(what_befell_a_pod_is_told_of_the_ingress_that_routes_to_it,
                                        composed, decomposed),
        cmocka_unit_test_setup_teardown(a_secret_is_read_as_base64_however_it_was_written, composed,
                                        decomposed),
        cmocka_unit_test_setup_teardown(the_same_knowledge_composes_the_same_objects, composed,
                                        decomposed),
        cmocka_unit_test_setup_teardown(a_phase_that_nobody_wrote_is_shown_and_not_written,
                                        composed, decomposed),
        cmocka_unit_test_setup_teardown(what_was_added_is_taken_away_before_it_is_written, composed,
                                        decomposed),
        cmocka_unit_test_setup_teardown(a_row_has_a_cell_for_each_column, composed, decomposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
