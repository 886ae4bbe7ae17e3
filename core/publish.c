/* SPDX-License-Identifier: GPL-3.0-or-later
 * publish.c - one compiled tenant becomes what the workers see, by pointer swaps; what it replaces is freed when no one can
 * still look at it.
 *
 *   publish: accounts, upstreams, identities into the tenant's slots -> new nodes into the directory
 *   settle:  old nodes out: after all tenants of one change, so that a name that goes from one to another is never nobody's in
 *            between, nor a wildcard's above it
 *   reap:    a grace period (every worker has turned once) -> versions without pins are freed -> their upstreams retire
 *
 * Upstreams and accounts are found by key, so that they, their kept connections and counters outlive versions.
 */
#include "core/directory.h"
#include "core/identity.h"
#include "core/limit.h"
#include "core/local_ports.h"
#include "core/map.h"
#include "core/pool.h"
#include "core/popular.h"
#include "core/process.h"
#include "core/retire.h"
#include "core/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <urcu/urcu-qsbr.h>

struct published { /* a version and what it holds */
    struct version version;
    struct tenant *tenant;
    struct place place; /* of its network, now */
    struct name_node **node;
    size_t node_count;
    struct version *now; /* what it was replaced by; NULL: nothing */
    struct published *next_dead;
};

static struct map current;   /* tenant name -> struct published */
static struct map accounts;  /* uid -> struct account */
static struct map pools;     /* key -> struct pool */
static struct map upstreams; /* key -> struct upstream */

/* Replaced, in order; in the directory still. */
static struct published *left, **left_last = &left;
static struct published *dead;
static struct upstream *retired;

/* ---- filling the slots ---- */

static void account_forget(struct account *a) {
    map_remove(&accounts, a->uid);
}

/* Those that are published have a reference for being so. One whose tenant was gone, and which something still pays to, goes on. */
static struct account *account_get(const struct tenant *t) {
    struct account *a = map_get(&accounts, t->uid);
    if (a) {
        if (!a->published)
            account_ref(a);
        a->published = true;
        return a;
    }
    a = account_new(t->name, process.workers);
    if (!a)
        return NULL;
    a->uid = strdup(t->uid);
    if (!a->uid || !map_put(&accounts, t->uid, a)) {
        account_unref(a);
        return NULL;
    }
    a->ended = account_forget;
    a->published = true;
    return a;
}

/* The account ends with the last version and connection that pays to it. */
static void account_leave(const char *uid) {
    struct account *a = map_get(&accounts, uid);
    if (!a || !a->published)
        return;
    a->published = false;
    account_unref(a);
}

struct account *account_find(const char *tenant_uid) {
    return map_get(&accounts, tenant_uid);
}

enum { POOL_KEY_MOST = 1400, UPSTREAM_KEY_MOST = POOL_KEY_MOST + 80 };

/* Who is verified otherwise, or speaks otherwise, is another: no connection that was judged by other rules goes on. */
static void pool_key(const struct published *p, const struct backend *b, const struct trust *trust,
                     char *out) {
    const struct network *n = &p->tenant->network;
    snprintf(out, POOL_KEY_MOST, "%s|%s|%u|%d|%s|%llu|%s|%d|%llu|%s|%d", p->tenant->uid, b->service,
             b->port, b->protocol, n->netns ? n->netns : "", (unsigned long long)p->place.space,
             n->device ? n->device : "", p->place.device,
             trust ? (unsigned long long)trust->serial : 0, trust ? b->tls.server_name : "",
             b->tls.http2);
}

/* Takes the trust, also when it fails. */
static struct pool *pool_make(const char *key, const struct backend *b, struct trust *trust) {
    struct pool *pool = pool_new(key, process.workers);
    if (!pool) {
        trust_put(trust);
        return NULL;
    }
    pool->speech = (struct speech){.trust = trust,
                                   .server_name = trust ? strdup(b->tls.server_name) : NULL,
                                   .http2 = b->protocol == APP_H2C || (trust && b->tls.http2)};
    if ((trust && !pool->speech.server_name) || !map_put(&pools, key, pool)) {
        pool_unref(pool);
        return NULL;
    }
    return pool;
}

/* With a reference for the caller. */
static struct pool *pool_get(const struct published *p, const struct backend *b) {
    char key[POOL_KEY_MOST];
    bool secure = b->protocol == APP_HTTPS && !b->tls.refusal;
    struct trust *trust = secure ? trust_get(b->tls.ca_pem, process.workers) : NULL;
    if (secure && !trust)
        return NULL;
    pool_key(p, b, trust, key);
    struct pool *pool = map_get(&pools, key);
    if (!pool)
        return pool_make(key, b, trust);
    trust_put(trust); /* it has its own */
    pool_ref(pool);
    return pool;
}

static void pool_put(struct pool *pool) {
    if (pool->refs == 1)
        map_remove(&pools, pool->key);
    pool_unref(pool);
}

static void upstream_end(struct upstream *up) {
    struct pool *pool = up->pool;
    upstream_free(up);
    pool_put(pool);
}

static struct upstream *upstream_get(const struct published *of, const struct endpoint *e,
                                     struct pool *pool) {
    const struct network *network = &of->tenant->network;
    char key[UPSTREAM_KEY_MOST], address[80] = "";
    const uint8_t *p = (const uint8_t *)&e->addr;
    size_t n = e->addr.any.sa_family == AF_INET6 ? sizeof e->addr.v6 : sizeof e->addr.v4;
    for (size_t i = 0; i < n; i++)
        snprintf(address + 2 * i, 3, "%02x", p[i]);
    snprintf(key, sizeof key, "%s|%s", pool->key, address);
    struct upstream *up = map_get(&upstreams, key);
    if (!up) {
        up = upstream_new(key, &e->addr, network, &of->place, of->version.account, pool,
                          process.workers);
        if (up && !map_put(&upstreams, key, up)) {
            upstream_end(up);
            up = NULL;
        }
    }
    if (up) {
        up->refs++;
        upstream_judge(up, network);
    }
    return up;
}

/* Without memory it has no set: 503 until the next drop. */
static void backend_fill(const struct published *p, struct backend *b) {
    struct pool *pool = b->ready_count ? pool_get(p, b) : NULL;
    struct upstream_set *set = pool ? upstream_set_new(pool, &b->policy, b->ready_count) : NULL;
    if (!set) {
        if (pool)
            pool_put(pool);
        return;
    }
    for (unsigned i = 0; i < b->endpoint_count; i++) {
        struct endpoint *e = &b->endpoint[i];
        e->host_upstream = e->ready ? upstream_get(p, e, pool) : NULL;
        if (e->host_upstream && set->count < b->ready_count)
            set->member[set->count++] = e->host_upstream;
    }
    b->host_set = set;
}

/* Without memory it has none, and its connections are its tenant's. */
static void ports_fill(struct tenant *t, struct account *account) {
    for (size_t i = 0; i < t->raw_port_count; i++)
        if (t->raw_port[i].public_port)
            t->raw_port[i].host_account = account_port(account, t->raw_port[i].public_port);
}

static const struct certificate *certificate_same(const struct tenant *t,
                                                  const struct certificate *c) {
    for (size_t i = 0; t && i < t->certificate_count; i++)
        if (t->certificate[i].host_identity && !strcmp(t->certificate[i].chain_pem, c->chain_pem) &&
            !strcmp(t->certificate[i].key_pem, c->key_pem))
            return &t->certificate[i];
    return NULL;
}

static void certificate_fill(struct certificate *c, const struct tenant *t,
                             const struct tenant *before) {
    struct err err;
    const struct certificate *same = certificate_same(before, c);
    if (same) {
        c->host_identity = same->host_identity;
        identity_ref(c->host_identity);
        return;
    }
    c->host_identity = identity_new(c->chain_pem, c->key_pem, &err);
    if (!c->host_identity)
        log_write(1, "tenant %s: Secret %s: %s", t->name, c->secret, err.text);
}

/* ---- in and out of the directory ---- */

static bool nodes_make(struct published *p) {
    const struct tenant *t = p->tenant;
    p->node = calloc(t->name_count + t->raw_port_count + 1, sizeof *p->node);
    if (!p->node)
        return false;
    for (size_t i = 0; i < t->name_count; i++) {
        struct name_node *n =
            directory_node(&p->version, t->names[i].kind, t->names[i].name, t->names[i].host);
        if (!n)
            return false;
        p->node[p->node_count++] = n;
    }
    for (size_t i = 0; i < t->raw_port_count; i++) {
        if (!t->raw_port[i].public_port)
            continue;
        struct name_node *n =
            directory_port_node(&p->version, t->raw_port[i].public_port, &t->raw_port[i]);
        if (!n)
            return false;
        p->node[p->node_count++] = n;
    }
    return true;
}

/* Retiring and leaving is told by messages, which go out now. */
static void messages_send(void) {
    ring_wait(process.control, 0, 1);
    ring_dispatch(process.control, NULL);
}

static void sets_list(const struct tenant *t) {
    for (size_t i = 0; i < t->backend_count; i++) {
        struct upstream_set *set = t->backend[i].host_set;
        if (!set)
            continue;
        pool_list(set);
        pool_serve(set->pool, process.control); /* it may have brought pods with room */
    }
    messages_send();
}

static void sets_unlist(const struct tenant *t) {
    for (size_t i = 0; i < t->backend_count; i++)
        if (t->backend[i].host_set)
            pool_unlist(t->backend[i].host_set, process.worker, process.control);
    messages_send();
}

/* A request that still runs on the old version may dial once more. */
static void upstreams_judge(const struct tenant *t, const struct network *now) {
    for (size_t i = 0; i < t->backend_count; i++)
        for (unsigned j = 0; j < t->backend[i].endpoint_count; j++)
            if (t->backend[i].endpoint[j].host_upstream)
                upstream_judge(t->backend[i].endpoint[j].host_upstream, now);
}

/* By what its tenant may reach now. */
static void published_bury(struct published *p) {
    const struct published *now = map_get(&current, p->tenant->name);
    bool stays = now && !strcmp(now->tenant->uid, p->tenant->uid);
    upstreams_judge(p->tenant, stays ? &now->tenant->network : NULL);
    sets_unlist(p->tenant);
    for (size_t i = 0; i < p->node_count; i++)
        directory_delete(p->node[i]);
    p->next_dead = dead;
    dead = p;
}

static void published_leave(struct published *p, struct version *now) {
    p->now = now;
    *left_last = p;
    left_last = &p->next_dead;
}

static void upstream_put(struct upstream *up) {
    if (--up->refs)
        return;
    map_remove(&upstreams, up->key);
    upstream_retire(up, process.worker, process.control);
    messages_send();
    up->next_dead = retired;
    retired = up;
}

static void published_free(struct published *p) {
    struct tenant *t = p->tenant;
    for (size_t i = 0; i < t->backend_count; i++) {
        for (unsigned j = 0; j < t->backend[i].endpoint_count; j++)
            if (t->backend[i].endpoint[j].host_upstream)
                upstream_put(t->backend[i].endpoint[j].host_upstream);
        struct upstream_set *set = t->backend[i].host_set;
        if (set)
            pool_put(set->pool);
        free(set);
    }
    for (size_t i = 0; i < t->certificate_count; i++)
        identity_unref(t->certificate[i].host_identity);
    for (size_t i = 0; i < t->raw_port_count; i++)
        account_unref(t->raw_port[i].host_account);
    for (size_t i = 0; i < p->node_count; i++)
        free(p->node[i]);
    free(p->node);
    account_unref(p->version.account);
    tenant_free(t);
    free(p);
}

/* The pins lie behind it, so that looking ahead finds them without a detour. */
static struct published *published_alloc(void) {
    size_t head = (sizeof(struct published) + 63) & ~(size_t)63;
    size_t size = head + process.workers * PIN_STRIDE * sizeof(uint32_t);
    struct published *p = aligned_alloc(64, size);
    if (!p)
        return NULL;
    memset(p, 0, size);
    p->version.pins = (uint32_t *)((char *)p + head);
    return p;
}

/* A tenant that nothing limits has no limiter: one branch is all it pays. */
static bool limits_apply(struct account *account, const struct tenant *t) {
    struct limiter *l = account->limiter;
    if (!l && !tenant_is_limited(t))
        return true;
    if (!l && !(l = limiter_new(process.workers)))
        return false;
    limiter_set(l, &t->limits);
    __atomic_store_n(&account->limiter, l, __ATOMIC_RELEASE);
    return true;
}

/* Takes `t`, also when it fails. */
static struct published *published_new(struct tenant *t, const struct tenant *before) {
    struct published *p = published_alloc();
    struct account *account = p ? account_get(t) : NULL;
    if (!account) {
        free(p);
        tenant_free(t);
        return NULL;
    }
    account_ref(account);
    p->tenant = t;
    p->version.tenant = t;
    p->version.account = account;
    p->place = sys_place(t->network.netns, t->network.device);
    p->version.place = &p->place;
    popular_keys_set(t);
    for (size_t i = 0; i < t->backend_count; i++)
        backend_fill(p, &t->backend[i]);
    ports_fill(t, account);
    for (size_t i = 0; i < t->certificate_count; i++)
        certificate_fill(&t->certificate[i], t, before);
    if (!limits_apply(account, t) || !nodes_make(p) || !directory_reserve(p->node_count)) {
        published_free(p);
        return NULL;
    }
    return p;
}

void publish(struct tenant *t) {
    char name[64]; /* an RFC 1123 label; `t` is gone when this fails */
    snprintf(name, sizeof name, "%s", t->name);
    struct published *old = map_get(&current, name);
    struct published *p = published_new(t, old ? old->tenant : NULL);
    if (p && !map_put(&current, name, p)) {
        published_free(p);
        p = NULL;
    }
    if (!p) {
        log_write(0, "tenant %s: out of memory; its earlier version stays", name);
        return;
    }
    for (size_t i = 0; i < p->node_count; i++)
        directory_put(p->node[i]);
    sets_list(t);
    if (!old)
        return;
    bool other = strcmp(old->tenant->uid, t->uid); /* the name was given up and taken again */
    if (other)
        account_leave(old->tenant->uid);
    published_leave(old, other ? NULL : &p->version);
}

void unpublish(const char *tenant_name) {
    struct published *p = map_remove(&current, tenant_name);
    if (!p)
        return;
    account_leave(p->tenant->uid);
    published_leave(p, NULL);
}

static struct published *left_take(void) {
    struct published *first = left;
    left = NULL;
    left_last = &left;
    return first;
}

void publish_settle(void) {
    for (struct published *p = left_take(), *next; p; p = next) {
        next = p->next_dead;
        published_bury(p);
        withdraw(&p->version, p->now);
    }
}

struct version *published(const char *tenant_name) {
    struct published *p = map_get(&current, tenant_name);
    return p ? &p->version : NULL;
}

size_t published_count(void) {
    return current.count;
}

void published_hosts(void (*each)(const struct tenant *, const struct host *, void *user),
                     void *user) {
    for (size_t i = 0; i < current.room; i++) {
        const struct published *p = current.slot[i].key ? current.slot[i].value : NULL;
        for (size_t k = 0; p && k < p->tenant->host_count; k++)
            each(p->tenant, &p->tenant->host[k], user);
        if (p && p->tenant->any)
            each(p->tenant, p->tenant->any, user);
    }
}

struct publish_figures publish_figures(void) {
    struct publish_figures f = {
        .versions = current.count, .upstreams = upstreams.count, .identities = identities_count()};
    for (const struct published *p = dead; p; p = p->next_dead)
        f.versions++;
    for (const struct upstream *up = retired; up; up = up->next_dead)
        f.upstreams++;
    return f;
}

/* ---- freeing ---- */

static void retired_reap(void) {
    struct upstream **link = &retired;
    while (*link) {
        struct upstream *up = *link;
        if (!upstream_unused(up)) {
            link = &up->next_dead;
            continue;
        }
        *link = up->next_dead;
        upstream_end(up);
    }
}

/* Every worker has been through a quiescent point since, and what it had read before happened before. */
static void grace_period(void) {
    urcu_qsbr_synchronize_rcu();
    for (unsigned i = 0; i < process.workers; i++)
        (void)__atomic_load_n(&process.worker[i]->turns, __ATOMIC_ACQUIRE);
}

/* Shared connections do not become idle one by one: their workers are asked again, as long as somebody waits. */
static void sharers_ask(const struct pool *pool) {
    if (pool->set && pool->speech.http2)
        givers_ask(pool->set, process.control, UINT32_MAX);
}

/* A grant can be missed where a pod comes back from ejection or passes its checks: nothing else happens there. */
static void lines_serve(void) {
    bool any = false;
    if (!workers_wait())
        return;
    for (size_t i = 0; i < pools.room; i++) {
        struct pool *pool = pools.slot[i].key ? pools.slot[i].value : NULL;
        if (!pool || !queue_waits(&pool->line))
            continue;
        pool_serve(pool, process.control);
        sharers_ask(pool);
        any = true;
    }
    if (any)
        messages_send();
}

void publish_reap(void) {
    urcu_qsbr_quiescent_state();
    lines_serve();
    tickets_rotate_if_due(time(NULL));
    retired_reap();
    certificates_reap();
    accounts_adopt();
    if (dead || retired_any())
        grace_period();
    retired_free();
    struct published **link = &dead;
    while (*link) {
        struct published *p = *link;
        if (version_pinned(&p->version, process.workers)) {
            link = &p->next_dead;
            continue;
        }
        *link = p->next_dead;
        published_free(p);
    }
    identities_reap();
}

/* On a worker that ends. The control thread waits meanwhile, so the tables stand still. */
void upstreams_close_idle(struct worker *w) {
    for (size_t i = 0; i < upstreams.room; i++)
        if (upstreams.slot[i].key)
            upstream_close_idle(upstreams.slot[i].value, w);
    for (struct upstream *up = retired; up; up = up->next_dead)
        upstream_close_idle(up, w);
}

/* The workers are gone: nothing is looked at any more. */
void publish_fini(void) {
    for (size_t i = 0; i < current.room; i++)
        if (current.slot[i].key)
            published_leave(current.slot[i].value, NULL);
    for (struct published *p = left_take(), *next; p; p = next) {
        next = p->next_dead;
        published_bury(p);
    }
    while (dead) {
        struct published *p = dead;
        dead = p->next_dead;
        published_free(p);
    }
    while (retired) {
        struct upstream *up = retired;
        retired = up->next_dead;
        upstream_end(up);
    }
    for (struct account *a = account_first(); a; a = a->next)
        if (a->published)
            account_leave(a->uid);
    accounts_end();
    map_fini(&current);
    map_fini(&accounts);
    map_fini(&upstreams);
    map_fini(&pools);
    local_ports_fini();
    identities_reap();
    directory_fini();
}
