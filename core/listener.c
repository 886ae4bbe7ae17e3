/* SPDX-License-Identifier: GPL-3.0-or-later
 * listener.c - one address, one SO_REUSEPORT socket per worker, a multishot accept on each.
 *
 *   [bind ahead] -> open (control thread: bind, listen) -> start (each worker arms) -> close (each worker cancels; the last frees)
 *
 * A raw port with a budget of accepts (core/door.h) has them one by one; the kernel keeps who is not asked for, in a short queue, and
 * drops who finds no room there.
 *
 * An accept that ended for want of descriptors starts again ACCEPT_RETRY_MS later, so that nothing spins.
 */
#include "core/conn.h"
#include "core/door.h"
#include "core/process.h"
#include "core/room.h"
#include "tenants/network.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG_HELD = 64, ACCEPT_RETRY_MS = 100 };

struct listener_slot { /* one worker's share */
    struct owner owner;
    struct op accept;
    struct timer retry;
    struct message start, close;
    struct lane lane; /* where its accepts wait when there is much else to do */
    struct listener *listener;
    int fd;
    bool cancelling; /* the armed accept has been asked to end */
    bool full;       /* there was no room for who came: accepting pauses */
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

static int socket_bind(const union address *a) {
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
        bind(fd, &a->any, v6 ? sizeof a->v6 : sizeof a->v4)) {
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

/* ---- ahead: bound while the process still may, listening when it serves ---- */

static struct ahead_bound {
    struct ahead_bound *next;
    union address address;
    unsigned count;
    int fd[];
} * ahead_first;

static struct ahead_bound **ahead_find(const union address *a) {
    struct ahead_bound **link = &ahead_first;
    while (*link && !address_same(&(*link)->address, a))
        link = &(*link)->next;
    return link;
}

static void ahead_free(struct ahead_bound *b) {
    while (b->count)
        close(b->fd[--b->count]);
    free(b);
}

static bool is_any(const union address *a) {
    return a->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr)
                                        : a->v4.sin_addr.s_addr == INADDR_ANY;
}

/* 0.0.0.0:80 and 127.0.0.1:80 would both be had, as long as neither listens. */
static bool ahead_overlaps(const union address *a) {
    for (const struct ahead_bound *b = ahead_first; b; b = b->next)
        if (b->address.any.sa_family == a->any.sa_family &&
            address_port(&b->address) == address_port(a) &&
            (is_any(&b->address) || is_any(a) || address_same(&b->address, a)))
            return true;
    return false;
}

/* Negative errno: not all of them are bound. */
static int ahead_fill(struct ahead_bound *b, unsigned count) {
    int error = ahead_overlaps(&b->address) ? -EADDRINUSE : port_probe(&b->address);
    while (!error && b->count < count) {
        int fd = socket_bind(&b->address);
        if (fd < 0)
            error = fd;
        else
            b->fd[b->count++] = fd;
    }
    return error;
}

static bool bind_blame(const union address *a, int error, struct err *err) {
    char text[ADDRESS_TEXT_MAX];
    address_print(a, text);
    err_set(err, "listen on %s: %s", text, strerror(-error));
    errno = -error;
    return false;
}

bool listener_bind(const union address *a, unsigned workers, struct err *err) {
    struct ahead_bound *b = calloc(1, sizeof *b + workers * sizeof *b->fd);
    if (!b)
        return bind_blame(a, -ENOMEM, err);
    b->address = *a;
    int error = ahead_fill(b, workers);
    if (error) {
        ahead_free(b);
        return bind_blame(a, error, err);
    }
    b->next = ahead_first;
    ahead_first = b;
    return true;
}

void listeners_unbind(void) {
    while (ahead_first) {
        struct ahead_bound *b = ahead_first;
        ahead_first = b->next;
        ahead_free(b);
    }
}

/* The next of those bound ahead, or one bound now. */
static int socket_listen(const union address *a) {
    struct ahead_bound **link = ahead_find(a), *b = *link;
    int fd = b ? b->fd[--b->count] : socket_bind(a);
    if (b && !b->count) {
        *link = b->next;
        free(b);
    }
    if (fd >= 0 && listen(fd, LISTENER_BACKLOG)) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int listener_take(const union address *a, struct err *err) {
    int fd = socket_listen(a);
    if (fd < 0)
        bind_blame(a, fd, err);
    return fd;
}

static void listener_release(struct owner *o) {
    struct listener_slot *s = container_of(o, struct listener_slot, owner);
    struct listener *l = s->listener;
    lane_end_own(o->worker, &s->lane);
    if (atomic_fetch_sub(&l->left, 1) == 1)
        free(l);
}

static void accept_done(struct op *, const struct completion *);
static void accept_retry(struct timer *);
static void slot_start(struct message *);
static void slot_close(struct message *);

/* Who waits to be accepted on a raw port waits for that port's own sake. */
static void slot_init(struct listener *l, unsigned i, int fd) {
    struct listener_slot *s = &l->slot[i];
    s->listener = l;
    s->fd = fd;
    owner_init(&s->owner, process.worker[i], process.nobody, listener_release);
    lane_init_own(&s->lane, &s->owner, l->kind == LISTENER_RAW ? NULL : process.nobody);
    op_init(&s->accept, &s->owner, accept_done);
    timer_init(&s->retry, accept_retry);
    s->start.run = slot_start;
    s->close.run = slot_close;
}

struct listener *listener_open(enum listener_kind kind, const union address *a, struct err *err) {
    unsigned n = process.workers;
    struct listener *l = calloc(1, sizeof *l + n * sizeof *l->slot);
    bool bound = *ahead_find(a);
    int error = !l ? -ENOMEM : bound ? 0 : port_probe(a);
    l = error && l ? (free(l), NULL) : l;
    if (l)
        l->kind = kind;
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
        bind_blame(a, error, err);
        return NULL;
    }
    if (!bound) /* else it has them already */
        room_shift((int)n);
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
    ring_dispatch(process.control, NULL);
}

void listener_start(struct listener *l) {
    l->started = true;
    slots_post(l, true);
}

void listener_close(struct listener *l) {
    room_shift(-(int)l->count);
    slots_post(l, false);
}

void listener_hold(struct listener *l, bool held) {
    for (unsigned i = 0; i < l->count; i++)
        listen(l->slot[i].fd, held ? BACKLOG_HELD : LISTENER_BACKLOG);
}

/* Who has connected and is not accepted yet. */
static unsigned queue_length(int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) ? 0 : info.tcpi_unacked;
}

struct listener_queue listener_queue(const struct listener *l) {
    struct listener_queue q = {0};
    for (unsigned i = 0; i < l->count; i++) {
        uint32_t memory[SK_MEMINFO_VARS];
        socklen_t size = sizeof memory;
        q.waiting += queue_length(l->slot[i].fd);
        if (!getsockopt(l->slot[i].fd, SOL_SOCKET, SO_MEMINFO, memory, &size))
            q.dropped += memory[SK_MEMINFO_DROPS];
    }
    return q;
}

/* ---- workers ---- */

static struct door *slot_door(const struct listener_slot *s) {
    struct door *d = s->listener->kind == LISTENER_RAW ? door_of_port(s->listener->port) : NULL;
    return d && door_counts_accepts(d) ? d : NULL;
}

/* Somebody who waits has a claim to what others need least; before that nobody is told to go. */
static bool slot_has_room(const struct listener_slot *s) {
    struct worker *w = s->owner.worker;
    return room_is_there(w) || (queue_length(s->fd) && room_for_client(w));
}

/* All that come, or one when the budget has one. Armed for many it takes all who wait, at once, before anyone is asked whether
 * there is room for them: where there is little, one as well, and none while there is none: who has been accepted can only be ended. */
static void slot_arm(struct listener_slot *s) {
    struct worker *w = s->owner.worker;
    struct door *d = slot_door(s);
    bool tight = room_is_tight(w);
    int64_t wait = tight && !slot_has_room(s) ? ACCEPT_RETRY_MS : d ? door_accept_wait_ms(d, w) : 0;
    if (wait)
        timer_set(w, &s->retry, wait);
    else if (d || tight)
        ring_accept_once(w->ring, &s->accept, s->fd);
    else
        ring_accept(w->ring, &s->accept, s->fd);
}

static void slot_start(struct message *m) {
    struct listener_slot *s = container_of(m, struct listener_slot, start);
    if (!s->owner.dying)
        slot_arm(s);
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
        slot_arm(s);
}

static void accept_cancel(struct listener_slot *s) {
    if (s->accept.armed && !s->cancelling) {
        s->cancelling = true;
        ring_cancel(s->owner.worker->ring, &s->accept);
    }
}

/* Who comes now waits in the kernel's queue, until there is room. */
static void accept_taken(struct listener_slot *s, int fd) {
    struct worker *w = s->owner.worker;
    s->full |= !conn_new(w, fd, s->listener->kind, s->listener->port);
    if (s->full || room_is_tight(w))
        accept_cancel(s);
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
    if (slot_door(s)) /* it brings all there are: no more of that */
        accept_cancel(s);
    if (op->armed || s->owner.dying)
        return;
    s->cancelling = false;
    bool exhausted =
        c->res == -EMFILE || c->res == -ENFILE || c->res == -ENOBUFS || c->res == -ENOMEM;
    if (exhausted)
        room_short(w);
    if (exhausted || s->full ||
        (c->res < 0 && c->res != -ECONNABORTED && c->res != -EINTR && c->res != -EAGAIN &&
         c->res != -ECANCELED))
        timer_set(w, &s->retry, ACCEPT_RETRY_MS);
    else
        slot_arm(s);
}
