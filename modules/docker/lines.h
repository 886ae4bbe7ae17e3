/* SPDX-License-Identifier: GPL-3.0-or-later
 * lines.h - a stream of bytes, cut anyhow, into lines of a bounded length. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { LINE_MOST = 64 << 10 /* one event */ };

struct events_taker {
    void (*line)(void *user, const char *line, size_t length);
    void (*lost)(void *user); /* one was longer than LINE_MOST: what it said is not known */
    void *user;
};
struct lines {
    struct events_taker taker;
    char *text; /* the begin of a line */
    size_t length;
    bool skipping; /* the rest of a line that is too long */
};
/* False: no memory. */
bool lines_init(struct lines *, const struct events_taker *);
void lines_fini(struct lines *);
/* Empty lines are none; what follows the last newline waits for the next. */
void lines_feed(struct lines *, const char *data, size_t length);
