/* SPDX-License-Identifier: GPL-3.0-or-later
 * world.h - what an order's thread needs of the rest: time, rows, answers shown to the authority. The second seam of this module: world.c
 * does it through the control thread; unit tests do it in memory, and crash where they like.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t world_now(void);          /* Unix seconds */
bool world_wait(int64_t seconds); /* false: the edge ends, stop what you do */
bool world_ends(void);

char *world_row(const char *key); /* malloc'd; NULL: none */
/* On disk when it returns true. `also` NULL: one row only. value NULL: delete. */
bool world_rows_save(const char *key, const char *value, const char *also, const char *also_value,
                     struct err *);

/* What the authority will ask for; `answer`, `authorization` NULL: forget. */
bool world_show_http(const char *name, const char *token, const char *answer, struct err *);
bool world_show_dns(const char *name, const char *authorization, struct err *);
bool world_show_alpn(const char *name, const char *authorization, struct err *);

/* One new order for these names at this directory, now? Counted when it may be. A renewal of the same names is not counted against their
 * domains: authorities don't either. False: *ret_at says when the next may be. */
bool world_may_order(const char *directory, const char *const *name, size_t count, bool renewal,
                     int64_t *ret_at);
/* The authority said that it is too much; not before *at. */
void world_was_limited(const char *directory, int64_t at);
