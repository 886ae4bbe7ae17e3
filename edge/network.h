/* SPDX-License-Identifier: GPL-3.0-or-later
 * network.h - the tenants' private networks as this machine has them now: the namespaces and devices that their pods are reached through.
 */
#pragma once
#include "core/names.h"
#include "core/sys.h"
#include "edge/loop.h"
#include "tenants/compiled.h"
#include <jansson.h>

struct edge;

enum { NETWORK_WHY_MAX = 320 };

struct networks { /* of the tenants that name a namespace or a device */
    struct network_item *item;
    size_t count, room, next;
    struct loop_source source; /* something happened in /run/netns; fd -1: nobody tells */
    bool hurry;                /* look at all of them now */
};

void networks_init(struct networks *, struct loop *);
/* What is published of this tenant, NULL: nothing. */
void networks_follow(struct networks *, const char *tenant, const struct version *);
/* Every beat: looks at some of them. Tenants whose network is another than the one they were published with are published anew. */
void networks_beat(struct edge *);
void networks_fini(struct networks *, struct loop *);

/* NULL, or why its pods can't be reached, whatever their state. */
const char *network_missing(const struct version *, char why[NETWORK_WHY_MAX]);
/* An event for each of these tenants whose network is not there. */
void network_events_add(json_t *events, json_t *tenants);
