/* SPDX-License-Identifier: GPL-3.0-or-later
 * strain.c - see strain.h. Who holds most is told by weight: bytes, not descriptors (room.c).
 */
#include "core/strain.h"
#include "core/process.h"
#include "core/room.h"

/* A part of what he holds: of all, so that a beat is felt, but in steps, so that he does not lose more than it takes. */
enum { PART_TIGHT = 32, PART_DIRE = 8 };

/* What the kernel keeps for a socket without any data, about. */
enum { SOCKET_HOLDS = 4096, FELT_NS = 1000000000 };

/* On one worker. Where nobody holds that much it is not connections that take the memory, and cutting them would help nobody. */
enum { WORTH = 256 * 1024 };

static enum strain level;
static struct {
    unsigned serial; /* 0: there was none yet */
    int64_t each;    /* what a worker may take until the next */
} beat;

static int64_t taken(const struct worker *w) {
    int64_t sockets = (int64_t)w->client_fds + w->pod_fds;
    return w->held + (int64_t)w->in_use * BUF_SIZE + sockets * SOCKET_HOLDS;
}

static bool has_grown(struct worker *w) {
    unsigned now = __atomic_load_n(&beat.serial, __ATOMIC_ACQUIRE);
    if (w->strain_beat != now) {
        w->strain_beat = now;
        w->strain_taken = taken(w);
    }
    return now && taken(w) - w->strain_taken > __atomic_load_n(&beat.each, __ATOMIC_RELAXED);
}

static enum strain level_now(struct worker *w) {
    enum strain now = __atomic_load_n(&level, __ATOMIC_RELAXED);
    bool felt = w->strain_felt_ns && w->now_ns - w->strain_felt_ns < FELT_NS;
    return now == STRAIN_NONE && (felt || has_grown(w)) ? STRAIN_TIGHT : now;
}

bool strain_is_felt(struct worker *w) {
    return level_now(w) != STRAIN_NONE;
}

static int64_t weight_of(const struct account *a, unsigned worker) {
    const struct account_worker *w = &a->w[worker];
    return w->memory + w->buffers * BUF_SIZE + w->descriptors * SOCKET_HOLDS;
}

static unsigned strain_shed(struct worker *w, enum strain now) {
    bool dire = now == STRAIN_DIRE;
    return room_give_up(w, &(struct room_wish){.measure = weight_of,
                                               .counter = &w->strain_shed,
                                               .least = WORTH,
                                               .part = dire ? PART_DIRE : PART_TIGHT,
                                               .busy = dire});
}

void strain_admit(struct worker *w) {
    enum strain now = level_now(w);
    if (now == STRAIN_NONE)
        return;
    if (!w->strain_credit && w->strain_tried_ns != w->now_ns) { /* one look a turn is enough */
        w->strain_tried_ns = w->now_ns;
        w->strain_credit = strain_shed(w, now);
    }
    w->strain_credit -= w->strain_credit > 0;
}

void strain_grows(struct worker *w) {
    if (has_grown(w))
        strain_admit(w);
}

void strain_feel(struct worker *w) {
    ACCOUNT_ADD(w->strain_failed, 1);
    w->strain_felt_ns = w->now_ns;
    w->strain_wanted = true;
}

void strain_turn(struct worker *w) {
    w->strain_wanted = false;
    w->strain_credit = strain_shed(w, STRAIN_TIGHT);
}

static void strain_run(struct worker *w, void *user) {
    (void)user;
    w->strain_credit = strain_shed(w, level_now(w));
    slab_trim(&w->slab);
    trim_now(w);
}

void strain_beat(enum strain now, int64_t left) {
    __atomic_store_n(&level, now, __ATOMIC_RELAXED);
    __atomic_store_n(&beat.each, left / process.workers, __ATOMIC_RELAXED);
    __atomic_store_n(&beat.serial, beat.serial + 1 ? beat.serial + 1 : 1, __ATOMIC_RELEASE);
    if (now != STRAIN_NONE)
        workers_call(strain_run, NULL);
}

struct strain_figures strain_sum(void) {
    struct strain_figures f = {0};
    for (unsigned i = 0; i < process.workers; i++) {
        const struct worker *w = process.worker[i];
        f.failed += __atomic_load_n(&w->strain_failed, __ATOMIC_RELAXED);
        f.shed += __atomic_load_n(&w->strain_shed, __ATOMIC_RELAXED);
    }
    return f;
}
