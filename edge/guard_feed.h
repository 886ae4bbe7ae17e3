/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard_feed.h - from the ledger's latest window to one window of the machine.
 */
#pragma once
#include "core/shutoff.h"

struct edge;
struct feed;

struct feed *feed_new(struct edge *); /* NULL: no memory */
/* After ledger_fold, before shutoff_judge. */
void feed_window(struct feed *, struct shutoff *, int64_t now_ms);
void feed_forget(struct feed *, const char *tenant);
void feed_free(struct feed *);
