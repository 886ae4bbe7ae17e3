/* SPDX-License-Identifier: GPL-3.0-or-later
 * fleet.h - the containers of one engine that ask for routes, and what each tenant's feed says of them. Pure; of one thread.
 */
#pragma once
#include "core/map.h"
#include "modules/docker/conf.h"
#include "modules/docker/wire.h"
#include "tenants/feed.h"

struct fleet {
    const struct docker_engine *conf;
    struct map containers; /* id -> struct kept */
};
struct kept {
    struct stash *stash;
    struct container c;
    uint64_t digest; /* of its row in the list; 0: it has not been listed since */
    bool here;       /* while a list is read */
};

/* Takes the stash that `c` points into. It runs and has labels; else use fleet_drop. False: there are too many. */
bool fleet_put(struct fleet *, struct stash *, const struct container *c);
void fleet_drop(struct fleet *, const char *id);
struct kept *fleet_get(const struct fleet *, const char *id);
void fleet_fini(struct fleet *);

/* What a tenant is to be told: his feed, and what stands in the way of his containers. */
struct news {
    struct stash *stash; /* of all this; the news is in it, too */
    const char *tenant;
    struct fed *fed;
    size_t count;
    struct news_event {
        const char *object, *reason, *message;
    } * event;
    size_t event_count;
};
/* `hinders`: why none of them is ready; NULL: nothing does. */
struct news *fleet_news(const struct fleet *, const char *tenant, const char *hinders);
