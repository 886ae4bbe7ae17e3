/* SPDX-License-Identifier: GPL-3.0-or-later
 * engine.h - one engine, followed by a thread of its own for as long as the edge runs.
 *
 *   connect -> subscribe to events -> list -> inspect what is new -> tell
 *      ^                                 events: inspect whom they are about -> tell
 *      +-- lost: what was known stays for `keep`, then nothing of it is ready
 *
 * Subscribed first and listed then, nothing falls in between. An event only says whom to look at: what counts is what inspect shows
 * afterwards, so that events may come late, twice or not at all; everything is listed again now and then.
 */
#pragma once
#include "modules/docker/conf.h"
#include <stdio.h>

struct engine;

/* Begins to follow. NULL: *err. */
struct engine *engine_new(const struct docker_engine *, struct err *);
/* On the control thread: waits until it is known what runs, or that it can't be known, for at most so long; then that is live. */
void engine_await(struct engine *, int64_t ms);
/* Ends the thread. */
void engine_free(struct engine *);

struct engine_figures {
    const char *socket;
    bool up;
    size_t containers; /* that ask for routes */
    uint64_t events, lists, losses;
};
struct engine_figures engine_figures(const struct engine *);
