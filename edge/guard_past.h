/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard_past.h - what is known of a port, or of a tenant's names, when the edge is started again or what was given back is taken again:
 * how often it was shut, and until when. As the text of one row, whose times are the wall clock's. No clock, no store.
 */
#pragma once
#include "core/shutoff.h"

enum { PAST_TEXT = 64 + SHUTOFF_WHY };

/* `now_ms`: the machine's clock, `wall`: the same moment in seconds since 1970. */
void past_print(const struct shutoff_unit *, int64_t now_ms, int64_t wall, char out[PAST_TEXT]);
/* What is left of it at `wall`; `ret->why` lies in `text`. False: nothing, or it is no such text. */
bool past_read(const char *text, const struct shutoff_conf *, int64_t wall,
               struct shutoff_past *ret);
