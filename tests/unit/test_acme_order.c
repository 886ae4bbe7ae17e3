/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_order.c - orders against an authority in memory: what it may answer, and a crash at every point.
 * link: modules/acme/order.c modules/acme/account.c modules/acme/client.c modules/acme/wire.c modules/acme/jose.c
 * link: modules/acme/keys.c modules/acme/paper.c modules/acme/bank.c modules/acme/conf.c modules/acme/schedule.c
 * link: modules/acme/secrets.c
 *
 * A crash is a child that ends without putting anything in order. What outlives it lies in shared memory (the authority, the rows)
 * and on disk (keys, chains); what the edge showed to the authority is forgotten, as it would be.
 */
#include "core/base64.h"
#include "modules/acme/bank.h"
#include "modules/acme/keys.h"
#include "modules/acme/order.h"
#include "modules/acme/world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include <cmocka.h>

enum { ROWS = 32, ORDERS = 64, NONCES = 20000, HOSTS = 2, SHOWN = 16, CRASHED = 77 };

struct shared {
    struct {
        char key[96], value[2048];
    } row[ROWS];
    struct {
        char name[64], token[64], answer[128];
    } shown[SHOWN];
    struct {
        int host;
        char names[4][64];
        size_t name_count;
        enum { O_PENDING, O_READY, O_PROCESSING, O_VALID, O_INVALID } status;
        enum { A_PENDING, A_PROCESSING, A_VALID, A_INVALID } authorization[4];
        unsigned looks[4]; /* while it is validated: an authority tries again */
        char chain[4096];
    } order[ORDERS];
    size_t order_count;
    uint8_t nonce[NONCES]; /* 1: given out, 2: used */
    size_t nonce_count;
    unsigned accounts[HOSTS], placed[HOSTS], finalized[HOSTS], posts;
    struct { /* what it answers instead, so many times */
        int host, times, status;
        char where[16], type[40];
        int64_t retry_after;
    } inject[4];
    bool ready_for_ever;
    char wants[64]; /* proved, instead of the last name ordered */
    bool may_order_not[HOSTS];
    unsigned counted[HOSTS], looked;
    int64_t may_order_in;
    int64_t patience; /* Retry-After of an order whose certificate is being made */
    enum caa_verdict caa;
    enum control_look look; /* LOOK_WAITS (0): yes */
    bool look_waits;
    int64_t passed; /* seconds waited */
    int crash_in;   /* points left; 0: none */
    int ends_in;    /* the same, until the edge ends in good order */
    bool ends;
    int points;
};
static struct shared *s;
static struct key *ca_key;

static void point(void) {
    s->points++;
    if (s->crash_in && --s->crash_in == 0)
        _exit(CRASHED);
    if (s->ends_in && --s->ends_in == 0)
        s->ends = true;
}

/* What the control thread says when it has gone. */
static bool gone(struct err *err) {
    return s->ends && !err_set(err, "the edge ends");
}

/* ---- the world ---- */

int64_t world_now(void) {
    return time(NULL) + s->passed;
}

bool world_wait(int64_t ms) {
    s->passed += (ms + 999) / 1000;
    return !s->ends;
}

bool world_ends(void) {
    return s->ends;
}

static size_t row_at(const char *key) {
    size_t i = 0;
    while (i < ROWS && strcmp(s->row[i].key, key))
        i++;
    for (size_t j = 0; i == ROWS && j < ROWS; j++)
        if (!*s->row[j].key)
            return j;
    assert_true(i < ROWS);
    return i;
}

char *world_row(const char *key) {
    size_t i = row_at(key);
    point();
    if (s->ends)
        return NULL;
    return *s->row[i].key ? strdup(s->row[i].value) : NULL;
}

bool world_rows_save(const char *key, const char *value, const char *also, const char *also_value,
                     struct err *err) {
    size_t i = row_at(key);
    (void)also, (void)also_value;
    point();
    if (gone(err))
        return false;
    snprintf(s->row[i].key, sizeof s->row[i].key, "%s", value ? key : "");
    snprintf(s->row[i].value, sizeof s->row[i].value, "%s", value ? value : "");
    point();
    return true;
}

bool world_show_http(const char *name, const char *token, const char *answer, struct err *err) {
    size_t i = 0;
    if (gone(err))
        return false;
    while (i < SHOWN && *s->shown[i].name &&
           (strcmp(s->shown[i].name, name) || strcmp(s->shown[i].token, token)))
        i++;
    assert_true(i < SHOWN);
    snprintf(s->shown[i].name, sizeof s->shown[i].name, "%s", name);
    snprintf(s->shown[i].token, sizeof s->shown[i].token, "%s", token);
    snprintf(s->shown[i].answer, sizeof s->shown[i].answer, "%s", answer ? answer : "");
    return true;
}

bool world_show_alpn(const char *name, const char *authorization, struct err *err) {
    return world_show_http(name, "alpn", authorization, err);
}

bool world_show_dns(const char *name, const char *text, bool show, struct err *err) {
    return world_show_http(name, "dns", show ? text : NULL, err);
}

enum caa_verdict world_caa(const char *const *name, const char *const *method, size_t count,
                           const char *issuers, const char *account, char why[CAA_REASON_MAX]) {
    (void)issuers, (void)account;
    for (size_t i = 0; i < count; i++)
        assert_non_null(name[i] && method[i] ? name[i] : NULL);
    snprintf(why, CAA_REASON_MAX, "CAA says so");
    return s->caa;
}

enum control_look world_recheck(const char *tenant, const char *const *name, size_t count,
                                size_t *ret_which) {
    assert_string_equal(tenant, "acme");
    s->looked++;
    assert_non_null(name[0]);
    *ret_which = count - 1;
    return s->look_waits ? LOOK_WAITS : s->look ? s->look : LOOK_YES;
}

bool world_may_order(const struct order_wish *wish, bool take, int64_t *ret_at) {
    int host = strstr(wish->directory, "://ca2/") != NULL;
    *ret_at = world_now() + s->may_order_in;
    s->counted[host] += take && !s->may_order_not[host];
    return !s->may_order_not[host];
}

void world_was_limited(const char *directory, int64_t at) {
    (void)directory, (void)at;
}

char *control_path(const char *as_written);
char *control_path(const char *as_written) {
    return strdup(as_written);
}

/* ---- the authority ---- */

struct http {
    int unused;
};

static void answer_text(struct http_answer *a, long status, char *text) {
    a->status = status;
    a->body = text;
    a->length = strlen(text);
    if (s->nonce_count < NONCES) {
        s->nonce[s->nonce_count] = 1;
        snprintf(a->nonce, sizeof a->nonce, "n%zu", s->nonce_count++);
    }
}

__attribute__((format(printf, 3, 4))) static bool answer(struct http_answer *a, long status,
                                                         const char *format, ...) {
    char *text;
    va_list args;
    va_start(args, format);
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    answer_text(a, status, text);
    return true;
}

static bool answer_problem(struct http_answer *a, long status, const char *type) {
    return answer(
        a, status,
        "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"the authority says %s\"}", type,
        type);
}

static json_t *part(const json_t *jws, const char *name) {
    uint8_t *bytes;
    size_t length;
    if (!base64url_decode(json_string_value(json_object_get(jws, name)), &bytes, &length))
        return NULL;
    json_t *object = json_loadb((char *)bytes, length, 0, NULL);
    free(bytes);
    return object;
}

static struct key *account_key(const char *host) {
    char hash[17], url[64], file[64];
    struct err err;
    snprintf(url, sizeof url, "https://%s/dir", host);
    directory_hash(url, hash);
    snprintf(file, sizeof file, "account-%s.key", hash);
    char *pem = bank_read(file, &err);
    struct key *k = pem ? key_read(pem, &err) : NULL;
    free(pem);
    return k;
}

/* Everything a strict authority looks at; NULL: good. */
static const char *request_judge(const json_t *jws, const json_t *header, const char *url,
                                 const char *host, bool with_key) {
    const char *nonce = json_string_value(json_object_get(header, "nonce"));
    size_t n = nonce && *nonce == 'n' ? strtoul(nonce + 1, NULL, 10) : NONCES;
    char input[16384];
    uint8_t *signature = NULL;
    size_t length;
    if (n >= NONCES || s->nonce[n] != 1)
        return "badNonce";
    s->nonce[n] = 2;
    if (strcmp(json_string_value(json_object_get(header, "url")), url) ||
        (json_object_get(header, "jwk") != NULL) != with_key ||
        (json_object_get(header, "kid") != NULL) == with_key)
        return "malformed";
    snprintf(input, sizeof input, "%s.%s", json_string_value(json_object_get(jws, "protected")),
             json_string_value(json_object_get(jws, "payload")));
    struct key *k = account_key(host);
    bool good = k &&
                base64url_decode(json_string_value(json_object_get(jws, "signature")), &signature,
                                 &length) &&
                length == 64 && key_verifies(k, input, signature);
    free(signature);
    key_free(k);
    return good ? NULL : "unauthorized";
}

static void issue(size_t order, const char *csr64) {
    uint8_t *csr, out[4096];
    size_t length;
    ecc_key key;
    word32 at = 0;
    DecodedCert decoded;
    assert_true(base64url_decode(csr64, &csr, &length));
    wc_InitDecodedCert(&decoded, csr, (word32)length, NULL);
    assert_int_equal(wc_ParseCert(&decoded, CERTREQ_TYPE, VERIFY, NULL), 0);
    wc_ecc_init(&key);
    assert_int_equal(wc_EccPublicKeyDecode(decoded.publicKey, &at, &key, decoded.pubKeySize), 0);
    Cert *c = wc_CertNew(NULL);
    c->sigType = CTC_SHA256wECDSA;
    c->daysValid = 90;
    strcpy(c->issuer.commonName, "a CA of the tests");
    c->selfSigned = 0;
    int names = 0;
    for (size_t i = 0; i < s->order[order].name_count; i++) {
        size_t n = strlen(s->order[order].names[i]);
        c->altNames[2 + names] = 0x82;
        c->altNames[3 + names] = (uint8_t)n;
        memcpy(c->altNames + 4 + names, s->order[order].names[i], n);
        names += 2 + (int)n;
    }
    c->altNames[0] = 0x30;
    c->altNames[1] = (uint8_t)names;
    c->altNamesSz = 2 + names;
    assert_true(wc_MakeCert_ex(c, out, sizeof out, ECC_TYPE, &key, &ca_key->rng) > 0);
    int size = wc_SignCert_ex(c->bodySz, c->sigType, out, sizeof out, ECC_TYPE, &ca_key->ecc,
                              &ca_key->rng);
    assert_true(size > 0);
    memset(s->order[order].chain, 0, sizeof s->order[order].chain);
    assert_true(wc_DerToPem(out, (word32)size, (uint8_t *)s->order[order].chain,
                            sizeof s->order[order].chain - 1, CERT_TYPE) > 0);
    wc_CertFree(c);
    wc_ecc_free(&key);
    wc_FreeDecodedCert(&decoded);
    free(csr);
}

static bool proof_is_shown(const char *name, size_t order, size_t i) {
    char token[64], expected[128];
    snprintf(token, sizeof token, "token-%zu-%zu", order, i);
    struct key *k = account_key(s->order[order].host ? "ca2" : "ca1");
    char *text = key_authorization(k, token);
    snprintf(expected, sizeof expected, "%s", text);
    free(text);
    key_free(k);
    for (size_t j = 0; j < SHOWN; j++)
        if (!strcmp(s->shown[j].name, name) && !strcmp(s->shown[j].answer, expected))
            return true;
    return false;
}

static void order_settle(size_t o) {
    bool all = true, bad = false;
    for (size_t i = 0; i < s->order[o].name_count; i++) {
        all &= s->order[o].authorization[i] == A_VALID;
        bad |= s->order[o].authorization[i] == A_INVALID;
    }
    if (s->order[o].status == O_PENDING && (all || bad))
        s->order[o].status = bad ? O_INVALID : O_READY;
}

static bool order_show(struct http_answer *a, const char *host, size_t o) {
    static const char *const status[] = {"pending", "ready", "processing", "valid", "invalid"};
    char list[512] = "";
    order_settle(o);
    for (size_t i = 0; i < s->order[o].name_count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"https://%s/authz/%zu-%zu\"",
                 i ? "," : "", host, o, i);
    bool good =
        answer(a, 200,
               "{\"status\":\"%s\",\"authorizations\":[%s],\"finalize\":\"https://%s/fin/%zu\","
               "\"certificate\":\"https://%s/cert/%zu\"}",
               status[s->order[o].status], list, host, o, host, o);
    snprintf(a->location, sizeof a->location, "https://%s/order/%zu", host, o);
    if (s->order[o].status == O_PROCESSING)
        a->retry_after = s->patience;
    if (s->order[o].status == O_PROCESSING)
        s->order[o].status = O_VALID; /* when looked at next */
    return good;
}

static bool authorization_show(struct http_answer *a, const char *host, size_t o, size_t i) {
    static const char *const status[] = {"pending", "pending", "valid", "invalid"},
                             *const challenge[] = {"pending", "processing", "valid", "invalid"};
    if (s->order[o].authorization[i] == A_PROCESSING && ++s->order[o].looks[i] > 1)
        s->order[o].authorization[i] =
            proof_is_shown(s->order[o].names[i], o, i) ? A_VALID : A_INVALID;
    unsigned at = s->order[o].authorization[i];
    return answer(
        a, 200,
        "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},\"challenges\":["
        "{\"type\":\"http-01\",\"url\":\"https://%s/chal/%zu-%zu\",\"token\":\"token-%zu-%zu\","
        "\"status\":\"%s\"%s},{\"type\":\"future-01\",\"url\":\"https://%s/x\",\"status\":"
        "\"pending\"}]}",
        status[at], s->order[o].names[i], host, o, i, o, i, challenge[at],
        at == A_INVALID ? ",\"error\":{\"type\":\"urn:ietf:params:acme:error:unauthorized\","
                          "\"detail\":\"no such answer\"}"
                        : "",
        host);
}

static bool order_place(struct http_answer *a, int host_number, const char *host,
                        const json_t *payload) {
    size_t o = s->order_count++, i;
    json_t *one;
    assert_true(o < ORDERS);
    s->placed[host_number]++;
    s->order[o].host = host_number;
    json_array_foreach(json_object_get(payload, "identifiers"), i, one) {
        snprintf(s->order[o].names[s->order[o].name_count++], 64, "%s",
                 json_string_value(json_object_get(one, "value")));
    }
    if (*s->wants)
        strcpy(s->order[o].names[s->order[o].name_count - 1], s->wants);
    order_show(a, host, o);
    a->status = 201;
    return true;
}

static bool injected(struct http_answer *a, int host, const char *where) {
    for (size_t i = 0; i < 4; i++)
        if (s->inject[i].times && s->inject[i].host == host && !strcmp(s->inject[i].where, where)) {
            s->inject[i].times--;
            answer_problem(a, s->inject[i].status, s->inject[i].type);
            a->retry_after = s->inject[i].retry_after;
            return true;
        }
    return false;
}

static bool post_answer(struct http_answer *a, int host_number, const char *host, const char *where,
                        const char *rest, const json_t *payload) {
    size_t o = 0, i = 0;
    sscanf(rest, "%zu-%zu", &o, &i);
    if (!strcmp(where, "acct")) {
        answer(a, s->accounts[host_number] ? 200 : 201, "{\"status\":\"valid\"}");
        s->accounts[host_number]++;
        snprintf(a->location, sizeof a->location, "https://%s/account/1", host);
        return true;
    }
    if (!strcmp(where, "neworder"))
        return order_place(a, host_number, host, payload);
    if (o >= s->order_count || s->order[o].host != host_number)
        return answer_problem(a, 404, "malformed");
    if (!strcmp(where, "order"))
        return order_show(a, host, o);
    if (!strcmp(where, "authz"))
        return authorization_show(a, host, o, i);
    if (!strcmp(where, "chal")) {
        if (s->order[o].authorization[i] != A_PENDING)
            return answer_problem(a, 400, "malformed");
        s->order[o].authorization[i] = A_PROCESSING;
        return answer(a, 200, "{\"status\":\"processing\"}");
    }
    if (!strcmp(where, "fin")) {
        order_settle(o);
        if (s->order[o].status != O_READY)
            return answer_problem(a, 403, "orderNotReady");
        s->finalized[host_number]++;
        if (s->ready_for_ever)
            return answer(a, 200, "{\"status\":\"ready\"}");
        issue(o, json_string_value(json_object_get(payload, "csr")));
        s->order[o].status = O_PROCESSING;
        return answer(a, 200, "{\"status\":\"processing\"}");
    }
    return !strcmp(where, "cert") ? answer(a, 200, "%s", s->order[o].chain)
                                  : answer_problem(a, 404, "malformed");
}

static bool exchange(const char *method, const char *url, const char *body, struct http_answer *a,
                     struct err *err) {
    char host[16], where[16] = "", rest[32] = "";
    *a = (struct http_answer){0};
    assert_true(sscanf(url, "https://%15[^/]/%15[^/]/%31s", host, where, rest) >= 2);
    int number = host[2] - '1';
    if (number < 0 || number >= HOSTS)
        return err_set(err, "%s: no such host", url);
    if (injected(a, number, where))
        return true;
    if (!strcmp(where, "dir"))
        return answer(a, 200,
                      "{\"newNonce\":\"https://%s/nonce\",\"newAccount\":\"https://%s/acct\","
                      "\"newOrder\":\"https://%s/neworder\"}",
                      host, host, host);
    if (!strcmp(method, "HEAD"))
        return answer(a, 200, "%s", "");
    json_t *jws = json_loads(body, 0, NULL), *header = part(jws, "protected"),
           *payload = part(jws, "payload");
    s->posts++;
    const char *wrong = request_judge(jws, header, url, host, !strcmp(where, "acct"));
    bool good =
        wrong ? answer_problem(a, 400, wrong) : post_answer(a, number, host, where, rest, payload);
    json_decref(jws);
    json_decref(header);
    json_decref(payload);
    return good;
}

bool http_exchange(struct http *h, const char *method, const char *url, const char *body,
                   struct http_answer *a, struct err *err) {
    (void)h;
    point();
    if (gone(err)) {
        *a = (struct http_answer){0};
        return false;
    }
    bool good = exchange(method, url, body, a, err);
    point();
    return good;
}

void http_answer_fini(struct http_answer *a) {
    free(a->body);
    *a = (struct http_answer){0};
}

/* ---- one order ---- */

static char folder[64];
static const char *const names[] = {"a.example.com", "b.example.com"};
static char *challenges[] = {(char *)"http-01"};
static char *directories[] = {(char *)"https://ca1/dir", (char *)"https://ca2/dir"};
static struct acme_conf conf = {.directory = {1, directories},
                                .challenges = {1, challenges},
                                .rsa_bits = 2048,
                                .account_key = 1,
                                .names_per_certificate = 100};
static struct client client[HOSTS];

static int begin(void **state) {
    struct err err;
    (void)state;
    memset(s, 0, sizeof *s);
    snprintf(folder, sizeof folder, "/tmp/acme-order-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_true(bank_open(folder, &err));
    conf.directory.count = 1;
    accounts_init(&conf);
    memset(client, 0, sizeof client);
    for (size_t i = 0; i < HOSTS; i++)
        client[i].url = directories[i];
    return 0;
}

static int end(void **state) {
    char command[128];
    (void)state;
    bank_close();
    accounts_fini();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct order_result run_it(unsigned failures) {
    const struct order_job job = {.id = "0123456789abcdef0123456789abcdef",
                                  .tenant = "acme",
                                  .name = names,
                                  .name_count = 2,
                                  .number = 1,
                                  .failures = failures,
                                  .replaces = "",
                                  .replaces_directory = "",
                                  .conf = &conf,
                                  .client = client};
    struct order_result result;
    order_run(&job, &result);
    return result;
}

static void is_done(const struct order_result *r) {
    struct err err;
    struct paper p;
    if (r->end != ORDER_DONE)
        print_message("end %d: %s: %s\n", r->end, r->problem.type, r->problem.detail);
    assert_int_equal(r->end, ORDER_DONE);
    char *chain = bank_read("0123456789abcdef0123456789abcdef-1.pem", &err),
         *pem = bank_read("0123456789abcdef0123456789abcdef-1.key", &err);
    struct key *k = key_read(pem, &err);
    assert_true(chain_judge(chain, k, names, 2, time(NULL), &p, &err));
    key_free(k);
    free(chain);
    free(pem);
}

static bool nothing_is_shown(void) {
    for (size_t i = 0; i < SHOWN; i++)
        if (*s->shown[i].answer)
            return false;
    return true;
}

static void an_order_ends_with_a_chain_and_its_key_on_disk(void **state) {
    (void)state;
    struct order_result r = run_it(0);
    is_done(&r);
    assert_string_equal(r.paper.issuer, "a CA of the tests");
    assert_int_equal(s->placed[0], 1);
    assert_int_equal(s->finalized[0], 1);
    assert_true(nothing_is_shown());
}

/* In a child up to the crash, then in another with what is left, until one comes through. */
static void a_crash_at_any_point_is_gone_on_from(void **state) {
    unsigned crashes = 0;
    for (int at = 1;; at++) {
        end(state);
        begin(state);
        s->crash_in = at;
        int status = 0;
        for (unsigned life = 0; life < 2; life++) {
            pid_t child = fork();
            if (child == 0) {
                struct order_result r = run_it(0);
                _exit(r.end == ORDER_DONE ? 0 : 1);
            }
            waitpid(child, &status, 0);
            assert_true(WIFEXITED(status));
            memset(s->shown, 0, sizeof s->shown);
            if (WEXITSTATUS(status) != CRASHED)
                break;
            crashes++;
        }
        if (WEXITSTATUS(status))
            fail_msg("crashed at point %d, then failed", at);
        assert_in_range(s->placed[0], 1, 2); /* twice only when it crashed before it knew the URL */
        assert_int_equal(s->finalized[0], 1);
        if (s->crash_in)
            break; /* it came through before */
    }
    print_message("crashed at each of %u points\n", crashes);
    assert_true(crashes > 40);
}

/* It ends at some point, is started, ends before it could read its rows, and is started again. */
static void an_end_at_any_point_throws_nothing_away(void **state) {
    unsigned ends = 0;
    for (bool done = false; !done; ends++) {
        end(state);
        begin(state);
        s->ends_in = (int)ends + 1;
        struct order_result r = run_it(0);
        done = r.end == ORDER_DONE;
        for (int life = 0; !done && life < 2; life++) {
            if (r.end != ORDER_ENDS)
                fail_msg("ended at point %u: %d: %s", ends + 1, r.end, r.problem.detail);
            memset(s->shown, 0, sizeof s->shown);
            s->ends = false;
            s->ends_in = life == 0;
            accounts_fini();
            accounts_init(&conf);
            r = run_it(0);
        }
        is_done(&r);
        assert_in_range(s->placed[0], 1, 2); /* twice only when it ended before it knew the URL */
        assert_int_equal(s->finalized[0], 1);
    }
    assert_true(ends > 40);
}

static void inject(int host, const char *where, int status, const char *type, int times) {
    size_t i = 0;
    while (s->inject[i].times)
        i++;
    s->inject[i].host = host;
    s->inject[i].times = times;
    s->inject[i].status = status;
    snprintf(s->inject[i].where, sizeof s->inject[i].where, "%s", where);
    snprintf(s->inject[i].type, sizeof s->inject[i].type, "%s", type);
}

static void a_bad_nonce_is_seen_to(void **state) {
    static const char *const where[] = {"acct", "neworder", "authz", "chal",
                                        "fin",  "cert",     "order"};
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        end(state);
        begin(state);
        inject(0, where[i], 400, "badNonce", 5);
        struct order_result r = run_it(0);
        is_done(&r);
    }
}

/* RFC 8555 section 6.7: every type it knows, wherever it may come. */
static void every_problem_is_told_and_leaves_nothing(void **state) {
    static const char *const type[] = {"accountDoesNotExist",
                                       "alreadyRevoked",
                                       "badCSR",
                                       "badPublicKey",
                                       "badRevocationReason",
                                       "badSignatureAlgorithm",
                                       "caa",
                                       "compound",
                                       "connection",
                                       "dns",
                                       "externalAccountRequired",
                                       "incorrectResponse",
                                       "invalidContact",
                                       "malformed",
                                       "rateLimited",
                                       "rejectedIdentifier",
                                       "serverInternal",
                                       "tls",
                                       "unauthorized",
                                       "unsupportedContact",
                                       "unsupportedIdentifier",
                                       "userActionRequired",
                                       "somethingNew"};
    static const char *const where[] = {"neworder", "authz", "chal", "fin", "cert", "order"};
    for (size_t i = 0; i < sizeof type / sizeof *type; i++)
        for (size_t j = 0; j < sizeof where / sizeof *where; j++) {
            end(state);
            begin(state);
            inject(0, where[j], 403, type[i], 1000);
            struct order_result r = run_it(0);
            assert_int_equal(r.end, ORDER_FAILED);
            assert_string_equal(r.problem.type, type[i]);
            assert_true(nothing_is_shown());
            char *row = world_row("acme/order/0123456789abcdef0123456789abcdef");
            assert_null(row);
            assert_false(bank_has("0123456789abcdef0123456789abcdef-1.key"));
        }
}

static void a_second_directory_takes_over_when_the_first_refuses(void **state) {
    static const char *const where[] = {"dir", "acct", "neworder", "fin", "order"};
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        end(state);
        begin(state);
        conf.directory.count = 2;
        inject(0, where[i], 503, "serverInternal", 1000);
        struct order_result r = run_it(0);
        is_done(&r);
        assert_int_equal(r.directory, 1);
        assert_int_equal(s->finalized[1], 1);
    }
}

static void a_failed_proof_is_no_reason_to_ask_another(void **state) {
    (void)state;
    conf.directory.count = 2;
    inject(0, "chal", 403, "unauthorized", 1000);
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    assert_false(r.by_authority);
    assert_int_equal(s->placed[1], 0);
    r = run_it(2); /* but after two failures it is */
    is_done(&r);
    assert_int_equal(r.directory, 1);
}

static void rate_limits_are_respected(void **state) {
    (void)state;
    inject(0, "neworder", 429, "rateLimited", 1);
    s->inject[0].retry_after = 86400;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    assert_true(r.not_before >= world_now() + 86000);
}

static void a_directory_that_names_no_time_does_not_wait_for_one_that_does(void **state) {
    (void)state;
    conf.directory.count = 2;
    inject(0, "neworder", 429, "rateLimited", 1);
    s->inject[0].retry_after = 7 * 86400;
    inject(1, "neworder", 500, "serverInternal", 1);
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    assert_int_equal(r.not_before, 0); /* as the schedule says */
    s->may_order_not[1] = true;        /* the second is closed for a week, the first fails */
    s->may_order_in = 7 * 86400;
    inject(0, "neworder", 500, "serverInternal", 1);
    s->inject[0].retry_after = 0;
    r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_true(r.not_before > world_now() && r.not_before <= world_now() + 3600);
}

static void an_order_under_way_is_not_left_for_a_month(void **state) {
    (void)state;
    s->patience = 30 * 86400;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_true(r.not_before > world_now() && r.not_before <= world_now() + 6 * 3600);
    r = run_it(0);
    is_done(&r);
    assert_int_equal(s->placed[0], 1);
}

static void an_authority_that_stays_ready_is_not_hurried(void **state) {
    (void)state;
    s->ready_for_ever = true;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_true(r.not_before > world_now());
    assert_in_range(s->finalized[0], 2, 90); /* in a minute and a half */
    s->ready_for_ever = false;
    r = run_it(0);
    is_done(&r);
    assert_int_equal(s->placed[0], 1);
}

static void our_own_limit_is_no_failure(void **state) {
    (void)state;
    s->may_order_not[0] = true;
    s->may_order_in = 100;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_true(r.not_before > world_now());
    assert_int_equal(s->placed[0], 0);
}

static void what_caa_forbids_is_not_ordered(void **state) {
    (void)state;
    conf.caa = true;
    s->caa = CAA_FORBIDDEN;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    assert_string_equal(r.problem.type, "caa");
    s->caa = CAA_UNDECIDED;
    r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_true(r.not_before > world_now());
    assert_int_equal(s->placed[0], 0);
    s->caa = CAA_ALLOWED;
    r = run_it(0);
    is_done(&r);
    conf.caa = false;
}

static void a_name_that_went_elsewhere_is_not_ordered(void **state) {
    (void)state;
    conf.directory.count = 2;
    s->look = LOOK_NO;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    assert_false(r.by_authority);
    assert_string_equal(r.problem.detail, "DNS of b.example.com does not point here any more");
    s->look = LOOK_UNKNOWN;
    r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_true(r.not_before > world_now());
    s->look_waits = true;
    r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_int_equal(s->placed[0] + s->placed[1], 0);
    s->look_waits = false;
    s->look = LOOK_YES;
    r = run_it(0);
    is_done(&r);
}

static void a_lost_account_is_made_again(void **state) {
    (void)state;
    inject(0, "neworder", 400, "accountDoesNotExist", 1);
    struct order_result r = run_it(0);
    is_done(&r);
    assert_int_equal(s->accounts[0], 2);
}

static void an_order_that_is_gone_there_is_begun_anew(void **state) {
    (void)state;
    struct order_result r;
    s->crash_in = 30;
    pid_t child = fork();
    if (child == 0) {
        run_it(0);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), CRASHED);
    s->order_count = 0; /* the authority has forgotten everything */
    memset(s->order, 0, sizeof s->order);
    r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    r = run_it(1);
    is_done(&r);
}

static void nothing_is_proved_that_was_not_ordered(void **state) {
    (void)state;
    strcpy(s->wants, "of.somebody.else.example");
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_FAILED);
    assert_non_null(strstr(r.problem.detail, "of.somebody.else.example"));
    for (size_t i = 0; i < SHOWN; i++)
        assert_string_not_equal(s->shown[i].name, s->wants);
    assert_true(nothing_is_shown());
}

static void a_wildcard_needs_dns_01_and_a_zone(void **state) {
    (void)state;
    const char *why;
    assert_null(challenge_choose(&conf, "example.com", true, 0, &why));
    assert_non_null(strstr(why, "dns-01"));
    assert_string_equal(challenge_choose(&conf, "example.com", false, 5, &why), "http-01");
}

/* A thousand that must wait anyway cost the DNS nothing. */
static void our_own_limit_is_looked_at_before_the_dns_is_asked(void **state) {
    (void)state;
    s->may_order_not[0] = true;
    s->may_order_in = 100;
    struct order_result r = run_it(0);
    assert_int_equal(r.end, ORDER_LATER);
    assert_string_equal(r.explanation, "our own limit of orders");
    assert_int_equal(s->looked, 0);
    assert_int_equal(s->counted[0], 0);
    s->may_order_not[0] = false;
    r = run_it(0);
    is_done(&r);
    assert_int_equal(s->counted[0], 1); /* asked twice, counted once */
    assert_true(s->looked > 0);
}

/* Its directory is not in the file any more, or it is a week old: what it shows goes with it. */
static void an_order_that_is_given_up_takes_back_what_it_showed(void **state) {
    static const char key[] = "acme/order/0123456789abcdef0123456789abcdef";
    struct err err;
    (void)state;
    assert_true(world_show_http("old.example.com", "token-9", "answer", &err));
    assert_true(world_show_dns("old.example.com", "DIGEST", true, &err));
    assert_true(world_rows_save(
        key,
        "{\"step\":\"proving\",\"directory\":\"https://gone/dir\",\"url\":"
        "\"https://gone/order/1\",\"since\":1,\"number\":1,\"proofs\":[[\"http-01\","
        "\"old.example.com\",\"token-9\",\"https://gone/chal/1\",\"\"],[\"dns-01\","
        "\"old.example.com\",\"token-8\",\"https://gone/chal/2\",\"DIGEST\"]]}",
        NULL, NULL, &err));
    struct order_result r = run_it(0);
    is_done(&r);
    assert_true(nothing_is_shown());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_order_ends_with_a_chain_and_its_key_on_disk, begin, end),
        cmocka_unit_test_setup_teardown(a_crash_at_any_point_is_gone_on_from, begin, end),
        cmocka_unit_test_setup_teardown(an_end_at_any_point_throws_nothing_away, begin, end),
        cmocka_unit_test_setup_teardown(a_bad_nonce_is_seen_to, begin, end),
        cmocka_unit_test_setup_teardown(every_problem_is_told_and_leaves_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_second_directory_takes_over_when_the_first_refuses, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_failed_proof_is_no_reason_to_ask_another, begin, end),
        cmocka_unit_test_setup_teardown(rate_limits_are_respected, begin, end),
        cmocka_unit_test_setup_teardown(
            a_directory_that_names_no_time_does_not_wait_for_one_that_does, begin, end),
        cmocka_unit_test_setup_teardown(an_order_under_way_is_not_left_for_a_month, begin, end),
        cmocka_unit_test_setup_teardown(an_authority_that_stays_ready_is_not_hurried, begin, end),
        cmocka_unit_test_setup_teardown(our_own_limit_is_no_failure, begin, end),
        cmocka_unit_test_setup_teardown(what_caa_forbids_is_not_ordered, begin, end),
        cmocka_unit_test_setup_teardown(a_name_that_went_elsewhere_is_not_ordered, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_account_is_made_again, begin, end),
        cmocka_unit_test_setup_teardown(an_order_that_is_gone_there_is_begun_anew, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_proved_that_was_not_ordered, begin, end),
        cmocka_unit_test_setup_teardown(a_wildcard_needs_dns_01_and_a_zone, begin, end),
        cmocka_unit_test_setup_teardown(our_own_limit_is_looked_at_before_the_dns_is_asked, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_order_that_is_given_up_takes_back_what_it_showed, begin,
                                        end),
    };
    struct err err;
    wolfSSL_Init();
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ca_key = key_new(KEY_P256, 0, &err);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    key_free(ca_key);
    wolfSSL_Cleanup();
    return failed;
}
