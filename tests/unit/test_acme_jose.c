/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_jose.c - signatures, thumbprints and certificates against the RFCs' own examples.
 * link: modules/acme/jose.c modules/acme/keys.c modules/acme/paper.c
 */
#include "core/base64.h"
#include "modules/acme/keys.h"
#include "modules/acme/paper.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include <cmocka.h>

/* ---- RFC 7515, appendix A ---- */

static const char hs_input[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                               "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx"
                               "lLmNvbS9pc19yb290Ijp0cnVlfQ";
static const char es_input[] = "eyJhbGciOiJFUzI1NiJ9."
                               "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx"
                               "lLmNvbS9pc19yb290Ijp0cnVlfQ";

/* The key of appendix A.3, as SEC 1 in PEM. */
static struct key *rfc_key(void) {
    static const uint8_t head[] = {0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20};
    static const uint8_t tail[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                   0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    uint8_t der[sizeof head + 32 + sizeof tail], *d;
    char pem[400] = "";
    size_t length;
    struct err err;
    assert_true(base64url_decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI", &d, &length));
    assert_int_equal(length, 32);
    memcpy(der, head, sizeof head);
    memcpy(der + sizeof head, d, 32);
    memcpy(der + sizeof head + 32, tail, sizeof tail);
    free(d);
    assert_true(wc_DerToPem(der, sizeof der, (uint8_t *)pem, sizeof pem - 1, ECC_PRIVATEKEY_TYPE) >
                0);
    struct key *k = key_read(pem, &err);
    assert_non_null(k);
    return k;
}

static void hs256_is_appendix_a1(void **state) {
    (void)state;
    uint8_t *key, mac[32];
    size_t length;
    assert_true(base64url_decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        &key, &length));
    assert_true(hs256(key, length, hs_input, mac));
    char *text = base64url(mac, sizeof mac);
    assert_string_equal(text, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    free(text);
    free(key);
}

static void es256_verifies_appendix_a3_and_nothing_near_it(void **state) {
    (void)state;
    struct key *k = rfc_key();
    uint8_t *signature;
    size_t length;
    assert_true(
        base64url_decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApm"
                         "WQxfKTUJqPP3-Kg6NU1Q",
                         &signature, &length));
    assert_int_equal(length, 64);
    assert_true(key_verifies(k, es_input, signature));
    signature[40] ^= 1;
    assert_false(key_verifies(k, es_input, signature));
    free(signature);
    key_free(k);
}

static void what_is_signed_verifies_and_has_64_bytes_each_time(void **state) {
    (void)state;
    struct key *k = rfc_key();
    uint8_t signature[64];
    for (int i = 0; i < 300; i++) { /* r or s is short once in 128 times */
        char text[32];
        snprintf(text, sizeof text, "message %d", i);
        assert_true(key_sign(k, text, signature));
        assert_true(key_verifies(k, text, signature));
    }
    key_free(k);
}

static void the_key_and_its_thumbprint_are_those_of_rfc_7517_and_7638(void **state) {
    (void)state;
    struct key *k = rfc_key();
    json_t *jwk = key_jwk(k);
    assert_string_equal(json_string_value(json_object_get(jwk, "x")),
                        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    assert_string_equal(json_string_value(json_object_get(jwk, "y")),
                        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    char *thumbprint = key_thumbprint(k),
         *authorization = key_authorization(k, "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA");
    assert_string_equal(thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    assert_string_equal(authorization, "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA."
                                       "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    free(thumbprint);
    free(authorization);
    json_decref(jwk);
    key_free(k);
}

/* ---- RFC 8555, shapes ---- */

static json_t *decoded(const char *base64) {
    uint8_t *bytes;
    size_t length;
    assert_true(base64url_decode(base64, &bytes, &length));
    json_t *object = json_loadb((char *)bytes, length, 0, NULL);
    free(bytes);
    return object;
}

static json_t *part(const json_t *jws, const char *name) {
    return decoded(json_string_value(json_object_get(jws, name)));
}

static void a_request_has_a_key_or_an_account_never_both(void **state) {
    (void)state;
    struct key *k = rfc_key();
    for (int with_account = 0; with_account < 2; with_account++) {
        char *text = jws_sign(k, with_account ? "https://ca/acct/1" : NULL, "nonce", "https://ca/x",
                              "{\"a\":1}");
        json_t *jws = json_loads(text, 0, NULL), *header = part(jws, "protected");
        assert_string_equal(json_string_value(json_object_get(header, "alg")), "ES256");
        assert_string_equal(json_string_value(json_object_get(header, "url")), "https://ca/x");
        assert_string_equal(json_string_value(json_object_get(header, "nonce")), "nonce");
        assert_int_equal(json_object_get(header, "kid") != NULL, with_account);
        assert_int_equal(json_object_get(header, "jwk") != NULL, !with_account);
        json_decref(header);
        json_decref(jws);
        free(text);
    }
    key_free(k);
}

static void post_as_get_has_an_empty_payload(void **state) {
    (void)state;
    struct key *k = rfc_key();
    char *text = jws_sign(k, "https://ca/acct/1", "n", "https://ca/x", NULL);
    json_t *jws = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(jws, "payload")), "");
    json_decref(jws);
    free(text);
    key_free(k);
}

/* Section 7.3.5: the inner one is signed by the new key and holds it, has the same url and no nonce; it names the old key. */
static void a_key_change_is_section_7_3_5(void **state) {
    (void)state;
    struct err err;
    struct key *old = rfc_key(), *fresh = key_new(KEY_P256, 0, &err);
    char *text = jws_key_change(old, fresh, "https://ca/acct/1", "https://ca/key-change");
    json_t *jws = json_loads(text, 0, NULL), *header = part(jws, "protected"),
           *payload = part(jws, "payload"), *fresh_jwk = key_jwk(fresh), *old_jwk = key_jwk(old);
    assert_null(json_object_get(header, "nonce"));
    assert_true(json_equal(json_object_get(header, "jwk"), fresh_jwk));
    assert_true(json_equal(json_object_get(payload, "oldKey"), old_jwk));
    assert_string_equal(json_string_value(json_object_get(payload, "account")),
                        "https://ca/acct/1");
    json_decref(header);
    json_decref(payload);
    json_decref(fresh_jwk);
    json_decref(old_jwk);
    json_decref(jws);
    free(text);
    key_free(old);
    key_free(fresh);
}

static void a_binding_holds_the_accounts_key(void **state) {
    (void)state;
    static const uint8_t hmac[] = "0123456789abcdef0123456789abcdef";
    struct key *k = rfc_key();
    json_t *jws = jws_binding(k, "kid-1", hmac, sizeof hmac - 1, "https://ca/new-account"),
           *header = part(jws, "protected"), *payload = part(jws, "payload"), *jwk = key_jwk(k);
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "HS256");
    assert_string_equal(json_string_value(json_object_get(header, "kid")), "kid-1");
    assert_true(json_equal(payload, jwk));
    json_decref(header);
    json_decref(payload);
    json_decref(jwk);
    json_decref(jws);
    key_free(k);
}

/* ---- keys on disk ---- */

static void keys_come_back_from_pem_and_weak_ones_do_not(void **state) {
    (void)state;
    struct err err;
    for (int kind = KEY_P256; kind <= KEY_RSA; kind++) {
        struct key *k = key_new(kind, 2048, &err);
        char *pem = key_pem(k);
        assert_non_null(strstr(pem, "BEGIN PRIVATE KEY"));
        struct key *again = key_read(pem, &err);
        assert_non_null(again);
        char *pem_again = key_pem(again);
        assert_string_equal(pem, pem_again);
        free(pem);
        free(pem_again);
        key_free(k);
        key_free(again);
    }
    struct key *weak = key_new(KEY_RSA, 1024, &err);
    char *pem = weak ? key_pem(weak) : NULL;
    assert_null(pem ? key_read(pem, &err) : NULL);
    free(pem);
    key_free(weak);
    assert_null(key_read("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &err));
    assert_null(key_read("", &err));
}

/* ---- requests ---- */

static void a_request_is_signed_and_names_every_name(void **state) {
    (void)state;
    struct err err;
    for (int kind = KEY_P256; kind <= KEY_RSA; kind++) {
        static const char *const name[] = {"a.example.com", "*.b.example.com"};
        struct key *k = key_new(kind, 2048, &err);
        char *text = request_make(k, name, 2, &err);
        uint8_t *der;
        size_t length, found = 0;
        DecodedCert csr;
        assert_non_null(text);
        assert_true(base64url_decode(text, &der, &length));
        wc_InitDecodedCert(&csr, der, (word32)length, NULL);
        assert_int_equal(wc_ParseCert(&csr, CERTREQ_TYPE, VERIFY, NULL), 0);
        for (const DNS_entry *e = csr.altNames; e; e = e->next)
            for (size_t i = 0; i < 2; i++)
                found +=
                    e->len == (int)strlen(name[i]) && !memcmp(e->name, name[i], strlen(name[i]));
        assert_int_equal(found, 2);
        wc_FreeDecodedCert(&csr);
        free(der);
        free(text);
        key_free(k);
    }
}

static void a_request_takes_a_hundred_names_and_refuses_what_does_not_fit(void **state) {
    (void)state;
    struct err err;
    static char text[NAMES_MOST][256];
    const char *name[NAMES_MOST];
    struct key *k = key_new(KEY_P256, 0, &err);
    for (size_t i = 0; i < NAMES_MOST; i++) {
        snprintf(text[i], sizeof text[i], "%0120zu.example.com", i);
        name[i] = text[i];
    }
    char *csr = request_make(k, name, NAMES_MOST, &err);
    assert_non_null(csr);
    free(csr);
    for (size_t i = 0; i < NAMES_MOST; i++)
        snprintf(text[i], sizeof text[i], "%0240zu.example.com", i);
    assert_null(request_make(k, name, NAMES_MOST, &err));
    key_free(k);
}

/* ---- RFC 8737 ---- */

static void a_challenge_certificate_has_the_digest_in_a_critical_extension(void **state) {
    (void)state;
    static const uint8_t oid[] = {0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01,
                                  0x1f, 0x01, 0x01, 0xff, 0x04, 0x22, 0x04, 0x20};
    uint8_t digest[32];
    char *chain, *key;
    struct err err;
    DerBuffer *der = NULL;
    digest_of("token.thumbprint", digest);
    assert_true(challenge_make("shop.example.com", digest, &chain, &key, &err));
    assert_int_equal(
        wc_PemToDer((uint8_t *)chain, (long)strlen(chain), CERT_TYPE, &der, NULL, NULL, NULL), 0);
    const uint8_t *at = memmem(der->buffer, der->length, oid, sizeof oid);
    assert_non_null(at);
    assert_memory_equal(at + sizeof oid, digest, 32);
    assert_non_null(memmem(der->buffer, der->length, "shop.example.com", 16));
    wc_FreeDer(&der);
    free(chain);
    free(key);
}

/* ---- RFC 9773, appendix A ---- */

static void a_renewal_id_is_that_of_rfc_9773(void **state) {
    (void)state;
    static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
                              "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
                              "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
                              "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
                              "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
                              "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
                              "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
                              "-----END CERTIFICATE-----\n";
    struct paper p;
    struct err err;
    assert_true(leaf_read(pem, &p, &err));
    assert_string_equal(p.renewal_id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
}

static void what_is_no_chain_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "hello", "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    static const char *const name[] = {"a.example.com"};
    struct err err;
    struct paper p;
    struct key *k = key_new(KEY_P256, 0, &err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(chain_judge(bad[i], k, name, 1, 0, &p, &err));
    key_free(k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hs256_is_appendix_a1),
        cmocka_unit_test(es256_verifies_appendix_a3_and_nothing_near_it),
        cmocka_unit_test(what_is_signed_verifies_and_has_64_bytes_each_time),
        cmocka_unit_test(the_key_and_its_thumbprint_are_those_of_rfc_7517_and_7638),
        cmocka_unit_test(a_request_has_a_key_or_an_account_never_both),
        cmocka_unit_test(post_as_get_has_an_empty_payload),
        cmocka_unit_test(a_key_change_is_section_7_3_5),
        cmocka_unit_test(a_binding_holds_the_accounts_key),
        cmocka_unit_test(keys_come_back_from_pem_and_weak_ones_do_not),
        cmocka_unit_test(a_request_is_signed_and_names_every_name),
        cmocka_unit_test(a_request_takes_a_hundred_names_and_refuses_what_does_not_fit),
        cmocka_unit_test(a_challenge_certificate_has_the_digest_in_a_critical_extension),
        cmocka_unit_test(a_renewal_id_is_that_of_rfc_9773),
        cmocka_unit_test(what_is_no_chain_is_refused),
    };
    wolfSSL_Init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wolfSSL_Cleanup();
    return failed;
}
