/* SPDX-License-Identifier: GPL-3.0-or-later
 * directory.h - the writing side of names.h: the table's nodes, and versions. Control thread only.
 */
#pragma once
#include "core/names.h"
#include "tenants/compiled.h"
#include <urcu/urcu-qsbr.h>

struct name_node {
    struct name_entry entry;
    bool gone; /* replaced or deleted: not in the table any more */
    uint16_t length;
    char key[]; /* "name", "*.rest", ".tree" or "#port" */
};

enum { PIN_STRIDE = 16 }; /* of version->pins: a cache line for each worker */

/* For ahead.c, in two steps, so that what each reads can be fetched before: where the probe for a name begins, and the node that
 * stands there if its hash is that name's. */
const void *names_slot(const char *name, size_t length, uint64_t *ret_hash);
const struct name_node *names_slot_node(const void *slot, uint64_t hash);
size_t names_count(void); /* about how many there are */

bool directory_init(void);
void directory_fini(void);
/* NULL: no memory. */
struct name_node *directory_node(struct version *, enum name_kind, const char *name,
                                 const void *object);
struct name_node *directory_port_node(struct version *, uint16_t port, const void *object);
/* Makes room for so many more; false: no memory. Before directory_put, which can't fail. */
bool directory_reserve(size_t more);
/* Makes it what its key answers with; what the key answered before is marked gone. */
void directory_put(struct name_node *);
void directory_delete(struct name_node *); /* unless it is gone already */

bool version_pinned(const struct version *, unsigned workers);
