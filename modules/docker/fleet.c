/* SPDX-License-Identifier: GPL-3.0-or-later
 * fleet.c - see fleet.h. A container is a tenant's by the engine it runs in or by the network it is on; one that is on networks of
 * two tenants is nobody's: whoever may join it to the second must not speak for the first.
 */
#include "modules/docker/fleet.h"
#include <stdlib.h>
#include <string.h>

static void kept_free(void *value) {
    struct kept *kept = value;
    stash_free(kept->stash);
    free(kept);
}

struct kept *fleet_get(const struct fleet *f, const char *id) {
    return map_get(&f->containers, id);
}

void fleet_drop(struct fleet *f, const char *id) {
    struct kept *kept = map_remove(&f->containers, id);
    if (kept)
        kept_free(kept);
}

bool fleet_put(struct fleet *f, struct stash *stash, const struct container *c) {
    const struct kept *before = fleet_get(f, c->id);
    struct kept *kept =
        f->containers.count - (before != NULL) < CONTAINERS_MOST ? calloc(1, sizeof *kept) : NULL;
    if (kept)
        *kept = (struct kept){
            .stash = stash, .c = *c, .digest = before ? before->digest : 0, .here = true};
    fleet_drop(f, c->id);
    if (kept && map_put(&f->containers, c->id, kept))
        return true;
    free(kept);
    stash_free(stash);
    return false;
}

void fleet_fini(struct fleet *f) {
    map_clear(&f->containers, kept_free);
}

/* ---- whose ---- */

struct owners {
    const char *tenant; /* the first found */
    bool several;
};

static void owner_add(struct owners *o, const char *tenant) {
    o->several |= tenant && o->tenant && strcmp(o->tenant, tenant) != 0;
    if (tenant && !o->tenant)
        o->tenant = tenant;
}

static struct owners owners_of(const struct docker_engine *conf, const struct container *c) {
    struct owners o = {.tenant = conf->tenant};
    if (c->host)
        owner_add(&o, engine_network_tenant(conf, "host"));
    for (size_t i = 0; i < c->network_count; i++)
        owner_add(&o, engine_network_tenant(conf, c->network[i].name));
    return o;
}

/* Is it on a network of this tenant, whoever else's it is on? */
static bool is_near(const struct docker_engine *conf, const struct container *c,
                    const char *tenant) {
    for (size_t i = 0; i < c->network_count; i++) {
        const char *owner = engine_network_tenant(conf, c->network[i].name);
        if (owner && !strcmp(owner, tenant))
            return true;
    }
    return false;
}

/* ---- what is told ---- */

static void addresses_take(struct stash *stash, const struct docker_engine *conf,
                           const struct container *c, struct fed *fed) {
    const char **address = stash_array(stash, 2 * c->network_count + 2, sizeof *address);
    for (size_t i = 0; i < c->network_count; i++)
        for (int k = 0; k < 2 && engine_network_tenant(conf, c->network[i].name); k++)
            if (*c->network[i].address[k])
                address[fed->address_count++] = stash_text(stash, c->network[i].address[k]);
    if (c->host) /* the engine's socket is here, so its host is this one */
        address[fed->address_count++] = "127.0.0.1";
    fed->address = address;
}

static void fed_make(struct news *n, const struct docker_engine *conf, const struct container *c,
                     const char *hinders) {
    struct fed *fed = &n->fed[n->count++];
    struct fed_label *label = stash_array(n->stash, c->label_count + 1, sizeof *label);
    for (size_t i = 0; i < c->label_count; i++)
        label[i] = (struct fed_label){stash_text(n->stash, c->label[i].key),
                                      stash_text(n->stash, c->label[i].value)};
    *fed = (struct fed){
        .object = stash_format(n->stash, "Container/%s", c->name),
        .name = stash_text(n->stash, c->name),
        .group = stash_text(n->stash, c->group),
        .label = label,
        .label_count = c->label_count,
        .not_ready = stash_text(n->stash, hinders ? hinders : c->not_ready),
        .id = stash_text(n->stash, c->id),
        .image = stash_text(n->stash, c->image),
        .created = c->created,
        .started = c->started,
        .restarts = c->restarts,
    };
    addresses_take(n->stash, conf, c, fed);
}

static void several_tell(struct news *n, const struct container *c) {
    n->event[n->event_count++] = (struct news_event){
        .object = stash_format(n->stash, "Container/%s", c->name),
        .reason = "SeveralTenants",
        .message = "it is on networks of more than one tenant: it gets no route of any",
    };
}

static int by_name(const void *a, const void *b) {
    const struct container *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order ? order : strcmp((*x)->id, (*y)->id);
}

/* In the order of names: the same containers always say the same. */
static const struct container **sorted(const struct fleet *f, struct stash *stash) {
    const struct container **list =
        stash_array(stash, f->containers.count + 1, sizeof(struct container *));
    size_t count = 0;
    for (size_t i = 0; i < f->containers.room; i++)
        if (f->containers.slot[i].key)
            list[count++] = &((struct kept *)f->containers.slot[i].value)->c;
    qsort(list, count, sizeof *list, by_name);
    return list;
}

struct news *fleet_news(const struct fleet *f, const char *tenant, const char *hinders) {
    struct stash *stash = stash_new();
    struct news *n = stash_alloc(stash, sizeof *n);
    const struct container **list = sorted(f, stash);
    *n = (struct news){.stash = stash, .tenant = stash_text(stash, tenant)};
    n->fed = stash_array(stash, f->containers.count + 1, sizeof *n->fed);
    n->event = stash_array(stash, f->containers.count + 1, sizeof *n->event);
    for (size_t i = 0; list[i]; i++) {
        struct owners o = owners_of(f->conf, list[i]);
        if (o.several && is_near(f->conf, list[i], tenant))
            several_tell(n, list[i]);
        else if (!o.several && o.tenant && !strcmp(o.tenant, tenant))
            fed_make(n, f->conf, list[i], hinders);
    }
    return n;
}
