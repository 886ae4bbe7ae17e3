/* SPDX-License-Identifier: GPL-3.0-or-later
 * relay.c - see relay.h. Two pumps; one direction each:
 *
 *   data --write--> other side (full: pause the source until it has drained) ... eof --shutdown--> other side: DONE
 *
 * Never parses, never copies but what the queue coalesces. FIN is passed on as FIN once what came before it is sent, and
 * what breaks one end resets the other.
 */
#include "core/relay.h"
#include "core/module.h"
#include "core/proxy.h"
#include "core/worker.h"
#include <stddef.h>

struct relay {
    struct stream *near, *far;
    void (*ended)(void *user, bool reset);
    void *user;
    struct relay_tally *tally; /* NULL: nobody counts */
    bool near_done, far_done;  /* EOF seen */
    bool guarded;              /* `watch` looks at what `near` begins with */
    int64_t moved_ns;          /* when a byte last came from either side */
    struct proxy_watch watch;
};

static struct stream *other_side(const struct relay *r, const struct stream *s) {
    return s == r->near ? r->far : r->near;
}

static void relay_end(struct relay *r, bool reset) {
    void (*ended)(void *, bool) = r->ended;
    void *user = r->user;
    relay_cut(r, reset);
    ended(user, reset);
}

/* A whole signature never reaches the pod, and bytes are never held back: a client may well wait for an answer to "P". */
static bool begins_badly(struct relay *r, const struct slice *slice) {
    bool bad = proxy_watch(&r->watch, slice->data, slice->length);
    r->guarded = !r->watch.over;
    return bad;
}

static void relay_count(struct relay *r, const struct stream *s, uint32_t bytes) {
    struct relay_tally *t = r->tally;
    if (!t)
        return;
    if (s == r->near) {
        t->in += bytes;
        return;
    }
    t->out += bytes;
    if (!t->first_us)
        t->first_us = worker_now_us(s->worker);
}

static void relay_data(struct stream *s, void *user, struct slice slice) {
    struct relay *r = user;
    r->moved_ns = s->worker->now_ns;
    if (r->guarded && s == r->near && begins_badly(r, &slice)) {
        slice_drop(s->worker, &slice);
        relay_end(r, true);
        return;
    }
    relay_count(r, s, slice.length);
    if (stream_write(other_side(r, s), slice) > 0)
        stream_pause(s);
}

static void relay_drain(struct stream *s, void *user) {
    stream_resume(other_side(user, s));
}

static void relay_eof(struct stream *s, void *user) {
    struct relay *r = user;
    if (s == r->near)
        r->near_done = true;
    else
        r->far_done = true;
    if (!r->near_done || !r->far_done) {
        stream_shutdown(other_side(r, s));
        return;
    }
    if (r->tally)
        r->tally->over = true;
    relay_end(r, false);
}

static void relay_error(struct stream *s, void *user, int error) {
    struct relay *r = user;
    (void)error;
    if (r->tally)
        *(s == r->near ? &r->tally->near_broke : &r->tally->far_broke) = true;
    relay_end(r, true);
}

static const struct stream_events relay_events = {
    .data = relay_data,
    .eof = relay_eof,
    .drain = relay_drain,
    .error = relay_error,
};

struct relay *relay_new(struct stream *near, struct stream *far, void (*ended)(void *, bool),
                        void *user, struct relay_tally *tally) {
    struct relay *r = worker_alloc(near->worker, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct relay){.near = near,
                        .far = far,
                        .ended = ended,
                        .user = user,
                        .tally = tally,
                        .moved_ns = near->worker->now_ns};
    stream_consume(near, &relay_events, r);
    stream_consume(far, &relay_events, r);
    return r;
}

struct stream *relay_far(const struct relay *r) {
    return r->far;
}

int64_t relay_moved_ns(const struct relay *r) {
    return r->moved_ns;
}

void relay_guard(struct relay *r) {
    r->guarded = true;
}

void relay_cut(struct relay *r, bool reset) {
    struct worker *w = r->near->worker;
    stream_close(r->far, reset);
    worker_free(w, r, sizeof *r);
}
