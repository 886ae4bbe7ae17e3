/* SPDX-License-Identifier: GPL-3.0-or-later
 * store_read.h - rows read again while the edge runs, as modules do that keep more than they hold in memory.
 */
#pragma once
#include "edge/store.h"

/* One row with what waits to be written; malloc'd, NULL: there is none. */
char *store_read(const struct store *, const char *key);
/* The rows whose keys begin so, in their order, with what waits to be written. `row` may put. */
void store_each(const struct store *, const char *prefix,
                void (*row)(void *user, const char *key, const char *value), void *user);
