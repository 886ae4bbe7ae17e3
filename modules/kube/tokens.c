/* SPDX-License-Identifier: GPL-3.0-or-later
 * tokens.c - see tokens.h. One lock over both tables; nothing waits while it is held.
 */
#include "modules/kube/tokens.h"
#include "core/base64.h"
#include "core/control_host.h"
#include "core/map.h"
#include "tenants/time_json.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/hash.h>

enum { SECRET_BYTES = 32, PER_TENANT_MOST = 1000, KEPT_S = 30 * 86400 };
static const char prefix[] = "kube/token/";

struct token {
    char id[TOKEN_ID_LENGTH + 1], tenant[TENANT_NAME_MAX], *uid;
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    int64_t created, expires;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map tokens;  /* id -> struct token */
static struct map tenants; /* name -> UID */

static void token_free(void *value) {
    struct token *t = value;
    if (t)
        free(t->uid);
    free(t);
}

/* ---- words ---- */

static void id_make(char out[TOKEN_ID_LENGTH + 1]) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t bytes[TOKEN_ID_LENGTH];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort(); /* fails never for so few */
    for (size_t i = 0; i < sizeof bytes; i++)
        out[i] = letters[bytes[i] & 31];
    out[TOKEN_ID_LENGTH] = 0;
}

static bool hex_read(const char *text, uint8_t out[WC_SHA256_DIGEST_SIZE]) {
    if (!text || strlen(text) != 2 * WC_SHA256_DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < WC_SHA256_DIGEST_SIZE; i++)
        if (sscanf(text + 2 * i, "%2hhx", &out[i]) != 1)
            return false;
    return true;
}

static bool digests_same(const uint8_t *a, const uint8_t *b) {
    uint8_t differs = 0;
    for (size_t i = 0; i < WC_SHA256_DIGEST_SIZE; i++)
        differs |= a[i] ^ b[i];
    return !differs;
}

/* ---- rows ---- */

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static struct token *token_read(const char *id, const json_t *row) {
    struct token *t = calloc(1, sizeof *t);
    if (!t || strlen(id) != TOKEN_ID_LENGTH || !hex_read(text_of(row, "sha256"), t->digest) ||
        !(t->uid = strdup(text_of(row, "uid")))) {
        free(t);
        return NULL;
    }
    snprintf(t->id, sizeof t->id, "%s", id);
    snprintf(t->tenant, sizeof t->tenant, "%s", text_of(row, "tenant"));
    t->created = json_integer_value(json_object_get(row, "created"));
    t->expires = json_integer_value(json_object_get(row, "expires"));
    return t;
}

static void row_load(void *user, const char *key, const char *value) {
    json_t *row = json_loads(value, 0, NULL);
    struct token *t = row ? token_read(key + sizeof prefix - 1, row) : NULL;
    (void)user;
    json_decref(row);
    if (t && !map_put(&tokens, t->id, t))
        token_free(t);
}

void tokens_open(void) {
    pthread_mutex_lock(&lock);
    control_rows(prefix, row_load, NULL);
    pthread_mutex_unlock(&lock);
}

void tokens_close(void) {
    pthread_mutex_lock(&lock);
    map_clear(&tokens, token_free);
    map_clear(&tenants, free);
    pthread_mutex_unlock(&lock);
}

static void row_put(const struct token *t) {
    char key[sizeof prefix + TOKEN_ID_LENGTH], hex[2 * WC_SHA256_DIGEST_SIZE + 1];
    for (size_t i = 0; i < sizeof t->digest; i++)
        sprintf(hex + 2 * i, "%02x", t->digest[i]);
    snprintf(key, sizeof key, "%s%s", prefix, t->id);
    json_t *row =
        json_pack("{s:s s:s s:s s:I s:I}", "sha256", hex, "tenant", t->tenant, "uid", t->uid,
                  "created", (json_int_t)t->created, "expires", (json_int_t)t->expires);
    char *text = json_dumps(row, JSON_COMPACT);
    control_row_put(key, text);
    free(text);
    json_decref(row);
}

static void row_drop(const char *id) {
    char key[sizeof prefix + TOKEN_ID_LENGTH];
    snprintf(key, sizeof key, "%s%s", prefix, id);
    control_row_put(key, NULL);
}

/* ---- tenants ---- */

void tokens_tenant(const char *name, const char *uid) {
    char *copy = uid ? strdup(uid) : NULL;
    pthread_mutex_lock(&lock);
    free(map_remove(&tenants, name));
    if (copy && !map_put(&tenants, name, copy))
        free(copy);
    pthread_mutex_unlock(&lock);
}

/* ---- making, listing, revoking ---- */

static bool is_of(const struct token *t, const char *tenant) {
    const char *uid = map_get(&tenants, tenant);
    return uid && !strcmp(t->tenant, tenant) && !strcmp(t->uid, uid);
}

static size_t tokens_of(const char *tenant, const char *id, struct token **out, size_t room) {
    size_t count = 0;
    for (size_t i = 0; i < tokens.room; i++) {
        struct token *t = tokens.slot[i].value;
        if (!tokens.slot[i].key || !is_of(t, tenant) || (id && strcmp(id, t->id)))
            continue;
        if (count < room)
            out[count] = t;
        count++;
    }
    return count;
}

static struct token *token_new(const char *tenant, char text[TOKEN_TEXT_MAX]) {
    uint8_t secret[SECRET_BYTES];
    char letters[BASE64URL_ROOM(SECRET_BYTES)];
    struct token *t = calloc(1, sizeof *t);
    const char *uid = map_get(&tenants, tenant);
    if (!t || !uid || !(t->uid = strdup(uid)) ||
        getrandom(secret, sizeof secret, 0) != sizeof secret) {
        token_free(t);
        return NULL;
    }
    id_make(t->id);
    snprintf(t->tenant, sizeof t->tenant, "%s", tenant);
    base64url_print(secret, sizeof secret, letters);
    snprintf(text, TOKEN_TEXT_MAX, "rk.%s.%s", t->id, letters);
    bool good = !wc_Sha256Hash((const uint8_t *)letters, TOKEN_SECRET_LENGTH, t->digest);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(letters, sizeof letters);
    if (good)
        return t;
    token_free(t);
    return NULL;
}

bool token_make(const char *tenant, int64_t ttl_s, int64_t now, char text[TOKEN_TEXT_MAX],
                struct err *err) {
    pthread_mutex_lock(&lock);
    bool there = map_get(&tenants, tenant);
    bool full = there && tokens_of(tenant, NULL, NULL, 0) >= PER_TENANT_MOST;
    struct token *t = there && !full ? token_new(tenant, text) : NULL;
    if (t) {
        t->created = now;
        t->expires = now + ttl_s;
        row_put(t);
        if (!map_put(&tokens, t->id, t)) {
            token_free(t);
            t = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
    if (!there)
        return err_set(err, "there is no tenant %s", tenant);
    if (full)
        return err_set(err, "tenant %s has %d tokens; revoke some", tenant, PER_TENANT_MOST);
    return t ? control_commit(err) : err_set(err, "out of memory");
}

static int token_order(const void *a, const void *b) {
    const struct token *x = *(struct token *const *)a, *y = *(struct token *const *)b;
    return x->created != y->created ? (x->created < y->created ? -1 : 1) : strcmp(x->id, y->id);
}

json_t *tokens_list(const char *tenant, int64_t now) {
    json_t *rows = json_array();
    pthread_mutex_lock(&lock);
    struct token **list = calloc(tokens.count + 1, sizeof *list);
    size_t count = list ? tokens_of(tenant, NULL, list, tokens.count) : 0;
    if (count)
        qsort(list, count, sizeof *list, token_order);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows,
                              json_pack("{s:s s:s s:o s:o s:s}", "id", list[i]->id, "tenant",
                                        list[i]->tenant, "created", time_json(list[i]->created),
                                        "expires", time_json(list[i]->expires), "state",
                                        list[i]->expires > now ? "good" : "expired"));
    pthread_mutex_unlock(&lock);
    free(list);
    return rows;
}

bool tokens_revoke(const char *tenant, const char *id, size_t *ret_count, struct err *err) {
    pthread_mutex_lock(&lock);
    struct token **list = calloc(tokens.count + 1, sizeof *list);
    size_t count = list ? tokens_of(tenant, strcmp(id, "all") ? id : NULL, list, tokens.count) : 0;
    for (size_t i = 0; i < count; i++) {
        row_drop(list[i]->id);
        map_remove(&tokens, list[i]->id);
        token_free(list[i]);
    }
    pthread_mutex_unlock(&lock);
    free(list);
    *ret_count = count;
    return control_commit(err);
}

/* Also those of tenants that are no more, once they have expired. */
void tokens_tidy(int64_t now) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < tokens.room; i++) {
        struct token *t = tokens.slot[i].key ? tokens.slot[i].value : NULL;
        if (!t || t->expires + KEPT_S > now)
            continue;
        row_drop(t->id);
        map_remove(&tokens, t->id);
        token_free(t);
        break; /* slots have moved; the rest goes with the next call */
    }
    pthread_mutex_unlock(&lock);
}

size_t tokens_count(void) {
    pthread_mutex_lock(&lock);
    size_t count = tokens.count;
    pthread_mutex_unlock(&lock);
    return count;
}

/* ---- judging ---- */

bool token_judge(const char *text, size_t length, int64_t now, char tenant[TENANT_NAME_MAX]) {
    static const size_t secret_at = TOKEN_ID_AT + TOKEN_ID_LENGTH + 1;
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    char id[TOKEN_ID_LENGTH + 1] = "";
    if (length != secret_at + TOKEN_SECRET_LENGTH || strncmp(text, "rk.", TOKEN_ID_AT) ||
        text[secret_at - 1] != '.' ||
        wc_Sha256Hash((const uint8_t *)text + secret_at, TOKEN_SECRET_LENGTH, digest))
        return false;
    memcpy(id, text + TOKEN_ID_AT, TOKEN_ID_LENGTH);
    pthread_mutex_lock(&lock);
    const struct token *t = map_get(&tokens, id);
    bool good = t && digests_same(t->digest, digest) && t->expires > now && is_of(t, t->tenant);
    if (good)
        memcpy(tenant, t->tenant, TENANT_NAME_MAX);
    pthread_mutex_unlock(&lock);
    return good;
}

bool token_is_good(const char *id, int64_t now) {
    pthread_mutex_lock(&lock);
    const struct token *t = map_get(&tokens, id);
    bool good = t && t->expires > now && is_of(t, t->tenant);
    pthread_mutex_unlock(&lock);
    return good;
}
