/* SPDX-License-Identifier: GPL-3.0-or-later
 * limits.c - rows acme/bucket/HASH (the account's) and acme/bucket/HASH/DOMAIN: {"used", "at"}.
 */
#include "modules/acme/limits.h"
#include "core/control_host.h"
#include "core/map.h"
#include "modules/acme/account.h"
#include "modules/acme/schedule.h"
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MOST = 320 };
static const char prefix[] = "acme/bucket/";

static const struct acme_conf *conf;
static struct map buckets; /* row's key -> struct allowance */
static struct map blocks;  /* directory -> int64_t * */

const char *registered_domain(const char *name) {
    if (!strncmp(name, "*.", 2))
        name += 2;
    const char *domain = psl_registrable_domain(psl_builtin(), name);
    return domain ? domain : name;
}

static bool is_of_domain(const char *key) {
    return strchr(key + sizeof prefix - 1, '/');
}

static int64_t capacity_of(const char *key) {
    return is_of_domain(key) ? conf->limits.domain : conf->limits.orders;
}

static int64_t window_of(const char *key) {
    return (is_of_domain(key) ? conf->limits.domain_window_ms : conf->limits.orders_window_ms) /
           1000;
}

static struct allowance *bucket_need(const char *key) {
    struct allowance *b = map_get(&buckets, key);
    if (b)
        return b;
    b = calloc(1, sizeof *b);
    if (b && map_put(&buckets, key, b))
        return b;
    free(b);
    return NULL;
}

/* ---- rows ---- */

static void bucket_row(const char *key, const struct allowance *b) {
    char text[128];
    snprintf(text, sizeof text, "{\"used\":%.6f,\"at\":%lld}", b->used, (long long)b->at);
    control_row_put(key, text);
}

static void row_take(void *user, const char *key, const char *value) {
    const int64_t *now = user;
    json_t *row = json_loads(value, 0, NULL);
    struct allowance b = {.used = json_number_value(json_object_get(row, "used")),
                          .at = json_integer_value(json_object_get(row, "at"))};
    json_decref(row);
    if (allowance_is_full(&b, capacity_of(key), window_of(key), *now)) {
        control_row_put(key, NULL);
        return;
    }
    struct allowance *kept = bucket_need(key);
    if (kept)
        *kept = b;
}

void limits_init(const struct acme_conf *c, int64_t now) {
    conf = c;
    control_rows(prefix, row_take, &now);
}

static void values_free(struct map *m) {
    for (size_t i = 0; i < m->room; i++)
        if (m->slot[i].key)
            free(m->slot[i].value);
    map_fini(m);
    *m = (struct map){0};
}

void limits_fini(void) {
    values_free(&buckets);
    values_free(&blocks);
}

/* ---- taking ---- */

static bool one_take(const char *key, int64_t now, struct allowance *ret_old, int64_t *ret_at) {
    struct allowance *b = bucket_need(key);
    if (!b)
        return true; /* no memory: the authority will say */
    *ret_old = *b;
    if (!allowance_take(b, capacity_of(key), window_of(key), now, ret_at))
        return false;
    bucket_row(key, b);
    return true;
}

static void one_return(const char *key, const struct allowance *old) {
    struct allowance *b = bucket_need(key);
    if (b)
        *b = *old;
    if (b)
        bucket_row(key, b);
}

/* The buckets an order takes from: the account's, then each domain's, once. */
static size_t keys_list(const char *directory, const char *const *name, size_t count, bool renewal,
                        char (*key)[KEY_MOST]) {
    char hash[17];
    size_t n = 1;
    directory_hash(directory, hash);
    snprintf(key[0], KEY_MOST, "%s%s", prefix, hash);
    for (size_t i = 0; i < count && !renewal; i++) {
        snprintf(key[n], KEY_MOST, "%s%s/%s", prefix, hash, registered_domain(name[i]));
        size_t j = 1;
        while (j < n && strcmp(key[j], key[n]))
            j++;
        n += j == n;
    }
    return n;
}

bool limits_take(const char *directory, const char *const *name, size_t count, bool renewal,
                 int64_t now, int64_t *ret_at) {
    const int64_t *block = map_get(&blocks, directory);
    if (block && *block > now) {
        *ret_at = *block;
        return false;
    }
    char(*key)[KEY_MOST] = calloc(count + 1, sizeof *key);
    struct allowance *old = calloc(count + 1, sizeof *old);
    size_t n = key && old ? keys_list(directory, name, count, renewal, key) : 0, taken = 0;
    while (taken < n && one_take(key[taken], now, &old[taken], ret_at))
        taken++;
    for (size_t i = 0; taken < n && i < taken; i++)
        one_return(key[i], &old[i]);
    free(key);
    free(old);
    return taken == n;
}

void limits_block(const char *directory, int64_t until) {
    int64_t *block = map_get(&blocks, directory);
    if (!block) {
        block = calloc(1, sizeof *block);
        if (!block || !map_put(&blocks, directory, block)) {
            free(block);
            return;
        }
    }
    if (*block < until)
        *block = until;
}
