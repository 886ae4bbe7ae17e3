/* SPDX-License-Identifier: GPL-3.0-or-later
 * feed.c - keeps what each feed says of each tenant, whether that tenant is there or not, and compiles him when it changes.
 */
#include "tenants/feed.h"
#include "core/map.h"
#include "tenants/inside.h"
#include "tenants/labels.h"
#include <stdlib.h>
#include <string.h>

struct feed {
    struct feed *next; /* of the same tenant */
    const char *name;
    struct stash *stash; /* of all it says */
    struct fed_workload *item;
    size_t count;
    uint64_t digest;
};
struct fed_tenant {
    struct feed *first; /* by name, so that the same feeds always give the same order */
    char name[];
};

/* ---- what was said ---- */

static uint64_t mix(uint64_t digest, const char *text) {
    uint64_t parts[2] = {digest, text ? hash_bytes(text, strlen(text)) : 0};
    return hash_bytes(parts, sizeof parts);
}

static uint64_t fed_digest(uint64_t digest, const struct fed *fed) {
    const char *words[] = {fed->object, fed->name, fed->group, fed->not_ready, fed->id, fed->image};
    const int64_t numbers[] = {fed->created, fed->started, fed->restarts};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        digest = mix(digest, words[i]);
    digest ^= hash_bytes(numbers, sizeof numbers);
    for (size_t i = 0; i < fed->label_count; i++)
        digest = mix(mix(digest, fed->label[i].key), fed->label[i].value);
    for (size_t i = 0; i < fed->address_count; i++)
        digest = mix(digest, fed->address[i]);
    return mix(digest, NULL);
}

static void labels_take(struct stash *stash, const struct fed *fed, struct dict *ret) {
    for (size_t i = 0; i < fed->label_count && ret->count < FED_LABELS_MOST; i++) {
        if (!label_is_ours(fed->label[i].key))
            continue;
        ret->item = stash_room(stash, ret->item, ret->count, sizeof *ret->item);
        ret->item[ret->count++] =
            (struct word_pair){.key = {.text = stash_text(stash, fed->label[i].key)},
                               .value = {.text = stash_text(stash, fed->label[i].value)}};
    }
}

static void fed_take(struct stash *stash, const struct fed *fed, struct fed_workload *to) {
    to->object = stash_text(stash, fed->object);
    to->name = stash_text(stash, fed->name);
    to->group = stash_text(stash, fed->group);
    to->not_ready = stash_text(stash, fed->not_ready);
    to->id = stash_text(stash, fed->id);
    to->image = stash_text(stash, fed->image);
    to->created = fed->created;
    to->started = fed->started;
    to->restarts = fed->restarts;
    labels_take(stash, fed, &to->labels);
    size_t count =
        fed->address_count < FED_ADDRESSES_MOST ? fed->address_count : FED_ADDRESSES_MOST;
    const char **address = stash_array(stash, count + 1, sizeof *address);
    for (size_t i = 0; i < count; i++)
        address[i] = stash_text(stash, fed->address[i]);
    to->address = address;
    to->address_count = count;
}

/* ---- who says it ---- */

static struct fed_tenant *fed_tenant_need(struct registry *registry, const char *tenant) {
    struct fed_tenant *t = table_get(&registry->feeds, tenant);
    if (t)
        return t;
    t = calloc(1, sizeof *t + strlen(tenant) + 1);
    if (!t)
        abort();
    memcpy(t->name, tenant, strlen(tenant) + 1);
    table_put(&registry->feeds, t->name, t);
    return t;
}

static void feed_free(struct feed *feed) {
    stash_free(feed->stash);
    free(feed);
}

/* Where it is, or would be. */
static struct feed **feed_place(struct fed_tenant *t, const char *name) {
    struct feed **at = &t->first;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    return at;
}

static void feed_remove(struct registry *registry, struct fed_tenant *t, struct feed **at) {
    struct feed *gone = *at;
    *at = gone->next;
    feed_free(gone);
    if (t->first)
        return;
    table_drop(&registry->feeds, t->name);
    free(t);
}

static void feed_replace(struct feed **at, const char *name, const struct fed *list, size_t count,
                         uint64_t digest) {
    struct feed *feed = calloc(1, sizeof *feed), *before = *at;
    bool same = before && !strcmp(before->name, name);
    if (!feed)
        abort();
    feed->stash = stash_new();
    feed->name = stash_text(feed->stash, name);
    feed->item = stash_array(feed->stash, count, sizeof *feed->item);
    feed->count = count;
    feed->digest = digest;
    for (size_t i = 0; i < count; i++) {
        fed_take(feed->stash, &list[i], &feed->item[i]);
        feed->item[i].feed = feed->name;
    }
    feed->next = same ? before->next : before;
    *at = feed;
    if (same)
        feed_free(before);
}

void registry_feed(struct registry *registry, const char *tenant, const char *name,
                   const struct fed *list, size_t count, int64_t now, struct change *ret) {
    uint64_t digest = mix(0, name);
    change_begin(registry, ret, now);
    count = count < FEED_MOST ? count : FEED_MOST;
    for (size_t i = 0; i < count; i++)
        digest = fed_digest(digest, &list[i]);
    struct fed_tenant *t =
        count ? fed_tenant_need(registry, tenant) : table_get(&registry->feeds, tenant);
    if (!t)
        return;
    struct feed **at = feed_place(t, name);
    bool there = *at && !strcmp((*at)->name, name);
    if (there ? (*at)->digest == digest : !count)
        return;
    if (count)
        feed_replace(at, name, list, count, digest);
    else
        feed_remove(registry, t, at);
    struct entry *entry = entry_find(registry, tenant);
    if (entry)
        entry_touch(registry, entry);
    touched_compile(registry, now, ret);
}

void feeds_each(const struct registry *registry, const char *tenant,
                void (*take)(void *user, const struct fed_workload *), void *user) {
    const struct fed_tenant *t = table_get(&registry->feeds, tenant);
    for (const struct feed *feed = t ? t->first : NULL; feed; feed = feed->next)
        for (size_t i = 0; i < feed->count; i++)
            take(user, &feed->item[i]);
}

void feeds_fini(struct registry *registry) {
    struct fed_tenant *t;
    for (size_t at = 0; (t = table_next(&registry->feeds, &at));) {
        for (struct feed *feed = t->first, *next; feed; feed = next) {
            next = feed->next;
            feed_free(feed);
        }
        free(t);
    }
    table_fini(&registry->feeds);
}
