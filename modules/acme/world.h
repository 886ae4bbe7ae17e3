/* SPDX-License-Identifier: GPL-3.0-or-later
 * world.h - what an order's thread needs of the rest: time, rows, answers shown to the authority. The second seam of this module: world.c
 * does it through the control thread; unit tests do it in memory, and crash where they like.
 */
#pragma once
#include "core/control_host.h"
#include "core/diag.h"
#include "modules/acme/caa.h"
#include "modules/acme/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t world_now(void);     /* Unix seconds */
bool world_wait(int64_t ms); /* false: the edge ends, stop what you do */
bool world_ends(void);

char *world_row(const char *key); /* malloc'd; NULL: none */
/* On disk when it returns true. `also` NULL: one row only. value NULL: delete. */
bool world_rows_save(const char *key, const char *value, const char *also, const char *also_value,
                     struct err *);

/* What the authority will ask for; `answer`, `authorization` NULL: forget. */
bool world_show_http(const char *name, const char *token, const char *answer, struct err *);
/* A TXT beside others of that name; `show` false: this one goes, if it can't now then later (leftovers.h). */
bool world_show_dns(const char *name, const char *text, bool show, struct err *);
struct leftover;
void world_remove_left(
    const struct leftover *); /* asks its zone, and tells leftovers.c what came of it */
bool world_show_alpn(const char *name, const char *authorization, struct err *);

/* Do these names still point here? Asked anew when the last look is older than a minute; *ret_which: of which that is not so.
 * LOOK_WAITS: DNS took too long, or the edge ends. */
enum control_look world_recheck(const char *tenant, const char *const *name, size_t count,
                                size_t *ret_which);

/* May this authority (its names for CAA, separated by spaces) issue for these names, each proved by its method? RFC 8659, 8657. */
enum caa_verdict world_caa(const char *const *name, const char *const *method, size_t count,
                           const char *issuers, const char *account, char why[CAA_REASON_MAX]);

/* One new order for these names at this directory, now? Counted when it may be and `take`. False: *ret_at says when the next may be. */
bool world_may_order(const struct order_wish *, bool take, int64_t *ret_at);
/* The authority said that it is too much; not before *at. */
void world_was_limited(const char *directory, int64_t at);
