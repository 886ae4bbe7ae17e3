/* SPDX-License-Identifier: GPL-3.0-or-later
 * spare.h - how much memory is left, by whichever limit is the nearest: what edge.yaml says, the process's own limits, its cgroup's,
 * the machine's.
 *
 *   spare_open (before the jail) --descriptors--> spare_look, every beat --> left, and whether that is little
 *
 * Reads only; what follows from it is core/strain.h.
 */
#pragma once
#include "core/strain.h"
#include <stdint.h>

enum spare_limit { SPARE_CONF, SPARE_AS, SPARE_DATA, SPARE_CGROUP, SPARE_MACHINE, SPARE_LIMITS };

struct spare {
    int64_t memory; /* of edge.yaml; 0: it says nothing */
    int statm, meminfo;
    int limit, use, stat;          /* of the cgroup; -1: there is none */
    int64_t reserve[SPARE_LIMITS]; /* 0: not looked at yet */
};

struct spare_look { /* of the nearest limit */
    const char *what;
    int64_t limit, left,
        reserve; /* left may be negative; reserve: below it memory is tight, below half of it dire */
    enum strain strain;
};

/* `root`: "", or where the tests have made a /proc and a /sys/fs/cgroup. What is not there limits nothing. */
void spare_open(struct spare *, int64_t memory, const char *root);
/* The first look decides how large reserves are: at most half of what is left then. */
struct spare_look spare_look(struct spare *);
void spare_close(struct spare *);
