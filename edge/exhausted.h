/* SPDX-License-Identifier: GPL-3.0-or-later
 * exhausted.h - the edge runs out of descriptors or memory, and who has to give some up: in the log once a while, as events, as metrics.
 */
#pragma once
#include "core/map.h"
#include "edge/spare.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct edge;
struct err;

struct lack {                 /* of one of the two */
    int64_t last_ns, said_ns; /* when it was last short; when that was last said; 0: it is not */
};

struct exhausted {
    struct spare spare;
    struct spare_look look; /* the last */
    struct lack descriptors, memory;
    uint64_t short_of, failed, memory_shed, shed; /* of the figures, at the last look */
    struct map tenants; /* name -> how much was taken from it by the last look, as a number */
};

/* Before the jail: what there is to be read. */
void exhausted_open(struct exhausted *, int64_t memory);
/* How much of what is left now the workers' buffers may take, of all workers; 0: as much as they like. */
int64_t exhausted_buffer_memory(struct exhausted *);
/* Before listeners are started. */
void exhausted_init(struct exhausted *);
void exhausted_beat(struct edge *);
/* Is there memory for a tenant's files of so many bytes, and what is made of them? False: *err says how much there is. */
bool exhausted_has_for(struct exhausted *, size_t bytes, struct err *);
void exhausted_print(const struct exhausted *, FILE *);
void exhausted_fini(struct exhausted *);
