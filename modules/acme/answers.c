/* SPDX-License-Identifier: GPL-3.0-or-later
 * answers.c - see answers.h. An order's thread shows them too, but only when its directory has answered; an authority that looks before
 * would be answered by the tenant's pod, and the order be lost.
 *
 *   row acme/order/ID -> its directory's account key -> key authorization of each token -> challenge_*_set
 */
#include "modules/acme/answers.h"
#include "core/challenge.h"
#include "core/control_host.h"
#include "core/module.h"
#include "modules/acme/account.h"
#include "modules/acme/bank.h"
#include "modules/acme/jose.h"
#include "modules/acme/leftovers.h"
#include "modules/acme/paper.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct key *account_key(const char *directory) {
    char hash[17], file[40];
    struct err err;
    directory_hash(directory, hash);
    snprintf(file, sizeof file, "account-%s.key", hash);
    char *pem = bank_read(file, &err);
    struct key *key = pem ? key_read(pem, &err) : NULL;
    if (pem)
        explicit_bzero(pem, strlen(pem));
    free(pem);
    return key;
}

static void alpn_show(const char *name, const char *text) {
    char *chain = NULL, *key = NULL;
    uint8_t digest[32];
    struct err err;
    digest_of(text, digest);
    struct identity *identity = challenge_make(name, digest, &chain, &key, &err)
                                    ? control_identity(chain, key, &err)
                                    : NULL;
    if (identity)
        challenge_alpn_set(name, identity);
    else
        log_write(1, "acme: %s: %s", name, err.text);
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
    free(chain);
}

struct proof { /* as order.c wrote it; text: of a TXT, absent in rows of older builds */
    const char *type, *name, *token, *url, *text;
};

static bool proof_read(const json_t *one, struct proof *ret) {
    json_t *proof = (json_t *)(uintptr_t)one;
    *ret = (struct proof){0};
    if (json_unpack(proof, "[s, s, s, s]", &ret->type, &ret->name, &ret->token, &ret->url))
        return false;
    ret->text = json_string_value(json_array_get(proof, 4));
    return true;
}

/* ---- shown again ---- */

static void proof_show(const struct key *key, const struct proof *p) {
    char *text = key_authorization(key, p->token);
    if (text && !strcmp(p->type, "http-01"))
        challenge_http_set(p->name, p->token, text);
    else if (text && !strcmp(p->type, "tls-alpn-01"))
        alpn_show(p->name, text);
    free(text);
}

static void order_show(void *user, const char *row_key, const char *value) {
    json_t *row = json_loads(value, 0, NULL);
    const json_t *proofs = json_object_get(row, "proofs");
    const char *directory = json_string_value(json_object_get(row, "directory"));
    struct key *key = directory && json_array_size(proofs) ? account_key(directory) : NULL;
    struct proof proof;
    (void)user, (void)row_key;
    for (size_t i = 0; key && i < json_array_size(proofs); i++)
        if (proof_read(json_array_get(proofs, i), &proof))
            proof_show(key, &proof);
    key_free(key);
    json_decref(row);
}

void answers_show_again(void) {
    control_rows("acme/order/", order_show, NULL);
}

/* ---- forgotten ---- */

void answers_forget(const char *row, bool (*keeps)(const void *, const char *name),
                    const void *user) {
    json_t *object = row ? json_loads(row, 0, NULL) : NULL, *one;
    struct proof p;
    size_t i;
    json_array_foreach(json_object_get(object, "proofs"), i, one) {
        if (!proof_read(one, &p))
            continue;
        if (!strcmp(p.type, "http-01"))
            challenge_http_set(p.name, p.token, NULL);
        else if (!strcmp(p.type, "tls-alpn-01") && (!keeps || !keeps(user, p.name)))
            challenge_alpn_set(p.name, NULL);
        else if (!strcmp(p.type, "dns-01") && p.text)
            leftover_add(p.name, p.text);
    }
    json_decref(object);
}

bool answers_any(const char *row) {
    json_t *object = row ? json_loads(row, 0, NULL) : NULL;
    bool any = json_array_size(json_object_get(object, "proofs"));
    json_decref(object);
    return any;
}
