/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_yaml_out.c - what is written is what people write, and reads back as what it was.
 * link: modules/kube/yaml_out.c
 */
#include "modules/kube/yaml_out.h"
#include "tests/unit/kube_json.h"
#include "tests/unit/kube_yaml.h"
#include <stdio.h>

/* Takes the reference. */
static void writes(json_t *object, const char *text) {
    size_t length;
    char *yaml = yaml_out(object, &length);
    assert_non_null(yaml);
    assert_int_equal(strlen(yaml), length);
    assert_string_equal(yaml, text);
    json_decref(object);
    free(yaml);
}

static void an_ingress_looks_like_those_of_the_documentation(void **state) {
    (void)state;
    writes(
        js("{'status':{'loadBalancer':{}},'spec':{'rules':[{'http':{'paths':[{'pathType':"
           "'Prefix','path':'/','backend':{'service':{'port':{'number':80},'name':'app'}}}]},"
           "'host':'a.example.test'}],'tls':[{'secretName':'a-tls','hosts':['*.example.test']}]},"
           "'metadata':{'annotations':{'type':'1','b':'c'},'name':'web','labels':{}},"
           "'kind':'Ingress','apiVersion':'networking.k8s.io/v1'}"),
        "apiVersion: networking.k8s.io/v1\n"
        "kind: Ingress\n"
        "metadata:\n"
        "  name: web\n"
        "  labels: {}\n"
        "  annotations:\n"
        "    b: c\n"
        "    type: \"1\"\n"
        "spec:\n"
        "  rules:\n"
        "  - host: a.example.test\n"
        "    http:\n"
        "      paths:\n"
        "      - path: /\n"
        "        pathType: Prefix\n"
        "        backend:\n"
        "          service:\n"
        "            name: app\n"
        "            port:\n"
        "              number: 80\n"
        "  tls:\n"
        "  - hosts:\n"
        "    - \"*.example.test\"\n"
        "    secretName: a-tls\n"
        "status:\n"
        "  loadBalancer: {}\n");
}

static void lines_become_a_block(void **state) {
    (void)state;
    writes(js("{'data':{'a':'-----BEGIN X-----\\nAb/+=\\n-----END X-----\\n','b':'no\\nend'}}"),
           "data:\n"
           "  a: |\n"
           "    -----BEGIN X-----\n"
           "    Ab/+=\n"
           "    -----END X-----\n"
           "  b: |-\n"
           "    no\n"
           "    end\n");
}

/* Plain, a YAML 1.1 or 1.2 reader would take each of these for something else. */
static void what_is_text_to_us_is_text_to_everybody(void **state) {
    (void)state;
    static const char *const hostile[] = {"",
                                          "yes",
                                          "No",
                                          "on",
                                          "OFF",
                                          "y",
                                          "N",
                                          "true",
                                          "False",
                                          "null",
                                          "~",
                                          "Null",
                                          "1",
                                          "-1",
                                          "+1",
                                          "0x1f",
                                          "0o17",
                                          "017",
                                          "1e3",
                                          "1.0",
                                          ".5",
                                          "1_000",
                                          "190:20:30",
                                          ".inf",
                                          "-.INF",
                                          ".nan",
                                          "1:30",
                                          "2026-01-02",
                                          "2026-01-02T03:04:05Z",
                                          "=",
                                          "<<",
                                          "*a",
                                          "&a",
                                          "!a",
                                          "%a",
                                          "@a",
                                          "`a",
                                          "-",
                                          "- a",
                                          "?",
                                          "? a",
                                          ":",
                                          "a: b",
                                          "a:",
                                          ": a",
                                          "a #b",
                                          "#a",
                                          " a",
                                          "a ",
                                          "[a",
                                          "{a",
                                          "]",
                                          "}",
                                          ",a",
                                          "|",
                                          ">",
                                          "'a'",
                                          "\"a\"",
                                          "---",
                                          "...",
                                          "a\tb",
                                          "\ta",
                                          "\n",
                                          "\na",
                                          "a\n",
                                          " a\nb",
                                          "a \nb",
                                          "a\n\n",
                                          "a\r\nb",
                                          "\x7f",
                                          "\xc2\x85",
                                          "\xe2\x80\xa8",
                                          ("\xef\xbb\xbf"
                                           "a"),
                                          "\xf0\x9f\x98\x80",
                                          "\xc3\xbc",
                                          "a\\nb",
                                          "a\n---\nb",
                                          "a\n...\n",
                                          "0b1",
                                          "1__0",
                                          "12e03",
                                          "-0",
                                          "+.5",
                                          "1.",
                                          "0.0.0",
                                          "\x01",
                                          "a\n b\n"};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        json_t *object = json_pack("{s:s, s:[s], s:{s:s}}", "a", hostile[i], "b", hostile[i], "c",
                                   hostile[i], hostile[i]);
        size_t length;
        char *yaml = yaml_out(object, &length);
        assert_non_null(yaml);
        json_t *again = yaml_value(yaml, length);
        if (!again || !json_equal(object, again))
            fail_msg("`%s` came back as something else:\n%s", hostile[i], yaml);
        json_decref(again);
        json_decref(object);
        free(yaml);
    }
}

static void what_needs_no_quotes_has_none(void **state) {
    (void)state;
    writes(
        js("{'a':['10.11.0.7','a b','http://x.y/z?q=1','app_1','x:y','80-web','1.2.3','1st']}"),
        "a:\n- 10.11.0.7\n- a b\n- http://x.y/z?q=1\n- app_1\n- x:y\n- 80-web\n- 1.2.3\n- 1st\n");
    writes(js("{'a':[true,false,null,1,-1,1.5,[],{}]}"),
           "a:\n- true\n- false\n- null\n- 1\n- -1\n- 1.5\n- []\n- {}\n");
}

static void what_no_yaml_can_hold_is_refused(void **state) {
    (void)state;
    size_t length;
    json_t *nul = json_pack("{s:s#}", "a", "x\0y", 3), *deep = json_integer(1);
    assert_null(yaml_out(nul, &length));
    for (int i = 0; i < YAML_OUT_DEPTH + 1; i++)
        deep = json_pack("[o]", deep);
    assert_null(yaml_out(deep, &length));
    json_decref(nul);
    json_decref(deep);
}

static void a_file_is_named_after_kind_and_name(void **state) {
    (void)state;
    char name[YAML_NAME_MAX + 1], longest[YAML_NAME_MAX + 1];
    assert_true(yaml_file_name("Ingress", "web", name));
    assert_string_equal(name, "ingress.web.yaml");
    assert_true(yaml_file_name("Pod", "bountiful_paper", name));
    assert_string_equal(name, "pod.bountiful_paper.yaml");
    static const char *const bad[] = {"",     ".",    "..",      "../x", "a/b", "/etc/passwd",
                                      "a\nb", "A",    ".hidden", "-rf",  "a b", "\xc3\xbc",
                                      "a\\b", "a%2fb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(yaml_file_name("Pod", bad[i], name));
    assert_false(yaml_file_name("", "web", name));
    assert_false(yaml_file_name("../Pod", "web", name));
    assert_false(yaml_file_name("Po.d", "web", name));
    memset(longest, 'a', sizeof longest);
    longest[YAML_NAME_MAX - strlen("pod..yaml")] = 0;
    assert_true(yaml_file_name("Pod", longest, name));
    assert_int_equal(strlen(name), YAML_NAME_MAX);
    assert_false(yaml_file_name("Pods", longest, name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ingress_looks_like_those_of_the_documentation),
        cmocka_unit_test(lines_become_a_block),
        cmocka_unit_test(what_is_text_to_us_is_text_to_everybody),
        cmocka_unit_test(what_needs_no_quotes_has_none),
        cmocka_unit_test(what_no_yaml_can_hold_is_refused),
        cmocka_unit_test(a_file_is_named_after_kind_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
