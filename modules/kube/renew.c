/* SPDX-License-Identifier: GPL-3.0-or-later
 * renew.c - see renew.h.
 */
#include "modules/kube/renew.h"
#include "core/map.h"
#include "modules/kube/parts.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- versions ---- */

static _Atomic uint64_t last_version;

uint64_t version_last(void) {
    return atomic_load(&last_version);
}

uint64_t version_next(void) {
    uint64_t none = 0;
    struct timespec t;
    if (!version_last()) {
        clock_gettime(CLOCK_REALTIME, &t);
        atomic_compare_exchange_strong(&last_version, &none,
                                       (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
    }
    return atomic_fetch_add(&last_version, 1) + 1;
}

static void version_set(json_t *object, uint64_t version) {
    char text[RV_TEXT];
    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_string(version_text(version, text)));
}

/* ---- keys ---- */

const char *key_print(const char *kind, const char *name, char out[KEY_MAX]) {
    snprintf(out, KEY_MAX, "%.60s/%.600s", kind, name);
    return out;
}

static int key_order(const void *key, const void *kept) {
    return strcmp(key, (*(struct kept *const *)kept)->key);
}

struct kept **kept_find(const struct follow *f, const char *key) {
    return f->count ? bsearch(key, f->list, f->count, sizeof *f->list, key_order) : NULL;
}

static struct kept *kept_new(const struct kube_kind *kind, const char *key) {
    size_t length = strlen(key) + 1;
    struct kept *k = calloc(1, sizeof *k + length);
    if (!k)
        abort();
    memcpy(k->key, key, length);
    k->kind = kind;
    return k;
}

/* ---- what is known ---- */

/* Takes what is live; NULL: nothing. */
static json_t *known_of(json_t *live, const char *objects) {
    json_t *known = live ? live : json_object();
    json_t *list = objects ? json_loads(objects, 0, NULL) : NULL;
    json_object_set_new(known, "objects", list ? list : json_array());
    known_fit(known);
    return known;
}

json_t *known_json(const char *live, const char *objects) {
    return known_of(live ? json_loads(live, 0, NULL) : NULL, objects);
}

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

static uint64_t text_hash(const char *text) {
    return text ? hash_bytes(text, strlen(text)) : 0;
}

static void tenant_read(struct renewal *r, const json_t *live) {
    const json_t *row = json_array_get(json_object_get(live, "tenants"), 0);
    r->there = row != NULL;
    r->refused = json_is_string(json_object_get(row, "error"));
    snprintf(r->uid, sizeof r->uid, "%s", text_of(row, "uid"));
}

/* What is live, pruned; the caller's. NULL: it can't be read. */
static json_t *texts_read(struct renewal *r) {
    const struct follow *f = r->of;
    json_t *live = r->fetched_live ? json_loads(r->fetched_live, 0, NULL) : NULL;
    if (!live)
        return NULL;
    r->read = true;
    tenant_read(r, live);
    live_prune(live);
    r->live = json_dumps(live, JSON_COMPACT);
    r->live_hash = text_hash(r->live);
    r->objects_hash = r->fetched_objects ? text_hash(r->fetched_objects) : f->objects_hash;
    r->news = !f->warm || r->live_hash != f->live_hash || r->objects_hash != f->objects_hash;
    return live;
}

/* ---- an object ---- */

static uint64_t object_hash(const json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT);
    uint64_t hash = text_hash(text);
    free(text);
    return hash;
}

/* An object that does not say since when it is there is as old as its file was when it was first seen; what the edge made, as that, or
 * as old as anything is that was there when the tenant was first looked at. What is longer than a time of ours was written, and stays
 * as it is written. */
static void created_keep(struct renewed *now, const struct composed *c, bool first) {
    json_t *metadata = json_object_get(c->object, "metadata");
    const struct kept *k = now->of;
    now->uid = text_hash(text_of(metadata, "uid"));
    if (k->uid == now->uid && *k->created)
        json_object_set_new(metadata, "creationTimestamp", json_string(k->created));
    else if (c->undated && !first)
        json_object_set_new(metadata, "creationTimestamp", time_json(time(NULL)));
    const char *created = text_of(metadata, "creationTimestamp");
    snprintf(now->created, sizeof now->created, "%s", strlen(created) < TIME_TEXT ? created : "");
}

/* A warning of what is so, which nobody dates, is as old as it is here. */
static void event_date(json_t *event) {
    static const char *const times[] = {"firstTimestamp", "lastTimestamp"};
    json_t *created = json_object_get(json_object_get(event, "metadata"), "creationTimestamp");
    for (size_t i = 0; i < 2; i++)
        if (!json_object_get(event, times[i]))
            json_object_set(event, times[i], created);
}

/* What is as it was keeps its version, also over a rest. */
static void object_renew(struct renewed *now, const struct composed *c, bool first) {
    const struct kept *k = now->of;
    created_keep(now, c, first);
    if (!strcmp(c->kind->kind, "Event"))
        event_date(c->object);
    now->written = c->written;
    now->hash = object_hash(c->object);
    now->changed = now->is_new || k->hash != now->hash;
    now->version = now->changed ? version_next() : k->version;
    if (!now->changed && k->object)
        return;
    version_set(c->object, now->version);
    now->object = blob_new(c->object);
}

static struct blob *gone_object(const struct kept *k, uint64_t version) {
    json_t *object = blob_json(k->object);
    version_set(object, version);
    struct blob *b = blob_new(object);
    json_decref(object);
    return b;
}

/* ---- all of them ---- */

static int renewed_order(const void *left, const void *right) {
    return strcmp(((const struct renewed *)left)->of->key,
                  ((const struct renewed *)right)->of->key);
}

/* `seen`: of each object that was, whether it still is. */
static void composition_take(struct renewal *r, const struct composition *all, bool *seen) {
    for (size_t i = 0; i < all->count; i++) {
        const struct composed *c = &all->item[i];
        char key[KEY_MAX];
        if (composed_find(all, c->kind->kind, object_name(c->object)) != c->object)
            continue; /* of two of one name the last one is it */
        struct kept **was = kept_find(r->of, key_print(c->kind->kind, object_name(c->object), key));
        struct renewed *now = &r->item[r->count++];
        *now = (struct renewed){.of = was ? *was : kept_new(c->kind, key), .is_new = !was};
        if (was)
            seen[was - r->of->list] = true;
        object_renew(now, c, !r->of->list);
    }
    if (r->count)
        qsort(r->item, r->count, sizeof *r->item, renewed_order);
}

static void gone_take(struct renewal *r, const bool *seen) {
    for (size_t i = 0; i < r->of->count; i++) {
        struct kept *k = r->of->list[i];
        if (seen[i])
            continue;
        struct gone *g = &r->gone[r->gone_count++];
        *g = (struct gone){.of = k, .version = version_next()};
        g->object = k->object ? gone_object(k, g->version) : NULL;
    }
}

void renewal_make(struct renewal *r) {
    struct composition all;
    json_t *live = texts_read(r);
    if (!r->news) {
        json_decref(live);
        return;
    }
    json_t *known = known_of(live, r->fetched_objects ? r->fetched_objects : r->of->objects_text);
    compose(known, r->uid, r->of->since, &all);
    json_decref(known);
    bool *seen = calloc(r->of->count + 1, sizeof *seen);
    r->item = calloc(all.count + 1, sizeof *r->item);
    r->gone = calloc(r->of->count + 1, sizeof *r->gone);
    if (!seen || !r->item || !r->gone)
        abort();
    composition_take(r, &all, seen);
    gone_take(r, seen);
    composition_fini(&all);
    free(seen);
}

void renewal_fini(struct renewal *r) {
    for (size_t i = 0; i < r->count; i++) {
        blob_unref(r->item[i].object);
        if (r->item[i].is_new)
            free(r->item[i].of);
    }
    for (size_t i = 0; i < r->gone_count; i++)
        blob_unref(r->gone[i].object);
    free(r->item);
    free(r->gone);
    free(r->live);
    free(r->fetched_live);
    free(r->fetched_objects);
    *r = (struct renewal){0};
}
