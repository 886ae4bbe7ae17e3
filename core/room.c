/* SPDX-License-Identifier: GPL-3.0-or-later
 * room.c - see room.h.
 *
 *   no room --> who holds the most here? --> his kept connections to pods --> his clients, the longest idle first
 *
 * One look at the connections of the worker finds a share of what that tenant holds, so that a flood of newcomers costs a look
 * now and then, not one each. Where there are more than LOOKS it sees as many, and the next look goes on from there. A few of it go at once, the others a few a turn (sweep.h). Where there are next to no descriptors a worker may find that others hold them all: it is helped within a beat.
 */
#include "core/room.h"
#include "core/conn.h"
#include "core/pod.h"
#include "core/process.h"
#include "core/strain.h"
#include "core/sweep.h"

enum {
    RESERVE_MOST = 200,
    SHARE = 32,
    SHARE_LEAST = 8,
    AGES = 20,
    RESET_AFTER = 8, /* steps of sock_clock: a second */
    HEAD_ROOM = 8,
    HELD_LEAST = 8, /* that anybody may hold */
    BARREN_NS = 100000000,
    AT_ONCE =
        2, /* clients that end while somebody waits for their room; the others go in the turns that follow */
    PODS_MOST = 8, /* kept connections to pods, likewise */
    LOOKS = 2048   /* at connections, for one answer: a look at ten thousand takes a millisecond */
};

static struct {
    int64_t limit, open; /* of the process; what the edge itself holds */
    int64_t most;        /* 0: not known yet, nobody is turned away */
} room;

/* ---- how much there is ---- */

static void room_count(void) {
    int64_t left = room.limit - room.open;
    int64_t reserve = left / 4 < RESERVE_MOST ? left / 4 : RESERVE_MOST;
    int64_t most = left - (reserve ? reserve : 1);
    most = !room.limit ? 0 : most > 2 ? most : 2;
    __atomic_store_n(&room.most, most, __ATOMIC_RELAXED);
    if (room.most)
        process.connections_max = (unsigned)(room.most / 2 > 1 << 30 ? 1 << 30 : room.most / 2);
}

void room_init(unsigned open) {
    room.limit = process.files;
    room.open = open;
    room_count();
}

void room_shift(int more) {
    if (!room.limit)
        return;
    room.open += more;
    room_count();
}

unsigned room_most(void) {
    return (unsigned)__atomic_load_n(&room.most, __ATOMIC_RELAXED);
}

unsigned room_clients_most(void) {
    return room_most() / 2;
}

static unsigned used(const struct worker *w, bool clients) {
    unsigned n = __atomic_load_n(&w->client_fds, __ATOMIC_RELAXED);
    return clients ? n : n + __atomic_load_n(&w->pod_fds, __ATOMIC_RELAXED);
}

static unsigned all_used(bool clients) {
    unsigned n = 0;
    for (unsigned i = 0; i < process.workers; i++)
        n += process.worker[i] ? used(process.worker[i], clients) : 0;
    return n;
}

unsigned room_clients(void) {
    return all_used(true);
}

/* Each worker has an equal share, so that one that is asked for room always has what to give up for it, if anybody has; the kernel
 * spreads newcomers evenly. Shares that would be next to nothing are one for all. */
static bool is_full(const struct worker *w, bool clients) {
    unsigned most = room_most(), share = most / process.workers;
    if (!most)
        return false;
    if (share < SHARE_LEAST)
        return all_used(clients) >= (clients ? most / 2 : most);
    return used(w, clients) >= (clients ? share / 2 : share);
}

int64_t room_left(const struct worker *w) {
    unsigned most = room_most(), share = most / process.workers;
    if (!most)
        return INT64_MAX;
    return share < SHARE_LEAST ? (int64_t)most - all_used(false) : (int64_t)share - used(w, false);
}

static bool has_room(const struct worker *w, bool client) {
    return !is_full(w, false) && (!client || !is_full(w, true));
}

/* One accept for many takes as many as wait, up to the listener's backlog. */
bool room_is_tight(const struct worker *w) {
    unsigned most = room_most(), share = most / 2 / process.workers;
    return most && (most < LISTENER_BACKLOG || used(w, true) >= share - share / 4);
}

/* ---- a look ---- */

/* How many were seen: all, or the next LOOKS of them. */
static unsigned conns_look(struct worker *w, void (*see)(void *, const struct conn *), void *user) {
    bool all = w->conn_count <= LOOKS;
    unsigned n = all ? w->conn_count : LOOKS;
    const struct conn *c = all ? w->conns : w->room_at;
    for (unsigned i = 0; i < n && (c || (c = w->conns)); i++) {
        see(user, c);
        c = c->next;
    }
    w->room_at = all ? NULL : c;
    return n;
}

/* ---- who holds the most ---- */

static int64_t kept_of(const struct account *a, unsigned worker) {
    return a->w[worker].kept;
}

struct most { /* so far */
    const struct worker *w;
    account_measure *measure;
    const struct account *account;
    int64_t held;
};

static void most_see(struct most *m, const struct account *payer) {
    const struct account *a = account_tenant(payer);
    if (a == m->account)
        return;
    int64_t n = account_here(a, m->w->id, m->measure);
    if (n > m->held) {
        m->account = a;
        m->held = n;
    }
}

static void most_see_conn(void *user, const struct conn *c) {
    if (c->state != CONN_CLOSE)
        most_see(user, c->sock.owner.account);
}

/* Whoever it was is compared with those who are seen next time, who may all be another's. */
static void most_remember(struct worker *w, struct account *most) {
    if (w->room_most == most)
        return;
    if (most)
        account_ref(most);
    if (w->room_most)
        account_drop(w->room_most);
    w->room_most = most;
}

/* Of those who have anything here that could be given up. */
static struct account *most_find(struct worker *w, account_measure *measure, int64_t least) {
    struct most m = {.w = w, .measure = measure, .held = least - 1};
    unsigned looks = LOOKS;
    if (w->room_most)
        most_see(&m, w->room_most);
    bool all = conns_look(w, most_see_conn, &m) == w->conn_count;
    for (const struct idle_link *l = w->idle_last; l && looks; l = l->newer, looks--)
        most_see(&m, upstream_payer(l));
    struct account *most = (struct account *)(uintptr_t)m.account;
    most_remember(w, all ? NULL : most);
    return most;
}

/* ---- giving up ---- */

static uint16_t quiet(const struct conn *c) {
    return (uint16_t)(sock_clock(c->sock.owner.worker) - c->sock.moved);
}

/* Doubles from step to step. Who has never said a word counts as idle for four times as long. */
static unsigned age_of(const struct conn *c) {
    unsigned steps = quiet(c), age = steps ? 32 - (unsigned)__builtin_clz(steps) : 0;
    return age + (c->sock.heard ? 0 : 2);
}

struct group { /* of whom some are to go */
    struct account *of;
    uint64_t *counter; /* of the worker, of those who went */
    bool busy;         /* also those who are being served */
};

/* One that is joined to a pod is cut, not told: where something was said, only after a pause. */
static bool may_go(const struct conn *c, const struct group *g) {
    if (c->state == CONN_CLOSE || account_tenant(c->sock.owner.account) != g->of)
        return false;
    if (g->busy)
        return true;
    if (c->state == CONN_DIAL)
        return !c->sock.heard;
    return c->state != CONN_RELAY || !c->sock.heard || quiet(c) >= RESET_AFTER;
}

struct ages {
    const struct group *group;
    unsigned count[AGES];
};

static void ages_see(void *user, const struct conn *c) {
    struct ages *a = user;
    if (may_go(c, a->group))
        a->count[age_of(c)]++;
}

/* From which age on there are at least so many, and how many; as far as those that are seen tell of all. */
static unsigned age_limit(struct worker *w, const struct group *g, unsigned want,
                          unsigned *ret_found) {
    struct ages a = {.group = g};
    unsigned seen = conns_look(w, ages_see, &a), n = 0, age = AGES;
    if (!seen) {
        *ret_found = 0;
        return AGES;
    }
    uint64_t all = w->conn_count;
    while (age > 0 && n * all < (uint64_t)want * seen)
        n += a.count[--age];
    *ret_found = (unsigned)(n * all / seen);
    return age;
}

struct shedding {
    struct sweep sweep; /* first */
    struct group group;
    unsigned from, left; /* of this age and older; so many are still to go */
    bool oldest_gone;    /* older ones went in a first round */
};

static struct shedding *shedding_of(const struct sweep *s) {
    return container_of((struct sweep *)(uintptr_t)s, struct shedding, sweep);
}

static bool client_shed(struct conn *c, bool busy) {
    if (!busy)
        return conn_shed(c);
    conn_close(c, true);
    return true;
}

static bool shed_one(struct sweep *sweep, struct conn *c) {
    struct shedding *s = shedding_of(sweep);
    if (!may_go(c, &s->group) || age_of(c) + s->oldest_gone <= s->from ||
        !client_shed(c, s->group.busy))
        return false;
    s->left--;
    ACCOUNT_ADD(s->group.of->w[c->sock.owner.worker->id].shed, 1);
    ACCOUNT_ADD(*s->group.counter, 1);
    return true;
}

static bool shed_stands(const struct sweep *sweep) {
    return shedding_of(sweep)->left;
}

static bool shed_again(struct sweep *sweep) {
    struct shedding *s = shedding_of(sweep);
    bool again = !s->oldest_gone;
    s->oldest_gone = true;
    return again;
}

static void shed_end(struct sweep *sweep, struct worker *w) {
    (void)w;
    account_drop(shedding_of(sweep)->group.of);
}

static const struct sweep_job shedding = {.size = sizeof(struct shedding),
                                          .each = shed_one,
                                          .stands = shed_stands,
                                          .again = shed_again,
                                          .end = shed_end};

/* What went is free from then on. */
static unsigned went(struct worker *w, unsigned n) {
    if (n)
        ring_submit(w->ring);
    return n;
}

/* Somebody asked before, and not all that he was promised has gone. */
static struct sweep *under_way(const struct worker *w, const struct account *of, bool busy) {
    struct sweep *s = sweep_find(w, &shedding);
    const struct group *g = s ? &shedding_of(s)->group : NULL;
    return g && g->busy == busy && (!of || g->of == of) ? s : NULL;
}

/* False: none is, or it has just come to its end with nothing found. Else *ret_went have gone, perhaps none yet. */
static bool go_on(struct worker *w, const struct account *of, bool busy, unsigned *ret_went) {
    struct sweep *s = under_way(w, of, busy);
    *ret_went = s ? went(w, sweep_hurry(w, s, AT_ONCE)) : 0;
    return *ret_went || under_way(w, of, busy);
}

/* How many go, now or soon. */
static unsigned clients_shed(struct worker *w, const struct group *g, unsigned want) {
    struct account *payer = w->payer;
    worker_pays(w, g->of);
    unsigned found, from = age_limit(w, g, want, &found);
    worker_pays(w, payer);
    if (!found)
        return 0;
    struct shedding own = {.sweep = {.job = &shedding},
                           .group = *g,
                           .from = from,
                           .left = found < want ? found : want};
    want = own.left;
    account_ref(g->of);
    struct sweep *s = sweep_begin(w, &own.sweep);
    if (s)
        sweep_hurry(w, s, AT_ONCE);
    return went(w, want);
}

static unsigned pods_shed(struct worker *w, const struct group *g, unsigned want) {
    unsigned n = 0, looks = LOOKS;
    for (struct idle_link *l = w->idle_last, *next; l && looks && n < want && n < PODS_MOST;
         l = next, looks--) {
        next = l->newer;
        if (account_tenant(upstream_payer(l)) == g->of) {
            upstream_idle_end(l);
            n++;
        }
    }
    ACCOUNT_ADD(g->of->w[w->id].shed, n);
    ACCOUNT_ADD(*g->counter, n);
    return went(w, n);
}

unsigned room_give_up(struct worker *w, const struct room_wish *wish) {
    unsigned n = 0;
    if (!wish->pods_only && go_on(w, NULL, wish->busy, &n))
        return n;
    struct group g = {most_find(w, wish->measure, wish->least), wish->counter, wish->busy};
    if (!g.of)
        return 0;
    int64_t holds = account_here(g.of, w->id, account_descriptors);
    unsigned want = holds > wish->part ? (unsigned)(holds / wish->part) : 1;
    n = pods_shed(w, &g, want);
    if (!wish->pods_only && ((n < want && n < PODS_MOST) || is_full(w, true)))
        n += clients_shed(w, &g, want);
    return n;
}

/* `clients` false: only what nobody can be in the midst of. Where who holds the most uses all of it, somebody else's kept ones go. */
static unsigned shed(struct worker *w, bool clients) {
    struct room_wish wish = {.measure = account_descriptors,
                             .counter = &w->room_shed,
                             .least = 1,
                             .part = SHARE,
                             .pods_only = !clients};
    unsigned n = room_give_up(w, &wish);
    if (n || !w->kept)
        return n;
    wish.measure = kept_of;
    wish.pods_only = true;
    return room_give_up(w, &wish);
}

bool room_is_there(const struct worker *w) {
    return has_room(w, true);
}

/* ---- head-room for the others ---- */

/* How many he is to give up: each makes his less and what is left more. */
static unsigned over_by(int64_t held, int64_t left) {
    int64_t over = held - HEAD_ROOM * left;
    return held < HELD_LEAST || over <= 0 ? 0 : (unsigned)(over + HEAD_ROOM) / (HEAD_ROOM + 1);
}

/* Of all the worker's, to clients and pods. Nobody is asked while half of them are free; and free is what others only keep. */
static bool hoards(const struct worker *w, const struct account *payer) {
    const struct account *of = account_tenant(payer);
    int64_t kept = w->kept - account_here(of, w->id, kept_of), left = room_left(w);
    return left < used(w, false) &&
           over_by(account_here(of, w->id, account_descriptors), left + kept);
}

static unsigned clients_over(const struct worker *w, int64_t clients) {
    int64_t share = room_most() / process.workers / 2, left = share - used(w, true);
    return share >= SHARE && left < used(w, true) ? over_by(clients, left) : 0;
}

static bool one_for_one(struct worker *w, struct account *of) {
    return pods_shed(w, &(struct group){of, &w->room_shed, false}, 1) && has_room(w, false);
}

static bool refused(struct worker *w) {
    ACCOUNT_ADD(w->room_refused, 1);
    return false;
}

bool room_for_client(struct worker *w) {
    strain_admit(w);
    if (has_room(w, true))
        return true;
    ACCOUNT_ADD(w->room_short, 1);
    return shed(w, true) || refused(w);
}

/* Asked while a client is being served: other clients are told to go when the turn ends. */
bool room_for_pod(struct worker *w, const struct account *payer) {
    bool over = hoards(w, payer);
    if (!over && has_room(w, false))
        return true;
    room_short(w);
    return (over ? one_for_one(w, account_tenant(payer)) : shed(w, false)) || refused(w);
}

/* Most of them are the tenant's. Who gives up a share comes that much later to it again, and where nothing was found nobody looks for a
 * while, so that a newcomer seldom costs a look at all. */
bool room_admits(struct worker *w, const struct account *payer) {
    struct account *of = account_tenant(payer);
    int64_t clients = account_here(of, w->id, account_connections);
    unsigned over = clients_over(w, clients), share = (unsigned)clients / SHARE;
    if (!over)
        return true;
    ACCOUNT_ADD(w->room_short, 1);
    unsigned n;
    bool goes_on = go_on(w, of, false, &n);
    if (!goes_on && w->now_ns >= w->room_barren_ns) {
        n = clients_shed(w, &(struct group){of, &w->room_shed, false}, over > share ? over : share);
        if (!n)
            w->room_barren_ns = w->now_ns + BARREN_NS;
    }
    return n || refused(w);
}

void room_short(struct worker *w) {
    ACCOUNT_ADD(w->room_short, 1);
    w->room_wanted = true;
}

void room_turn(struct worker *w) {
    w->room_wanted = false;
    shed(w, true);
}

struct room_figures room_sum(void) {
    struct room_figures f = {0};
    for (unsigned i = 0; i < process.workers; i++) {
        const struct worker *w = process.worker[i];
        f.short_of += __atomic_load_n(&w->room_short, __ATOMIC_RELAXED);
        f.shed += __atomic_load_n(&w->room_shed, __ATOMIC_RELAXED);
        f.refused += __atomic_load_n(&w->room_refused, __ATOMIC_RELAXED);
    }
    return f;
}

/* ---- help for those who have nothing to give up ---- */

static void help(struct worker *w, void *user) {
    (void)user;
    shed(w, true);
}

void room_beat(const struct room_figures *f) {
    static uint64_t refused;
    if (f->refused != refused && room_most() / process.workers < SHARE_LEAST)
        workers_call(help, NULL);
    refused = f->refused;
}
