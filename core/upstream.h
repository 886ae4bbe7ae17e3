/* SPDX-License-Identifier: MIT
 * upstream.h - connections to pods: one `struct upstream` per (tenant, service, address, protocol), which outlives versions of its tenant;
 * on each worker a list of idle kept connections and a few counters.
 *
 * An upstream connection is never shared between tenants or services. All functions: on a worker, for that worker.
 */
#pragma once
#include "core/account.h"
#include "core/stream.h"
#include <netinet/in.h>

struct upstream;
struct upstream_set; /* the ready pods of one backend: what backend->host_set points at */

enum upstream_why { UPSTREAM_REUSED = 1 };

/* Picks a pod (fewest outstanding of two at random), and gives a stream to it: a kept idle connection when there is one and
 * `fresh` is false, else a connection that is being made (write at once; it is sent when connected; `connected` tells, or
 * `error`). `avoid`: a pod not to pick while there is another, or NULL. NULL with *ret_error negative: -ENETUNREACH no pod,
 * -EMFILE, -ENOMEM, -EACCES (the address is not allowed). Set your events with stream_consume at once. */
struct stream *upstream_open(struct worker *, struct upstream_set *, bool fresh,
                             const struct upstream *avoid, int *ret_error);
/* Facts about a stream from upstream_open. */
bool upstream_is_reused(const struct stream *);
struct upstream *upstream_of(const struct stream *);
const char *upstream_name(const struct upstream *); /* "10.11.0.5:8080" */
/* The exchange is over and the connection is clean: keep it idle for the next one. Takes the stream. */
void upstream_keep(struct stream *);
/* Otherwise: stream_close(). Tell what went wrong with the pod, for `get backends` (0: nothing). */
void upstream_report(struct upstream *, struct worker *, int error);
