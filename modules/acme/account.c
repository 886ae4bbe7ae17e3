/* SPDX-License-Identifier: GPL-3.0-or-later
 * account.c - one account per directory.
 *
 *   row acme/account/HASH  {"directory", "url", "contact", "kid", "generation"}     file account-HASH.key
 *
 *   key on disk -> newAccount (with the binding, when there is one) -> row
 *   contact changed -> POST account -> row
 *   account_key raised -> HASH.next.key on disk -> keyChange -> moved over HASH.key -> row
 *
 * A crash anywhere is mended by doing the same again: newAccount answers with the account that a key has, and a key change that
 * was done is found out by asking whose account the new key is.
 */
#include "modules/acme/account.h"
#include "core/base64.h"
#include "core/module.h"
#include "modules/acme/bank.h"
#include "modules/acme/schedule.h"
#include "modules/acme/secrets.h"
#include "modules/acme/world.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known {
    pthread_mutex_t lock;
    bool ready;
    char *key_pem;
    char url[URL_MOST];
};

static struct known known[DIRECTORIES_MOST];
static const struct acme_conf *conf;

void accounts_init(const struct acme_conf *c) {
    conf = c;
    for (size_t i = 0; i < DIRECTORIES_MOST; i++)
        known[i] = (struct known){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void accounts_fini(void) {
    for (size_t i = 0; i < DIRECTORIES_MOST; i++) {
        if (known[i].key_pem)
            explicit_bzero(known[i].key_pem, strlen(known[i].key_pem));
        free(known[i].key_pem);
        known[i].key_pem = NULL;
    }
}

void directory_hash(const char *url, char out[17]) {
    uint8_t digest[32];
    digest_of(url, digest);
    for (int i = 0; i < 8; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
}

static const char *directory_url(size_t i) {
    return ((char **)conf->directory.item)[i];
}

static bool told(struct problem *p, const char *why) {
    *p = (struct problem){0};
    snprintf(p->detail, sizeof p->detail, "%s", why);
    return false;
}

/* ---- what is kept ---- */

static void names_of(size_t directory, char row[64], char file[64], char next[64]) {
    char hash[17];
    directory_hash(directory_url(directory), hash);
    snprintf(row, 64, "acme/account/%s", hash);
    snprintf(file, 64, "account-%s.key", hash);
    snprintf(next, 64, "account-%s.next.key", hash);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static json_t *row_load(size_t directory) {
    char row[64], file[64], next[64];
    names_of(directory, row, file, next);
    char *text = world_row(row);
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return object ? object : json_object();
}

static bool row_save(size_t directory, json_t *object, struct problem *p) {
    char row[64], file[64], next[64];
    struct err err;
    names_of(directory, row, file, next);
    char *text = json_dumps(object, JSON_COMPACT);
    bool good = text && world_rows_save(row, text, NULL, NULL, &err);
    if (!good)
        told(p, text ? err.text : "out of memory");
    free(text);
    return good;
}

/* The key in that file, made and written when it is not there. One that can't be read is never written over: an account hangs on it. */
static struct key *key_load(const char *file, struct problem *p) {
    struct err err;
    bool there = bank_has(file);
    char *pem = there ? bank_read(file, &err) : NULL;
    struct key *key = pem ? key_read(pem, &err) : there ? NULL : key_new(KEY_P256, 0, &err);
    if (key && !pem) {
        pem = key_pem(key);
        if (!pem || !bank_write(file, pem, &err)) {
            key_free(key);
            key = NULL;
        }
    }
    if (pem)
        explicit_bzero(pem, strlen(pem));
    free(pem);
    if (!key)
        told(p, err.text);
    return key;
}

/* ---- making it ---- */

static const struct acme_binding *binding_of(size_t directory) {
    const struct acme_binding *list = conf->eab.item;
    for (size_t i = 0; i < conf->eab.count; i++)
        if (list[i].directory ? !strcmp(list[i].directory, directory_url(directory))
                              : directory == 0)
            return &list[i];
    return NULL;
}

/* The key as the authority wrote it: base64url in a file, a line end after it or not. */
static json_t *binding_make(const struct acme_binding *b, const struct key *key, const char *url,
                            struct problem *p) {
    char text[SECRET_MOST] = "";
    struct err err;
    if (!secret_line(b->hmac_key_file, text, &err)) {
        *text = 0;
        snprintf(p->detail, sizeof p->detail, "eab: %.480s", err.text);
    }
    text[strcspn(text, " \t=")] = 0;
    uint8_t *hmac;
    size_t length;
    json_t *binding = NULL;
    if (*text && base64url_decode(text, &hmac, &length)) {
        binding = jws_binding(key, b->kid, hmac, length, url);
        explicit_bzero(hmac, length);
        free(hmac);
    } else if (*text) {
        snprintf(p->detail, sizeof p->detail, "eab: %s does not hold base64url", b->hmac_key_file);
    }
    explicit_bzero(text, sizeof text);
    return binding;
}

static json_t *contact_make(void) {
    return conf->email ? json_pack("[o]", json_sprintf("mailto:%s", conf->email)) : json_array();
}

static char *registration(size_t directory, struct client *c, const struct key *key,
                          bool only_existing, struct problem *p) {
    const struct acme_binding *binding = binding_of(directory);
    json_t *body = json_pack("{s:b s:o}", "termsOfServiceAgreed", 1, "contact", contact_make());
    *p = (struct problem){0};
    if (only_existing)
        json_object_set_new(body, "onlyReturnExisting", json_true());
    if (binding && !only_existing)
        json_object_set_new(body, "externalAccountBinding",
                            binding_make(binding, key, c->directory.new_account, p));
    else if (c->directory.binding_required && !only_existing)
        snprintf(p->detail, sizeof p->detail,
                 "the directory wants the account bound to one of its own: set acme.eab");
    char *text = *p->detail ? NULL : json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

/* The account's URL, new or not. */
static bool registered(size_t directory, struct client *c, const struct key *key,
                       bool only_existing, char url[URL_MOST], struct problem *p) {
    struct http_answer a;
    char *body = registration(directory, c, key, only_existing, p);
    bool good = body && client_post(c, key, NULL, c->directory.new_account, body, &a, p);
    free(body);
    if (!good)
        return false;
    snprintf(url, URL_MOST, "%s", a.location);
    http_answer_fini(&a);
    return !strncmp(url, "https://", 8) ||
           told(p, "the directory did not say where the account is");
}

static bool contact_update(struct client *c, const struct key *key, const char *url,
                           struct problem *p) {
    struct http_answer a;
    json_t *body = json_pack("{s:o}", "contact", contact_make());
    char *text = json_dumps(body, JSON_COMPACT);
    bool good = text && client_post(c, key, url, url, text, &a, p);
    if (good)
        http_answer_fini(&a);
    free(text);
    json_decref(body);
    return good;
}

/* ---- another key for it ---- */

static bool key_change(struct client *c, const struct key *old, const struct key *fresh,
                       const char *url, struct problem *p) {
    struct http_answer a;
    if (!*c->directory.key_change)
        return told(p, "the directory can't change an account's key");
    char *inner = jws_key_change(old, fresh, url, c->directory.key_change);
    bool good = inner && client_post(c, old, url, c->directory.key_change, inner, &a, p);
    if (good)
        http_answer_fini(&a);
    free(inner);
    return good;
}

/* *key becomes the new one. */
static bool roll_over(size_t directory, struct client *c, struct key **key, const char *url,
                      struct problem *p) {
    char row[64], file[64], next[64], now[URL_MOST];
    struct err err;
    names_of(directory, row, file, next);
    struct key *fresh = key_load(next, p);
    if (!fresh)
        return false;
    bool done = registered(directory, c, fresh, true, now, p) && !strcmp(now, url);
    if ((done || key_change(c, *key, fresh, url, p)) &&
        (bank_move(next, file, &err) || told(p, err.text))) {
        key_free(*key);
        *key = fresh;
        return true;
    }
    key_free(fresh);
    return false;
}

/* ---- all of it ---- */

static bool row_agree(size_t directory, struct client *c, json_t *row, struct key **key,
                      struct problem *p) {
    json_t *contact = contact_make(), *generation = json_integer(conf->account_key);
    const struct acme_binding *binding = binding_of(directory);
    const char *kid = binding ? binding->kid : "";
    char url[URL_MOST];
    bool good = true, changed = false;
    snprintf(url, sizeof url, "%s", text_of(row, "url"));
    if (!*url || strcmp(text_of(row, "kid"), kid)) {
        good = registered(directory, c, *key, false, url, p);
        json_object_set_new(row, "url", json_string(url));
        json_object_set_new(row, "kid", json_string(kid));
        if (!json_object_get(row, "generation"))
            json_object_set(row, "generation", generation);
        changed = true;
    }
    if (good && !json_equal(json_object_get(row, "contact"), contact)) {
        good = (!json_object_get(row, "contact") && changed) || contact_update(c, *key, url, p);
        changed = true;
    }
    if (good && !json_equal(json_object_get(row, "generation"), generation)) {
        if (!roll_over(directory, c, key, url,
                       p)) { /* the old key is as good until it is replaced */
            log_write(0, "acme: %s: the account's key stays as it is: %s", c->url, p->detail);
            json_decref(generation);
            generation = json_incref(json_object_get(row, "generation"));
        }
        changed = true;
    }
    json_object_set_new(row, "contact", contact);
    json_object_set_new(row, "generation", generation);
    json_object_set_new(row, "directory", json_string(c->url));
    return good && (!changed || row_save(directory, row, p));
}

static bool known_make(size_t directory, struct client *c, struct known *k, struct problem *p) {
    char row_name[64], file[64], next[64];
    names_of(directory, row_name, file, next);
    json_t *row = row_load(directory);
    struct key *key = key_load(file, p);
    bool good = key && row_agree(directory, c, row, &key, p);
    if (good) {
        free(k->key_pem);
        k->key_pem = key_pem(key);
        snprintf(k->url, sizeof k->url, "%s", text_of(row, "url"));
        k->ready = k->key_pem;
    }
    key_free(key);
    json_decref(row);
    return good;
}

bool account_ready(size_t directory, struct client *c, struct acme_account *ret,
                   struct problem *p) {
    struct known *k = &known[directory];
    struct err err;
    pthread_mutex_lock(&k->lock);
    bool good = k->ready || known_make(directory, c, k, p);
    if (good) {
        snprintf(ret->url, sizeof ret->url, "%s", k->url);
        ret->key = key_read(k->key_pem, &err);
        good = ret->key || told(p, err.text);
    }
    pthread_mutex_unlock(&k->lock);
    return good;
}

void account_lost(size_t directory) {
    struct problem ignored;
    struct known *k = &known[directory];
    pthread_mutex_lock(&k->lock);
    json_t *row = row_load(directory);
    json_object_del(row, "url");
    json_object_del(row, "contact");
    row_save(directory, row, &ignored);
    json_decref(row);
    k->ready = false;
    pthread_mutex_unlock(&k->lock);
}
