/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod.h - what the pods of the measurements have in common: listeners on 127.0.0.1, and connections that come in by epoll.
 */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static inline void pod_watch(int ep, int fd) {
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

/* What can't be bound ends the program `name`. */
static inline int pod_listen(int ep, const char *name, int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) {
        fprintf(stderr, "%s: ", name);
        perror("bind");
        exit(1);
    }
    pod_watch(ep, fd);
    return fd;
}

/* It is in its table: answers go out at once, and what it says is heard of. */
static inline void pod_welcome(int ep, int fd) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pod_watch(ep, fd);
}
