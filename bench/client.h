/* SPDX-License-Identifier: GPL-3.0-or-later
 * client.h - what the clients of the measurements have in common: the clock, a connection from a chosen address of 127.0.0.0/8 to a port here,
 * TLS over it, epoll, and the head of an answer.
 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* As many descriptors as there may be, and no SIGPIPE. */
static inline void client_prepare(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- a socket ---- */

/* From this address (host order) to a port of 127.0.0.1. False: refused at once; *ret_fd may be open all the same, <0: it is not. */
static inline bool client_dial(uint32_t from, int port, int *ret_fd) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&here, sizeof here))
        return false;
    return !connect(fd, (struct sockaddr *)&there, sizeof there) || errno == EINPROGRESS;
}

/* What became of the connect: 0 or an errno. */
static inline int client_dialled(int fd) {
    int error = 0;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    return error;
}

/* A new socket is watched for both; `conn` comes with its events. */
static inline void client_watch_new(int ep, int fd, void *conn) {
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = conn};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

/* Always for what comes in, and with `out` for room; *watched: is it for that now? */
static inline void client_watch(int ep, int fd, void *conn, bool *watched, bool out) {
    if (*watched == out)
        return;
    *watched = out;
    struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = conn};
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

/* ---- TLS ---- */

static inline SSL *client_tls(SSL_CTX *tls, int fd, const char *name) {
    SSL *ssl = SSL_new(tls);
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Does the operation that gave `result` wait for the socket? *ret_out: for room in it. */
static inline bool client_tls_waits(SSL *ssl, int result, bool *ret_out) {
    int e = SSL_get_error(ssl, result);
    ERR_clear_error();
    *ret_out = e == SSL_ERROR_WANT_WRITE;
    return *ret_out || e == SSL_ERROR_WANT_READ;
}

/* ---- an answer's head ---- */
enum { HEAD_MAX = 1024 };

struct head {
    size_t length;
    char text[HEAD_MAX + 1];
};

/* Learns from the head how long the answer is (*ret_need; 0: not known yet). False: it is not a 200. */
static inline bool head_feed(struct head *h, const char *data, size_t length, size_t *ret_need) {
    size_t take = length < HEAD_MAX - h->length ? length : HEAD_MAX - h->length;
    memcpy(h->text + h->length, data, take);
    h->length += take;
    h->text[h->length] = 0;
    char *end = strstr(h->text, "\r\n\r\n");
    if (!end)
        return h->length < HEAD_MAX;
    char *body = strcasestr(h->text, "\r\ncontent-length:");
    *ret_need = (size_t)(end + 4 - h->text) + (body ? strtoul(body + 17, NULL, 10) : 0);
    return !strncmp(h->text, "HTTP/1.1 200", 12) && body;
}
