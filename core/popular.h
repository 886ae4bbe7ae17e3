/* SPDX-License-Identifier: GPL-3.0-or-later
 * popular.h - the hosts that most requests are for, over all workers and tenants: counted where requests are routed (host_count,
 * core/module.h), folded on the control thread. Only hosts that some tenant has rules for are ever counted, under the rule's own name,
 * so that a client can't make up new ones.
 */
#pragma once
#include "core/top.h"
#include "tenants/compiled.h"

struct worker;

struct popular {
    const char *tenant,
        *host; /* of the version that is published; "" are the rules without a host */
    uint64_t hits;
    uint64_t weight;
};

/* What a published version's hosts are counted under: the same in all versions. */
void popular_keys_set(struct tenant *);
/* Every host with rules of every tenant that is live, and the rules without a host (publish.c). */
void published_hosts(void (*each)(const struct tenant *, const struct host *, void *user),
                     void *user);
/* On the control thread: those `most` (at most), the most popular first. Returns how many; 0 when nothing is counted. */
size_t popular_find(struct popular *ret, size_t most);
