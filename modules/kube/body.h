/* SPDX-License-Identifier: GPL-3.0-or-later
 * body.h - what a request brings: an object or a patch, as JSON, YAML or protobuf; and whether it is one for this path. Pure.
 */
#pragma once
#include "modules/kube/fault.h"
#include "modules/kube/kinds.h"
#include "modules/kube/strict.h"
#include "modules/kube/target.h"

enum body_form {
    BODY_JSON,
    BODY_YAML,
    BODY_PROTOBUF,
    BODY_MERGE,
    BODY_JSON_PATCH,
    BODY_STRATEGIC,
    BODY_APPLY,
    BODY_OTHER
};
enum body_form body_form(const char *content_type);
/* `warnings` gets texts. False: *fault (400, 413, 415). */
bool body_read(const char *body, size_t length, enum body_form, enum strictness, json_t *warnings,
               struct fault *, json_t **ret);

/* Is it an object of this kind, for this name ("" when the path has none) and namespace? Fills in what the path says and it does
 * not; makes a name of generateName. False: *fault. */
bool body_fits(json_t *object, const struct kube_kind *, const struct target *, struct fault *);
