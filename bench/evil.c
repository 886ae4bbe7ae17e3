/* SPDX-License-Identifier: GPL-3.0-or-later
 * evil.c - pods that do what no pod should: one thread, epoll, 127.0.0.1 only. It never looks at what it is asked.
 *
 *   evil BASE   the n-th port behaves as the n-th row of `kinds`; `evil names` prints them
 *
 * Those of HTTP/2 read and write frames by hand: whoever says HEADERS is answered, and no field of it is read. */
#include "pod.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum end { STAYS, RESETS, CLOSES };
enum h2 { NONE, GOAWAY, RST_ALL, NO_WINDOW, STREAMING, UNARY, PINGS };
enum {
    IN_MAX = 65536,
    FDS_MAX = 65536,
    EVENTS_MAX = 512,
    TURNS = 4,
    TICK_MS = 50,
    DRIP_TICKS = 20
};

/* What a kind says when it has been asked (`head`), then without end (`more`: at once, or a byte a second), and how it ends. */
struct kind {
    const char *name, *head, *more;
    bool drips, reads_once;
    enum end end;
    enum h2 h2;
};

#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define UPGRADED                                                                        \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
static char ws_frames[65536], chunks[65536], big_fields[65536], interims[65536], extension[65536];

static const struct kind kinds[] = {
    {.name = "endless", .head = OK "Transfer-Encoding: chunked\r\n\r\n", .more = chunks},
    {.name = "reset", .end = RESETS},
    {.name = "drip", .head = OK "X-Drip: ", .more = "x", .drips = true},
    {.name = "dripbody", .head = OK "Content-Length: 100000\r\n\r\n", .more = "x", .drips = true},
    {.name = "heads", .head = OK, .more = big_fields},
    {.name = "interim", .more = interims},
    {.name = "extension", .head = OK "Transfer-Encoding: chunked\r\n\r\n1;", .more = extension},
    {.name = "half", .head = OK "Content-Length: 100\r\n\r\nhalf", .end = CLOSES},
    {.name = "silent"},
    {.name = "deaf", .reads_once = true},
    {.name = "ws", .head = UPGRADED, .more = ws_frames},
    {.name = "wsquiet", .head = UPGRADED},
    {.name = "goaway", .h2 = GOAWAY},
    {.name = "rst", .h2 = RST_ALL},
    {.name = "window", .h2 = NO_WINDOW},
    {.name = "streaming", .h2 = STREAMING},
    {.name = "unary", .h2 = UNARY},
    {.name = "pings", .h2 = PINGS},
};
enum { KINDS = sizeof kinds / sizeof *kinds, OUT_MAX = 1 << 17, STREAMS_MAX = 128 };

struct conn {
    const struct kind *kind;
    bool wants_out, asked, greeted, over;
    const char *out;
    size_t out_length, in_length;
    int64_t window;
    unsigned stream_count, stream_next;
    struct {
        uint32_t id;
        int64_t window;
    } streams[STREAMS_MAX];
    size_t made_length;
    char *made; /* what is to be sent of HTTP/2 */
    char in[IN_MAX];
};

static struct conn *conns[FDS_MAX];
static int listeners[KINDS], ep, highest;
static unsigned ticks;

static void conn_drop(int fd, bool reset) {
    if (reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    free(conns[fd]->made);
    free(conns[fd]);
    conns[fd] = NULL;
    close(fd);
}

static void conn_watch(int fd, bool out) {
    struct conn *c = conns[fd];
    bool in = !(c->kind->reads_once && c->asked);
    c->wants_out = out;
    struct epoll_event e = {.events = (in ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u), .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

/* ---- HTTP/2 by hand ---- */
static void frame(struct conn *c, uint8_t type, uint8_t flags, uint32_t stream, const void *data,
                  size_t length) {
    if (c->made_length + 9 + length > OUT_MAX)
        return;
    char *to = c->made + c->made_length;
    uint32_t id = htonl(stream);
    to[0] = (char)(length >> 16);
    to[1] = (char)(length >> 8);
    to[2] = (char)length;
    to[3] = (char)type;
    to[4] = (char)flags;
    memcpy(to + 5, &id, 4);
    memcpy(to + 9, data, length);
    c->made_length += 9 + length;
}

/* ":status: 200" is 0x88; the trailer is grpc-status: 0, literal. */
static void h2_headers(struct conn *c, uint32_t id) {
    static const char trailer[] = "\0\x0bgrpc-status\x01"
                                  "0";
    static const char refused[] = {0, 0, 0, 7}, no_error[] = {0x7f, -1, -1, -1, 0, 0, 0, 0};
    switch (c->kind->h2) {
    case GOAWAY:
        frame(c, 7, 0, 0, no_error, sizeof no_error);
        c->over = true;
        break;
    case RST_ALL:
        frame(c, 3, 0, id, refused, sizeof refused);
        break;
    case UNARY:
        frame(c, 1, 4, id, "\x88", 1);
        frame(c, 0, 0, id, "\0\0\0\0\5hello", 10);
        frame(c, 1, 5, id, trailer, sizeof trailer - 1);
        break;
    case STREAMING:
        frame(c, 1, 4, id, "\x88", 1);
        if (c->stream_count < STREAMS_MAX)
            c->streams[c->stream_count++] = (typeof(*c->streams)){id, 65535};
        break;
    default:
        break;
    }
}

static void h2_window(struct conn *c, uint32_t id, uint32_t more) {
    if (!id)
        c->window += more;
    for (unsigned i = 0; i < c->stream_count; i++)
        if (c->streams[i].id == id)
            c->streams[i].window += more;
}

static void h2_forget(struct conn *c, uint32_t id) {
    for (unsigned i = 0; i < c->stream_count; i++)
        if (c->streams[i].id == id)
            c->streams[i--] = c->streams[--c->stream_count];
}

/* Only the initial window is read of the settings. */
static void h2_settings(struct conn *c, const uint8_t *at, size_t length) {
    (void)at;
    (void)length;
    frame(c, 4, 1, 0, "", 0);
}

static uint32_t number(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void h2_frame(struct conn *c, const uint8_t *at, size_t length) {
    uint32_t id = number(at + 5) & 0x7fffffff;
    switch (at[3]) {
    case 0: /* DATA: room for as much again */
        if (length && c->kind->h2 != NO_WINDOW) {
            uint32_t more = htonl((uint32_t)length);
            frame(c, 8, 0, 0, &more, 4);
            frame(c, 8, 0, id, &more, 4);
        }
        break;
    case 1:
        h2_headers(c, id);
        break;
    case 3:
        h2_forget(c, id);
        break;
    case 4:
        if (!(at[4] & 1))
            h2_settings(c, at + 9, length);
        break;
    case 6:
        if (!(at[4] & 1) && length == 8)
            frame(c, 6, 1, 0, at + 9, 8);
        break;
    case 8:
        if (length == 4)
            h2_window(c, id, number(at + 9) & 0x7fffffff);
        break;
    default:
        break;
    }
}

static void h2_greet(struct conn *c) {
    static const char closed[] = {0, 4, 0, 0, 0, 0}; /* SETTINGS_INITIAL_WINDOW_SIZE 0 */
    c->greeted = true;
    c->window = 65535;
    frame(c, 4, 0, 0, closed, c->kind->h2 == NO_WINDOW ? sizeof closed : 0);
}

static void h2_stream_more(struct conn *c) {
    static char data[8192];
    for (unsigned i = 0; i < c->stream_count && c->made_length < OUT_MAX / 2; i++) {
        unsigned at = (c->stream_next + i) % c->stream_count;
        if (c->streams[at].window < (int64_t)sizeof data || c->window < (int64_t)sizeof data)
            continue;
        c->streams[at].window -= sizeof data;
        c->window -= sizeof data;
        frame(c, 0, 0, c->streams[at].id, data, sizeof data);
    }
    c->stream_next++;
}

static void h2_serve(struct conn *c) {
    size_t used = 0;
    if (!c->greeted) {
        if (c->in_length < 24)
            return;
        h2_greet(c);
        used = 24;
    }
    const uint8_t *in = (const uint8_t *)c->in;
    while (c->in_length - used >= 9 && c->made_length < OUT_MAX / 2) {
        size_t length = (size_t)in[used] << 16 | (size_t)in[used + 1] << 8 | in[used + 2];
        if (c->in_length - used < 9 + length)
            break;
        h2_frame(c, in + used, length);
        used += 9 + length;
    }
    memmove(c->in, c->in + used, c->in_length -= used);
}

static void h2_more(struct conn *c) {
    if (c->kind->h2 == PINGS && c->greeted)
        while (c->made_length < OUT_MAX / 4)
            frame(c, 6, 0, 0, "evilpong", 8);
    if (c->kind->h2 == STREAMING && c->stream_count)
        h2_stream_more(c);
}

/* False: the connection is gone. */
static bool h2_turn(int fd) {
    struct conn *c = conns[fd];
    if (!c->made && !(c->made = malloc(OUT_MAX)))
        abort();
    for (int turn = 0; turn < TURNS; turn++) {
        h2_serve(c);
        h2_more(c);
        if (!c->made_length)
            break;
        ssize_t n = send(fd, c->made, c->made_length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            conn_drop(fd, true);
            return false;
        }
        n = n > 0 ? n : 0;
        memmove(c->made, c->made + n, c->made_length -= (size_t)n);
        if (c->made_length)
            break;
    }
    if (c->over && !c->made_length) {
        conn_drop(fd, false);
        return false;
    }
    conn_watch(fd, c->made_length || c->kind->h2 == PINGS);
    return true;
}

/* ---- HTTP/1.1 ---- */
/* 1: all sent, 0: the socket is full, -1: the connection is gone. */
static int conn_flush(int fd) {
    struct conn *c = conns[fd];
    while (c->out_length) {
        ssize_t n = send(fd, c->out, c->out_length, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            conn_watch(fd, true);
            return 0;
        }
        if (n < 0) {
            conn_drop(fd, true);
            return -1;
        }
        c->out += n;
        c->out_length -= (size_t)n;
    }
    return 1;
}

static void conn_more(int fd) {
    struct conn *c = conns[fd];
    for (int turn = 0; turn < TURNS; turn++) {
        c->out = c->kind->more;
        c->out_length = sizeof chunks;
        if (conn_flush(fd) <= 0)
            return;
    }
    conn_watch(fd, true);
}

static void conn_answer(int fd) {
    struct conn *c = conns[fd];
    c->asked = true;
    if (c->kind->end == RESETS) {
        conn_drop(fd, true);
        return;
    }
    if (c->kind->head) {
        c->out = c->kind->head;
        c->out_length = strlen(c->kind->head);
        if (conn_flush(fd) < 0)
            return;
    }
    if (c->kind->end == CLOSES)
        conn_drop(fd, false);
    else
        conn_watch(fd, c->kind->more && !c->kind->drips);
}

static void conn_event(int fd, uint32_t events) {
    struct conn *c = conns[fd];
    if (!c)
        return;
    bool asked = false;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        if (c->in_length == IN_MAX || (!c->kind->h2 && c->in_length > IN_MAX / 2))
            c->in_length = 0; /* bodies and frames of others */
        ssize_t n = recv(fd, c->in + c->in_length, IN_MAX - c->in_length, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            conn_drop(fd, false);
            return;
        }
        c->in_length += n > 0 ? (size_t)n : 0;
        asked = !c->kind->h2 && memmem(c->in, c->in_length, "\r\n\r\n", 4);
    }
    if (c->kind->h2)
        h2_turn(fd);
    else if (asked && !c->asked) {
        c->in_length = 0;
        conn_answer(fd);
    } else if (c->asked && c->kind->more && !c->kind->drips && events & EPOLLOUT) {
        if (!c->out_length || conn_flush(fd) > 0)
            conn_more(fd);
    }
}

/* A byte a second for those that drip. */
static void tick(void) {
    if (++ticks % DRIP_TICKS)
        return;
    for (int fd = 0; fd <= highest; fd++)
        if (conns[fd] && conns[fd]->asked && conns[fd]->kind->drips &&
            send(fd, conns[fd]->kind->more, 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            conn_drop(fd, true);
}

/* ---- getting ready ---- */
static void accept_some(int listener, const struct kind *kind) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (fd >= FDS_MAX || !(conns[fd] = calloc(1, sizeof **conns))) {
            close(fd);
            return;
        }
        conns[fd]->kind = kind;
        highest = fd > highest ? fd : highest;
        pod_welcome(ep, fd);
    }
}

static void fill(char *to, const char *with, size_t length) {
    for (size_t i = 0; i < sizeof chunks; i++)
        to[i] = with[i % length];
}

/* Each text's length divides that of its buffer, so that it can be said again and again. */
static void texts_make(void) {
    static char chunk[1024], ws[1024], field[128];
    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, "3f9\r\n", 5); /* 1017 bytes and their two line ends */
    memcpy(chunk + sizeof chunk - 2, "\r\n", 2);
    memset(ws, 'x', sizeof ws);
    memcpy(ws, "\x82\x7e\x03\xfc", 4); /* a binary message of 1020 bytes */
    memset(field, 'x', sizeof field);
    memcpy(field, "X-Big: ", 7);
    memcpy(field + sizeof field - 2, "\r\n", 2);
    fill(chunks, chunk, sizeof chunk);
    fill(ws_frames, ws, sizeof ws);
    fill(big_fields, field, sizeof field);
    fill(interims, "HTTP/1.1 103 E\r\nLink: </xxx>\r\n\r\n", 32);
    fill(extension, "a=1;", 4);
}

static void event(const struct epoll_event *e) {
    for (int k = 0; k < KINDS; k++)
        if (listeners[k] == e->data.fd) {
            accept_some(e->data.fd, &kinds[k]);
            return;
        }
    conn_event(e->data.fd, e->events);
}

static void run(void) {
    static struct epoll_event events[EVENTS_MAX];
    struct timespec last, now;
    clock_gettime(CLOCK_MONOTONIC, &last);
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS_MAX, TICK_MS);
        for (int i = 0; i < n; i++)
            event(&events[i]);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 >= TICK_MS) {
            last = now;
            tick();
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "names")) {
        for (int k = 0; k < KINDS; k++)
            printf("%s%s\n", kinds[k].name, kinds[k].h2 ? " h2c" : "");
        return 0;
    }
    int base = argc == 2 ? atoi(argv[1]) : 0;
    if (base <= 0) {
        fprintf(stderr, "usage: evil BASE | evil names\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    texts_make();
    ep = epoll_create1(0);
    for (int k = 0; k < KINDS; k++)
        listeners[k] = pod_listen(ep, "evil", base + k);
    run();
}
