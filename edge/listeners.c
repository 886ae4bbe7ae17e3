/* SPDX-License-Identifier: GPL-3.0-or-later
 * listeners.c - the http and https listeners, and every address the edge itself answers on.
 */
#include "edge/address.h"
#include "edge/edge.h"
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUSY_TRIES = 40, BUSY_PAUSE_MS = 50 };

/* The kernel gives a killed edge's ports back a moment after it is gone: the rings that held them are taken down late. */
static bool bind_patiently(const union address *address, unsigned workers, struct err *err) {
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000};
    bool bound = listener_bind(address, workers, err);
    for (int i = 0; !bound && errno == EADDRINUSE && i < BUSY_TRIES; i++) {
        nanosleep(&pause, NULL);
        bound = listener_bind(address, workers, err);
    }
    return bound;
}

static bool list_bind(const struct address_list *list, unsigned workers, struct err *err) {
    for (size_t i = 0; i < list->count; i++)
        if (!bind_patiently(&list->item[i], workers, err))
            return false;
    return true;
}

bool listeners_bind(const struct edge_conf *c, struct err *err) {
    return list_bind(&c->http, c->workers, err) && list_bind(&c->https, c->workers, err);
}

static bool list_open(struct edge *e, enum listener_kind kind, const struct address_list *list,
                      struct err *err) {
    for (size_t i = 0; i < list->count; i++) {
        struct listener *listener = listener_open(kind, &list->item[i], err);
        if (!listener)
            return false;
        e->listener[e->listener_count++] = listener;
    }
    return true;
}

bool listeners_open(struct edge *e, struct err *err) {
    const struct edge_conf *c = e->conf;
    e->listener = calloc(c->http.count + c->https.count + 1, sizeof(struct listener *));
    if (!e->listener)
        return err_set(err, "out of memory");
    return list_open(e, LISTENER_HTTP, &c->http, err) &&
           list_open(e, LISTENER_HTTPS, &c->https, err);
}

void listeners_start(struct edge *e) {
    for (size_t i = 0; i < e->listener_count; i++)
        listener_start(e->listener[i]);
    ports_serve(&e->ports);
    e->serving = true;
}

void listeners_close(struct edge *e) {
    for (size_t i = 0; i < e->listener_count; i++)
        listener_close(e->listener[i]);
    e->listener_count = 0;
    free(e->listener);
    e->listener = NULL;
    ports_fini(&e->ports);
}

/* --- our own addresses -----------------------------------------------------------------------*/

struct own {
    union address *item;
    size_t count;
};

static void own_add(struct own *o, const union address *a) {
    union address *more = realloc(o->item, (o->count + 1) * sizeof *more);
    if (!more)
        return;
    o->item = more;
    more[o->count++] = *a;
}

static bool covers(const union address *any, const struct sockaddr *local) {
    return local && (local->sa_family == AF_INET ||
                     (local->sa_family == AF_INET6 && any->any.sa_family == AF_INET6));
}

/* A listener on 0.0.0.0 answers on each address of the machine; one on [::] on those of both families. */
static void own_add_all(struct own *o, const union address *listener,
                        const struct ifaddrs *interfaces) {
    own_add(o, listener);
    if (!address_is_any(listener))
        return;
    for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
        union address a = {0};
        if (!covers(listener, i->ifa_addr))
            continue;
        memcpy(&a, i->ifa_addr, i->ifa_addr->sa_family == AF_INET ? sizeof a.v4 : sizeof a.v6);
        address_set_port(&a, address_port(listener));
        own_add(o, &a);
    }
}

union address *own_addresses(const struct edge_conf *c, size_t *ret_count) {
    const struct address_list *list[] = {&c->http, &c->https, &c->admin_http};
    struct ifaddrs *interfaces = NULL;
    struct own own = {0};
    if (getifaddrs(&interfaces))
        log_write(1, "the machine's own addresses are unknown: pods are checked against the "
                     "listeners' as written");
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < list[i]->count; k++)
            own_add_all(&own, &list[i]->item[k], interfaces);
    if (interfaces)
        freeifaddrs(interfaces);
    *ret_count = own.count;
    return own.item;
}
