/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_certificates.c - stored certificates over real workers: found under their own tenant only, read when asked for, replaced
 * while they serve, bounded in memory; and an authority's challenges.
 *
 * A test asks as the sni module does, on a worker, and waits until it is told.
 */
#include "core/certificates.h"
#include "core/challenge.h"
#include "core/control.h"
#include "core/identity.h"
#include "core/map.h"
#include "core/process.h"
#include "core/shelf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
/* after the above */
#include <cmocka.h>

enum { WORKERS = 2, CACHE = 8 };

static const char UID[] = "0b8e2f2e-7f0c-4c39-9d26-3f1e8a4f2f10",
                  OTHER[] = "c5a1d2b3-0000-4000-8000-000000000001";
static char folder[] = "/tmp/ringress-certificates-XXXXXX";

/* ---- certificates to store ---- */

static void file_write(const char *path, const void *data, size_t length) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, length, f), length);
    fclose(f);
}

static const char *path_of(const char *id, const char *what) {
    static char path[4][300];
    static unsigned n;
    char *out = path[n++ % 4];
    snprintf(out, sizeof path[0], "%s/%s.%s", folder, id, what);
    return out;
}

static void pem_write(const char *path, const byte *der, int length, int type) {
    byte pem[4096];
    int n = wc_DerToPem(der, (word32)length, pem, sizeof pem, type);
    assert_true(n > 0);
    file_write(path, pem, (size_t)n);
}

/* A key and a certificate signed with itself for `name`, as ID.chain and ID.key. */
static void pair_write(const char *id, const char *name) {
    byte der[2048];
    ecc_key key;
    WC_RNG rng;
    Cert cert;
    assert_int_equal(wc_InitRng(&rng), 0);
    assert_int_equal(wc_ecc_init(&key), 0);
    assert_int_equal(wc_ecc_make_key(&rng, 32, &key), 0);
    assert_int_equal(wc_InitCert(&cert), 0);
    snprintf(cert.subject.commonName, sizeof cert.subject.commonName, "%s", name);
    cert.sigType = CTC_SHA256wECDSA;
    cert.selfSigned = 1;
    assert_true(wc_MakeCert_ex(&cert, der, sizeof der, ECC_TYPE, &key, &rng) > 0);
    int n = wc_SignCert_ex(cert.bodySz, cert.sigType, der, sizeof der, ECC_TYPE, &key, &rng);
    assert_true(n > 0);
    pem_write(path_of(id, "chain"), der, n, CERT_TYPE);
    n = wc_EccKeyToDer(&key, der, sizeof der);
    assert_true(n > 0);
    pem_write(path_of(id, "key"), der, n, ECC_PRIVATEKEY_TYPE);
    wc_ecc_free(&key);
    wc_FreeRng(&rng);
}

static bool put_named(const char *id, const char *uid, const char *const *name, size_t count,
                      int64_t not_after, struct err *err) {
    return certificates_put(&(struct stored_certificate){.id = id,
                                                         .tenant_uid = uid,
                                                         .name = name,
                                                         .name_count = count,
                                                         .chain_file = path_of(id, "chain"),
                                                         .key_file = path_of(id, "key"),
                                                         .not_after = not_after},
                            err);
}

static bool put(const char *id, const char *uid, const char *name) {
    struct err err;
    return put_named(id, uid, &name, 1, time(NULL) + 1000, &err);
}

static void store(const char *id, const char *uid, const char *name) {
    pair_write(id, name);
    assert_true(put(id, uid, name));
}

/* ---- asking, on a worker ---- */

struct asking {
    struct certificate_wait wait;
    const char *uid, *name;
    unsigned worker;
    bool expired_too, drop;
    enum certificate_answer answer;
    const struct identity *identity; /* not followed after */
    bool has_context;
    _Atomic unsigned told;
};

static void told(struct certificate_wait *w) {
    struct asking *a = (struct asking *)w;
    a->told++;
}

static void ask_run(struct worker *w, void *user) {
    struct asking *a = user;
    if (w->id != a->worker)
        return;
    a->wait.ready = told;
    a->answer = certificates_ask(w, a->uid, a->name, a->expired_too, &a->wait, &a->identity);
    if (a->answer == CERTIFICATE_READY) {
        struct identity *identity = (struct identity *)(uintptr_t)a->identity;
        a->has_context = identity_enter(identity, w, NULL);
        identity_leave(identity, w);
    }
    if (a->drop)
        certificates_unask(&a->wait);
}

/* In one turn, so that both wait for the same. */
static void ask_both_run(struct worker *w, void *user) {
    ask_run(w, ((struct asking **)user)[0]);
    ask_run(w, ((struct asking **)user)[1]);
}

/* Until `a` was told or 10 s have passed. */
static void wait_told(struct asking *a, unsigned times) {
    for (int i = 0; i < 2000 && a->told < times; i++) {
        workers_call(ask_run, &(struct asking){.worker = WORKERS}); /* none: only their turns */
        usleep(5000);
    }
    assert_int_equal(a->told, times);
}

static enum certificate_answer ask_on(unsigned worker, const char *uid, const char *name,
                                      const struct identity **ret) {
    struct asking a = {.uid = uid, .name = name, .worker = worker};
    for (unsigned n = 0; n < 10; n++) {
        workers_call(ask_run, &a);
        if (a.answer != CERTIFICATE_WAIT)
            break;
        wait_told(&a, n + 1);
    }
    if (ret)
        *ret = a.identity;
    if (a.answer == CERTIFICATE_READY)
        assert_true(a.has_context);
    return a.answer;
}

static enum certificate_answer ask(const char *uid, const char *name) {
    return ask_on(0, uid, name, NULL);
}

static uint64_t reads(void) {
    return certificate_figures().reads;
}

/* ---- the process ---- */

static int start(void **state) {
    struct err err;
    (void)state;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (!core_start(
            &(struct core_conf){.workers = WORKERS, .tls_min_version = 2, .tls_cache = CACHE},
            &err)) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}

static int stop(void **state) {
    char command[100];
    (void)state;
    core_stop();
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* ---- stories ---- */

static void one_is_read_when_first_asked_for_and_then_never_again(void **state) {
    (void)state;
    store("a", UID, "a.example");
    uint64_t before = reads();
    assert_true(certificates_cover(UID, "a.example"));
    publish_reap();
    assert_int_equal(certificate_figures().read, 0);
    assert_int_equal(ask(UID, "a.example"), CERTIFICATE_READY);
    assert_int_equal(ask_on(1, UID, "a.example", NULL), CERTIFICATE_READY);
    assert_int_equal(ask(UID, "a.example"), CERTIFICATE_READY);
    assert_int_equal(reads(), before + 1);
    assert_int_equal(certificate_figures().read, 1);
}

static void none_is_found_under_another_tenant(void **state) {
    (void)state;
    store("a", UID, "a.example");
    store("b", OTHER, "b.example");
    assert_int_equal(ask(OTHER, "a.example"), CERTIFICATE_NONE);
    assert_int_equal(ask(UID, "b.example"), CERTIFICATE_NONE);
    assert_int_equal(ask("", "a.example"), CERTIFICATE_NONE);
    assert_false(certificates_cover(OTHER, "a.example"));
    assert_int_equal(ask(OTHER, "b.example"), CERTIFICATE_READY);
}

static void the_name_comes_before_the_wildcard_which_covers_one_label(void **state) {
    (void)state;
    const struct identity *exact, *wild;
    store("w", UID, "*.example");
    store("x", UID, "x.example");
    assert_int_equal(ask_on(0, UID, "x.example", &exact), CERTIFICATE_READY);
    assert_int_equal(ask_on(0, UID, "y.example", &wild), CERTIFICATE_READY);
    assert_ptr_not_equal(exact, wild);
    assert_int_equal(ask(UID, "a.y.example"), CERTIFICATE_NONE);
    assert_int_equal(ask(UID, "example"), CERTIFICATE_NONE);
    certificates_drop("x");
    assert_int_equal(ask_on(0, UID, "x.example", &exact), CERTIFICATE_READY);
    assert_ptr_equal(exact, wild);
}

static void all_its_names_are_found_and_go_with_it(void **state) {
    (void)state;
    struct err err;
    const char *const name[] = {"one.example", "two.example", "*.three.example"};
    pair_write("m", "one.example");
    assert_true(put_named("m", UID, name, 3, time(NULL) + 1000, &err));
    assert_int_equal(ask(UID, "one.example"), CERTIFICATE_READY);
    assert_int_equal(ask(UID, "two.example"), CERTIFICATE_READY);
    assert_int_equal(ask(UID, "x.three.example"), CERTIFICATE_READY);
    certificates_drop("m");
    assert_int_equal(ask(UID, "one.example"), CERTIFICATE_NONE);
    assert_int_equal(ask(UID, "x.three.example"), CERTIFICATE_NONE);
    assert_int_equal(certificate_figures().stored, 0);
}

static void a_renewal_serves_at_once_and_a_bad_one_never(void **state) {
    (void)state;
    const struct identity *first, *second, *still;
    store("r", UID, "r.example");
    assert_int_equal(ask_on(0, UID, "r.example", &first), CERTIFICATE_READY);
    pair_write("r", "r.example");
    assert_true(put("r", UID, "r.example"));
    uint64_t before = reads();
    for (unsigned w = 0; w < WORKERS; w++) {
        assert_int_equal(ask_on(w, UID, "r.example", &second), CERTIFICATE_READY);
        assert_ptr_not_equal(first, second);
    }
    assert_int_equal(reads(), before); /* it was read when it was proved */
    pair_write("elsewhere", "r.example");
    assert_int_equal(rename(path_of("elsewhere", "key"), path_of("r", "key")), 0);
    assert_false(put("r", UID, "r.example"));
    assert_int_equal(unlink(path_of("r", "chain")), 0);
    assert_false(put("r", UID, "r.example"));
    assert_int_equal(ask_on(1, UID, "r.example", &still), CERTIFICATE_READY);
    assert_ptr_equal(still, second);
    assert_int_equal(certificate_figures().stored, 1);
}

static void files_that_are_no_good_are_said_to_be_and_not_read_at_every_turn(void **state) {
    (void)state;
    assert_true(put("missing", UID, "missing.example"));
    pair_write("p", "p.example");
    pair_write("q", "q.example");
    assert_int_equal(rename(path_of("q", "key"), path_of("p", "key")), 0);
    assert_true(put("p", UID, "p.example"));
    file_write(path_of("junk", "chain"), "junk", 4);
    file_write(path_of("junk", "key"), "", 0);
    assert_true(put("junk", UID, "junk.example"));
    uint64_t before = reads();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ask(UID, "missing.example"), CERTIFICATE_BAD);
        assert_int_equal(ask(UID, "p.example"), CERTIFICATE_BAD);
        assert_int_equal(ask(UID, "junk.example"), CERTIFICATE_BAD);
    }
    assert_int_equal(reads(), before + 3);
}

static void what_is_wrong_with_one_is_said_in_words(void **state) {
    struct err why;
    (void)state;
    store("good", UID, "good.example");
    assert_true(put("nofile", UID, "nofile.example"));
    pair_write("other", "badkey.example");
    pair_write("badkey", "badkey.example");
    assert_int_equal(rename(path_of("other", "key"), path_of("badkey", "key")), 0);
    assert_true(put("badkey", UID, "badkey.example"));
    uint64_t before = reads();
    assert_int_equal(certificates_look(UID, "good.example", false, &why), CERTIFICATE_READY);
    assert_int_equal(certificates_look(UID, "none.example", false, &why), CERTIFICATE_NONE);
    assert_int_equal(certificates_look(OTHER, "good.example", false, &why), CERTIFICATE_NONE);
    assert_int_equal(certificates_look(UID, "nofile.example", false, &why), CERTIFICATE_BAD);
    assert_non_null(strstr(why.text, "No such file"));
    assert_int_equal(certificates_look(UID, "badkey.example", false, &why), CERTIFICATE_BAD);
    assert_non_null(strstr(why.text, "key is not the certificate's"));
    assert_int_equal(reads(), before); /* looking is not serving */
    assert_int_equal(certificate_figures().read, 0);
    /* Of many at once only what somebody asked for in vain. */
    assert_true(certificates_good("nofile", &why));
    assert_int_equal(ask(UID, "nofile.example"), CERTIFICATE_BAD);
    assert_false(certificates_good("nofile", &why));
    assert_non_null(strstr(why.text, "No such file"));
    pair_write("nofile", "nofile.example");
    assert_true(certificates_good("nofile", &why));
    assert_int_equal(certificate_figures().waiting, 0);
    publish_reap();
    assert_int_equal(identities_count(), 0);
}

static void an_expired_one_is_the_last_resort(void **state) {
    (void)state;
    struct err err;
    const char *name = "old.example";
    pair_write("o", name);
    assert_true(put_named("o", UID, &name, 1, time(NULL) - 1, &err));
    assert_false(certificates_cover(UID, name));
    assert_int_equal(ask(UID, name), CERTIFICATE_NONE);
    struct asking a = {.uid = UID, .name = name, .expired_too = true};
    workers_call(ask_run, &a);
    wait_told(&a, 1);
    workers_call(ask_run, &a);
    assert_int_equal(a.answer, CERTIFICATE_READY);
}

static void of_two_for_a_name_the_one_that_lasts_longer_serves(void **state) {
    (void)state;
    struct err err;
    const struct identity *one, *two, *other;
    const char *name = "t.example", *alone = "u.example";
    const char *const both[] = {"t.example", "u.example"};
    pair_write("short", name);
    pair_write("long", name);
    assert_true(put_named("long", UID, both, 2, time(NULL) + 2000, &err));
    assert_true(put_named("short", UID, &name, 1, time(NULL) + 1000, &err));
    assert_int_equal(ask_on(0, UID, name, &one), CERTIFICATE_READY);
    assert_int_equal(ask_on(0, UID, alone, &two), CERTIFICATE_READY);
    assert_ptr_equal(one, two);
    certificates_drop("long");
    assert_int_equal(ask_on(0, UID, name, &other), CERTIFICATE_READY);
    assert_ptr_not_equal(one, other);
}

static void no_more_than_the_bound_stay_read(void **state) {
    (void)state;
    char id[16], name[32];
    for (unsigned i = 0; i < 3 * CACHE; i++) {
        snprintf(id, sizeof id, "n%u", i);
        snprintf(name, sizeof name, "n%u.example", i);
        store(id, UID, name);
    }
    uint64_t before = reads();
    for (unsigned i = 0; i < 3 * CACHE; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        assert_int_equal(ask(UID, name), CERTIFICATE_READY);
        publish_reap();
    }
    struct certificate_figures f = certificate_figures();
    assert_int_equal(f.read, CACHE);
    assert_int_equal(f.evictions, 2 * CACHE);
    assert_int_equal(reads(), before + 3 * CACHE);
    publish_reap();
    assert_int_equal(identities_count(), CACHE);
    assert_int_equal(ask(UID, "n0.example"), CERTIFICATE_READY); /* read again */
    assert_int_equal(reads(), before + 3 * CACHE + 1);
}

static unsigned owner_of(const char *uid) {
    return hash_bytes(uid, strlen(uid)) % SHELF_OWNERS;
}

static void who_asks_for_many_displaces_his_own(void **state) {
    (void)state;
    char id[16], name[32], other[] = "c5a1d2b3-0000-4000-8000-000000000001";
    while (owner_of(other) == owner_of(UID)) /* one of 256 hashes takes them for one */
        other[sizeof other - 2]++;
    store("quiet", other, "quiet.example");
    assert_int_equal(ask(other, "quiet.example"), CERTIFICATE_READY);
    for (unsigned i = 0; i < 4 * CACHE; i++) {
        snprintf(id, sizeof id, "f%u", i);
        snprintf(name, sizeof name, "f%u.example", i);
        store(id, UID, name);
        assert_int_equal(ask(UID, name), CERTIFICATE_READY);
    }
    uint64_t before = reads();
    assert_int_equal(ask(other, "quiet.example"), CERTIFICATE_READY);
    assert_int_equal(reads(), before);
}

static void an_identity_in_use_outlives_its_place(void **state) {
    (void)state;
    const struct identity *first;
    store("k", UID, "k.example");
    assert_int_equal(ask_on(0, UID, "k.example", &first), CERTIFICATE_READY);
    struct identity *held = (struct identity *)(uintptr_t)first;
    struct worker as_worker_1 = {.id = 1};
    assert_non_null(identity_enter(held, &as_worker_1, NULL)); /* a connection of worker 1 */
    certificates_drop("k");
    for (unsigned i = 0; i < 5; i++)
        publish_reap();
    assert_int_equal(identities_count(), 1);
    identity_leave(held, &as_worker_1);
    publish_reap();
    assert_int_equal(identities_count(), 0);
}

static void one_that_is_dropped_while_it_is_waited_for_is_told(void **state) {
    (void)state;
    store("d", UID, "d.example");
    struct asking a = {.uid = UID, .name = "d.example"};
    workers_call(ask_run, &a);
    certificates_drop("d");
    publish_reap();
    wait_told(&a, 1);
    workers_call(ask_run, &a);
    assert_int_equal(a.answer, CERTIFICATE_NONE);
    publish_reap();
}

static void who_goes_away_is_not_told(void **state) {
    (void)state;
    store("g", UID, "g.example");
    struct asking gone = {.uid = UID, .name = "g.example", .drop = true};
    struct asking stays = {.uid = UID, .name = "g.example"};
    workers_call(ask_both_run, (struct asking *[]){&gone, &stays});
    assert_int_equal(stays.answer, CERTIFICATE_WAIT);
    wait_told(&stays, 1);
    assert_int_equal(gone.told, 0);
}

static void who_waits_when_the_end_comes_leaks_nothing(void **state) {
    (void)state;
    static struct asking a[64]; /* outlives the workers */
    char id[16], name[32];
    for (unsigned i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "e%u", i);
        snprintf(name, sizeof name, "e%u.example", i);
        assert_true(put(id, UID, name));
        a[i] = (struct asking){.uid = UID, .name = name, .worker = i % WORKERS, .drop = true};
        workers_call(ask_run, &a[i]);
    }
}

static void what_cannot_be_stored_is_refused(void **state) {
    (void)state;
    struct err err;
    char long_name[300];
    const char *name = "a.example", *empty = "", *too_long = long_name;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_false(put_named("", UID, &name, 1, 0, &err));
    assert_false(put_named("i", "", &name, 1, 0, &err));
    assert_false(put_named("i", UID, &name, 0, 0, &err));
    assert_false(put_named("i", UID, &empty, 1, 0, &err));
    assert_false(put_named("i", UID, &too_long, 1, 0, &err));
    assert_false(put_named(too_long, UID, &name, 1, 0, &err));
    assert_int_equal(certificate_figures().stored, 0);
    certificates_drop("never was");
}

/* Digits are kept as what they say; what only looks like them must not become another. */
static void ids_and_uids_of_every_form_are_found_again(void **state) {
    (void)state;
    struct err err;
    static const char *const text[] = {
        "0b8e2f2e7f0c4c399d263f1e8a4f2f10",
        "0B8E2F2E7F0C4C399D263F1E8A4F2F10",
        "0b8e2f2e-7f0c-4c39-9d26-3f1e8a4f2f10",
        "0b8e2f2e-7f0c-4c39-9d263-f1e8a4f2f10",
        "0b8e2f2e-7f0c-4c39-9d26-3f1e8a4f2fg0",
        "zzzzzzzz;;;;;;;;????????@@@@@@@@",
        ("\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe"
         "\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe"),
        "00000000000000000000000000000000",
        "r"};
    enum { FORMS = sizeof text / sizeof *text };
    for (unsigned i = 0; i < FORMS; i++)
        assert_true(put(text[i], text[i], "f.example"));
    assert_int_equal(certificate_figures().stored, FORMS);
    for (unsigned i = 0; i < FORMS; i++) {
        assert_int_equal(certificates_look(text[i], "f.example", false, &err), CERTIFICATE_BAD);
        assert_non_null(strstr(err.text, text[i]));
        certificates_drop(text[i]);
        assert_int_equal(certificates_look(text[i], "f.example", false, &err), CERTIFICATE_NONE);
        assert_int_equal(certificate_figures().stored, FORMS - 1 - i);
    }
}

/* As the acme module stores them: one tenant each, an id like a UID, a file name that begins with it. */
static void a_hundred_thousand_that_nobody_asks_for_cost_140_bytes_each(void **state) {
    (void)state;
    enum { MANY = 100000 };
    struct err err;
    char id[40], uid[40], name[64], chain[300], key[300];
    const char *const one = name;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "%08x-58cc-4372-a567-0e02b2c3d479", i * 2654435761u);
        snprintf(uid, sizeof uid, "%08x-0000-4000-8000-000000000000", i);
        snprintf(name, sizeof name, "www.customer-%u.example.com", i);
        snprintf(chain, sizeof chain, "/var/lib/ringress/acme/certificates/%s.pem", id);
        snprintf(key, sizeof key, "/var/lib/ringress/acme/certificates/%s.key", id);
        assert_true(certificates_put(&(struct stored_certificate){.id = id,
                                                                  .tenant_uid = uid,
                                                                  .name = &one,
                                                                  .name_count = 1,
                                                                  .chain_file = chain,
                                                                  .key_file = key,
                                                                  .not_after = time(NULL) + 1000},
                                     &err));
    }
    struct certificate_figures f = certificate_figures();
    assert_int_equal(f.stored, MANY);
    print_message("%zu bytes each\n", f.bytes / MANY);
    assert_true(f.bytes <= 140 * (size_t)MANY);
    assert_true(certificates_cover(uid, name));
    assert_int_equal(ask(uid, name),
                     CERTIFICATE_BAD); /* the whole way, to the file that is not there */
}

/* ---- challenges ---- */

static const char *answer(const char *host, const char *token) {
    char path[600];
    int n = snprintf(path, sizeof path, "/.well-known/acme-challenge/%s", token);
    return challenge_http(host, strlen(host), path, (size_t)n);
}

static void a_token_is_answered_for_its_host_until_it_is_forgotten(void **state) {
    (void)state;
    challenge_http_set("a.example", "tok-EN_1", "tok-EN_1.thumb");
    assert_string_equal(answer("a.example", "tok-EN_1"), "tok-EN_1.thumb");
    assert_null(answer("b.example", "tok-EN_1"));
    assert_null(answer("a.example", "tok-EN_2"));
    challenge_http_set("a.example", "tok-EN_1", "again");
    assert_string_equal(answer("a.example", "tok-EN_1"), "again");
    challenge_http_set("a.example", "tok-EN_1", NULL);
    assert_null(answer("a.example", "tok-EN_1"));
    challenge_http_set("a.example", "tok-EN_1", NULL);
}

static void only_what_can_be_a_token_is_taken(void **state) {
    (void)state;
    char too_long[CHALLENGE_TOKEN_MOST + 2], answer_too_long[CHALLENGE_ANSWER_MOST + 2];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = 0;
    memset(answer_too_long, 'a', sizeof answer_too_long - 1);
    answer_too_long[sizeof answer_too_long - 1] = 0;
    const char *const bad[] = {"", "a/b", "a.b", "a b", "..", "a%20", too_long};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        challenge_http_set("a.example", bad[i], "x");
        assert_null(answer("a.example", bad[i]));
    }
    challenge_http_set("a.example", "t", answer_too_long);
    assert_null(answer("a.example", "t"));
    assert_true(challenge_is_path("/.well-known/acme-challenge/t", 29));
    assert_false(challenge_is_path("/.well-known/acme-challenge/", 28));
    assert_false(challenge_is_path("/.well-known/acme-challenge/t/u", 31));
    assert_false(challenge_is_path("/.well-known/acme-challengeX/t", 30));
}

static void thousands_of_challenges_are_all_found_and_all_forgotten(void **state) {
    (void)state;
    char host[32], token[32];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 3000; i++) {
            snprintf(host, sizeof host, "h%u.example", i);
            snprintf(token, sizeof token, "t%u", i);
            challenge_http_set(host, token, token);
        }
        for (unsigned i = 0; i < 3000; i++) {
            snprintf(host, sizeof host, "h%u.example", i);
            snprintf(token, sizeof token, "t%u", i);
            assert_string_equal(answer(host, token), token);
            challenge_http_set(host, token, NULL);
            assert_null(answer(host, token));
        }
        publish_reap();
    }
}

static void an_alpn_identity_is_found_by_its_exact_name_and_freed_when_forgotten(void **state) {
    (void)state;
    struct err err;
    char chain[4096] = "", key[4096] = "";
    pair_write("alpn", "a.example");
    FILE *f = fopen(path_of("alpn", "chain"), "r");
    assert_true(fread(chain, 1, sizeof chain - 1, f) > 0);
    fclose(f);
    f = fopen(path_of("alpn", "key"), "r");
    assert_true(fread(key, 1, sizeof key - 1, f) > 0);
    fclose(f);
    struct identity *identity = identity_new(chain, key, &err);
    assert_non_null(identity);
    challenge_alpn_set("a.example", identity);
    challenge_http_set("a.example", "t", "x");
    assert_ptr_equal(challenge_alpn("a.example", 9), identity);
    assert_null(challenge_alpn("b.a.example", 11));
    assert_null(challenge_alpn("example", 7));
    challenge_alpn_set("a.example", NULL);
    assert_null(challenge_alpn("a.example", 9));
    assert_string_equal(answer("a.example", "t"), "x");
    publish_reap();
    assert_int_equal(identities_count(), 0);
    challenge_alpn_set("c.example", identity_new(chain, key, &err)); /* the end frees it */
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(one_is_read_when_first_asked_for_and_then_never_again),
        STORY(none_is_found_under_another_tenant),
        STORY(the_name_comes_before_the_wildcard_which_covers_one_label),
        STORY(all_its_names_are_found_and_go_with_it),
        STORY(a_renewal_serves_at_once_and_a_bad_one_never),
        STORY(files_that_are_no_good_are_said_to_be_and_not_read_at_every_turn),
        STORY(what_is_wrong_with_one_is_said_in_words),
        STORY(an_expired_one_is_the_last_resort),
        STORY(of_two_for_a_name_the_one_that_lasts_longer_serves),
        STORY(no_more_than_the_bound_stay_read),
        STORY(who_asks_for_many_displaces_his_own),
        STORY(an_identity_in_use_outlives_its_place),
        STORY(one_that_is_dropped_while_it_is_waited_for_is_told),
        STORY(who_goes_away_is_not_told),
        STORY(who_waits_when_the_end_comes_leaks_nothing),
        STORY(what_cannot_be_stored_is_refused),
        STORY(ids_and_uids_of_every_form_are_found_again),
        STORY(a_hundred_thousand_that_nobody_asks_for_cost_140_bytes_each),
        STORY(a_token_is_answered_for_its_host_until_it_is_forgotten),
        STORY(only_what_can_be_a_token_is_taken),
        STORY(thousands_of_challenges_are_all_found_and_all_forgotten),
        STORY(an_alpn_identity_is_found_by_its_exact_name_and_freed_when_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
