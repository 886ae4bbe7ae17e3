/* SPDX-License-Identifier: GPL-3.0-or-later
 * record.h - what is to be told of one exchange when it is over: filled where things happen, told once, by record_end.
 *
 *   begin -> routed -> pod -> connected -> first byte -> (failed) -> end: the tenant's counters, a line of the access log
 *
 * Times are microseconds since the first byte of the request; 0: it did not happen (what happens in the same turn of the loop counts
 * as one microsecond).
 */
#pragma once
#include "core/module.h"

struct exchange;
struct route;
struct backend;
struct slice;

struct record {
    int64_t begun_us;
    uint64_t bytes_out; /* of the edge's own answer */
    uint32_t routed_us, connected_us, first_byte_us;
    uint16_t status;           /* of the edge's own answer; 0: the pod's, if it was on its way */
    uint8_t error;             /* enum access_error: the first thing that went wrong */
    uint8_t refusal;           /* 0, or 1 + enum limit: what refused it */
    bool over;                 /* answered as it should be */
    bool told;                 /* or promised at the end of what it became */
    const struct route *route; /* the pinned version's, all three */
    const struct backend *backend;
    const struct upstream *pod;
};

void record_begin(struct exchange *);
void record_routed(struct exchange *, const struct route *, const struct backend *);
void record_pod(struct exchange *, const struct upstream *); /* asked now */
void record_connected(struct exchange *);
void record_first_byte(struct exchange *);
/* Only the first failure is kept: what follows from it is no news. */
void record_failed(struct exchange *, enum access_error);
/* A limit or a list of the tenant said no. */
void record_refused(struct exchange *, enum limit);
void record_pod_failed(struct exchange *, int error);              /* negative errno */
void record_expired(struct exchange *, bool pod_slow);             /* time is up */
void record_answered(struct exchange *, int status, size_t bytes); /* by the edge itself */
/* Became a tunnel: its line is written when that ends. `rest`: what came behind the pod's 101. */
void record_tunnel(struct exchange *, const struct slice *rest);
/* Before anything of the exchange is freed. */
void record_end(struct exchange *);
