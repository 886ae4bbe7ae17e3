/* SPDX-License-Identifier: GPL-3.0-or-later
 * storm.c - a hostile crowd that plays a text, from many addresses of 127.66.0.0/16; it ends by itself after -d seconds.
 *
 *   storm -p PORT [-c CONNECTIONS] [-d SECONDS] [-a ADDRESSES] [-o FILE] [-k BYTES[:MS]] [-f FILE] [-e always|answer|MS] [-n all|none|BYTES] [-b BYTES]
 *         [-x rst|fin|half] [-w never|sent|answer|MS] [-t NAME] [-l ALPN] [-r] [-u] [-m COUNT]
 *
 *   -o  what each connection says first     -k  in pieces of so many bytes, so long apart
 *   -f  what it says then, again and again  -e  as fast as it is taken, each time something has come, or so long apart
 *   -n  reads all, nothing, or so many bytes every 20 ms; -b: its receive buffer
 *   -w  ends never, when -o was sent, with the first answer, or so long after it was connected; -x: by a reset, an end, or half of one, whose other half it waits for
 *   -t  over TLS 1.3 to that name, -l offers a protocol, -r resumes, -u asks for new keys instead of saying -f
 *
 * In both texts `########` becomes eight letters by chance, `$$` the connection's number modulo -m in two digits, and (in -f) the
 * bytes 7f ff ff ff the next stream of HTTP/2. Whoever is refused or thrown out comes again 20 ms later. Prints "START ns" (CLOCK_MONOTONIC) before the
 * first connect and one JSON object at the end.
 *
 *   FREE --> DIAL --> (SHAKE) --> OPEN --said--> STAY --> FREE */
#include "client.h"
#include <stdio.h>

enum state { FREE, DIAL, SHAKE, OPEN, STAY };
enum when { NEVER, ALWAYS, SENT, ANSWER, EVERY };
enum how { RST, FIN, HALF };
enum { TEXT_MAX = 1 << 16, EVENTS_MAX = 512, BURST = 256, TURNS = 4, NO_BYTES = 0 };
static const uint64_t AGAIN_NS = 20000000, SWEEP_NS = 5000000, READ_NS = 20000000;
static const size_t ALL_BYTES = SIZE_MAX;

struct text {
    char *data;
    size_t length;
};

struct conn {
    int fd;
    enum state state;
    bool watches_out, halved, answered;
    uint64_t at, end_at, read_at; /* the next piece or text, the end, the next read */
    SSL *ssl;
    uint32_t stream;
    size_t sent; /* of the text it is saying */
    bool saying;
    char *words; /* its own copy of -f, with its stream */
};

static int port, conn_count = 256, address_count = 256, modulo = 100, buffer_bytes;
static double seconds = 5;
static struct text opening, flow;
static size_t piece = TEXT_MAX, read_bytes = ALL_BYTES;
static uint64_t piece_ns, flow_ns, end_ns;
static enum when flow_when = NEVER, end_when = NEVER;
static enum how end_how = RST;
static const char *name, *alpn;
static bool resumes, renews;

static struct conn *conns;
static SSL_CTX *tls;
static SSL_SESSION *session;
static int ep;
static unsigned address_next, chance = 1;
static char scratch[1 << 18];
static uint64_t start, born, connected, refused, thrown_out, answers, said, held, held_most;
static uint64_t bytes_in, bytes_out;

/* ---- what is said ---- */
static void letters(char *to) {
    for (int i = 0; i < 8; i++) {
        chance = chance * 1103515245u + 12345u;
        to[i] = (char)('a' + (chance >> 16) % 26);
    }
}

static void words_write(const struct conn *c, char *to, const struct text *t) {
    memcpy(to, t->data, t->length);
    for (size_t i = 0; i < t->length; i++) {
        size_t left = t->length - i;
        if (left >= 8 && to[i] == '#' && !memcmp(to + i, "########", 8))
            letters(to + i);
        else if (left >= 4 && !memcmp(to + i, "\x7f\xff\xff\xff", 4)) {
            uint32_t stream = htonl(c->stream);
            memcpy(to + i, &stream, 4);
        } else if (left >= 2 && to[i] == '$' && to[i + 1] == '$') {
            int n = (int)(c - conns) % modulo;
            to[i] = (char)('0' + n / 10);
            to[i + 1] = (char)('0' + n % 10);
        }
    }
}

/* ---- a connection ---- */
static void conn_watch(struct conn *c) {
    bool out = c->saying && c->at <= now_ns();
    struct epoll_event e = {.events = (read_bytes == ALL_BYTES || c->state < OPEN ? EPOLLIN : 0u) |
                                      (out || c->state == DIAL ? EPOLLOUT : 0u),
                            .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void conn_close(struct conn *c, enum how how) {
    if (c->ssl) {
        SSL_set_quiet_shutdown(c->ssl, 1);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0) {
        if (how == RST)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(c->fd);
    }
    held -= c->state >= OPEN;
    c->fd = -1;
    c->state = FREE;
    c->at = 0;
}

static void conn_lost(struct conn *c, uint64_t *counter) {
    ++*counter;
    conn_close(c, RST);
    c->at = now_ns() + AGAIN_NS;
}

static void conn_dial(struct conn *c) {
    unsigned n = address_next++ % (unsigned)address_count;
    char *words = c->words;
    *c = (struct conn){.fd = -1, .state = DIAL, .stream = 1, .words = words};
    born++;
    if (!client_dial(0x7f420001u + ((n % 250) << 8) + n / 250, port, &c->fd)) {
        conn_lost(c, &refused);
        return;
    }
    if (buffer_bytes)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    client_watch_new(ep, c->fd, c);
}

/* As -x has it. False: it is gone, and has begun anew. */
static bool conn_end(struct conn *c) {
    if (end_how == HALF && !c->halved) {
        c->halved = true;
        shutdown(c->fd, SHUT_WR);
        return true;
    }
    if (end_how == HALF)
        return true;
    conn_close(c, end_how);
    conn_dial(c);
    return false;
}

static void say(struct conn *c, const struct text *t) {
    words_write(c, c->words, t);
    c->saying = true;
    c->sent = 0;
}

static ssize_t conn_write(struct conn *c, const char *from, size_t n) {
    if (!c->ssl)
        return send(c->fd, from, n, MSG_NOSIGNAL);
    int r = SSL_write(c->ssl, from, (int)n);
    bool out;
    if (r <= 0)
        errno = client_tls_waits(c->ssl, r, &out) ? EAGAIN : EPIPE;
    return r > 0 ? r : -1;
}

/* False: it is gone. */
static bool conn_renew(struct conn *c) {
    if (SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(c->ssl) == 1) {
        said++;
        return true;
    }
    ERR_clear_error();
    return true;
}

static bool text_said(struct conn *c, uint64_t now) {
    c->saying = false;
    said++;
    if (c->state == OPEN) {
        c->state = STAY;
        if (end_when == SENT)
            return conn_end(c);
    } else
        c->stream += 2;
    if (flow_when == EVERY)
        c->at = now + flow_ns;
    if (flow_when == ALWAYS && flow.length)
        say(c, &flow);
    return true;
}

/* False: it is gone. */
static bool conn_say(struct conn *c, uint64_t now) {
    for (int turn = 0; c->saying && c->at <= now && turn < TURNS; turn++) {
        size_t length = c->state == OPEN ? opening.length : flow.length;
        size_t n = length - c->sent < piece ? length - c->sent : piece;
        ssize_t r = conn_write(c, c->words + c->sent, n);
        if (r < 0 && errno == EAGAIN)
            return true;
        if (r < 0) {
            conn_lost(c, &thrown_out);
            return false;
        }
        bytes_out += (uint64_t)r;
        c->sent += (size_t)r;
        c->at = piece < length ? now + piece_ns : c->at;
        if (c->sent == length && !text_said(c, now))
            return false;
    }
    return true;
}

static void conn_open(struct conn *c) {
    c->state = OPEN;
    if (++held > held_most)
        held_most = held;
    if (end_when == EVERY)
        c->end_at = now_ns() + end_ns;
    c->read_at = now_ns() + READ_NS;
    if (opening.length)
        say(c, &opening);
    else
        c->state = STAY;
    if (conn_say(c, now_ns()))
        conn_watch(c);
}

static void conn_connected(struct conn *c) {
    if (client_dialled(c->fd)) {
        conn_lost(c, &refused);
        return;
    }
    connected++;
    if (!name) {
        conn_open(c);
        return;
    }
    c->ssl = client_tls(tls, c->fd, name);
    if (resumes && session)
        SSL_set_session(c->ssl, session);
    c->state = SHAKE;
}

static void conn_shake(struct conn *c) {
    int r = SSL_do_handshake(c->ssl);
    bool out;
    if (r == 1)
        conn_open(c);
    else if (!client_tls_waits(c->ssl, r, &out))
        conn_lost(c, &thrown_out);
    else
        client_watch(ep, c->fd, c, &c->watches_out, out);
}

static ssize_t conn_read(struct conn *c, size_t most) {
    size_t n = most < sizeof scratch ? most : sizeof scratch;
    if (!c->ssl)
        return recv(c->fd, scratch, n, MSG_TRUNC); /* what isn't looked at isn't copied */
    int r = SSL_read(c->ssl, scratch, (int)n);
    bool out;
    if (r <= 0)
        errno = client_tls_waits(c->ssl, r, &out) ? EAGAIN : EPIPE;
    return r > 0 ? r : -1;
}

/* False: it is gone. */
static bool conn_readable(struct conn *c, size_t most) {
    ssize_t n = conn_read(c, most);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0 && c->halved) {
        answers++;
        conn_close(c, FIN);
        conn_dial(c);
        return false;
    }
    if (n <= 0) {
        conn_lost(c, &thrown_out);
        return false;
    }
    bytes_in += (uint64_t)n;
    answers++;
    c->answered = true;
    if (end_when == ANSWER)
        return conn_end(c);
    if (flow_when == ANSWER && c->state == STAY && !c->saying) {
        if (renews)
            return conn_renew(c);
        say(c, &flow);
        return conn_say(c, now_ns());
    }
    return true;
}

static void conn_event(struct conn *c, uint32_t events) {
    if (c->state == DIAL)
        conn_connected(c);
    else if (c->state == SHAKE)
        conn_shake(c);
    else if (c->state != FREE) {
        if (events & ~(uint32_t)EPOLLOUT && read_bytes == ALL_BYTES && !conn_readable(c, ALL_BYTES))
            return;
        if (events & (EPOLLHUP | EPOLLERR) && read_bytes != ALL_BYTES) {
            conn_lost(c, &thrown_out);
            return;
        }
        if (c->saying && !conn_say(c, now_ns()))
            return;
        conn_watch(c);
    }
}

/* ---- what is due ---- */
static void conn_due(struct conn *c, uint64_t now) {
    if (c->state == FREE) {
        if (c->at && now >= c->at)
            conn_dial(c);
        return;
    }
    if (c->state < OPEN)
        return;
    if (c->end_at && now >= c->end_at && !c->halved && !conn_end(c))
        return;
    if (read_bytes != ALL_BYTES && read_bytes && now >= c->read_at) {
        c->read_at = now + READ_NS;
        if (!conn_readable(c, read_bytes))
            return;
    }
    if (c->state == STAY && !c->saying && now >= c->at &&
        (flow_when == EVERY || flow_when == ALWAYS)) {
        if (renews)
            conn_renew(c);
        else if (flow.length)
            say(c, &flow);
        if (renews)
            c->at = now + flow_ns;
    }
    if (c->saying && now >= c->at && conn_say(c, now))
        conn_watch(c);
}

static void sweep(uint64_t now) {
    static uint64_t next;
    if (now < next)
        return;
    next = now + SWEEP_NS;
    for (int i = 0; i < conn_count; i++)
        conn_due(&conns[i], now);
}

static void run(void) {
    static struct epoll_event events[EVENTS_MAX];
    int opened = 0;
    start = now_ns();
    printf("START %lu\n", start);
    fflush(stdout);
    for (uint64_t now = start; now < start + (uint64_t)(seconds * 1e9); now = now_ns()) {
        for (int i = 0; i < BURST && opened < conn_count; i++)
            conn_dial(&conns[opened++]);
        sweep(now);
        int n = epoll_wait(ep, events, EVENTS_MAX, opened < conn_count ? 0 : 2);
        for (int i = 0; i < n; i++)
            conn_event(events[i].data.ptr, events[i].events);
    }
}

/* ---- getting ready ---- */
static struct text text_read(const char *path) {
    struct text t = {.data = malloc(TEXT_MAX)};
    FILE *f = fopen(path, "rb");
    if (!f || !t.data) {
        perror(path);
        exit(2);
    }
    t.length = fread(t.data, 1, TEXT_MAX, f);
    fclose(f);
    return t;
}

static enum when when_read(const char *text, uint64_t *ret_ns) {
    static const char *const names[] = {"never", "always", "sent", "answer"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(text, names[i]))
            return (enum when)i;
    *ret_ns = (uint64_t)(atof(text) * 1e6);
    return EVERY;
}

static void piece_read(const char *text) {
    const char *ms = strchr(text, ':');
    piece = strtoul(text, NULL, 10);
    piece_ns = ms ? (uint64_t)(atof(ms + 1) * 1e6) : 0;
}

static bool option_read(int option) {
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
    case 'b':
        buffer_bytes = atoi(optarg);
        break;
    case 'm':
        modulo = atoi(optarg);
        break;
    case 'o':
        opening = text_read(optarg);
        break;
    case 'f':
        flow = text_read(optarg);
        break;
    case 'k':
        piece_read(optarg);
        break;
    case 'e':
        flow_when = when_read(optarg, &flow_ns);
        break;
    case 'n':
        read_bytes = !strcmp(optarg, "all")    ? ALL_BYTES
                     : !strcmp(optarg, "none") ? NO_BYTES
                                               : strtoul(optarg, NULL, 10);
        break;
    case 'w':
        end_when = when_read(optarg, &end_ns);
        break;
    case 'x':
        end_how = !strcmp(optarg, "rst") ? RST : !strcmp(optarg, "fin") ? FIN : HALF;
        break;
    case 't':
        name = optarg;
        break;
    case 'l':
        alpn = optarg;
        break;
    case 'r':
        resumes = true;
        break;
    case 'u':
        renews = true;
        break;
    default:
        return false;
    }
    return true;
}

static bool arguments(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "p:c:d:a:b:m:o:f:k:e:n:w:x:t:l:ru")) != -1)
        if (!option_read(option))
            return false;
    return port > 0 && conn_count > 0 && seconds > 0 && seconds <= 120 && address_count > 0 &&
           address_count <= 50000 && piece && modulo > 0 && modulo <= 100;
}

static int session_keep(SSL *ssl, SSL_SESSION *s) {
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static void get_ready(void) {
    client_prepare();
    alarm((unsigned)seconds + 10); /* whatever happens */
    ep = epoll_create1(0);
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(tls, resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                                : SSL_SESS_CACHE_OFF);
    if (resumes)
        SSL_CTX_sess_set_new_cb(tls, session_keep);
    if (alpn) {
        unsigned char list[32];
        list[0] = (unsigned char)strnlen(alpn, sizeof list - 1);
        memcpy(list + 1, alpn, list[0]);
        SSL_CTX_set_alpn_protos(tls, list, list[0] + 1u);
    }
    conns = calloc((size_t)conn_count, sizeof *conns);
    size_t longest = opening.length > flow.length ? opening.length : flow.length;
    if (!conns)
        abort();
    for (int i = 0; i < conn_count; i++) {
        conns[i].fd = -1;
        if (!(conns[i].words = malloc(longest + 1)))
            abort();
    }
}

int main(int argc, char **argv) {
    if (!arguments(argc, argv)) {
        fprintf(stderr, "usage: storm -p PORT ...: see the head of storm.c\n");
        return 2;
    }
    get_ready();
    run();
    printf(
        "{\"kind\": \"storm\", \"seconds\": %.3f, \"dialled\": %lu, \"connected\": %lu, "
        "\"refused\": %lu, \"thrown_out\": %lu, \"held_most\": %lu, \"good\": %lu, \"bad\": %lu, "
        "\"bytes_in\": %lu, \"bytes_out\": %lu}\n",
        (double)(now_ns() - start) / 1e9, born, connected, refused, thrown_out, held_most, answers,
        said, bytes_in, bytes_out);
    return 0;
}
