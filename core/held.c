/* SPDX-License-Identifier: GPL-3.0-or-later
 * held.c - connections at a door that is held: turned away, watched, shed, reset. What door.c says of sources, said of connections.
 *
 *   accepted ─▶ conn_enters ─▶ joined to its pod ─▶ watched: first byte soon, then never idle for long
 *   those that were there before: each worker goes through its list, a few each turn, when the control thread says so
 */
#include "core/conn.h"
#include "core/door.h"
#include "core/process.h"
#include "core/relay.h"
#include "core/room.h"
#include "core/shutoff.h"
#include "core/strain.h"
#include "core/sweep.h"
#include "tenants/compiled.h"

/* ---- who comes ---- */

/* Who is turned away has cost something, and they pay whom it came for. */
static bool turn_away(struct conn *c, struct account *from) {
    if (!c->version && from)
        sock_charge(&c->sock, from);
    return false;
}

/* NULL: it is gone, and its socket does not know any more where it came from. Of whom a proxy says that nobody knows that, he is there. */
static const union address *source(struct conn *c, union address *room) {
    conn_source(c, room);
    return room->any.sa_family || c->introduction ? room : NULL;
}

bool conn_enters(struct conn *c, const struct raw_port *port, uint32_t *ret_ticket) {
    union address peer;
    struct door *d = door_of_port(c->local_port);
    *ret_ticket = TICKET_UNCOUNTED;
    if (!d)
        return true;
    *ret_ticket = door_enter(d, c->sock.owner.worker, source(c, &peer));
    return *ret_ticket != TICKET_NONE || turn_away(c, port->host_account);
}

void conn_leaves(struct conn *c, uint32_t ticket) {
    door_leave(c->local_port, c->sock.owner.worker, ticket);
}

bool conn_may_shake(struct conn *c, const struct version *v) {
    union address peer;
    struct door *d = door_of_names(v->account);
    if (!d)
        return true;
    return door_handshake(d, c->sock.owner.worker, source(c, &peer)) || turn_away(c, v->account);
}

bool conn_may_ask(struct conn *c) {
    union address peer;
    struct door *d = c->version ? door_of_names(c->version->account) : NULL;
    if (!d)
        return true;
    return door_request(d, c->sock.owner.worker, source(c, &peer));
}

bool conn_is_shut_out(const struct conn *c) {
    const struct door *d = c->version ? door_of_names(c->version->account) : NULL;
    return d && door_level(d) >= STEP_SHUT;
}

/* ---- who is refused, but not at once ----
 * A flood that is answered costs a little each time, and comes back at once: a worker would be busy with nothing but saying no. Who waits
 * for it costs a timer. Not when something is short: then his place is worth more. Each waits for as long as is drawn: those of one flood come
 * together, and would again and again, all in the way of whoever else comes in that moment. */

enum { STALLED_MOST = 2048, STALLED_PART = 8 }; /* of a worker's clients, one of so many */

static bool stall_begin(struct worker *w) {
    unsigned clients = room_clients_most(), part = clients / process.workers / STALLED_PART;
    unsigned most = clients && part < STALLED_MOST ? part : STALLED_MOST;
    if (w->stalled >= most || w->draining || !room_is_there(w) || strain_is_felt(w) ||
        w->in_use > w->most / 2)
        return false;
    w->stalled++;
    return true;
}

static unsigned stall_ms(struct worker *w) {
    return CONN_STALL_MS / 2 + (unsigned)(worker_random(w) % (CONN_STALL_MS + 1));
}

unsigned conn_stall(struct conn *c) {
    struct worker *w = c->sock.owner.worker;
    return c->unwelcome && stall_begin(w) ? stall_ms(w) : 0;
}

void conn_stalled(struct conn *c) {
    c->sock.owner.worker->stalled--;
}

void conn_stall_end(struct conn *c) {
    if (c->stall == STALL_RUNS)
        conn_stalled(c);
    c->stall = STALL_OVER;
}

static void stall_fire(struct timer *t) {
    struct conn *c = container_of(container_of(t, struct sock, timer), struct conn, sock);
    conn_stall_end(c);
    conn_resume(c);
}

bool conn_stalls(struct conn *c) {
    struct worker *w = c->sock.owner.worker;
    if (c->stall == STALL_NONE && stall_begin(w)) {
        c->stall = STALL_RUNS;
        timer_stop(&c->sock.timer);
        timer_init(&c->sock.timer, stall_fire);
        timer_set(w, &c->sock.timer, stall_ms(w));
    }
    return c->stall == STALL_RUNS;
}

/* ---- who is there ---- */

static int64_t quiet_ms(const struct conn *c) {
    int64_t since = c->relay && c->state == CONN_RELAY ? relay_moved_ns(c->relay) : 0;
    return since ? (c->sock.owner.worker->now_ns - since) / 1000000 : 0;
}

static void watch_fire(struct timer *t) {
    struct conn *c = container_of(container_of(t, struct sock, timer), struct conn, sock);
    const struct door *d = door_of_port(c->local_port);
    int64_t first, idle;
    if (!d || c->state != CONN_RELAY)
        return;
    conn_pays(c);
    door_idle_limits(d, &first, &idle);
    if (!idle)
        return; /* no longer so strict */
    if (c->sock.heard && quiet_ms(c) < idle)
        timer_set(c->sock.owner.worker, t, idle);
    else if (timer_may_end(c->sock.owner.worker, t))
        conn_close(c, true);
}

void conn_watch(struct conn *c) {
    const struct door *d = c->kind == LISTENER_RAW ? door_of_port(c->local_port) : NULL;
    int64_t first = 0, idle;
    if (d)
        door_idle_limits(d, &first, &idle);
    if (!first)
        return;
    timer_stop(&c->sock.timer);
    timer_init(&c->sock.timer, watch_fire);
    timer_set(c->sock.owner.worker, &c->sock.timer, c->sock.heard ? idle : first);
}

/* ---- all who are there, a few at a time ---- */

struct door_sweep {
    struct sweep sweep; /* first */
    struct door_at door;
    int64_t idle_ms;
};

static const struct door_sweep *of_door(const struct sweep *s) {
    return container_of(s, struct door_sweep, sweep);
}

static bool is_there(const struct conn *c, const struct door_at *at) {
    return at->port ? c->kind == LISTENER_RAW && c->local_port == at->port
                    : c->kind != LISTENER_RAW && c->version && c->version->account == at->names;
}

static bool watch_one(struct sweep *s, struct conn *c) {
    if (is_there(c, &of_door(s)->door) && c->state == CONN_RELAY)
        conn_watch(c);
    return false;
}

/* Of names: what is idle ends, what runs is finished, as when the edge drains; what is passed through is joined to its pod, as at a raw
 * port. */
static bool shed_one(struct sweep *s, struct conn *c) {
    const struct door_sweep *d = of_door(s);
    if (!is_there(c, &d->door))
        return false;
    if (!d->door.port && c->state != CONN_RELAY)
        conn_drain(c);
    else if (!c->sock.heard || quiet_ms(c) >= d->idle_ms)
        conn_close(c, true);
    return c->state == CONN_CLOSE;
}

static bool reset_one(struct sweep *s, struct conn *c) {
    if (!is_there(c, &of_door(s)->door))
        return false;
    conn_close(c, true);
    return true;
}

/* The account behind names may be gone, and its address another's: then nobody holds those names any more. */
static bool door_stands(const struct sweep *s) {
    const struct door_at *at = &of_door(s)->door;
    return at->port || door_find_names(at->names);
}

static const struct sweep_job watching = {
    .size = sizeof(struct door_sweep), .each = watch_one, .stands = door_stands};
static const struct sweep_job shedding = {
    .size = sizeof(struct door_sweep), .each = shed_one, .stands = door_stands};
static const struct sweep_job resetting = {
    .size = sizeof(struct door_sweep), .each = reset_one, .stands = door_stands};

static void begin(struct worker *w, void *user) {
    struct door_sweep own = *(const struct door_sweep *)user;
    sweep_begin(w, &own.sweep);
}

static void all_begin(const struct sweep_job *job, const struct door_at *at, int64_t idle_ms) {
    workers_call(begin,
                 &(struct door_sweep){.sweep = {.job = job}, .door = *at, .idle_ms = idle_ms});
}

void door_watch(const struct door_at *at) {
    all_begin(&watching, at, 0);
}

void door_shed(const struct door_at *at, int64_t idle_ms) {
    all_begin(&shedding, at, idle_ms);
}

void door_reset(const struct door_at *at) {
    all_begin(&resetting, at, 0);
}
