/* SPDX-License-Identifier: GPL-3.0-or-later
 * keeper.c - entries come and go with the tenants' wishes; see keeper.h.
 *
 *   row acme/cert/ID   {"tenant", "uid", "ingress", "names", "rsa", "number", "notBefore", "notAfter", "issuer", "renewalId",
 *                       "directory", "failures", "attemptAt", "error", "problem", "windowStart", "windowEnd"}
 *
 *   wish -> names that no certificate of the operator's covers -> those one challenge can prove, those none can -> pieces of at most
 *   names_per_certificate -> entries
 */
#include "modules/acme/keeper.h"
#include "core/certificates.h"
#include "core/control_host.h"
#include "core/module.h"
#include "modules/acme/answers.h"
#include "modules/acme/bank.h"
#include "modules/acme/entries.h"
#include "modules/acme/leftovers.h"
#include "modules/acme/limits.h"
#include "modules/acme/rest.h"
#include "modules/acme/turns.h"
#include "modules/acme/world.h"
#include "tenants/compiled.h"
#include <stdlib.h>
#include <string.h>

enum { ORPHANS_AFTER = 300, PLANS_PER_SWEEP = 200, NAMES_BUDGET = NAMES_BYTES - 8 };

struct wish_copy {
    char *ingress, **name, **held; /* held: at risk, kept as they are */
    size_t name_count, held_count;
    bool own, rsa;
};

struct keeper keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- small things ---- */

static bool is_among(char *const *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i], name))
            return true;
    return false;
}

static void entry_id(const char *uid, const char *const *name, size_t count, bool rsa,
                     char out[33]) {
    char *text = NULL;
    size_t length;
    uint8_t digest[32] = {0};
    FILE *all = open_memstream(&text, &length);
    for (size_t i = 0; all && i < count; i++)
        fprintf(all, "%s\n", name[i]);
    if (all) {
        fprintf(all, "%s\n%d", uid, rsa);
        fclose(all);
        digest_of(text, digest);
    }
    free(text);
    for (int i = 0; i < 16; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
}

/* ---- entries, their files and rows ---- */

static void files_remove(const char *id, unsigned number) {
    char key[80], chain[80];
    order_file_names(id, number, key, chain);
    bank_remove(key);
    bank_remove(chain);
}

static void entry_row_name(const char *id, char out[80]) {
    snprintf(out, 80, "acme/cert/%s", id);
}

/* Does another entry of the tenant prove it, perhaps just now? */
static bool is_shared(const void *but, const char *name) {
    const struct entry *self = but;
    for (const struct entry *e = self->tenant->first; e; e = e->next)
        if (e != self && e->wanted && is_among(e->name, e->name_count, name))
            return true;
    return false;
}

/* Its order is not gone on with, and its thread can't take back any more what it has shown. */
static void order_forget(const struct entry *e) {
    char name[80];
    order_row_name(e->id, name);
    char *row = control_row(name);
    answers_forget(row, is_shared, e);
    if (row)
        control_row_put(name, NULL);
    free(row);
}

/* Not served any more, nothing kept of it. */
static void entry_drop(struct entry *e) {
    char row[80];
    e->wanted = false;
    e->gone = true;
    entry_due(e);
    if (e->number)
        certificates_drop(e->id);
    if (e->busy)
        return; /* its thread still reads its files; keeper_finish comes back here */
    entry_row_name(e->id, row);
    control_row_put(row, NULL);
    order_forget(e);
    files_remove(e->id, e->number);
    files_remove(e->id, e->number + 1);
    entry_remove(e);
}

/* ---- rows ---- */

static void row_put(const struct entry *e) {
    char row[80];
    json_t *names = json_array();
    for (size_t i = 0; i < e->name_count; i++)
        json_array_append_new(names, json_string(e->name[i]));
    json_t *value =
        json_pack("{s:s s:s s:s s:o s:b s:i s:I s:I s:s s:s s:s s:i s:I s:s s:s s:I s:I}", "tenant",
                  e->tenant->name, "uid", e->uid, "ingress", e->ingress, "names", names, "rsa",
                  e->rsa, "number", (int)e->number, "notBefore", (json_int_t)e->not_before,
                  "notAfter", (json_int_t)e->not_after, "issuer", text_or_none(e->issuer),
                  "renewalId", text_or_none(e->renewal_id), "directory", text_or_none(e->directory),
                  "failures", (int)e->failures, "attemptAt", (json_int_t)e->attempt_at, "error",
                  text_or_none(e->error), "problem", text_or_none(e->problem), "windowStart",
                  (json_int_t)e->window.start, "windowEnd", (json_int_t)e->window.end);
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    entry_row_name(e->id, row);
    if (text)
        control_row_put(row, text);
    free(text);
    json_decref(value);
}

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *row, const char *key) {
    return json_integer_value(json_object_get(row, key));
}

static struct followed *followed_need(const char *name) {
    struct followed *f = map_get(&keeper.tenants, name);
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    if (f && (f->name = strdup(name)) && map_put(&keeper.tenants, name, f))
        return f;
    if (f)
        free(f->name);
    free(f);
    return NULL;
}

static void entry_fill(struct entry *e, const json_t *row) {
    e->rsa = json_is_true(json_object_get(row, "rsa"));
    e->number = (unsigned)number_of(row, "number");
    e->not_before = number_of(row, "notBefore");
    e->not_after = number_of(row, "notAfter");
    e->failures = (unsigned)number_of(row, "failures");
    e->attempt_at = number_of(row, "attemptAt");
    e->window = (struct window){number_of(row, "windowStart"), number_of(row, "windowEnd")};
    if (e->number) {
        text_swap(&e->issuer, text_of(row, "issuer"));
        text_swap(&e->directory, text_of(row, "directory"));
    }
    text_say(&e->renewal_id, "%s", text_of(row, "renewalId"));
    text_say(&e->error, "%s", text_of(row, "error"));
    text_say(&e->problem, "%s", text_of(row, "problem"));
    e->ari_at = e->number && e->renewal_id ? world_now() : 0;
}

static bool entry_serve(const struct entry *e, unsigned number, int64_t not_after,
                        struct err *err) {
    char key[80], chain[80];
    order_file_names(e->id, number, key, chain);
    char *key_path = bank_path(key), *chain_path = bank_path(chain);
    struct stored_certificate c = {.id = e->id,
                                   .tenant_uid = e->uid,
                                   .name = (const char *const *)e->name,
                                   .name_count = e->name_count,
                                   .chain_file = chain_path,
                                   .key_file = key_path,
                                   .not_after = not_after};
    bool good = key_path && chain_path ? certificates_put(&c, err) : err_set(err, "out of memory");
    free(key_path);
    free(chain_path);
    return good;
}

/* A row of ours is well-formed; one that is not is somebody's who wrote into the store, and is left alone. `f` NULL: whose it says. */
static struct entry *row_entry(struct followed *f, const char *id, const char *value) {
    json_t *row = json_loads(value, 0, NULL);
    const json_t *names = json_object_get(row, "names");
    size_t count = json_array_size(names);
    const char *name[NAMES_MOST];
    bool good = strlen(id) == 32 && count && count <= NAMES_MOST && *text_of(row, "uid");
    for (size_t i = 0; good && i < count; i++)
        good = (name[i] = json_string_value(json_array_get(names, i)));
    if (good && !f)
        f = followed_need(text_of(row, "tenant"));
    struct entry *e =
        good && f ? entry_add(f, id, text_of(row, "uid"), text_of(row, "ingress"), name, count)
                  : NULL;
    if (e)
        entry_fill(e, row);
    json_decref(row);
    return e;
}

struct entry *entry_read(struct followed *f, const char *id) {
    char key[80];
    entry_row_name(id, key);
    char *value = control_row(key);
    struct entry *e = value ? row_entry(f, id, value) : NULL;
    free(value);
    return e;
}

static void row_take(void *user, const char *key, const char *value) {
    const struct map *shown = user;
    struct err err;
    struct entry *e = row_entry(NULL, key + strlen("acme/cert/"), value);
    if (!e)
        return;
    if (e->number && !entry_serve(e, e->number, e->not_after, &err))
        log_write(0, "acme: %s: %s", e->name[0], err.text);
    e->shown = map_get(shown, e->id);
    tenant_rest(e->tenant, keeper.started);
}

/* ---- what is wished for ---- */

static bool by_operator(const char *name) {
    return operator_identity(name, strlen(name));
}

static bool covers(const char *pattern, const char *name) {
    const char *dot = strchr(name, '.');
    return !strcmp(pattern, name) || (!strncmp(pattern, "*.", 2) && dot && dot != name &&
                                      *name != '*' && !strcmp(pattern + 1, dot));
}

static void want(struct followed *f, const struct wish_copy *w, const char *const *name,
                 size_t count, const char *impossible) {
    char id[33];
    struct err err;
    entry_id(f->uid, name, count, w->rsa, id);
    struct entry *e = map_get(&keeper.entries, id);
    struct sleeper *s = e ? NULL : sleeper_of(f, id);
    if (s && !impossible) {
        sleeper_want(s, w->ingress);
        return;
    }
    if (s)
        e = sleeper_wake(f, (size_t)(s - f->sleeper));
    if (s && !e)
        return;
    if (!e && !(e = entry_add(f, id, f->uid, w->ingress, name, count))) {
        log_write(0, "acme: %s: out of memory", name[0]);
        return;
    }
    if (e->gone && e->number && !entry_serve(e, e->number, e->not_after, &err))
        log_write(0, "acme: %s: %s", name[0], err.text);
    e->rsa = w->rsa;
    e->wanted = true;
    e->gone = false; /* it was dropped while a thread had it, and came back meanwhile */
    e->impossible = impossible;
    if (strcmp(e->ingress, w->ingress))
        text_swap(&e->ingress, w->ingress);
    if (!e->attempt_at)
        e->attempt_at = world_now();
    entry_due(e);
}

static int name_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As many entries as an authority's limit asks for. */
static void want_pieces(struct followed *f, const struct wish_copy *w, const char **name,
                        size_t count, const char *impossible) {
    size_t most = (size_t)keeper.conf->names_per_certificate;
    qsort(name, count, sizeof *name, name_compare);
    for (size_t from = 0, n; from < count; from += n) {
        size_t bytes = 0;
        for (n = 0; from + n < count && n < most; n++)
            if ((bytes += strlen(name[from + n]) + 4) > NAMES_BUDGET)
                break;
        want(f, w, name + from, n, impossible);
    }
}

/* The tenant's own domain, by dns-01; else its names are ordered one by one where an entry asks for them. */
static bool own_possible(const struct followed *f, const char **ret_domain) {
    for (size_t i = 0; i < f->wish_count; i++)
        for (size_t j = 0; f->wish[i].own && j < f->wish[i].name_count; j++)
            if (!strncmp(f->wish[i].name[j], "*.", 2)) {
                *ret_domain = f->wish[i].name[j];
                return conf_zone_of(keeper.conf, f->wish[i].name[j] + 2);
            }
    return false;
}

static bool left_out(const struct wish_copy *w, const char *name, const char *own) {
    return by_operator(name) || (own && !w->own && (covers(own, name) || !strcmp(own + 2, name)));
}

static void wish_plan(struct followed *f, const struct wish_copy *w, const char *own) {
    const char **can = calloc(w->name_count + 1, sizeof *can),
               **cannot = calloc(w->name_count + 1, sizeof *cannot), *why = NULL, *reason;
    size_t can_count = 0, cannot_count = 0;
    for (size_t i = 0; can && cannot && i < w->name_count; i++) {
        bool wildcard = !strncmp(w->name[i], "*.", 2);
        if (left_out(w, w->name[i], own))
            continue;
        bool possible = w->own
                            ? own != NULL
                            : challenge_choose(keeper.conf, wildcard ? w->name[i] + 2 : w->name[i],
                                               wildcard, 0, &reason) != NULL;
        if (w->own)
            reason =
                "a tenant's own domain is proved by dns-01: no zone of acme.dns_update holds it";
        if (possible)
            can[can_count++] = w->name[i];
        else
            cannot[cannot_count++] = w->name[i], why = reason;
    }
    if (can && cannot) {
        want_pieces(f, w, can, can_count, NULL);
        want_pieces(f, w, cannot, cannot_count, why);
    }
    free(can);
    free(cannot);
}

/* Also one at risk: it is not ordered, but it routes, and would be missed. */
static bool is_wished(const struct followed *f, const char *name) {
    for (size_t i = 0; i < f->wish_count; i++)
        if (is_among(f->wish[i].name, f->wish[i].name_count, name) ||
            is_among(f->wish[i].held, f->wish[i].held_count, name))
            return true;
    return false;
}

static bool covered_elsewhere(const struct followed *f, const struct entry *but, const char *name) {
    if (by_operator(name))
        return true;
    for (const struct entry *e = f->first; e; e = e->next)
        for (size_t i = 0; e != but && e->wanted && e->number && i < e->name_count; i++)
            if (covers(e->name[i], name))
                return true;
    return false;
}

/* Nobody would miss it. */
static bool is_spare(const struct followed *f, const struct entry *e, int64_t now) {
    if (e->wanted)
        return false;
    if (!e->number || e->not_after <= now || strcmp(e->uid, f->uid))
        return true;
    for (size_t i = 0; i < e->name_count; i++)
        if (is_wished(f, e->name[i]) && !covered_elsewhere(f, e, e->name[i]))
            return false;
    return true;
}

static void spare_drop(struct followed *f, int64_t now) {
    bool some = !sleepers_all_wanted(f);
    for (const struct entry *e = f->first; e && !some; e = e->next)
        some = !e->wanted && !e->gone;
    if (!some)
        return;
    tenant_wake(f); /* whoever covers its names is asked for them */
    for (struct entry *e = f->first, *next; e; e = next) {
        next = e->next;
        if (!e->gone && is_spare(f, e, now))
            entry_drop(e);
    }
}

static void plan(struct followed *f) {
    const char *domain = NULL, *own = own_possible(f, &domain) ? domain : NULL;
    int64_t now = world_now();
    for (struct entry *e = f->first; e; e = e->next)
        e->wanted = false;
    sleepers_unwant(f);
    for (size_t i = 0; i < f->wish_count; i++)
        wish_plan(f, &f->wish[i], own);
    for (struct entry *e = f->first; e; e = e->next)
        entry_due(e);
    spare_drop(f, now);
    tenant_rest(f, now);
}

/* ---- tenants ---- */

static void wish_fini(struct wish_copy *w) {
    free(w->ingress);
    texts_free(w->name, w->name_count);
    texts_free(w->held, w->held_count);
}

static void wishes_free(struct followed *f) {
    for (size_t i = 0; i < f->wish_count; i++)
        wish_fini(&f->wish[i]);
    free(f->wish);
    f->wish = NULL;
    f->wish_count = 0;
}

static void wishes_copy(struct followed *f, const struct tenant *t) {
    wishes_free(f);
    f->wish = calloc(t->wish_count + 1, sizeof *f->wish);
    for (size_t i = 0; f->wish && i < t->wish_count; i++) {
        const struct certificate_wish *from = &t->wish[i];
        struct wish_copy w = {.ingress = strdup(from->ingress),
                              .name = texts_copy(from->name, from->name_count),
                              .name_count = from->name_count,
                              .held = texts_copy(from->held, from->held_count),
                              .held_count = from->held_count,
                              .own = from->entry == WISH_OWN_DOMAIN,
                              .rsa = from->rsa};
        if (w.ingress && w.name && w.held)
            f->wish[f->wish_count++] = w;
        else
            wish_fini(&w);
    }
}

static void followed_free(struct followed *f) {
    wishes_free(f);
    sleepers_free(f);
    free(f->name);
    free(f->uid);
    free(f);
}

/* Not before a thread has given back the last entry. */
static void followed_release(struct followed *f) {
    if (f->known || f->first || f->sleeper_count)
        return;
    map_remove(&keeper.tenants, f->name);
    followed_free(f);
}

/* As entry_drop does, but that nothing of an entry at rest is under way or shown. */
static void sleepers_drop(struct followed *f) {
    char id[33], row[80];
    for (size_t i = 0; i < f->sleeper_count; i++) {
        const struct sleeper *s = &f->sleeper[i];
        sleeper_id(s, id);
        certificates_drop(id);
        entry_row_name(id, row);
        control_row_put(row, NULL);
        order_row_name(id, row);
        control_row_put(row, NULL);
        files_remove(id, s->number);
        files_remove(id, s->number + 1);
    }
    sleepers_free(f);
}

static void tenant_gone(struct followed *f) {
    f->known = false;
    wishes_free(f);
    sleepers_drop(f);
    for (struct entry *e = f->first; e; e = e->next)
        e->wanted = false;
    for (struct entry *e = f->first, *next; e; e = next) {
        next = e->next;
        entry_drop(e);
    }
    followed_release(f);
}

void keeper_follow(const char *name, const struct tenant *now) {
    pthread_mutex_lock(&keeper.lock);
    struct followed *f = now ? followed_need(name) : map_get(&keeper.tenants, name);
    char *uid = now ? strdup(now->uid) : NULL;
    if (f && !now) {
        tenant_gone(f);
    } else if (f && uid) {
        free(f->uid);
        f->uid = uid;
        f->known = true;
        wishes_copy(f, now);
        plan(f);
    } else {
        free(uid);
    }
    pthread_mutex_unlock(&keeper.lock);
}

/* ---- loudly ---- */

static void names_print(const struct entry *e, char *out, size_t room) {
    if (e->name_count == 1)
        snprintf(out, room, "%s", e->name[0]);
    else
        snprintf(out, room, "%s and %u more", e->name[0], e->name_count - 1);
}

static void entry_tell(const struct entry *e, bool warning, const char *reason, const char *text) {
    char object[300], names[300], whole[1200];
    snprintf(object, sizeof object, "Ingress/%s", e->ingress);
    names_print(e, names, sizeof names);
    snprintf(whole, sizeof whole, "%s: %s", names, text);
    control_event(e->tenant->name, object, warning, reason, whole);
    log_write(warning ? 1 : 2, "acme: tenant %s: %s: %s", e->tenant->name, reason, whole);
}

static void alarm_tell(struct entry *e, int64_t now) {
    char object[300], text[900];
    if (!entry_is_late(e, now) || now - e->alarmed_at < SCHEDULE_DAY)
        return;
    e->alarmed_at = now;
    snprintf(object, sizeof object, "Ingress/%s", e->ingress);
    snprintf(text, sizeof text, "the certificate of %s %s in %lld hours and can't be renewed: %s",
             e->name[0], e->not_after <= now ? "expired" : "expires",
             (long long)llabs(e->not_after - now) / 3600, entry_hindrance(e));
    control_event(e->tenant->name, object, true, "CertificateExpiring", text);
    log_write(0, "acme: tenant %s: %s", e->tenant->name, text);
}

/* ---- now and then ---- */

static bool anybody_proves(const void *user, const char *name) {
    (void)user;
    for (size_t i = 0; i < keeper.count; i++)
        if (keeper.entry[i]->wanted &&
            is_among(keeper.entry[i]->name, keeper.entry[i]->name_count, name))
            return true;
    return false;
}

/* Of the certificate of this id that is kept; 0: nothing is, *ret_kept false: not even an order. */
static unsigned number_kept(const struct roll *asleep, const char *id, bool *ret_kept) {
    const struct entry *e = map_get(&keeper.entries, id);
    const struct sleeper *s = e ? NULL : roll_find(asleep, id);
    *ret_kept = e || s;
    return e ? e->number : s ? s->number : 0;
}

static void orphan_take(void *user, const char *key, const char *value) {
    const char *id = key + strlen("acme/order/");
    json_t *row = json_loads(value, 0, NULL);
    bool kept;
    number_kept(user, id, &kept);
    if (!kept) {
        answers_forget(value, anybody_proves, NULL);
        control_row_put(key, NULL);
        if (strlen(id) == 32)
            files_remove(id, (unsigned)number_of(row, "number"));
    }
    json_decref(row);
}

static bool file_is_ours(void *user, const char *name) {
    char id[33];
    unsigned number;
    bool kept;
    if (!strncmp(name, "account-", 8))
        return !strstr(name, ".part");
    if (sscanf(name, "%32[0-9a-f]-%u.", id, &number) != 2)
        return false;
    unsigned is = number_kept(user, id, &kept);
    return kept && (number == is || number == is + 1);
}

/* What nobody came for since the start. Only when rows can be written, so that they could be read: without them every file looks like
 * nobody's. */
static void orphans_drop(void) {
    struct err err;
    control_row_put("acme/swept", "true");
    if (!control_commit(&err))
        return;
    struct roll asleep = roll_make();
    if (!asleep.all)
        return;
    control_rows("acme/order/", orphan_take, &asleep);
    roll_fini(&asleep);
    for (size_t i = 0; i < keeper.tenants.room; i++) {
        struct followed *f = keeper.tenants.slot[i].key ? keeper.tenants.slot[i].value : NULL;
        bool idle = f && !f->known;
        for (const struct entry *e = idle ? f->first : NULL; e; e = e->next)
            idle &= !e->busy;
        if (idle) {
            tenant_gone(f);
            i = (size_t)-1; /* it may have moved others */
        }
    }
    asleep = roll_make();
    if (asleep.all)
        bank_sweep(file_is_ours, &asleep);
    roll_fini(&asleep);
}

/* ---- are its files still there, and good? ---- */

static bool files_good(const char *id, unsigned number, struct err *why) {
    char key[80], chain[80];
    order_file_names(id, number, key, chain);
    if (!bank_has(key))
        return err_set(why, "its file %s is missing", key);
    if (!bank_has(chain))
        return err_set(why, "its file %s is missing", chain);
    return certificates_good(id, why);
}

/* What can't be read serves nobody after the next start at the latest: a new one is ordered now. */
static void files_look(struct entry *e, int64_t now) {
    struct err why;
    if (!e->number || e->busy || files_good(e->id, e->number, &why)) {
        text_unsay(&e->unreadable);
        return;
    }
    if (e->unreadable)
        return;
    text_say(&e->unreadable, "%.199s", why.text);
    entry_tell(e, true, "CertificateUnreadable", text_or_none(e->unreadable));
    if (!e->failures && e->attempt_at > now) {
        e->attempt_at = now;
        entry_due(e);
    }
}

static void tenant_files_look(struct followed *f, int64_t now) {
    char id[33];
    struct err why;
    for (size_t i = f->sleeper_count; i-- > 0;) {
        sleeper_id(&f->sleeper[i], id);
        if (!files_good(id, f->sleeper[i].number, &why))
            sleeper_wake(f, i);
    }
    for (struct entry *e = f->first; e; e = e->next)
        files_look(e, now);
}

/* All of them when the loader met one that is no good; else some at each sweep. */
static void all_look(int64_t now) {
    static uint64_t failures;
    uint64_t is = certificate_figures().failures;
    for (size_t i = 0; is != failures && i < keeper.tenants.room; i++)
        if (keeper.tenants.slot[i].key)
            tenant_files_look(keeper.tenants.slot[i].value, now);
    failures = is;
}

static void some_plan(int64_t now) {
    static size_t at;
    for (size_t n = 0; n < keeper.tenants.room && n < PLANS_PER_SWEEP; n++) {
        at = at + 1 < keeper.tenants.room ? at + 1 : 0;
        struct followed *f = keeper.tenants.slot[at].key ? keeper.tenants.slot[at].value : NULL;
        if (!f || !f->known)
            continue;
        tenant_files_look(f, now);
        plan(f);
    }
}

void keeper_sweep(void *unused) {
    static bool orphans_done;
    int64_t now = world_now();
    (void)unused;
    pthread_mutex_lock(&keeper.lock);
    all_look(now);
    some_plan(now);
    for (size_t i = 0; i < keeper.count; i++)
        alarm_tell(keeper.entry[i], now);
    if (!orphans_done && now - keeper.started > ORPHANS_AFTER) {
        orphans_done = true;
        orphans_drop();
    }
    pthread_mutex_unlock(&keeper.lock);
}

/* ---- tasks ---- */

static void sleepers_wake(void *unused) {
    (void)unused;
    pthread_mutex_lock(&keeper.lock);
    keeper.waking = false;
    sleepers_wake_due(world_now());
    pthread_mutex_unlock(&keeper.lock);
}

/* Their rows are the control thread's to read. */
static void sleepers_call(int64_t now, int64_t *ret_at) {
    int64_t at;
    if (sleepers_due(now, &at)) {
        keeper.waking = keeper.waking || control_post(sleepers_wake, NULL);
        at = now + 1;
    }
    if (at && (!*ret_at || at < *ret_at))
        *ret_at = at;
}

bool keeper_take(int64_t now, struct task *ret, int64_t *ret_at) {
    struct entry *e = turn_next(now, ret_at);
    sleepers_call(now, ret_at);
    if (!e)
        return false;
    *ret = (struct task){.as = *e,
                         .name = texts_copy((const char *const *)e->name, e->name_count),
                         .name_count = e->name_count};
    if (!ret->name) {
        *ret_at = now + 1;
        return false;
    }
    snprintf(ret->id, sizeof ret->id, "%s", e->id);
    ret->ask_window = !turn_orders(e, now);
    e->busy = true;
    e->ordering = !ret->ask_window;
    turn_taken(e);
    entry_due(e);
    return true;
}

void task_fini(struct task *t) {
    texts_free(t->name, t->name_count);
    t->name = NULL;
}

/* ---- what came of them: control thread ---- */

static void time_print(int64_t at, char out[32]) {
    time_t seconds = (time_t)at;
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        *out = 0;
}

static void attempt_failed(struct entry *e, const struct problem *p, const char *directory,
                           int64_t not_before, int64_t now) {
    char when[32], text[1000];
    e->failures++;
    e->attempt_at = schedule_retry(now, e->failures, e->not_before, e->not_after, not_before,
                                   seed_of(e->id, 1));
    text_say(&e->problem, "%s", p->type);
    text_say(&e->error, "%s%s%s", strcmp(p->type, "local") ? p->type : "",
             *p->type && strcmp(p->type, "local") ? ": " : "", p->detail);
    time_print(e->attempt_at, when);
    snprintf(text, sizeof text, "%s (%s); tried again at %s", text_or_none(e->error), directory,
             when);
    entry_tell(e, true, "OrderFailed", text);
    alarm_tell(e, now);
    keeper.failed++;
}

static void issued(struct entry *e, const struct order_result *r, int64_t now) {
    const struct paper *p = &r->paper;
    struct err err;
    const char *directory = ((char **)keeper.conf->directory.item)[r->directory];
    if (!entry_serve(e, e->number + 1, p->not_after, &err)) { /* the old one goes on */
        struct problem problem = {.type = "local"};
        snprintf(problem.detail, sizeof problem.detail, "the new certificate can't be used: %.400s",
                 err.text);
        files_remove(e->id, e->number + 1);
        attempt_failed(e, &problem, directory, 0, now);
        return;
    }
    keeper.renewed += e->number > 0;
    keeper.issued++;
    keeper.directory_issued[r->directory]++;
    e->number++;
    e->not_before = p->not_before;
    e->not_after = p->not_after;
    char issuer[sizeof p->issuer];
    snprintf(issuer, sizeof issuer, "%s", p->issuer);
    text_mend(issuer, sizeof issuer);
    text_swap(&e->issuer, issuer);
    text_swap(&e->directory, directory);
    text_say(&e->renewal_id, "%s", p->renewal_id);
    e->failures = 0;
    e->alarmed_at = 0;
    text_unsay(&e->error);
    text_unsay(&e->problem);
    text_unsay(&e->unreadable);
    e->window = (struct window){0};
    e->attempt_at = schedule_renew(p->not_before, p->not_after, NULL, seed_of(e->id, e->number));
    e->came_at = now;
    e->attempt_at = schedule_not_at_once(e->attempt_at, now, e->not_before, e->not_after);
    e->ari_at = e->renewal_id ? now : 0;
    char when[32], text[600];
    time_print(e->not_after, when);
    snprintf(text, sizeof text, "certificate of %s, until %s", text_or_none(e->issuer), when);
    entry_tell(e, false, "CertificateIssued", text);
}

static void window_seen(struct entry *e, const struct finish *f, int64_t now) {
    uint64_t seed = seed_of(e->id, e->number);
    e->ari_at = schedule_ari(now, f->renewal_retry, seed);
    if (!f->renewal)
        return;
    bool moved = e->window.start != f->renewal->start || e->window.end != f->renewal->end;
    e->window = (struct window){f->renewal->start, f->renewal->end};
    if (!e->failures && moved)
        e->attempt_at =
            schedule_not_at_once(schedule_renew(e->not_before, e->not_after, &e->window, seed),
                                 e->came_at, e->not_before, e->not_after);
    if (moved && *f->renewal->explanation)
        log_write(2, "acme: %s: when to renew it, and why: %s", e->name[0],
                  f->renewal->explanation);
}

static void result_take(struct entry *e, const struct order_result *r, int64_t now) {
    char row[80];
    text_unsay(&e->waits_for);
    e->shown = r->shown;
    if (r->by_authority)
        keeper.directory_refused[r->directory]++;
    switch (r->end) {
    case ORDER_DONE:
        issued(e, r, now);
        order_row_name(e->id, row);
        control_row_put(row, NULL);
        break;
    case ORDER_FAILED:
        attempt_failed(e, &r->problem, ((char **)keeper.conf->directory.item)[r->directory],
                       r->not_before, now);
        break;
    case ORDER_LATER:
        e->attempt_at = r->not_before > now ? r->not_before : now + 1;
        text_say(&e->waits_for, "%s", r->explanation);
        break;
    case ORDER_ENDS:
        break;
    }
}

void keeper_finish(void *user) {
    struct finish *f = user;
    int64_t now = world_now();
    pthread_mutex_lock(&keeper.lock);
    struct entry *e = map_get(&keeper.entries, f->task->id);
    if (e) {
        e->busy = false;
        if (e->gone) {
            struct followed *owner = e->tenant;
            entry_drop(e);
            followed_release(owner);
        } else {
            if (f->task->ask_window)
                window_seen(e, f, now);
            else
                result_take(e, f->result, now);
            f->spent = e->number > f->task->as.number ? f->task->as.number : 0;
            struct followed *owner = e->tenant;
            row_put(e);
            entry_due(e);
            if (e->number)
                spare_drop(owner, now);
            tenant_rest(owner, now);
        }
    }
    pthread_mutex_unlock(&keeper.lock);
}

void keeper_finished(const struct finish *f) {
    if (f->spent)
        files_remove(f->task->id, f->spent);
}

/* ---- start, end ---- */

static void order_take(void *user, const char *key, const char *value) {
    static char shown;
    if (answers_any(value))
        map_put(user, key + strlen("acme/order/"), &shown);
}

bool keeper_open(const struct acme_conf *conf, struct err *err) {
    keeper.conf = conf;
    keeper.started = world_now();
    if (!bank_open(control_state_folder(), err))
        return false;
    limits_init(conf, keeper.started);
    struct map shown = {0}; /* ids */
    control_rows("acme/order/", order_take, &shown);
    control_rows("acme/cert/", row_take, &shown);
    map_fini(&shown);
    answers_show_again();
    leftovers_open();
    return true;
}

void keeper_close(void) {
    while (keeper.count)
        entry_remove(keeper.entry[0]);
    for (size_t i = 0; i < keeper.tenants.room; i++)
        if (keeper.tenants.slot[i].key)
            followed_free(keeper.tenants.slot[i].value);
    map_fini(&keeper.tenants);
    map_fini(&keeper.entries);
    texts_fini();
    free(keeper.entry);
    free(keeper.due);
    keeper.entry = NULL;
    keeper.due = NULL;
    keeper.room = 0;
    keeper.sleep_due = 0;
    keeper.waking = false;
    limits_fini();
    leftovers_close();
    bank_close();
}
