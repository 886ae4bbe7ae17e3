/* SPDX-License-Identifier: GPL-3.0-or-later
 * door.c - see door.h. Doors are made and removed by the control thread and read under RCU; a source's row belongs to one worker.
 *
 *   source ─ mixed with the door's secret ─▶ a set of WAYS rows: rate as the time its bucket is full again, and what is open
 */
#include "core/door.h"
#include "core/limit.h"
#include "core/map.h"
#include "core/process.h"
#include "core/retire.h"
#include "core/shutoff.h"
#include "core/splitmix.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4096, WAYS = 4, SETS = ROWS / WAYS, BURST_MS = 1000, TICKET_ROW = 13 };

struct row {             /* of a source or a network */
    uint64_t key;        /* 0: free */
    int64_t full_ms;     /* its bucket of connections is full again */
    int64_t requests_ms; /* the same of requests */
    uint32_t open;
};

struct door_worker { /* one worker's; written by it only */
    uint64_t refused, sources;
    struct row row[ROWS];
} __attribute__((aligned(64)));

struct door {
    struct door_at at;
    uint8_t level;
    int64_t accepts, requests; /* a second */
    uint64_t secret;
    uint32_t serial;   /* of 16 bits and a bit: tickets of other doors are not ours */
    struct door *next; /* of doors_of_names */
    struct bucket accept_bucket, request_bucket;
    struct door_worker w[];
};

struct door *doors_by_port[65536];
struct door *doors_of_names;
static struct door_conf conf;
static unsigned workers;
static uint32_t serials;

/* ---- control thread ---- */

void doors_start(const struct door_conf *c, unsigned n) {
    conf = *c;
    workers = n;
}

static struct door *door_at(const struct door_at *at) {
    return at->port ? doors_by_port[at->port] : door_find_names(at->names);
}

static struct door *door_new(const struct door_at *at) {
    size_t size = sizeof(struct door) + workers * sizeof(struct door_worker);
    struct door *d = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!d)
        return NULL;
    memset(d, 0, size);
    d->at = *at;
    d->serial = ++serials & 0xffff;
    d->secret = hash_bytes(&serials, sizeof serials) | 1;
    return d;
}

static void rule_write(struct door *d, const struct door_rule *rule) {
    __atomic_store_n(&d->accepts, rule->accepts > 0 ? rule->accepts : 1, __ATOMIC_RELAXED);
    __atomic_store_n(&d->requests, rule->requests > 0 ? rule->requests : 1, __ATOMIC_RELAXED);
    __atomic_store_n(&d->level, rule->level, __ATOMIC_RELEASE);
}

bool door_set(const struct door_at *at, const struct door_rule *rule) {
    struct door *there = door_at(at), *d = there ? there : door_new(at);
    if (!d)
        return false;
    rule_write(d, rule);
    if (there)
        return true;
    struct door **slot = at->port ? &doors_by_port[at->port] : &doors_of_names;
    d->next = at->port ? NULL : doors_of_names;
    __atomic_store_n(slot, d, __ATOMIC_RELEASE);
    return true;
}

void door_remove(const struct door_at *at) {
    struct door *d = door_at(at), **slot = at->port ? &doors_by_port[at->port] : &doors_of_names;
    if (!d)
        return;
    while (*slot != d)
        slot = &(*slot)->next;
    __atomic_store_n(slot, d->next, __ATOMIC_RELEASE);
    retire(d, free);
}

struct door_figures door_figures(const struct door_at *at) {
    const struct door *d = door_at(at);
    struct door_figures f = {0};
    for (unsigned i = 0; d && i < workers; i++) {
        f.refused += __atomic_load_n(&d->w[i].refused, __ATOMIC_RELAXED);
        f.sources += __atomic_load_n(&d->w[i].sources, __ATOMIC_RELAXED);
    }
    return f;
}

/* No worker is left. */
void doors_fini(void) {
    for (unsigned port = 0; port < 65536; port++) {
        free(doors_by_port[port]);
        doors_by_port[port] = NULL;
    }
    while (doors_of_names) {
        struct door *d = doors_of_names;
        doors_of_names = d->next;
        free(d);
    }
}

/* ---- workers ---- */

struct door *door_find_names(const struct account *tenant) {
    struct door *d = __atomic_load_n(&doors_of_names, __ATOMIC_ACQUIRE);
    while (d && d->at.names != tenant)
        d = __atomic_load_n(&d->next, __ATOMIC_ACQUIRE);
    return d;
}

unsigned door_level(const struct door *d) {
    return __atomic_load_n(&d->level, __ATOMIC_ACQUIRE);
}

bool door_counts_accepts(const struct door *d) {
    return door_level(d) >= STEP_ACCEPTS;
}

int64_t door_accept_wait_ms(struct door *d, int64_t now) {
    int64_t rate = __atomic_load_n(&d->accepts, __ATOMIC_RELAXED);
    if (door_level(d) >= STEP_SHUT)
        return 1000;
    if (!door_counts_accepts(d) || bucket_take(&d->accept_bucket, rate, now, 1))
        return 0;
    int64_t ms = bucket_wait_ns(&d->accept_bucket, rate, now) / 1000000;
    return ms > 0 ? ms : 1;
}

void door_idle_limits(const struct door *d, int64_t *ret_first_byte_ms, int64_t *ret_idle_ms) {
    bool strict = door_level(d) >= STEP_FIRST_DATA;
    *ret_first_byte_ms = strict ? conf.first_byte_ms : 0;
    *ret_idle_ms = strict ? conf.idle_ms : 0;
}

static bool refuse(struct door *d, const struct worker *w) {
    ACCOUNT_ADD(d->w[w->id].refused, 1);
    return false;
}

/* ---- sources ---- */

static uint64_t mix(uint64_t z, uint64_t secret) {
    return splitmix_mix(z + secret) | 1;
}

/* What an address is known by: an IPv4 one whole or its /24, an IPv6 one by its /64 or /48. 0: it has none. */
static uint64_t key_of(const struct door *d, const union address *a, bool network) {
    uint64_t high = 0;
    if (a->any.sa_family == AF_INET) {
        uint64_t v4 = ntohl(a->v4.sin_addr.s_addr);
        return mix(network ? v4 >> 8 | 2ull << 32 : v4 | 1ull << 32, d->secret);
    }
    if (a->any.sa_family != AF_INET6)
        return 0;
    for (int i = 0; i < 8; i++)
        high = high << 8 | a->v6.sin6_addr.s6_addr[i];
    return mix(network ? ~(high >> 16) : high, d->secret);
}

/* Its row, or the one that is given up for it; NULL: all there could be have connections open. */
static struct row *row_get(struct door *d, const struct worker *w, uint64_t key) {
    struct door_worker *own = &d->w[w->id];
    struct row *set = &own->row[(key >> 20) % SETS * WAYS], *oldest = NULL;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (!set[i].open && (!oldest || set[i].full_ms < oldest->full_ms))
            oldest = &set[i];
    }
    if (!oldest)
        return NULL;
    *oldest = (struct row){.key = key};
    return oldest;
}

static struct row *source_row(struct door *d, const struct worker *w, const union address *a) {
    uint64_t key = key_of(d, a, false);
    struct row *row = key ? row_get(d, w, key) : NULL;
    if (row && !row->full_ms && !row->requests_ms && !row->open)
        ACCOUNT_ADD(d->w[w->id].sources, 1);
    return row;
}

static int64_t part_of(int64_t whole) {
    return whole > workers ? whole / workers : 1;
}

/* A bucket of a second's worth in one word, as in limit.h. */
static bool rate_takes(int64_t *full_ms, int64_t rate, int64_t now_ms) {
    int64_t step = 1000 / part_of(rate), from = *full_ms > now_ms ? *full_ms : now_ms;
    if (from - now_ms > BURST_MS - (step < BURST_MS ? step : BURST_MS))
        return false;
    *full_ms = from + (step ? step : 1);
    return true;
}

static bool row_admits(struct row *row, int64_t rate, int64_t open, int64_t now_ms) {
    return !row || (row->open < part_of(open) && rate_takes(&row->full_ms, rate, now_ms));
}

static bool network_admits(struct door *d, const struct worker *w, const union address *a) {
    uint64_t key = door_level(d) >= STEP_FIRST_DATA ? key_of(d, a, true) : 0;
    struct row *row = key ? row_get(d, w, key) : NULL;
    return row_admits(row, conf.network_rate, conf.network_open, worker_now_ms(w));
}

static uint32_t ticket_of(const struct door *d, const struct worker *w, const struct row *row) {
    return (uint32_t)(row - d->w[w->id].row + 2) | d->serial << TICKET_ROW;
}

uint32_t door_enter(struct door *d, struct worker *w, const union address *a) {
    struct row *row = source_row(d, w, a);
    bool good = door_level(d) < STEP_SHUT &&
                row_admits(row, conf.source_rate, conf.source_open, worker_now_ms(w)) &&
                network_admits(d, w, a);
    if (!good) {
        refuse(d, w);
        return TICKET_NONE;
    }
    if (!row)
        return TICKET_UNCOUNTED;
    row->open++;
    return ticket_of(d, w, row);
}

void door_leave(uint16_t port, struct worker *w, uint32_t ticket) {
    struct door *d = door_of_port(port);
    unsigned at = ticket & ((1u << TICKET_ROW) - 1);
    if (!d || ticket <= TICKET_UNCOUNTED || ticket >> TICKET_ROW != d->serial)
        return;
    struct row *row = &d->w[w->id].row[at - 2];
    row->open -= row->open > 0;
}

bool door_handshake(struct door *d, struct worker *w, const union address *a) {
    unsigned level = door_level(d);
    struct row *row = source_row(d, w, a);
    int64_t rate = __atomic_load_n(&d->accepts, __ATOMIC_RELAXED);
    if (level >= STEP_SHUT || !row_admits(row, conf.source_rate, INT64_MAX, worker_now_ms(w)) ||
        !network_admits(d, w, a))
        return refuse(d, w);
    return level < STEP_ACCEPTS || bucket_take(&d->accept_bucket, rate, w->now_ns, 1) ||
           refuse(d, w);
}

bool door_request(struct door *d, struct worker *w, const union address *a) {
    unsigned level = door_level(d);
    struct row *row = source_row(d, w, a);
    int64_t rate = __atomic_load_n(&d->requests, __ATOMIC_RELAXED);
    if (level >= STEP_SHUT ||
        (row && !rate_takes(&row->requests_ms, conf.source_requests, worker_now_ms(w))))
        return refuse(d, w);
    return level < STEP_ACCEPTS || bucket_take(&d->request_bucket, rate, w->now_ns, 1) ||
           refuse(d, w);
}
