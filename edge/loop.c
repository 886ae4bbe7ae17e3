/* SPDX-License-Identifier: GPL-3.0-or-later
 * loop.c - poll, call what is ready, fire what is due. A removed source leaves a hole until the next turn, so that a
 * callback may remove anything, also itself.
 */
#include "edge/loop.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { RETRY_MS = 100 };

int64_t loop_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* The array with room for one more, or NULL: no memory (the old one stays). */
static void *room_make(void *array, size_t count, size_t *room) {
    if (count < *room)
        return array;
    size_t bigger = *room ? *room * 2 : 16;
    void *moved = realloc(array, bigger * sizeof(void *));
    if (moved)
        *room = bigger;
    return moved;
}

bool loop_add(struct loop *l, struct loop_source *s) {
    struct loop_source **array = room_make(l->source, l->source_count, &l->source_room);
    if (!array)
        return false;
    l->source = array;
    l->source[l->source_count++] = s;
    return true;
}

bool loop_add_timer(struct loop *l, struct loop_timer *t) {
    struct loop_timer **array = room_make(l->timer, l->timer_count, &l->timer_room);
    if (!array)
        return false;
    l->timer = array;
    l->timer[l->timer_count++] = t;
    return true;
}

void loop_remove(struct loop *l, struct loop_source *s) {
    for (size_t i = 0; i < l->source_count; i++)
        if (l->source[i] == s)
            l->source[i] = NULL;
}

void loop_remove_timer(struct loop *l, struct loop_timer *t) {
    for (size_t i = 0; i < l->timer_count; i++)
        if (l->timer[i] == t)
            l->timer[i] = NULL;
}

static void holes_close(struct loop *l) {
    size_t kept = 0;
    for (size_t i = 0; i < l->source_count; i++)
        if (l->source[i])
            l->source[kept++] = l->source[i];
    l->source_count = kept;
    kept = 0;
    for (size_t i = 0; i < l->timer_count; i++)
        if (l->timer[i])
            l->timer[kept++] = l->timer[i];
    l->timer_count = kept;
}

static int64_t next_due(const struct loop *l) {
    int64_t due = 0;
    for (size_t i = 0; i < l->timer_count; i++)
        if (l->timer[i] && l->timer[i]->due_ns && (!due || l->timer[i]->due_ns < due))
            due = l->timer[i]->due_ns;
    return due;
}

static int wait_for(struct loop *l, int64_t most_ns) {
    for (size_t i = 0; i < l->source_count; i++)
        l->fds[i] = (struct pollfd){.fd = l->source[i]->fd, .events = l->source[i]->events};
    int64_t due = next_due(l), left = due ? due - loop_now_ns() : most_ns;
    if (due && left < 0)
        left = 0;
    if (most_ns >= 0 && left > most_ns)
        left = most_ns;
    struct timespec timeout = {left / 1000000000, left % 1000000000};
    return ppoll(l->fds, l->source_count, left < 0 ? NULL : &timeout, NULL);
}

static void timers_fire(struct loop *l) {
    int64_t now = loop_now_ns();
    for (size_t i = 0; i < l->timer_count && !l->stopped; i++)
        if (l->timer[i] && l->timer[i]->due_ns && l->timer[i]->due_ns <= now) {
            l->timer[i]->due_ns = 0;
            l->timer[i]->fire(l->timer[i]);
        }
}

static void fds_make(struct loop *l) {
    if (l->source_count <= l->fds_room)
        return;
    struct pollfd *more = realloc(l->fds, l->source_room * sizeof *more);
    if (!more)
        abort(); /* a control thread that can't wait would spin */
    l->fds = more;
    l->fds_room = l->source_room;
}

void loop_turn(struct loop *l, int64_t most_ns) {
    holes_close(l);
    fds_make(l);
    size_t count = l->source_count; /* those added meanwhile are polled in the next turn */
    int ready = wait_for(l, most_ns);
    if (ready < 0 &&
        errno !=
            EINTR) /* no memory, or a limit below what is open: not to be tried at once again */
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
    for (size_t i = 0; ready > 0 && i < count && !l->stopped; i++)
        if (l->fds[i].revents && l->source[i])
            l->source[i]->ready(l->source[i], l->fds[i].revents);
    timers_fire(l);
}

void loop_run(struct loop *l) {
    while (!l->stopped)
        loop_turn(l, -1);
}

void loop_fini(struct loop *l) {
    free(l->source);
    free(l->timer);
    free(l->fds);
    *l = (struct loop){0};
}
