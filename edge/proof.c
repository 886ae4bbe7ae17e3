/* SPDX-License-Identifier: GPL-3.0-or-later
 * proof.c - from registry_due to registry_seen, and no further: what a look proves is judged in tenants/.
 *
 *   registry_due -> dns_look -> seen -> registry_saw --a pause later, all of them--> registry_settle -> control_flush
 *        ^--------------------------------'
 *
 * Looks come back by the dozen; a commit and a compilation for each would cost more than the looks. A tenant with a thousand names is
 * compiled whole for each batch that has one of them: the pause is a multiple of what the batch before took, so that
 * settling never has more than a tenth of the control thread, and the longer it takes, the more there is in one.
 */
#include "edge/proof.h"
#include "core/resolver.h"
#include "edge/dns.h"
#include "edge/edge.h"
#include <stdlib.h>

enum { SETTLE_LEAST_MS = 20, SETTLE_MOST_MS = 250, SETTLE_TIMES = 9 };

struct proofs {
    struct edge *edge;
    struct dns *dns;
    struct loop_timer due, settle;
    int64_t pause_ns; /* from the first answer to when it is settled */
};

/* False: no more are due now; *ret_next says when. */
static bool due_begin(struct proofs *p, int64_t *ret_next) {
    static struct name_check check[DNS_LOOKS_MAX];
    size_t room = dns_room(p->dns);
    size_t count = registry_due(p->edge->registry, time(NULL), check, room, ret_next);
    for (size_t i = 0; i < count; i++)
        dns_look(p->dns, &check[i]);
    return count == room;
}

static int64_t wake_at(int64_t seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = (seconds - now.tv_sec) * 1000000000ll - now.tv_nsec;
    return loop_now_ns() + (left > 0 ? left : 0) + 1000000; /* a moment past that second's begin */
}

void proofs_pump(struct edge *e) {
    struct proofs *p = e->proofs;
    int64_t next = 0;
    if (!p)
        return;
    while (dns_room(p->dns) && due_begin(p, &next))
        ;
    p->due.due_ns =
        next && dns_room(p->dns) ? wake_at(next) : 0; /* when full, an answer wakes us */
}

static void due_fire(struct loop_timer *timer) {
    proofs_pump(((struct proofs *)((char *)timer - offsetof(struct proofs, due)))->edge);
}

static int64_t pause_after(int64_t took_ns) {
    int64_t pause = SETTLE_TIMES * took_ns;
    return pause < SETTLE_LEAST_MS * 1000000ll  ? SETTLE_LEAST_MS * 1000000ll
           : pause > SETTLE_MOST_MS * 1000000ll ? SETTLE_MOST_MS * 1000000ll
                                                : pause;
}

static void settle_fire(struct loop_timer *timer) {
    struct edge *e = ((struct proofs *)((char *)timer - offsetof(struct proofs, settle)))->edge;
    struct change change = {0};
    int64_t begun_ns = loop_now_ns();
    registry_settle(e->registry, time(NULL), &change);
    control_take(e, &change);
    control_flush(e);
    e->proofs->pause_ns = pause_after(loop_now_ns() - begun_ns);
}

static void seen(void *user, const struct name_check *check, const struct dns_seen *what) {
    struct proofs *p = user;
    struct change change = {0};
    registry_saw(p->edge->registry, check, what, time(NULL), &change);
    control_take(p->edge, &change);
    if (!p->settle.due_ns)
        p->settle.due_ns = loop_now_ns() + p->pause_ns;
}

static void settled(void *user) {
    proofs_pump(((struct proofs *)user)->edge);
}

bool proofs_resolver(const struct edge_conf *c, struct err *err) {
    return resolver_configure(&(struct resolver_conf){.server = c->dns.servers.item,
                                                      .server_count = c->dns.servers.count,
                                                      .trust_anchor = c->dns.trust_anchor},
                              err);
}

bool proofs_start(struct edge *e, struct err *err) {
    static const struct dns_events events = {seen, settled};
    struct proofs *p = calloc(1, sizeof *p);
    if (!p || !(p->dns = dns_new(&e->loop, &events, p))) {
        free(p);
        return err_set(err, "out of memory");
    }
    p->edge = e;
    p->pause_ns = pause_after(0);
    p->due.fire = due_fire;
    p->settle.fire = settle_fire;
    e->proofs = p;
    if (!loop_add_timer(&e->loop, &p->due) || !loop_add_timer(&e->loop, &p->settle))
        return err_set(err, "out of memory");
    return proofs_resolver(e->conf, err);
}

void proofs_end(struct edge *e) {
    struct proofs *p = e->proofs;
    if (!p)
        return;
    dns_free(p->dns);
    loop_remove_timer(&e->loop, &p->due);
    loop_remove_timer(&e->loop, &p->settle);
    free(p);
    e->proofs = NULL;
}
