/* SPDX-License-Identifier: GPL-3.0-or-later
 * calls.c - see calls.h. Many threads that save a row at one time share one sync of the disk.
 */
#include "modules/acme/calls.h"
#include "core/control_host.h"
#include <pthread.h>

struct call { /* on its thread's stack */
    struct call *next;
    void (*run)(void *user);
    void *user;
    bool commit, done, good;
    struct err err;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct call *first, **last = &first;
static bool is_open, posted;

static struct call *calls_take(void) {
    pthread_mutex_lock(&lock);
    struct call *list = first;
    first = NULL;
    last = &first;
    posted = false;
    pthread_mutex_unlock(&lock);
    return list;
}

static bool calls_run(struct call *list, struct err *err) {
    bool commit = false;
    for (struct call *c = list; c; c = c->next) {
        c->run(c->user);
        commit |= c->commit;
    }
    return !commit || control_commit(err);
}

/* Control thread. */
static void answer(void *user) {
    struct err err = {""};
    (void)user;
    struct call *list = calls_take();
    bool committed = calls_run(list, &err);
    pthread_mutex_lock(&lock);
    for (struct call *c = list, *next; c; c = next) {
        next = c->next; /* once it is done it is gone */
        c->good = committed || !c->commit;
        c->err = err;
        c->done = true;
    }
    pthread_cond_broadcast(&answered);
    pthread_mutex_unlock(&lock);
}

void calls_open(void) {
    pthread_mutex_lock(&lock);
    is_open = true;
    posted = false;
    pthread_mutex_unlock(&lock);
}

void calls_close(void) {
    pthread_mutex_lock(&lock);
    is_open = false;
    for (struct call *c = first; c; c = c->next) {
        err_set(&c->err, "the edge ends");
        c->done = true;
    }
    first = NULL;
    last = &first;
    pthread_cond_broadcast(&answered);
    pthread_mutex_unlock(&lock);
}

bool call_control(void (*run)(void *), void *user, bool commit, struct err *err) {
    struct call call = {.run = run, .user = user, .commit = commit};
    pthread_mutex_lock(&lock);
    if (is_open && (posted || (posted = control_post(answer, NULL)))) {
        *last = &call;
        last = &call.next;
        while (!call.done)
            pthread_cond_wait(&answered, &lock);
    } else {
        err_set(&call.err, "the edge ends");
    }
    pthread_mutex_unlock(&lock);
    if (!call.good)
        *err = call.err;
    return call.good;
}
