/* SPDX-License-Identifier: GPL-3.0-or-later
 * fieldset.h - which fields of an object somebody means: upstream's `fieldsV1`, as the tree of JSON it is written as.
 *
 *   {"f:spec": {"f:type": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}}}
 *
 * A field is in the set when its object is empty or holds ".". Pure; trees come from clients too, so nothing in them is taken
 * for granted. How deep it goes is the caller's to bound (PATCH_DEPTH).
 */
#pragma once
#include "modules/kube/shape.h"

/* Every leaf of an object: scalars, what is written as a whole, what is empty; and the items of keyed lists. New. */
json_t *fieldset_of(const json_t *object, const struct shape *);
/* Those leaves of `now` that `before` has not, or has otherwise. New. */
json_t *fieldset_changed(const json_t *before, const json_t *now, const struct shape *);

/* What stands for one item of a PART_KEYED or PART_SET list in a set: `k:{…}`, `v:…`; malloc'd, NULL: it has no key. */
char *fieldset_item(const struct part *, const json_t *item);
/* Is the field itself in the set, of which `node` is what stands below its name? NULL: no. */
bool fieldset_member(const json_t *node);

bool fieldset_empty(const json_t *set);
json_t *fieldset_union(const json_t *, const json_t *);     /* new */
json_t *fieldset_intersect(const json_t *, const json_t *); /* new */
json_t *fieldset_subtract(const json_t *, const json_t *);  /* of the first; new */

/* `path` is as upstream prints it: `.spec.ports[port=80,protocol="TCP"].name`. */
void fieldset_each(const json_t *set, void (*visit)(void *user, const char *path), void *user);
