/* SPDX-License-Identifier: GPL-3.0-or-later
 * follow.c - see follow.h.
 *
 *   versions   one counter for all tenants, from the milliseconds of the clock at start: it rises over restarts, and a watch that goes
 *              on from before one is told 410 and lists again
 */
#include "modules/kube/follow.h"
#include "core/control_host.h"
#include "modules/kube/desk.h"
#include "modules/kube/parts.h"
#include "modules/kube/server.h"
#include "modules/kube/watch.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    FRESH_FACTOR =
        9, /* who has much to be told of is looked at less often: the control thread is everybody's, and so is this one */
    LIVE_MS = 2000,      /* pods and ports of watched tenants are looked at so often */
    LIVE_PER_BEAT = 8,   /* and that many of them at a time */
    COLD_MS = 20000,     /* objects of a tenant nobody asks about are let go */
    FORGET_MS = 3600000, /* and what is left of it */
};

static struct follow *follows;
static struct map by_name;
static uint64_t last_version;
static _Atomic uint64_t figure_tenants, figure_objects, figure_changes;

struct follow_figures follow_figures(void) {
    return (struct follow_figures){atomic_load(&figure_tenants), atomic_load(&figure_objects),
                                   atomic_load(&figure_changes)};
}

static uint64_t version_next(void) {
    struct timespec t;
    if (!last_version) {
        clock_gettime(CLOCK_REALTIME, &t);
        last_version = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    }
    return ++last_version;
}

/* ---- text ---- */

static struct blob *blob_new(const json_t *object) {
    size_t length = json_dumpb(object, NULL, 0, JSON_COMPACT);
    struct blob *b = malloc(sizeof *b + length + 1);
    if (!b)
        abort();
    b->refs = 1;
    json_dumpb(object, b->text, length, JSON_COMPACT);
    b->text[length] = 0;
    return b;
}

static struct blob *blob_ref(struct blob *b) {
    if (b)
        b->refs++;
    return b;
}

static void blob_unref(struct blob *b) {
    if (b && !--b->refs)
        free(b);
}

json_t *blob_json(const struct blob *b) {
    return b ? json_loads(b->text, 0, NULL) : NULL;
}

json_t *follow_known(const struct follow *f) {
    json_t *known = f->live ? json_loads(f->live, 0, NULL) : NULL;
    json_t *objects = f->objects_text ? json_loads(f->objects_text, 0, NULL) : NULL;
    if (!known)
        known = json_object();
    json_object_set_new(known, "objects", objects ? objects : json_array());
    known_fit(known);
    return known;
}

/* ---- the log ---- */

static void change_fini(struct change *c) {
    blob_unref(c->before);
    blob_unref(c->after);
    *c = (struct change){0};
}

static void log_clear(struct follow *f) {
    for (; f->first < f->end; f->first++)
        change_fini(&f->log[f->first % LOG_MOST]);
    f->log_from = f->version;
    free(f->log);
    f->log = NULL;
}

/* Takes both references. */
static void log_add(struct follow *f, const struct kube_kind *kind, struct blob *before,
                    struct blob *after, uint64_t version) {
    f->version = version;
    atomic_fetch_add(&figure_changes, 1);
    if (!f->log && !(f->log = calloc(LOG_MOST, sizeof *f->log))) {
        blob_unref(before);
        blob_unref(after);
        f->log_from = version;
        return;
    }
    if (f->end - f->first == LOG_MOST) {
        struct change *oldest = &f->log[f->first++ % LOG_MOST];
        f->log_from = oldest->version;
        change_fini(oldest);
    }
    f->log[f->end++ % LOG_MOST] = (struct change){version, kind, before, after};
}

bool follow_log_at(const struct follow *f, uint64_t version, uint64_t *ret) {
    uint64_t low = f->first, high = f->end;
    if (version < f->log_from || version > last_version)
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (follow_log(f, middle)->version > version)
            high = middle;
        else
            low = middle + 1;
    }
    *ret = low;
    return true;
}

const char *version_text(uint64_t version, char out[RV_TEXT]) {
    snprintf(out, RV_TEXT, "%llu", (unsigned long long)version);
    return out;
}

const char *follow_version(const struct follow *f, char out[RV_TEXT]) {
    return version_text(f->version, out);
}

/* ---- objects ---- */

static void kept_free(void *value) {
    struct kept *k = value;
    blob_unref(k->object);
    free(k->key);
    free(k->file);
    free(k);
    atomic_fetch_sub(&figure_objects, 1);
}

static void version_set(json_t *object, uint64_t version) {
    char text[RV_TEXT];
    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_string(version_text(version, text)));
}

static uint64_t object_hash(const json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT);
    uint64_t hash = text ? hash_bytes(text, strlen(text)) : 0;
    free(text);
    return hash;
}

static struct kept *kept_new(struct follow *f, const struct composed *c, const char *key) {
    struct kept *k = calloc(1, sizeof *k);
    if (!k || !(k->key = strdup(key)) || !map_put(&f->objects, key, k))
        abort();
    k->kind = c->kind;
    atomic_fetch_add(&figure_objects, 1);
    return k;
}

/* An object that does not say since when it is there is as old as its file was when it was first seen. */
static void created_keep(struct kept *k, json_t *object) {
    json_t *metadata = json_object_get(object, "metadata");
    if (*k->created && !strcmp(k->uid, text_of(metadata, "uid"))) {
        json_object_set_new(metadata, "creationTimestamp", json_string(k->created));
        return;
    }
    snprintf(k->uid, sizeof k->uid, "%s", text_of(metadata, "uid"));
    snprintf(k->created, sizeof k->created, "%s", text_of(metadata, "creationTimestamp"));
}

/* What is as it was keeps its version, also over a rest. */
static void kept_renew(struct follow *f, struct kept *k, struct composed *c, bool fresh) {
    created_keep(k, c->object);
    uint64_t hash = object_hash(c->object);
    bool same = !fresh && k->hash == hash;
    struct blob *before = k->object;
    k->seen = true;
    free(k->file);
    k->file = c->file;
    c->file = NULL;
    k->line = c->line;
    k->hash = hash;
    if (same && before)
        return;
    if (!same)
        k->version = version_next();
    version_set(c->object, k->version);
    k->object = blob_new(c->object);
    if (!same)
        log_add(f, k->kind, before, blob_ref(k->object), k->version);
}

static int kept_order(const void *left, const void *right) {
    const struct kept *a = *(struct kept *const *)left, *b = *(struct kept *const *)right;
    return strcmp(a->key, b->key);
}

static void list_renew(struct follow *f) {
    free(f->list);
    f->list = calloc(f->objects.count + 1, sizeof *f->list);
    f->count = 0;
    if (!f->list)
        abort();
    for (size_t i = 0; i < f->objects.room; i++)
        if (f->objects.slot[i].key)
            f->list[f->count++] = f->objects.slot[i].value;
    if (f->count)
        qsort(f->list, f->count, sizeof *f->list, kept_order);
}

static struct blob *gone_object(const struct kept *k, uint64_t version) {
    json_t *object = blob_json(k->object);
    version_set(object, version);
    struct blob *b = blob_new(object);
    json_decref(object);
    return b;
}

static void gone_drop(struct follow *f) {
    for (size_t i = 0; i < f->count; i++) {
        struct kept *k = f->list[i];
        if (k->seen)
            continue;
        uint64_t version = version_next();
        if (k->object)
            log_add(f, k->kind, gone_object(k, version), NULL, version);
        map_remove(&f->objects, k->key);
        kept_free(k);
    }
}

struct kept *follow_find(const struct follow *f, const char *kind, const char *name) {
    char key[700];
    snprintf(key, sizeof key, "%.60s/%.600s", kind, name);
    return map_get(&f->objects, key);
}

static void objects_renew(struct follow *f) {
    struct composition now;
    bool first = !f->version;
    if (first) { /* a watch may go on from here */
        f->version = version_next();
        f->log_from = f->version;
    }
    json_t *known = follow_known(f);
    compose(known, f->uid, f->since, &now);
    json_decref(known);
    for (size_t i = 0; i < f->count; i++)
        f->list[i]->seen = false;
    for (size_t i = 0; i < now.count; i++) {
        struct composed *c = &now.item[i];
        char key[700];
        snprintf(key, sizeof key, "%.60s/%.600s", c->kind->kind, object_name(c->object));
        struct kept *k = map_get(&f->objects, key);
        kept_renew(f, k ? k : kept_new(f, c, key), c, !k);
    }
    gone_drop(f);
    if (first) /* nobody can have missed how it began */
        log_clear(f);
    list_renew(f);
    f->warm = true;
    composition_fini(&now);
}

/* ---- fetching ---- */

struct fetch {
    struct job job;
    char name[64], uid[64];
    bool with_objects, there;
    int64_t took_ms;
    char *live, *objects;
};

static void fetch_free(struct job *j) {
    struct fetch *f = (struct fetch *)j;
    free(f->live);
    free(f->objects);
    free(f);
}

static char *live_text(const char *tenant) {
    static const char *const kinds[] = {"tenants",  "routes",     "ports",
                                        "backends", "containers", "events"};
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *rows = control_get(kinds[i], tenant);
        fprintf(out, "%s\"%s\":%s", i ? "," : "{", kinds[i], rows ? rows : "[]");
        free(rows);
    }
    fputc('}', out);
    fclose(out);
    return text;
}

/* Control thread. */
static void fetch_run(struct job *j) {
    struct fetch *f = (struct fetch *)j;
    int64_t begun = server_now_ms();
    f->live = live_text(f->name);
    if (f->with_objects)
        f->objects = control_get("objects", f->name);
    f->took_ms = server_now_ms() - begun;
}

static void askers_tell(struct asker *list, struct follow *f) {
    for (struct asker *next; list; list = next) {
        next = list->next;
        list->follow = NULL;
        list->ready(list, f);
    }
}

static void fetch_begin(struct follow *f);

/* Connections and bytes count on with each request: they are no reason to look at the objects again. */
static void live_prune(json_t *live) {
    static const char *const kinds[] = {"tenants", "ports", "backends"};
    static const char *const kept[] = {"tenant",  "uid",    "domain",     "state",        "error",
                                       "service", "port",   "pod",        "address",      "reason",
                                       "until",   "object", "publicPort", "containerPort"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        json_t *rows = json_object_get(live, kinds[i]), *row;
        size_t r;
        json_array_foreach(rows, r, row) {
            json_t *small = json_object();
            for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
                if (json_object_get(row, kept[k]))
                    json_object_set(small, kept[k], json_object_get(row, kept[k]));
            json_array_set_new(rows, r, small);
        }
    }
}

static void tenant_renew(struct follow *f, const json_t *live) {
    const json_t *row = json_array_get(json_object_get(live, "tenants"), 0);
    f->there = row != NULL;
    snprintf(f->uid, sizeof f->uid, "%s", text_of(row, "uid"));
}

static uint64_t text_hash(const char *text) {
    return text ? hash_bytes(text, strlen(text)) : 0;
}

/* True: something is not as it was. */
static bool known_renew(struct follow *f, struct fetch *fetch) {
    json_t *live = fetch->live ? json_loads(fetch->live, 0, NULL) : NULL;
    if (!live)
        return false;
    tenant_renew(f, live);
    live_prune(live);
    char *pruned = json_dumps(live, JSON_COMPACT);
    json_decref(live);
    uint64_t live_hash = text_hash(pruned);
    bool same = f->warm && live_hash == f->live_hash;
    free(f->live);
    f->live = pruned;
    f->live_hash = live_hash;
    if (!fetch->objects)
        return !same;
    uint64_t objects_hash = text_hash(fetch->objects);
    same &= objects_hash == f->objects_hash;
    free(f->objects_text);
    f->objects_text = fetch->objects;
    fetch->objects = NULL;
    f->objects_hash = objects_hash;
    return !same;
}

static void fetch_done(struct job *j) {
    struct fetch *fetch = (struct fetch *)j;
    struct follow *f = map_get(&by_name, fetch->name);
    if (f) {
        bool news = known_renew(f, fetch);
        int64_t begun = server_now_ms();
        f->fetching = false;
        if (news)
            objects_renew(f);
        f->fetched_ms = server_now_ms();
        f->fresh_ms = FOLLOW_FRESH_MS + (fetch->took_ms + f->fetched_ms - begun) * FRESH_FACTOR;
        struct asker *ready = f->waiting;
        f->waiting = f->later;
        f->later = NULL;
        if (f->waiting || f->touched)
            fetch_begin(f);
        askers_tell(ready, f->there ? f : NULL);
        watches_pump(f);
    }
    fetch_free(j);
}

static void fetch_begin(struct follow *f) {
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch) {
        struct asker *list = f->waiting;
        f->waiting = NULL;
        askers_tell(list, NULL);
        return;
    }
    *fetch = (struct fetch){.job = {.run = fetch_run, .done = fetch_done, .lost = fetch_free},
                            .with_objects = f->touched || !f->warm};
    snprintf(fetch->name, sizeof fetch->name, "%s", f->name);
    f->touched = false;
    f->fetching = true;
    desk_ask(&fetch->job);
}

/* ---- who is followed ---- */

static struct follow *follow_new(const char *tenant) {
    struct follow *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    snprintf(f->name, sizeof f->name, "%s", tenant);
    f->since = time(NULL);
    if (!map_put(&by_name, tenant, f) || !desk_follow(tenant)) {
        map_remove(&by_name, tenant);
        free(f);
        return NULL;
    }
    f->next = follows;
    follows = f;
    atomic_fetch_add(&figure_tenants, 1);
    return f;
}

static void follow_free(struct follow *f) {
    desk_unfollow(f->name);
    log_clear(f);
    map_clear(&f->objects, kept_free);
    free(f->list);
    free(f->live);
    free(f->objects_text);
    free(f);
    atomic_fetch_sub(&figure_tenants, 1);
}

void follow_ask(const char *tenant, struct asker *a, bool anew) {
    struct follow *f = map_get(&by_name, tenant);
    int64_t now = server_now_ms();
    if (!f && !(f = follow_new(tenant))) {
        a->ready(a, NULL);
        return;
    }
    f->used_ms = now;
    a->follow = NULL;
    if (!anew && f->warm && f->there && !f->touched && !f->fetching &&
        now - f->fetched_ms < f->fresh_ms) {
        a->ready(a, f);
        return;
    }
    a->follow = f;
    struct asker **list = f->fetching ? &f->later : &f->waiting;
    a->next = *list;
    *list = a;
    if (!f->fetching)
        fetch_begin(f);
}

static void asker_unlink(struct asker **list, const struct asker *a) {
    while (*list && *list != a)
        list = &(*list)->next;
    if (*list)
        *list = a->next;
}

void follow_forget(struct asker *a) {
    if (!a->follow)
        return;
    asker_unlink(&a->follow->waiting, a);
    asker_unlink(&a->follow->later, a);
    a->follow = NULL;
}

void follow_touched(const char *tenant) {
    struct follow *f = map_get(&by_name, tenant);
    if (!f)
        return;
    f->touched = true;
    if (f->watches && !f->fetching)
        fetch_begin(f);
}

/* ---- time ---- */

static void follow_rest(struct follow *f) {
    for (size_t i = 0; i < f->count; i++) {
        blob_unref(f->list[i]->object);
        f->list[i]->object = NULL;
    }
    free(f->live);
    free(f->objects_text);
    f->live = f->objects_text = NULL;
    f->warm = false;
    log_clear(f);
}

/* False: nothing of it is left. */
static bool follow_age(struct follow *f, int64_t now) {
    bool used = f->watches || f->fetching || f->waiting;
    if (used || now - f->used_ms < COLD_MS)
        return true;
    if (f->warm)
        follow_rest(f);
    return now - f->used_ms < FORGET_MS;
}

void follow_beat(void) {
    int64_t now = server_now_ms();
    int looks = LIVE_PER_BEAT;
    for (struct follow **at = &follows, *f; (f = *at);) {
        if (f->watches && !f->fetching && now - f->fetched_ms >= LIVE_MS && looks-- > 0)
            fetch_begin(f);
        if (follow_age(f, now)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        map_remove(&by_name, f->name);
        follow_free(f);
    }
}

void follow_fini(void) {
    while (follows) {
        struct follow *f = follows;
        follows = f->next;
        follow_free(f);
    }
    map_fini(&by_name);
}
