/* SPDX-License-Identifier: GPL-3.0-or-later
 * watch.h - a client that is told of changes: a place in its tenant's log, read as fast as the client reads. The API's thread alone.
 *
 *   begin -> (ADDED for all there is) -> events from the log ... BOOKMARK ... -> end: time is up, or the log went on without it (410)
 */
#pragma once
#include "modules/kube/accept.h"
#include "modules/kube/follow.h"
#include "modules/kube/server.h"
#include "modules/kube/table.h"
#include "modules/kube/tokens.h"

struct watch_wish {
    const struct kube_kind *kind;
    const char *labels, *fields; /* judged already; NULL: all */
    const char *token;           /* its ID: the watch ends with it */
    enum form form;
    enum include_object include;
    bool initial;      /* all there is comes first */
    bool initial_ends; /* and a bookmark says when that is over */
    bool bookmarks;
    uint64_t version;   /* without `initial`: what follows this one */
    int64_t timeout_ms; /* 0: as long as we like */
};
/* NULL: no memory, or the log does not reach back to that version: *ret_gone. */
struct watch *watch_begin(struct client *, struct follow *, const struct watch_wish *,
                          bool *ret_gone);
void watch_free(struct watch *);    /* its client is gone */
void watch_drained(struct watch *); /* its client has taken what was sent */
void watches_pump(struct follow *); /* something may have changed */
void watches_beat(void);
size_t watches_count(void); /* any thread */

/* ---- what objects look like to a client ---- */
/* Is it one of those meant? Selectors were judged. */
bool object_selected(const struct kube_kind *, const char *labels, const char *fields,
                     const json_t *object);
/* In the form asked for: the object, its metadata, or a table of one row; the caller's. */
json_t *object_shown(const struct kube_kind *, json_t *object, enum form, enum include_object,
                     bool with_columns);
