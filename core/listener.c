/* SPDX-License-Identifier: GPL-3.0-or-later
 * listener.c - one address, one SO_REUSEPORT socket per worker, a multishot accept on each.
 *
 *   open (control thread: bind, listen) -> start (each worker arms) -> close (each worker cancels; the last one frees)
 *
 * An accept that ended for want of descriptors starts again ACCEPT_RETRY_MS later, so that nothing spins.
 */
#include "core/conn.h"
#include "core/process.h"
#include "core/room.h"
#include "tenants/network.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPT_RETRY_MS = 100 };

struct listener_slot { /* one worker's share */
    struct owner owner;
    struct op accept;
    struct timer retry;
    struct message start, close;
    struct listener *listener;
    int fd;
    bool full; /* there was no room for who came: accepting pauses */
};

struct listener {
    enum listener_kind kind;
    uint16_t port;
    bool started;
    _Atomic unsigned left; /* slots not released yet */
    unsigned count;
    struct listener_slot slot[];
};

/* ---- control thread ---- */

static int socket_listen(const union address *a) {
    bool v6 = a->any.sa_family == AF_INET6;
    int one = 1, idle = 300;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    /* Accepted sockets inherit the TCP options, so none is set per connection. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) ||
        bind(fd, &a->any, v6 ? sizeof a->v6 : sizeof a->v4) || listen(fd, BACKLOG)) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

/* SO_REUSEPORT would let two processes of one user share a port without a word: a plain bind first says that it is free. */
static int port_probe(const union address *a) {
    bool v6 = a->any.sa_family == AF_INET6;
    int one = 1, error = 0;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &a->any,
             v6 ? sizeof a->v6 : sizeof a->v4)) /* never listening: a client would meet its end */
        error = -errno;
    close(fd);
    return error;
}

static void listener_release(struct owner *o) {
    struct listener *l = container_of(o, struct listener_slot, owner)->listener;
    if (atomic_fetch_sub(&l->left, 1) == 1)
        free(l);
}

static void accept_done(struct op *, const struct completion *);
static void accept_retry(struct timer *);
static void slot_start(struct message *);
static void slot_close(struct message *);

static void slot_init(struct listener *l, unsigned i, int fd) {
    struct listener_slot *s = &l->slot[i];
    s->listener = l;
    s->fd = fd;
    owner_init(&s->owner, process.worker[i], process.nobody, listener_release);
    op_init(&s->accept, &s->owner, accept_done);
    timer_init(&s->retry, accept_retry);
    s->start.run = slot_start;
    s->close.run = slot_close;
}

struct listener *listener_open(enum listener_kind kind, const union address *a, struct err *err) {
    char text[ADDRESS_TEXT_MAX];
    unsigned n = process.workers;
    struct listener *l = calloc(1, sizeof *l + n * sizeof *l->slot);
    address_print(a, text);
    int error = l ? port_probe(a) : -ENOMEM;
    l = error && l ? (free(l), NULL) : l;
    for (unsigned i = 0; l && i < n; i++) {
        int fd = socket_listen(a);
        if (fd >= 0) {
            slot_init(l, i, fd);
            continue;
        }
        error = fd;
        while (i-- > 0)
            close(l->slot[i].fd);
        free(l);
        l = NULL;
    }
    if (!l) {
        err_set(err, "listen on %s: %s", text, strerror(-error));
        errno = -error;
        return NULL;
    }
    room_shift((int)n);
    l->kind = kind;
    l->port = ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
    l->count = n;
    atomic_init(&l->left, n);
    return l;
}

static void slots_post(struct listener *l, bool start) {
    /* `l` may be freed by the last worker while we post: keep what the loop needs. */
    unsigned n = l->count;
    for (unsigned i = 0; i < n; i++)
        worker_post(process.worker[i], process.control,
                    start ? &l->slot[i].start : &l->slot[i].close);
    ring_wait(process.control, 0, 1);
    ring_dispatch(process.control);
}

void listener_start(struct listener *l) {
    l->started = true;
    slots_post(l, true);
}

void listener_close(struct listener *l) {
    room_shift(-(int)l->count);
    slots_post(l, false);
}

/* ---- workers ---- */

static void slot_start(struct message *m) {
    struct listener_slot *s = container_of(m, struct listener_slot, start);
    if (!s->owner.dying)
        ring_accept(s->owner.worker->ring, &s->accept, s->fd);
}

static void slot_close(struct message *m) {
    struct listener_slot *s = container_of(m, struct listener_slot, close);
    struct ring *ring = s->owner.worker->ring;
    timer_stop(&s->retry);
    if (s->accept.armed)
        ring_cancel(ring, &s->accept);
    ring_close(ring, s->fd);
    owner_end(&s->owner);
}

static void accept_retry(struct timer *t) {
    struct listener_slot *s = container_of(t, struct listener_slot, retry);
    s->full = false;
    if (!s->owner.dying && !s->accept.armed)
        ring_accept(s->owner.worker->ring, &s->accept, s->fd);
}

/* Who comes now waits in the kernel's queue, until there is room. */
static void accept_taken(struct listener_slot *s, int fd) {
    struct worker *w = s->owner.worker;
    if (conn_new(w, fd, s->listener->kind, s->listener->port) || s->full)
        return;
    s->full = true;
    if (s->accept.armed)
        ring_cancel(w->ring, &s->accept);
}

static void accept_done(struct op *op, const struct completion *c) {
    struct listener_slot *s = container_of(op, struct listener_slot, accept);
    struct worker *w = s->owner.worker;
    if (c->res >= 0) {
        if (s->owner.dying)
            ring_close(w->ring, c->res); /* it came after we had asked to end */
        else
            accept_taken(s, c->res);
    }
    if (op->armed || s->owner.dying)
        return;
    bool exhausted =
        c->res == -EMFILE || c->res == -ENFILE || c->res == -ENOBUFS || c->res == -ENOMEM;
    if (exhausted)
        room_short(w);
    if (exhausted || s->full ||
        (c->res < 0 && c->res != -ECONNABORTED && c->res != -EINTR && c->res != -EAGAIN))
        timer_set(w, &s->retry, ACCEPT_RETRY_MS);
    else
        ring_accept(w->ring, &s->accept, s->fd);
}
