/* SPDX-License-Identifier: GPL-3.0-or-later
 * shelf.h - the stored certificates whose files have been read: at most so many at once, the least asked for go first.
 *
 * Written by the loader and the control thread under one lock, which no worker ever takes: workers read stored->identity.
 * What goes leaves its identity to the control thread, since connections may still use it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct identity;
struct stored;

/* Who holds more than a share of them displaces its own. Tenants are told apart by a hash of their UIDs, drawn anew for each process: two of
 * them are one in one process of so many. */
enum { SHELF_OWNERS = 256 };

bool shelf_init(size_t most); /* false: no memory */
/* Takes the reference; false: it was dropped meanwhile. */
bool shelf_put(struct stored *, struct identity *taken);
void shelf_drop(struct stored *); /* and lets it not be put again */
size_t shelf_count(void);
size_t shelf_evictions(void);
/* Control thread: what went is retired, see retire.h. */
void shelf_reap(void);
void shelf_fini(void); /* no other thread uses it any more; every stored has been dropped */
