/* SPDX-License-Identifier: GPL-3.0-or-later
 * own.h - the addresses of this machine, and what the edge listens on there, kept up to date: no pod is ever dialled at a listener, and
 * at another of these addresses only when the tenant's grant names it.
 */
#pragma once
#include "edge/conf.h"
#include "edge/loop.h"
#include "tenants/network.h"

struct own_watch {
    struct loop_source
        source; /* the kernel's news of addresses; fd -1: none, it is looked now and then */
    bool changed;
    int64_t looked_ns;
};

/* Both arrays are the caller's; false: no memory. */
bool own_look(const struct edge_conf *, struct own *ret);
void own_watch_init(struct own_watch *, struct loop *);
/* Every beat. True: they may be others since the last time this said so. */
bool own_watch_due(struct own_watch *);
void own_watch_fini(struct own_watch *, struct loop *);
