/* SPDX-License-Identifier: GPL-3.0-or-later
 * listeners.c - the http and https listeners.
 */
#include "edge/edge.h"
#include <errno.h>
#include <stdlib.h>
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
    return list_bind(&c->http, c->workers, err) && list_bind(&c->https, c->workers, err) &&
           list_bind(&c->modules_http, 1, err);
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
