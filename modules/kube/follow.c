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
    WARM_MOST =
        64 << 20, /* bytes of objects of all tenants: whoever was asked about longest ago rests */
    LOG_BYTES_MOST = 8 << 20, /* of one tenant's log: with objects so large, it is shorter */
    LOG_ROOM_LEAST = 16,
};

/* By when they were last asked for. */
struct queue {
    struct follow *first, *last;
};
static struct queue warm, resting;
static size_t warm_bytes; /* of all of them */
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
    b->length = (unsigned)length;
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
    return known;
}

/* ---- the log ---- */

/* Its objects, counted whether or not something else holds them, too. */
static size_t change_bytes(const struct change *c) {
    return (c->before ? c->before->length : 0) + (c->after ? c->after->length : 0);
}

static void log_drop(struct follow *f) {
    struct change *c = &f->log[f->first++ & (f->log_room - 1)];
    f->log_from = c->version;
    f->log_bytes -= change_bytes(c);
    blob_unref(c->before);
    blob_unref(c->after);
}

static void log_clear(struct follow *f) {
    while (f->first < f->end)
        log_drop(f);
    f->log_from = f->version;
    free(f->log);
    f->log = NULL;
    f->log_room = 0;
}

static bool log_grow(struct follow *f) {
    size_t room = f->log_room ? f->log_room * 2 : LOG_ROOM_LEAST;
    struct change *log = calloc(room, sizeof *log);
    if (!log)
        return false;
    for (uint64_t serial = f->first; serial < f->end; serial++)
        log[serial & (room - 1)] = *follow_log(f, serial);
    free(f->log);
    f->log = log;
    f->log_room = room;
    return true;
}

/* Takes both references. Who is not told for want of memory is told 410. */
static void log_add(struct follow *f, const struct kube_kind *kind, struct blob *before,
                    struct blob *after, uint64_t version) {
    const struct change c = {version, kind, before, after};
    f->version = version;
    atomic_fetch_add(&figure_changes, 1);
    if (f->end - f->first == f->log_room && !log_grow(f)) {
        blob_unref(before);
        blob_unref(after);
        log_clear(f);
        return;
    }
    f->log[f->end++ & (f->log_room - 1)] = c;
    f->log_bytes += change_bytes(&c);
    while (f->end - f->first > LOG_MOST || (f->log_bytes > LOG_BYTES_MOST && f->end - f->first > 1))
        log_drop(f);
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

enum { KEY_MAX = 700 };

static const char *key_print(const char *kind, const char *name, char out[KEY_MAX]) {
    snprintf(out, KEY_MAX, "%.60s/%.600s", kind, name);
    return out;
}

static void kept_free(struct kept *k) {
    blob_unref(k->object);
    free(k);
    atomic_fetch_sub(&figure_objects, 1);
}

static struct kept *kept_new(const struct kube_kind *kind, const char *key) {
    size_t length = strlen(key) + 1;
    struct kept *k = calloc(1, sizeof *k + length);
    if (!k)
        abort();
    memcpy(k->key, key, length);
    k->kind = kind;
    atomic_fetch_add(&figure_objects, 1);
    return k;
}

static int kept_order(const void *left, const void *right) {
    const struct kept *a = *(struct kept *const *)left, *b = *(struct kept *const *)right;
    return strcmp(a->key, b->key);
}

static int key_order(const void *key, const void *kept) {
    return strcmp(key, (*(struct kept *const *)kept)->key);
}

static struct kept *kept_find(const struct follow *f, const char *key) {
    struct kept **found =
        f->count ? bsearch(key, f->list, f->count, sizeof(struct kept *), key_order) : NULL;
    return found ? *found : NULL;
}

struct kept *follow_find(const struct follow *f, const char *kind, const char *name) {
    char key[KEY_MAX];
    return kept_find(f, key_print(kind, name, key));
}

static void version_set(json_t *object, uint64_t version) {
    char text[RV_TEXT];
    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_string(version_text(version, text)));
}

static uint64_t text_hash(const char *text) {
    return text ? hash_bytes(text, strlen(text)) : 0;
}

static uint64_t object_hash(const json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT);
    uint64_t hash = text_hash(text);
    free(text);
    return hash;
}

/* An object that does not say since when it is there is as old as its file was when it was first seen. What is longer than a time of
 * ours was written, and stays as it is written. */
static void created_keep(struct kept *k, json_t *object) {
    json_t *metadata = json_object_get(object, "metadata");
    const char *created = text_of(metadata, "creationTimestamp");
    uint64_t uid = text_hash(text_of(metadata, "uid"));
    if (k->uid == uid && *k->created) {
        json_object_set_new(metadata, "creationTimestamp", json_string(k->created));
        return;
    }
    k->uid = uid;
    snprintf(k->created, sizeof k->created, "%s", strlen(created) < TIME_TEXT ? created : "");
}

/* What is as it was keeps its version, also over a rest. `told`: watches may have missed it. */
static void kept_renew(struct follow *f, struct kept *k, const struct composed *c, bool told) {
    created_keep(k, c->object);
    uint64_t hash = object_hash(c->object);
    bool same = k->version && k->hash == hash;
    struct blob *before = k->object;
    k->seen = true;
    k->written = c->written;
    k->hash = hash;
    if (same && before)
        return;
    if (!same)
        k->version = version_next();
    version_set(c->object, k->version);
    k->object = blob_new(c->object);
    if (!same && told)
        log_add(f, k->kind, before, blob_ref(k->object), k->version);
    else
        blob_unref(before);
}

static struct blob *gone_object(const struct kept *k, uint64_t version) {
    json_t *object = blob_json(k->object);
    version_set(object, version);
    struct blob *b = blob_new(object);
    json_decref(object);
    return b;
}

static void gone_drop(struct follow *f, struct kept *k) {
    uint64_t version = version_next();
    if (k->object)
        log_add(f, k->kind, gone_object(k, version), NULL, version);
    kept_free(k);
}

static size_t follow_bytes(const struct follow *f) {
    size_t sum = f->log_bytes + f->log_room * sizeof *f->log;
    for (size_t i = 0; i < f->count; i++)
        sum += f->list[i]->object ? sizeof(struct blob) + f->list[i]->object->length + 1 : 0;
    return sum + (f->live ? strlen(f->live) : 0) + (f->objects_text ? strlen(f->objects_text) : 0);
}

static void bytes_count(struct follow *f) {
    size_t now = f->warm ? follow_bytes(f) : 0;
    warm_bytes += now - f->bytes;
    f->bytes = now;
}

/* As the new list has it: those that were, those that came; those that went are told of. */
static void list_renew(struct follow *f, const struct composition *now, bool told) {
    struct kept **list = calloc(now->count + 1, sizeof *list);
    size_t count = 0;
    if (!list)
        abort();
    for (size_t i = 0; i < f->count; i++)
        f->list[i]->seen = false;
    for (size_t i = 0; i < now->count; i++) {
        const struct composed *c = &now->item[i];
        char key[KEY_MAX];
        if (composed_find(now, c->kind->kind, object_name(c->object)) != c->object)
            continue; /* of two of one name the last one is it */
        key_print(c->kind->kind, object_name(c->object), key);
        struct kept *k = kept_find(f, key);
        if (!k)
            k = kept_new(c->kind, key);
        kept_renew(f, k, c, told);
        list[count++] = k;
    }
    for (size_t i = 0; i < f->count; i++)
        if (!f->list[i]->seen)
            gone_drop(f, f->list[i]);
    free(f->list);
    f->list = list;
    f->count = count;
    if (count)
        qsort(list, count, sizeof *list, kept_order);
}

static void objects_renew(struct follow *f) {
    struct composition now;
    bool first = !f->version; /* nobody can have missed how it began */
    json_t *known = follow_known(f);
    compose(known, f->uid, f->since, &now);
    json_decref(known);
    list_renew(f, &now, !first);
    if (first) { /* a watch may go on from here */
        f->version = version_next();
        f->log_from = f->version;
    }
    composition_fini(&now);
}

/* ---- who was asked for when ---- */

static struct queue *queue_of(const struct follow *f) {
    return f->warm ? &warm : &resting;
}

static void queue_leave(struct queue *l, struct follow *f) {
    *(f->previous ? &f->previous->next : &l->first) = f->next;
    *(f->next ? &f->next->previous : &l->last) = f->previous;
    f->next = f->previous = NULL;
}

static void queue_join(struct queue *l, struct follow *f) {
    f->previous = l->last;
    *(l->last ? &l->last->next : &l->first) = f;
    l->last = f;
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

static void warm_up(struct follow *f) {
    queue_leave(queue_of(f), f);
    f->warm = true;
    queue_join(&warm, f);
}

static void warm_bound(const struct follow *but);

static void fetch_done(struct job *j) {
    struct fetch *fetch = (struct fetch *)j;
    struct follow *f = map_get(&by_name, fetch->name);
    if (f) {
        bool news = known_renew(f, fetch);
        int64_t begun = server_now_ms();
        f->fetching = false;
        if (news) {
            objects_renew(f);
            warm_up(f);
        }
        bytes_count(f);
        warm_bound(f);
        f->fetched_ms = server_now_ms();
        f->took_ms = fetch->took_ms + f->fetched_ms - begun;
        f->fresh_ms = FOLLOW_FRESH_MS + f->took_ms * FRESH_FACTOR;
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
    queue_join(&resting, f);
    atomic_fetch_add(&figure_tenants, 1);
    return f;
}

static void follow_free(struct follow *f) {
    queue_leave(queue_of(f), f);
    desk_unfollow(f->name);
    f->warm = false;
    bytes_count(f);
    log_clear(f);
    for (size_t i = 0; i < f->count; i++)
        kept_free(f->list[i]);
    free(f->list);
    free(f->live);
    free(f->objects_text);
    free(f);
    atomic_fetch_sub(&figure_tenants, 1);
}

/* It is the last of its queue to go. */
static void follow_use(struct follow *f) {
    f->used_ms = server_now_ms();
    queue_leave(queue_of(f), f);
    queue_join(queue_of(f), f);
}

void follow_ask(const char *tenant, struct asker *a, bool anew) {
    struct follow *f = map_get(&by_name, tenant);
    int64_t now = server_now_ms();
    if (!f && !(f = follow_new(tenant))) {
        a->ready(a, NULL);
        return;
    }
    follow_use(f);
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

static bool is_used(const struct follow *f) {
    return f->watches || f->fetching || f->waiting;
}

static void follow_rest(struct follow *f) {
    for (size_t i = 0; i < f->count; i++) {
        blob_unref(f->list[i]->object);
        f->list[i]->object = NULL;
    }
    free(f->live);
    free(f->objects_text);
    f->live = f->objects_text = NULL;
    log_clear(f);
    queue_leave(&warm, f);
    f->warm = false;
    queue_join(&resting, f);
    bytes_count(f);
}

/* Who is asked about again is composed again: that costs a millisecond, and what all of them keep is bounded. */
static void warm_bound(const struct follow *but) {
    for (struct follow *f = warm.first, *next; f && warm_bytes > WARM_MOST; f = next) {
        next = f->next;
        if (f != but && !is_used(f))
            follow_rest(f);
    }
}

void follow_beat(void) {
    int64_t now = server_now_ms();
    int looks = LIVE_PER_BEAT;
    for (struct follow *f = warm.first, *next; f; f = next) {
        next = f->next;
        if (f->watches && !f->fetching && now - f->fetched_ms >= LIVE_MS && looks-- > 0)
            fetch_begin(f);
        else if (!is_used(f) && now - f->used_ms >= COLD_MS)
            follow_rest(f);
    }
    for (struct follow *f = resting.first, *next; f && now - f->used_ms >= FORGET_MS; f = next) {
        next = f->next;
        if (is_used(f))
            continue;
        map_remove(&by_name, f->name);
        follow_free(f);
    }
}

static void queue_free(struct queue *l) {
    while (l->first)
        follow_free(l->first);
}

void follow_fini(void) {
    queue_free(&warm);
    queue_free(&resting);
    map_fini(&by_name);
}
