/* SPDX-License-Identifier: GPL-3.0-or-later
 * capability.h - the few capabilities(7) that an edge may go on with, as edge.yaml names them, and how the rest is given up.
 *
 * A set is a mask of 1 << CAP_…. What is done here is done to the calling thread, and to all that it starts afterwards.
 */
#pragma once
#include "core/diag.h"
#include <stdint.h>

/* "net_admin" and the like. False: there is no such capability, or none that an edge has a use for. */
bool capability_parse(const char *name, uint64_t *ret);
/* "net_bind_service, sys_admin", or "none". */
void capabilities_print(uint64_t set, char ret[160]);
/* Of this process: what it could use. */
uint64_t capabilities_held(void);
/* The bounding set and the ambient set become empty, as far as this process may; held capabilities stay. */
void capabilities_bound(void);
/* No more than `set` is held from now on, nothing is inherited, and becoming root gives none. False: *err. */
bool capabilities_keep(uint64_t set, struct err *err);
