/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_kube_proto.c - what kubectl 1.32 sent for its `create` commands, byte for byte (tests/fuzz/corpus/kube_proto), as the
 * JSON it would otherwise have sent; and what is no message.
 * link: modules/kube/proto.c modules/kube/fault.c kube_proto
 */
#include "modules/kube/proto.h"
#include "tests/unit/kube_json.h"
#include <stdio.h>

static uint8_t *recorded(const char *name, size_t *ret_length) {
    char path[256];
    uint8_t *body = malloc(4096);
    snprintf(path, sizeof path, "tests/fuzz/corpus/kube_proto/%s", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is not there", path);
    *ret_length = fread(body, 1, 4096, f);
    fclose(f);
    return body;
}

static void decodes(const char *name, const char *object) {
    struct fault fault = {0};
    json_t *result = NULL;
    size_t length;
    uint8_t *body = recorded(name, &length);
    if (!proto_decode(body, length, &fault, &result))
        fail_msg("%s: %s", name, fault.message);
    assert_json(result, object);
    free(body);
}

/* kubectl create ingress web --class=edge --annotation=a=b --default-backend=app:http
 *   '--rule=foo.example.test/bar*=app:80,tls=foo-tls' '--rule=*.example.test/=api:8080' */
static void an_ingress_is_what_kubectl_says_of_it(void **state) {
    (void)state;
    decodes("ingress",
            "{'apiVersion':'networking.k8s.io/v1','kind':'Ingress',"
            "'metadata':{'name':'web','annotations':{'a':'b'}},"
            "'spec':{'ingressClassName':'edge',"
            "'defaultBackend':{'service':{'name':'app','port':{'name':'http'}}},"
            "'tls':[{'hosts':['foo.example.test'],'secretName':'foo-tls'}],"
            "'rules':[{'host':'foo.example.test','http':{'paths':[{'path':'/bar',"
            "'pathType':'Prefix','backend':{'service':{'name':'app','port':{'number':80}}}}]}},"
            "{'host':'*.example.test','http':{'paths':[{'path':'/','pathType':'Exact',"
            "'backend':{'service':{'name':'api','port':{'number':8080}}}}]}}]}}");
}

static void services_of_every_type_are_what_kubectl_says(void **state) {
    (void)state;
    decodes("service-nodeport",
            "{'apiVersion':'v1','kind':'Service','metadata':{'name':'np','labels':{'app':'np'}},"
            "'spec':{'type':'NodePort','selector':{'app':'np'},'ports':[{'name':'3306-mysql',"
            "'protocol':'TCP','port':3306,'targetPort':'mysql','nodePort':28791}]}}");
    decodes("service-clusterip",
            "{'apiVersion':'v1','kind':'Service','metadata':{'name':'cip','labels':{'app':'cip'}},"
            "'spec':{'type':'ClusterIP','selector':{'app':'cip'},'ports':[{'name':'80-8080',"
            "'protocol':'TCP','port':80,'targetPort':8080},{'name':'443','protocol':'TCP',"
            "'port':443,'targetPort':443}]}}");
    decodes("service-headless",
            "{'apiVersion':'v1','kind':'Service','metadata':{'name':'hl','labels':{'app':'hl'}},"
            "'spec':{'type':'ClusterIP','clusterIP':'None','selector':{'app':'hl'}}}");
    decodes("service-external",
            "{'apiVersion':'v1','kind':'Service','metadata':{'name':'ex','labels':{'app':'ex'}},"
            "'spec':{'type':'ExternalName','externalName':'db.example.test',"
            "'selector':{'app':'ex'}}}");
}

static void bytes_become_base64(void **state) {
    (void)state;
    decodes("secret-generic", "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'g'},"
                              "'type':'Opaque','data':{'user':'YWRtaW4=','bin':'AQLDqQ=='}}");
    decodes("configmap", "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},"
                         "'data':{'a':'b'}}");
}

/* gracePeriodSeconds 0 is said, and means: at once. */
static void a_zero_that_was_said_stays(void **state) {
    (void)state;
    decodes("delete-options", "{'apiVersion':'v1','kind':'DeleteOptions','gracePeriodSeconds':0,"
                              "'orphanDependents':false,'preconditions':{'uid':'u-1'},"
                              "'propagationPolicy':'Background','dryRun':['All']}");
}

static void refuses(const char *body, size_t length, int code, const char *message) {
    struct fault fault = {0};
    json_t *result = NULL;
    assert_false(proto_decode((const uint8_t *)body, length, &fault, &result));
    assert_null(result);
    assert_int_equal(fault.code, code);
    if (!strstr(fault.message, message))
        fail_msg("`%s` is not in `%s`", message, fault.message);
    fault_fini(&fault);
}

#define REFUSES(body, message) refuses(body, sizeof body - 1, 400, message)

static void what_is_no_message_is_refused(void **state) {
    (void)state;
    REFUSES("", "does not start with k8s");
    REFUSES("{}", "does not start with k8s");
    REFUSES("k8s\0", "no kind \"\" is registered");
    REFUSES("k8s\0\xff\xff\xff", "no envelope");
    REFUSES("k8s\0\x0a\x0a\x0a\x02v1\x12\x04Node", "no kind \"Node\" is registered for version "
                                                   "\"v1\" in scheme");
    REFUSES("k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x02\x12\x09", "not the message its kind");
    REFUSES("k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x06\x0a\x04\x0a\x02\xff\xfe", "not UTF-8");
    REFUSES("k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x1a\x04gzip", "its content is encoded");
}

/* Every prefix of a good body is refused or a smaller object; none is more than its bytes. */
static void a_body_that_was_cut_is_survived(void **state) {
    (void)state;
    size_t length;
    uint8_t *body = recorded("ingress", &length);
    for (size_t n = 0; n < length; n++) {
        struct fault fault = {0};
        json_t *result = NULL;
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, body, n);
        if (proto_decode(cut, n, &fault, &result))
            json_decref(result);
        fault_fini(&fault);
        free(cut);
    }
    free(body);
}

/* Two bytes on the wire for a rule each: more in memory than is given. */
static void small_messages_cant_grow_large(void **state) {
    (void)state;
    size_t rules = 400000, spec = rules * 2, at = 0;
    uint8_t *body = malloc(spec + 64);
    static const char head[] = "k8s\0\x0a\x1f\x0a\x14networking.k8s.io/v1\x12\x07Ingress\x12";
    memcpy(body, head, sizeof head - 1);
    at = sizeof head - 1;
    for (size_t n = spec + 4, last = 0; !last; n >>= 7) { /* raw: tag, length of 3 bytes, spec */
        last = n < 128;
        body[at++] = (uint8_t)((n & 127) | (last ? 0 : 128));
    }
    body[at++] = 0x12;
    for (size_t n = spec, last = 0; !last; n >>= 7) {
        last = n < 128;
        body[at++] = (uint8_t)((n & 127) | (last ? 0 : 128));
    }
    for (size_t i = 0; i < rules; i++) {
        body[at++] = 0x1a;
        body[at++] = 0;
    }
    refuses((const char *)body, at, 400, "too much in it");
    free(body);
    char *large = calloc(1, PROTO_BODY_MAX + 1);
    refuses(large, PROTO_BODY_MAX + 1, 413, "Request entity too large");
    free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ingress_is_what_kubectl_says_of_it),
        cmocka_unit_test(services_of_every_type_are_what_kubectl_says),
        cmocka_unit_test(bytes_become_base64),
        cmocka_unit_test(a_zero_that_was_said_stays),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_body_that_was_cut_is_survived),
        cmocka_unit_test(small_messages_cant_grow_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
