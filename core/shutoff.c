/* SPDX-License-Identifier: GPL-3.0-or-later
 * shutoff.c - see shutoff.h. One judgement reads from top to bottom: what is short, who is harmed, who is to blame, what follows.
 *
 *   edge ──▶ strains (CPU, descriptors, buffers) ─┐
 *   fares of the others against their calm ───────┴▶ harm ──▶ blame: above fair share, and the most ──▶ ladder, states
 *
 * A tenant's own trouble (slow or broken pods) must not look like harm by others: it could be made. So failures count only for what the
 * edge itself lacked; a p99, in which his pods' time is, only while the edge itself is late, and if it is there without him, too.
 */
#include "core/shutoff.h"
#include "core/splitmix.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum resource { CPU, DESCRIPTORS, BUFFERS, RESOURCES = SHUTOFF_RESOURCES };

enum cause {
    CAUSE_NONE,
    CAUSE_LAG,
    CAUSE_WAIT,
    CAUSE_LANES,
    CAUSE_TURNS,
    CAUSE_STRANGERS,
    CAUSE_DROPS,
    CAUSE_P99,
    CAUSE_DESCRIPTORS,
    CAUSE_RUNS_OUT,
    CAUSE_REFUSED,
    CAUSE_NO_DESCRIPTOR,
    CAUSE_BUFFERS,
    CAUSE_NO_MEMORY,
};

enum {
    ACTIVE_MS = 10000,  /* a tenant that did something so recently can be harmed, and has a share */
    GONE_MS = 600000,   /* one that did nothing for so long is forgotten */
    RELAPSE_MS = 30000, /* harm again so soon: the step was taken back too early */
    RELAX_MOST_MS = 60000,
    PRESSED = 10, /* times `relax` */
    SHUT_AFTER_MS =
        500,         /* limited at least so long before it is shut: budgets need a moment to show */
    SOON_MS = 600,   /* at the rate of the latest look nothing is left by then: that is harm now */
    RECENT = 3,      /* windows that a p99, a rate of errors and a wait are of */
    LATE_MS = 250,   /* a window that was so long says nothing of now */
    WAITS_LEAST = 5, /* that an average is believed of */
    STRANGERS_MORE = 2, /* times what a tenant may wait: they wait behind each other, and once */
    ACCEPT_COST_NS = 20000, /* what the kernel spends on a connection before any loop sees it */
    FARE_LEAST = 30,        /* requests that a rate or a p99 is believed of */
    ERRORS_LEAST = 3,
    OFFENCES_MOST = 64,
    CALM_LEAST = 200,        /* the same of what is usual */
    FORGET_EVERY_MS = 10000, /* those of long ago are looked for */
};
static const double ABOVE = 1.05;      /* fair shares, to be above one */
static const double LEVEL = 0.8;       /* so much of the top contributor's share is as much */
static const double HALF = 0.5;        /* of the limit: where harm is over */
static const double OUTSTANDING = 5;   /* fair shares, to stand out, */
static const double LARGE = 0.2;       /* and so much of all */
static const double HELPED = 0.7;      /* of what it was: the step helps, it gets another turn */
static const double CALM_FADE = 0.995; /* of sums, from window to window */
static const double BUSY = 0.4;        /* of all workers' time */

struct fare { /* sums; those of what is usual fade */
    double tries, lacked[RESOURCES], waited_ms, waits, duration[ACCOUNT_BUCKETS];
};

struct fared { /* a tenant */
    char tenant[SHUTOFF_TENANT];
    struct shutoff_unit *units;
    unsigned window; /* the latest that it did something in, which recent[window % RECENT] is of */
    int64_t seen_ms;
    double use[RESOURCES], most[RESOURCES]; /* of its units together; of the one that uses most */
    double late; /* requests that took too long, beyond those one expects */
    struct fare recent[RECENT], calm, now; /* what is usual; of the recent windows */
};

struct strain {         /* of one resource: 1 is the limit */
    double harm, grave; /* `grave`: without the causes that are mild */
    enum cause cause;
    double value; /* in the cause's unit */
    bool severe;
};

struct shutoff {
    struct shutoff_conf conf;
    uint64_t random, forgotten;
    struct map tenants; /* the same ones by name */
    struct fared **fared;
    size_t fared_count, fared_room;
    int64_t tidied_ms;
    unsigned held; /* units that are not open */
    bool uneasy;   /* one of those that may be, or that was to blame lately */

    struct shutoff_edge past; /* looks since the last window, all calm */
    unsigned calm_looks;

    /* of the window that is judged */
    unsigned windows;
    struct shutoff_edge edge;
    double beats; /* so many times as long as what it tells of the edge */
    bool calm;    /* all of them were */
    struct strain strain[RESOURCES];
    struct fare all, fresh, usual; /* of the recent windows, of this one, and what is usual */
    const struct fared *loudest[2];
    double nobody[RESOURCES], total[RESOURCES], top[RESOURCES];
    double heavy;    /* processor time of those who stand out; only while that matters */
    double lane_ms;  /* the longest average wait of a tenant */
    bool quiet;      /* it tells of no harm to anybody, not even by half */
    bool lacked;     /* somebody failed for what the edge lacked */
    unsigned active; /* tenants */
    bool any_harm, late;
    shutoff_moved_fn *moved;
    void *user;
};

/* ---- life ---- */

struct shutoff *shutoff_new(const struct shutoff_conf *conf, uint64_t seed) {
    struct shutoff *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->conf = *conf;
    s->random = seed;
    return s;
}

static void fared_free(struct fared *f) {
    for (struct shutoff_unit *u = f->units, *next; u; u = next) {
        next = u->next;
        free(u);
    }
    free(f);
}

void shutoff_free(struct shutoff *s) {
    for (size_t i = 0; s && i < s->fared_count; i++)
        fared_free(s->fared[i]);
    if (s) {
        map_fini(&s->tenants);
        free(s->fared);
    }
    free(s);
}

/* Room for one more pointer; false: no memory. */
static bool room_make(void *array, size_t count, size_t *room) {
    void **at = array;
    if (count < *room)
        return true;
    size_t bigger = *room ? *room * 2 : 16;
    void *moved = realloc(*at, bigger * sizeof(void *));
    if (!moved)
        return false;
    *at = moved;
    *room = bigger;
    return true;
}

struct fared *shutoff_tenant(struct shutoff *s, const char *tenant) {
    struct fared *f = map_get(&s->tenants, tenant);
    if (f)
        return f;
    f = room_make(&s->fared, s->fared_count, &s->fared_room) ? calloc(1, sizeof *f) : NULL;
    if (!f || !map_put(&s->tenants, tenant, f)) {
        free(f);
        return NULL;
    }
    snprintf(f->tenant, sizeof f->tenant, "%s", tenant);
    f->window = s->windows - RECENT;
    f->seen_ms = s->edge.now_ms - ACTIVE_MS;
    s->fared[s->fared_count++] = f;
    return f;
}

uint64_t shutoff_forgotten(const struct shutoff *s) {
    return s->forgotten;
}

/* A tenant has a few. */
static struct shutoff_unit *unit_find(const struct fared *f, uint16_t port) {
    struct shutoff_unit *u = f ? f->units : NULL;
    while (u && u->port != port)
        u = u->next;
    return u;
}

static struct shutoff_unit *unit_get(struct shutoff *s, struct fared *f, uint16_t port) {
    struct shutoff_unit *u = unit_find(f, port);
    if (u || !f || !(u = calloc(1, sizeof *u)))
        return u;
    memcpy(u->tenant, f->tenant, sizeof u->tenant);
    u->port = port;
    u->relax_ms = s->conf.relax_ms;
    u->of = f;
    u->next = f->units;
    f->units = u;
    return u;
}

static void unit_drop(struct shutoff *s, struct shutoff_unit *u) {
    struct shutoff_unit **link = &u->of->units;
    while (*link != u)
        link = &(*link)->next;
    *link = u->next;
    s->held -= u->state != SHUTOFF_OPEN;
    free(u);
}

static void fared_drop(struct shutoff *s, size_t i) {
    struct fared *f = s->fared[i];
    for (const struct shutoff_unit *u = f->units; u; u = u->next)
        s->held -= u->state != SHUTOFF_OPEN;
    map_remove(&s->tenants, f->tenant);
    fared_free(f);
    s->fared[i] = s->fared[--s->fared_count];
    s->forgotten++;
}

void shutoff_forget(struct shutoff *s, const char *tenant, uint16_t port) {
    const struct fared *f = map_get(&s->tenants, tenant);
    struct shutoff_unit *u = port ? unit_find(f, port) : NULL;
    if (u)
        unit_drop(s, u);
    for (size_t i = s->fared_count; f && !port && i-- > 0;)
        if (s->fared[i] == f) {
            fared_drop(s, i);
            return;
        }
}

/* Who did nothing for long, and was never held, leaves nothing behind. */
static void forget_old(struct shutoff *s) {
    int64_t before = s->edge.now_ms - GONE_MS;
    if (s->edge.now_ms - s->tidied_ms < FORGET_EVERY_MS)
        return;
    s->tidied_ms = s->edge.now_ms;
    for (size_t i = s->fared_count; i-- > 0;) {
        for (struct shutoff_unit *u = s->fared[i]->units, *next; u; u = next) {
            next = u->next;
            if (!u->moves && !u->offences && u->seen_ms < before)
                unit_drop(s, u);
        }
        if (s->fared[i]->seen_ms < before && !s->fared[i]->units)
            fared_drop(s, i);
    }
}

/* ---- a window comes in ---- */

static bool is_calm(const struct shutoff *, const struct shutoff_edge *);

bool shutoff_look(struct shutoff *s, struct shutoff_edge *edge) {
    struct shutoff_edge *past = &s->past;
    bool calm = is_calm(s, edge);
    edge->calm_ms = past->window_ms;
    edge->calm_lanes = past->lanes;
    edge->window_ms += past->window_ms;
    edge->loop_ns += past->loop_ns;
    edge->capacity_ns += past->capacity_ns;
    *past = (struct shutoff_edge){
        .window_ms = edge->window_ms,
        .loop_ns = edge->loop_ns,
        .capacity_ns = edge->capacity_ns,
        .lanes = {past->lanes.count + edge->lanes.count, past->lanes.us + edge->lanes.us}};
    if (calm && ++s->calm_looks < SHUTOFF_CALM_LOOKS)
        return false;
    s->calm_looks = 0;
    *past = (struct shutoff_edge){0};
    return true;
}

void shutoff_window(struct shutoff *s, const struct shutoff_edge *edge) {
    int64_t judged_ms = edge->window_ms - edge->calm_ms;
    s->edge = *edge;
    s->beats = edge->calm_ms && judged_ms > 0 ? (double)edge->window_ms / (double)judged_ms : 1;
    s->calm = edge->calm_ms && is_calm(s, edge);
    s->windows++;
    s->lane_ms = 0;
    s->lacked = false;
}

static void fare_add(struct fare *sum, const struct fare *f, double sign) {
    sum->tries += sign * f->tries;
    sum->waited_ms += sign * f->waited_ms;
    sum->waits += sign * f->waits;
    for (int r = 0; r < RESOURCES; r++)
        sum->lacked[r] += sign * f->lacked[r];
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        sum->duration[i] += sign * f->duration[i];
}

static struct fare fare_of(const struct shutoff_fare *window) {
    struct fare f = {
        .tries = (double)window->tries,
        .lacked =
            {[DESCRIPTORS] = (double)window->no_descriptor, [BUFFERS] = (double)window->no_memory},
        .waited_ms = (double)window->waited_us / 1000,
        .waits = (double)window->waits,
    };
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        f.duration[i] = (double)window->duration[i];
    return f;
}

static double wait_ms(const struct fare *f, double least) { /* 0: too few to say */
    return f->waits >= least && f->waits > 0 ? f->waited_ms / f->waits : 0;
}

/* What was before the latest windows is nothing now. */
static void recent_clear(const struct shutoff *s, struct fared *f) {
    unsigned since = s->windows - f->window;
    for (unsigned k = 1; k <= since && k <= RECENT; k++)
        f->recent[(f->window + k) % RECENT] = (struct fare){0};
}

/* Of what somebody waited in the whole window what is not of its calm looks: as much of it as of what all waited. */
static double not_calm(double whole, uint64_t calm, uint64_t now) {
    return calm ? whole * (double)now / (double)(calm + now) : whole;
}

void shutoff_fared(struct shutoff *s, struct fared *f, const struct shutoff_fare *fare) {
    if (!f)
        return;
    const struct shutoff_edge *e = &s->edge;
    struct fare whole = fare_of(fare);
    if (!s->calm) {
        whole.waits = not_calm(whole.waits, e->calm_lanes.count, e->lanes.count);
        whole.waited_ms = not_calm(whole.waited_ms, e->calm_lanes.us, e->lanes.us);
    }
    recent_clear(s, f);
    struct fare *now = &f->recent[s->windows % RECENT];
    *now = (struct fare){0};
    fare_add(now, &whole, s->calm ? 1 / s->beats : 1);
    if (s->calm) /* it is not to make an average of what comes then */
        now->waits = now->waited_ms = 0;
    f->window = s->windows;
    if (fare->tries || fare->connections > 0)
        f->seen_ms = s->edge.now_ms;
    double wait = wait_ms(&whole, 1);
    s->lane_ms = wait > s->lane_ms ? wait : s->lane_ms;
    s->lacked |= fare->no_descriptor || fare->no_memory;
}

void shutoff_used(struct shutoff *s, struct fared *f, uint16_t port, const struct ledger_use *use,
                  uint64_t sources) {
    struct shutoff_unit *u = unit_get(s, f, port);
    if (!u)
        return;
    u->use = *use;
    u->window = s->windows;
    u->sources = sources;
    u->seen_ms = s->edge.now_ms;
}

/* One that is refused may have been all three. */
static uint64_t came(const struct ledger_use *use) {
    uint64_t most = use->accepted > use->handshakes ? use->accepted : use->handshakes;
    return most > use->requests ? most : use->requests;
}

void shutoff_turned_away(struct shutoff *s, struct fared *f, uint16_t port, uint64_t refused,
                         uint64_t waited) {
    struct shutoff_unit *u = unit_find(f, port);
    if (!u)
        return;
    uint64_t more = refused > u->refused ? refused - u->refused : 0;
    if (waited > u->waited || (more && (double)more >= HALF * (double)came(&u->use)))
        u->pressed_ms = s->edge.now_ms;
    u->refused = refused;
    u->waited = waited;
}

/* ---- what is short ---- */

/* A worker without rest, and the p99 that follows from it, are mild: others are slower than usual, and nothing is short. It is what a crowd
 * makes of a host that is slow just then, too. */
static void strain_raise(struct strain *s, double harm, enum cause cause, double value,
                         bool severe) {
    bool mild = cause == CAUSE_TURNS || cause == CAUSE_P99;
    s->severe |= severe;
    if (!mild && harm > s->grave)
        s->grave = harm;
    if (harm > s->harm) {
        s->harm = harm;
        s->cause = cause;
        s->value = value;
    }
}

static double percent_left(int64_t used, int64_t most) {
    return most > 0 ? 100.0 * (double)(most - used) / (double)most : 100;
}

/* 1 when only `headroom` percent are left; over (HALF) when twice that are, or half of what is beyond it. */
static double scarcity(int64_t used, int64_t most, int64_t headroom) {
    double left = percent_left(used, most), least = (double)headroom;
    double over = 2 * least < (100 + least) / 2 ? 2 * least : (100 + least) / 2;
    if (left <= 0)
        return 100;
    if (left <= least)
        return least / left;
    if (left < over)
        return 1 - HALF * (left - least) / (over - least);
    return HALF * 0.99 * (100 - left) / (100 - over);
}

/* Twelve thousand connections are there in half a second, and to end them takes longer than not to let them in. */
static bool runs_out(const struct shutoff_edge *e) {
    int64_t look_ms = e->window_ms - e->calm_ms, left = e->descriptors_most - e->descriptors;
    return look_ms > 0 && e->descriptors_more > 0 &&
           left * look_ms <= e->descriptors_more * SOON_MS;
}

static void strains_take(const struct shutoff_conf *c, const struct shutoff_edge *e,
                         struct strain ret[RESOURCES]) {
    struct strain *cpu = &ret[CPU];
    double lag = (double)e->lag_ns / 1e6, wait = (double)e->wait_ns / 1e6;
    memset(ret, 0, RESOURCES * sizeof *ret);
    strain_raise(cpu, lag / (double)c->lag_ms, CAUSE_LAG, lag, lag > (double)c->severe_ms);
    if (!e->others_lack)
        strain_raise(cpu, wait / (double)c->wait_ms, CAUSE_WAIT, wait, false);
    double strangers = (double)e->strangers_ns / 1e6;
    strain_raise(cpu, strangers / (double)(STRANGERS_MORE * c->lane_ms), CAUSE_STRANGERS, strangers,
                 false);
    if (e->dropped && !e->descriptors_short && !e->others_lack) /* else for want of those */
        strain_raise(cpu, 2, CAUSE_DROPS, (double)e->dropped, true);
    if (e->descriptors_short && !e->others_lack)
        strain_raise(&ret[DESCRIPTORS], 2, CAUSE_REFUSED, (double)e->descriptors_short, false);
    strain_raise(&ret[DESCRIPTORS], scarcity(e->descriptors, e->descriptors_most, c->headroom),
                 CAUSE_DESCRIPTORS, percent_left(e->descriptors, e->descriptors_most), false);
    if (runs_out(e))
        strain_raise(&ret[DESCRIPTORS], 1, CAUSE_RUNS_OUT, (double)e->descriptors_more, false);
    strain_raise(&ret[BUFFERS], scarcity(e->buffers, e->buffers_most, c->headroom), CAUSE_BUFFERS,
                 percent_left(e->buffers, e->buffers_most), false);
    if (e->buffers_short)
        strain_raise(&ret[BUFFERS], 2, CAUSE_BUFFERS, 0, false);
}

static bool is_strained(const struct strain strain[RESOURCES]) {
    for (int r = 0; r < RESOURCES; r++)
        if (strain[r].harm >= HALF)
            return true;
    return false;
}

static bool edge_is_strained(const struct shutoff *s) {
    return is_strained(s->strain);
}

/* What an average of waits, or a worker without rest, could come to. */
static bool waits_matter(const struct shutoff_conf *c, double lane_ms, uint64_t turn_wait_ns) {
    return lane_ms >= HALF * (double)c->lane_ms ||
           (double)turn_wait_ns / 1e3 >= HALF * (double)c->turn_us;
}

static bool stands_out(const struct shutoff *s, const struct fared *f, int r) {
    double least = s->active ? OUTSTANDING / s->active : 1;
    least = least < LARGE ? LARGE : least > HALF ? HALF : least;
    return s->total[r] > 0 && f->use[r] >= least * s->total[r];
}

/* One, or the few who stand out together, take at least as much as all the others. */
static bool is_halved(const struct shutoff *s) {
    return s->heavy > 0 && s->heavy >= HALF * s->total[CPU];
}

/* No tenant can be harmed in this window, not even by half: how the others fare need not be asked for each. A worker without rest is
 * only asked about whom turns_judge asks about. */
static bool is_quiet(const struct shutoff *s) {
    return !edge_is_strained(s) && !s->lacked &&
           !waits_matter(&s->conf, s->lane_ms, is_halved(s) ? s->edge.turn_wait_ns : 0);
}

static bool is_calm(const struct shutoff *s, const struct shutoff_edge *e) {
    struct strain strain[RESOURCES];
    strains_take(&s->conf, e, strain);
    return !s->uneasy && !s->late && e->window_ms - e->calm_ms <= LATE_MS && !e->memory_short &&
           !is_strained(strain) &&
           !waits_matter(&s->conf, (double)e->lane_us / 1e3, e->turn_wait_ns);
}

/* ---- how the others fare ---- */

static struct fare fare_fresh(const struct shutoff *s, const struct fared *f) {
    return f->window == s->windows ? f->recent[s->windows % RECENT] : (struct fare){0};
}

static bool did_lately(const struct shutoff *s, const struct fared *f) {
    return s->windows - f->window < RECENT;
}

static double p99_ms(const struct fare *, double least);
static double late_count(const struct fare *, double limit_ms);

/* The limit, from what is usual for all: 0: that is not known yet. */
static double p99_limit_ms(const struct shutoff *s, const struct fare *usual) {
    double calm = p99_ms(usual, CALM_LEAST);
    return calm > 0 ? (double)s->conf.p99_factor * (calm > 1 ? calm : 1) : 0;
}

/* Whose requests, more than any other's, make the p99 of all what it is. */
static void loudest_see(struct shutoff *s, struct fared *f, double limit_ms) {
    double count = 0;
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        count += f->now.duration[i];
    f->late = limit_ms > 0 ? late_count(&f->now, limit_ms) - 0.01 * count : 0;
    if (!s->loudest[0] || f->late > s->loudest[0]->late) {
        s->loudest[1] = s->loudest[0];
        s->loudest[0] = f;
    } else if (!s->loudest[1] || f->late > s->loudest[1]->late) {
        s->loudest[1] = f;
    }
}

static void fare_take(struct shutoff *s, struct fared *f) {
    struct fare fresh = fare_fresh(s, f);
    recent_clear(s, f);
    f->now = (struct fare){0};
    for (int k = 0; k < RECENT; k++)
        fare_add(&f->now, &f->recent[k], 1);
    fare_add(&s->all, &f->now, 1);
    fare_add(&s->fresh, &fresh, 1);
}

static void fares_take(struct shutoff *s) {
    s->all = s->fresh = s->usual = (struct fare){0};
    s->loudest[0] = s->loudest[1] = NULL;
    for (size_t i = 0; i < s->fared_count; i++) {
        struct fared *f = s->fared[i];
        fare_add(&s->usual, &f->calm, 1);
        if (did_lately(s, f))
            fare_take(s, f);
        else
            f->now = (struct fare){0};
    }
    double limit = p99_limit_ms(s, &s->usual);
    for (size_t i = 0; i < s->fared_count; i++)
        if (did_lately(s, s->fared[i]))
            loudest_see(s, s->fared[i], limit);
}

static void fare_fade(struct fare *f, double fade, const struct fare *window, double times) {
    struct fare was = *f;
    *f = (struct fare){0};
    fare_add(f, window, times);
    fare_add(f, &was, fade);
}

/* What is usual is learned while nothing is short, there is time, and nobody is held. */
static void calm_learn(struct shutoff *s) {
    bool busy = (double)s->edge.loop_ns >= BUSY * (double)s->edge.capacity_ns;
    double fade = 1;
    if (s->any_harm || busy || edge_is_strained(s) || s->held)
        return;
    for (unsigned n = (unsigned)(s->beats + HALF); n; n--)
        fade *= CALM_FADE;
    for (size_t i = 0; i < s->fared_count; i++) {
        struct fare fresh = fare_fresh(s, s->fared[i]);
        fare_fade(&s->fared[i]->calm, fade, &fresh, s->calm ? s->beats : 1);
    }
}

/* Bounds of bucket i, in milliseconds; the last one's upper is a guess. */
static double bucket_ms(int i) {
    static const double bound[] = {0, ACCOUNT_BOUNDS};
    return i < ACCOUNT_BUCKETS ? bound[i] / 1000 : 2 * bound[ACCOUNT_BUCKETS - 1] / 1000;
}

/* Within its bucket as if evenly spread. 0: too few to say. */
static double p99_ms(const struct fare *f, double least) {
    double sum = 0, seen = 0;
    for (int i = 0; i < ACCOUNT_BUCKETS; i++)
        sum += f->duration[i];
    if (sum < least)
        return 0;
    for (int i = 0; i < ACCOUNT_BUCKETS; i++) {
        double low = bucket_ms(i), high = bucket_ms(i + 1);
        if (seen + f->duration[i] >= 0.99 * sum && f->duration[i] > 0)
            return low + (high - low) * (0.99 * sum - seen) / f->duration[i];
        seen += f->duration[i];
    }
    return bucket_ms(ACCOUNT_BUCKETS - 1);
}

/* So many took longer. */
static double late_count(const struct fare *f, double limit_ms) {
    double late = 0;
    for (int i = 0; i < ACCOUNT_BUCKETS; i++) {
        double low = bucket_ms(i), high = bucket_ms(i + 1);
        double part = (high - limit_ms) / (high - low);
        late += f->duration[i] * (part > 1 ? 1 : part < 0 ? 0 : part);
    }
    return late;
}

static double error_rate(const struct fare *f, int r) { /* of 1,000 */
    return f->tries > 0 ? 1000 * f->lacked[r] / f->tries : 0;
}

struct others { /* all but one tenant */
    struct fare recent, fresh, usual;
};

static void others_less(const struct shutoff *s, struct others *o, const struct fared *f) {
    struct fare fresh = fare_fresh(s, f);
    fare_add(&o->recent, &f->now, -1);
    fare_add(&o->fresh, &fresh, -1);
    fare_add(&o->usual, &f->calm, -1);
}

/* 0: not above the limit, as far as this window says, too. */
static double p99_harm(const struct shutoff *s, const struct others *o) {
    double limit = p99_limit_ms(s, &o->usual);
    return limit > 0 && late_count(&o->fresh, limit) >= 1 ? p99_ms(&o->recent, FARE_LEAST) / limit
                                                          : 0;
}

/* What one tenant alone would make of it may be his pods' doing. */
static void p99_judge(const struct shutoff *s, const struct fared *own, const struct others *o,
                      struct strain *cpu) {
    const struct fared *loudest = s->loudest[s->loudest[0] == own];
    struct others rest = *o;
    if (!loudest)
        return;
    others_less(s, &rest, loudest);
    double all = p99_harm(s, o), less = p99_harm(s, &rest);
    strain_raise(cpu, less < all ? less : all, CAUSE_P99, p99_ms(&o->recent, FARE_LEAST), false);
}

/* What those who are not `own` suffer beside what is short. */
static void fare_judge(const struct shutoff *s, const struct others *o, int r, struct strain *ret) {
    double rise = error_rate(&o->recent, r) - error_rate(&o->usual, r);
    if (r == DESCRIPTORS && s->edge.others_lack)
        return;
    if (o->recent.tries >= FARE_LEAST && o->recent.lacked[r] >= ERRORS_LEAST &&
        o->fresh.lacked[r] >= 1 && rise > 0)
        strain_raise(ret, rise / (double)s->conf.errors,
                     r == DESCRIPTORS ? CAUSE_NO_DESCRIPTOR : CAUSE_NO_MEMORY, rise / 10,
                     rise > (double)s->conf.severe_errors);
}

/* Nobody's own pods or requests are in what he waited for others. */
static void lanes_judge(const struct shutoff *s, const struct others *o, struct strain *cpu) {
    double recent = wait_ms(&o->recent, WAITS_LEAST), fresh = wait_ms(&o->fresh, 1);
    double wait = recent < fresh ? recent : fresh;
    strain_raise(cpu, wait / (double)s->conf.lane_ms, CAUSE_LANES, wait, false);
}

/* A worker without rest keeps everybody waiting, a little each time. That is nobody's doing where many share it: only one who takes at
 * least as much as all the others together is asked, or the few who do. And it is nobody's harm while none of the others has anything to
 * wait with. */
static void turns_judge(const struct shutoff *s, const struct shutoff_unit *u,
                        const struct others *o, struct strain *cpu) {
    double wait = (double)s->edge.turn_wait_ns / 1e3;
    if (is_halved(s) && stands_out(s, u->of, CPU) && o->fresh.tries + o->fresh.waits >= 1)
        strain_raise(cpu, wait / (double)s->conf.turn_us, CAUSE_TURNS, wait, false);
}

/* ---- who is to blame ---- */

static double cpu_of(const struct ledger_use *use) {
    return (double)use->loop_ns + (double)use->accepted * ACCEPT_COST_NS;
}

static void contributor_see(struct shutoff *s, const double use[RESOURCES]) {
    for (int r = 0; r < RESOURCES; r++) {
        s->total[r] += use[r] > 0 ? use[r] : 0;
        s->top[r] = use[r] > s->top[r] ? use[r] : s->top[r];
    }
}

/* Of a window that was calm at first: what is more than usual began when that was over. What is usual is one window's and half of one, and
 * so on: half of the sum. */
static double use_now(const struct shutoff *s, double use, double sum) {
    double even = use / s->beats, more = use - HALF * sum * (s->beats - 1);
    return s->calm || more < even ? even : more;
}

static void unit_take(const struct shutoff *s, struct shutoff_unit *u) {
    struct fared *f = u->of;
    if (u->window != s->windows)
        u->use = (struct ledger_use){0};
    u->smooth[CPU] = HALF * u->smooth[CPU] + use_now(s, cpu_of(&u->use), u->smooth[CPU]);
    u->smooth[DESCRIPTORS] = (double)u->use.descriptors;
    u->smooth[BUFFERS] = (double)u->use.buffers;
    for (int r = 0; r < RESOURCES; r++) {
        f->use[r] += u->smooth[r];
        f->most[r] = u->smooth[r] > f->most[r] ? u->smooth[r] : f->most[r];
    }
}

/* Tenants are compared, whatever number of ports they spread it over; and with them what is nobody's, who can't be held, but whose doing
 * is not to be held against another. */
static void uses_take(struct shutoff *s) {
    const struct ledger_use *nobody = &s->edge.nobody;
    memset(s->total, 0, sizeof s->total);
    memset(s->top, 0, sizeof s->top);
    s->active = 0;
    for (size_t i = 0; i < s->fared_count; i++) {
        struct fared *f = s->fared[i];
        s->active += s->edge.now_ms - f->seen_ms < ACTIVE_MS;
        memset(f->use, 0, sizeof f->use);
        memset(f->most, 0, sizeof f->most);
        for (struct shutoff_unit *u = f->units; u; u = u->next)
            unit_take(s, u);
        contributor_see(s, f->use);
    }
    /* Not what was accepted: that count falls when it turns out whose they are. */
    s->nobody[CPU] = HALF * s->nobody[CPU] + use_now(s, (double)nobody->loop_ns, s->nobody[CPU]);
    s->nobody[DESCRIPTORS] = (double)nobody->descriptors;
    s->nobody[BUFFERS] = (double)nobody->buffers;
    contributor_see(s, s->nobody);
}

static double share_of(const struct shutoff *s, double use, int r) {
    return s->total[r] > 0 ? use / s->total[r] : 0;
}

static void heavy_take(struct shutoff *s) {
    s->heavy = 0;
    if ((double)s->edge.turn_wait_ns / 1e3 < HALF * (double)s->conf.turn_us)
        return;
    for (size_t i = 0; i < s->fared_count; i++)
        s->heavy += stands_out(s, s->fared[i], CPU) ? s->fared[i]->use[CPU] : 0;
}

/* `ALSO`: one who uses more is to blame in the first place; but this one stands out, and has half as much as he. Not of what is held:
 * there the budgets of a step are no help before somebody goes. */
enum blame { BLAME_NONE, BLAME_ALSO, BLAME_FIRST };

static enum blame blame_of(const struct shutoff *s, const struct shutoff_unit *u, int r) {
    const struct fared *f = u->of;
    if (u->smooth[r] <= 0 || u->smooth[r] < LEVEL * f->most[r] ||
        share_of(s, f->use[r], r) * s->active <= ABOVE)
        return BLAME_NONE;
    if (f->use[r] >= LEVEL * s->top[r])
        return BLAME_FIRST;
    bool also = r == CPU && f->use[r] >= HALF * s->top[r] && s->nobody[r] < s->top[r];
    return also && stands_out(s, f, r) ? BLAME_ALSO : BLAME_NONE;
}

/* What the others suffer of this resource, this unit's tenant left out. */
static struct strain others_strain(const struct shutoff *s, const struct shutoff_unit *u, int r) {
    struct strain one = s->strain[r];
    struct others o = {s->all, s->fresh, s->usual};
    if (s->quiet)
        return one;
    others_less(s, &o, u->of);
    if (r == CPU) {
        lanes_judge(s, &o, &one);
        turns_judge(s, u, &o, &one);
    }
    if (r == CPU && (one.harm >= HALF || edge_is_strained(s)))
        p99_judge(s, u->of, &o, &one);
    if (r != CPU)
        fare_judge(s, &o, r, &one);
    return one;
}

/* Somebody is harmed, whoever it may be by: then nothing is usual. */
static bool all_are_harmed(const struct shutoff *s) {
    struct others o = {s->all, s->fresh, s->usual};
    for (int r = 0; r < RESOURCES; r++) {
        struct strain one = s->strain[r];
        if (r == CPU)
            lanes_judge(s, &o, &one);
        else
            fare_judge(s, &o, r, &one);
        if (one.harm >= 1)
            return true;
    }
    return false;
}

/* The harm that others suffer by this unit, its gravest cause first; none when there are no others. Asked of those few only who may be to
 * blame. */
static struct strain unit_harm(struct shutoff *s, struct shutoff_unit *u) {
    const struct fared *own = u->of;
    struct strain worst = {0};
    double grave = 0;
    bool own_active = s->edge.now_ms - own->seen_ms < ACTIVE_MS;
    u->share = share_of(s, u->smooth[CPU], CPU);
    u->tenant_share = share_of(s, own->use[CPU], CPU);
    u->also = false;
    if (s->active <= own_active)
        return worst;
    for (int r = 0; r < RESOURCES; r++) {
        enum blame blame = blame_of(s, u, r);
        if (!blame)
            continue;
        struct strain one = others_strain(s, u, r);
        s->any_harm |= one.harm >= 1;
        grave = one.grave > grave ? one.grave : grave;
        if (one.harm <= worst.harm)
            continue;
        worst = one;
        u->also = blame == BLAME_ALSO;
        u->share = share_of(s, u->smooth[r], r);
        u->tenant_share = share_of(s, own->use[r], r);
    }
    worst.grave = grave;
    return worst;
}

/* ---- evidence ---- */

static void cause_print(const struct shutoff *s, const struct strain *h, char *out, size_t room) {
    const struct shutoff_conf *c = &s->conf;
    switch (h->cause) {
    case CAUSE_LAG:
        snprintf(out, room, "a worker's turn took %.0f ms (limit %lld ms)", h->value,
                 (long long)c->lag_ms);
        break;
    case CAUSE_WAIT:
        snprintf(out, room, "new connections wait %.0f ms to be accepted (limit %lld ms)", h->value,
                 (long long)c->wait_ms);
        break;
    case CAUSE_LANES:
        snprintf(out, room, "others' work is %.1f ms in the way of theirs (limit %lld ms)",
                 h->value, (long long)c->lane_ms);
        break;
    case CAUSE_TURNS:
        snprintf(out, room,
                 "a worker without rest keeps them waiting %.0f us a turn (limit %lld us)",
                 h->value, (long long)c->turn_us);
        break;
    case CAUSE_STRANGERS:
        snprintf(out, room, "new connections wait %.1f ms for a worker (limit %lld ms)", h->value,
                 (long long)STRANGERS_MORE * c->lane_ms);
        break;
    case CAUSE_DROPS:
        snprintf(out, room, "%.0f new connections found no room in the queue", h->value);
        break;
    case CAUSE_P99:
        snprintf(out, room, "their p99 is %.0f ms, more than %lld times its calm value", h->value,
                 (long long)c->p99_factor);
        break;
    case CAUSE_REFUSED:
        snprintf(out, room, "%.0f times there was no descriptor for one of them", h->value);
        break;
    case CAUSE_NO_DESCRIPTOR:
        snprintf(out, room, "%.1f %% of their requests fail for want of descriptors", h->value);
        break;
    case CAUSE_NO_MEMORY:
        snprintf(out, room, "%.1f %% of their requests fail for want of buffers", h->value);
        break;
    case CAUSE_DESCRIPTORS:
        snprintf(out, room, "%.0f %% of the descriptors are left", h->value);
        break;
    case CAUSE_RUNS_OUT:
        snprintf(out, room, "%.0f descriptors more are in use, and in %d ms none would be left",
                 h->value, SOON_MS);
        break;
    case CAUSE_BUFFERS:
        snprintf(out, room, "%.0f %% of the buffers are left", h->value);
        break;
    case CAUSE_NONE:
        snprintf(out, room, "nothing is short any more");
        break;
    }
}

/* What was counted in this window, in a second. */
static double rate_of(const struct shutoff *s, uint64_t count) {
    return (double)count * 1000 / (double)(s->edge.window_ms > 0 ? s->edge.window_ms : 1);
}

static void evidence(const struct shutoff *s, struct shutoff_unit *u, const struct strain *h) {
    char cause[100], sources[40] = "", tenant[40] = "";
    const struct ledger_use *use = &u->use;
    cause_print(s, h, cause, sizeof cause);
    if (u->sources)
        snprintf(sources, sizeof sources, " from %llu source%s", (unsigned long long)u->sources,
                 u->sources == 1 ? "" : "s");
    if (u->tenant_share > u->share + 0.005)
        snprintf(tenant, sizeof tenant, " of its tenant's %.0f %%", 100 * u->tenant_share);
    snprintf(u->why, sizeof u->why,
             "others: %s; this %s: %.0f %%%s (fair: %.0f %%), %.0f connections a second%s, %lld "
             "open (%lld silent), %.0f requests a second",
             cause, u->port ? "port" : "tenant's names", 100 * u->share, tenant, 100 * u->fair,
             rate_of(s, use->accepted), sources, (long long)use->connections,
             (long long)use->silent, rate_of(s, use->requests));
}

/* ---- states: one mover ---- */

static double draw(struct shutoff *s) { /* 0..1 */
    return (double)(splitmix_next(&s->random) >> 11) / (double)(1ull << 53);
}

/* Where the new state has an end, until_ms is that already. */
static void unit_move(struct shutoff *s, struct shutoff_unit *u, enum shutoff_state state,
                      enum shutoff_step step, int64_t now) {
    enum shutoff_state from = u->state;
    enum shutoff_step from_step = u->step;
    u->moves++;
    s->held += (state != SHUTOFF_OPEN) - (from != SHUTOFF_OPEN);
    u->state = (uint8_t)state;
    u->step = (uint8_t)step;
    u->stepped_ms = now;
    u->calm_since_ms = 0;
    if (state != from) {
        if (from == SHUTOFF_SHUT)
            u->shut_total_ms += now - u->since_ms;
        u->since_ms = u->quiet_since_ms = now;
    }
    if (state == SHUTOFF_OPEN || state == SHUTOFF_LIMITED)
        u->until_ms = 0;
    if (s->moved)
        s->moved(s->user, u, from, from_step);
}

/* min(first * 2^n, most), give or take a fifth. */
static int64_t shut_length(struct shutoff *s, unsigned offences) {
    int64_t ms = s->conf.shut_ms;
    for (unsigned i = 0; i < offences && ms < s->conf.shut_most_ms; i++)
        ms *= 2;
    if (ms > s->conf.shut_most_ms)
        ms = s->conf.shut_most_ms;
    return (int64_t)((double)ms * (0.8 + 0.4 * draw(s)));
}

static void unit_shut(struct shutoff *s, struct shutoff_unit *u) {
    int64_t now = s->edge.now_ms;
    u->until_ms = now + shut_length(s, u->offences++);
    unit_move(s, u, SHUTOFF_SHUT, STEP_SHUT, now);
}

static void unit_probation(struct shutoff *s, struct shutoff_unit *u) {
    int64_t now = s->edge.now_ms;
    u->blamed = u->cooled = 0;
    snprintf(u->why, sizeof u->why, "its time is over; a small budget of connections is let in");
    u->until_ms = now + s->conf.probation_ms;
    unit_move(s, u, SHUTOFF_PROBATION, STEP_ACCEPTS, now);
}

static bool harmed_twice(const struct shutoff_unit *u) {
    return __builtin_popcount(u->blamed & 7) >= 2;
}

/* Harm again soon after a step was taken back: the next time that is done later. */
static void relapse_judge(struct shutoff *s, struct shutoff_unit *u) {
    int64_t now = s->edge.now_ms;
    bool soon = u->relaxed_ms && now - u->relaxed_ms < RELAPSE_MS + u->relax_ms;
    u->relax_ms = !soon                             ? s->conf.relax_ms
                  : u->relax_ms < RELAX_MOST_MS / 2 ? 2 * u->relax_ms
                                                    : RELAX_MOST_MS;
}

static void unit_climb(struct shutoff *s, struct shutoff_unit *u, const struct strain *h) {
    enum shutoff_step next = u->state == SHUTOFF_OPEN ? (h->severe ? STEP_ACCEPTS : STEP_SOURCES)
                                                      : (enum shutoff_step)(u->step + 1);
    u->harm_at_step = h->harm;
    evidence(s, u, h);
    relapse_judge(s, u);
    if (next == STEP_SHUT)
        unit_shut(s, u);
    else
        unit_move(s, u, SHUTOFF_LIMITED, next, s->edge.now_ms);
}

static void unit_relax(struct shutoff *s, struct shutoff_unit *u) {
    int64_t now = s->edge.now_ms;
    enum shutoff_step next = (enum shutoff_step)(u->step - 1);
    u->relaxed_ms = now;
    snprintf(u->why, sizeof u->why, "others were not harmed for %lld ms",
             (long long)(now - u->calm_since_ms));
    unit_move(s, u, next ? SHUTOFF_LIMITED : SHUTOFF_OPEN, next, now);
}

/* While it is still attacked, as who is turned away shows, a step that is taken back is harm again, for as long as it takes to notice:
 * that may be a hundredth of the time, not more. */
static int64_t relax_after_ms(const struct shutoff *s, const struct shutoff_unit *u) {
    int64_t relax = s->conf.relax_ms;
    bool pressed = u->pressed_ms && s->edge.now_ms - u->pressed_ms < relax;
    return pressed && u->relax_ms < PRESSED * relax ? PRESSED * relax : u->relax_ms;
}

/* Not before the budgets could show what they do; and names, whose customers no budget tells from a flood, are refused wholly for nothing
 * that is mild. */
static bool shut_is_due(const struct shutoff *s, const struct shutoff_unit *u,
                        const struct strain *h) {
    return s->edge.now_ms - u->since_ms >= SHUT_AFTER_MS && (u->port || h->grave >= 1);
}

static void limited_judge(struct shutoff *s, struct shutoff_unit *u, const struct strain *h) {
    int64_t now = s->edge.now_ms;
    if (h->harm >= 1) {
        bool helped = !h->severe && h->harm < HELPED * u->harm_at_step;
        u->calm_since_ms = 0;
        if (now - u->stepped_ms < s->conf.step_ms)
            return;
        if (u->also && u->step >= STEP_ACCEPTS) /* who is more to blame goes first */
            return;
        if (u->step + 1 == STEP_SHUT && !shut_is_due(s, u, h))
            return;
        if (!helped) {
            unit_climb(s, u, h);
            return;
        }
        u->harm_at_step = h->harm;
        u->stepped_ms = now;
    } else if (h->harm >= HALF) {
        u->calm_since_ms = 0;
    } else if (!u->calm_since_ms) {
        u->calm_since_ms = now;
    } else if (now - u->calm_since_ms >= relax_after_ms(s, u)) {
        unit_relax(s, u);
    }
}

static void open_judge(struct shutoff *s, struct shutoff_unit *u, const struct strain *h) {
    int64_t now = s->edge.now_ms;
    if (harmed_twice(u) && h->harm >= 1) {
        unit_climb(s, u, h);
        return;
    }
    if (u->offences && now - u->quiet_since_ms >= s->conf.quiet_ms) {
        u->offences--;
        u->quiet_since_ms += s->conf.quiet_ms;
    }
    if (!h->harm) /* what is usual for its budget, over half a minute */
        u->calm_accepts += (rate_of(s, u->use.accepted) - u->calm_accepts) * s->beats / 300;
}

static void shut_judge(struct shutoff *s, struct shutoff_unit *u) {
    if (!u->hand && s->conf.on && u->state == SHUTOFF_SHUT && s->edge.now_ms >= u->until_ms)
        unit_probation(s, u);
}

/* Of a window that can't be judged: what was seen before it is over, and it was no calm one. */
static void unit_skip(struct shutoff *s, struct shutoff_unit *u) {
    u->blamed = 0;
    u->cooled = UINT8_MAX;
    u->calm_since_ms = 0;
    shut_judge(s, u);
}

static void unit_judge(struct shutoff *s, struct shutoff_unit *u) {
    struct strain h = unit_harm(s, u);
    int64_t now = s->edge.now_ms;
    u->fair = s->active ? 1.0 / s->active : 1;
    u->harm = h.harm;
    u->blamed = (uint8_t)(u->blamed << 1 | (h.harm >= 1));
    u->cooled = (uint8_t)(u->cooled << 1 | (h.harm >= HALF));
    if (u->hand || !s->conf.on)
        return;
    switch ((enum shutoff_state)u->state) {
    case SHUTOFF_OPEN:
        open_judge(s, u, &h);
        break;
    case SHUTOFF_LIMITED:
        limited_judge(s, u, &h);
        break;
    case SHUTOFF_SHUT:
        shut_judge(s, u);
        break;
    case SHUTOFF_PROBATION:
        if (harmed_twice(u) && h.harm >= 1 && !u->also) {
            evidence(s, u, &h);
            unit_shut(s, u);
        } else if (now >= u->until_ms && !(u->cooled & 7)) {
            snprintf(u->why, sizeof u->why, "nobody was harmed during its probation");
            unit_move(s, u, SHUTOFF_OPEN, STEP_NONE, now);
        }
        break;
    }
}

/* Who judges was held up: what this window tells of may be long over. When he is late time after time there is nothing better. */
static bool window_is_late(struct shutoff *s) {
    bool was = s->late;
    s->late = s->edge.window_ms - s->edge.calm_ms > LATE_MS;
    return s->late && !was;
}

static bool is_uneasy(const struct shutoff_unit *u) {
    return !u->hand && (u->state != SHUTOFF_OPEN || (u->blamed | u->cooled) & 7);
}

static void units_judge(struct shutoff *s, bool skip) {
    s->uneasy = false;
    for (size_t i = 0; i < s->fared_count; i++)
        for (struct shutoff_unit *u = s->fared[i]->units; u; u = u->next) {
            if (skip)
                unit_skip(s, u);
            else
                unit_judge(s, u);
            s->uneasy |= is_uneasy(u);
        }
}

void shutoff_judge(struct shutoff *s, shutoff_moved_fn *moved, void *user) {
    s->moved = moved;
    s->user = user;
    strains_take(&s->conf, &s->edge, s->strain);
    uses_take(s);
    heavy_take(s);
    s->quiet = is_quiet(s);
    if (!s->quiet)
        fares_take(s);
    s->any_harm = !s->quiet && all_are_harmed(s);
    bool skip = window_is_late(s);
    units_judge(s, skip);
    if (!skip)
        calm_learn(s);
    forget_old(s);
    s->moved = NULL;
}

/* ---- the operator's hand, and what was known before ---- */

bool shutoff_hand(struct shutoff *s, const char *tenant, uint16_t port, bool shut, int64_t now,
                  shutoff_moved_fn *moved, void *user) {
    struct shutoff_unit *u = unit_get(s, shutoff_tenant(s, tenant), port);
    if (!u)
        return false;
    s->moved = moved;
    s->user = user;
    u->hand = shut;
    u->seen_ms = now;
    if (!shut)
        u->offences = 0;
    snprintf(u->why, sizeof u->why, shut ? "shut by the operator" : "opened by the operator");
    u->until_ms = 0;
    unit_move(s, u, shut ? SHUTOFF_SHUT : SHUTOFF_OPEN, shut ? STEP_SHUT : STEP_NONE, now);
    s->moved = NULL;
    return true;
}

void shutoff_remember(struct shutoff *s, const char *tenant, uint16_t port,
                      const struct shutoff_past *past, int64_t now, shutoff_moved_fn *moved,
                      void *user) {
    struct shutoff_unit *u = unit_get(s, shutoff_tenant(s, tenant), port);
    if (!u)
        return;
    u->offences = past->offences < OFFENCES_MOST ? past->offences : OFFENCES_MOST;
    u->quiet_since_ms = u->seen_ms = now;
    if (past->shut_ms <= 0 || !s->conf.on) /* nobody would open it */
        return;
    s->moved = moved;
    s->user = user;
    snprintf(u->why, sizeof u->why, "%s", past->why);
    u->until_ms = now + past->shut_ms;
    unit_move(s, u, SHUTOFF_SHUT, STEP_SHUT, now);
    s->moved = NULL;
}

/* ---- reading ---- */

const struct shutoff_unit *shutoff_find(const struct shutoff *s, const char *tenant,
                                        uint16_t port) {
    return unit_find(map_get(&s->tenants, tenant), port);
}

void shutoff_each(const struct shutoff *s, void (*each)(void *, const struct shutoff_unit *),
                  void *user) {
    for (size_t i = 0; i < s->fared_count; i++)
        for (const struct shutoff_unit *u = s->fared[i]->units; u; u = u->next)
            each(user, u);
}

int64_t shutoff_shut_ms(const struct shutoff_unit *u, int64_t now) {
    return u->shut_total_ms + (u->state == SHUTOFF_SHUT ? now - u->since_ms : 0);
}

const char *shutoff_state_name(enum shutoff_state state) {
    static const char *const names[] = {
#define X(upper, lower) [SHUTOFF_##upper] = lower,
        SHUTOFF_STATES(X)
#undef X
    };
    return names[state];
}

const char *shutoff_step_text(enum shutoff_step step, bool port) {
    static const char *const of_port[] = {
        "nothing",
        "caps per source",
        "caps per network, first data in time",
        "a budget of connections",
        "those that say nothing are ended",
        "shut",
    };
    static const char *const of_names[] = {
        "nothing",
        "caps per source",
        "caps per network",
        "a budget of handshakes and requests",
        "idle connections are ended",
        "refused by name",
    };
    return port ? of_port[step] : of_names[step];
}
