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
