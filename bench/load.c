/* SPDX-License-Identifier: GPL-3.0-or-later
 * load.c - the client of the measurements: one thread, epoll, 127.0.0.1 only, always bounded in time.
 *
 *   load MODE -p PORT [-c CONNECTIONS] [-d SECONDS] [-t raw|http|tls|resume|h2] [-s HOST] [-n HOSTS] [-u PATH]
 *
 *   again     every connection asks, waits for the answer, asks again      (-t raw: 64 bytes and their echo)
 *   connect   every transaction on a connection of its own                 (-t resume: with the last one's ticket)
 *   bulk      one byte, then read without end
 *   idle      every connection asks once and stays; "READY n" is printed; ends when stdin does, at the latest after -d
 *   turns     as `again`, at several proxies alive together (-p PORT:PID,PORT:PID,...; -c connections to each): one of them at a time is
 *             asked for -S milliseconds, all of them in each round, in an order that is drawn anew; -w seconds of each first, not counted.
 *             A line for each slice: which, how many answers, and the processor time of all threads of that process, in nanoseconds
 *
 * With -n the Host of the requests is t0.HOST, t1.HOST, … in a fixed shuffled order. -t h2 (again, idle) is HTTP/2 over TLS, one stream
 * at a time. Prints one JSON object.
 *
 *   DIAL --connected--> SHAKE --finished--> ASK --all sent--> ANSWER --complete--> (ASK | DIAL | PARKED --its turn--> ASK) */
#include "client.h"
#include <poll.h>
#include <stdio.h>

enum mode { AGAIN, CONNECT, BULK, IDLE, TURNS, MODES };
enum state { FREE, DIAL, SHAKE, ASK, ANSWER, PARKED };
enum { RAW_SIZE = 64, EVENTS_MAX = 1024, IDLE_BATCH = 200, SOURCES = 16, SIDES = 8 };
enum {
    DATA = 0,
    HEADERS = 1,
    RST = 3,
    SETTINGS = 4,
    GOAWAY = 7,
    WINDOW = 8
}; /* frames of HTTP/2 */
enum { FRAME_HEAD = 9, ACK = 1, END_STREAM = 1, END_HEADERS = 4, PEEK = 8 };

struct h2 { /* what is being read: one frame's head, its first bytes, the rest of it */
    uint8_t head[FRAME_HEAD], first[PEEK];
    size_t head_got, first_got, left;
    uint32_t stream; /* the one that asks */
    bool ended, owes_ack;
};

struct conn {
    int fd;
    enum state state;
    bool wants_out;
    int side;
    unsigned source; /* 127.0.1.(1 + source): more client ports than one address has */
    SSL *ssl;
    SSL_SESSION *session; /* the newest ticket, for -t resume */
    const char *out;
    size_t out_length, got, need; /* need 0: not known yet */
    struct head head;             /* of the answer; with HTTP/2 its text is what is asked */
    struct h2 h2;
    uint64_t since; /* ns */
};

struct request {
    char *data;
    size_t length;
};

static const char *const mode_names[] = {"again", "connect", "bulk", "idle", "turns"};
static enum mode mode;
static int conn_count = 64, host_count;
static double seconds = 3, slice_ms = 200, warm_s = 1;
static const char *host = "bench.test", *path = "/small", *type = "http";
static bool use_tls, use_http, use_h2, resume;

static struct side {
    int port;
    pid_t pid;
    size_t request_next;
} sides[SIDES];
static int side_count, side_on = -1; /* the one that is asked, in `turns` */
static uint64_t slice_end;

static struct conn *conns;
static struct request *requests;
static size_t request_count;
static SSL_CTX *tls;
static int ep;
static char scratch[1 << 20];

static uint64_t done, bytes, failed_dial, failed_tls, failed_answer, resumed, parked;

/* ---- latencies: buckets of microseconds, 16 to each power of two ---- */
enum { HALF = 16, BUCKETS = 40 * HALF };
static uint64_t buckets[BUCKETS];

static void latency_add(uint64_t ns) {
    uint64_t us = ns / 1000;
    int shift = us < 2 * HALF ? 0 : 59 - __builtin_clzll(us);
    int i = shift * HALF + (int)(us >> shift);
    buckets[i < BUCKETS ? i : BUCKETS - 1]++;
}

static double latency_at(double part) {
    uint64_t want = (uint64_t)((double)done * part), sum = 0;
    for (int i = 0; i < BUCKETS; i++) {
        sum += buckets[i];
        if (sum > want) {
            int shift = i < 2 * HALF ? 0 : i / HALF - 1;
            return (double)((uint64_t)(i - shift * HALF) << shift);
        }
    }
    return -1;
}

/* ---- a connection ---- */
static void conn_watch(struct conn *c, bool out) {
    client_watch(ep, c->fd, c, &c->wants_out, out);
}

static void conn_shut(struct conn *c) {
    if (c->ssl) {
        SSL_set_quiet_shutdown(c->ssl, 1);
        SSL_shutdown(
            c->ssl); /* says to OpenSSL that the session may be used again; sends nothing */
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = FREE;
}

static void conn_dial(struct conn *c) {
    c->since = now_ns();
    c->h2 = (struct h2){0};
    c->state = DIAL;
    c->wants_out = true;
    if (!client_dial(0x7f000101u + c->source, sides[c->side].port, &c->fd)) {
        failed_dial++;
        conn_shut(c);
        return;
    }
    client_watch_new(ep, c->fd, c);
}

/* ---- HTTP/2: no more of it than one request after the other takes ---- */
static char *frame_put(char *out, size_t length, int type, int flags, uint32_t stream) {
    const uint8_t head[FRAME_HEAD] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
        (uint8_t)type,           (uint8_t)flags,         (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    memcpy(out, head, sizeof head);
    return out + sizeof head;
}

/* The preface, and windows for all that will ever come. */
static char *h2_begin(char *out) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    memcpy(out, preface, sizeof preface - 1);
    out = frame_put(out + sizeof preface - 1, 0, SETTINGS, 0, 0);
    out = frame_put(out, 4, WINDOW, 0, 0);
    memcpy(out, "\x3f\xff\x00\x00", 4);
    return out + 4;
}

static char *text_put(char *out, int field, const char *text) {
    size_t length = strlen(text); /* below 127: one octet of HPACK */
    *out++ = (char)field;
    *out++ = (char)length;
    memcpy(out, text, length);
    return out + length;
}

static void h2_ask(struct conn *c) {
    char block[300], *end = block, *out = c->head.text;
    *end++ = (char)0x82; /* :method GET */
    *end++ = (char)0x87; /* :scheme https */
    end = text_put(end, 0x04, path);
    end = text_put(end, 0x01, host);
    size_t length = (size_t)(end - block);
    bool first = !c->h2.stream;
    c->h2.stream = first ? 1 : c->h2.stream + 2;
    c->h2.ended = false;
    out = first ? h2_begin(out) : out;
    out = frame_put(out, length, HEADERS, END_STREAM | END_HEADERS, c->h2.stream);
    memcpy(out, block, length);
    c->out = c->head.text;
    c->out_length = (size_t)(out - c->head.text) + length;
    c->state = ASK;
}

/* ":status: 200", after updates of the table's size (RFC 7541 section 6.3). */
static bool h2_is_200(const struct h2 *h) {
    size_t i = 0;
    while (i < h->first_got && (h->first[i] & 0xe0) == 0x20) {
        bool more = (h->first[i++] & 0x1f) == 0x1f;
        while (more && i < h->first_got)
            more = h->first[i++] & 0x80;
    }
    return i < h->first_got && h->first[i] == 0x88;
}

/* A frame is whole. False: it is not what was to come. */
static bool h2_frame(struct h2 *h) {
    uint32_t stream = (uint32_t)(h->head[5] & 0x7f) << 24 | (uint32_t)h->head[6] << 16 |
                      (uint32_t)h->head[7] << 8 | h->head[8];
    int type = h->head[3], flags = h->head[4];
    h->owes_ack |= type == SETTINGS && !(flags & ACK);
    if (type == GOAWAY || type == RST || (type == HEADERS && !h2_is_200(h)))
        return false;
    if ((type == HEADERS || type == DATA) && stream != h->stream)
        return false;
    h->ended |= (type == HEADERS || type == DATA) && flags & END_STREAM;
    h->head_got = h->first_got = 0;
    return true;
}

static bool h2_feed(struct h2 *h, const char *data, size_t length) {
    while (length) {
        size_t n = h->head_got < FRAME_HEAD ? FRAME_HEAD - h->head_got : h->left;
        n = n < length ? n : length;
        if (h->head_got < FRAME_HEAD) {
            memcpy(h->head + h->head_got, data, n);
            h->head_got += n;
            if (h->head_got == FRAME_HEAD)
                h->left = (size_t)h->head[0] << 16 | (size_t)h->head[1] << 8 | h->head[2];
        } else {
            size_t take = n < PEEK - h->first_got ? n : PEEK - h->first_got;
            memcpy(h->first + h->first_got, data, take);
            h->first_got += take;
            h->left -= n;
        }
        data += n;
        length -= n;
        if (h->head_got == FRAME_HEAD && !h->left && !h2_frame(h))
            return false;
    }
    return true;
}

static void conn_ask(struct conn *c) {
    if (use_h2) {
        h2_ask(c);
        return;
    }
    struct side *side = &sides[c->side];
    const struct request *r = &requests[side->request_next];
    side->request_next = (side->request_next + 1) % request_count;
    c->out = r->data;
    c->out_length = r->length;
    c->got = c->head.length = 0;
    c->need = use_http ? 0 : mode == BULK ? SIZE_MAX : r->length;
    c->state = ASK;
}

static void conn_fail(struct conn *c, uint64_t *counter) {
    ++*counter;
    conn_shut(c);
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct conn *c = SSL_get_app_data(ssl);
    if (c->session)
        SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void conn_connected(struct conn *c) {
    if (client_dialled(c->fd)) {
        conn_fail(c, &failed_dial);
        return;
    }
    if (!use_tls) {
        conn_ask(c);
        return;
    }
    c->ssl = client_tls(tls, c->fd, host);
    SSL_set_app_data(c->ssl, c);
    if (resume && c->session)
        SSL_set_session(c->ssl, c->session);
    c->state = SHAKE;
}

/* True: the operation wants the socket, which is now watched for it. */
static bool tls_waits(struct conn *c, int result) {
    bool out;
    if (!client_tls_waits(c->ssl, result, &out))
        return false;
    conn_watch(c, out);
    return true;
}

static void conn_shake(struct conn *c) {
    int r = SSL_do_handshake(c->ssl);
    if (r == 1) {
        bool again = SSL_session_reused(c->ssl);
        resumed += again;
        failed_tls += resume && c->session &&
                      !again; /* a ticket that was not taken is a failure, but goes on */
        conn_ask(c);
    } else if (!tls_waits(c, r))
        conn_fail(c, &failed_tls);
}

/* As send() and recv(): -1 with EAGAIN when it has to wait. */
static ssize_t conn_send(struct conn *c) {
    if (!c->ssl)
        return send(c->fd, c->out, c->out_length, MSG_NOSIGNAL);
    int n = SSL_write(c->ssl, c->out, (int)c->out_length);
    if (n <= 0)
        errno = tls_waits(c, n) ? EAGAIN : EPIPE;
    return n > 0 ? n : -1;
}

static ssize_t conn_recv(struct conn *c) {
    if (!c->ssl)
        return recv(c->fd, scratch, sizeof scratch, mode == BULK ? MSG_TRUNC : 0);
    int n = SSL_read(c->ssl, scratch, sizeof scratch);
    if (n <= 0)
        errno = tls_waits(c, n) ? EAGAIN : ECONNRESET;
    return n > 0 ? n : -1;
}

static void conn_send_request(struct conn *c) {
    while (c->out_length) {
        ssize_t n = conn_send(c);
        if (n < 0 && errno == EAGAIN) {
            if (!c->ssl)
                conn_watch(c, true);
            return;
        }
        if (n < 0) {
            conn_fail(c, &failed_answer);
            return;
        }
        c->out += n;
        c->out_length -= (size_t)n;
    }
    conn_watch(c, false);
    c->state = ANSWER;
}

static bool conn_has_turn(const struct conn *c) {
    return c->side == side_on && now_ns() < slice_end;
}

static void conn_ask_now(struct conn *c) {
    c->since = now_ns();
    conn_ask(c);
    conn_send_request(c);
}

static void conn_answered(struct conn *c) {
    done++;
    latency_add(now_ns() - c->since);
    if (mode == CONNECT) {
        conn_shut(c);
        conn_dial(c);
    } else if (mode == IDLE || (mode == TURNS && !conn_has_turn(c))) {
        c->state = PARKED;
        parked++;
    } else {
        conn_ask_now(c);
    }
}

/* Nine octets behind nothing else: the socket takes them. */
static bool h2_acks(struct conn *c) {
    char ack[FRAME_HEAD];
    if (!c->h2.owes_ack)
        return true;
    c->h2.owes_ack = false;
    frame_put(ack, 0, SETTINGS, ACK, 0);
    c->out = ack;
    c->out_length = sizeof ack;
    return conn_send(c) == (ssize_t)sizeof ack;
}

static void conn_receive(struct conn *c);

static void h2_receive(struct conn *c, ssize_t n) {
    if (n <= 0 || !h2_feed(&c->h2, scratch, (size_t)n) || !h2_acks(c)) {
        conn_fail(c, &failed_answer);
        return;
    }
    bytes += (uint64_t)n;
    if (c->h2.ended)
        conn_answered(c);
    else
        conn_receive(c);
}

static void conn_receive(struct conn *c) {
    ssize_t n = conn_recv(c);
    if (n < 0 && errno == EAGAIN)
        return;
    if (use_h2) {
        h2_receive(c, n);
        return;
    }
    if (n <= 0 || (use_http && !c->need && !head_feed(&c->head, scratch, (size_t)n, &c->need))) {
        conn_fail(c, &failed_answer);
        return;
    }
    bytes += (uint64_t)n;
    c->got += (size_t)n;
    if (c->need && c->got >= c->need)
        conn_answered(c);
    else if (c->ssl)
        conn_receive(c); /* what OpenSSL holds, epoll does not tell */
}

static void conn_parked(struct conn *c) {
    ssize_t n = conn_recv(c);
    /* SETTINGS, or their ACK: nobody speaks unasked of anything else. */
    while (use_h2 && n > 0 && h2_feed(&c->h2, scratch, (size_t)n) && h2_acks(c))
        n = conn_recv(c);
    if (n >= 0 || errno != EAGAIN) { /* the server closed an idle connection, or spoke unasked */
        parked--;
        conn_fail(c, &failed_answer);
    }
}

static void conn_event(struct conn *c) {
    if (c->state == DIAL)
        conn_connected(c);
    if (c->state == SHAKE)
        conn_shake(c);
    if (c->state == ASK)
        conn_send_request(c);
    if (c->state == ANSWER)
        conn_receive(c);
    else if (c->state == PARKED)
        conn_parked(c);
}

/* ---- the run ---- */
static int turn(void) {
    static struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(ep, events, EVENTS_MAX, 20);
    for (int i = 0; i < n; i++)
        conn_event(events[i].data.ptr);
    return n;
}

static void redial_failed(void) {
    for (int i = 0; i < conn_count; i++)
        if (conns[i].state == FREE)
            conn_dial(&conns[i]);
}

static double run_closed_loop(void) {
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), sweep = start;
    redial_failed();
    while (now_ns() < end) {
        turn();
        if (now_ns() - sweep > 50000000) {
            sweep = now_ns();
            redial_failed();
        }
    }
    return (double)(now_ns() - start) / 1e9;
}

static bool stdin_ended(void) {
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char c;
    return poll(&p, 1, 0) == 1 && read(0, &c, 1) <= 0;
}

static double run_idle(void) {
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
    int opened = 0;
    bool told = false;
    while (now_ns() < end && !(told && stdin_ended())) {
        uint64_t failures = failed_dial + failed_tls + failed_answer;
        while (opened < conn_count && (uint64_t)opened < parked + failures + IDLE_BATCH)
            conn_dial(&conns[opened++]);
        turn();
        failures = failed_dial + failed_tls + failed_answer;
        if (!told && parked + failures >= (uint64_t)conn_count) {
            told = true;
            printf("READY %lu\n", parked);
            fflush(stdout);
        }
    }
    return (double)(now_ns() - start) / 1e9;
}

/* ---- several proxies by turns ---- */
static uint64_t side_cpu_ns(const struct side *s) {
    clockid_t id;
    struct timespec t;
    if (clock_getcpuclockid(s->pid, &id) || clock_gettime(id, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Every answer that is still to come has come. */
static bool all_park(void) {
    enum { LIMIT_S = 30 };
    uint64_t limit = now_ns() + LIMIT_S * 1000000000ull;
    while (parked < (uint64_t)conn_count && !(failed_dial + failed_tls + failed_answer) &&
           now_ns() < limit)
        turn();
    failed_answer += parked < (uint64_t)conn_count && !(failed_dial + failed_tls + failed_answer);
    return parked == (uint64_t)conn_count;
}

static void side_ask(int which, uint64_t ns) {
    side_on = which;
    slice_end = now_ns() + ns;
    for (int i = 0; i < conn_count; i++)
        if (conns[i].side == which) {
            parked--;
            conn_ask_now(&conns[i]);
        }
    while (now_ns() < slice_end)
        turn();
}

/* From rest to rest, so that nothing of it falls into another's slice. */
static bool side_slice(int which, uint64_t ns, bool tell) {
    static const struct timespec rest = {.tv_nsec = 1000000};
    uint64_t cpu = side_cpu_ns(&sides[which]), before = done;
    side_ask(which, ns);
    if (!all_park())
        return false;
    nanosleep(&rest, NULL); /* its turn ends behind the last answer */
    cpu = side_cpu_ns(&sides[which]) - cpu;
    if (tell)
        printf("{\"side\": %d, \"done\": %lu, \"cpu_ns\": %lu}\n", which, done - before, cpu);
    return true;
}

static void order_draw(int *order) {
    for (int i = 0; i < side_count; i++) {
        int j = (int)(random() % (i + 1));
        order[i] = order[j];
        order[j] = i;
    }
}

static double run_turns(void) {
    int order[SIDES];
    bool good = true;
    redial_failed();
    good = all_park();
    for (int i = 0; i < side_count && good; i++)
        good = side_slice(i, (uint64_t)(warm_s * 1e9), false);
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
    srandom((unsigned)start);
    while (good && now_ns() < end) {
        order_draw(order);
        for (int i = 0; i < side_count && good; i++)
            good = side_slice(order[i], (uint64_t)(slice_ms * 1e6), true);
    }
    return (double)(now_ns() - start) / 1e9;
}

/* ---- getting ready ---- */
static struct request request_for(const char *name) {
    struct request r;
    const char *last = mode == CONNECT ? "Connection: close\r\n" : "";
    int n = asprintf(&r.data, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, name, last);
    if (n < 0)
        abort();
    r.length = (size_t)n;
    return r;
}

static struct request request_raw(size_t length) {
    struct request r = {.data = calloc(1, length), .length = length};
    if (!r.data)
        abort();
    return r;
}

static void requests_make(void) {
    request_count = host_count ? (size_t)host_count : 1;
    requests = calloc(request_count, sizeof *requests);
    if (!requests)
        abort();
    for (size_t i = 0; i < request_count; i++) {
        char name[256];
        if (host_count)
            snprintf(name, sizeof name, "t%zu.%s", i, host);
        else
            snprintf(name, sizeof name, "%s", host);
        requests[i] = use_http ? request_for(name) : request_raw(mode == BULK ? 1 : RAW_SIZE);
    }
    srandom(7);
    for (size_t i = request_count; i-- > 1;) {
        size_t j = (size_t)random() % (i + 1);
        struct request swap = requests[i];
        requests[i] = requests[j];
        requests[j] = swap;
    }
}

static void tls_make(void) {
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls, keep_session);
    if (use_h2)
        SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x02h2", 3);
}

static bool sides_read(char *text) {
    char *rest = NULL;
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        struct side *s = &sides[side_count];
        if (side_count == SIDES || sscanf(one, "%d:%d", &s->port, &s->pid) < 1 || s->port <= 0)
            return false;
        side_count++;
    }
    return side_count;
}

static bool arguments(int argc, char **argv) {
    int option;
    mode = MODES;
    for (int i = 0; argc > 1 && i < MODES; i++)
        if (!strcmp(argv[1], mode_names[i]))
            mode = (enum mode)i;
    optind = 2;
    while (mode != MODES && (option = getopt(argc, argv, "p:c:d:t:s:n:u:S:w:")) != -1)
        switch (option) {
        case 'p':
            if (!sides_read(optarg))
                return false;
            break;
        case 'c':
            conn_count = atoi(optarg);
            break;
        case 'd':
            seconds = atof(optarg);
            break;
        case 't':
            type = optarg;
            break;
        case 's':
            host = optarg;
            break;
        case 'n':
            host_count = atoi(optarg);
            break;
        case 'u':
            path = optarg;
            break;
        case 'S':
            slice_ms = atof(optarg);
            break;
        case 'w':
            warm_s = atof(optarg);
            break;
        default:
            return false;
        }
    resume = !strcmp(type, "resume");
    use_h2 = !strcmp(type, "h2");
    use_tls = resume || use_h2 || !strcmp(type, "tls");
    use_http = mode != BULK && (use_tls || !strcmp(type, "http"));
    bool can = !use_h2 || (!host_count && (mode == AGAIN || mode == IDLE) && strlen(host) < 127 &&
                           strlen(path) < 127);
    bool by_turns = mode == TURNS;
    for (int i = 0; i < side_count; i++)
        can &= !by_turns || sides[i].pid > 0;
    return mode != MODES && conn_count > 0 && can && (by_turns ? side_count : side_count == 1);
}

static void conns_make(void) {
    client_prepare();
    ep = epoll_create1(0);
    conn_count *= side_count;
    conns = calloc((size_t)conn_count, sizeof *conns);
    if (!conns)
        abort();
    for (int i = 0; i < conn_count; i++) {
        conns[i].fd = -1;
        conns[i].side = i % side_count;
        conns[i].source = (unsigned)(i / side_count) % SOURCES;
    }
}

int main(int argc, char **argv) {
    if (!arguments(argc, argv)) {
        fprintf(stderr, "usage: load again|connect|bulk|idle|turns -p PORT[:PID,...] [-c "
                        "CONNECTIONS] [-d SECONDS]"
                        " [-t raw|http|tls|resume|h2] [-s HOST] [-n HOSTS] [-u PATH] [-S SLICE_MS] "
                        "[-w WARM_S]\n");
        return 2;
    }
    conns_make();
    tls_make();
    requests_make();
    double took = mode == IDLE ? run_idle() : mode == TURNS ? run_turns() : run_closed_loop();
    printf("{\"mode\": \"%s\", \"done\": %lu, \"bytes\": %lu, \"seconds\": %.4f, \"p50_us\": %.0f, "
           "\"p99_us\": %.0f, "
           "\"failed_dial\": %lu, \"failed_tls\": %lu, \"failed_answer\": %lu, \"resumed\": %lu, "
           "\"parked\": %lu}\n",
           mode_names[mode], done, bytes, took, latency_at(.5), latency_at(.99), failed_dial,
           failed_tls, failed_answer, resumed, parked);
    return 0;
}
