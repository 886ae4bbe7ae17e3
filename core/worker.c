/* SPDX-License-Identifier: GPL-3.0-or-later
 * worker.c - the loop's turn, and the memory it lives on.
 */
#include "core/worker.h"
#include "core/glut.h"
#include "core/module.h"
#include "core/pace.h"
#include "core/room.h"
#include "core/sock.h"
#include "core/strain.h"
#include "core/sweep.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

void *worker_alloc(struct worker *w, size_t size) {
    void *p = slab_alloc(&w->slab, size);
    if (!p)
        strain_feel(w);
    return p;
}

void worker_free(struct worker *w, void *p, size_t size) {
    slab_free(&w->slab, p, size);
}

/* ---- life ---- */

static bool worker_memory(struct worker *w, size_t buffer_memory) {
    size_t most = buffer_memory ? buffer_memory / BUF_SIZE : BUFFERS_MOST;
    if (most > BUFFERS_MOST)
        most = BUFFERS_MOST;
    if (most < 2 * BUFFERS_LEVEL)
        most = 2 * BUFFERS_LEVEL;
    w->most = (unsigned)(most / BUFFERS_CHUNK * BUFFERS_CHUNK);
    w->level = BUFFERS_LEVEL;
    trim_init(w);
    w->chunk = calloc(w->most / BUFFERS_CHUNK, sizeof *w->chunk);
    return w->chunk;
}

static void worker_scrap(struct worker *w) {
    free(w->chunk);
    free(w->top);
    free(w);
}

bool worker_new(const struct worker_conf *conf, struct worker **ret, struct err *err) {
    struct ring_conf rc = {
        .entries = RING_ENTRIES, .buffer_count = BUFFERS_RING, .buffer_size = BUF_SIZE};
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, "out of memory");
    rc.worker = w;
    w->top = conf->popular ? top_new(conf->popular) : NULL;
    if (!worker_memory(w, conf->buffer_memory) || (conf->popular && !w->top)) {
        worker_scrap(w);
        return err_set(err, "out of memory");
    }
    if (!ring_new(&rc, &w->ring, err)) {
        worker_scrap(w);
        return false;
    }
    w->id = conf->id;
    w->nobody = w->payer = conf->nobody;
    w->uncounted = conf->uncounted;
    w->turn.in_order = conf->in_order;
    w->now_ns = w->tick_base_ns = sys_now_ns();
    w->charge_mark = sys_cycles();
    w->random[0] = conf->seed | 1;
    w->random[1] = conf->seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    turn_init(w);
    bufs_begin(w);
    ring_buffers_publish(w->ring);
    *ret = w;
    return true;
}

static void chunks_free(struct worker *w) {
    for (unsigned i = 0; i < w->made / BUFFERS_CHUNK; i++) {
        sys_pages_free(w->chunk[i][0].data, (size_t)BUFFERS_CHUNK * BUF_SIZE);
        free(w->chunk[i]);
    }
}

void worker_end(struct worker *w) {
    ring_free(w->ring); /* first: the kernel lets go of the buffers */
    lull_end(w);
    turn_end(w);
    sweeps_end(w);
    if (w->room_most)
        account_unref(w->room_most);
    chunks_free(w);
    slab_fini(&w->slab);
    worker_scrap(w);
}

/* ---- the turn ---- */

/* What ends releases: a connection of HTTP/2 a hundred streams with their pods. So what there is no time for goes in the next turn. */
static void dead_release(struct worker *w) {
    uint64_t until = sys_cycles() + TURN_MOST_US * w->turn.cycles_us;
    while (w->dead) {
        struct owner *o = w->dead;
        w->dead = o->next_dead;
        worker_pays(w, o->account);
        o->release(o);
        if (sys_cycles() >= until)
            return;
    }
}

/* Receives that ended for want of buffers start again as soon as the kernel has some. */
static void starved_rearm(struct worker *w) {
    enum { MOST = 256 };
    for (unsigned n = 0; n < MOST && w->starved.count && bufs_provided(w); n++) {
        struct sock *s = container_of(queue_take(&w->starved), struct sock, starved);
        worker_pays(w, s->owner.account);
        sock_rearm(s);
    }
}

/* While something waits for buffers and none are free there is nothing to be woken by but buffers coming back from
 * sends; those are completions, so waiting is right. Work left in the lists means: don't wait, and so do buffers that
 * the dead gave back after the refill. */
static int64_t turn_wait(const struct worker *w, int64_t wait_ns) {
    if (w->dead || flushes_wait(w) || turn_waits(&w->turn) ||
        (w->starved.count && (bufs_provided(w) || w->free)))
        return 0;
    int64_t due = timers_wait_ns(w);
    if (w->paced)
        due = ns_sooner(due, pace_wait_ns(w));
    if (w->sweeps)
        due = ns_sooner(due, sweeps_wait_ns(w));
    if (w->lull.first)
        due = ns_sooner(due, lull_wait_ns(w));
    if (due > 0) /* all of these are reckoned from where this turn began */
        due = due > w->turn_ns ? due - w->turn_ns : 0;
    return ns_sooner(due, wait_ns);
}

/* While something waits in lanes it does not wait at all, but takes all there is: the kernel finishes only so many operations that it
 * knows to be ready as are asked for (20 at least), in their order, and who comes behind a flood would stand there.
 *
 * Where several tenants were met lately it answers the first at once: to wait for more would be to keep one waiting for another.
 *
 * Else a loop that is busy waits a moment (GATHER_US) for twice as many completions as it had last time: fewer turns, fewer
 * wake-ups, larger submissions; as many as last time would keep small what happened to be small. One that is not busy
 * answers the first at once. */
static unsigned turn_expects(const struct worker *w) {
    enum { BUSY = 4, MOST = 64 };
    if (turn_waits(&w->turn))
        return RING_ENTRIES;
    if (w->turn.several)
        return 1;
    return w->completions < BUSY ? 1 : w->completions > MOST / 2 ? MOST : 2 * w->completions;
}

static void lag_note(uint64_t *most, uint64_t lag) {
    if (lag > __atomic_load_n(most, __ATOMIC_RELAXED))
        __atomic_store_n(most, lag, __ATOMIC_RELAXED);
}

/* What the kernel takes for it is in no turn. It sleeps in there as well, so the thread's own time is looked at: dearer than a clock,
 * but only after a turn that is long with what it asks of the kernel. */
static void enter_begin(struct worker *w, int64_t turn_ns) {
    bool is_long = turn_ns + turn_kernel_ns(&w->turn) >= TURN_SLICE_US * 1000;
    w->enter_cpu_ns = is_long ? sys_cpu_ns() : 0;
    w->turn_ns = turn_ns;
}

static uint64_t enter_took_ns(struct worker *w) {
    if (!w->enter_cpu_ns)
        return (uint64_t)turn_kernel_ns(&w->turn);
    uint64_t ns = (uint64_t)(sys_cpu_ns() - w->enter_cpu_ns);
    lag_note(&w->window_kernel_ns, ns);
    turn_kernel_took(&w->turn, ns);
    return ns;
}

/* A turn that is much longer than turns are is another figure's (lag), and for most of it the thread may have had no CPU. */
static void enter_end(struct worker *w) {
    enum { COUNTED_MOST_US = 2 * TURN_MOST_US };
    uint64_t us = ((uint64_t)w->turn_ns + enter_took_ns(w)) / 1000;
    us = us < COUNTED_MOST_US ? us : COUNTED_MOST_US;
    ACCOUNT_ADD(w->turns_squared_us, us * us);
}

static bool piece_is_next(const struct worker *w) {
    return (w->sweeps && !sweeps_wait_ns(w)) || timers_are_next(w);
}

static void due_work(struct worker *w) {
    if (piece_is_next(w) && turn_sends_first(w))
        return;
    timers_run(w);
    if (w->paced)
        pace_run(w);
    if (w->sweeps)
        sweeps_run(w);
}

int worker_turn(struct worker *w, int64_t wait_ns) {
    /* Whatever was read under RCU is behind us; who frees it after a grace period acquires this. */
    __atomic_store_n(&w->turns, w->turns + 1, __ATOMIC_RELEASE);
    urcu_qsbr_thread_offline();
    int error = ring_wait(w->ring, turn_wait(w, wait_ns), turn_expects(w));
    urcu_qsbr_thread_online();
    if (error)
        return error;
    enter_end(w);
    w->now_ns = sys_now_ns();
    w->charge_mark = sys_cycles();
    w->payer = w->nobody;
    turn_begin(w);
    ahead_open(w);
    w->completions = ring_dispatch(w->ring, w->turn.in_order ? NULL : &w->turn);
    if (w->lull.first)
        lull_run(w);
    turn_run(w);
    ahead_run(w);
    worker_pays(w, w->nobody);
    if (!turn_is_brief(&w->turn))
        due_work(w);
    flushes_run(w);
    worker_pays(w, w->nobody);
    bufs_refill(w);
    ring_buffers_publish(w->ring);
    if (!bufs_provided(w))
        ACCOUNT_ADD(w->buffers_short, 1);
    if (w->gluts)
        gluts_turn(w);
    if (w->room_wanted)
        room_turn(w);
    if (w->strain_wanted)
        strain_turn(w);
    starved_rearm(w);
    if (!turn_is_brief(&w->turn))
        dead_release(w);
    worker_pays(w, w->nobody);
    int64_t lag = sys_now_ns() - w->now_ns;
    lag_note(&w->lag_ns_max, (uint64_t)lag);
    lag_note(&w->window_lag_ns, (uint64_t)lag);
    enter_begin(w, lag);
    return 0;
}

void worker_post(struct worker *to, struct ring *from, struct message *m) {
    if (!to->gone) /* else a ring that nobody empties would fill up */
        ring_message(from, to->ring, m);
}

int64_t worker_now_ms(const struct worker *w) {
    return w->now_ns / 1000000;
}

int64_t worker_now_us(const struct worker *w) {
    return w->now_ns / 1000;
}

unsigned worker_id(const struct worker *w) {
    return w->id;
}

/* xorshift128+ */
uint64_t worker_random(struct worker *w) {
    uint64_t a = w->random[0], b = w->random[1];
    w->random[0] = b;
    a ^= a << 23;
    w->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return w->random[1] + b;
}
