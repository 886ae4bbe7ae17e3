/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard_feed.h - from the ledger's looks and windows to windows of the machine.
 */
#pragma once
#include "core/shutoff.h"

struct edge;
struct feed;

struct feed *feed_new(struct edge *); /* NULL: no memory */
/* After ledger_look. False: all is calm, and there is nothing to judge yet. */
bool feed_window(struct feed *, struct shutoff *, int64_t now_ms);
void feed_free(struct feed *);
