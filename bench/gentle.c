/* SPDX-License-Identifier: GPL-3.0-or-later
 * gentle.c - the victims: customers of many tenants who ask at a steady, gentle rate whatever anybody else does.
 *
 *   gentle -p PORT -o FILE [-t http|tls] [-n TENANTS] [-s SUFFIX] [-r PER_SECOND] [-d SECONDS] [-w WAIT_MS] [-f PRIORITY]
 *          [-P PORT -R PER_SECOND]
 *
 * An open loop: when each request is due is known before the first one is sent, and its latency counts from then, not from when this program
 * came to send it (so a stall is seen by all who would have asked meanwhile). Tenants take turns; each tenant's requests go by turns on a kept
 * connection and on a new one. Whoever has no answer after WAIT_MS has failed. With -P a second, equal stream (-R a second, as tenant
 * 65535) asks a pod directly, past the proxy: what this program, the pod and the machine's kernel add by themselves under the same attack.
 *
 * FILE gets one struct record for each request in the order in which they ended: nothing is binned. Prints "START ns" (CLOCK_MONOTONIC)
 * before the first and one JSON object at the end. With -f it runs at that SCHED_FIFO priority, so that an attacker on the same CPU does not delay it.
 *
 *   due --> DIAL --> (SHAKE) --> ASK --> ANSWER --complete--> closed, or kept for its tenant's next */
#include "client.h"
#include <sched.h>
#include <stdio.h>
#include <sys/timerfd.h>

enum { CONTROL = 65535, TENANTS_MAX = 1000, REQUEST_MAX = 256, SOURCES = 16 };
enum { EVENTS_MAX = 256, SWEEP_NS = 10000000 };
enum state { IDLE, DIAL, SHAKE, ASK, ANSWER };
enum outcome { GOOD, LATE, REFUSED, BROKEN, NOT_200, OUTCOMES };

struct record {
    uint64_t due;     /* ns, CLOCK_MONOTONIC */
    uint32_t latency; /* us from then to the whole answer, or to the failure */
    uint16_t tenant;
    uint8_t kept; /* on a connection that was there before */
    uint8_t outcome;
};

struct conn { /* one request at a time; in `busy` while it has one, else in its tenant's pool */
    struct conn *next, **link;
    int fd;
    enum state state;
    bool wants_out, keep;
    SSL *ssl;
    struct record now;
    size_t out_sent, out_length, got, need;
    char out[REQUEST_MAX];
    struct head head;
};

struct
    stream { /* a schedule: the i-th request is due at start + (i + a fixed share of a slot) * gap */
    int port;
    double gap; /* ns; 0: none */
    uint64_t count, next_due;
    unsigned random;
    bool control;
};

static int tenant_count = 20, priority;
static double seconds = 5, wait_ms = 1000;
static const char *suffix = "example.com", *type = "http", *file_name;
static struct stream victims = {.random = 1}, control = {.random = 2, .control = true};

static struct conn *pools[TENANTS_MAX + 1], *busy;
static unsigned dialled[TENANTS_MAX + 1], asked[TENANTS_MAX + 1];
static uint64_t outcomes[OUTCOMES], dropped_idle, start, end;
static SSL_CTX *tls;
static FILE *records;
static int ep, timer;
static char scratch[1 << 16];

/* ---- a connection's place ---- */
static void conn_unlink(struct conn *c) {
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
}

static void conn_link(struct conn *c, struct conn **list) {
    c->next = *list;
    c->link = list;
    if (c->next)
        c->next->link = &c->next;
    *list = c;
}

static unsigned slot_of(unsigned tenant) {
    return tenant == CONTROL ? TENANTS_MAX : tenant;
}

static void conn_free(struct conn *c) {
    conn_unlink(c);
    if (c->ssl) {
        SSL_set_quiet_shutdown(c->ssl, 1);
        SSL_free(c->ssl);
    }
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

/* The request has ended, one way or another. */
static void conn_end(struct conn *c, enum outcome outcome) {
    uint64_t took = now_ns() - c->now.due;
    if (outcome == GOOD && took > (uint64_t)(wait_ms * 1e6))
        outcome = LATE;
    c->now.latency = (uint32_t)(took / 1000);
    c->now.outcome = (uint8_t)outcome;
    fwrite(&c->now, sizeof c->now, 1, records);
    outcomes[outcome] += c->now.tenant != CONTROL;
    if (outcome != GOOD || !c->keep) {
        conn_free(c);
        return;
    }
    c->state = IDLE;
    conn_unlink(c);
    conn_link(c, &pools[slot_of(c->now.tenant)]);
}

static void conn_watch(struct conn *c, bool out) {
    client_watch(ep, c->fd, c, &c->wants_out, out);
}

/* ---- its request ---- */
static void conn_ask(struct conn *c) {
    char host[128];
    snprintf(host, sizeof host, "t%u.%s", c->now.tenant, suffix);
    int n =
        snprintf(c->out, sizeof c->out, "GET /small HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                 c->now.tenant == CONTROL ? suffix : host, c->keep ? "" : "Connection: close\r\n");
    c->out_length = (size_t)n;
    c->out_sent = c->got = c->need = c->head.length = 0;
    c->state = ASK;
}

/* True: TLS waits for the socket, which is now watched for it. */
static bool tls_waits(struct conn *c, int result) {
    bool out;
    if (!client_tls_waits(c->ssl, result, &out))
        return false;
    conn_watch(c, out);
    return true;
}

/* False: the request has ended. */
static bool conn_connected(struct conn *c) {
    if (client_dialled(c->fd)) {
        conn_end(c, REFUSED);
        return false;
    }
    if (!tls || c->now.tenant == CONTROL) {
        conn_ask(c);
        return true;
    }
    char host[128];
    snprintf(host, sizeof host, "t%u.%s", c->now.tenant, suffix);
    c->ssl = client_tls(tls, c->fd, host);
    c->state = SHAKE;
    return true;
}

/* False: the request has ended. */
static bool conn_shake(struct conn *c) {
    int r = SSL_do_handshake(c->ssl);
    if (r == 1) {
        conn_ask(c);
        return true;
    }
    if (!tls_waits(c, r)) {
        conn_end(c, BROKEN);
        return false;
    }
    return true;
}

static ssize_t conn_send(struct conn *c) {
    const char *from = c->out + c->out_sent;
    if (!c->ssl)
        return send(c->fd, from, c->out_length - c->out_sent, MSG_NOSIGNAL);
    int n = SSL_write(c->ssl, from, (int)(c->out_length - c->out_sent));
    if (n <= 0)
        errno = tls_waits(c, n) ? EAGAIN : EPIPE;
    return n > 0 ? n : -1;
}

static ssize_t conn_recv(struct conn *c) {
    if (!c->ssl)
        return recv(c->fd, scratch, sizeof scratch, 0);
    int n = SSL_read(c->ssl, scratch, sizeof scratch);
    if (n <= 0)
        errno = tls_waits(c, n) ? EAGAIN : ECONNRESET;
    return n > 0 ? n : -1;
}

/* False: the request has ended. */
static bool conn_send_request(struct conn *c) {
    while (c->out_sent < c->out_length) {
        ssize_t n = conn_send(c);
        if (n < 0 && errno == EAGAIN) {
            if (!c->ssl)
                conn_watch(c, true);
            return true;
        }
        if (n < 0) {
            conn_end(c, BROKEN);
            return false;
        }
        c->out_sent += (size_t)n;
    }
    conn_watch(c, false);
    c->state = ANSWER;
    return true;
}

static void conn_receive(struct conn *c) {
    for (;;) { /* what OpenSSL holds, epoll does not tell */
        ssize_t n = conn_recv(c);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            conn_end(c, BROKEN);
            return;
        }
        if (!c->need && !head_feed(&c->head, scratch, (size_t)n, &c->need)) {
            conn_end(c, NOT_200);
            return;
        }
        c->got += (size_t)n;
        if (c->need && c->got >= c->need) {
            conn_end(c, GOOD);
            return;
        }
    }
}

/* Of an idle one: closed by the proxy, or a session ticket. */
static void conn_idle(struct conn *c) {
    ssize_t n = conn_recv(c);
    if (n < 0 && errno == EAGAIN)
        return;
    dropped_idle++;
    conn_free(c);
}

static void conn_event(struct conn *c) {
    if (c->state == IDLE) {
        conn_idle(c);
        return;
    }
    if (c->state == DIAL && !conn_connected(c))
        return;
    if (c->state == SHAKE && !conn_shake(c))
        return;
    if (c->state == ASK && !conn_send_request(c))
        return;
    if (c->state == ANSWER)
        conn_receive(c);
}

/* ---- a request is due ---- */
/* Each tenant's customers have 16 addresses, 127.1.TENANT.1 and on. */
static bool dial(struct conn *c, int port) {
    unsigned slot = slot_of(c->now.tenant);
    return client_dial(0x7f010001u + ((slot % 250) << 8) + (slot / 250 << 5) +
                           dialled[slot]++ % SOURCES,
                       port, &c->fd);
}

static void ask_on_new(struct record r, bool keep, int port) {
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct conn){.state = DIAL, .wants_out = true, .keep = keep, .now = r};
    conn_link(c, &busy);
    if (!dial(c, port)) {
        conn_end(c, REFUSED);
        return;
    }
    client_watch_new(ep, c->fd, c);
}

static void ask_on_kept(struct conn *c, struct record r) {
    conn_unlink(c);
    conn_link(c, &busy);
    c->now = r;
    c->now.kept = 1;
    conn_ask(c);
    conn_send_request(c);
}

static void stream_ask(struct stream *s) {
    uint16_t tenant = s->control ? CONTROL : (uint16_t)(s->count % (unsigned)tenant_count);
    struct record r = {.due = s->next_due, .tenant = tenant};
    bool keep = asked[slot_of(tenant)]++ % 2 == 0;
    struct conn *idle = pools[slot_of(tenant)];
    if (keep && idle)
        ask_on_kept(idle, r);
    else
        ask_on_new(r, keep, s->port);
}

/* Somewhere in its slot, by a fixed seed: an even beat could keep time with something in the proxy. */
static void stream_next(struct stream *s) {
    s->random = s->random * 1103515245u + 12345u;
    double at = (double)++s->count + (double)(s->random >> 16 & 0x7fff) / 32768.0;
    s->next_due = start + (uint64_t)(at * s->gap);
}

static uint64_t streams_run(uint64_t now) {
    uint64_t next = UINT64_MAX;
    struct stream *const both[] = {&victims, &control};
    for (int i = 0; i < 2; i++) {
        struct stream *s = both[i];
        for (; s->gap > 0 && s->next_due <= now && s->next_due < end; stream_next(s))
            stream_ask(s);
        if (s->gap > 0 && s->next_due < next)
            next = s->next_due;
    }
    return next;
}

static void late_end(uint64_t now) {
    for (struct conn *c = busy, *next; c; c = next) {
        next = c->next;
        if (now > c->now.due + (uint64_t)(wait_ms * 1e6))
            conn_end(c, LATE);
    }
}

/* ---- the run ---- */
static void timer_set(uint64_t at) {
    struct itimerspec t = {
        .it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* One event for each descriptor and turn: what an event frees, no later event of the turn names. */
static void turn(uint64_t next) {
    static struct epoll_event events[EVENTS_MAX];
    uint64_t sweep = now_ns() + SWEEP_NS;
    timer_set(next < sweep ? next : sweep);
    int n = epoll_wait(ep, events, EVENTS_MAX, 1000);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            conn_event(events[i].data.ptr);
}

static void run(void) {
    uint64_t sweep = 0, now;
    start = now_ns() + 1000000;
    end = start + (uint64_t)(seconds * 1e9);
    victims.next_due = control.next_due = start;
    printf("START %lu\n", start);
    fflush(stdout);
    while ((now = now_ns()) < end || (busy && now < end + (uint64_t)(wait_ms * 2e6))) {
        uint64_t next = streams_run(now);
        if (now > sweep) {
            late_end(now);
            sweep = now + SWEEP_NS;
        }
        turn(next);
    }
}

/* ---- getting ready ---- */
static bool arguments(int argc, char **argv) {
    int option;
    double rate = 500, control_rate = 0;
    while ((option = getopt(argc, argv, "p:o:t:n:s:r:d:w:f:P:R:")) != -1)
        switch (option) {
        case 'p':
            victims.port = atoi(optarg);
            break;
        case 'o':
            file_name = optarg;
            break;
        case 't':
            type = optarg;
            break;
        case 'n':
            tenant_count = atoi(optarg);
            break;
        case 's':
            suffix = optarg;
            break;
        case 'r':
            rate = atof(optarg);
            break;
        case 'd':
            seconds = atof(optarg);
            break;
        case 'w':
            wait_ms = atof(optarg);
            break;
        case 'f':
            priority = atoi(optarg);
            break;
        case 'P':
            control.port = atoi(optarg);
            break;
        case 'R':
            control_rate = atof(optarg);
            break;
        default:
            return false;
        }
    victims.gap = rate > 0 ? 1e9 / rate : 0;
    control.gap = control.port && control_rate > 0 ? 1e9 / control_rate : 0;
    return victims.port > 0 && rate > 0 && seconds > 0 && wait_ms > 0 && tenant_count > 0 &&
           tenant_count <= TENANTS_MAX && file_name && strlen(suffix) < 100 &&
           (!strcmp(type, "http") || !strcmp(type, "tls"));
}

static bool get_ready(void) {
    client_prepare();
    ep = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    epoll_ctl(ep, EPOLL_CTL_ADD, timer, &e);
    if (!strcmp(type, "tls")) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
        SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    }
    struct sched_param p = {.sched_priority = priority};
    if (priority && sched_setscheduler(0, SCHED_FIFO, &p)) {
        perror("gentle: SCHED_FIFO");
        return false;
    }
    records = fopen(file_name, "wb");
    if (!records)
        perror(file_name);
    return records;
}

int main(int argc, char **argv) {
    if (!arguments(argc, argv)) {
        fprintf(stderr, "usage: gentle -p PORT -o FILE [-t http|tls] [-n TENANTS] [-s SUFFIX]"
                        " [-r PER_SECOND] [-d SECONDS] [-w WAIT_MS] [-f PRIORITY]"
                        " [-P PORT -R PER_SECOND]\n");
        return 2;
    }
    if (!get_ready())
        return 1;
    run();
    if (fclose(records)) {
        perror(file_name);
        return 1;
    }
    printf("{\"good\": %lu, \"late\": %lu, \"refused\": %lu, \"broken\": %lu, \"not_200\": %lu, "
           "\"dropped_idle\": %lu}\n",
           outcomes[GOOD], outcomes[LATE], outcomes[REFUSED], outcomes[BROKEN], outcomes[NOT_200],
           dropped_idle);
    return 0;
}
