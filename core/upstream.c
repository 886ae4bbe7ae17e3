/* SPDX-License-Identifier: GPL-3.0-or-later
 * upstream.c - one pod's connections: made, kept, used again, closed; what is known of the pod. See upstream.h and pod.h.
 *
 * Which pod a request goes to is choose.c, who has to wait for one is wait.c, what pods share is pool.c.
 */
#include "core/control.h"
#include "core/local_ports.h"
#include "core/module.h"
#include "core/own.h"
#include "core/pick.h"
#include "core/pool.h"
#include "core/room.h"
#include "core/sys.h"
#include "core/tls.h"
#include "tenants/network.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Many servers close what was idle for 60 s: a request must not meet that close on its way. */
enum { IDLE_MOST = 512, IDLE_MS = 55000, EARLY_MS = 1000, FAILED_MS = 1000, PORTLESS_MS = 60000 };

struct upstream_conn {
    struct sock sock;
    struct tls *tls; /* above the sock; NULL: none */
    struct upstream *up;
    struct upstream_conn *next, **link; /* in the idle list; link NULL: not there */
    struct idle_link idle;              /* while it is there: in its worker's */
    uint32_t idle_ms;                   /* how long it may be kept idle; 0: IDLE_MS */
    bool reused;
    bool lent; /* it goes on, under another descriptor */
};

static struct upstream_conn *conn_of(const struct stream *s) {
    return container_of(sock_of_stream(stream_base(s)), struct upstream_conn, sock);
}

/* What is given out: the upper end. */
static struct stream *conn_stream(struct upstream_conn *c) {
    return c->tls ? tls_stream(c->tls) : &c->sock.stream;
}

static struct upstream_slot *slot_of(const struct upstream_conn *c) {
    return &c->up->w[c->sock.owner.worker->id];
}

/* ---- idle connections ---- */

static void worker_idle_add(struct worker *w, struct idle_link *l) {
    *l = (struct idle_link){.older = w->idle_first};
    *(l->older ? &l->older->newer : &w->idle_last) = l;
    w->idle_first = l;
}

static void worker_idle_remove(struct worker *w, struct idle_link *l) {
    *(l->older ? &l->older->newer : &w->idle_last) = l->newer;
    *(l->newer ? &l->newer->older : &w->idle_first) = l->older;
}

static void kept_count(struct upstream_conn *c, int more) {
    struct worker *w = c->sock.owner.worker;
    ACCOUNT_ADD(w->kept, more);
    ACCOUNT_ADD(c->sock.owner.account->w[w->id].kept, more);
}

static void idle_remove(struct upstream_conn *c) {
    if (!c->link)
        return;
    worker_idle_remove(c->sock.owner.worker, &c->idle);
    kept_count(c, -1);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->link = NULL;
    ACCOUNT_ADD(slot_of(c)->idle_count, -1);
    slot_of(c)->busy++;
}

static void idle_close(struct upstream_conn *c) {
    idle_remove(c);
    stream_close(conn_stream(c), false);
}

const struct account *upstream_payer(const struct idle_link *l) {
    return container_of(l, const struct upstream_conn, idle)->sock.owner.account;
}

void upstream_idle_end(struct idle_link *l) {
    idle_close(container_of(l, struct upstream_conn, idle));
}

static void idle_expired(struct timer *t) {
    stream_pays(&container_of(t, struct sock, timer)->stream);
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

static bool may_keep(const struct upstream_conn *c, const struct upstream_slot *slot,
                     const struct worker *w) {
    const struct sock *s = &c->sock;
    return !s->broken && !s->eof && !s->shut && !s->queue.bytes &&
           (!c->tls || tls_is_quiet(c->tls)) && !w->draining && !w->stopping &&
           slot->idle_count < IDLE_MOST && !__atomic_load_n(&slot->retired, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&slot->leaving, __ATOMIC_RELAXED);
}

void upstream_ends_after(struct stream *s, int64_t ms) {
    int64_t idle = ms > 2 * EARLY_MS ? ms - EARLY_MS : ms / 2;
    conn_of(s)->idle_ms = (uint32_t)(idle < IDLE_MS ? idle : IDLE_MS);
}

void upstream_keep(struct stream *s) {
    struct upstream_conn *c = conn_of(s);
    struct worker *w = s->worker;
    struct upstream_slot *slot = slot_of(c);
    if (!may_keep(c, slot, w)) {
        stream_close(s, false);
        return;
    }
    stream_consume(s, &idle_events, NULL);
    c->link = &slot->idle;
    c->next = slot->idle;
    if (c->next)
        c->next->link = &c->next;
    slot->idle = c;
    worker_idle_add(w, &c->idle);
    kept_count(c, 1);
    ACCOUNT_ADD(slot->idle_count, 1);
    slot->busy--;
    if (c->sock.timer.fire != idle_expired)
        timer_init(&c->sock.timer, idle_expired);
    timer_set(w, &c->sock.timer, c->idle_ms ? c->idle_ms : IDLE_MS);
    stream_resume(s);
    if (slot_is_capped(slot))
        upstream_give(c->up, w);
}

struct stream *upstream_idle_take(struct upstream *up, struct worker *w) {
    struct upstream_conn *c = up->w[w->id].idle;
    if (!c)
        return NULL;
    idle_remove(c);
    timer_rest(&c->sock.timer);
    c->reused = true;
    return conn_stream(c);
}

/* The connection lives on under another descriptor; one that can't (no descriptor is free) ends, too, since who waits makes one of his
 * own in its place. Closing ours cancels our receive before anybody else can hear of the other:
 * the kernel takes what a ring is asked for in order, and nothing is to be received while nothing was asked of the pod. */
int upstream_idle_lend(struct upstream *up, struct worker *w) {
    struct upstream_conn *c = up->w[w->id].idle;
    int fd = c && !c->tls ? sys_dup(c->sock.fd) : -ENOENT;
    if (c && !c->tls) {
        c->lent = fd >= 0;
        idle_close(c);
    }
    return fd;
}

void upstream_idle_drop(struct upstream *up, struct worker *w) {
    if (up->w[w->id].idle)
        idle_close(up->w[w->id].idle);
}

/* ---- new connections ---- */

static socklen_t address_length(const struct upstream *up) {
    return up->addr.any.sa_family == AF_INET6 ? sizeof up->addr.v6 : sizeof up->addr.v4;
}

/* In this order: once no slot counts it, the pod may be gone. */
static void slot_close(struct upstream_slot *slot) {
    __atomic_sub_fetch(&slot->up->opened, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->open, slot->open - 1, __ATOMIC_RELEASE);
}

static void upstream_conn_gone(struct sock *s) {
    struct upstream_conn *c = container_of(s, struct upstream_conn, sock);
    struct upstream_slot *slot = slot_of(c);
    struct worker *w = s->owner.worker;
    ACCOUNT_ADD(w->upstream_count, -1);
    local_ports_give(c->up->ports, !c->lent && !s->ended_by_peer, worker_now_ms(w));
    slot->busy--;
    if (c->tls)
        tls_free(c->tls);
    worker_free(w, c, sizeof *c);
    if (slot_is_capped(slot))
        upstream_slot_free(slot, w);
    else
        slot_close(slot);
}

static struct upstream_conn *conn_make(struct upstream *up, struct worker *w, int fd,
                                       struct account *payer) {
    struct upstream_slot *slot = &up->w[w->id];
    struct upstream_conn *c = worker_alloc(w, sizeof *c);
    if (!c)
        return NULL;
    c->up = up;
    sock_init(&c->sock, w, fd, false, payer ? payer : up->account, upstream_conn_gone);
    sock_holds(&c->sock, (int64_t)sizeof *c);
    ACCOUNT_ADD(w->upstream_count, 1);
    local_ports_take(up->ports);
    slot->busy++;
    __atomic_store_n(&slot->open, slot->open + 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&up->opened, 1, __ATOMIC_SEQ_CST);
    return c;
}

/* The latest handshake tells what people see of this pod; requests judge each their own. */
static void tls_judged(void *user, int error) {
    const struct upstream_conn *c = user;
    struct upstream *up = c->up;
    if (error)
        ACCOUNT_ADD(slot_of(c)->tls_failures, 1);
    if (__atomic_load_n(&up->tls_error, __ATOMIC_RELAXED) != error)
        __atomic_store_n(&up->tls_error, error, __ATOMIC_RELAXED);
}

static bool conn_secure(struct upstream_conn *c) {
    struct worker *w = c->sock.owner.worker;
    const struct speech *s = &c->up->pool->speech;
    struct WOLFSSL_CTX *ctx = trust_context(s->trust, w->id);
    struct WOLFSSL *ssl =
        ctx ? trust_session(ctx, s->server_name, s->trust->ca_pem, s->http2) : NULL;
    if (!ssl)
        return false;
    struct tls_client_conf conf = {.ssl = ssl,
                                   .http2 = s->http2,
                                   .handshake_ms = edge_timeouts()->connect,
                                   .judged = tls_judged,
                                   .user = c};
    c->tls = tls_client_new(w, &c->sock.stream, &conf);
    sock_holds(&c->sock, TLS_HOLDS);
    return c->tls;
}

/* Compiled is not dialled: meanwhile the tenant may have lost that part of its network, or the machine got the address. */
static bool may_dial(const struct upstream *up) {
    return !__atomic_load_n(&up->barred, __ATOMIC_RELAXED) &&
           !own_refuses(up->netns, __atomic_load_n(&up->named, __ATOMIC_RELAXED), &up->addr);
}

int upstream_socket(const struct upstream *up) {
    if (!may_dial(up))
        return -EACCES;
    return sys_socket(up->addr.any.sa_family, up->netns, up->device, &up->place);
}

static void portless_note(struct upstream *up, int64_t now_ms) {
    __atomic_store_n(&up->portless_ms, now_ms, __ATOMIC_RELAXED);
}

/* Within its tenant's share of what there is. */
static int connect_socket(struct upstream *up, struct worker *w, const struct account *payer) {
    int64_t now_ms = worker_now_ms(w);
    if (!local_ports_may(up->ports, now_ms)) {
        portless_note(up, now_ms);
        return -EADDRNOTAVAIL;
    }
    return room_for_pod(w, payer) ? upstream_socket(up) : -EMFILE;
}

struct stream *upstream_connect(struct upstream *up, struct worker *w, bool raw,
                                struct account *payer, int *ret_error) {
    int fd = connect_socket(up, w, payer ? payer : up->account);
    if (fd == -EMFILE || fd == -ENFILE)
        room_short(w);
    if (fd < 0) {
        *ret_error = fd;
        return NULL;
    }
    struct upstream_conn *c = conn_make(up, w, fd, payer);
    if (!c) {
        ring_close(w->ring, fd);
        *ret_error = -ENOMEM;
        return NULL;
    }
    if (up->pool->speech.trust && !raw && !conn_secure(c)) {
        stream_close(&c->sock.stream, true);
        *ret_error = -ENOMEM;
        return NULL;
    }
    ACCOUNT_ADD(up->w[w->id].connects, 1);
    sock_connect(&c->sock, &up->addr.any, address_length(up), edge_timeouts()->connect);
    return conn_stream(c);
}

struct stream *upstream_adopt(struct upstream *up, struct worker *w, int fd) {
    struct upstream_conn *c = conn_make(up, w, fd, NULL);
    if (!c) {
        ring_close(w->ring, fd);
        return NULL;
    }
    c->reused = true;
    stream_consume(&c->sock.stream, &idle_events, NULL);
    sock_start(&c->sock);
    return &c->sock.stream;
}

/* ---- facts ---- */

bool upstream_is_open(const struct stream *s) {
    return !conn_of(s)->sock.closing;
}

bool upstream_is_reused(const struct stream *s) {
    return conn_of(s)->reused;
}

bool upstream_is_secure(const struct stream *s) {
    return conn_of(s)->tls;
}

bool upstream_is_truncated(const struct stream *s) {
    const struct upstream_conn *c = conn_of(s);
    return c->tls && tls_is_truncated(c->tls);
}

struct upstream *upstream_of(const struct stream *s) {
    return conn_of(s)->up;
}

static bool same(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

bool place_same(const struct place *a, const struct place *b) {
    return a->space == b->space && a->device == b->device;
}

bool upstream_allowed(const struct stream *s, const struct version *now) {
    if (stream_base(s)->ops != &sock_ops)
        return true;
    const struct upstream *up = conn_of(s)->up;
    const struct network *network = &now->tenant->network;
    return network_allows(network, &up->addr) && same(up->netns, network->netns) &&
           same(up->device, network->device) && place_same(&up->place, now->place);
}

bool upstream_stays(const struct stream *s, const struct version *now) {
    return now && upstream_allowed(s, now);
}

const char *upstream_name(const struct upstream *up) {
    return up->name;
}

static void success_note(struct upstream *up, struct upstream_slot *s, int64_t now_ms) {
    ejection_passed(&up->ejection, now_ms);
    if (ejection_is_clean(&up->ejection))
        __atomic_store_n(&s->suspect, 0, __ATOMIC_RELAXED);
}

/* Ours, not the pod's: what it would have answered is not known. */
static bool is_own_fault(int error) {
    return error == -ENOMEM || error == -ENOBUFS || error == -EMFILE || error == -ENFILE ||
           error == -EADDRNOTAVAIL;
}

void upstream_report(struct upstream *up, struct worker *w, int error) {
    struct upstream_slot *s = &up->w[w->id];
    int64_t now = worker_now_ms(w);
    if (!error) {
        s->failed_until_ms = 0;
        if (__atomic_load_n(&s->suspect, __ATOMIC_RELAXED))
            success_note(up, s, now);
        return;
    }
    ACCOUNT_ADD(s->failures, 1);
    s->failed_until_ms = now + FAILED_MS;
    if (error == -EADDRNOTAVAIL)
        portless_note(up, now);
    if (is_own_fault(error))
        return;
    for (unsigned i = 0; i < up->workers; i++)
        __atomic_store_n(&up->w[i].suspect, 1, __ATOMIC_RELAXED);
    const struct upstream_set *set = __atomic_load_n(&up->pool->set, __ATOMIC_ACQUIRE);
    if (set && ejection_failed(&up->ejection, set->policy, now))
        pool_eject(up->pool, up, now, worker_random(w));
}

int upstream_connect_fd(const struct upstream *up, int fd) {
    return connect(fd, &up->addr.any, address_length(up)) ? -errno : 0;
}

const struct speech *upstream_speech(const struct upstream *up) {
    return &up->pool->speech;
}

void upstream_health_set(struct upstream *up, bool passes) {
    for (unsigned i = 0; i < up->workers; i++)
        __atomic_store_n(&up->w[i].out, !passes, __ATOMIC_RELAXED);
}

struct upstream_figures upstream_sum(const struct upstream *up) {
    const struct queue *line = &up->pool->line;
    int64_t now = sys_now_ns() / 1000000;
    struct upstream_figures f = {
        .failing = __atomic_load_n(&up->ejection.failures, __ATOMIC_RELAXED),
        .waiting = __atomic_load_n(&line->count, __ATOMIC_RELAXED),
        .refused = __atomic_load_n(&up->pool->refused, __ATOMIC_RELAXED),
        .late = __atomic_load_n(&up->pool->late, __ATOMIC_RELAXED),
        .fails_checks = upstream_is_out(up),
    };
    int tls_error = __atomic_load_n(&up->tls_error, __ATOMIC_RELAXED);
    f.tls_why = tls_error ? trust_why(tls_error) : NULL;
    int64_t portless = __atomic_load_n(&up->portless_ms, __ATOMIC_RELAXED);
    f.portless = portless && now - portless < PORTLESS_MS;
    if (ejection_is(&up->ejection, now))
        f.ejected_ms = __atomic_load_n(&up->ejection.until_ms, __ATOMIC_RELAXED) - now;
    for (unsigned i = 0; i < up->workers; i++) {
        f.connections += __atomic_load_n(&up->w[i].open, __ATOMIC_RELAXED);
        f.idle += __atomic_load_n(&up->w[i].idle_count, __ATOMIC_RELAXED);
        f.failures += __atomic_load_n(&up->w[i].failures, __ATOMIC_RELAXED);
        f.connects += __atomic_load_n(&up->w[i].connects, __ATOMIC_RELAXED);
        f.tls_failures += __atomic_load_n(&up->w[i].tls_failures, __ATOMIC_RELAXED);
        f.retries += __atomic_load_n(&up->pool->w[i].retries, __ATOMIC_RELAXED);
        f.retries_refused += __atomic_load_n(&up->pool->w[i].retries_refused, __ATOMIC_RELAXED);
    }
    return f;
}

/* ---- shared connections ---- */

struct upstream_shared **upstream_shared(struct upstream *up, struct worker *w) {
    return &up->w[w->id].shared;
}

void upstream_carry(struct upstream *up, struct worker *w, int requests) {
    up->w[w->id].busy += (uint32_t)requests;
}

bool upstream_may_keep(const struct upstream *up, const struct worker *w) {
    const struct upstream_slot *slot = &up->w[w->id];
    return !w->draining && !w->stopping && !__atomic_load_n(&slot->retired, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&slot->leaving, __ATOMIC_RELAXED);
}

/* ---- life ---- */

struct upstream *upstream_new(const char *key, const union address *addr,
                              const struct network *network, const struct place *place,
                              struct account *account, struct pool *pool, unsigned workers) {
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
    up->place = *place;
    up->account = account;
    account_ref(account);
    up->ports = local_ports_get(place, addr, account);
    up->pool = pool;
    address_print(addr, up->name);
    up->point = pick_key(up->name, strlen(up->name));
    for (unsigned i = 0; i < workers; i++)
        up->w[i].up = up;
    if (!up->key || (network->netns && !up->netns) || (network->device && !up->device)) {
        upstream_free(up);
        return NULL;
    }
    pool_ref(pool);
    return up;
}

void upstream_judge(struct upstream *up, const struct network *network) {
    bool allowed = network && network_allows(network, &up->addr);
    __atomic_store_n(&up->barred, !allowed, __ATOMIC_RELAXED);
    __atomic_store_n(&up->named, allowed && network_names(network, &up->addr), __ATOMIC_RELAXED);
}

void upstream_free(struct upstream *up) {
    local_ports_put(up->ports);
    account_unref(up->account);
    free(up->key);
    free(up->netns);
    free(up->device);
    free(up);
}

static void slot_close_idle(struct upstream_slot *slot) {
    if (slot->idle)
        worker_pays(slot->idle->sock.owner.worker, slot->up->account);
    while (slot->idle)
        idle_close(slot->idle);
    if (slot->shared)
        slot->shared->leave(slot->shared);
}

void upstream_close_idle(struct upstream *up, struct worker *w) {
    slot_close_idle(&up->w[w->id]);
}

static void leave_run(struct message *m) {
    struct upstream_slot *slot = container_of(m, struct upstream_slot, leave);
    __atomic_store_n(&slot->leave_posted, 0, __ATOMIC_RELEASE);
    slot_close_idle(slot);
}

void upstream_stay(struct upstream *up) {
    for (unsigned i = 0; i < up->workers; i++)
        __atomic_store_n(&up->w[i].leaving, 0, __ATOMIC_RELAXED);
}

void upstream_leave(struct upstream *up, struct worker *const *workers, struct ring *from) {
    for (unsigned i = 0; i < up->workers; i++) {
        __atomic_store_n(&up->w[i].leaving, 1, __ATOMIC_RELAXED);
        if (__atomic_exchange_n(&up->w[i].leave_posted, 1, __ATOMIC_ACQ_REL))
            continue;
        up->w[i].leave.run = leave_run;
        worker_post(workers[i], from, &up->w[i].leave);
    }
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

static bool slots_retired(const struct upstream *up) {
    for (unsigned i = 0; i < up->workers; i++)
        if (!__atomic_load_n(&up->w[i].retired, __ATOMIC_ACQUIRE))
            return false;
    return true;
}

static bool slots_empty(const struct upstream *up) {
    for (unsigned i = 0; i < up->workers; i++) {
        const struct upstream_slot *s = &up->w[i];
        if (__atomic_load_n(&s->leave_posted, __ATOMIC_ACQUIRE) ||
            __atomic_load_n(&s->give_posted, __ATOMIC_ACQUIRE) ||
            __atomic_load_n(&s->open, __ATOMIC_ACQUIRE))
            return false;
    }
    return true;
}

/* In the order in which one becomes the next: a retired slot promises nothing more; a promise ends when its connection is
 * counted; a connection and a message end when they are held. So what was not seen is seen in the next place. */
bool upstream_unused(const struct upstream *up) {
    return slots_retired(up) && !__atomic_load_n(&up->reserved, __ATOMIC_ACQUIRE) &&
           slots_empty(up) && !__atomic_load_n(&up->held, __ATOMIC_ACQUIRE);
}
