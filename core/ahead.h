/* SPDX-License-Identifier: GPL-3.0-or-later
 * ahead.h - what conn_look_ahead (module.h) keeps on a worker: look-ups that have been announced and not yet been made.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct conn;

enum { AHEAD_MOST = 64 };

struct ahead_item { /* `at` and `then` point at what the next step reads */
    struct conn *conn;
    void (*run)(struct conn *, void *user);
    void *user;
    const void *at, *then;
    uint64_t hash;
};

struct ahead {
    unsigned count;
    bool
        open; /* while completions are handed out: what comes later in a turn would not be run in it */
    struct ahead_item item[AHEAD_MOST];
};

void ahead_open(struct worker *);
/* Once a turn, when its completions have all been handed out: fetches for all of them, then runs each. */
void ahead_run(struct worker *);
