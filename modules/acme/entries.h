/* SPDX-License-Identifier: GPL-3.0-or-later
 * entries.h - the table of entries that are awake: each under its id, with its tenant, and beside the time when it is due. Of rows and files
 * it knows nothing. The keeper's lock held.
 */
#pragma once
#include "modules/acme/keeper.h"

/* One more of this tenant, of which only that is known; NULL: no memory. */
struct entry *entry_add(struct followed *, const char *id, const char *uid, const char *ingress,
                        const char *const *name, size_t count);
/* Out of the table, and freed. */
void entry_remove(struct entry *);
/* Its times changed, or whether they count. */
void entry_due(struct entry *);
