/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard_feed.c - the ledger's window as the machine wants it, with what the ledger does not know: how long new connections wait at the
 * shared listeners, how requests of each tenant fared, how many sources a held port has.
 *
 *   row of a tenant (ports included) ──▶ fare; minus its ports' rows ──▶ use of its names        row of a port ──▶ use of the port
 */
#include "edge/guard_feed.h"
#include "core/door.h"
#include "core/ledger.h"
#include "core/room.h"
#include "edge/edge.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker_wait { /* how long a worker's thread was ready to run and had no CPU */
    int fd;          /* its schedstat; <0: the kernel does not say */
    uint64_t before_ns;
};

struct feed {
    struct edge *edge;
    struct worker_wait *waits; /* of each worker */
    struct map before;         /* tenant -> struct seen * */
    uint64_t no_cpu_ns; /* the longest that a worker was ready and had none, in this window */
    uint64_t dropped, refused;
    unsigned windows;
};

struct seen { /* of a tenant, at the end of the last window that it did something in */
    const struct account *account;
    uint64_t duration[ACCOUNT_BUCKETS];
    struct ledger_use ports; /* of this window: what its ports' rows said */
    unsigned window;
};

/* --- what a worker waited for a CPU ----------------------------------------------------------*/

static ssize_t file_take(const char *path, char *out, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    return n;
}

/* Workers are known by their threads' names (core/control.c). */
static void waits_open(struct feed *f) {
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    while (tasks && (task = readdir(tasks))) {
        char path[300], name[32];
        unsigned worker;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        if (file_take(path, name, sizeof name) <= 0 || sscanf(name, "worker %u", &worker) != 1 ||
            worker >= core_workers())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        f->waits[worker].fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (tasks)
        closedir(tasks);
}

/* The longest that one of them waited since the last call. */
static uint64_t waits_most_ns(struct feed *f) {
    uint64_t most = 0;
    for (unsigned i = 0; i < core_workers(); i++) {
        char text[96];
        unsigned long long ran, waited;
        ssize_t n = f->waits[i].fd < 0 ? -1 : pread(f->waits[i].fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        if (n <= 0 || sscanf(text, "%llu %llu", &ran, &waited) != 2)
            continue;
        if (waited - f->waits[i].before_ns > most)
            most = waited - f->waits[i].before_ns;
        f->waits[i].before_ns = waited;
    }
    return most;
}

/* --- life ------------------------------------------------------------------------------------*/

struct feed *feed_new(struct edge *e) {
    struct feed *f = calloc(1, sizeof *f);
    if (!f || !(f->waits = calloc(core_workers() + 1, sizeof *f->waits))) {
        free(f);
        return NULL;
    }
    f->edge = e;
    for (unsigned i = 0; i < core_workers(); i++)
        f->waits[i].fd = -1;
    waits_open(f);
    waits_most_ns(f);
    return f;
}

void feed_free(struct feed *f) {
    if (!f)
        return;
    for (unsigned i = 0; i < core_workers(); i++)
        if (f->waits[i].fd >= 0)
            close(f->waits[i].fd);
    map_clear(&f->before, free);
    free(f->waits);
    free(f);
}

void feed_forget(struct feed *f, const char *tenant) {
    free(map_remove(&f->before, tenant));
}

static struct seen *seen_get(struct feed *f, const char *tenant) {
    struct seen *s = map_get(&f->before, tenant);
    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (s && map_put(&f->before, tenant, s))
        return s;
    free(s);
    return NULL;
}

/* --- the edge as a whole ---------------------------------------------------------------------*/

/* A turn that lasted while its thread had no CPU is the machine's doing, not a tenant's. */
static uint64_t lag_of_work(const struct ledger_all *all, uint64_t waited_ns) {
    uint64_t lag = all->lag_ns_max > waited_ns ? all->lag_ns_max - waited_ns : 0;
    return lag < all->loop_ns ? lag : all->loop_ns;
}

/* By Little's law: who is in the queue, over how many leave it. */
static uint64_t wait_ns(uint64_t waiting, uint64_t accepted, const struct ledger_all *all) {
    return waiting * (uint64_t)all->window_ns / (accepted ? accepted : 1);
}

/* In lanes, all waits together: without what a worker had no CPU for, which may lie in each of them. */
static uint64_t lanes_us(const struct feed *f, const struct ledger_use *use) {
    uint64_t machine = use->waits * f->no_cpu_ns / 1000;
    return use->waited_us > machine ? use->waited_us - machine : 0;
}

/* Those of whom nobody knows yet whose they are. */
static uint64_t strangers_ns(const struct feed *f, const struct ledger_use *nobody) {
    return nobody->waits ? lanes_us(f, nobody) * 1000 / nobody->waits : 0;
}

static void queues_take(struct feed *f, struct shutoff_edge *ret) {
    struct listener_queue sum = {0};
    for (size_t i = 0; i < f->edge->listener_count; i++) {
        struct listener_queue q = listener_queue(f->edge->listener[i]);
        sum.waiting += q.waiting;
        sum.dropped += q.dropped;
    }
    ret->dropped = f->windows > 1 && sum.dropped > f->dropped ? sum.dropped - f->dropped : 0;
    f->dropped = sum.dropped;
    ret->wait_ns = sum.waiting;
}

static void room_take(struct feed *f, struct shutoff_edge *ret) {
    uint64_t refused = core_descriptors_refused();
    ret->descriptors_short = refused - f->refused;
    f->refused = refused;
}

/* Clients have half of them, and who finds that half full is no better off for the other. */
static int64_t descriptors_taken(const struct ledger_all *all) {
    int64_t clients = 2ll * room_clients();
    return clients > all->descriptors ? clients : all->descriptors;
}

static void accepted_add(void *user, const struct ledger_row *row) {
    uint64_t *sum = user;
    if (!row->port)
        *sum += row->now.accepted;
    else
        *sum -= row->now.accepted < *sum ? row->now.accepted : *sum;
}

static void edge_take(struct feed *f, int64_t now_ms, struct shutoff_edge *ret) {
    const struct ledger_all *all = ledger_all();
    f->no_cpu_ns = waits_most_ns(f);
    uint64_t lag = lag_of_work(all, f->no_cpu_ns), accepted = 0;
    *ret = (struct shutoff_edge){
        .now_ms = now_ms,
        .window_ms = all->window_ns / 1000000,
        .loop_ns = all->loop_ns,
        .capacity_ns = all->capacity_ns,
        .lag_ns = lag > all->kernel_ns_max ? lag : all->kernel_ns_max,
        .turn_wait_ns = all->turn_wait_ns,
        .buffers_short = all->buffers_short,
        .nobody = all->own,
        .descriptors = descriptors_taken(all),
        .descriptors_most = all->descriptors_most,
        .buffers = all->buffers,
        .buffers_most = all->buffers_most,
    };
    queues_take(f, ret);
    room_take(f, ret);
    ledger_rows(accepted_add, &accepted);
    ret->wait_ns = wait_ns(ret->wait_ns, accepted, all);
    ret->strangers_ns = strangers_ns(f, &all->own);
}

/* --- rows ------------------------------------------------------------------------------------*/

/* What a window says of a tenant and of a raw port alike. */
#define USE(X)      \
    X(loop_ns)      \
    X(accepted)     \
    X(handshakes)   \
    X(requests)     \
    X(bytes_in)     \
    X(bytes_out)    \
    X(resets)       \
    X(pod_failures) \
    X(connections)  \
    X(silent)       \
    X(descriptors)  \
    X(buffers)

struct feeding {
    struct feed *feed;
    struct shutoff *shutoff;
};

/* Rows of an account that its name no longer stands for say nothing of who has the name now. */
static const struct account *account_now(const char *tenant) {
    const struct version *v = published(tenant);
    return v ? v->account : NULL;
}

static bool is_current(const struct ledger_row *row) {
    return *row->tenant && account_tenant(row->account) == account_now(row->tenant);
}

/* Ports first, so that they can be taken from their tenant's. */
static void port_take(void *user, const struct ledger_row *row) {
    struct feeding *x = user;
    struct seen *s = row->port && is_current(row) ? seen_get(x->feed, row->tenant) : NULL;
    if (!s)
        return;
    if (s->window != x->feed->windows)
        s->ports = (struct ledger_use){0};
    s->window = x->feed->windows;
#define X(member) s->ports.member += row->now.member;
    USE(X)
#undef X
    shutoff_used(x->shutoff, row->tenant, row->port, &row->now,
                 door_figures(&(struct door_at){.port = row->port}).sources);
}

/* What its ports did in this window; what one moved within it may be folded a moment later than its tenant: never below nothing. */
static struct ledger_use names_use(const struct ledger_use *ports, const struct ledger_row *row) {
    struct ledger_use use = row->now;
#define X(member) use.member = use.member > ports->member ? use.member - ports->member : 0;
    USE(X)
#undef X
    return use;
}

/* The histogram is asked for only where requests were. */
static void durations_take(struct seen *s, const struct ledger_row *row, struct shutoff_fare *ret) {
    if (!row->now.requests && s->account == row->account)
        return;
    struct account_worker sum = account_sum(row->account);
    for (int i = 0; i < ACCOUNT_BUCKETS; i++) {
        if (s->account == row->account)
            ret->duration[i] = sum.duration[i] - s->duration[i];
        s->duration[i] = sum.duration[i];
    }
    s->account = row->account;
}

static void tenant_take(void *user, const struct ledger_row *row) {
    struct feeding *x = user;
    struct seen *s = !row->port && is_current(row) ? seen_get(x->feed, row->tenant) : NULL;
    const struct ledger_use *now = &row->now;
    if (!s)
        return;
    struct ledger_use ports = s->window == x->feed->windows ? s->ports : (struct ledger_use){0};
    struct ledger_use names = names_use(&ports, row);
    struct shutoff_fare fare = {.tries = now->requests + ports.accepted,
                                .no_descriptor = now->no_descriptor,
                                .no_memory = now->no_memory,
                                .waited_us = lanes_us(x->feed, now),
                                .waits = now->waits,
                                .connections = now->connections};
    durations_take(s, row, &fare);
    shutoff_fared(x->shutoff, row->tenant, &fare);
    shutoff_used(x->shutoff, row->tenant, 0, &names,
                 door_figures(&(struct door_at){.names = row->account}).sources);
}

void feed_window(struct feed *f, struct shutoff *shutoff, int64_t now_ms) {
    struct feeding x = {f, shutoff};
    struct shutoff_edge all;
    f->windows++;
    edge_take(f, now_ms, &all);
    shutoff_window(shutoff, &all);
    ledger_rows(port_take, &x);
    ledger_rows(tenant_take, &x);
}
