/* SPDX-License-Identifier: GPL-3.0-or-later
 * loop.h - the control thread's loop: descriptors to wait for and times to wake at, embedded in what owns them.
 * Not the data path: a plain poll(2) over a handful of descriptors.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop_source {
    int fd;
    short events; /* POLLIN, POLLOUT; may be changed at any time */
    void (*ready)(struct loop_source *, short revents);
};
struct loop_timer {
    int64_t due_ns; /* CLOCK_MONOTONIC; 0: not set. It is 0 again when `fire` is called */
    void (*fire)(struct loop_timer *);
};

struct loop {
    struct loop_source **source;
    struct loop_timer **timer;
    struct pollfd *fds; /* one for each source there is room for */
    size_t fds_room;
    size_t source_count, source_room, timer_count, timer_room;
    bool stopped;
};

int64_t loop_now_ns(void);
/* False: no memory. Nothing is owned; what is added must be removed before it goes. Removing from within `ready`/`fire` is
 * allowed for anything. */
bool loop_add(struct loop *, struct loop_source *);
void loop_remove(struct loop *, struct loop_source *);
bool loop_add_timer(struct loop *, struct loop_timer *);
void loop_remove_timer(struct loop *, struct loop_timer *);
/* Until loop->stopped. */
void loop_run(struct loop *);
/* Waits once, for at most so long (<0: as long as it takes), and calls what is ready and due. */
void loop_turn(struct loop *, int64_t most_ns);
void loop_fini(struct loop *);
