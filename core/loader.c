/* SPDX-License-Identifier: GPL-3.0-or-later
 * loader.c - see loader.h. The lines are the thread's own; it is spoken to by messages only.
 */
#include "core/loader.h"
#include "core/control.h"
#include "core/map.h"
#include "core/process.h"
#include "core/shelf.h"
#include "core/worker.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RETRY_S = 10, RETRY_LACK_S = 1 /* there was no descriptor or memory to look with */ };

struct line {
    struct want *first, **last;
    struct line *behind; /* in turn */
    bool in_turn;
};

static struct line line[WANT_LINES];
static struct line *turn_first, **turn_last = &turn_first;
static struct ring *ring;
static pthread_t thread;
static bool started, stopping;
static uint64_t loads, failures, wanted, served; /* written by the thread */

unsigned want_line(const struct stored *s) {
    const struct stored_text uid = stored_uid(s);
    return hash_bytes(uid.text, strlen(uid.text)) % WANT_LINES;
}

/* ---- lines take turns ---- */

static void line_up(struct line *l) {
    l->in_turn = true;
    l->behind = NULL;
    *turn_last = l;
    turn_last = &l->behind;
}

static void want_arrived(struct message *m) {
    struct want *w = container_of(m, struct want, message);
    struct line *l = &line[want_line(w->stored)];
    ACCOUNT_ADD(wanted, 1);
    w->behind = NULL;
    if (!l->first)
        l->last = &l->first;
    *l->last = w;
    l->last = &w->behind;
    if (!l->in_turn)
        line_up(l);
}

static struct want *want_next(void) {
    struct line *l = turn_first;
    if (!l)
        return NULL;
    turn_first = l->behind;
    if (!turn_first)
        turn_last = &turn_first;
    l->in_turn = false;
    struct want *w = l->first;
    l->first = w->behind;
    if (l->first)
        line_up(l);
    return w;
}

/* ---- one of them ---- */

static void stored_read(struct stored *s) {
    struct err err;
    errno = 0;
    struct identity *identity = stored_load(s, &err);
    bool lacks = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    ACCOUNT_ADD(loads, 1);
    if (identity) {
        shelf_put(s, identity);
        return;
    }
    ACCOUNT_ADD(failures, 1);
    __atomic_store_n(&s->retry_at, (uint32_t)time(NULL) + (lacks ? RETRY_LACK_S : RETRY_S),
                     __ATOMIC_RELAXED);
    log_write(0, "%s", err.text);
}

static void want_serve(struct want *w) {
    struct stored *s = w->stored;
    if (!__atomic_load_n(&s->identity, __ATOMIC_ACQUIRE) &&
        !__atomic_load_n(&s->gone, __ATOMIC_RELAXED))
        stored_read(s);
    ACCOUNT_ADD(served, 1);
    w->message.run = want_done;
    ring_message(ring, w->worker->ring, &w->message);
}

/* ---- the thread ---- */

struct start {
    sem_t done;
    struct err err;
    bool good;
};

static void *loader_main(void *argument) {
    struct start *start = argument;
    struct ring_conf rc = {.entries = 256};
    pthread_setname_np(pthread_self(), "certificates");
    bool good = start->good = ring_new(&rc, &ring, &start->err);
    sem_post(&start->done); /* `start` is the starter's again */
    while (good && !stopping) {
        int error = ring_wait(ring, turn_first ? 0 : -1, 1);
        if (error) { /* as a worker's: handshakes would wait for ever */
            log_write(0, "the certificates' loader: its ring is broken: %s", strerror(-error));
            abort();
        }
        ring_dispatch(ring, NULL);
        struct want *w = want_next();
        if (w)
            want_serve(w);
    }
    return NULL;
}

bool loader_start(struct err *err) {
    struct start start = {0};
    sem_init(&start.done, 0, 0);
    stopping = false;
    int error = pthread_create(&thread, NULL, loader_main, &start);
    if (error)
        return err_set(err, "thread for certificates: %s", strerror(error));
    while (sem_wait(&start.done))
        ;
    sem_destroy(&start.done);
    started = start.good;
    if (!started) {
        pthread_join(thread, NULL);
        *err = start.err;
    }
    return started;
}

void loader_want(struct want *w) {
    w->message.run = want_arrived;
    ring_message(w->worker->ring, ring, &w->message);
}

static void stop_run(struct message *m) {
    (void)m;
    stopping = true;
}

void loader_stop(void) {
    struct message stop = {.run = stop_run};
    if (!started)
        return;
    ring_message(process.control, ring, &stop);
    ring_wait(process.control, 0, 1);
    ring_dispatch(process.control, NULL);
    pthread_join(thread, NULL);
    ring_free(ring);
    ring = NULL;
    started = false;
    turn_first = NULL;
    turn_last = &turn_first;
    memset(line, 0, sizeof line);
}

uint64_t loader_loads(void) {
    return __atomic_load_n(&loads, __ATOMIC_RELAXED);
}

uint64_t loader_failures(void) {
    return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}

uint64_t loader_wanted(void) {
    return __atomic_load_n(&wanted, __ATOMIC_RELAXED);
}

/* Served first: it never seems to be ahead. */
size_t loader_waiting(void) {
    uint64_t done = __atomic_load_n(&served, __ATOMIC_RELAXED);
    return (size_t)(loader_wanted() - done);
}
