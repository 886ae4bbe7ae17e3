/* SPDX-License-Identifier: GPL-3.0-or-later
 * own.c - see own.h.
 *
 *   interfaces -> addresses (and where they broadcast) --+
 *   edge.yaml  -> public addresses (a NAT may lead back) +-> one table: tenants/ compiles by it, core/own.c checks each dial
 *              -> listeners, the whole pool of raw ports-+
 */
#include "edge/own.h"
#include "core/log.h"
#include "edge/address.h"
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_EVERY_S = 10 }; /* when the kernel tells no news */

/* --- the table -------------------------------------------------------------------------------*/

static bool address_add(struct own *own, const union address *a) {
    struct prefix *more = realloc(own->address, (own->address_count + 1) * sizeof *more);
    if (!more)
        return false;
    own->address = more;
    more[own->address_count++] = address_bare(a);
    return true;
}

static bool sockaddr_add(struct own *own, const struct sockaddr *s) {
    union address a = {0};
    if (!s || (s->sa_family != AF_INET && s->sa_family != AF_INET6))
        return true;
    memcpy(&a, s, s->sa_family == AF_INET ? sizeof a.v4 : sizeof a.v6);
    return address_add(own, &a);
}

/* One that can't be asked for leaves 127.0.0.0/8, the listeners as they are written, and what edge.yaml calls public. */
static bool interfaces_add(struct own *own) {
    struct ifaddrs *list = NULL;
    bool good = true;
    if (getifaddrs(&list)) {
        log_write(1, "the machine's own addresses can't be read; pods are checked against the "
                     "listeners as they are written");
        return true;
    }
    for (const struct ifaddrs *i = list; good && i; i = i->ifa_next)
        good = sockaddr_add(own, i->ifa_addr) &&
               (!(i->ifa_flags & IFF_BROADCAST) || sockaddr_add(own, i->ifa_broadaddr));
    freeifaddrs(list);
    return good;
}

static bool listener_add(struct own *own, struct prefix at, unsigned low, unsigned high) {
    struct own_listener *more = realloc(own->listener, (own->listener_count + 1) * sizeof *more);
    if (!more)
        return false;
    own->listener = more;
    more[own->listener_count++] = (struct own_listener){at, (uint16_t)low, (uint16_t)high};
    return true;
}

/* Behind a NAT the edge is reached at its public addresses, whatever its listeners are bound to. */
static bool listeners_add(struct own *own, const struct edge_conf *c, const struct prefix *at) {
    const struct address_list *list[] = {&c->http, &c->https, &c->modules_http, &c->admin_http};
    bool good = true;
    for (size_t i = 0; i < (at ? 3 : 4); i++)
        for (size_t k = 0; good && k < list[i]->count; k++) {
            unsigned port = address_port(&list[i]->item[k]);
            good = listener_add(own, at ? *at : address_bare(&list[i]->item[k]), port, port);
        }
    return good && (!c->port_low || listener_add(own, at ? *at : address_bare(&c->raw_address),
                                                 c->port_low, c->port_high));
}

static bool public_add(struct own *own, const struct edge_conf *c) {
    bool good = true;
    for (size_t i = 0; good && i < c->addresses.count; i++) {
        union address a;
        if (!address_parse(((char **)c->addresses.item)[i], 0, &a))
            continue;
        struct prefix bare = address_bare(&a);
        good = address_add(own, &a) && listeners_add(own, c, &bare);
    }
    return good;
}

bool own_look(const struct edge_conf *c, struct own *ret) {
    struct own own = {0};
    if (!interfaces_add(&own) || !listeners_add(&own, c, NULL) || !public_add(&own, c)) {
        free(own.listener);
        free(own.address);
        return false;
    }
    own_sort(&own);
    *ret = own;
    return true;
}

/* --- news ------------------------------------------------------------------------------------*/

static void news_read(struct loop_source *source, short revents) {
    struct own_watch *w = (struct own_watch *)((char *)source - offsetof(struct own_watch, source));
    char text[8192];
    (void)revents;
    while (recv(source->fd, text, sizeof text, MSG_DONTWAIT) > 0)
        ;
    w->changed = true; /* what was lost (ENOBUFS) is news as well */
}

void own_watch_init(struct own_watch *w, struct loop *loop) {
    struct sockaddr_nl at = {.nl_family = AF_NETLINK,
                             .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    *w = (struct own_watch){.source = {.fd = fd, .events = POLLIN, .ready = news_read},
                            .looked_ns = loop_now_ns()};
    if (fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at) && loop_add(loop, &w->source))
        return;
    if (fd >= 0)
        close(fd);
    w->source.fd = -1;
}

bool own_watch_due(struct own_watch *w) {
    bool late = w->source.fd < 0 && loop_now_ns() - w->looked_ns > LOOK_EVERY_S * 1000000000ll;
    if (!w->changed && !late)
        return false;
    w->changed = false;
    w->looked_ns = loop_now_ns();
    return true;
}

void own_watch_fini(struct own_watch *w, struct loop *loop) {
    if (w->source.fd < 0)
        return;
    loop_remove(loop, &w->source);
    close(w->source.fd);
    w->source.fd = -1;
}
