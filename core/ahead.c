/* SPDX-License-Identifier: GPL-3.0-or-later
 * ahead.c - with thousands of tenants, what a request looks at is in no cache: a dozen misses, each waiting for the one before.
 * Requests that came in the same turn wait together instead: each step fetches one link of the chain for all of them.
 *
 *   name -> slot -> node -> version, host -> account, pins, routes -> backend -> set -> upstream -> kept connection
 *
 *   hook: conn_look_ahead --\
 *   hook: conn_look_ahead ---+--> ahead_run: step 1 of all, step 2 of all ... then `run` of each
 *   hook: conn_look_ahead --/
 *
 * Only prefetches, guessing that a host's first route is the one: whoever runs then looks for himself. Reads what RCU publishes,
 * within the turn: what TLS still had and gives from a flush, behind ahead_run, is not waited with. With few names, all of it is
 * in the cache anyway and nobody waits.
 */
#include "core/ahead.h"
#include "core/conn.h"
#include "core/directory.h"
#include "core/pool.h"

enum { LINE = 64, FEW_NAMES = 256, ROW_LINES = sizeof(struct account_worker) / LINE };

static void fetch(const void *at, unsigned lines) {
    for (unsigned i = 0; i < lines; i++)
        __builtin_prefetch((const char *)at + i * LINE);
}

bool conn_look_ahead(struct conn *c, const char *host, size_t length,
                     void (*run)(struct conn *, void *user), void *user) {
    struct ahead *a = &c->sock.owner.worker->ahead;
    char name[254];
    if (!a->open || a->count == AHEAD_MOST || names_count() < FEW_NAMES)
        return false;
    size_t size = name_normalise(host, length, name);
    if (!size)
        return false;
    struct ahead_item *item = &a->item[a->count++];
    *item = (struct ahead_item){.conn = c, .run = run, .user = user};
    item->at = names_slot(name, size, &item->hash);
    fetch(item->at, 1);
    return true;
}

void conn_look_away(struct conn *c) {
    struct ahead *a = &c->sock.owner.worker->ahead;
    for (unsigned i = 0; i < a->count; i++)
        if (a->item[i].conn == c)
            a->item[i].run = NULL;
}

/* ---- the steps: what `at` points at is in the cache now; fetch what it points at ---- */

static void step_slot(struct ahead_item *i, unsigned worker) {
    (void)worker;
    i->at = names_slot_node(i->at, i->hash);
    if (i->at)
        fetch(i->at, 1);
}

static void step_node(struct ahead_item *i, unsigned worker) {
    const struct name_node *n = i->at;
    (void)worker;
    i->at = n->entry.object;
    i->then = n->entry.version;
    fetch(i->then, 1);
    if (i->at)
        fetch(i->at, 1);
}

static void step_host(struct ahead_item *i, unsigned worker) {
    const struct version *v = i->then;
    const struct host *h = i->at;
    if (!v) { /* nobody's */
        i->at = NULL;
        return;
    }
    fetch(&v->account->w[worker], ROW_LINES);
    fetch(&v->pins[(size_t)worker * PIN_STRIDE], 1);
    fetch(&v->tenant->any, 1);
    i->at = h && h->route_count ? h->route : NULL;
    if (i->at)
        fetch(i->at, 1);
}

static void step_route(struct ahead_item *i, unsigned worker) {
    const struct route *r = i->at;
    (void)worker;
    fetch(r->path, 1);
    i->at = r->backend;
    fetch(i->at, 2);
}

static void step_backend(struct ahead_item *i, unsigned worker) {
    const struct backend *b = i->at;
    (void)worker;
    i->at = b->host_set;
    if (i->at)
        fetch(i->at, 1);
}

static void step_set(struct ahead_item *i, unsigned worker) {
    const struct upstream_set *s = i->at;
    i->at = s->count ? &s->member[0]->w[worker] : NULL;
    if (i->at)
        fetch(i->at, 1);
}

static void step_upstream(struct ahead_item *i, unsigned worker) {
    const struct upstream_slot *s = i->at;
    (void)worker;
    i->at = s->idle;
    if (i->at)
        fetch(i->at, 6);
}

typedef void step_fn(struct ahead_item *, unsigned worker);

static void steps_run(struct ahead *a, unsigned worker) {
    static step_fn *const step[] = {step_slot,    step_node, step_host,    step_route,
                                    step_backend, step_set,  step_upstream};
    for (unsigned s = 0; s < sizeof step / sizeof *step; s++)
        for (unsigned i = 0; i < a->count; i++)
            if (a->item[i].at)
                step[s](&a->item[i], worker);
}

void ahead_open(struct worker *w) {
    w->ahead.open = true;
}

void ahead_run(struct worker *w) {
    struct ahead *a = &w->ahead;
    a->open = false;
    steps_run(a, w->id);
    for (unsigned i = 0; i < a->count; i++) {
        struct ahead_item *item = &a->item[i];
        if (!item->run)
            continue;
        worker_pays(w, item->conn->sock.owner.account);
        item->run(item->conn, item->user);
    }
    a->count = 0;
}
