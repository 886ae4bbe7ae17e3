/* SPDX-License-Identifier: GPL-3.0-or-later
 * follow.c - see follow.h.
 */
#include "modules/kube/follow.h"
#include "core/control_host.h"
#include "modules/kube/desk.h"
#include "modules/kube/heavy.h"
#include "modules/kube/renew.h"
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
static _Atomic uint64_t figure_tenants, figure_objects, figure_changes;

struct follow_figures follow_figures(void) {
    return (struct follow_figures){atomic_load(&figure_tenants), atomic_load(&figure_objects),
                                   atomic_load(&figure_changes)};
}

json_t *follow_known(const struct follow *f) {
    return known_json(f->live, f->objects_text);
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
    if (version < f->log_from || version > version_last())
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

static void warm_up(struct follow *f) {
    queue_leave(queue_of(f), f);
    f->warm = true;
    queue_join(&warm, f);
}

/* ---- objects ---- */

struct kept *follow_find(const struct follow *f, const char *kind, const char *name) {
    char key[KEY_MAX];
    struct kept **found = kept_find(f, key_print(kind, name, key));
    return found ? *found : NULL;
}

static void kept_free(struct kept *k) {
    blob_unref(k->object);
    free(k);
    atomic_fetch_sub(&figure_objects, 1);
}

static size_t text_length(const char *text) {
    return text ? strlen(text) : 0;
}

static size_t follow_bytes(const struct follow *f) {
    size_t sum = f->log_bytes + f->log_room * sizeof *f->log;
    for (size_t i = 0; i < f->count; i++)
        sum += f->list[i]->object ? sizeof(struct blob) + f->list[i]->object->length + 1 : 0;
    return sum + text_length(f->live) + text_length(f->objects_text);
}

static void bytes_count(struct follow *f) {
    size_t now = f->warm ? follow_bytes(f) : 0;
    warm_bytes += now - f->bytes;
    f->bytes = now;
}

/* `told`: the log goes on, and says what it was. */
static void renewed_take(struct follow *f, struct renewed *now, bool told) {
    struct kept *k = now->of;
    struct blob *before = k->object;
    atomic_fetch_add(&figure_objects, now->is_new);
    now->is_new = false; /* it is the tenant's now */
    k->hash = now->hash;
    k->version = now->version;
    k->uid = now->uid;
    k->written = now->written;
    memcpy(k->created, now->created, sizeof k->created);
    if (!now->object)
        return;
    k->object = now->object;
    now->object = NULL;
    if (now->changed && told)
        log_add(f, k->kind, before, blob_ref(k->object), k->version);
    else
        blob_unref(before);
}

static void gone_take(struct follow *f, struct gone *g, bool told) {
    if (told && g->object) {
        log_add(f, g->of->kind, g->object, NULL, g->version);
        g->object = NULL;
    }
    kept_free(g->of);
}

static void objects_take(struct follow *f, struct renewal *r) {
    struct kept **list = calloc(r->count + 1, sizeof *list);
    bool told = f->warm, changed = r->gone_count;
    if (!list)
        abort();
    for (size_t i = 0; i < r->count; i++) {
        changed |= r->item[i].changed;
        renewed_take(f, &r->item[i], told);
        list[i] = r->item[i].of;
    }
    for (size_t i = 0; i < r->gone_count; i++)
        gone_take(f, &r->gone[i], told);
    free(f->list);
    f->list = list;
    f->count = r->count;
    if (told || !changed)
        return;
    f->version =
        version_next(); /* what came before a rest is not known: from here on a watch may go on */
    log_clear(f);
}

static void text_take(char **to, char **from) {
    free(*to);
    *to = *from;
    *from = NULL;
}

static void renewal_take(struct follow *f, struct renewal *r) {
    if (!r->read)
        return;
    f->there = r->there;
    f->refused = r->refused;
    snprintf(f->uid, sizeof f->uid, "%s", r->uid);
    text_take(&f->live, &r->live);
    f->live_hash = r->live_hash;
    if (r->fetched_objects)
        text_take(&f->objects_text, &r->fetched_objects);
    f->objects_hash = r->objects_hash;
    if (!r->news)
        return;
    objects_take(f, r);
    warm_up(f);
}

/* ---- fetching ---- */

struct fetch {
    struct job job;
    char name[64];
    bool with_objects;
    int64_t took_ms;
    struct renewal renewal;
};

static void fetch_free(struct job *j) {
    struct fetch *f = (struct fetch *)j;
    renewal_fini(&f->renewal);
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
    f->renewal.fetched_live = live_text(f->name);
    if (f->with_objects)
        f->renewal.fetched_objects = control_get("objects", f->name);
    f->took_ms = server_now_ms() - begun;
}

/* This thread, or of a large tenant the one for what is heavy. */
static void renew_run(struct job *j) {
    struct fetch *f = (struct fetch *)j;
    int64_t begun = server_now_ms();
    renewal_make(&f->renewal);
    f->took_ms += server_now_ms() - begun;
}

static void askers_tell(struct asker *list, struct follow *f) {
    for (struct asker *next; list; list = next) {
        next = list->next;
        list->follow = NULL;
        list->ready(list, f);
    }
}

static void fetch_begin(struct follow *f);

static void warm_bound(const struct follow *but);

static void renew_done(struct job *j) {
    struct fetch *fetch = (struct fetch *)j;
    struct follow *f = map_get(&by_name, fetch->name);
    int64_t begun = server_now_ms();
    renewal_take(f, &fetch->renewal);
    bytes_count(f);
    warm_bound(f);
    f->fetching = false;
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
    fetch_free(j);
}

/* Nobody lets go of a tenant that is looked at: it is there, as it was. */
static void fetch_done(struct job *j) {
    struct fetch *fetch = (struct fetch *)j;
    struct renewal *r = &fetch->renewal;
    r->of = map_get(&by_name, fetch->name);
    j->run = renew_run;
    j->done = renew_done;
    if (text_length(r->fetched_live) +
            text_length(r->fetched_objects ? r->fetched_objects : r->of->objects_text) >=
        HEAVY_BYTES) {
        heavy_run(j);
        return;
    }
    renew_run(j);
    renew_done(j);
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

void follow_heavy(const char *tenant, int more) {
    struct follow *f = map_get(&by_name, tenant);
    if (f)
        f->heavy_lists += (unsigned)more;
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
    return f->watches || f->fetching || f->waiting || f->heavy_lists;
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
