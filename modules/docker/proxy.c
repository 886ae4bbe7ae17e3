/* SPDX-License-Identifier: GPL-3.0-or-later
 * proxy.c - the command: which engine, the socket, a thread for each client. A process of its own: whoever may ask an engine for
 * anything is as good as root there, and the edge need not be.
 */
#include "modules/docker/proxy.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MOST = 256, GOOD = 0, BAD_NEWS = 1, USAGE = 2, END_MS = 2000 };

static struct proxy proxy;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int clients[CLIENTS_MOST]; /* descriptors + 1; 0: free. Under `lock` */

/* ---- which engine ---- */

static bool engine_serves(const struct docker_engine *e, const char *tenant) {
    const char *one;
    for (size_t i = 0; tenant && (one = engine_tenant(e, i)); i++)
        if (!strcmp(one, tenant))
            return true;
    return !tenant;
}

/* By its path where one is given. *ret_count: how many fit. */
static const struct docker_engine *engine_find(const struct module_call *call, size_t *ret_count) {
    const struct conf_list *list = call->conf;
    const struct docker_engine *engine = list->item, *found = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (engine_serves(&engine[i], call->tenant) &&
            (call->words < 2 || !strcmp(engine[i].socket, call->word[1]))) {
            found = &engine[i];
            ++*ret_count;
        }
    return found;
}

static bool engine_choose(const struct module_call *call, struct docker_engine *ret) {
    size_t count;
    const struct docker_engine *found = engine_find(call, &count);
    bool unlisted = !count && call->words == 2 && !call->tenant;
    if (count == 1)
        *ret = *found;
    else if (unlisted) /* whose its containers are is not known, and not asked for */
        *ret = (struct docker_engine){.socket = (char *)(uintptr_t)call->word[1]};
    else
        fprintf(
            stderr,
            "ringress: %s in section `docker` of edge.yaml %s; say which one: docker-proxy SOCKET "
            "ENGINE\n",
            count ? "several engines" : "no engine",
            call->tenant ? "fit that tenant" : "are listed");
    return count == 1 || unlisted;
}

/* ---- the socket ---- */

static bool is_dead(const struct sockaddr_un *at) {
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool dead = !lstat(at->sun_path, &st) && S_ISSOCK(st.st_mode) &&
                connect(fd, (const struct sockaddr *)at, sizeof *at) && errno == ECONNREFUSED;
    close(fd);
    return dead;
}

static int socket_open(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof at.sun_path) {
        fprintf(stderr, "ringress: %s is longer than a socket's path may be\n", path);
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (is_dead(&at))
        unlink(path);
    mode_t before = umask(0117); /* the group's as well: chgrp lets a tenant in */
    bool good = !bind(fd, (struct sockaddr *)&at, sizeof at) && !listen(fd, SOMAXCONN);
    int why = errno;
    umask(before);
    if (good)
        return fd;
    fprintf(stderr, "ringress: %s: %s\n", path, strerror(why));
    close(fd);
    return -1;
}

/* ---- clients ---- */

static void *client_run(void *user) {
    int *slot = user;
    serve(&proxy, *slot - 1);
    pthread_mutex_lock(&lock);
    close(*slot - 1);
    *slot = 0;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void client_begin(int fd) {
    pthread_t thread;
    size_t i = 0;
    pthread_mutex_lock(&lock);
    while (i < CLIENTS_MOST && clients[i])
        i++;
    if (i < CLIENTS_MOST)
        clients[i] = fd + 1;
    bool good = i < CLIENTS_MOST && !pthread_create(&thread, NULL, client_run, &clients[i]);
    if (good)
        pthread_detach(thread);
    else if (i < CLIENTS_MOST)
        clients[i] = 0;
    pthread_mutex_unlock(&lock);
    if (!good)
        close(fd);
}

/* How many there are; each is told to end. */
static size_t clients_end(void) {
    size_t left = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < CLIENTS_MOST; i++)
        if (clients[i]) {
            shutdown(clients[i] - 1, SHUT_RDWR);
            left++;
        }
    pthread_mutex_unlock(&lock);
    return left;
}

static void clients_serve(int listener, int signals) {
    struct pollfd on[] = {{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (!on[1].revents) {
        if (poll(on, 2, -1) < 0 || !on[0].revents)
            continue;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            client_begin(fd);
        else if (errno != ECONNABORTED && errno != EINTR)
            usleep(100000); /* no descriptors: others will end */
    }
    proxy.ending = true;
    for (int waited = 0; clients_end() && waited < END_MS; waited += 10)
        usleep(10000);
}

int docker_proxy(const struct module_call *call) {
    sigset_t set;
    if (call->words < 1 || call->words > 2) {
        fprintf(stderr, "ringress: docker-proxy SOCKET [ENGINE] [-n TENANT] [--all]\n");
        return USAGE;
    }
    proxy.call = call;
    if (!engine_choose(call, &proxy.engine) || curl_global_init(CURL_GLOBAL_DEFAULT))
        return BAD_NEWS;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int listener = socket_open(call->word[0]), signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (listener < 0 || signals < 0)
        return BAD_NEWS;
    clients_serve(listener, signals);
    unlink(call->word[0]);
    if (clients_end())
        _exit(
            GOOD); /* an engine keeps its thread waiting, which still reads what a return would free */
    close(listener);
    close(signals);
    return GOOD;
}
