/* SPDX-License-Identifier: GPL-3.0-or-later
 * attack.c - one hostile crowd against one tenant, from many addresses of 127.66.0.0/16; it ends by itself after -d seconds.
 *
 *   attack KIND -p PORT [-c CONNECTIONS] [-d SECONDS] [-a ADDRESSES] [-s HOST] [-r PER_SECOND] [-t raw|http]
 *
 *   churn    connect, reset at once, again                     drip    connect, one byte now and one every 10 s
 *   hold     connect, say nothing, stay                        bulk    one byte, then read without end
 *   upload   send without end, read whatever comes             hello   a ClientHello for HOST, reset at the first byte of its answer
 *   shake    a whole TLS handshake for HOST, reset, again      flood   requests for HOST, the next when one is answered
 *   crowd    not an attack: PER_SECOND new customers a second who each ask three times, 50 ms apart, and go
 *
 * Whoever is refused or thrown out, or not let in for 0.9 s, comes again 20 ms later. Prints "START ns" (CLOCK_MONOTONIC) before the first connect and one JSON object at the end.
 *
 *   FREE --> DIAL --connected--> (SHAKE | ASK | STAY) --> ... --> FREE */
#include "client.h"
#include <stdio.h>

enum kind { CHURN, HOLD, DRIP, BULK, UPLOAD, HELLO, SHAKE_, FLOOD, CROWD, KINDS };
enum state { FREE, DIAL, SHAKE, STAY, ANSWER, PAUSE };
enum { RAW_SIZE = 64, ASKS = 3, BURST = 256, CHUNK = 256 * 1024, EVENTS_MAX = 512 };
static const uint64_t AGAIN_NS = 20000000, DRIP_NS = 10000000000, PAUSE_NS = 50000000;
static const uint64_t PATIENCE_NS = 2000000000; /* of a good customer, for an answer */
static const uint64_t DIAL_NS = 900000000;      /* of an attacker, to be let in */

struct conn {
    struct conn *next; /* in the line of those that wait for `at` */
    enum state state;
    int fd;
    bool watches_out, waits;
    uint64_t at;
    SSL *ssl;
    unsigned asks;
    size_t got;
    char answer[16]; /* its beginning */
};

struct line { /* all wait equally long: who came first is due first */
    struct conn *first, **last;
};

static const char *const kind_names[] = {"churn", "hold",  "drip",  "bulk", "upload",
                                         "hello", "shake", "flood", "crowd"};
static enum kind kind;
static int port, conn_count = 256, address_count = 256;
static double seconds = 5, per_second = 1000;
static const char *host = "attacked.example.com", *type = "raw";

static struct conn *conns;
static struct line again, pauses;
static char request[512], hello[2048], chunk[CHUNK], scratch[CHUNK];
static size_t request_length, hello_length;
static SSL_CTX *tls;
static int ep;
static unsigned address_next;
static uint64_t start, born;
static uint64_t connected, refused, thrown_out, bytes_in, bytes_out, good, bad, held, held_most;

/* ---- those that wait for a time ---- */
static void line_join(struct line *l, struct conn *c, uint64_t at) {
    c->at = at;
    c->next = NULL;
    c->waits = true;
    *l->last = c;
    l->last = &c->next;
}

static struct conn *line_due(struct line *l, uint64_t now) {
    struct conn *c = l->first;
    if (!c || c->at > now)
        return NULL;
    l->first = c->next;
    if (!l->first)
        l->last = &l->first;
    c->waits = false;
    return c;
}

/* ---- a connection ---- */
static void conn_watch(struct conn *c, bool out) {
    client_watch(ep, c->fd, c, &c->watches_out, out);
}

/* A reset leaves no TIME_WAIT behind, for either side. */
static void conn_close(struct conn *c) {
    if (c->ssl) {
        SSL_set_quiet_shutdown(c->ssl, 1);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0) {
        if (kind != CROWD)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(c->fd);
    }
    held -= c->state == STAY || c->state == ANSWER || c->state == PAUSE;
    c->fd = -1;
    c->state = FREE;
}

/* Refused or thrown out: it comes again, a good customer does not. */
static void conn_lost(struct conn *c, uint64_t *counter) {
    ++*counter;
    bad += kind == CROWD;
    conn_close(c);
    if (kind != CROWD)
        line_join(&again, c, now_ns() + AGAIN_NS);
}

static bool dial(struct conn *c) {
    unsigned n = address_next++ % (unsigned)address_count;
    return client_dial(0x7f420001u + ((n % 250) << 8) + n / 250, port, &c->fd);
}

static void conn_dial(struct conn *c) {
    c->state = DIAL;
    c->watches_out = true;
    c->asks = 0;
    c->at = now_ns() + (kind == CROWD ? PATIENCE_NS : DIAL_NS);
    born++;
    if (!dial(c)) {
        conn_lost(c, &refused);
        return;
    }
    client_watch_new(ep, c->fd, c);
}

static void conn_again(struct conn *c) {
    conn_close(c);
    conn_dial(c);
}

static void conn_stay(struct conn *c, enum state state) {
    c->state = state;
    if (++held > held_most)
        held_most = held;
}

/* False: the connection is lost. */
static bool conn_send(struct conn *c, const char *data, size_t length) {
    ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        conn_lost(c, &thrown_out);
        return false;
    }
    bytes_out += n > 0 ? (uint64_t)n : 0;
    return true;
}

static void conn_ask(struct conn *c) {
    c->got = 0;
    c->asks++;
    c->at = now_ns() + PATIENCE_NS;
    conn_send(c, request, request_length);
}

static void conn_connected(struct conn *c) {
    if (client_dialled(c->fd)) {
        conn_lost(c, &refused);
        return;
    }
    connected++;
    if (kind == CHURN) {
        conn_again(c);
        return;
    }
    if (kind == SHAKE_) {
        c->ssl = client_tls(tls, c->fd, host);
        c->state = SHAKE;
        return;
    }
    conn_stay(c, kind == FLOOD || kind == CROWD ? ANSWER : STAY);
    conn_watch(c, kind == UPLOAD);
    if (kind == HELLO)
        conn_send(c, hello, hello_length);
    else if (kind == FLOOD || kind == CROWD)
        conn_ask(c);
    else if (kind == DRIP || kind == BULK) {
        c->at = now_ns() + DRIP_NS;
        conn_send(c, "x", 1);
    }
}

static void conn_shake(struct conn *c) {
    int r = SSL_do_handshake(c->ssl);
    bool out;
    if (r == 1) {
        good++;
        conn_again(c);
    } else if (client_tls_waits(c->ssl, r, &out))
        conn_watch(c, out);
    else
        conn_lost(c, &thrown_out);
}

/* An answer counts as whole when as much came as the test pod's small one has, or as was sent to its echo. */
static void conn_answer(struct conn *c, size_t n) {
    bool raw = !strcmp(type, "raw"), had_head = c->got >= 12;
    for (size_t i = 0; i < n && c->got + i < sizeof c->answer; i++)
        c->answer[c->got + i] = scratch[i];
    c->got += n;
    if (!raw && !had_head && c->got >= 12 && memcmp(c->answer, "HTTP/1.1 200", 12)) {
        bad++;
        conn_close(c);
        if (kind == FLOOD)
            conn_dial(c);
        return;
    }
    if (c->got < (raw ? RAW_SIZE : 101)) /* a head and 100 bytes: always more than the body alone */
        return;
    good++;
    if (kind == FLOOD)
        conn_ask(c);
    else if (c->asks == ASKS)
        conn_close(c);
    else {
        c->state = PAUSE;
        line_join(&pauses, c, now_ns() + PAUSE_NS);
    }
}

static void conn_readable(struct conn *c) {
    int flags =
        kind == FLOOD || kind == CROWD ? 0 : MSG_TRUNC; /* what isn't looked at isn't copied */
    ssize_t n = recv(c->fd, scratch, sizeof scratch, flags);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_lost(c, &thrown_out);
        return;
    }
    bytes_in += (uint64_t)n;
    if (kind == HELLO) {
        good++;
        conn_again(c);
    } else if (c->state == ANSWER)
        conn_answer(c, (size_t)n);
}

static void conn_event(struct conn *c, uint32_t events) {
    if (c->state == DIAL)
        conn_connected(c);
    else if (c->state == SHAKE)
        conn_shake(c);
    else if (c->state != FREE) {
        if (kind == UPLOAD && events & EPOLLOUT && !conn_send(c, chunk, sizeof chunk))
            return;
        if (events & ~(uint32_t)EPOLLOUT)
            conn_readable(c);
    }
}

/* ---- the run ---- */
static void due(uint64_t now) {
    struct conn *c;
    while ((c = line_due(&again, now)))
        if (c->state == FREE)
            conn_dial(c);
    while ((c = line_due(&pauses, now)))
        if (c->state == PAUSE) {
            c->state = ANSWER;
            conn_ask(c);
        }
}

/* All are looked at now and then only. */
static bool look_is_due(uint64_t *next, uint64_t now) {
    if (now < *next)
        return false;
    *next = now + AGAIN_NS;
    return true;
}

static void drip(uint64_t now) {
    static uint64_t next;
    if (!look_is_due(&next, now))
        return;
    for (int i = 0; i < conn_count; i++)
        if (conns[i].state == STAY && now >= conns[i].at) {
            conns[i].at = now + DRIP_NS;
            conn_send(&conns[i], "x", 1);
        }
}

/* Who is not let in gives up before his kernel would ask a second time: what it has to ask again for thousands of connections it does in one go,
 * before anything else on that processor, that of the victims. */
static void dials_end(uint64_t now) {
    static uint64_t next;
    if (!look_is_due(&next, now))
        return;
    for (int i = 0; i < conn_count; i++)
        if (conns[i].state == DIAL && now > conns[i].at)
            conn_lost(&conns[i], &refused);
}

/* Customers come when they come, however the others fare; for want of a free place one counts as refused. */
static void crowd_come(uint64_t now) {
    static int place;
    static uint64_t came;
    uint64_t want = (uint64_t)((double)(now - start) / 1e9 * per_second);
    for (; came < want; came++) {
        int tries = 0;
        while (conns[place].state != FREE && tries++ < conn_count)
            place = (place + 1) % conn_count;
        if (conns[place].state == FREE && !conns[place].waits)
            conn_dial(&conns[place]);
        else
            bad++;
    }
    for (int i = 0; i < conn_count; i++)
        if ((conns[i].state == DIAL || conns[i].state == ANSWER) && now > conns[i].at)
            conn_lost(&conns[i], &thrown_out);
}

static void run(void) {
    static struct epoll_event events[EVENTS_MAX];
    int opened = 0;
    start = now_ns();
    printf("START %lu\n", start);
    fflush(stdout);
    for (uint64_t now = start; now < start + (uint64_t)(seconds * 1e9); now = now_ns()) {
        for (int i = 0; kind != CROWD && i < BURST && opened < conn_count; i++)
            conn_dial(&conns[opened++]);
        due(now);
        if (kind == CROWD)
            crowd_come(now);
        else
            dials_end(now);
        if (kind == DRIP)
            drip(now);
        int n = epoll_wait(ep, events, EVENTS_MAX, opened < conn_count && kind != CROWD ? 0 : 2);
        for (int i = 0; i < n; i++)
            conn_event(events[i].data.ptr, events[i].events);
    }
}

/* ---- getting ready ---- */
/* What OpenSSL would send first, once for all. */
static void hello_make(void) {
    SSL *ssl = SSL_new(tls);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_tlsext_host_name(ssl, host);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    int n = BIO_read(out, hello, sizeof hello);
    if (n <= 0)
        abort();
    hello_length = (size_t)n;
    SSL_free(ssl);
}

static void request_make(void) {
    memset(request, 'x', RAW_SIZE);
    request_length = RAW_SIZE;
    if (strcmp(type, "raw"))
        request_length = (size_t)snprintf(request, sizeof request,
                                          "GET /small HTTP/1.1\r\nHost: %s\r\n\r\n", host);
}

static bool arguments(int argc, char **argv) {
    int option;
    kind = KINDS;
    for (int i = 0; argc > 1 && i < KINDS; i++)
        if (!strcmp(argv[1], kind_names[i]))
            kind = (enum kind)i;
    optind = 2;
    while (kind != KINDS && (option = getopt(argc, argv, "p:c:d:a:s:r:t:")) != -1)
        switch (option) {
        case 'p':
            port = atoi(optarg);
            break;
        case 'c':
            conn_count = atoi(optarg);
            break;
        case 'd':
            seconds = atof(optarg);
            break;
        case 'a':
            address_count = atoi(optarg);
            break;
        case 's':
            host = optarg;
            break;
        case 'r':
            per_second = atof(optarg);
            break;
        case 't':
            type = optarg;
            break;
        default:
            return false;
        }
    return kind != KINDS && port > 0 && conn_count > 0 && seconds > 0 && seconds <= 120 &&
           address_count > 0 && address_count <= 50000 && per_second > 0 && strlen(host) < 200 &&
           (!strcmp(type, "raw") || !strcmp(type, "http"));
}

static void get_ready(void) {
    client_prepare();
    alarm((unsigned)seconds + 10); /* whatever happens */
    ep = epoll_create1(0);
    again.last = &again.first;
    pauses.last = &pauses.first;
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    hello_make();
    request_make();
    conns = calloc((size_t)conn_count, sizeof *conns);
    if (!conns)
        abort();
    for (int i = 0; i < conn_count; i++)
        conns[i].fd = -1;
}

int main(int argc, char **argv) {
    if (!arguments(argc, argv)) {
        fprintf(stderr, "usage: attack churn|hold|drip|bulk|upload|hello|shake|flood|crowd -p PORT"
                        " [-c CONNECTIONS] [-d SECONDS, at most 120] [-a ADDRESSES] [-s HOST]"
                        " [-r PER_SECOND] [-t raw|http]\n");
        return 2;
    }
    get_ready();
    run();
    printf(
        "{\"kind\": \"%s\", \"seconds\": %.3f, \"dialled\": %lu, \"connected\": %lu, \"refused\": "
        "%lu, \"thrown_out\": %lu, \"held_most\": %lu, \"good\": %lu, \"bad\": %lu, "
        "\"bytes_in\": %lu, \"bytes_out\": %lu}\n",
        kind_names[kind], (double)(now_ns() - start) / 1e9, born, connected, refused, thrown_out,
        held_most, good, bad, bytes_in, bytes_out);
    return 0;
}
