/* SPDX-License-Identifier: GPL-3.0-or-later
 * fake_kernel.c - see fake_kernel.h.
 *
 *   verbs append to `pending`; ring_dispatch draws some of them, in any order, and completes those that can be; from a moment
 *   of its choice on the turn is crowded, and completions are queued
 *   peers live in `peer[fd]`: what they still send, what they take, how they end; ring_wait lets them act
 *
 * A stream's bytes are a function of its peer's number and the offset, and its first four are that number, so whoever
 * receives can check every byte.
 */
#include "fake_kernel.h"
#include "core/sys.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PEERS_MOST = 4096, PENDING_MOST = 8192, BUFFERS = 65536, NUMBER = 4 };

enum kind { ACCEPT, RECV, SEND, CONNECT };

struct pend {
    enum kind kind;
    struct op *op;
    int fd;
    bool multishot, cancelled;
    size_t cap;
    unsigned iov_count;
    struct iovec *iov;
    size_t total, sent; /* SEND */
};

struct peer {
    bool used, open; /* open: the program holds the descriptor */
    bool pod, closed_by_reset;
    uint64_t will_send, sent,
        given; /* its own stream: in all, so far on the wire, handed to the program */
    bool fin, fin_given, dead; /* it has ended; it has reset */
    bool got_fin;
    uint64_t got;  /* of the other stream */
    uint64_t room; /* that it takes now */
    uint8_t head[NUMBER];
    bool tainted; /* a failure was injected here: delivery is not promised */
    int connect_result;
};

struct ring {
    unsigned features;
    struct {
        uint8_t *data;
        uint16_t id;
    } buffer[BUFFERS];
    unsigned head, tail, published;
};

static struct fake_plan plan;
static uint64_t state;
static int64_t now, waited, drop_ns;
static unsigned awaited;
static unsigned drops, touches;
static struct peer peer[PEERS_MOST];
static int fd_next;
static unsigned clients_come, clients_waiting;
static struct pend pending[PENDING_MOST];
static unsigned pending_count;
static struct message *message[256];
static unsigned message_count;
static unsigned fallible, fail_at;
static struct turn *turn; /* of this dispatch */
static uint64_t cycles;

/* ---- chance and failure ---- */

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t draw_below(uint64_t n) {
    return n ? draw() % n : 0;
}

static bool one_in(unsigned n) {
    return n && draw_below(n) == 0;
}

static bool fails_now(void) {
    return ++fallible == fail_at;
}

unsigned fake_fail_at(unsigned k) {
    unsigned before = fallible;
    fallible = 0;
    fail_at = k;
    return before;
}

void *__real_calloc(size_t, size_t);
void *__real_malloc(size_t);
void *__real_aligned_alloc(size_t, size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_aligned_alloc(size_t, size_t);

void *__wrap_calloc(size_t n, size_t size) {
    return fails_now() ? NULL : __real_calloc(n, size);
}
void *__wrap_malloc(size_t size) {
    return fails_now() ? NULL : __real_malloc(size);
}
void *__wrap_aligned_alloc(size_t align, size_t size) {
    return fails_now() ? NULL : __real_aligned_alloc(align, size);
}

/* ---- peers ---- */

static uint8_t byte_of(uint32_t number, uint64_t offset) {
    if (offset < NUMBER)
        return (uint8_t)(number >> (8 * offset));
    return (uint8_t)((offset * 2654435761u + number * 40503u) >> 11);
}

static int peer_new(bool pod) {
    int fd = fd_next++;
    assert_true(fd < PEERS_MOST);
    struct peer *p = &peer[fd];
    *p = (struct peer){.used = true, .open = true, .pod = pod};
    p->will_send = NUMBER + draw_below(one_in(3) ? plan.stream_most : 300);
    p->room = draw_below(20000);
    return fd;
}

static void peer_receive(struct peer *p, const uint8_t *data, size_t n) {
    assert_false(p->got_fin);
    for (size_t i = 0; i < n; i++, p->got++) {
        if (p->got < NUMBER)
            p->head[p->got] = data[i];
        uint32_t from = (uint32_t)(p->head[0] | p->head[1] << 8 | p->head[2] << 16) |
                        (uint32_t)p->head[3] << 24;
        if (p->got >= NUMBER && data[i] != byte_of(from, p->got))
            fail_msg("byte %llu of stream %u is not what was sent", (unsigned long long)p->got,
                     from);
    }
}

static void peer_act(struct peer *p) {
    if (p->dead)
        return;
    if (p->sent < p->will_send && one_in(2)) {
        uint64_t n = 1 + draw_below(one_in(4) ? 200000 : 2000);
        p->sent += n < p->will_send - p->sent ? n : p->will_send - p->sent;
    }
    if (!(p->pod && plan.pods_never_read) && p->room < 1000000)
        p->room += draw_below(one_in(4) ? 300000 : 4000);
    if (p->sent == p->will_send && one_in(4)) {
        if (one_in(plan.reset_one_in))
            p->dead = true;
        else
            p->fin = true;
    }
}

void fake_start(const struct fake_plan *p) {
    plan = *p;
    state = p->seed * 0x9e3779b97f4a7c15ull + 88172645463325252ull;
    now = 1000000000;
    memset(peer, 0, sizeof peer);
    fd_next = 10;
    clients_come = clients_waiting = 0;
    pending_count = message_count = 0;
    fallible = fail_at = 0;
    cycles = 0;
    drops = touches = 0;
    drop_ns = 0;
}

bool fake_clients_done(void) {
    if (clients_come < plan.clients || clients_waiting)
        return false;
    for (int fd = 10; fd < fd_next; fd++)
        if (peer[fd].open)
            return false;
    return true;
}

int64_t fake_waited_ns(void) {
    return waited;
}

unsigned fake_awaited(void) {
    return awaited;
}

void fake_spend(uint64_t ns) {
    cycles += ns;
}

void fake_pass(int64_t ms) {
    now += ms * 1000000;
}

uint64_t fake_backlog(void) {
    uint64_t given = 0, taken = 0;
    for (int fd = 10; fd < fd_next; fd++) {
        given += peer[fd].pod ? 0 : peer[fd].given;
        taken += peer[fd].pod ? peer[fd].got : 0;
    }
    return given - taken;
}

void fake_assert_clean(void) {
    for (unsigned i = 0; i < pending_count; i++)
        assert_int_equal(pending[i].fd, FAKE_LISTENER);
    for (int fd = 10; fd < fd_next; fd++)
        assert_false(peer[fd].open);
}

unsigned fake_assert_delivered(void) {
    unsigned pairs = 0;
    for (int fd = 10; fd < fd_next; fd++) {
        struct peer *pod = &peer[fd];
        if (!pod->pod || pod->got < NUMBER)
            continue;
        int from = pod->head[0] | pod->head[1] << 8;
        struct peer *client = &peer[from];
        if (pod->dead || client->dead || pod->tainted || client->tainted)
            continue;
        if (pod->closed_by_reset || client->closed_by_reset)
            continue;
        assert_int_equal(pod->got, client->will_send);
        assert_int_equal(client->got, pod->will_send);
        pairs++;
    }
    return pairs;
}

/* ---- verbs ---- */

bool ring_new(const struct ring_conf *conf, struct ring **ret, struct err *err) {
    (void)conf;
    struct ring *r = __real_calloc(1, sizeof *r);
    if (!r || fails_now()) {
        free(r);
        return err_set(err, "no ring");
    }
    r->features = plan.bundles ? RING_BUNDLE : 0;
    *ret = r;
    return true;
}

void ring_free(struct ring *r) {
    free(r);
}

unsigned ring_features(const struct ring *r) {
    return r->features;
}

int ring_fd(const struct ring *r) {
    (void)r;
    return -1;
}

static struct pend *pend_add(enum kind kind, struct op *op, int fd) {
    assert_true(pending_count < PENDING_MOST);
    assert_false(op->armed);
    assert_true(fd == FAKE_LISTENER || (fd >= 10 && peer[fd].open));
    op->armed = true;
    op->braked = false;
    op->owner->inflight++;
    pending[pending_count] = (struct pend){.kind = kind, .op = op, .fd = fd};
    return &pending[pending_count++];
}

void ring_accept(struct ring *r, struct op *op, int fd) {
    (void)r;
    pend_add(ACCEPT, op, fd)->multishot = true;
}

void ring_accept_once(struct ring *r, struct op *op, int fd) {
    (void)r;
    pend_add(ACCEPT, op, fd);
}

void ring_recv(struct ring *r, struct op *op, int fd) {
    (void)r;
    struct pend *p = pend_add(RECV, op, fd);
    p->multishot = true;
    p->cap = BUF_SIZE;
}

void ring_recv_once(struct ring *r, struct op *op, int fd, size_t cap) {
    (void)r;
    struct pend *p = pend_add(RECV, op, fd);
    p->cap = plan.bundles ? cap : BUF_SIZE;
}

size_t fake_recv_most(const struct op *op) {
    for (unsigned i = 0; i < pending_count; i++)
        if (pending[i].op == op && pending[i].kind == RECV && !pending[i].multishot)
            return pending[i].cap;
    return 0;
}

void ring_sendv(struct ring *r, struct op *op, int fd, const struct iovec *iov, unsigned count) {
    (void)r;
    assert_false(peer[fd].got_fin);
    struct pend *p = pend_add(SEND, op, fd);
    p->iov = __real_calloc(count, sizeof *iov);
    memcpy(p->iov, iov, count * sizeof *iov);
    p->iov_count = count;
    for (unsigned i = 0; i < count; i++)
        p->total += iov[i].iov_len;
    assert_true(p->total > 0);
}

void ring_send(struct ring *r, struct op *op, int fd, const void *data, size_t length) {
    struct iovec iov = {(void *)(uintptr_t)data, length};
    ring_sendv(r, op, fd, &iov, 1);
}

void ring_connect(struct ring *r, struct op *op, int fd, const struct sockaddr *addr,
                  socklen_t length) {
    (void)r;
    (void)addr;
    (void)length;
    pend_add(CONNECT, op, fd);
    peer[fd].connect_result = one_in(plan.refuse_one_in) ? -ECONNREFUSED
                              : one_in(plan.mute_one_in) ? 1
                                                         : 0;
}

void ring_cancel(struct ring *r, struct op *target) {
    (void)r;
    for (unsigned i = 0; i < pending_count; i++)
        if (pending[i].op == target)
            pending[i].cancelled = true;
}

void ring_close(struct ring *r, int fd) {
    (void)r;
    assert_true(fd >= 10 && peer[fd].open);
    for (unsigned i = 0; i < pending_count; i++)
        assert_true(pending[i].fd != fd || pending[i].cancelled);
    peer[fd].open = false;
    peer[fd].got_fin = true;
}

void ring_submit(struct ring *r) {
    (void)r;
}

void ring_message(struct ring *r, struct ring *to, struct message *m) {
    (void)r;
    m->to = to;
    assert_true(message_count < 256);
    message[message_count++] = m;
}

void ring_buffer_add(struct ring *r, void *data, unsigned size, uint16_t id) {
    assert_int_equal(size, BUF_SIZE);
    r->buffer[r->tail % BUFFERS].data = data;
    r->buffer[r->tail++ % BUFFERS].id = id;
}

void ring_buffers_publish(struct ring *r) {
    r->published = r->tail;
}

/* ---- completions ---- */

static void complete(unsigned at, int32_t res, uint32_t flags, uint16_t buffer) {
    struct completion c = {.res = res, .flags = flags, .buffer = buffer};
    struct op *op = pending[at].op;
    if (!(flags & OP_MORE)) {
        free(pending[at].iov);
        pending[at] = pending[--pending_count];
    }
    if (turn && turn->crowded)
        turn_put(turn, op, &c);
    else
        op_complete(op, &c);
}

static void try_accept(unsigned at) {
    if (pending[at].cancelled) {
        complete(at, -ECANCELED, 0, 0);
        return;
    }
    if (!clients_waiting)
        return;
    if (fails_now()) {
        complete(at, -EMFILE, 0, 0);
        return;
    }
    clients_waiting--;
    complete(at, peer_new(false), one_in(plan.end_one_in) ? 0 : OP_MORE, 0);
}

static void recv_bytes(struct ring *r, unsigned at, struct peer *p) {
    struct pend *q = &pending[at];
    uint32_t number = (uint32_t)(p - peer);
    unsigned buffers = r->published - r->head;
    uint64_t n = 1 + draw_below(p->sent - p->given);
    uint64_t most = q->cap;
    if (!buffers || (one_in(50) && !q->cancelled)) {
        complete(at, -ENOBUFS, 0, 0);
        return;
    }
    n = n < most ? n : most;
    n = n < (uint64_t)buffers * BUF_SIZE ? n : (uint64_t)buffers * BUF_SIZE;
    uint16_t first = r->buffer[r->head % BUFFERS].id;
    for (uint64_t i = 0; i < n; i++) {
        r->buffer[(r->head + i / BUF_SIZE) % BUFFERS].data[i % BUF_SIZE] =
            byte_of(number, p->given + i);
    }
    r->head += (unsigned)((n + BUF_SIZE - 1) / BUF_SIZE);
    p->given += n;
    bool more = q->multishot && !one_in(plan.end_one_in);
    unsigned flags = OP_BUFFER | (more ? OP_MORE : 0) | (p->given < p->sent ? OP_NONEMPTY : 0);
    complete(at, (int32_t)n, flags, first);
}

static void try_recv(struct ring *r, unsigned at) {
    struct peer *p = &peer[pending[at].fd];
    if (p->open && p->given < p->sent && !(pending[at].cancelled && one_in(2)))
        recv_bytes(r, at, p);
    else if (pending[at].cancelled)
        complete(at, -ECANCELED, 0, 0);
    else if (p->dead)
        complete(at, -ECONNRESET, 0, 0);
    else if (p->fin && p->given == p->sent)
        complete(at, 0, 0, 0);
}

/* Takes what there is room for, reading the program's memory only now. */
static void send_progress(struct pend *q, struct peer *p) {
    size_t n = q->total - q->sent, skip = q->sent;
    n = n < p->room ? n : p->room;
    p->room -= n;
    q->sent += n;
    for (unsigned i = 0; i < q->iov_count && n; i++) {
        size_t length = q->iov[i].iov_len;
        if (skip >= length) {
            skip -= length;
            continue;
        }
        size_t take = length - skip < n ? length - skip : n;
        peer_receive(p, (const uint8_t *)q->iov[i].iov_base + skip, take);
        n -= take;
        skip = 0;
    }
}

static void try_send(unsigned at) {
    struct pend *q = &pending[at];
    struct peer *p = &peer[q->fd];
    if (p->dead) {
        complete(at, q->sent ? (int32_t)q->sent : -EPIPE, 0, 0);
        return;
    }
    if (p->open)
        send_progress(q, p);
    if (q->sent == q->total || (q->sent && one_in(plan.short_one_in)))
        complete(at, (int32_t)q->sent, 0, 0);
    else if (q->cancelled)
        complete(at, q->sent ? (int32_t)q->sent : -ECANCELED, 0, 0);
}

static void try_connect(unsigned at) {
    struct peer *p = &peer[pending[at].fd];
    if (pending[at].cancelled && (p->connect_result == 1 || one_in(2)))
        complete(at, -ECANCELED, 0, 0);
    else if (p->connect_result <= 0) {
        int result = fails_now() ? -ECONNREFUSED : p->connect_result;
        p->dead |= result < 0;
        complete(at, result, 0, 0);
    }
}

static void try_one(struct ring *r, unsigned at) {
    switch (pending[at].kind) {
    case ACCEPT:
        try_accept(at);
        break;
    case RECV:
        try_recv(r, at);
        break;
    case SEND:
        try_send(at);
        break;
    case CONNECT:
        try_connect(at);
        break;
    }
}

unsigned ring_dispatch(struct ring *r, struct turn *t) {
    unsigned tries = (unsigned)draw_below(pending_count * 2 + 2);
    unsigned quiet = one_in(2) ? UINT32_MAX : (unsigned)draw_below(20);
    turn = t;
    while (tries-- && pending_count) {
        if (t && !t->crowded && !quiet--)
            turn_ends(t, true);
        try_one(r, (unsigned)draw_below(pending_count));
    }
    turn = NULL;
    while (message_count) {
        struct message *m = message[--message_count];
        m->run(m);
    }
    return 1;
}

int ring_wait(struct ring *r, int64_t timeout_ns, unsigned expected) {
    (void)r;
    waited = timeout_ns;
    awaited = expected;
    now += timeout_ns > 0 && one_in(3) ? timeout_ns : (int64_t)draw_below(3000000);
    if (clients_come < plan.clients && one_in(2)) {
        clients_come++;
        clients_waiting++;
    }
    for (int fd = 10; fd < fd_next; fd++)
        if (peer[fd].open)
            peer_act(&peer[fd]);
    return 0;
}

/* ---- sys.h ---- */

void sys_begin(void) {
}

struct place sys_place(const char *netns, const char *device) {
    (void)netns;
    (void)device;
    return (struct place){0};
}

int sys_socket(int family, const char *netns, const char *device, const struct place *place) {
    (void)family;
    (void)netns;
    (void)device;
    (void)place;
    return fails_now() ? -EMFILE : peer_new(true);
}

/* One worker lends to nobody. */
int sys_dup(int fd) {
    (void)fd;
    return -EMFILE;
}

int sys_shutdown_write(int fd) {
    assert_true(peer[fd].open);
    for (unsigned i = 0; i < pending_count; i++)
        assert_false(pending[i].fd == fd && pending[i].kind == SEND);
    if (peer[fd].dead)
        return -ENOTCONN;
    peer[fd].got_fin = true;
    return 0;
}

int sys_linger_reset(int fd) {
    peer[fd].closed_by_reset = true;
    return 0;
}

uint32_t sys_acked(int fd) {
    return (uint32_t)peer[fd].got;
}

int sys_name(int fd, bool remote, struct sockaddr_storage *ret, socklen_t *ret_length) {
    (void)fd;
    (void)remote;
    (void)ret;
    *ret_length = 0;
    return -ENOTCONN;
}

void *sys_pages_new(size_t size) {
    return aligned_alloc(4096, size);
}

void sys_pages_free(void *p, size_t size) {
    (void)size;
    free(p);
}

/* Not zeroes but rubbish: who still needed what was there will notice. */
void sys_pages_drop(void *p, size_t size) {
    memset(p, 0xdb, size);
    drops++;
    now += drop_ns;
}

void sys_page_touch(void *p) {
    memset(p, 0xdb, 1);
    touches++;
}

unsigned fake_touches(void) {
    unsigned since = touches;
    touches = 0;
    return since;
}

unsigned fake_drops(int64_t each_ns) {
    unsigned since = drops;
    drops = 0;
    drop_ns = each_ns;
    return since;
}

int64_t sys_now_ns(void) {
    return now;
}

int64_t sys_cpu_ns(void) {
    return now;
}

void sys_slice(int64_t ns) {
    (void)ns;
}

/* Each look at them takes some 3 us, so that a turn has time for some of what waits. */
uint64_t sys_cycles(void) {
    cycles += plan.free_clock ? 0 : 3000;
    return (uint64_t)now + cycles;
}
