/* SPDX-License-Identifier: GPL-3.0-or-later
 * upstream.c - see upstream.h and pod.h.
 */
#include "core/control.h"
#include "core/module.h"
#include "core/pod.h"
#include "core/sys.h"
#include "tenants/network.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MOST = 512, IDLE_MS = 60000, FAILED_MS = 1000 };

struct upstream_conn {
    struct sock sock;
    struct upstream *up;
    struct upstream_conn *next, **link; /* in the idle list; link NULL: not there */
    bool reused;
};

static struct upstream_conn *conn_of(struct stream *s) {
    return container_of(sock_of_stream(s), struct upstream_conn, sock);
}

static const struct upstream_conn *conn_of_const(const struct stream *s) {
    return (const struct upstream_conn *)((const char *)s - offsetof(struct sock, stream) -
                                          offsetof(struct upstream_conn, sock));
}

static struct upstream_slot *slot_of(const struct upstream_conn *c) {
    return &c->up->w[c->sock.owner.worker->id];
}

/* ---- idle connections ---- */

static void idle_remove(struct upstream_conn *c) {
    if (!c->link)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->link = NULL;
    slot_of(c)->idle_count--;
    slot_of(c)->busy++;
}

static void idle_close(struct upstream_conn *c) {
    idle_remove(c);
    stream_close(&c->sock.stream, false);
}

static void idle_expired(struct timer *t) {
    idle_close(container_of(container_of(t, struct sock, timer), struct upstream_conn, sock));
}

static void idle_data(struct stream *s, void *user, struct slice slice) {
    (void)user;
    slice_drop(s->worker,
               &slice); /* bytes nobody asked for: this connection can't be trusted any more */
    idle_close(conn_of(s));
}

static void idle_eof(struct stream *s, void *user) {
    (void)user;
    idle_close(conn_of(s));
}

static void idle_error(struct stream *s, void *user, int error) {
    (void)user;
    (void)error;
    idle_close(conn_of(s));
}

static const struct stream_events idle_events = {
    .data = idle_data, .eof = idle_eof, .error = idle_error};

void upstream_keep(struct stream *s) {
    struct upstream_conn *c = conn_of(s);
    struct worker *w = s->worker;
    struct upstream_slot *slot = slot_of(c);
    if (c->sock.broken || c->sock.eof || c->sock.shut || c->sock.queue.bytes || w->draining ||
        w->stopping || slot->idle_count >= IDLE_MOST ||
        __atomic_load_n(&slot->retired, __ATOMIC_RELAXED)) {
        stream_close(s, false);
        return;
    }
    stream_consume(s, &idle_events, NULL);
    c->link = &slot->idle;
    c->next = slot->idle;
    if (c->next)
        c->next->link = &c->next;
    slot->idle = c;
    slot->idle_count++;
    slot->busy--;
    if (c->sock.timer.fire != idle_expired)
        timer_init(&c->sock.timer, idle_expired);
    timer_set(w, &c->sock.timer, IDLE_MS);
    stream_resume(s);
}

static struct stream *idle_take(struct upstream *up, struct worker *w) {
    struct upstream_conn *c = up->w[w->id].idle;
    if (!c)
        return NULL;
    idle_remove(c);
    timer_rest(&c->sock.timer);
    c->reused = true;
    return &c->sock.stream;
}

/* ---- new connections ---- */

static void upstream_conn_gone(struct sock *s) {
    struct upstream_conn *c = container_of(s, struct upstream_conn, sock);
    struct upstream_slot *slot = slot_of(c);
    struct worker *w = s->owner.worker;
    ACCOUNT_ADD(w->upstream_count, -1);
    slot->busy--;
    __atomic_store_n(&slot->open, slot->open - 1, __ATOMIC_RELEASE);
    worker_free(w, c, sizeof *c);
}

static struct stream *connect_new(struct upstream *up, struct worker *w, int *ret_error) {
    struct upstream_slot *slot = &up->w[w->id];
    struct upstream_conn *c = worker_alloc(w, sizeof *c);
    if (!c) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    int fd = sys_socket(up->addr.any.sa_family, up->netns, up->device);
    if (fd < 0) {
        worker_free(w, c, sizeof *c);
        *ret_error = fd;
        return NULL;
    }
    c->up = up;
    sock_init(&c->sock, w, fd, up->account, upstream_conn_gone);
    ACCOUNT_ADD(w->upstream_count, 1);
    slot->busy++;
    __atomic_store_n(&slot->open, slot->open + 1, __ATOMIC_RELAXED);
    socklen_t length = up->addr.any.sa_family == AF_INET6 ? sizeof up->addr.v6 : sizeof up->addr.v4;
    sock_connect(&c->sock, &up->addr.any, length, edge_timeouts()->connect);
    return &c->sock.stream;
}

static uint64_t pod_load(const struct upstream *up, const struct worker *w,
                         const struct upstream *avoid) {
    const struct upstream_slot *s = &up->w[w->id];
    uint64_t load = s->busy;
    if (up == avoid)
        load += 1ull << 40;
    if (s->failed_until_ms > worker_now_ms(w))
        load += 1ull << 32;
    return load;
}

/* The lesser loaded of two at random; with a pod to avoid all are looked at, since two might miss the one that is left. */
static struct upstream *set_pick(struct worker *w, struct upstream_set *set,
                                 const struct upstream *avoid) {
    if (set->count == 1)
        return set->member[0];
    uint64_t r = worker_random(w);
    struct upstream *best = set->member[r % set->count];
    unsigned tries = avoid || set->count == 2 ? set->count : 2;
    for (unsigned i = 1; i < tries; i++) {
        unsigned step = tries == 2 ? 1 + (unsigned)((r >> 32) % (set->count - 1)) : i;
        struct upstream *other = set->member[(r % set->count + step) % set->count];
        if (pod_load(other, w, avoid) < pod_load(best, w, avoid))
            best = other;
    }
    return best;
}

struct stream *upstream_open(struct worker *w, struct upstream_set *set, bool fresh,
                             const struct upstream *avoid, int *ret_error) {
    if (!set || !set->count) {
        *ret_error = -ENETUNREACH;
        return NULL;
    }
    struct upstream *up = set_pick(w, set, avoid);
    struct stream *s = fresh ? NULL : idle_take(up, w);
    return s ? s : connect_new(up, w, ret_error);
}

bool upstream_is_reused(const struct stream *s) {
    return conn_of_const(s)->reused;
}

struct upstream *upstream_of(const struct stream *s) {
    return conn_of_const(s)->up;
}

static bool same(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

bool upstream_allowed(const struct stream *s, const struct network *network) {
    if (s->ops != &sock_ops)
        return true;
    const struct upstream *up = conn_of_const(s)->up;
    return network_allows(network, &up->addr) && same(up->netns, network->netns) &&
           same(up->device, network->device);
}

const char *upstream_name(const struct upstream *up) {
    return up->name;
}

void upstream_report(struct upstream *up, struct worker *w, int error) {
    struct upstream_slot *s = &up->w[w->id];
    if (!error) {
        s->failed_until_ms = 0;
        return;
    }
    __atomic_store_n(&s->failures, s->failures + 1, __ATOMIC_RELAXED);
    s->failed_until_ms = worker_now_ms(w) + FAILED_MS;
}

struct upstream_figures upstream_sum(const struct upstream *up) {
    struct upstream_figures f = {0};
    for (unsigned i = 0; i < up->workers; i++) {
        f.connections += __atomic_load_n(&up->w[i].open, __ATOMIC_RELAXED);
        f.failures += __atomic_load_n(&up->w[i].failures, __ATOMIC_RELAXED);
    }
    return f;
}

/* ---- life ---- */

struct upstream *upstream_new(const char *key, const union address *addr,
                              const struct network *network, struct account *account,
                              unsigned workers) {
    size_t size = sizeof(struct upstream) + workers * sizeof(struct upstream_slot);
    struct upstream *up = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!up)
        return NULL;
    memset(up, 0, size);
    up->addr = *addr;
    up->workers = workers;
    up->key = strdup(key);
    up->netns = network->netns ? strdup(network->netns) : NULL;
    up->device = network->device ? strdup(network->device) : NULL;
    up->account = account;
    account_ref(account);
    address_print(addr, up->name);
    if (!up->key || (network->netns && !up->netns) || (network->device && !up->device)) {
        upstream_free(up);
        return NULL;
    }
    return up;
}

void upstream_free(struct upstream *up) {
    account_unref(up->account);
    free(up->key);
    free(up->netns);
    free(up->device);
    free(up);
}

static void slot_close_idle(struct upstream_slot *slot) {
    while (slot->idle)
        idle_close(slot->idle);
}

void upstream_close_idle(struct upstream *up, struct worker *w) {
    slot_close_idle(&up->w[w->id]);
}

static void retire_run(struct message *m) {
    struct upstream_slot *slot = container_of(m, struct upstream_slot, retire);
    slot_close_idle(slot);
    __atomic_store_n(&slot->retired, 1, __ATOMIC_RELEASE);
}

void upstream_retire(struct upstream *up, struct worker *const *workers, struct ring *from) {
    for (unsigned i = 0; i < up->workers; i++) {
        up->w[i].retire.run = retire_run;
        worker_post(workers[i], from, &up->w[i].retire);
    }
}

bool upstream_unused(const struct upstream *up) {
    for (unsigned i = 0; i < up->workers; i++)
        if (!__atomic_load_n(&up->w[i].retired, __ATOMIC_ACQUIRE) ||
            __atomic_load_n(&up->w[i].open, __ATOMIC_ACQUIRE))
            return false;
    return true;
}
