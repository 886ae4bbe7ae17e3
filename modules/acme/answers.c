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
#include "modules/acme/keys.h"
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

static void proof_show(const struct key *key, const json_t *proof) {
    const char *type, *name, *token, *url;
    if (json_unpack((json_t *)(uintptr_t)proof, "[s, s, s, s]", &type, &name, &token, &url))
        return;
    char *text = key_authorization(key, token);
    if (text && !strcmp(type, "http-01"))
        challenge_http_set(name, token, text);
    else if (text && !strcmp(type, "tls-alpn-01"))
        alpn_show(name, text);
    free(text);
}

static void order_show(void *user, const char *row_key, const char *value) {
    json_t *row = json_loads(value, 0, NULL);
    const json_t *proofs = json_object_get(row, "proofs");
    const char *directory = json_string_value(json_object_get(row, "directory"));
    struct key *key = directory && json_array_size(proofs) ? account_key(directory) : NULL;
    (void)user, (void)row_key;
    for (size_t i = 0; key && i < json_array_size(proofs); i++)
        proof_show(key, json_array_get(proofs, i));
    key_free(key);
    json_decref(row);
}

void answers_show_again(void) {
    control_rows("acme/order/", order_show, NULL);
}
