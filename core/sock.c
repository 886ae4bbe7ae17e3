/* SPDX-License-Identifier: GPL-3.0-or-later
 * sock.c - see sock.h. In the order things happen: connect, receive, write, send, shut down, close, die.
 */
#include "core/sock.h"
#include "core/dial.h"
#include "core/glut.h"
#include "core/pace.h"
#include "core/sys.h"
#include <errno.h>
#include <stdlib.h>

enum {
    CALM = 8,
    LAST_BYTES_MS = 30000,
    IOV_MOST = 512,
    SEND_MOST = 1024 * 1024,
    SEND_CROWDED = 64 * 1024,
    SEGS_HIGH = 2048 /* links, so that many tiny slices count for the buffers they hold */
};

#define MOVE(from, to, id, counter, n)                                      \
    (ACCOUNT_ADD((from)->w[id].counter, -(typeof((to)->w[id].counter))(n)), \
     ACCOUNT_ADD((to)->w[id].counter, (typeof((to)->w[id].counter))(n)))

static void sock_finish(struct sock *s, bool reset);
static void sock_flush(struct flush *f);
static void sock_yield(struct full *f);
static void recv_done(struct op *, const struct completion *);
static void send_done(struct op *, const struct completion *);
static void connect_done(struct op *, const struct completion *);

static struct account_worker *sock_account(const struct sock *s) {
    return &s->owner.account->w[s->owner.worker->id];
}

static void full_end(struct sock *s) {
    full_remove(s->owner.worker, sock_account(s), &s->full_queue);
}

static void sock_release(struct owner *o) {
    struct sock *s = container_of(o, struct sock, owner);
    ACCOUNT_ADD(sock_account(s)->closing, -1);
    sock_holds(s, -(int64_t)s->holds);
    if (s->client && !s->heard)
        ACCOUNT_ADD(sock_account(s)->silent, -1);
    if (queue_holds(&s->starved))
        queue_remove(&o->worker->starved, &s->starved);
    full_end(s);
    pace_end(s);
    flush_forget(&s->flush);
    segs_drop(o->worker, &s->queue);
    s->gone(s);
}

void sock_init(struct sock *s, struct worker *w, int fd, bool client, struct account *account,
               void (*gone)(struct sock *)) {
    owner_init(&s->owner, w, account, sock_release);
    op_init(&s->recv, &s->owner, recv_done);
    op_init(&s->send, &s->owner, send_done);
    s->stream.ops = &sock_ops;
    s->stream.worker = w;
    s->flush.run = sock_flush;
    s->full_queue.yield = sock_yield;
    s->gone = gone;
    s->fd = fd;
    s->client = client;
    ACCOUNT_ADD(*(client ? &w->client_fds : &w->pod_fds), 1);
    s->moved = sock_clock(w);
    ACCOUNT_ADD(sock_account(s)->descriptors, 1);
    if (!client)
        return;
    ACCOUNT_ADD(sock_account(s)->accepted, 1);
    ACCOUNT_ADD(sock_account(s)->silent, 1);
}

void sock_holds(struct sock *s, int64_t bytes) {
    if (s->owner.dying && !s->holds)
        return; /* it is being released, and all has been given back */
    s->holds = (uint32_t)((int64_t)s->holds + bytes);
    s->owner.worker->held += bytes;
    ACCOUNT_ADD(sock_account(s)->memory, bytes);
}

void sock_claim(struct sock *s, struct account *account) {
    struct worker *w = s->owner.worker;
    if (s->claimed)
        return;
    s->claimed = true;
    ACCOUNT_ADD(w->nobody->w[w->id].accepted, -1);
    ACCOUNT_ADD(account->w[w->id].accepted, 1);
    /* What has been spent on it since it was accepted, and runs now, is theirs. */
    MOVE(w->nobody, account, w->id, kernel, KERNEL_ACCEPT);
    if (!s->closing) {
        MOVE(w->nobody, account, w->id, loop_cycles, s->debt);
        s->debt = 0;
    }
    if (w->payer == w->nobody)
        w->payer = account;
}

void sock_charge(struct sock *s, struct account *account) {
    struct worker *w = s->owner.worker;
    struct account *from = s->owner.account;
    sock_claim(s, account);
    full_move(w, &from->w[w->id], &account->w[w->id], &s->full_queue);
    /* What came before anyone knew whose it is belongs to who it turned out to be. */
    MOVE(from, account, w->id, bytes_in, s->early);
    MOVE(from, account, w->id, descriptors, !s->owner.dying);
    MOVE(from, account, w->id, closing, s->owner.dying);
    MOVE(from, account, w->id, silent, !s->heard);
    MOVE(from, account, w->id, memory, s->holds);
    s->early = 0;
    s->owner.halting = false;
    s->owner.account = account;
}

void sock_owes(struct sock *s) {
    struct worker *w = s->owner.worker;
    if (s->closing || s->owner.account != w->nobody || w->payer != w->nobody)
        return;
    uint64_t debt = s->debt + (sys_cycles() - w->charge_mark);
    s->debt = debt < UINT32_MAX ? (uint32_t)debt : UINT32_MAX;
}

/* The stream is of no use any more: say so once, from the loop. */
static void sock_break(struct sock *s, int error) {
    if (s->broken)
        return;
    s->broken = (int16_t)error;
    worker_later(s->owner.worker, &s->flush);
}

/* It holds what others need, and has been full for the longest. */
static void sock_yield(struct full *f) {
    sock_break(container_of(f, struct sock, full_queue), -ENOBUFS);
}

static bool is_full(const struct sock *s) {
    return s->queue.bytes >= STREAM_HIGH || s->queue.count >= SEGS_HIGH ||
           glut_is_full(s->owner.worker, s->owner.account, s->queue.bytes);
}

/* ---- connect ---- */

static void connect_late(struct timer *t) {
    struct sock *s = container_of(t, struct sock, timer);
    worker_pays(s->owner.worker, s->owner.account);
    if (s->connecting && s->send.armed) {
        s->broken = -ETIMEDOUT;
        ring_cancel(s->owner.worker->ring, &s->send);
    }
}

void sock_connect(struct sock *s, const struct sockaddr *addr, socklen_t length, int64_t ms) {
    s->connecting = true;
    dial_begun(s->owner.worker, s->owner.account);
    s->send.done = connect_done;
    timer_init(&s->timer, connect_late);
    timer_set(s->owner.worker, &s->timer, ms);
    ring_connect(s->owner.worker->ring, &s->send, s->fd, addr, length);
    kernel_pays(s->owner.worker, s->owner.account, KERNEL_CONNECT);
}

static void connect_done(struct op *op, const struct completion *c) {
    struct sock *s = container_of(op, struct sock, send);
    op->done = send_done;
    s->connecting = false;
    dial_over(s->owner.worker, s->owner.account);
    if (s->owner.dying)
        return;
    if (!s->closing) /* else it limits how long the last bytes may take */
        timer_stop(&s->timer);
    if (c->res < 0 || s->broken) {
        int error = s->broken ? s->broken : c->res;
        s->broken = 0;
        if (s->closing)
            sock_finish(s, true);
        else
            sock_break(s, error);
        return;
    }
    if (s->closing && !s->queue.bytes) {
        sock_finish(s, false);
        return;
    }
    sock_rearm(s);
    if (s->queue.bytes || s->shut)
        worker_later(s->owner.worker, &s->flush);
    if (!s->closing && s->stream.events->connected)
        s->stream.events->connected(&s->stream, s->stream.user);
}

/* ---- receive ---- */

/* Where others wait it brings one thing at a time from the beginning: armed for many, the kernel takes up to 32 buffers of it before
 * anybody has seen the first, and all of that waits in the lane of those whose tenant is not known, in everybody's way. */
void sock_start(struct sock *s) {
    s->one_shot = s->dear = turn_is_tight(s->owner.worker); /* until it has shown what it is */
    sock_rearm(s);
}

static bool is_stranger(const struct sock *s) {
    return s->client && s->owner.account == s->owner.worker->nobody;
}

/* Twice as much halves the submissions, and a gigabyte costs a quarter less; but who comes then waits for it. */
static size_t recv_most(const struct sock *s) {
    if (s->pacer)
        return pace_most(s->pacer, LIMIT_BYTES_IN);
    return s->owner.worker->turn.alone ? RECV_ALONE : RECV_CAP;
}

void sock_rearm(struct sock *s) {
    if (queue_holds(&s->starved) || s->recv.armed || s->paused || s->eof || s->broken ||
        s->owner.dying || s->connecting)
        return;
    size_t most = recv_most(s);
    if (!most)
        return; /* it is called */
    if (most > RECV_CROWDED && turn_is_tight(s->owner.worker))
        most = RECV_CROWDED;
    bool little = s->dear || glut_degree(s->owner.worker, s->owner.account);
    s->one_shot |= little;
    if ((little || is_stranger(s)) && most > BUF_SIZE)
        most = BUF_SIZE;
    if (s->one_shot || s->pacer)
        ring_recv_once(s->owner.worker->ring, &s->recv, s->fd, most);
    else
        ring_recv(s->owner.worker->ring, &s->recv, s->fd);
}

static bool recv_take(void *user, struct slice slice) {
    struct sock *s = user;
    if (s->closing || s->owner.dying) {
        slice_drop(s->owner.worker, &slice);
        return false;
    }
    s->stream.events->data(&s->stream, s->stream.user, slice);
    return true;
}

/* Multishot suits small messages: armed once, it brings them all. But it has no brake and fills one buffer at a time. So a
 * socket whose data came while it was paused, or whose buffers come full, receives one at a time and in bundles, until CALM
 * small ones in a row say that the burst is over. */
static void recv_mode(struct sock *s, const struct completion *c) {
    struct ring *ring = s->owner.worker->ring;
    bool full = c->res >= BUF_SIZE && c->flags & OP_NONEMPTY && ring_features(ring) & RING_BUNDLE;
    if (c->res >= BUF_SIZE)
        s->calm = 0;
    if (s->one_shot) {
        s->one_shot = s->paused || s->calm++ < CALM;
    } else if (s->paused || full) {
        s->one_shot = true;
        s->calm = 0;
    }
    s->one_shot |= s->pacer || glut_degree(s->owner.worker, s->owner.account);
    if (s->one_shot && s->recv.armed && !s->cancelling) {
        s->cancelling = true;
        ring_cancel(ring, &s->recv);
    }
}

/* A completion is worked off in one go: what is a moment for bytes that are passed on is long for as many that hold a thousand
 * requests. So where they are dear the next ones come by the buffer, while others wait: a handshake, or a request with its cookies, is dear,
 * too, and armed for many costs less. */
static uint64_t dear_begin(const struct sock *s, int32_t bytes) {
    enum { NOTED = 1024 };
    return bytes >= NOTED && turn_is_tight(s->owner.worker) ? sys_cycles() : 0;
}

/* `began` 0: not looked at. */
static void dear_note(struct sock *s, int32_t bytes, uint64_t began) {
    enum { DEAR_US = 25 }; /* of a buffer */
    if (!began) {
        s->dear &= s->one_shot && turn_is_tight(s->owner.worker);
        return;
    }
    s->dear = (sys_cycles() - began) * BUF_SIZE >
              (uint64_t)bytes * DEAR_US * s->owner.worker->turn.cycles_us;
    if (s->dear && s->recv.armed && !s->cancelling && !s->owner.dying) {
        s->cancelling = true;
        ring_cancel(s->owner.worker->ring, &s->recv);
    }
}

static void client_bytes(struct sock *s, uint32_t bytes) {
    ACCOUNT_ADD(sock_account(s)->bytes_in, bytes);
    if (s->owner.account == s->owner.worker->nobody)
        s->early += bytes;
    if (s->heard)
        return;
    s->heard = true;
    ACCOUNT_ADD(sock_account(s)->silent, -1);
}

static void recv_bytes(struct sock *s, const struct completion *c) {
    s->moved = sock_clock(s->owner.worker);
    if (s->client)
        client_bytes(s, (uint32_t)c->res);
    else
        ACCOUNT_ADD(sock_account(s)->pod_bytes_in, (uint64_t)c->res);
    if (s->pacer)
        pace_spent(s->pacer, LIMIT_BYTES_IN, (size_t)c->res);
    recv_mode(s, c);
    uint64_t began = dear_begin(s, c->res);
    bufs_received(s->owner.worker, sock_account(s), c->buffer, (size_t)c->res, recv_take, s);
    dear_note(s, c->res, began);
    s->owner.halting = is_stranger(s);
    if (s->owner.halting)
        sock_owes(s);
}

static void recv_starved(struct sock *s) {
    struct worker *w = s->owner.worker;
    bufs_starved(w);
    if (!queue_holds(&s->starved))
        queue_put(&w->starved, &s->starved);
}

/* The client ended it with an RST, which the kernel tells one way or the other. */
static void reset_count(struct sock *s, int error) {
    if (s->client && !s->reset && (error == -ECONNRESET || error == -EPIPE))
        ACCOUNT_ADD(sock_account(s)->resets, 1);
}

/* Its tenant has more waiting than is good: from now on it brings one thing at a time. */
static void recv_braked(struct sock *s) {
    s->one_shot = true;
    s->calm = 0;
}

static void recv_done(struct op *op, const struct completion *c) {
    struct sock *s = container_of(op, struct sock, recv);
    if (!op->armed)
        s->cancelling = false;
    if (op->braked)
        recv_braked(s);
    if (c->res > 0) {
        recv_bytes(s, c);
    } else if (s->owner.dying) {
        return;
    } else if (c->res == 0) {
        if (s->eof) /* told already; what else the kernel says about the end is no news */
            return;
        s->eof = true;
        s->ended_by_peer = !s->fin_sent;
        if (s->reset)
            sock_break(s, -ECONNRESET);
        else if (!s->closing)
            s->stream.events->eof(&s->stream, s->stream.user);
        return;
    } else if (c->res == -ENOBUFS) {
        recv_starved(s);
        return;
    } else if (c->res != -ECANCELED && c->res != -EINTR && c->res != -EAGAIN) {
        reset_count(s, c->res);
        if (s->closing)
            sock_finish(s, true);
        else
            sock_break(s, c->res);
        return;
    }
    sock_rearm(s);
}

static void sock_pause(struct stream *stream) {
    /* Nothing is cancelled: if no data comes before resume, pausing was free. */
    sock_of_stream(stream)->paused = true;
}

static void sock_resume(struct stream *stream) {
    struct sock *s = sock_of_stream(stream);
    s->paused = false;
    sock_rearm(s);
}

/* ---- write ---- */

static int sock_wrote(struct sock *s, bool ok) {
    struct worker *w = s->owner.worker;
    if (!ok) {
        sock_break(s, -ENOMEM);
        return -ENOMEM;
    }
    worker_later(w, &s->flush);
    if (is_full(s)) {
        s->full = true;
        full_add(w, sock_account(s), &s->full_queue);
    }
    return s->full;
}

static bool sock_writable(const struct sock *s) {
    return !s->broken && !s->shut && !s->closing && !s->owner.dying;
}

static int sock_write(struct stream *stream, struct slice slice) {
    struct sock *s = sock_of_stream(stream);
    if (!sock_writable(s)) {
        slice_drop(s->owner.worker, &slice);
        return -EPIPE;
    }
    return sock_wrote(s, segs_add(s->owner.worker, &s->queue, slice));
}

static int sock_write_copy(struct stream *stream, const void *data, size_t length) {
    struct sock *s = sock_of_stream(stream);
    if (!sock_writable(s))
        return -EPIPE;
    return sock_wrote(s, segs_add_copy(s->owner.worker, &s->queue, data, length));
}

static size_t sock_queued(const struct stream *stream) {
    return container_of(stream, const struct sock, stream)->queue.bytes;
}

/* ---- send ---- */

static void send_paid(struct sock *s) {
    if (s->pacer)
        pace_spent(s->pacer, LIMIT_BYTES_OUT, s->sending);
    kernel_pays(s->owner.worker, s->owner.account, KERNEL_SEND + s->sending / KERNEL_BYTES);
}

static void send_arm(struct sock *s) {
    struct ring *ring = s->owner.worker->ring;
    struct seg *g = s->queue.first;
    size_t most = s->pacer ? pace_most(s->pacer, LIMIT_BYTES_OUT) : SEND_MOST;
    if (!most)
        return; /* it is called */
    if (most > SEND_CROWDED && turn_is_tight(s->owner.worker))
        most = SEND_CROWDED;
    if (!g->next || g->slice.length >= most) {
        s->sending = g->slice.length < most ? g->slice.length : (uint32_t)most;
        send_paid(s);
        ring_send(ring, &s->send, s->fd, g->slice.data, s->sending);
        return;
    }
    struct iovec iov[IOV_MOST];
    unsigned n = 0;
    size_t bytes = 0;
    for (; g && n < IOV_MOST && bytes < most; g = g->next) {
        iov[n++] = (struct iovec){(void *)(uintptr_t)g->slice.data, g->slice.length};
        bytes += g->slice.length;
    }
    if (bytes > most) {
        iov[n - 1].iov_len -= bytes - most;
        bytes = most;
    }
    s->sending = (uint32_t)bytes;
    send_paid(s);
    ring_sendv(ring, &s->send, s->fd, iov, n);
}

/* Everything is sent: pass on what waited for that. */
static void sock_empty(struct sock *s) {
    if (s->closing) {
        sock_finish(s, false);
    } else if (s->shut && !s->fin_sent) {
        s->fin_sent = true;
        int error = sys_shutdown_write(s->fd);
        if (error)
            sock_break(s, error == -ENOTCONN ? -ECONNRESET : error);
    }
}

static void sock_tell_error(struct sock *s) {
    if (s->told)
        return;
    s->told = true;
    timer_stop(&s->timer);
    s->stream.events->error(&s->stream, s->stream.user, s->broken);
}

static void sock_flush(struct flush *f) {
    struct sock *s = container_of(f, struct sock, flush);
    worker_pays(s->owner.worker, s->owner.account);
    if (s->owner.dying || s->connecting)
        return;
    if (s->broken) {
        if (s->closing)
            sock_finish(s, true);
        else
            sock_tell_error(s);
        return;
    }
    if (s->send.armed)
        return;
    if (s->queue.bytes)
        send_arm(s);
    else
        sock_empty(s);
    if (s->drain_due && !s->closing) {
        s->drain_due = false;
        if (s->stream.events->drain)
            s->stream.events->drain(&s->stream, s->stream.user);
    }
}

static void send_sent(struct sock *s, uint32_t bytes) {
    struct worker *w = s->owner.worker;
    s->moved = sock_clock(w);
    segs_pop(w, &s->queue, bytes);
    ACCOUNT_ADD(*(s->client ? &sock_account(s)->bytes_out : &sock_account(s)->pod_bytes_out),
                bytes);
    if (s->full && s->queue.bytes <= STREAM_LOW) {
        s->full = false;
        full_end(s);
        s->drain_due = true;
    }
}

/* The peer takes no more. What it sent before is still to be read (an early answer, then its reset): while a receive is
 * armed, that receive brings the end; else the end is now. */
static void send_failed(struct sock *s, int error) {
    reset_count(s, error);
    if (!s->recv.armed || s->closing || (error != -EPIPE && error != -ECONNRESET)) {
        sock_break(s, error);
        return;
    }
    segs_drop(s->owner.worker, &s->queue);
    s->shut = s->fin_sent = true;
    s->reset = true; /* the kernel tells an RST once, here: a receive after it finds a mere end */
    s->drain_due = s->full;
    s->full = false;
    full_end(s);
}

static void send_done(struct op *op, const struct completion *c) {
    struct sock *s = container_of(op, struct sock, send);
    uint32_t asked = s->sending;
    s->sending = 0;
    if (s->owner.dying)
        return;
    uint32_t sent = c->res < 0 ? 0 : (uint32_t)c->res < asked ? (uint32_t)c->res : asked;
    if (s->pacer)
        pace_unspent(s->pacer, LIMIT_BYTES_OUT, asked - sent);
    if (sent)
        send_sent(s, sent);
    else if (c->res < 0 && c->res != -EINTR && c->res != -EAGAIN)
        send_failed(s, c->res);
    if (s->drain_due) /* who goes on now may have much to do: here it is in its tenant's turn, and at the end of the turn in everybody's way */
        sock_flush(&s->flush);
    else if (s->queue.bytes || s->shut || s->closing)
        worker_later(s->owner.worker, &s->flush);
}

static void sock_shutdown(struct stream *stream) {
    struct sock *s = sock_of_stream(stream);
    if (s->shut)
        return;
    s->shut = true;
    worker_later(s->owner.worker, &s->flush);
}

/* ---- close ---- */

/* One large send may be under way for long; what the peer has acknowledged says whether it still reads. */
static void last_bytes_late(struct timer *t) {
    struct sock *s = container_of(t, struct sock, timer);
    worker_pays(s->owner.worker, s->owner.account);
    uint32_t acked = sys_acked(s->fd);
    if (acked == s->acked && !pace_waits(s)) {
        sock_finish(s, true);
        return;
    }
    s->acked = acked;
    timer_set(s->owner.worker, &s->timer, LAST_BYTES_MS);
}

static void sock_close(struct stream *stream, bool reset) {
    struct sock *s = sock_of_stream(stream);
    if (s->closing)
        return;
    s->closing = true;
    if (reset || s->broken || (!s->queue.bytes && !s->connecting)) {
        sock_finish(s, reset);
        return;
    }
    timer_stop(&s->timer);
    timer_init(&s->timer, last_bytes_late);
    s->acked = sys_acked(s->fd);
    timer_set(s->owner.worker, &s->timer, LAST_BYTES_MS);
}

/* Every armed op is asked to end; close() alone cancels nothing. A send in flight keeps its buffers until its CQE. */
static void sock_finish(struct sock *s, bool reset) {
    struct ring *ring = s->owner.worker->ring;
    if (s->owner.dying)
        return;
    s->closing = true;
    s->ended_by_peer |= reset || s->broken;
    timer_stop(&s->timer);
    pace_end(s);
    full_end(s);
    kernel_pays(s->owner.worker, s->owner.account, KERNEL_CLOSE);
    if (reset)
        sys_linger_reset(s->fd);
    if (s->recv.armed)
        ring_cancel(ring, &s->recv);
    if (s->send.armed)
        ring_cancel(ring, &s->send);
    ring_close(ring, s->fd);
    s->fd = -1;
    ACCOUNT_ADD(*(s->client ? &s->owner.worker->client_fds : &s->owner.worker->pod_fds), -1);
    ACCOUNT_ADD(sock_account(s)->descriptors, -1);
    ACCOUNT_ADD(sock_account(s)->closing, 1);
    owner_end(&s->owner);
}

void sock_abort(struct sock *s) {
    sock_finish(s, true);
}

void stream_pays(struct stream *stream) {
    struct stream *base = stream_base(stream);
    if (base->ops == &sock_ops)
        worker_pays(base->worker, sock_of_stream(base)->owner.account);
}

struct account_worker *stream_payer(const struct stream *stream) {
    struct stream *base = stream_base(stream);
    return base->ops == &sock_ops ? sock_account(sock_of_stream(base)) : NULL;
}

const struct stream_ops sock_ops = {
    .write = sock_write,
    .write_copy = sock_write_copy,
    .pause = sock_pause,
    .resume = sock_resume,
    .shutdown = sock_shutdown,
    .close = sock_close,
    .queued = sock_queued,
};
