/* SPDX-License-Identifier: GPL-3.0-or-later
 * challenge.c - see challenge.h. One index; an HTTP answer is found by "host/token", an identity by its bare name.
 */
#include "core/challenge.h"
#include "core/control.h"
#include "core/index.h"
#include "core/map.h"
#include "core/process.h"
#include "core/retire.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 253, KEY_MOST = NAME_MOST + 1 + CHALLENGE_TOKEN_MOST };

static const char PREFIX[] = "/.well-known/acme-challenge/";
enum { PREFIX_LENGTH = sizeof PREFIX - 1 };

struct challenge {
    struct identity *identity; /* with a reference; or NULL and */
    const char *answer;        /* behind the key */
    size_t length;
    char key[];
};

static bool hash_of(const void *object, unsigned n, uint64_t *ret_hash) {
    const struct challenge *c = object;
    if (n)
        return false;
    *ret_hash = hash_bytes(c->key, c->length);
    return true;
}

static struct index challenges = {.hash_of = hash_of};

static const struct challenge *find(const char *key, size_t length) {
    struct index_walk walk = index_walk(&challenges, hash_bytes(key, length));
    const struct challenge *c;
    while ((c = index_next(&walk)))
        if (c->length == length && !memcmp(c->key, key, length))
            return c;
    return NULL;
}

/* ---- spelling ---- */

static bool token_good(const char *token, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char c = token[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-' && c != '_')
            return false;
    }
    return length > 0 && length <= CHALLENGE_TOKEN_MOST;
}

/* No host has a slash. 0: that can't be a key. */
static size_t key_write(char out[KEY_MOST], const char *host, size_t host_length, const char *token,
                        size_t token_length) {
    if (host_length == 0 || host_length > NAME_MOST || !token_good(token, token_length))
        return 0;
    memcpy(out, host, host_length);
    out[host_length] = '/';
    memcpy(out + host_length + 1, token, token_length);
    return host_length + 1 + token_length;
}

bool challenge_is_path(const char *path, size_t length) {
    return length > PREFIX_LENGTH && !memcmp(path, PREFIX, PREFIX_LENGTH) &&
           token_good(path + PREFIX_LENGTH, length - PREFIX_LENGTH);
}

/* ---- looked up by workers ---- */

const char *challenge_http(const char *host, size_t host_length, const char *path,
                           size_t path_length) {
    char key[KEY_MOST];
    if (path_length <= PREFIX_LENGTH || memcmp(path, PREFIX, PREFIX_LENGTH))
        return NULL;
    size_t length =
        key_write(key, host, host_length, path + PREFIX_LENGTH, path_length - PREFIX_LENGTH);
    const struct challenge *c = length ? find(key, length) : NULL;
    return c ? c->answer : NULL;
}

const struct identity *challenge_alpn(const char *name, size_t length) {
    const struct challenge *c = find(name, length);
    return c ? c->identity : NULL;
}

/* ---- set by the control thread ---- */

static void challenge_free(void *object) {
    struct challenge *c = object;
    identity_unref(c->identity);
    free(c);
}

static struct challenge *challenge_new(const char *key, size_t length, const char *answer,
                                       struct identity *identity) {
    size_t answer_length = answer ? strlen(answer) : 0;
    struct challenge *c = malloc(sizeof *c + length + answer_length + 1);
    if (!c)
        return NULL;
    *c = (struct challenge){.identity = identity, .length = length};
    memcpy(c->key, key, length);
    memcpy(c->key + length, answer ? answer : "", answer_length + 1);
    c->answer = c->key + length;
    return c;
}

/* The new one first, so that there is no moment without any. */
static void challenge_set(const char *key, size_t length, const char *answer,
                          struct identity *identity) {
    struct challenge *old = (struct challenge *)find(key, length), *c = NULL;
    if (answer || identity) {
        c = challenge_new(key, length, answer, identity);
        if (!c || !index_add(&challenges, c)) {
            log_write(0, "challenge %.*s: out of memory", (int)length, key);
            identity_unref(identity);
            free(c);
        }
    }
    if (!old)
        return;
    index_remove(&challenges, old);
    retire(old, challenge_free);
}

void challenges_fini(void) {
    struct challenge *c;
    size_t at = 0;
    while ((c = index_each(&challenges, &at))) {
        index_remove(&challenges, c);
        challenge_free(c);
    }
    index_fini(&challenges);
}

void challenge_http_set(const char *host, const char *token, const char *answer) {
    char key[KEY_MOST];
    size_t length = key_write(key, host, strlen(host), token, strlen(token));
    if (length && (!answer || strlen(answer) <= CHALLENGE_ANSWER_MOST))
        challenge_set(key, length, answer, NULL);
}

void challenge_alpn_set(const char *name, struct identity *taken) {
    challenge_set(name, strlen(name), NULL, taken);
}
