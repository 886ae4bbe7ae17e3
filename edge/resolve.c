/* SPDX-License-Identifier: GPL-3.0-or-later
 * resolve.c - libunbound as a stub: a context per question, made inside the namespace so that its sockets are there.
 * Its own thread does the work, ours waits no longer than it was told to.
 */
#include "edge/resolve.h"
#include "core/resolver.h"
#include "edge/ask.h"
#include "edge/loop.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

enum { RR_A = 1, RR_AAAA = 28, RCODE_NXDOMAIN = 3 };

struct asking {
    union address *address;
    size_t room, count;
    int waiting; /* answers that have not come */
    bool failed;
};

static void address_take(struct asking *a, bool six, const char *data, int length) {
    if (a->count == a->room || length != (six ? 16 : 4))
        return;
    union address *to = &a->address[a->count++];
    memset(to, 0, sizeof *to);
    to->any.sa_family = six ? AF_INET6 : AF_INET;
    memcpy(six ? (void *)&to->v6.sin6_addr : (void *)&to->v4.sin_addr, data, (size_t)length);
}

static void answered(void *user, int error, struct ub_result *result) {
    struct asking *a = user;
    a->waiting--;
    if (error || !result || (result->rcode != 0 && result->rcode != RCODE_NXDOMAIN))
        a->failed = true;
    for (int i = 0; !error && result && result->havedata && result->data[i]; i++)
        address_take(a, result->qtype == RR_AAAA, result->data[i], result->len[i]);
    ub_resolve_free(result);
}

static void system_use(struct ub_ctx *ctx, const char *netns) {
    char path[PATH_MAX] = "";
    if (netns)
        snprintf(path, sizeof path, "/etc/netns/%s/resolv.conf", netns);
    ub_ctx_resolvconf(ctx, path[0] && !access(path, R_OK) ? path : NULL);
    ub_ctx_hosts(ctx, NULL);
}

static struct ub_ctx *context_new(const struct question *q) {
    struct ub_ctx *ctx = ub_ctx_create();
    if (!ctx)
        return NULL;
    ub_ctx_set_option(ctx, "module-config:", "iterator"); /* a stub: no DNSSEC inside a tenant */
    ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
    ub_ctx_async(ctx, 1);
    if (q->dns)
        resolver_forward(ctx, q->dns);
    for (size_t i = 0; !q->dns && i < q->server_count; i++)
        resolver_forward(ctx, q->servers[i]);
    if (!q->dns && !q->server_count)
        system_use(ctx, q->netns);
    return ctx;
}

static void wait_for(struct ub_ctx *ctx, struct asking *a, int64_t patience_ms) {
    int64_t end = loop_now_ns() + patience_ms * 1000000;
    for (int64_t left; a->waiting > 0 && (left = end - loop_now_ns()) > 0;) {
        struct pollfd fd = {.fd = ub_fd(ctx), .events = POLLIN};
        if (poll(&fd, 1, (int)(left / 1000000) + 1) > 0)
            ub_process(ctx);
    }
}

static bool ask(const struct question *q, struct asking *a) {
    static const int type[] = {RR_A, RR_AAAA};
    struct ub_ctx *ctx = context_new(q);
    bool begun = false;
    int id;
    if (!ctx)
        return false;
    for (int i = 0; i < 2; i++)
        if (resolver_begin(ctx, &begun, q->name, type[i], answered, a, &id))
            a->waiting++;
        else
            a->failed = true;
    wait_for(ctx, a, q->patience_ms);
    bool good = !a->failed && !a->waiting;
    ub_ctx_delete(ctx); /* what is still asked is dropped, its thread ends */
    return good;
}

static bool namespace_enter(const char *name, int *ret_home) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/run/netns/%s", name);
    int fd = strchr(name, '/') ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    *ret_home = fd < 0 ? -1 : open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    bool entered = *ret_home >= 0 && !setns(fd, CLONE_NEWNET);
    if (fd >= 0)
        close(fd);
    if (!entered && *ret_home >= 0)
        close(*ret_home);
    return entered;
}

enum resolve_answer resolve(const struct question *q, union address *ret, size_t room,
                            size_t *ret_count) {
    struct asking a = {.address = ret, .room = room};
    int home = -1;
    if (q->netns && !namespace_enter(q->netns, &home))
        return RESOLVE_FAILED;
    bool good = q->device && q->dns
                    ? ask_through(q->device, q->dns, q->name, q->patience_ms, ret, room, &a.count)
                    : ask(q, &a);
    if (q->netns) {
        if (setns(home, CLONE_NEWNET))
            abort(); /* this thread would ask for others inside this tenant's network */
        close(home);
    }
    *ret_count = a.count;
    return good || a.count ? RESOLVE_GOOD : RESOLVE_FAILED;
}
