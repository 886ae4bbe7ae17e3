/* SPDX-License-Identifier: GPL-3.0-or-later
 * exhausted.h - the edge has run out of something, and who had to give some of it up: in the log once a while, as events, as metrics.
 */
#pragma once
#include "core/map.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct edge;

struct exhausted {
    uint64_t seen, shed;      /* of the figures, at the last look */
    int64_t last_ns, said_ns; /* when it was last short; when that was last said; 0: it is not */
    struct map tenants;       /* name -> how much was taken from it by the last look, as a number */
};

/* Before listeners are started. */
void exhausted_init(void);
void exhausted_beat(struct edge *);
void exhausted_print(FILE *);
void exhausted_fini(struct exhausted *);
