/* SPDX-License-Identifier: GPL-3.0-or-later
 * selector.h - which objects of a list are meant: by labels ("app=web,tier in (a, b),!old") and by fields
 * ("metadata.name=web,involvedObject.kind!=Pod"). Pure.
 */
#pragma once
#include "core/diag.h"
#include "modules/kube/kinds.h"
#include <jansson.h>

enum match { MATCH_NO, MATCH_YES, MATCH_MALFORMED };

/* NULL or "" select all. MATCH_MALFORMED: *err says why, whatever the object. */
enum match labels_match(const char *selector, const json_t *object, struct err *err);
/* Only the fields that the API server has for this kind. */
enum match fields_match(const char *selector, const struct kube_kind *, const json_t *object,
                        struct err *err);
/* The text at "metadata.name"; "" where there is none. */
const char *field_text(const json_t *object, const char *path);
