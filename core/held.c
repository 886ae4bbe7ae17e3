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
#include "core/shutoff.h"
#include "tenants/compiled.h"
#include <limits.h>

/* ---- who comes ---- */

/* Who is turned away has cost something, and they pay whom it came for. */
static bool turn_away(struct conn *c, struct account *from) {
    if (!c->version && from)
        sock_charge(&c->sock, from);
    return false;
}

bool conn_enters(struct conn *c, const struct raw_port *port, uint32_t *ret_ticket) {
    union address peer;
    struct door *d = door_of_port(c->local_port);
    *ret_ticket = TICKET_UNCOUNTED;
    if (!d)
        return true;
    conn_source(c, &peer);
    *ret_ticket = door_enter(d, c->sock.owner.worker, &peer);
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
    conn_source(c, &peer);
    return door_handshake(d, c->sock.owner.worker, &peer) || turn_away(c, v->account);
}

bool conn_may_ask(struct conn *c) {
    union address peer;
    struct door *d = c->version ? door_of_names(c->version->account) : NULL;
    if (!d)
        return true;
    conn_source(c, &peer);
    return door_request(d, c->sock.owner.worker, &peer);
}

bool conn_is_shut_out(const struct conn *c) {
    const struct door *d = c->version ? door_of_names(c->version->account) : NULL;
    return d && door_level(d) >= STEP_SHUT;
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
    door_idle_limits(d, &first, &idle);
    if (!idle)
        return; /* no longer so strict */
    if (!c->sock.heard || quiet_ms(c) >= idle)
        conn_close(c, true);
    else
        timer_set(c->sock.owner.worker, t, idle);
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

/* To end ten thousand connections takes a tenth of a second, and nobody else is to wait for that. Who comes meanwhile stands before
 * the first and is judged by the door. */
enum { SWEEP_LOOKS = 256, SWEEP_ENDS = 8 }; /* in one turn */

struct sweep { /* one worker's way through its connections */
    struct sweep *next;
    struct conn *at; /* who is next; conn.c says when he goes (sweeps_leave) */
    struct door_at door;
    bool (*each)(struct conn *, const struct sweep *); /* true: it ends */
    int64_t idle_ms;
};

static bool is_there(const struct conn *c, const struct door_at *at) {
    if (c->state == CONN_CLOSE)
        return false;
    return at->port ? c->kind == LISTENER_RAW && c->local_port == at->port
                    : c->kind != LISTENER_RAW && c->version && c->version->account == at->names;
}

static bool watch_one(struct conn *c, const struct sweep *s) {
    (void)s;
    if (c->state == CONN_RELAY)
        conn_watch(c);
    return false;
}

/* Of names: what is idle ends, what runs is finished, as when the edge drains. */
static bool shed_one(struct conn *c, const struct sweep *s) {
    if (!s->door.port)
        conn_drain(c);
    else if (!c->sock.heard || quiet_ms(c) >= s->idle_ms)
        conn_close(c, true);
    return c->state == CONN_CLOSE;
}

static bool reset_one(struct conn *c, const struct sweep *s) {
    (void)s;
    conn_close(c, true);
    return true;
}

/* The account behind names may be gone, and its address another's: then nobody holds those names any more. */
static bool sweep_stands(const struct sweep *s) {
    return s->door.port || door_find_names(s->door.names);
}

/* False: it has come to the end. */
static bool sweep_goes(struct sweep *s, unsigned looks, unsigned ends) {
    if (!sweep_stands(s))
        return false;
    while (s->at && looks-- && ends) {
        struct conn *c = s->at;
        s->at = c->next; /* closing frees only at the end of the turn */
        if (is_there(c, &s->door))
            ends -= s->each(c, s);
    }
    return s->at;
}

void sweeps_run(struct worker *w) {
    for (struct sweep **link = &w->sweeps, *s; (s = *link);) {
        if (sweep_goes(s, SWEEP_LOOKS, SWEEP_ENDS)) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        worker_free(w, s, sizeof *s);
    }
    worker_pays(w, w->nobody);
}

void sweeps_leave(struct worker *w, const struct conn *c) {
    for (struct sweep *s = w->sweeps; s; s = s->next)
        if (s->at == c)
            s->at = c->next;
}

void sweeps_end(struct worker *w) {
    for (struct sweep *s; (s = w->sweeps);) {
        w->sweeps = s->next;
        worker_free(w, s, sizeof *s);
    }
}

static void sweep_begin(struct worker *w, void *user) {
    struct sweep *s = worker_alloc(w, sizeof *s);
    struct sweep now = *(const struct sweep *)user;
    now.at = w->conns;
    now.next = w->sweeps;
    if (!s) { /* at once, then */
        sweep_goes(&now, UINT_MAX, UINT_MAX);
        return;
    }
    *s = now;
    w->sweeps = s;
}

void door_watch(const struct door_at *at) {
    workers_call(sweep_begin, &(struct sweep){.door = *at, .each = watch_one});
}

void door_shed(const struct door_at *at, int64_t idle_ms) {
    workers_call(sweep_begin, &(struct sweep){.door = *at, .each = shed_one, .idle_ms = idle_ms});
}

void door_reset(const struct door_at *at) {
    workers_call(sweep_begin, &(struct sweep){.door = *at, .each = reset_one});
}
