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

enum { KEY_MOST = 320, RESERVE = 4 /* a fourth */ };
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

void limits_fini(void) {
    map_clear(&buckets, free);
    map_clear(&blocks, free);
}

/* ---- taking ---- */

static int64_t reserve_of(const char *key, bool renewal) {
    return renewal || is_of_domain(key) ? 0 : capacity_of(key) / RESERVE;
}

/* What the bucket would be afterwards. */
static bool one_could(const char *key, bool renewal, int64_t now, struct allowance *ret,
                      int64_t *ret_at) {
    const struct allowance *b = bucket_need(key);
    if (!b)
        return true; /* no memory: the authority will say */
    *ret = *b;
    return allowance_take(ret, capacity_of(key), reserve_of(key, renewal), window_of(key), now,
                          ret_at);
}

static void one_set(const char *key, const struct allowance *then) {
    struct allowance *b = bucket_need(key);
    if (!b)
        return;
    *b = *then;
    bucket_row(key, b);
}

/* The buckets an order takes from: the account's, then each domain's, once. */
static size_t keys_list(const struct order_wish *w, char (*key)[KEY_MOST]) {
    char hash[17];
    size_t n = 1;
    directory_hash(w->directory, hash);
    snprintf(key[0], KEY_MOST, "%s%s", prefix, hash);
    for (size_t i = 0; i < w->count && !w->renewal; i++) {
        snprintf(key[n], KEY_MOST, "%s%s/%s", prefix, hash, registered_domain(w->name[i]));
        size_t j = 1;
        while (j < n && strcmp(key[j], key[n]))
            j++;
        n += j == n;
    }
    return n;
}

bool limits_take(const struct order_wish *w, bool take, int64_t now, int64_t *ret_at) {
    const int64_t *block = map_get(&blocks, w->directory);
    if (block && *block > now) {
        *ret_at = *block;
        return false;
    }
    char(*key)[KEY_MOST] = calloc(w->count + 1, sizeof *key);
    struct allowance *then = calloc(w->count + 1, sizeof *then);
    size_t n = key && then ? keys_list(w, key) : 0, good = 0;
    while (good < n && one_could(key[good], w->renewal, now, &then[good], ret_at))
        good++;
    for (size_t i = 0; take && good == n && i < n; i++)
        one_set(key[i], &then[i]);
    free(key);
    free(then);
    return good == n;
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
