/* SPDX-License-Identifier: GPL-3.0-or-later
 * shown.h - what a tenant is shown of an engine's answers, with the public numbers of his raw ports. Pure.
 */
#pragma once
#include "modules/docker/conf.h"
#include "modules/docker/wire.h"

struct shown {
    const struct docker_engine *engine; /* whose its containers are */
    const char *tenant;                 /* only his are shown; NULL: all */
    const json_t *ports;                /* as `ringress get ports -o json` says them */
    const json_t *tenants; /* as `ringress get tenants -o json` does: for the domains */
    bool by_address;       /* a name where Docker has an address would not be read */
    size_t most;           /* of a list: so many of the newest; 0: all */
};
/* Docker's own clients read those fields as addresses from version 29 on, and fail at a name. `agent`: their User-Agent. */
bool shown_by_address(const char *agent);
/* The edge's own module, which asks before the edge can be asked: its lists have no public ports. */
bool shown_plain(const char *agent);
/* Is this container, as listed or inspected, to be shown? */
bool shown_is(const struct shown *, const json_t *container);
/* The rows of GET /containers/json: others' taken out, ports added. A new reference; NULL: it is no list. */
json_t *shown_list(const struct shown *, const json_t *rows);
/* The same of an inspected container that is shown: its ports are added to NetworkSettings.Ports. */
void shown_inspected(const struct shown *, json_t *inspected);
