/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.h - an engine's API over its Unix socket, by libcurl: questions with one answer, and the stream of events. One thread each.
 */
#pragma once
#include "core/diag.h"
#include "modules/docker/lines.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REPLY_MOST = 16 << 20,
    REPLY_MS = 10000, /* for one answer */
};

struct line;   /* to one engine */
struct events; /* its stream */

/* `stop`: ends what is under way. NULL: no memory. */
struct line *line_new(const char *socket, const atomic_bool *stop);
void line_free(struct line *);

struct reply {
    long status;
    char *body; /* owned; NUL-terminated, never NULL after success */
    size_t length;
    char type[128];   /* Content-Type; "" */
    char passed[640]; /* what clients ask an engine's head for: "Api-Version: 1.45\r\n…" */
};
/* `head`: HEAD, not GET. False: no answer could be had, *err says why. reply_fini in either case. `most`: of the body. */
bool line_ask(struct line *, bool head, const char *path, size_t most, struct reply *ret,
              struct err *);
static inline bool line_get(struct line *l, const char *path, size_t most, struct reply *ret,
                            struct err *err) {
    return line_ask(l, false, path, most, ret, err);
}
void reply_fini(struct reply *);

/* ---- events: lines, told one by one from events_wait ---- */
/* Begins to connect. NULL: no memory. */
struct events *events_open(struct line *, const char *path, const struct events_taker *);
void events_close(struct events *);
/* Reads what is there; waits for more for at most so long, or until events_wake. False: the stream is over, *err says why. */
bool events_wait(struct events *, int64_t ms, struct err *);
bool events_flow(const struct events *);   /* the engine has agreed to tell them */
void line_rest(struct line *, int64_t ms); /* until then, or until line_wake */
void line_wake(struct line *);             /* from any thread */
