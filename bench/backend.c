/* SPDX-License-Identifier: GPL-3.0-or-later
 * backend.c - the pod behind every proxy that is measured: one thread, epoll, 127.0.0.1 only.
 *
 *   backend BASE     BASE    HTTP/1.1 keep-alive: /64k answers 64 KiB, any other path 100 bytes
 *                    BASE+1  echo
 *                    BASE+2  source: the first byte received starts an endless stream
 *                    BASE+3  sink: reads and forgets, never answers
 *
 * It costs as little as it can, so that the proxy is what limits a run. Never closes first. */
#include "pod.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { HTTP, ECHO, SOURCE, SINK, KINDS };
enum { IN_MAX = 2048, SINK_MAX = 1 << 20, FDS_MAX = 65536, EVENTS_MAX = 512 };

struct conn {
    enum kind kind;
    bool wants_out;
    const char *out; /* what is still to be sent: static memory, or `in` of an echo */
    size_t out_length, in_length;
    char in[IN_MAX];
};

struct answer {
    char *data;
    size_t length;
};

static struct conn *conns[FDS_MAX];
static int listeners[KINDS];
static struct answer small_answer, large_answer;
static char stream[256 * 1024];
static int ep;

static struct answer answer_make(size_t body) {
    char head[128];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                     body);
    struct answer a = {.data = malloc((size_t)n + body), .length = (size_t)n + body};
    if (!a.data)
        abort();
    memcpy(a.data, head, (size_t)n);
    memset(a.data + n, 'x', body);
    return a;
}

static void conn_drop(int fd) {
    free(conns[fd]);
    conns[fd] = NULL;
    close(fd);
}

static void conn_watch(int fd, bool out) {
    if (conns[fd]->wants_out == out)
        return;
    conns[fd]->wants_out = out;
    struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

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
            conn_drop(fd);
            return -1;
        }
        c->out += n;
        c->out_length -= (size_t)n;
    }
    conn_watch(fd, false);
    return 1;
}

/* Answers every complete request in `in`, one after another. */
static void http_serve(int fd) {
    struct conn *c = conns[fd];
    char *end;
    while (!c->out_length && (end = memmem(c->in, c->in_length, "\r\n\r\n", 4))) {
        size_t used = (size_t)(end + 4 - c->in);
        const struct answer *a = memmem(c->in, used, " /64k", 5) ? &large_answer : &small_answer;
        c->in_length -= used;
        memmove(c->in, c->in + used, c->in_length);
        c->out = a->data;
        c->out_length = a->length;
        if (conn_flush(fd) <= 0)
            return;
    }
}

static void echo_serve(int fd) {
    struct conn *c = conns[fd];
    c->out = c->in;
    c->out_length = c->in_length;
    c->in_length = 0;
    conn_flush(fd);
}

static void source_serve(int fd) {
    struct conn *c = conns[fd];
    c->in_length = 0;
    for (int turn = 0; turn < 4; turn++) { /* then let the others have theirs */
        c->out = stream;
        c->out_length = sizeof stream;
        if (conn_flush(fd) <= 0)
            return;
    }
    conn_watch(fd, true);
}

static void conn_serve(int fd) {
    switch (conns[fd]->kind) {
    case HTTP:
        http_serve(fd);
        break;
    case ECHO:
        echo_serve(fd);
        break;
    default:
        source_serve(fd);
        break;
    }
}

/* False: the connection is gone. */
static bool conn_read(int fd) {
    struct conn *c = conns[fd];
    if (c->kind == SINK) { /* what nobody looks at isn't copied */
        ssize_t n = recv(fd, NULL, SINK_MAX, MSG_TRUNC);
        if (n > 0 || (n < 0 && errno == EAGAIN))
            return true;
        conn_drop(fd);
        return false;
    }
    ssize_t n = recv(fd, c->in + c->in_length, IN_MAX - c->in_length, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0) { /* a full buffer without an end of request reads 0, too */
        conn_drop(fd);
        return false;
    }
    c->in_length += (size_t)n;
    return true;
}

static void conn_event(int fd, uint32_t events) {
    struct conn *c = conns[fd];
    if (!c)
        return;
    bool was_sending = c->wants_out;
    if ((events & EPOLLOUT) && conn_flush(fd) < 0)
        return;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !(c->kind == ECHO && c->out_length) &&
        !conn_read(fd))
        return;
    if (!c->out_length && (c->in_length || (c->kind == SOURCE && was_sending)))
        conn_serve(fd);
}

static void accept_some(int listener, enum kind kind) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (fd >= FDS_MAX || !(conns[fd] = malloc(sizeof **conns))) {
            close(fd);
            return;
        }
        conns[fd]->kind = kind;
        conns[fd]->wants_out = false;
        conns[fd]->out_length = conns[fd]->in_length = 0;
        pod_welcome(ep, fd);
    }
}

static void event(const struct epoll_event *e) {
    for (int k = 0; k < KINDS; k++)
        if (listeners[k] == e->data.fd) {
            accept_some(e->data.fd, (enum kind)k);
            return;
        }
    conn_event(e->data.fd, e->events);
}

int main(int argc, char **argv) {
    int base = argc == 2 ? atoi(argv[1]) : 0;
    if (base <= 0) {
        fprintf(stderr, "usage: backend BASE\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    small_answer = answer_make(100);
    large_answer = answer_make(65536);
    ep = epoll_create1(0);
    for (int k = 0; k < KINDS; k++)
        listeners[k] = pod_listen(ep, "backend", base + k);
    for (;;) {
        static struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(ep, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++)
            event(&events[i]);
    }
}
