/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard_feed.c - the ledger's window as the machine wants it, with what the ledger does not know: how long new connections wait at the
 * shared listeners, how requests of each tenant fared, how many sources a held port has.
 *
 *   row of a tenant (ports included) ──▶ fare; minus its ports' uses ──▶ use of its names        each of these ──▶ use of the port
 *
 * The edge as a whole is looked at each time; its tenants only when the machine wants them: while all is calm that is not often.
 */
#include "edge/guard_feed.h"
#include "core/door.h"
#include "core/ledger.h"
#include "core/room.h"
#include "edge/edge.h"
#include "edge/machine.h"
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
    uint64_t no_cpu_ns; /* the longest that a worker was ready and had none, since the last look */
    uint64_t dropped, refused, lacked;
    int64_t descriptors;
    bool begun;
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
    free(f->waits);
    free(f);
}

/* --- the edge as a whole ---------------------------------------------------------------------*/

/* By Little's law: who is in the queue, over how many leave it. */
static uint64_t wait_ns(uint64_t waiting, uint64_t accepted, const struct ledger_all *all) {
    return waiting * (uint64_t)all->window_ns / (accepted ? accepted : 1);
}

/* In lanes, all waits together: without what a worker had no CPU for, which may lie in each of them. */
static uint64_t lanes_us(const struct feed *f, const struct ledger_waits *waits) {
    uint64_t machine = waits->count * f->no_cpu_ns / 1000;
    return waits->us > machine ? waits->us - machine : 0;
}

/* Those of whom nobody knows yet whose they are. */
static uint64_t strangers_ns(const struct feed *f, const struct ledger_waits *waits) {
    return waits->count ? lanes_us(f, waits) * 1000 / waits->count : 0;
}

static void queues_take(struct feed *f, struct shutoff_edge *ret) {
    struct listener_queue sum = {0};
    for (size_t i = 0; i < f->edge->listener_count; i++) {
        struct listener_queue q = listener_queue(f->edge->listener[i]);
        sum.waiting += q.waiting;
        sum.dropped += q.dropped;
    }
    ret->dropped = f->begun && sum.dropped > f->dropped ? sum.dropped - f->dropped : 0;
    f->dropped = sum.dropped;
    ret->wait_ns = sum.waiting;
}

/* Where tenants hold less than half of what they may, there is none because the machine has none, or gives us fewer than it did. */
static void room_take(struct feed *f, struct shutoff_edge *ret) {
    uint64_t refused = core_descriptors_refused(), lacked = core_descriptors_short();
    ret->descriptors_short = refused - f->refused;
    ret->others_lack = lacked > f->lacked && 2 * ret->descriptors < ret->descriptors_most;
    ret->descriptors_more = f->begun ? ret->descriptors - f->descriptors : 0;
    f->refused = refused;
    f->lacked = lacked;
    f->descriptors = ret->descriptors;
}

/* Clients have half of them, and who finds that half full is no better off for the other. */
static int64_t descriptors_taken(const struct ledger_all *all) {
    int64_t clients = 2ll * room_clients();
    return clients > all->descriptors ? clients : all->descriptors;
}

static void edge_take(struct feed *f, int64_t now_ms, struct shutoff_edge *ret) {
    const struct ledger_all *all = ledger_all();
    f->no_cpu_ns = waits_most_ns(f);
    uint64_t lag = machine_less(all->lag_ns_max, f->no_cpu_ns, all->loop_ns);
    *ret = (struct shutoff_edge){
        .now_ms = now_ms,
        .window_ms = all->window_ns / 1000000,
        .loop_ns = all->loop_ns,
        .capacity_ns = all->capacity_ns,
        .lag_ns = lag > all->kernel_ns_max ? lag : all->kernel_ns_max,
        .turn_wait_ns = all->turn_wait_ns,
        .buffers_short = all->buffers_short,
        .memory_short = all->memory_short,
        .lane_us = lanes_us(f, &(struct ledger_waits){1, all->lanes_us_max}),
        .lanes = all->lanes,
        .descriptors = descriptors_taken(all),
        .descriptors_most = all->descriptors_most,
        .buffers = all->buffers,
        .buffers_most = all->buffers_most,
    };
    queues_take(f, ret);
    room_take(f, ret);
    ret->wait_ns =
        machine_less(wait_ns(ret->wait_ns, all->accepted, all), f->no_cpu_ns, all->loop_ns);
    ret->strangers_ns = strangers_ns(f, &all->strangers);
    f->begun = true;
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

static struct fared *judged(struct shutoff *s, struct account *tenant) {
    if (tenant->judged && tenant->judged_as == shutoff_forgotten(s))
        return tenant->judged;
    tenant->judged = shutoff_tenant(s, tenant->name);
    tenant->judged_as = shutoff_forgotten(s);
    return tenant->judged;
}

static bool use_is_any(const struct ledger_use *use) {
    static const struct ledger_use none;
    return memcmp(use, &none, sizeof none) != 0;
}

static void unit_take(const struct feeding *x, struct fared *of, uint16_t port,
                      const struct ledger_use *use, const struct door_at *at) {
    struct door_figures f = door_figures(at);
    shutoff_used(x->shutoff, of, port, use, f.sources);
    shutoff_turned_away(x->shutoff, of, port, f.refused, f.waited);
}

/* Of each of its ports; the sum. */
static struct ledger_use ports_take(const struct feeding *x, struct fared *of,
                                    const struct account *tenant) {
    struct ledger_use sum = {0};
    for (const struct account *p = tenant->ports; p; p = p->next_port) {
        const struct ledger_use *use = ledger_use(p);
        if (!use_is_any(use))
            continue;
#define X(member) sum.member += use->member;
        USE(X)
#undef X
        unit_take(x, of, p->port, use, &(struct door_at){.port = p->port});
    }
    return sum;
}

/* What its ports did in this window; what one moved within it may be folded a moment later than its tenant: never below nothing. */
static struct ledger_use names_use(const struct ledger_use *ports, const struct ledger_row *row) {
    struct ledger_use use = row->now;
#define X(member) use.member = use.member > ports->member ? use.member - ports->member : 0;
    USE(X)
#undef X
    return use;
}

/* Whoever has the name no more says nothing of who has it now. */
static void tenant_take(void *user, const struct ledger_row *row) {
    const struct feeding *x = user;
    const struct ledger_use *now = &row->now;
    struct fared *of =
        !row->port && row->account->published ? judged(x->shutoff, row->account) : NULL;
    if (!of)
        return;
    struct ledger_use ports = ports_take(x, of, row->account);
    struct ledger_use names = names_use(&ports, row);
    struct ledger_waits waits = {now->waits, now->waited_us};
    struct shutoff_fare fare = {.tries = now->requests + ports.accepted,
                                .no_descriptor = now->no_descriptor,
                                .no_memory = now->no_memory,
                                .waited_us = lanes_us(x->feed, &waits),
                                .waits = waits.count,
                                .connections = now->connections};
    memcpy(fare.duration, ledger_durations(row->account), sizeof fare.duration);
    shutoff_fared(x->shutoff, of, &fare);
    unit_take(x, of, 0, &names, &(struct door_at){.names = row->account});
}

bool feed_window(struct feed *f, struct shutoff *shutoff, int64_t now_ms) {
    struct feeding x = {f, shutoff};
    struct shutoff_edge look;
    edge_take(f, now_ms, &look);
    if (!shutoff_look(shutoff, &look))
        return false;
    ledger_fold(loop_now_ns());
    look.nobody = *ledger_own();
    shutoff_window(shutoff, &look);
    ledger_rows(tenant_take, &x);
    return true;
}
