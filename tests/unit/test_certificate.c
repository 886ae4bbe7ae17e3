/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_certificate.c - Secrets: whose certificate, for which hosts, and what is said of those
 * that cannot be used. The keys below were made for this file (openssl req -x509 -days 20000) and
 * protect nothing.
 */
#include "tenants/certificate.h"
#include "tenants/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char chain[] = "-----BEGIN CERTIFICATE-----\n"
                            "MIIBxjCCAW2gAwIBAgIUNy1nWQlz3OR5mPT1kulEFcSVnBgwCgYIKoZIzj0EAwIw\n"
                            "ITENMAsGA1UECgwEVGVzdDEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjIyMTUz\n"
                            "NTlaGA8yMDgxMDgyNTIxNTM1OVowITENMAsGA1UECgwEVGVzdDEQMA4GA1UEAwwH\n"
                            "VGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDOWYaaOy/sO6NTcvAvz\n"
                            "nJPopNiXdaPlS29hko+SMmd1pDMWbwa39Hi06h8foxMH98Rdcv30d8g5apmPK+4t\n"
                            "mVKjgYAwfjAdBgNVHQ4EFgQUT3wix/TAdo5H+QAlfIPqez3hj4IwHwYDVR0jBBgw\n"
                            "FoAUT3wix/TAdo5H+QAlfIPqez3hj4IwDwYDVR0TAQH/BAUwAwEB/zArBgNVHREE\n"
                            "JDAigg4qLjEyMzEyMy4xZC5wdIIQU2hvcC5leGFtcGxlLmNvbTAKBggqhkjOPQQD\n"
                            "AgNHADBEAiBXMYdUtCOfGVsawE7SeatSj84rfmqHHUGBuowAzOlDjAIgXnhq2UAZ\n"
                            "LRayFrDa/ZTp5kuPE6SfG7cdJvlQM1gmQD8=\n"
                            "-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAohZcrdbYBImY5D\n"
                          "kY0ZG0V90cZerdQ4yBYiHHhw0s6hRANCAAQzlmGmjsv7DujU3LwL85yT6KTYl3Wj\n"
                          "5UtvYZKPkjJndaQzFm8Gt/R4tOofH6MTB/fEXXL99HfIOWqZjyvuLZlS\n"
                          "-----END PRIVATE KEY-----\n";
static const char key_sec1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                               "MHcCAQEEIAAKIWXK3W2ASJmOQ5GNGRtFfdHGXq3UOMgWIhx4cNLOoAoGCCqGSM49\n"
                               "AwEHoUQDQgAEM5Zhpo7L+w7o1Ny8C/Ock+ik2Jd1o+VLb2GSj5IyZ3WkMxZvBrf0\n"
                               "eLTqHx+jEwf3xF1y/fR3yDlqmY8r7i2ZUg==\n"
                               "-----END EC PRIVATE KEY-----\n";
static const char key_other[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2pD+4ktDg24lcenX\n"
                                "mjZUxgF1W/TEj7DcxrfJ7M/Iel6hRANCAATqIvmXNEn6EUSheygjplIEzwGBSw6R\n"
                                "Bc//Suo9R1fBujlNy6Yoks9XwZCLkKdpMx5URBL15jofPYbg+KFxeZ+C\n"
                                "-----END PRIVATE KEY-----\n";
static const char rsa_chain[] = "-----BEGIN CERTIFICATE-----\n"
                                "MIICvzCCAacCFDrhp1F2rpcU/WH7f+0YuVIHNvMwMA0GCSqGSIb3DQEBCwUAMBsx\n"
                                "GTAXBgNVBAMMEG9ubHkuZXhhbXBsZS5jb20wIBcNMjYxMTIyMjE1NDAwWhgPMjA4\n"
                                "MTA4MjUyMTU0MDBaMBsxGTAXBgNVBAMMEG9ubHkuZXhhbXBsZS5jb20wggEiMA0G\n"
                                "CSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCcTHo+R8f/L+hdvCpioPRD839XO0Aa\n"
                                "OGbdSfmM1QoLZzgcyVy1UAtfD0V9RqDK857rsg/FRAqVKVHq7yI5dakHlUiMJ9db\n"
                                "EfUSk65Q+YGLjvdwPAqM/Xgv33hx4ZlyC0JEgGHRoVAon1mkyWJwvPXgoyA1ffPa\n"
                                "3CfMgW2wJtQFm5YW6jIXHJykeDoIUU2hg6fP2/h+rsjP+Y/ePfvG/eSwPJ9TvFpR\n"
                                "aG8Nb9oKLmU/CAt8QE1TTwoQ7dl7BDWbA6WvK+EuPnemmcuAWCnzT1REPU1m0R23\n"
                                "NLCUWaKX3SevLY9vOmIEpH34eHCxBY90MW+Ekfn3o/5hnWJgdX3eBWxLAgMBAAEw\n"
                                "DQYJKoZIhvcNAQELBQADggEBADFIr9pxzTQ+vZM/HRKER8U14+S+6+1g5vmD0dII\n"
                                "S1/f8cbRLMCrnkZMEJg1MJDMCsr2WGASU5nfOrIbmJ7iJ1q3Tt/+4c5sm5wjuz4z\n"
                                "bI2nBrlp6KxAzRIFqe/duVHRlXqIMA4DWFijMbyKAdB6W/PDaoo/iZg6qpTdFTdw\n"
                                "CngfN79R4Uk8Ynnr7niNXabGq/Gsb0S/05bafHfSXmeDB6a6cbzbPemGBsT0Lqas\n"
                                "DdTXzCesLsnHJNZHxmDtC+DyLoO6Ac1irXISJx6FHghoLlSAZ1nhZ0sNqPpKS26w\n"
                                "8EwNZwiKjgI/7oyFjsa47DQx5xWspa5fDpJhsOY2xcwj4Sc=\n"
                                "-----END CERTIFICATE-----\n";
static const char rsa_key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCcTHo+R8f/L+hd\n"
                              "vCpioPRD839XO0AaOGbdSfmM1QoLZzgcyVy1UAtfD0V9RqDK857rsg/FRAqVKVHq\n"
                              "7yI5dakHlUiMJ9dbEfUSk65Q+YGLjvdwPAqM/Xgv33hx4ZlyC0JEgGHRoVAon1mk\n"
                              "yWJwvPXgoyA1ffPa3CfMgW2wJtQFm5YW6jIXHJykeDoIUU2hg6fP2/h+rsjP+Y/e\n"
                              "PfvG/eSwPJ9TvFpRaG8Nb9oKLmU/CAt8QE1TTwoQ7dl7BDWbA6WvK+EuPnemmcuA\n"
                              "WCnzT1REPU1m0R23NLCUWaKX3SevLY9vOmIEpH34eHCxBY90MW+Ekfn3o/5hnWJg\n"
                              "dX3eBWxLAgMBAAECggEAMrPsg/+tNW9JJf9AkLY+Bz0adiXWaasaU3cH6VPC6mgV\n"
                              "n+ECnh7VUYUWuckLqErXpwYgb5HfDPxWgqwIojM1HiyjWDQkfHqa0efuiH4oNCmw\n"
                              "w0v28D3Zm04XOHpC2OgmGyq6kNKPul3XKsnZkVD7QmAotrGhRcJdds4V0ysFZLvO\n"
                              "aSqFIqfZqZ2Nq1SfnJ0AR0x4ZbO1oSP31nTe8D3aRS6Nvj4mL3GWVizysBgdlHmc\n"
                              "r8qiKEV3agfEy+72acNBprh/Mz5RL7oVAYOTbacLugTOR8oGWCHRtkn867SJ1Lnu\n"
                              "ZGeIb/tJwALTOFjWUgF33DbDTgivT9opjLgig/r4oQKBgQDMWD9SJMUgz+RpcFjt\n"
                              "h8F9Ct5b+wym+n7iWai/yJhzi/FAKuInbYsSegvZll1MM77nCnZc/W/XZXb318Sj\n"
                              "zkJCYUA5CMMscph1rwKTB21rHNkLgwAHTPJ4yH/vu80EF+BdOcwvCGr2rnb65gbh\n"
                              "5jSB7J2PupdpGSv5R/lBX6bDRQKBgQDDzwhWIXvknvqDLlDFnmYo+9ecxutaFL/h\n"
                              "REX8NYlLiT1SADOvbVT7xAvlg+sinzY/WiXQtC9AvXz24d3QNrMW/H6u5IlBsJ5M\n"
                              "SSnLsjLP81F4Hf9ArbBBCvNtuL136eiKa39JrVUz7ETBtjwa54fEV/WTprl7OAyI\n"
                              "8lFgzyAiTwKBgEaHfvN/NXrpxlCOMmNpo+LgyXa949QOSZUelRv8xIG9H3uiUYSC\n"
                              "TqoF7ekf+PvAMHfWKJxX7S5PGwzYMErJeh0nK9+DornIo86apSzSN3Xs8w0CHhRm\n"
                              "/pmpul6oV06+XvZOaKcjJKgX94EJu/5kUmM1o/xjzra7tW3I5cMmnIxxAoGBAJPZ\n"
                              "ZrUKcW8uL4AP38NoGEGH78UcWidZlYz1rVaD4hhcFyYsqtoiVtIHtOfnlQs+Zoqt\n"
                              "efI9q5RZv9r2rzMBqnaHzuwl+hHU16JIeDurYTytv+1P0SW4QGbMawSFQuMhhonG\n"
                              "I4WxUK11EHGoNXgnLNevhumnMVR9/NEHDzVnEB93AoGABEgMaREqtjAV8hUyzolQ\n"
                              "gGqATYg2GPb/8AgqdbWImKiIIjRVVlNtSI+zZi1YaiV8JAd+AEdZ32TzctyM+Wan\n"
                              "k9bjc8LHV/a/Fqd4WPAk2quVGWLZyqLRY+ULhMt1bMZ8gnUUETQcO07yCkfGhbjV\n"
                              "hQW5nPhWGvNgo+0VUBaWauw=\n"
                              "-----END PRIVATE KEY-----\n";

static void a_pair_tells_its_names_issuer_and_end(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct certificate_facts facts;
    const char *why;
    assert_true(certificate_read(stash, chain, key, &facts, &why));
    assert_int_equal(facts.name_count, 2);
    bool swapped = strcmp(facts.name[0], "*.123123.1d.pt") != 0;
    assert_string_equal(facts.name[swapped], "*.123123.1d.pt");
    assert_string_equal(facts.name[!swapped], "shop.example.com");
    assert_string_equal(facts.issuer, "Test CA");
    assert_true(facts.not_after > 2000000000);
    assert_true(certificate_read(stash, chain, key_sec1, &facts, &why));
    assert_true(certificate_read(stash, rsa_chain, rsa_key, &facts, &why));
    assert_string_equal(facts.name[0], "only.example.com");
    stash_free(stash);
}

static void what_cannot_be_served_says_why(void **state) {
    (void)state;
    static const char *const story[][3] = {
        {chain, key_other, "not the key of"},
        {chain, rsa_key, "not the key of"},
        {chain, "nonsense", "not a private key"},
        {key, key, "not a certificate"},
        {"", "", "not a certificate"},
    };
    struct stash *stash = stash_new();
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        struct certificate_facts facts;
        const char *why = NULL;
        assert_false(certificate_read(stash, story[i][0], story[i][1], &facts, &why));
        assert_non_null(strstr(why, story[i][2]));
    }
    stash_free(stash);
}

static void indent(FILE *out, const char *pem) {
    for (bool start = true; *pem; pem++) {
        if (start)
            fputs("    ", out);
        fputc(*pem, out);
        start = *pem == '\n';
    }
}

static void a_bundle_holds_authorities_and_nothing_else(void **state) {
    (void)state;
    char two[2 * sizeof chain + 16], mixed[sizeof chain + sizeof rsa_chain];
    const char *why = NULL;
    snprintf(two, sizeof two, "# ours\n%s%s", chain, chain);
    snprintf(mixed, sizeof mixed, "%s%s", chain, rsa_chain);
    assert_true(certificates_judge(chain, &why));
    assert_true(certificates_judge(two, &why));
    const struct {
        const char *pem, *why;
    } story[] = {
        {"", "not certificates in PEM"},
        {key, "not certificates in PEM"},
        {mixed, "not an authority's"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can't be read"},
        {"-----END CERTIFICATE-----\n", "not certificates in PEM"}};
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        why = NULL;
        assert_false(certificates_judge(story[i].pem, &why));
        assert_non_null(strstr(why, story[i].why));
    }
}

/* A Service `echo` of https with these annotations, and Secret `ca`. */
static struct tenant *https_put(struct registry *registry, const char *annotations,
                                struct diags *diags) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fprintf(
        out,
        "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: acme}\nspec: {domain: "
        "123123.1d.pt}\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: "
        "default, annotations: {ringress/backend-http-version: '2'}}\nspec: {rules: [{host: "
        "w.123123.1d.pt, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: "
        "echo, port: {number: 443}}}}]}}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: "
        "echo, annotations: {%s}}\nspec: {selector: {app: echo}, ports: [{port: 443, appProtocol: "
        "https}]}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: ca}\nstringData:\n  "
        "ca.crt: |\n",
        annotations);
    indent(out, chain);
    fclose(out);
    struct source source = {"acme.yaml", "acme.yaml", text, length};
    struct drop drop = {"acme", false, &source, 1};
    struct change change;
    assert_true(registry_put(registry, &drop, 1, diags, &change));
    struct tenant *tenant = change.tenant[0].tenant;
    change.tenant[0].tenant = NULL;
    change_fini(&change);
    free(text);
    return tenant;
}

static void pods_are_verified_when_an_authority_is_named_and_never_by_halves(void **state) {
    (void)state;
    static const struct {
        const char *annotations, *name;
        bool verify, refused;
    } story[] = {
        {"", "echo.acme.svc", false, false},
        {"ringress/backend-verify: 'off'", "echo.acme.svc", false, false},
        {"ringress/backend-ca-secret: ca", "echo.acme.svc", true, false},
        {"ringress/backend-ca-secret: ca, ringress/backend-verify: 'off'", "echo.acme.svc", false,
         false},
        {"ringress/backend-ca-secret: ca, ringress/backend-server-name: A.example", "a.example",
         true, false},
        {"ringress/backend-verify: 'on'", "echo.acme.svc", true, true},
        {"ringress/backend-ca-secret: none", "echo.acme.svc", true, true},
    };
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        struct registry_conf conf = {0};
        struct registry *registry = registry_new(&conf);
        struct diags diags = DIAGS_INIT;
        struct tenant *tenant = https_put(registry, story[i].annotations, &diags);
        const struct pod_tls *tls = &tenant->backend[0].tls;
        assert_string_equal(tls->server_name, story[i].name);
        assert_int_equal(tls->verify, story[i].verify);
        assert_int_equal(tls->refusal != NULL, story[i].refused);
        assert_int_equal(tls->ca_pem != NULL, story[i].verify && !story[i].refused);
        assert_true(tls->http2); /* the Ingress says so */
        tenant_free(tenant);
        diags_fini(&diags);
        registry_free(registry);
    }
}

static struct tenant *tenant_put(struct registry *registry, const char *pem, struct diags *diags) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fputs("apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: acme}\nspec: {domain: "
          "123123.1d.pt}\n---\n"
          "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: default}\nspec:\n"
          "  tls: [{secretName: mine, hosts: ['*.123123.1d.pt', shop.example.com, "
          "a.b.123123.1d.pt]}]\n---\n"
          "apiVersion: v1\nkind: Secret\nmetadata: {name: mine}\ntype: "
          "kubernetes.io/tls\nstringData:\n  tls.crt: |\n",
          out);
    indent(out, chain);
    fputs("  tls.key: |\n", out);
    indent(out, pem);
    fclose(out);
    struct source source = {"acme.yaml", "acme.yaml", text, length};
    struct drop drop = {"acme", false, &source, 1};
    struct change change;
    assert_true(registry_put(registry, &drop, 1, diags, &change));
    assert_int_equal(change.tenant_count, 1);
    struct tenant *tenant = change.tenant[0].tenant;
    change.tenant[0].tenant = NULL;
    change_fini(&change);
    free(text);
    return tenant;
}

static void a_certificate_is_used_only_for_hosts_the_tenant_may_route(void **state) {
    (void)state;
    struct registry_conf conf = {0};
    struct registry *registry = registry_new(&conf);
    struct diags diags = DIAGS_INIT;
    struct tenant *tenant = tenant_put(registry, key, &diags);
    assert_int_equal(tenant->certificate_count, 1);
    assert_int_equal(tenant->certificate[0].host_count, 1);
    assert_non_null(tenant_certificate(tenant, "x.123123.1d.pt", 14));
    assert_null(tenant_certificate(tenant, "a.x.123123.1d.pt", 16));
    assert_null(
        tenant_certificate(tenant, "shop.example.com", 16)); /* in the certificate, but pending */
    tenant_free(tenant);
    diags_fini(&diags);
    registry_free(registry);
}

static void a_wrong_key_is_a_state_of_that_secret(void **state) {
    (void)state;
    struct registry_conf conf = {0};
    struct registry *registry = registry_new(&conf);
    struct diags diags = DIAGS_INIT;
    struct tenant *tenant = tenant_put(registry, key_other, &diags);
    assert_int_equal(tenant->certificate_count, 0);
    json_t *events = view_events(registry, "acme");
    char *text = json_dumps(events, 0);
    assert_non_null(strstr(text, "tls.key is not the key of tls.crt"));
    free(text);
    json_decref(events);
    tenant_free(tenant);
    diags_fini(&diags);
    registry_free(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_tells_its_names_issuer_and_end),
        cmocka_unit_test(what_cannot_be_served_says_why),
        cmocka_unit_test(a_certificate_is_used_only_for_hosts_the_tenant_may_route),
        cmocka_unit_test(a_wrong_key_is_a_state_of_that_secret),
        cmocka_unit_test(a_bundle_holds_authorities_and_nothing_else),
        cmocka_unit_test(pods_are_verified_when_an_authority_is_named_and_never_by_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
