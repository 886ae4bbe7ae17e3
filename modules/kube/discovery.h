/* SPDX-License-Identifier: GPL-3.0-or-later
 * discovery.h - what there is to be asked for: the documents that kubectl reads first. Pure; the same for every tenant.
 */
#pragma once
#include "modules/kube/accept.h"
#include "modules/kube/target.h"
#include <jansson.h>

/* The document at this path, for TARGET_ROOT, _VERSION, _API, _APIS, _GROUP and _GROUP_VERSION; NULL: there is none. */
json_t *discovery_of(const struct target *, enum form);
/* The Content-Type that says which form it has. */
const char *discovery_type(const struct target *, enum form);
bool group_version_exists(const char *group, const char *version);
