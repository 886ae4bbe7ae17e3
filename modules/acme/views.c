/* SPDX-License-Identifier: GPL-3.0-or-later
 * views.c - what `get certificates` and /metrics say of the entries.
 *
 *   state     pending     nothing is served yet, an order is due or under way
 *             failing     the same, and the last attempt failed
 *             impossible  no configured challenge can prove a name of it
 *             ok          served
 *             unreadable  its files are missing or no good: a new one is ordered
 *             expiring    served; a third of its lifetime is left, and it could not be renewed
 *             expired     the same, too late
 *             retiring    served until others cover its names
 */
#include "modules/acme/rest.h"
#include "modules/acme/turns.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const states[] = {"pending",    "failing",  "impossible", "ok",
                                     "unreadable", "expiring", "expired",    "retiring"};

const char *entry_hindrance(const struct entry *e) {
    return e->impossible  ? e->impossible
           : e->waits_for ? e->waits_for
           : !e->failures ? NULL
           : e->error     ? e->error
                          : "its order failed";
}

bool entry_is_late(const struct entry *e, int64_t now) {
    return e->wanted && e->number && entry_hindrance(e) &&
           now >= schedule_alarm(e->not_before, e->not_after);
}

const char *entry_state(const struct entry *e, int64_t now) {
    if (e->number && e->not_after <= now)
        return "expired";
    if (!e->wanted)
        return "retiring";
    if (e->number)
        return e->unreadable ? "unreadable" : entry_is_late(e, now) ? "expiring" : "ok";
    return e->impossible ? "impossible" : e->failures ? "failing" : "pending";
}

static json_t *time_json(int64_t at) {
    char text[32];
    time_t seconds = (time_t)at;
    struct tm tm;
    if (!at || !gmtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return json_null();
    return json_string(text);
}

static json_t *text_json(const char *text) {
    json_t *value = text ? json_string(text) : NULL;
    return value ? value : json_null();
}

static json_t *next_action(const struct entry *e, int64_t now) {
    json_t *at = time_json(e->attempt_at);
    const char *when = json_string_value(at);
    const char *clash;
    json_t *text;
    if (!e->wanted)
        text = json_string("dropped when others cover its names");
    else if (e->impossible)
        text = json_string(e->impossible);
    else if (e->busy && e->ordering)
        text = json_string("being ordered");
    else if (e->waits_for)
        text = json_sprintf("goes on at %s: %s", when, e->waits_for);
    else if (e->failures)
        text = json_sprintf("ordered again at %s", when);
    else
        text = e->attempt_at > now ? json_sprintf("renewed at %s", when)
               : (clash = turn_clash(e))
                   ? json_sprintf("waits until another order has proved %s", clash)
                   : json_string("ordered now");
    json_decref(at);
    return text ? text : json_null();
}

static json_t *entry_json(const struct entry *e, int64_t now) {
    json_t *names = json_array();
    for (size_t i = 0; i < e->name_count; i++)
        json_array_append_new(names, json_string(e->name[i]));
    return json_pack(
        "{s:o s:s s:s s:o s:o s:o s:s s:s s:o s:o s:o s:i s:s}", "names", names, "tenant",
        e->tenant->name, "ingress", e->ingress, "issuer", text_json(e->number ? e->issuer : NULL),
        "notBefore", time_json(e->number ? e->not_before : 0), "notAfter",
        time_json(e->number ? e->not_after : 0), "source", "acme", "state", entry_state(e, now),
        "nextAction", next_action(e, now), "error",
        text_json(e->unreadable && !e->failures ? e->unreadable : e->error), "directory",
        text_json(e->directory), "failures", (int)e->failures, "id", e->id);
}

static int row_compare(const void *a, const void *b) {
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    return strcmp(json_string_value(json_object_get(x, "id")),
                  json_string_value(json_object_get(y, "id")));
}

/* By their ids, as after a start; who woke up meanwhile changes nothing. */
static json_t *sorted(json_t *rows) {
    size_t count = json_array_size(rows), i;
    json_t **row = calloc(count + 1, sizeof(json_t *)), *one;
    if (!row)
        return rows;
    json_array_foreach(rows, i, one) row[i] = json_incref(one);
    qsort(row, count, sizeof(json_t *), row_compare);
    json_array_clear(rows);
    for (i = 0; i < count; i++)
        json_array_append_new(rows, row[i]);
    free(row);
    return rows;
}

static void tenant_print(struct followed *f, json_t *rows, int64_t now) {
    tenant_wake(f);
    for (const struct entry *e = f->first; e; e = e->next)
        json_array_append_new(rows, entry_json(e, now));
    tenant_rest(f, now);
}

char *keeper_view(const char *kind, const char *tenant) {
    json_t *rows = strcmp(kind, "certificates") ? NULL : json_array();
    int64_t now = time(NULL);
    if (!rows)
        return NULL;
    pthread_mutex_lock(&keeper.lock);
    for (size_t i = 0; i < keeper.tenants.room; i++)
        if (keeper.tenants.slot[i].key && (!tenant || !strcmp(keeper.tenants.slot[i].key, tenant)))
            tenant_print(keeper.tenants.slot[i].value, rows, now);
    pthread_mutex_unlock(&keeper.lock);
    char *text = json_dumps(sorted(rows), JSON_COMPACT);
    json_decref(rows);
    return text;
}

/* ---- metrics: their number does not depend on the tenants' ---- */

static void head(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# HELP ringress_acme_%s %s\n# TYPE ringress_acme_%s %s\n", name, help, name,
            type);
}

static void expiry_count(int64_t *soonest, int64_t not_after) {
    if (!*soonest || not_after < *soonest)
        *soonest = not_after;
}

static const char *sleeper_state(const struct sleeper *s, int64_t now) {
    const struct entry e = {.number = s->number, .wanted = s->wanted, .not_after = s->not_after};
    return entry_state(&e, now);
}

static void state_count(size_t count[], const char *state) {
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        count[i] += !strcmp(states[i], state);
}

static void sleepers_count(const struct followed *f, size_t count[], int64_t *soonest,
                           int64_t now) {
    for (size_t i = 0; i < f->sleeper_count; i++) {
        const struct sleeper *s = &f->sleeper[i];
        state_count(count, sleeper_state(s, now));
        if (s->wanted)
            expiry_count(soonest, s->not_after);
    }
}

static void states_print(FILE *out, int64_t now) {
    size_t count[sizeof states / sizeof *states] = {0};
    int64_t soonest = 0;
    for (size_t i = 0; i < keeper.count; i++) {
        const struct entry *e = keeper.entry[i];
        state_count(count, entry_state(e, now));
        if (e->number && e->wanted)
            expiry_count(&soonest, e->not_after);
    }
    for (size_t i = 0; i < keeper.tenants.room; i++)
        if (keeper.tenants.slot[i].key)
            sleepers_count(keeper.tenants.slot[i].value, count, &soonest, now);
    head(out, "certificates", "gauge", "Certificates that are ordered for tenants, by state.");
    for (size_t j = 0; j < sizeof states / sizeof *states; j++)
        fprintf(out, "ringress_acme_certificates{state=\"%s\"} %zu\n", states[j], count[j]);
    head(out, "first_expiry_seconds", "gauge",
         "When the first of those that serve expires; 0: none.");
    fprintf(out, "ringress_acme_first_expiry_seconds %lld\n", (long long)soonest);
}

static void directories_print(FILE *out) {
    char *const *url = keeper.conf->directory.item;
    head(out, "directory_issued_total", "counter", "Certificates that came from this directory.");
    for (size_t i = 0; i < keeper.conf->directory.count; i++)
        fprintf(out, "ringress_acme_directory_issued_total{directory=\"%zu\",host=\"%.*s\"} %llu\n",
                i, (int)strcspn(url[i] + 8, "/\"\\"), url[i] + 8,
                (unsigned long long)keeper.directory_issued[i]);
    head(out, "directory_refused_total", "counter", "Orders that this directory refused last.");
    for (size_t i = 0; i < keeper.conf->directory.count; i++)
        fprintf(out,
                "ringress_acme_directory_refused_total{directory=\"%zu\",host=\"%.*s\"} %llu\n", i,
                (int)strcspn(url[i] + 8, "/\"\\"), url[i] + 8,
                (unsigned long long)keeper.directory_refused[i]);
}

char *keeper_metrics(void) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    pthread_mutex_lock(&keeper.lock);
    states_print(out, time(NULL));
    directories_print(out);
    head(out, "issued_total", "counter", "Certificates that were issued and are served.");
    fprintf(out, "ringress_acme_issued_total %llu\n", (unsigned long long)keeper.issued);
    head(out, "renewed_total", "counter", "Those of them that took the place of an older one.");
    fprintf(out, "ringress_acme_renewed_total %llu\n", (unsigned long long)keeper.renewed);
    head(out, "failed_total", "counter", "Orders that failed at every directory.");
    fprintf(out, "ringress_acme_failed_total %llu\n", (unsigned long long)keeper.failed);
    pthread_mutex_unlock(&keeper.lock);
    fclose(out);
    return text;
}
