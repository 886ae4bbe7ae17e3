/* SPDX-License-Identifier: GPL-3.0-or-later
 * world.c - the real world of an order: the clock, and the control thread's rows, answers and limits.
 */
#include "modules/acme/world.h"
#include "core/challenge.h"
#include "core/control_host.h"
#include "core/resolver.h"
#include "modules/acme/calls.h"
#include "modules/acme/crew.h"
#include "modules/acme/jose.h"
#include "modules/acme/keeper.h"
#include "modules/acme/leftovers.h"
#include "modules/acme/limits.h"
#include "modules/acme/paper.h"
#include "modules/acme/secrets.h"
#include "modules/acme/update.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unbound.h>

int64_t world_now(void) {
    return time(NULL);
}

bool world_wait(int64_t ms) {
    return crew_wait(ms);
}

bool world_ends(void) {
    return crew_ends();
}

/* ---- rows ---- */

struct rows {
    const char *key, *value, *also, *also_value;
    char *read;
};

static void row_read(void *user) {
    struct rows *r = user;
    r->read = control_row(r->key);
}

char *world_row(const char *key) {
    struct rows r = {.key = key};
    struct err err;
    return call_control(row_read, &r, false, &err) ? r.read : NULL;
}

static void rows_put(void *user) {
    const struct rows *r = user;
    control_row_put(r->key, r->value);
    if (r->also)
        control_row_put(r->also, r->also_value);
}

bool world_rows_save(const char *key, const char *value, const char *also, const char *also_value,
                     struct err *err) {
    struct rows r = {key, value, also, also_value, NULL};
    return call_control(rows_put, &r, true, err);
}

/* ---- answers ---- */

struct answer {
    const char *name, *token, *text;
    char *chain, *key;
    struct err err;
    bool good;
};

static void http_show(void *user) {
    const struct answer *a = user;
    challenge_http_set(a->name, a->token, a->text);
}

bool world_show_http(const char *name, const char *token, const char *text, struct err *err) {
    struct answer a = {.name = name, .token = token, .text = text};
    return call_control(http_show, &a, false, err);
}

static void alpn_show(void *user) {
    struct answer *a = user;
    struct identity *identity = a->chain ? control_identity(a->chain, a->key, &a->err) : NULL;
    a->good = identity || !a->chain;
    if (a->good)
        challenge_alpn_set(a->name, identity);
}

bool world_show_alpn(const char *name, const char *authorization, struct err *err) {
    struct answer a = {.name = name};
    uint8_t digest[32];
    if (authorization) {
        digest_of(authorization, digest);
        if (!challenge_make(name, digest, &a.chain, &a.key, err))
            return false;
    }
    bool called = call_control(alpn_show, &a, false, err);
    if (called && !a.good)
        *err = a.err;
    if (a.key)
        explicit_bzero(a.key, strlen(a.key));
    free(a.key);
    free(a.chain);
    return called && a.good;
}

/* ---- limits ---- */

struct limited {
    const struct order_wish *wish;
    const char *directory;
    bool take, good;
    int64_t at;
};

static void order_count(void *user) {
    struct limited *l = user;
    l->good = limits_take(l->wish, l->take, world_now(), &l->at);
}

bool world_may_order(const struct order_wish *wish, bool take, int64_t *ret_at) {
    struct limited l = {.wish = wish, .take = take, .at = world_now() + 60};
    struct err err;
    call_control(order_count, &l, false, &err);
    *ret_at = l.at;
    return l.good;
}

static void directory_block(void *user) {
    const struct limited *l = user;
    limits_block(l->directory, l->at);
}

void world_was_limited(const char *directory, int64_t at) {
    struct limited l = {.directory = directory, .at = at};
    struct err err;
    call_control(directory_block, &l, false, &err);
}

/* ---- dns-01 ---- */

enum { CHALLENGE_TTL = 60, CAA_PATIENCE_MS = 5000 };

static bool zone_key_read(const struct acme_zone *zone, struct tsig_key *key, struct err *err) {
    char line[SECRET_MOST];
    bool good = secret_line(zone->key_file, line, err) && tsig_key_parse(line, key, err);
    explicit_bzero(line, sizeof line);
    return good;
}

static bool txt_send(const char *name, const char *text, bool show, struct err *err) {
    const struct acme_zone *zone = conf_zone_of(keeper.conf, name);
    char record[300];
    struct tsig_key key;
    snprintf(record, sizeof record, "_acme-challenge.%s", name);
    struct update update = {.zone = zone ? zone->zone : "",
                            .name = record,
                            .text = text,
                            .ttl = CHALLENGE_TTL,
                            .remove = !show};
    bool good =
        zone ? zone_key_read(zone, &key, err) && update_send(zone->server, &update, &key, err)
             : err_set(err, "no zone of acme.dns_update holds %s", name);
    explicit_bzero(&key, sizeof key);
    if (good && show && zone && zone->wait_ms)
        crew_wait(zone->wait_ms);
    return good;
}

static void left_add(void *user) {
    const struct leftover *l = user;
    pthread_mutex_lock(&keeper.lock);
    leftover_add(l->name, l->text);
    pthread_mutex_unlock(&keeper.lock);
    crew_wake();
}

static void left_forget(void *user) {
    const struct leftover *l = user;
    pthread_mutex_lock(&keeper.lock);
    leftover_forget(l->name, l->text);
    pthread_mutex_unlock(&keeper.lock);
}

bool world_show_dns(const char *name, const char *text, bool show, struct err *err) {
    struct leftover l;
    struct err none;
    snprintf(l.name, sizeof l.name, "%s", name);
    snprintf(l.text, sizeof l.text, "%s", text);
    if (show) /* the same may be wanted again: a directory may give the same token twice */
        call_control(left_forget, &l, false, &none);
    bool good = txt_send(name, text, show, err);
    if (!good && !show)
        call_control(left_add, &l, true, &none);
    return good;
}

/* ---- what was left ---- */

struct tried {
    const struct leftover *left;
    const char *why;
};

static void left_tried(void *user) {
    const struct tried *t = user;
    pthread_mutex_lock(&keeper.lock);
    leftover_tried(t->left, t->why, world_now());
    pthread_mutex_unlock(&keeper.lock);
}

void world_remove_left(const struct leftover *l) {
    struct err err, none;
    struct tried t = {.left = l};
    if (!txt_send(l->name, l->text, false, &err))
        t.why = err.text;
    call_control(left_tried, &t, true, &none);
}

/* ---- where the names point ---- */

enum { LOOK_FRESH = 60, LOOK_STEP_MS = 200, LOOK_STEPS = 150 };

struct looks {
    const char *tenant;
    const char *const *name;
    size_t count, which;
    int64_t since;
    bool ask;
    enum control_look all; /* the worst of them: NO, WAITS, UNKNOWN, YES */
};

static bool look_is_worse(enum control_look a, enum control_look b) {
    static const int badness[] = {
        [LOOK_YES] = 0, [LOOK_UNKNOWN] = 1, [LOOK_WAITS] = 2, [LOOK_NO] = 3};
    return badness[a] > badness[b];
}

static void looks_read(void *user) {
    struct looks *l = user;
    l->all = LOOK_YES;
    for (size_t i = 0; i < l->count; i++) {
        enum control_look look = control_looked(l->tenant, l->name[i], l->since);
        if (look == LOOK_WAITS && l->ask)
            control_recheck(l->tenant, l->name[i]);
        if (look_is_worse(look, l->all)) {
            l->all = look;
            l->which = i;
        }
    }
    l->ask = false;
}

enum control_look world_recheck(const char *tenant, const char *const *name, size_t count,
                                size_t *ret_which) {
    struct looks l = {.tenant = tenant,
                      .name = name,
                      .count = count,
                      .since = world_now() - LOOK_FRESH,
                      .ask = true};
    struct err err;
    for (int step = 0; step < LOOK_STEPS; step++) {
        if (!call_control(looks_read, &l, false, &err))
            l.all = LOOK_WAITS;
        if (l.all != LOOK_WAITS || !crew_wait(LOOK_STEP_MS))
            break;
    }
    *ret_which = l.which;
    return l.all;
}

/* ---- CAA ---- */

static size_t words_split(char *text, const char **word, size_t room) {
    size_t n = 0;
    for (char *at = strtok_r(text, " ", &text); at && n < room; at = strtok_r(NULL, " ", &text))
        word[n++] = at;
    return n;
}

enum caa_verdict world_caa(const char *const *name, const char *const *method, size_t count,
                           const char *issuers, const char *account, char why[CAA_REASON_MAX]) {
    const char *issuer[16];
    char *copy = strdup(issuers);
    struct ub_ctx *ctx = resolver_context();
    struct caa_set *set = calloc(1, sizeof *set);
    enum caa_verdict verdict = copy && ctx && set ? CAA_ALLOWED : CAA_UNDECIDED;
    size_t issuer_count = copy ? words_split(copy, issuer, 16) : 0;
    for (size_t i = 0; verdict == CAA_ALLOWED && i < count; i++) {
        bool wildcard = !strncmp(name[i], "*.", 2);
        if (crew_ends()) {
            verdict = CAA_UNDECIDED;
            break;
        }
        caa_look(ctx, wildcard ? name[i] + 2 : name[i], CAA_PATIENCE_MS, set);
        verdict = caa_judge(set,
                            &(struct caa_wish){.issuer = issuer,
                                               .issuer_count = issuer_count,
                                               .account = account,
                                               .method = method[i] ? method[i] : "",
                                               .wildcard = wildcard},
                            why);
    }
    if (ctx)
        ub_ctx_delete(ctx);
    free(set);
    free(copy);
    return verdict;
}
