/* SPDX-License-Identifier: GPL-3.0-or-later
 * network.c - see network.h. Neither a namespace nor a device is the edge's to make. While one is missing, only that tenant's
 * pods are out of reach, and this says why; when it is there (again, perhaps as another under the same name), it heals by itself.
 *
 *   published with a place --looked at: the same--> nothing
 *                          --another, or none-----> compiled and published anew: other upstreams, so other kept connections,
 *                                                   checks, ejections; names are looked up again; joined connections are reset
 *
 * No dial waits for that: each checks by itself that the name still means the place it was published with (core/sys.c).
 */
#include "edge/network.h"
#include "core/log.h"
#include "edge/edge.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 250, LOOKS_MOST = 64 }; /* each; all of them, in a beat */

struct network_item {
    char *tenant, *netns, *device;
    struct place place; /* as published */
    int64_t looked_ns;
};

/* --- whom to look at -------------------------------------------------------------------------*/

static void namespaces_changed(struct loop_source *source, short revents) {
    struct networks *n = (struct networks *)((char *)source - offsetof(struct networks, source));
    char text[4096];
    (void)revents;
    while (read(source->fd, text, sizeof text) > 0)
        ;
    n->hurry = true;
}

void networks_init(struct networks *n, struct loop *loop) {
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    *n = (struct networks){.source = {.fd = fd, .events = POLLIN, .ready = namespaces_changed}};
    if (fd >= 0 && inotify_add_watch(fd, "/run/netns", IN_CREATE | IN_DELETE | IN_MOVE) >= 0 &&
        loop_add(loop, &n->source))
        return;
    if (fd >= 0)
        close(fd);
    n->source.fd = -1; /* each is looked at now and then all the same */
}

static void item_clear(struct network_item *i) {
    free(i->tenant);
    free(i->netns);
    free(i->device);
    *i = (struct network_item){0};
}

static struct network_item *item_find(struct networks *n, const char *tenant) {
    for (size_t i = 0; i < n->count; i++)
        if (!strcmp(n->item[i].tenant, tenant))
            return &n->item[i];
    return NULL;
}

static struct network_item *item_add(struct networks *n) {
    if (n->count == n->room) {
        size_t room = n->room ? 2 * n->room : 16;
        struct network_item *more = realloc(n->item, room * sizeof *more);
        if (!more)
            return NULL;
        n->item = more;
        n->room = room;
    }
    n->item[n->count] = (struct network_item){0};
    return &n->item[n->count++];
}

static void item_drop(struct networks *n, struct network_item *i) {
    item_clear(i);
    *i = n->item[--n->count];
}

static bool item_fill(struct network_item *i, const char *tenant, const struct version *v) {
    const struct network *n = &v->tenant->network;
    item_clear(i);
    i->tenant = strdup(tenant);
    i->netns = n->netns ? strdup(n->netns) : NULL;
    i->device = n->device ? strdup(n->device) : NULL;
    i->place = *v->place;
    i->looked_ns = loop_now_ns();
    return i->tenant && !i->netns == !n->netns && !i->device == !n->device;
}

/* Without memory it is not looked at until the tenant's next change; its dials find out by themselves. */
void networks_follow(struct networks *n, const char *tenant, const struct version *v) {
    bool wanted = v && (v->tenant->network.netns || v->tenant->network.device);
    struct network_item *i = n->count ? item_find(n, tenant) : NULL;
    if (!wanted && i)
        item_drop(n, i);
    if (!wanted)
        return;
    i = i ? i : item_add(n);
    if (i && !item_fill(i, tenant, v))
        item_drop(n, i);
}

/* --- looking ---------------------------------------------------------------------------------*/

/* What the look itself lacked says nothing of the network. */
static bool is_verdict(const struct place *p) {
    return p->error != -EMFILE && p->error != -ENFILE && p->error != -ENOMEM &&
           p->error != -ENOBUFS && p->error != -EBADF;
}

static bool is_same(const struct place *a, const struct place *b) {
    return a->space == b->space && a->device == b->device && a->error == b->error;
}

static void moved(struct edge *e, const char *tenant, const struct place *now, bool was_there) {
    char name[64], object[80];
    struct change change;
    snprintf(name, sizeof name, "%s", tenant); /* the item is replaced */
    snprintf(object, sizeof object, "Tenant %s", name);
    registry_moved(e->registry, name, time(NULL), &change);
    control_take(e, &change);
    lookups_again(e->lookups, name);
    control_flush(e);
    if (now->error) /* queued_publish has logged why, and the event lasts as long as that */
        return;
    const char *what = was_there ? "its network is another under the same name: connections of the "
                                   "earlier one have been closed"
                                 : "its network is there: pods are reached again";
    events_add(&e->events, name, object, false, "NetworkFound", what, time(NULL));
    log_write(2, "tenant %s: %s", name, what);
}

static void look(struct edge *e, struct network_item *i) {
    struct place now = sys_place(i->netns, i->device);
    i->looked_ns = loop_now_ns();
    if (is_verdict(&now) && !is_same(&now, &i->place))
        moved(e, i->tenant, &now, !i->place.error);
}

void networks_beat(struct edge *e) {
    struct networks *n = &e->networks;
    int64_t due = loop_now_ns() - (n->hurry ? 0 : LOOK_EVERY_MS * 1000000ll);
    size_t most = n->hurry || n->count < LOOKS_MOST ? n->count : LOOKS_MOST;
    n->hurry = false;
    for (size_t k = 0; k < most && n->count; k++) {
        struct network_item *i = &n->item[n->next++ % n->count];
        n->next %= n->count;
        if (i->looked_ns <= due)
            look(e, i);
    }
}

void networks_fini(struct networks *n, struct loop *loop) {
    if (n->source.fd >= 0) {
        loop_remove(loop, &n->source);
        close(n->source.fd);
    }
    for (size_t i = 0; i < n->count; i++)
        item_clear(&n->item[i]);
    free(n->item);
    *n = (struct networks){.source.fd = -1};
}

/* --- saying so -------------------------------------------------------------------------------*/

const char *network_missing(const struct version *v, char why[NETWORK_WHY_MAX]) {
    const struct network *n = &v->tenant->network;
    switch (v->place->error) {
    case 0:
        return NULL;
    case -ENOENT:
        snprintf(why, NETWORK_WHY_MAX,
                 "network namespace `%.100s` is not there: no pod can be reached until "
                 "`ip netns add %.100s` or what else makes it has run",
                 n->netns, n->netns);
        break;
    case -ENODEV:
        snprintf(why, NETWORK_WHY_MAX,
                 "network device `%.50s` is not there%s%.100s: no pod can be reached until it is",
                 n->device, n->netns ? ", in network namespace " : "", n->netns ? n->netns : "");
        break;
    case -EPERM:
        snprintf(why, NETWORK_WHY_MAX,
                 "network namespace `%.100s` can't be entered: no pod can be reached; that takes "
                 "CAP_SYS_ADMIN, which this process gave up or never had",
                 n->netns);
        break;
    case -ELOOP:
        snprintf(why, NETWORK_WHY_MAX,
                 "network namespace `%.100s` is the edge's own, not a private network: no pod is "
                 "reached through it; leave `netns` out to mean it",
                 n->netns);
        break;
    default:
        snprintf(why, NETWORK_WHY_MAX, "the network can't be looked at: %s; no pod can be reached",
                 strerror(-v->place->error));
    }
    return why;
}

void network_events_add(json_t *rows, json_t *tenants) {
    char why[NETWORK_WHY_MAX];
    json_t *row;
    size_t i;
    json_array_foreach(tenants, i, row) {
        const char *name = json_string_value(json_object_get(row, "tenant"));
        const struct version *v = name ? published(name) : NULL;
        if (v && network_missing(v, why))
            json_array_append_new(rows,
                                  json_pack("{s:s s:s s:o s:s s:s s:n}", "tenant", name, "type",
                                            "Warning", "object", json_sprintf("Tenant %s", name),
                                            "reason", "NetworkMissing", "message", why, "since"));
    }
}
