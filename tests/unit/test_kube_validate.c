/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_validate.c - what is wrong with an object is said as the API server says it.
 * link: modules/kube/validate.c modules/kube/words.c modules/kube/strict.c modules/kube/blame.c modules/kube/fault.c
 * link: modules/kube/shape.c modules/kube/patch_json.c
 */
#include "core/yaml.h"
#include "modules/kube/blame.h"
#include "modules/kube/strict.h"
#include "modules/kube/validate.h"
#include "tests/unit/kube_json.h"

/* One cause, `field: message`, is all that is wrong with it; "" is nothing. */
static void wrong_after(const char *old, const char *object, const char *wanted) {
    struct fault fault = {0};
    json_t *is = js(object), *was = old ? js(old) : NULL;
    char said[1024] = "";
    assert_int_equal(object_validate(is, was, &fault), !*wanted);
    json_t *cause = json_array_get(fault.causes, 0);
    if (cause)
        snprintf(said, sizeof said, "%s: %s", json_string_value(json_object_get(cause, "field")),
                 json_string_value(json_object_get(cause, "message")));
    if (strncmp(said, wanted, strlen(wanted)) != 0 || (!*wanted && *said))
        fail_msg("said   %s\nwanted %s", said, wanted);
    assert_int_equal(fault_causes(&fault), *wanted ? 1 : 0);
    json_decref(is);
    json_decref(was);
    fault_fini(&fault);
}

static void wrong(const char *object, const char *wanted) {
    wrong_after(NULL, object, wanted);
}

#define META(name) "'metadata':{'name':'" name "'}"

static void names_are_those_of_rfc_1123(void **state) {
    (void)state;
    wrong("{'kind':'Pod'," META("bountiful_paper") "}", "");
    wrong("{'kind':'Pod'," META("a.b-c") "}", "");
    wrong("{'kind':'Pod','metadata':{'generateName':'x-'}}", "");
    wrong("{'kind':'Pod','metadata':{}}",
          "metadata.name: Required value: name or generateName is required");
    wrong("{'kind':'Pod'," META("Web") "}",
          "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain must consist of "
          "lower case alphanumeric characters, '_', '-' or '.', and must start and end with an "
          "alphanumeric character (e.g. 'example.com', regex used for validation is '");
    wrong("{'kind':'Pod'," META("-a") "}", "metadata.name: Invalid value: \"-a\": a lowercase");
    wrong("{'kind':'Pod','metadata':{'name':'a','labels':{'x':'a b'}}}",
          "metadata.labels: Invalid value: \"a b\": a valid label must be an empty string or");
    wrong("{'kind':'Pod','metadata':{'name':'a','labels':{'kr.ingress.80':'https://x.*/'}}}", "");
    wrong("{'kind':'Pod','metadata':{'name':'a','labels':{'a/b/c':'x'}}}",
          "metadata.labels: Invalid value: \"a/b/c\": name part must consist of");
}

#define INGRESS(spec) "{'kind':'Ingress'," META("web") ",'spec':" spec "}"
#define PATHS(path) INGRESS("{'rules':[{'http':{'paths':[" path "]}}]}")
#define BACKEND "'backend':{'service':{'name':'app','port':{'number':80}}}"

static void an_ingress_says_what_its_paths_lack(void **state) {
    (void)state;
    wrong(PATHS("{'path':'/','pathType':'Prefix'," BACKEND "}"), "");
    wrong(INGRESS("{'tls':[{'hosts':['*.example.test']}]}"), "");
    wrong(PATHS("{'path':'/'," BACKEND "}"),
          "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified");
    wrong(PATHS("{'path':'/','pathType':'Regex'," BACKEND "}"),
          "spec.rules[0].http.paths[0].pathType: Unsupported value: \"Regex\": supported values: "
          "\"Exact\", \"ImplementationSpecific\", \"Prefix\"");
    wrong(PATHS("{'path':'x','pathType':'Exact'," BACKEND "}"),
          "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path");
    wrong(PATHS("{'path':'/a//b','pathType':'Exact'," BACKEND "}"),
          "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'");
    wrong(PATHS("{'path':'/','pathType':'Exact','backend':{}}"),
          "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend "
          "is required");
    wrong(PATHS("{'path':'/','pathType':'Exact','backend':{'service':{'name':'a'}}}"),
          "spec.rules[0].http.paths[0].backend: Required value: port name or number is required");
    wrong(PATHS("{'path':'/','pathType':'Exact','backend':{'service':{'name':'a',"
                "'port':{'number':70000}}}}"),
          "spec.rules[0].http.paths[0].backend.service.port.number: Invalid value: 70000: must be "
          "between 1 and 65535, inclusive");
    wrong(INGRESS("{'rules':[{'host':'A.example.test'}]}"),
          "spec.rules[0].host: Invalid value: \"A.example.test\": a lowercase RFC 1123 subdomain");
    wrong(INGRESS("{'rules':[{'host':'1.2.3.4'}]}"),
          "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address");
    wrong(INGRESS("{'tls':[{'hosts':['ok','*']}]}"),
          "spec.tls[0].hosts[1]: Invalid value: \"*\": a wildcard DNS-1123 subdomain must start");
    wrong(INGRESS("{'rules':[{'http':{'paths':[]}}]}"), "spec.rules[0].http.paths: Required value");
}

#define SERVICE(spec) "{'kind':'Service'," META("web") ",'spec':" spec "}"

static void a_service_says_what_its_ports_lack(void **state) {
    (void)state;
    wrong(SERVICE("{'ports':[{'port':80,'targetPort':'web'}]}"), "");
    wrong(SERVICE("{'clusterIP':'None'}"), "");
    wrong(SERVICE("{}"), "spec.ports: Required value");
    wrong(SERVICE("{'ports':[{'port':0}]}"),
          "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive");
    wrong(SERVICE("{'ports':[{'port':80,'name':'a'},{'port':81}]}"),
          "spec.ports[1].name: Required value");
    wrong(SERVICE("{'ports':[{'port':80,'name':'a'},{'port':81,'name':'a'}]}"),
          "spec.ports[1].name: Duplicate value: \"a\"");
    wrong(SERVICE("{'ports':[{'port':80,'name':'a'},{'port':80,'name':'b','protocol':'TCP'}]}"),
          "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}");
    wrong(SERVICE("{'ports':[{'port':8080,'name':'8080-80'}]}"), ""); /* kubectl create service */
    wrong(SERVICE("{'ports':[{'port':80,'name':'Web'}]}"),
          "spec.ports[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label must consist of "
          "lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
          "character (e.g. 'my-name',  or '123-abc', regex used for validation is "
          "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
    wrong(SERVICE("{'ports':[{'port':80,'protocol':'ICMP'}]}"),
          "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", "
          "\"TCP\", \"UDP\"");
    wrong(SERVICE("{'ports':[{'port':80,'targetPort':'1'}]}"),
          "spec.ports[0].targetPort: Invalid value: \"1\": must contain at least one letter (a-z)");
    wrong(SERVICE("{'type':'Odd','ports':[{'port':80}]}"),
          "spec.type: Unsupported value: \"Odd\": supported values: \"ClusterIP\", "
          "\"ExternalName\", \"LoadBalancer\", \"NodePort\"");
    wrong(SERVICE("{'type':'ExternalName'}"), "spec.externalName: Required value");
}

static void what_may_not_change_is_immutable(void **state) {
    (void)state;
    wrong_after("{'kind':'Secret'," META("s") ",'type':'Opaque'}",
                "{'kind':'Secret'," META("s") ",'type':'other'}",
                "type: Invalid value: \"other\": field is immutable");
    wrong_after("{'kind':'Secret'," META("s") "}",
                "{'kind':'Secret'," META("s") ",'type':'Opaque'}", "");
    wrong_after("{'kind':'ConfigMap'," META("s") ",'immutable':true,'data':{'a':'b'}}",
                "{'kind':'ConfigMap'," META("s") ",'immutable':true,'data':{'a':'c'}}",
                "data: Forbidden: field is immutable when `immutable` is set");
    wrong_after("{'kind':'EndpointSlice'," META("s") ",'addressType':'IPv4'}",
                "{'kind':'EndpointSlice'," META("s") ",'addressType':'IPv6'}",
                "addressType: Invalid value: \"IPv6\": field is immutable");
    wrong_after("{'kind':'Pod','metadata':{'name':'a','uid':'1'}}",
                "{'kind':'Pod','metadata':{'name':'a','uid':'2'}}",
                "metadata.uid: Invalid value: \"2\": field is immutable");
}

static void secrets_and_pods_say_what_they_lack(void **state) {
    (void)state;
    wrong("{'kind':'Secret'," META("s") ",'type':'kubernetes.io/tls','data':{'tls.crt':'eA=='}}",
          "data[tls.key]: Required value");
    wrong("{'kind':'Secret'," META("s") ",'data':{'a b':''}}",
          "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric "
          "characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex "
          "used for validation is '[-._a-zA-Z0-9]+')");
    wrong("{'kind':'Pod'," META("p") ",'spec':{'containers':[{'name':'a'},{'name':'a'}]}}",
          "spec.containers[1].name: Duplicate value: \"a\"");
    wrong("{'kind':'Pod'," META(
              "p") ",'spec':{'containers':[{'name':'a','ports':[{'containerPort':0}]}]}}",
          "spec.containers[0].ports[0].containerPort: Invalid value: 0: must be between 1 and");
}

static void several_causes_make_one_sentence(void **state) {
    (void)state;
    struct fault fault = {0};
    struct fault_about about = {"networking.k8s.io", "Ingress", "web"};
    json_t *object = js(PATHS("{'path':'/'},{'path':'/'}"));
    assert_false(object_validate(object, NULL, &fault));
    fault_invalid(&fault, &about);
    assert_json(
        fault_status(&fault, &about),
        "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure','code':422,"
        "'reason':'Invalid','message':'Ingress.networking.k8s.io \\'web\\' is invalid: "
        "[spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified, "
        "spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified]',"
        "'details':{'name':'web','group':'networking.k8s.io','kind':'Ingress','causes':["
        "{'reason':'FieldValueRequired','message':'Required value: pathType must be specified',"
        "'field':'spec.rules[0].http.paths[0].pathType'},"
        "{'reason':'FieldValueRequired','message':'Required value: pathType must be specified',"
        "'field':'spec.rules[0].http.paths[1].pathType'}]}}");
    json_decref(object);
    fault_fini(&fault);
}

/* ---- strict.h ---- */

static void strictly(const char *object, enum strictness strictness, const char *message,
                     const char *warnings) {
    struct fault fault = {0};
    json_t *is = js(object), *warned = json_array();
    bool good = object_strict(is, NULL, shape_find("networking.k8s.io/v1", "Ingress"), strictness,
                              warned, &fault);
    assert_string_equal(good ? "" : fault.message, message);
    assert_json(warned, warnings);
    json_decref(is);
    fault_fini(&fault);
}

#define HEAD "'apiVersion':'networking.k8s.io/v1','kind':'Ingress'"

static void unknown_fields_are_as_strict_as_asked(void **state) {
    (void)state;
    static const char odd[] =
        "{" HEAD ",'spec':{'rules':[{'hots':'a'}]},'metadata':{'labels':{'any':'x'}},'x':1}";
    strictly(odd, STRICT_IGNORE, "", "[]");
    strictly(odd, STRICT_WARN, "",
             "['unknown field \\'spec.rules[0].hots\\'','unknown field \\'x\\'']");
    strictly(odd, STRICT_ERROR,
             "Ingress in version \"v1\" cannot be handled as a Ingress: strict decoding error: "
             "unknown field \"spec.rules[0].hots\", unknown field \"x\"",
             "[]");
}

static void unknown_fields_go_unless_they_are_there_already(void **state) {
    (void)state;
    struct fault fault = {0};
    json_t *warned = json_array(),
           *live = js("{" HEAD ",'spec':{'rules':[{'old':1}],'odd':{'deep':1}}}"),
           *object = js("{" HEAD ",'spec':{'rules':[{'old':2,'new':1},{'old':1}],'odd':{'deep':2,"
                        "'other':1},'more':1}}");
    assert_true(object_strict(object, live, shape_find("networking.k8s.io/v1", "Ingress"),
                              STRICT_WARN, warned, &fault));
    assert_json(warned, "['unknown field \\'spec.rules[0].new\\'','unknown field "
                        "\\'spec.rules[1].old\\'','unknown field \\'spec.more\\'']");
    assert_json(object, "{" HEAD ",'spec':{'rules':[{'old':2},{}],'odd':{'deep':2,'other':1}}}");
    json_decref(live);
}

static void another_type_is_no_ingress(void **state) {
    (void)state;
    strictly("{" HEAD ",'spec':{'rules':[{'http':{'paths':[{'backend':{'service':{'port':"
             "{'number':'80'}}}}]}}]}}",
             STRICT_IGNORE,
             "Ingress in version \"v1\" cannot be handled as a Ingress: json: cannot unmarshal "
             "string into Go struct field ServiceBackendPort.spec.rules.http.paths.backend.service."
             "port.number of type int32",
             "[]");
    strictly("{" HEAD ",'spec':{'rules':{}}}", STRICT_IGNORE,
             "Ingress in version \"v1\" cannot be handled as a Ingress: json: cannot unmarshal "
             "object into Go struct field IngressSpec.spec.rules of type []IngressRule",
             "[]");
    strictly("{" HEAD ",'metadata':{'labels':{'a':1}}}", STRICT_IGNORE,
             "Ingress in version \"v1\" cannot be handled as a Ingress: json: cannot unmarshal "
             "number into Go struct field ObjectMeta.metadata.labels of type string",
             "[]");
    strictly("{" HEAD ",'spec':null,'metadata':{'labels':null,'finalizers':null}}", STRICT_ERROR,
             "", "[]");
}

static void a_key_that_is_there_twice_is_told(void **state) {
    (void)state;
    static const char twice[] = "{\"a\":1,\"b\":{\"c\":1,\"c\":2}}";
    struct fault fault = {0};
    json_t *value = NULL, *warnings = json_array();
    assert_false(body_parse(twice, strlen(twice), STRICT_ERROR, warnings, &fault, &value));
    assert_string_equal(fault.message, "strict decoding error: duplicate field \"c\"");
    assert_true(body_parse(twice, strlen(twice), STRICT_WARN, warnings, &fault, &value));
    assert_json(value, "{'a':1,'b':{'c':2}}");
    assert_json(warnings, "['duplicate field \\'c\\'']");
    assert_false(body_parse("{", 1, STRICT_IGNORE, NULL, &fault, &value));
    assert_int_equal(fault.code, 400);
    fault_fini(&fault);
}

static void how_strict_is_one_of_three_words(void **state) {
    (void)state;
    enum strictness strictness = STRICT_IGNORE;
    struct fault fault = {0};
    assert_true(strictness_parse("Strict", &strictness, &fault));
    assert_int_equal(strictness, STRICT_ERROR);
    assert_true(strictness_parse(NULL, &strictness, &fault));
    assert_int_equal(strictness, STRICT_WARN);
    assert_false(strictness_parse("strict", &strictness, &fault));
    assert_json(json_incref(fault.causes),
                "[{'reason':'FieldValueNotSupported','field':'fieldValidation','message':"
                "'Unsupported value: \\u0022strict\\u0022: supported values: \\u0022Ignore\\u0022, "
                "\\u0022Strict\\u0022, \\u0022Warn\\u0022'}]");
    fault_fini(&fault);
}

static void bytes_are_base64(void **state) {
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"", true},           {"YQ==", true},  {"YWI=", true},    {"YWJj", true},
                 {"YW\\nJj", true},    {"YQ", false},   {"YQ=", false},    {"=", false},
                 {"YQ==YQ==", false},  {"Y=Q=", false}, {"YQ==\\n", true}, {"YW J", false},
                 {"YWJ\\u00e9", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        struct fault fault = {0};
        snprintf(text, sizeof text, "{'apiVersion':'v1','kind':'Secret','data':{'a':'%s'}}",
                 cases[i].text);
        json_t *secret = js(text);
        if (object_strict(secret, NULL, shape_find("v1", "Secret"), STRICT_WARN, NULL, &fault) !=
            cases[i].good)
            fail_msg("%s", cases[i].text);
        json_decref(secret);
        fault_fini(&fault);
    }
}

static void what_is_empty_and_need_not_be_there_goes(void **state) {
    (void)state;
    json_t *object =
        js("{'metadata':{'name':'a','labels':{},'annotations':{'b':'c'},'finalizers':[]},"
           "'spec':{'rules':[{'host':'x','http':{'paths':[]}},{}],'tls':[{'hosts':[]}]},"
           "'status':{'loadBalancer':{}}}");
    object_tidy(object, shape_find("networking.k8s.io/v1", "Ingress"));
    assert_json(object, "{'metadata':{'name':'a','annotations':{'b':'c'}},"
                        "'spec':{'rules':[{'host':'x','http':{'paths':[]}},{}],'tls':[{}]},"
                        "'status':{'loadBalancer':{}}}");
    object = js("{'data':{},'binaryData':{},'metadata':{'name':'c','managedFields':[]}}");
    object_tidy(object, shape_find("v1", "ConfigMap"));
    assert_json(object, "{'metadata':{'name':'c'}}");
}

/* ---- blame.h ---- */

static const char drop_text[] = "apiVersion: v1\n"                                         /* 1 */
                                "kind: Pod\n"                                              /* 2 */
                                "metadata: {name: other}\n"                                /* 3 */
                                "---\n"                                                    /* 4 */
                                "apiVersion: v1\n"                                         /* 5 */
                                "kind: Service\n"                                          /* 6 */
                                "metadata: {name: web, annotations: {ringress/hold: x}}\n" /* 7 */
                                "spec:\n"                                                  /* 8 */
                                "  ports:\n"                                               /* 9 */
                                "  - {port: 70000, name: a}\n"                             /* 10 */
                                "  selector: {app: \"1\"}\n";                              /* 11 */

static const struct blamed web = {"v1",      "Service",           "web", "conf.d/acme/s.yaml",
                                  drop_text, sizeof drop_text - 1};

static void blames(unsigned line, unsigned column, const char *text, const char *causes) {
    struct diags diags = DIAGS_INIT;
    struct fault fault = {0};
    diags_add(&diags, DIAG_ERROR, "conf.d/acme/s.yaml", line, column, "%s", text);
    diags_blame(&diags, &web, &fault);
    assert_json(json_incref(fault.causes), causes);
    diags_fini(&diags);
    fault_fini(&fault);
}

static void an_error_of_the_drop_becomes_a_field(void **state) {
    (void)state;
    blames(10, 12, "port: must be 1 to 65535",
           "[{'reason':'FieldValueInvalid','field':'spec.ports[0].port',"
           "'message':'Invalid value: 70000: must be 1 to 65535'}]");
    blames(11, 19, "app: odd",
           "[{'reason':'FieldValueInvalid','field':'spec.selector.app',"
           "'message':'Invalid value: \\'1\\': odd'}]");
    blames(10, 5, "name is missing",
           "[{'reason':'FieldValueRequired','field':'spec.ports[0].name',"
           "'message':'Required value'}]");
    blames(9, 3, "selector is missing", /* where the map begins, and its first key */
           "[{'reason':'FieldValueRequired','field':'spec.selector','message':'Required value'}]");
    blames(9, 3, "ports: too many",
           "[{'reason':'FieldValueInvalid','field':'spec.ports','message':'Invalid value: too "
           "many'}]");
    blames(5, 1, "nothing selects it",
           "[{'reason':'FieldValueInvalid','message':'Invalid value: nothing selects it'}]");
    blames(7, 11, "uid is missing",
           "[{'reason':'FieldValueRequired','field':'metadata.uid','message':'Required value'}]");
    blames(7, 52, "ringress/hold: odd",
           "[{'reason':'FieldValueInvalid','field':'metadata.annotations[ringress/hold]',"
           "'message':'Invalid value: \\'x\\': odd'}]");
    blames(0, 0, "a file is broken",
           "[{'reason':'FieldValueInvalid','field':'s.yaml','message':'a file is broken'}]");
    blames(3, 11, "somebody else's",
           "[{'reason':'FieldValueInvalid','field':'s.yaml:3:11',"
           "'message':'somebody else\\u0027s'}]");
}

static void a_warning_of_the_drop_is_a_text(void **state) {
    (void)state;
    struct diags diags = DIAGS_INIT;
    json_t *warnings = json_array();
    diags_add(&diags, DIAG_WARNING, "conf.d/acme/s.yaml", 8, 1, "unknown field `spec`");
    diags_add(&diags, DIAG_WARNING, "conf.d/acme/s.yaml", 3, 1, "not ours");
    diags_warn(&diags, &web, warnings);
    assert_json(warnings, "['spec: unknown field `spec`']");
    diags_fini(&diags);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_rfc_1123),
        cmocka_unit_test(an_ingress_says_what_its_paths_lack),
        cmocka_unit_test(a_service_says_what_its_ports_lack),
        cmocka_unit_test(what_may_not_change_is_immutable),
        cmocka_unit_test(secrets_and_pods_say_what_they_lack),
        cmocka_unit_test(several_causes_make_one_sentence),
        cmocka_unit_test(bytes_are_base64),
        cmocka_unit_test(what_is_empty_and_need_not_be_there_goes),
        cmocka_unit_test(unknown_fields_are_as_strict_as_asked),
        cmocka_unit_test(unknown_fields_go_unless_they_are_there_already),
        cmocka_unit_test(another_type_is_no_ingress),
        cmocka_unit_test(a_key_that_is_there_twice_is_told),
        cmocka_unit_test(how_strict_is_one_of_three_words),
        cmocka_unit_test(an_error_of_the_drop_becomes_a_field),
        cmocka_unit_test(a_warning_of_the_drop_is_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
