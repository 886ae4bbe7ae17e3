/* SPDX-License-Identifier: GPL-3.0-or-later
 * flow.h - what is known of a connection that is joined to a pod, for its line in the access log. There only while there is a log.
 */
#pragma once
#include "core/access.h"
#include "core/relay.h"

struct conn;
struct upstream;

struct flow {
    struct access_record record; /* its texts lie in `text` */
    struct relay_tally tally;
    const struct upstream *pod; /* the version of the connection keeps it */
    bool owed;                  /* the line is still to be written */
    size_t size;
    char text[];
};

/* The connection's own, made when it has none; NULL: no log, or no memory for it. */
struct flow *flow_of(struct conn *);
void flow_connected(struct conn *, const struct upstream *);
/* A connection to a pod was not to be had, again. */
void flow_retried(struct conn *);
void flow_failed(struct conn *, enum access_error);
/* The line, if there is to be one. */
void flow_end(struct conn *);
void flow_free(struct conn *);
