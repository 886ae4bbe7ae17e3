/* SPDX-License-Identifier: GPL-3.0-or-later
 * withdraw.c - what a tenant loses ends at once: connections that are joined to its pods, which no later request would judge.
 *
 *   directory swapped --> was something taken back? --> each worker resets the joined connections that lost their ground
 *
 * Asked after the swap: a worker that still found the old entry has its connection in its list by the time it is asked. A
 * change that takes nothing back, which is nearly every one, costs the workers nothing.
 */
#include "core/conn.h"
#include "core/pod.h"
#include "core/process.h"
#include <string.h>

static bool same(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

static bool network_same(const struct network *a, const struct network *b) {
    return a->allow_count == b->allow_count && same(a->device, b->device) &&
           same(a->netns, b->netns) &&
           (!a->allow_count || !memcmp(a->allow, b->allow, a->allow_count * sizeof *a->allow));
}

static bool port_kept(const struct raw_port *port, const struct tenant *now) {
    for (size_t i = 0; i < now->raw_port_count; i++) {
        const struct raw_port *p = &now->raw_port[i];
        if (p->public_port == port->public_port)
            return p->state == port->state && p->container_port == port->container_port &&
                   !strcmp(p->service, port->service);
    }
    return false;
}

/* Both lists are walked once: hosts in another order count as taken back, and then each connection is looked at. */
static bool passthroughs_kept(const struct tenant *old, const struct tenant *now) {
    size_t at = 0;
    for (size_t i = 0; i < old->host_count; i++) {
        if (!old->host[i].passthrough)
            continue;
        while (at < now->host_count && strcmp(now->host[at].name, old->host[i].name) != 0)
            at++;
        if (at == now->host_count || !now->host[at].passthrough)
            return false;
    }
    return !old->any || !old->any->passthrough || (now->any && now->any->passthrough);
}

static bool takes_back(const struct tenant *old, const struct tenant *now) {
    for (size_t i = 0; i < old->raw_port_count; i++)
        if (old->raw_port[i].public_port && !port_kept(&old->raw_port[i], now))
            return true;
    return !passthroughs_kept(old, now);
}

static bool takes_network(const struct version *old, const struct version *now) {
    return !network_same(&old->tenant->network, &now->tenant->network) ||
           !place_same(old->place, now->place);
}

struct withdrawal {
    struct account *account;
    struct version *now;
};

static void withdraw_run(struct worker *w, void *user) {
    const struct withdrawal *x = user;
    conns_withdraw(w, x->account, x->now);
}

void withdraw(const struct version *old, struct version *now) {
    struct withdrawal x = {.account = old->account, .now = now};
    if (!now || takes_network(old, now) || takes_back(old->tenant, now->tenant))
        workers_call(withdraw_run, &x);
}
