/* SPDX-License-Identifier: GPL-3.0-or-later
 * apply.h - server-side apply, and who owns which field: metadata.managedFields, as upstream keeps them. Pure.
 *
 *   live + what a manager applies  ->  merged: his fields, less those he applied before and applies no more
 *                                      refused where another manager owns a field he would change, unless forced
 */
#pragma once
#include "modules/kube/fault.h"
#include "modules/kube/shape.h"

enum { MANAGERS_MAX = 100, MANAGER_NAME_MAX = 128 };

struct author {
    const char *manager;     /* ?fieldManager=… */
    const char *api_version; /* of the request's object */
    const char *time;        /* RFC 3339 */
};

/* `live` NULL: there is none yet. False: *fault, 409 with one cause per field that is another's. Whatever *ret is, its metadata
 * other than labels, annotations, owners and finalizers is live's. */
bool apply_server_side(const json_t *live, const json_t *config, const struct shape *,
                       const struct author *, bool force, struct fault *, json_t **ret);
/* After any other write: `object` (changed: its managedFields) is what `live` (NULL: nothing) becomes; what differs is the
 * author's now. Managed fields that the request itself brought take the place of live's. */
void apply_track(const json_t *live, json_t *object, const struct shape *, const struct author *);
