/* SPDX-License-Identifier: GPL-3.0-or-later
 * server.c - see server.h.
 *
 * A client that waits for its answer is not read from, but for a stream, whose end would not be noticed otherwise.
 */
#include "modules/kube/server.h"
#include "core/control_host.h"
#include "core/map.h"
#include "core/module.h"
#include "modules/kube/outgoing.h"
#include "modules/kube/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    NICE = 10,    /* a burst of handshakes must not delay a request of the data path */
    ACCEPTS = 32, /* in one turn */
    LISTENERS_MOST = 16,
    IN_MOST = 16 << 10, /* read ahead of the parser */
    WRITE_MOST = 16 << 10,
    HEAD_MS = 10000, /* from the first byte, handshake included, to a whole head */
    BODY_MS = 30000,
    IDLE_MS = 120000,
    STUCK_MS = 30000,     /* without progress while there is something to write */
    STRANGERS_MOST = 256, /* that have not shown a token yet: the oldest goes */
    STEPS = 32,           /* of one client, a request each, before others are looked at */
    HELD_MOST =
        32 << 20, /* of one tenant: bodies, and what is on its way out, but for one answer */
};

enum phase { PHASE_HANDSHAKE, PHASE_READ, PHASE_ANSWER, PHASE_STREAM, PHASE_LAST /* then close */ };

struct crowd { /* a tenant's clients */
    int64_t connections;
    size_t held; /* by all of them */
    char name[TENANT_MAX];
};

struct client {
    struct client *next, *previous;
    struct wire wire;
    struct http http;
    enum phase phase;
    uint32_t interest; /* of epoll */
    char *in;          /* what the parser has not taken, IN_MOST */
    size_t in_length;
    struct outgoing out;
    size_t held;      /* as its crowd has it */
    int64_t until_ms; /* 0: no limit */
    int64_t asked_us; /* when its request was here, if that is to read; 0: none is under way */
    struct client *next_ready;
    bool keep_alive, wants_write, dead;
    bool ready;          /* in the list of those to be run */
    struct crowd *crowd; /* NULL: a stranger */
    void *slot;
};

static struct {
    pthread_t thread;
    bool started;
    _Atomic bool ending;
    const struct kube_conf *conf;
    const struct server_events *events;
    struct WOLFSSL_CTX *ctx;
    int epoll, wake, listener[LISTENERS_MOST];
    unsigned listeners, count, strangers, most;
    struct client *first, *last; /* in the order they came */
    struct client *ready_first, **ready_end;
    struct map crowds;       /* name -> struct crowd */
    int64_t crowd_most;      /* connections of one */
    int64_t accept_again_ms; /* 0: listening */
    pthread_mutex_t lock;    /* over `paper` */
    struct paper paper;      /* to be used from now on; .chain NULL: none */
    _Atomic uint64_t accepted, requests, refused, connections, answer_max_us;
} server = {.epoll = -1, .wake = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t server_now_ms(void) {
    return now_us() / 1000;
}

/* ---- clients ---- */

static struct crowd *crowd_need(const char *tenant) {
    struct crowd *w = map_get(&server.crowds, tenant);
    if (w || !(w = calloc(1, sizeof *w)))
        return w;
    snprintf(w->name, sizeof w->name, "%s", tenant);
    if (map_put(&server.crowds, tenant, w))
        return w;
    free(w);
    return NULL;
}

static void crowd_leave(struct client *c) {
    struct crowd *w = c->crowd;
    c->crowd = NULL;
    if (!w) {
        server.strangers--;
        return;
    }
    w->held -= c->held;
    if (--w->connections)
        return;
    map_remove(&server.crowds, w->name);
    free(w);
}

bool client_admit(struct client *c, const char *tenant) {
    struct crowd *w = crowd_need(tenant);
    if (!w || w == c->crowd)
        return w;
    if (w->connections >= server.crowd_most)
        return false;
    crowd_leave(c);
    c->crowd = w;
    w->connections++;
    w->held += c->held;
    return true;
}

/* What it makes us keep. */
static void held_count(struct client *c) {
    size_t now = outgoing_left(&c->out) + c->http.request.body_length;
    if (c->crowd)
        c->crowd->held += now - c->held;
    c->held = now;
}

bool client_may_hold(const struct client *c) {
    return !c->crowd || c->crowd->held < HELD_MOST;
}

void **client_slot(struct client *c) {
    return &c->slot;
}

static void client_unlink(struct client *c) {
    *(c->previous ? &c->previous->next : &server.first) = c->next;
    *(c->next ? &c->next->previous : &server.last) = c->previous;
}

static void client_free(struct client *c) {
    server.events->gone(c);
    client_unlink(c);
    crowd_leave(c);
    server.count--;
    atomic_store_explicit(&server.connections, server.count, memory_order_relaxed);
    wire_fini(&c->wire);
    http_fini(&c->http);
    free(c->in);
    outgoing_fini(&c->out);
    free(c);
}

/* Run once what is going on now is over: whoever writes to a client, from a loop over many, will not see it end meanwhile. */
static void client_later(struct client *c) {
    if (c->ready)
        return;
    c->ready = true;
    c->next_ready = NULL;
    *server.ready_end = c;
    server.ready_end = &c->next_ready;
}

static void client_end(struct client *c) {
    c->dead = true;
    client_later(c);
}

static struct client *client_new(int fd) {
    struct client *c = calloc(1, sizeof *c);
    if (!c || !wire_init(&c->wire, server.ctx, fd)) {
        free(c);
        close(fd);
        return NULL;
    }
    http_init(&c->http, (size_t)server.conf->body_size);
    c->interest = EPOLLIN;
    c->until_ms = server_now_ms() + HEAD_MS;
    c->previous = server.last;
    *(server.last ? &server.last->next : &server.first) = c;
    server.last = c;
    server.count++;
    server.strangers++;
    atomic_store_explicit(&server.connections, server.count, memory_order_relaxed);
    struct epoll_event event = {.events = c->interest, .data.ptr = c};
    if (!epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event))
        return c;
    c->dead = true;
    client_later(c);
    return NULL;
}

/* ---- writing ---- */

static bool out_append(struct client *c, const char *data, size_t length) {
    bool good = outgoing_add(&c->out, data, length);
    c->dead |= !good;
    held_count(c);
    return good;
}

size_t client_queued(const struct client *c) {
    return outgoing_left(&c->out);
}

static void out_begun(struct client *c) {
    c->until_ms = server_now_ms() + STUCK_MS;
    client_later(c);
}

static const char *reason_of(int code) {
    static const struct {
        int code;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {201, "Created"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {406, "Not Acceptable"},
                   {409, "Conflict"},
                   {410, "Gone"},
                   {413, "Content Too Large"},
                   {415, "Unsupported Media Type"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].code == code)
            return reasons[i].reason;
    return "Status";
}

static void head_append(struct client *c, int code, const char *type, const char *headers,
                        const char *framing) {
    char *head = NULL;
    int n = asprintf(&head,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nCache-Control: no-cache, private\r\n"
                     "X-Content-Type-Options: nosniff\r\n%s%s%s\r\n",
                     code, reason_of(code), type, headers ? headers : "", framing,
                     c->keep_alive ? "" : "Connection: close\r\n");
    c->dead |= n < 0;
    if (n >= 0)
        out_append(c, head, (size_t)n);
    free(head);
}

/* This thread alone writes it; whoever looks takes it away. */
static void answer_time(struct client *c) {
    uint64_t took = c->asked_us ? (uint64_t)(now_us() - c->asked_us) : 0;
    c->asked_us = 0;
    if (took > atomic_load_explicit(&server.answer_max_us, memory_order_relaxed))
        atomic_store_explicit(&server.answer_max_us, took, memory_order_relaxed);
}

void client_reply(struct client *c, const struct reply *r) {
    char framing[64];
    bool head_only = !strcmp(c->http.request.method, "HEAD");
    answer_time(c);
    snprintf(framing, sizeof framing, "Content-Length: %zu\r\n", r->length);
    head_append(c, r->code, r->type, r->headers, framing);
    if (!c->dead && r->length && !head_only)
        out_append(c, r->body, r->length);
    free(r->body);
    c->phase = c->keep_alive ? PHASE_READ : PHASE_LAST;
    http_next(&c->http);
    held_count(c);
    out_begun(c);
}

void client_stream(struct client *c, const char *type) {
    answer_time(c);
    head_append(c, 200, type, NULL, "Transfer-Encoding: chunked\r\n");
    c->phase = PHASE_STREAM;
    out_begun(c);
}

void client_chunk(struct client *c, const char *data, size_t length) {
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", length);
    bool idle = !client_queued(c);
    if (length && out_append(c, size, (size_t)n) && out_append(c, data, length))
        out_append(c, "\r\n", 2);
    if (idle || c->dead)
        out_begun(c);
}

void client_stream_end(struct client *c) {
    out_append(c, "0\r\n\r\n", 5);
    c->phase = c->keep_alive ? PHASE_READ : PHASE_LAST;
    http_next(&c->http);
    held_count(c);
    out_begun(c);
}

/* True: all is out. */
static bool out_write(struct client *c) {
    while (client_queued(c)) {
        size_t n = client_queued(c), sent;
        enum wire_answer answer =
            wire_write(&c->wire, outgoing_next(&c->out), n < WRITE_MOST ? n : WRITE_MOST, &sent);
        c->wants_write = answer == WIRE_WANTS_WRITE;
        if (answer == WIRE_BROKEN)
            c->dead = true;
        if (answer != WIRE_DONE)
            return false;
        outgoing_sent(&c->out, sent);
        held_count(c);
        c->until_ms = server_now_ms() + STUCK_MS;
    }
    outgoing_rest(&c->out);
    return true;
}

/* ---- reading ---- */

static void refuse(struct client *c, int code, const char *text) {
    c->keep_alive = false;
    atomic_fetch_add_explicit(&server.refused, 1, memory_order_relaxed);
    client_reply(
        c, &(struct reply){code, "text/plain; charset=utf-8", NULL, strdup(text), strlen(text)});
}

static void head_judge(struct client *c) {
    const struct http_request *r = &c->http.request;
    c->keep_alive = false;
    if (!server.events->head(c, r) || c->dead)
        return;
    c->until_ms = server_now_ms() + BODY_MS;
    if (r->expects_continue)
        out_append(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void request_hand(struct client *c) {
    c->phase = PHASE_ANSWER;
    c->keep_alive = c->http.request.keep_alive && !server.ending;
    c->until_ms = 0;
    bool reads = !strcmp(c->http.request.method, "GET") || !strcmp(c->http.request.method, "HEAD");
    c->asked_us = reads ? now_us() : 0;
    atomic_fetch_add_explicit(&server.requests, 1, memory_order_relaxed);
    server.events->request(c, &c->http.request);
}

static void parsed(struct client *c, enum http_answer answer) {
    switch (answer) {
    case GOT_MORE:
        if (!client_may_hold(c))
            refuse(c, 429, "this tenant has too much under way\n");
        break;
    case GOT_HEAD:
        head_judge(c);
        break;
    case GOT_COMPLETE:
        request_hand(c);
        break;
    case GOT_TOO_LONG:
        refuse(c, 431, "the request's head is too long\n");
        break;
    case GOT_TOO_LARGE:
        refuse(c, 413, "the request's body is too large\n");
        break;
    case GOT_BAD:
        refuse(c, 400, "not a request of HTTP/1.1\n");
        break;
    }
}

static enum http_answer feed(struct client *c, const char *data, size_t length, size_t *ret_taken) {
    enum http_answer answer = http_feed(&c->http, data, length, ret_taken);
    held_count(c);
    parsed(c, answer);
    return answer;
}

/* True: its next request may be looked at. */
static bool may_parse(const struct client *c) {
    return !c->dead && c->phase == PHASE_READ && !client_queued(c);
}

/* What came is parsed as far as a request that is to be answered first. */
static void in_parse(struct client *c) {
    size_t at = 0, taken;
    while (may_parse(c) && at < c->in_length) {
        if (c->crowd && http_is_idle(&c->http)) /* a stranger's time runs on */
            c->until_ms = server_now_ms() + HEAD_MS;
        enum http_answer answer = feed(c, c->in + at, c->in_length - at, &taken);
        at += taken;
        if (answer == GOT_MORE)
            break;
    }
    /* A request without a body is complete with the byte that ends its head. */
    while (may_parse(c) && c->http.head_done && at >= c->in_length)
        if (feed(c, "", 0, &taken) == GOT_MORE)
            break;
    if (c->dead)
        return;
    if (at)
        memmove(c->in, c->in + at, c->in_length - at);
    c->in_length -= at;
}

/* True: something was read. */
static bool in_read(struct client *c) {
    size_t n;
    if (c->in_length == IN_MOST)
        return false;
    if (!c->in && !(c->in = malloc(IN_MOST))) {
        c->dead = true;
        return false;
    }
    enum wire_answer answer = wire_read(&c->wire, c->in + c->in_length, IN_MOST - c->in_length, &n);
    if (answer == WIRE_BROKEN)
        c->dead = true;
    if (answer != WIRE_DONE)
        return false;
    if (c->phase == PHASE_STREAM) /* nobody pipelines behind a watch */
        c->dead = true;
    c->in_length += n;
    return !c->dead;
}

/* ---- a client's turn ---- */

static bool handshake(struct client *c) {
    enum wire_answer answer = wire_handshake(&c->wire);
    c->wants_write = answer == WIRE_WANTS_WRITE;
    c->dead |= answer == WIRE_BROKEN;
    if (answer == WIRE_DONE)
        c->phase = PHASE_READ;
    return answer == WIRE_DONE;
}

static void interest_set(struct client *c) {
    bool reads = c->phase == PHASE_HANDSHAKE || c->phase == PHASE_STREAM ||
                 (c->phase == PHASE_READ && !client_queued(c));
    bool waits = c->phase == PHASE_ANSWER || c->phase == PHASE_STREAM;
    uint32_t wanted =
        (reads ? EPOLLIN : 0u) | (c->wants_write ? EPOLLOUT : 0u) | (waits ? EPOLLRDHUP : 0u);
    struct epoll_event event = {.events = wanted, .data.ptr = c};
    if (wanted != c->interest && !epoll_ctl(server.epoll, EPOLL_CTL_MOD, c->wire.fd, &event))
        c->interest = wanted;
}

static void idle_begin(struct client *c) {
    if (c->phase == PHASE_STREAM)
        c->until_ms = 0;
    else if (c->phase == PHASE_READ && http_is_idle(&c->http))
        c->until_ms = server_now_ms() + (c->crowd ? IDLE_MS : HEAD_MS);
}

static void turn(struct client *c) {
    for (int steps = 0; !c->dead; steps++) {
        if (steps == STEPS) { /* who says more than we can answer is not the only one */
            client_later(c);
            return;
        }
        if (c->phase == PHASE_HANDSHAKE && !handshake(c))
            return;
        bool had = client_queued(c);
        if (!out_write(c))
            return;
        if (c->phase == PHASE_LAST) {
            c->dead = true;
            return;
        }
        if (had)
            idle_begin(c);
        if (had && c->phase == PHASE_STREAM)
            server.events->drained(c);
        if (c->dead || client_queued(c))
            continue;
        if (c->phase == PHASE_READ && (c->in_length || c->http.head_done)) {
            size_t before = c->in_length;
            in_parse(c);
            if (c->dead || c->in_length < before || client_queued(c))
                continue;
        }
        if ((c->phase != PHASE_READ && c->phase != PHASE_STREAM) || !in_read(c))
            return;
    }
}

static void client_run(struct client *c) {
    turn(c);
    if (!c->dead && !c->in_length) { /* most of the time nothing comes */
        free(c->in);
        c->in = NULL;
    }
    if (!c->dead)
        interest_set(c);
    else if (!c->ready)
        client_free(c);
}

/* Whoever comes into the list meanwhile has to wait for who has said something. */
static void ready_run(void) {
    struct client *c = server.ready_first;
    server.ready_first = NULL;
    server.ready_end = &server.ready_first;
    for (struct client *next; c; c = next) {
        next = c->next_ready;
        c->ready = false;
        client_run(c);
    }
}

/* ---- accepting ---- */

static void stranger_end(void) {
    struct client *c = server.first;
    while (c && c->crowd)
        c = c->next;
    if (c)
        client_end(c);
}

static void accept_pause(void) {
    server.accept_again_ms = server_now_ms() + 100;
    for (unsigned i = 0; i < server.listeners; i++)
        epoll_ctl(server.epoll, EPOLL_CTL_DEL, server.listener[i], NULL);
}

static void listeners_watch(void) {
    server.accept_again_ms = 0;
    for (unsigned i = 0; i < server.listeners; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server.listener[i]};
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener[i], &event);
    }
}

static bool accept_one(int listener) {
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
        accept_pause();
    if (fd < 0)
        return errno == ECONNABORTED;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    atomic_fetch_add_explicit(&server.accepted, 1, memory_order_relaxed);
    if (server.strangers >= STRANGERS_MOST || server.count >= server.most)
        stranger_end();
    if (server.count >= server.most) {
        atomic_fetch_add_explicit(&server.refused, 1, memory_order_relaxed);
        close(fd);
        return true;
    }
    client_new(fd);
    return true;
}

/* ---- the thread ---- */

static void paper_take(void) {
    struct err err;
    pthread_mutex_lock(&server.lock);
    struct WOLFSSL_CTX *ctx =
        server.paper.chain ? wire_context(server.paper.chain, server.paper.key, &err) : NULL;
    if (server.paper.chain && !ctx)
        log_write(0, "%s", err.text);
    paper_fini(&server.paper);
    pthread_mutex_unlock(&server.lock);
    if (!ctx)
        return;
    wire_context_free(server.ctx); /* open connections hold it */
    server.ctx = ctx;
}

static void clocks_look(void) {
    int64_t now = server_now_ms();
    for (struct client *c = server.first, *next; c; c = next) {
        next = c->next;
        if (c->until_ms && now >= c->until_ms)
            client_end(c);
    }
    if (server.accept_again_ms && now >= server.accept_again_ms)
        listeners_watch();
    server.events->beat();
}

static bool is_listener(const void *at) {
    return (const int *)at >= server.listener &&
           (const int *)at < server.listener + server.listeners;
}

static void event_take(const struct epoll_event *e) {
    eventfd_t count;
    if (e->data.ptr == &server.wake) {
        eventfd_read(server.wake, &count);
        paper_take();
        server.events->woken();
    } else if (is_listener(e->data.ptr)) {
        for (int i = 0; i < ACCEPTS && accept_one(*(int *)e->data.ptr); i++)
            ;
    } else {
        struct client *c = e->data.ptr;
        if (e->events & (EPOLLERR | EPOLLHUP))
            client_end(c);
        else if (e->events & EPOLLRDHUP)
            client_end(c); /* nobody waits for the answer any more */
        else
            client_run(c);
    }
}

/* One at a time: what an event does may end the client of another that was told with it. */
static void *server_run(void *unused) {
    struct epoll_event event;
    int64_t beat = server_now_ms() + SERVER_BEAT_MS;
    (void)unused;
    pthread_setname_np(pthread_self(), "kube");
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    while (!server.ending) {
        int64_t now = server_now_ms();
        bool waits = beat > now && !server.ready_first;
        int n = epoll_wait(server.epoll, &event, 1, waits ? (int)(beat - now) : 0);
        if (n == 1)
            event_take(&event);
        ready_run();
        if (server_now_ms() < beat)
            continue;
        clocks_look();
        ready_run();
        beat = server_now_ms() + SERVER_BEAT_MS;
    }
    server.ready_first = NULL;
    while (server.first)
        client_free(server.first);
    return NULL;
}

/* ---- start and end ---- */

static bool listeners_open(const struct kube_conf *c, struct err *err) {
    for (size_t i = 0; i < c->listen.count && i < LISTENERS_MOST; i++) {
        int fd = control_listen(((char *const *)c->listen.item)[i], err);
        if (fd < 0)
            return false;
        server.listener[server.listeners++] = fd;
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    return true;
}

/* An eighth of what this process may open, at most: the rest is the data path's. */
static unsigned connections_most(const struct kube_conf *c) {
    struct rlimit files;
    int64_t most = c->connections;
    if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur != RLIM_INFINITY &&
        (int64_t)(files.rlim_cur / 8) < most)
        most = (int64_t)(files.rlim_cur / 8);
    return (unsigned)most;
}

/* Whatever there is, nobody has so many that others have none. */
static int64_t crowd_most(const struct kube_conf *c) {
    int64_t half = server.most / 2;
    return c->tenant_connections < half ? c->tenant_connections : half;
}

bool server_start(const struct kube_conf *conf, const struct paper *paper,
                  const struct server_events *events, struct err *err) {
    server.conf = conf;
    server.events = events;
    server.most = connections_most(conf);
    server.crowd_most = crowd_most(conf);
    server.ending = false;
    server.ready_end = &server.ready_first;
    server.ctx = wire_context(paper->chain, paper->key, err);
    if (!server.ctx || !listeners_open(conf, err))
        return false;
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server.wake};
    if (server.epoll < 0 || server.wake < 0 ||
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.wake, &event))
        return err_set(err, "kube: no epoll or eventfd");
    listeners_watch();
    server.started = !pthread_create(&server.thread, NULL, server_run, NULL);
    return server.started || err_set(err, "kube: its thread can't be made");
}

void server_stop(void) {
    if (server.started) {
        server.ending = true;
        server_wake();
        pthread_join(server.thread, NULL);
        server.started = false;
    }
    while (server.listeners)
        close(server.listener[--server.listeners]);
    if (server.epoll >= 0)
        close(server.epoll);
    if (server.wake >= 0)
        close(server.wake);
    server.epoll = server.wake = -1;
    wire_context_free(server.ctx);
    server.ctx = NULL;
    paper_fini(&server.paper);
    map_fini(&server.crowds);
}

void server_wake(void) {
    eventfd_write(server.wake, 1);
}

void server_paper(const struct paper *p) {
    pthread_mutex_lock(&server.lock);
    paper_fini(&server.paper);
    server.paper = (struct paper){.chain = strdup(p->chain), .key = strdup(p->key)};
    pthread_mutex_unlock(&server.lock);
    server_wake();
}

struct server_figures server_figures(void) {
    return (struct server_figures){atomic_load_explicit(&server.connections, memory_order_relaxed),
                                   atomic_load_explicit(&server.accepted, memory_order_relaxed),
                                   atomic_load_explicit(&server.requests, memory_order_relaxed),
                                   atomic_load_explicit(&server.refused, memory_order_relaxed),
                                   atomic_exchange(&server.answer_max_us, 0)};
}
