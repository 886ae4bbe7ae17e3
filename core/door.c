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

enum {
    ROWS = 4096,
    WAYS = 4,
    SETS = ROWS / WAYS,
    BURST_NS = 1000000000,
    TICKET_ROW = 13,
    SEEN = 4096
};

struct row {             /* of a source or a network */
    uint64_t key;        /* 0: free */
    int64_t full_ns;     /* its bucket of connections is full again */
    int64_t requests_ns; /* the same of requests */
    uint32_t open;
    uint16_t
        network; /* of a source that has some open: the row that counts them too, and 1; 0: none */
};

struct door_worker { /* one worker's; written by it only */
    uint64_t refused, waited;
    uint64_t seen[SEEN / 64]; /* a bit of each source that came */
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

/* So many have to come, on the average, for so many bits to be set: a bit more was the easier the fewer there were. */
static uint64_t sources_of(unsigned bits) {
    double sum = 0;
    for (unsigned i = 0; i < bits; i++)
        sum += (double)SEEN / (SEEN - i);
    return (uint64_t)(sum + 0.5);
}

struct door_figures door_figures(const struct door_at *at) {
    const struct door *d = door_at(at);
    struct door_figures f = {0};
    unsigned bits = 0;
    for (unsigned i = 0; d && i < workers; i++) {
        f.refused += __atomic_load_n(&d->w[i].refused, __ATOMIC_RELAXED);
        f.waited += __atomic_load_n(&d->w[i].waited, __ATOMIC_RELAXED);
    }
    for (unsigned k = 0; d && k < SEEN / 64; k++) {
        uint64_t seen = 0;
        for (unsigned i = 0; i < workers; i++)
            seen |= __atomic_load_n(&d->w[i].seen[k], __ATOMIC_RELAXED);
        bits += (unsigned)__builtin_popcountll(seen);
    }
    f.sources = sources_of(bits);
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

int64_t door_accept_wait_ms(struct door *d, const struct worker *w) {
    int64_t rate = __atomic_load_n(&d->accepts, __ATOMIC_RELAXED);
    if (door_level(d) >= STEP_SHUT)
        return 1000;
    if (!door_counts_accepts(d) || bucket_take(&d->accept_bucket, rate, w->now_ns, 1))
        return 0;
    ACCOUNT_ADD(d->w[w->id].waited, 1);
    int64_t ms = bucket_wait_ns(&d->accept_bucket, rate, w->now_ns) / 1000000;
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

static int64_t row_seen_ns(const struct row *row) {
    return row->full_ns > row->requests_ns ? row->full_ns : row->requests_ns;
}

/* Its row, or the one that is given up for it, which is not `keep`; NULL: all there could be have connections open. */
static struct row *row_get(struct door *d, const struct worker *w, uint64_t key,
                           const struct row *keep) {
    struct door_worker *own = &d->w[w->id];
    struct row *set = &own->row[(key >> 20) % SETS * WAYS], *oldest = NULL;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        bool free = !set[i].open && &set[i] != keep;
        if (free && (!oldest || row_seen_ns(&set[i]) < row_seen_ns(oldest)))
            oldest = &set[i];
    }
    if (!oldest)
        return NULL;
    *oldest = (struct row){.key = key};
    return oldest;
}

static void source_note(struct door *d, const struct worker *w, uint64_t key) {
    uint64_t *seen = &d->w[w->id].seen[(key >> 40) % (SEEN / 64)], bit = 1ull << (key >> 58);
    if (!(*seen & bit))
        __atomic_store_n(seen, *seen | bit, __ATOMIC_RELAXED);
}

static struct row *source_row(struct door *d, const struct worker *w, const union address *a) {
    uint64_t key = key_of(d, a, false);
    if (!key)
        return NULL;
    source_note(d, w, key);
    return row_get(d, w, key, NULL);
}

/* A worker's part of a rate: as a time, so that nothing is lost by rounding. A bucket of a second's worth in one word, as in limit.h. */
static bool rate_takes(int64_t *full_ns, int64_t rate, int64_t now_ns) {
    int64_t step = (int64_t)BURST_NS * workers / rate, from = *full_ns > now_ns ? *full_ns : now_ns;
    if (from - now_ns > BURST_NS - (step < BURST_NS ? step : BURST_NS))
        return false;
    *full_ns = from + step;
    return true;
}

static bool row_admits(struct row *row, int64_t rate, int64_t open, int64_t now_ns) {
    int64_t part = open > workers ? open / workers : 1;
    return !row || (row->open < part && rate_takes(&row->full_ns, rate, now_ns));
}

/* NULL: it has none, or there is no room. Connections are counted in it from the first step on, and judged from the second. */
static struct row *network_row(struct door *d, const struct worker *w, const union address *a,
                               const struct row *source) {
    uint64_t key = key_of(d, a, true);
    return key ? row_get(d, w, key, source) : NULL;
}

static bool networks_are_judged(const struct door *d) {
    return door_level(d) >= STEP_FIRST_DATA;
}

static uint16_t place_of(const struct door *d, const struct worker *w, const struct row *row) {
    return (uint16_t)(row - d->w[w->id].row + 1);
}

/* In the source's row and its network's, or in the one there is. */
static uint32_t rows_enter(struct door *d, const struct worker *w, struct row *source,
                           struct row *network) {
    struct row *row = source ? source : network;
    if (!row)
        return TICKET_UNCOUNTED;
    if (source && !source->open)
        source->network = network ? place_of(d, w, network) : 0;
    if (row->network)
        d->w[w->id].row[row->network - 1].open++;
    row->open++;
    return (uint32_t)(place_of(d, w, row) + TICKET_UNCOUNTED) | d->serial << TICKET_ROW;
}

uint32_t door_enter(struct door *d, struct worker *w, const union address *a) {
    if (!a)
        return refuse(d, w), TICKET_NONE;
    struct row *source = source_row(d, w, a), *network = network_row(d, w, a, source);
    int64_t now_ns = w->now_ns;
    bool good = door_level(d) < STEP_SHUT &&
                row_admits(source, conf.source_rate, conf.source_open, now_ns) &&
                (!networks_are_judged(d) ||
                 row_admits(network, conf.network_rate, conf.network_open, now_ns));
    return good ? rows_enter(d, w, source, network) : (refuse(d, w), TICKET_NONE);
}

void door_leave(uint16_t port, struct worker *w, uint32_t ticket) {
    struct door *d = door_of_port(port);
    unsigned place = ticket & ((1u << TICKET_ROW) - 1);
    if (!d || ticket <= TICKET_UNCOUNTED || ticket >> TICKET_ROW != d->serial)
        return;
    struct row *rows = d->w[w->id].row, *row = &rows[place - TICKET_UNCOUNTED - 1];
    row->open -= row->open > 0;
    if (row->network)
        rows[row->network - 1].open -= rows[row->network - 1].open > 0;
}

/* At names nothing is open: what comes is a handshake or a request. */
static bool names_admit(struct door *d, const struct worker *w, const union address *a,
                        bool (*takes)(struct row *, bool network, int64_t now_ns)) {
    if (!a)
        return false;
    struct row *source = source_row(d, w, a), *network;
    int64_t now_ns = w->now_ns;
    if (door_level(d) >= STEP_SHUT || (source && !takes(source, false, now_ns)))
        return false;
    network = networks_are_judged(d) ? network_row(d, w, a, source) : NULL;
    return !network || takes(network, true, now_ns);
}

static bool handshake_takes(struct row *row, bool network, int64_t now_ns) {
    return rate_takes(&row->full_ns, network ? conf.network_rate : conf.source_rate, now_ns);
}

static bool request_takes(struct row *row, bool network, int64_t now_ns) {
    return rate_takes(&row->requests_ns, network ? conf.network_requests : conf.source_requests,
                      now_ns);
}

bool door_handshake(struct door *d, struct worker *w, const union address *a) {
    int64_t rate = __atomic_load_n(&d->accepts, __ATOMIC_RELAXED);
    bool good = names_admit(d, w, a, handshake_takes) &&
                (!door_counts_accepts(d) || bucket_take(&d->accept_bucket, rate, w->now_ns, 1));
    return good || refuse(d, w);
}

bool door_request(struct door *d, struct worker *w, const union address *a) {
    int64_t rate = __atomic_load_n(&d->requests, __ATOMIC_RELAXED);
    bool good = names_admit(d, w, a, request_takes) &&
                (!door_counts_accepts(d) || bucket_take(&d->request_bucket, rate, w->now_ns, 1));
    return good || refuse(d, w);
}
