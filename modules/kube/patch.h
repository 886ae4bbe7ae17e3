/* SPDX-License-Identifier: GPL-3.0-or-later
 * patch.h - three ways to say a change: RFC 7386, RFC 6902, and upstream's strategic merge. Pure: the object is not touched, what
 * comes of it is new.
 *
 * False: *fault says why, with upstream's code: 400 for what is no patch, 422 for one that does not fit the object, 413 for
 * one that is too much.
 */
#pragma once
#include "modules/kube/fault.h"
#include "modules/kube/shape.h"

enum {
    PATCH_DEPTH = 64,         /* nesting of the patch, and of what comes of it */
    PATCH_OPERATIONS = 10000, /* upstream's limit too */
    PATCH_NODES = 200000,     /* values that `copy` and `add` may make in all */
};

bool patch_merge(const json_t *object, const json_t *patch, struct fault *, json_t **ret);
bool patch_json(const json_t *object, const json_t *patch, struct fault *, json_t **ret);
/* `shape` of the object; NULL: nothing is known of it, and lists are replaced. */
bool patch_strategic(const json_t *object, const json_t *patch, const struct shape *shape,
                     struct fault *, json_t **ret);

/* Counts the values of a tree, itself included, and how deep it is; stops beyond PATCH_DEPTH. */
size_t tree_measure(const json_t *, size_t *ret_depth);
