/* SPDX-License-Identifier: GPL-3.0-or-later
 * strict.h - is a body the object it says it is: JSON, of fields that are known and of the right types? What upstream's decoder
 * would say, before anything is asked about values. Pure.
 */
#pragma once
#include "modules/kube/fault.h"
#include "modules/kube/shape.h"

enum strictness { STRICT_IGNORE, STRICT_WARN, STRICT_ERROR };

/* ?fieldValidation=…; NULL or "": as upstream's default, Warn. False: *fault, 422. */
bool strictness_parse(const char *text, enum strictness *ret, struct fault *);
/* The JSON of a body. Keys that are there twice are the last one's, which is a warning or an error as well. `warnings` gets texts. */
bool body_parse(const char *text, size_t length, enum strictness, json_t *warnings, struct fault *,
                json_t **ret);
/* Fields that are of another type than upstream's are a 400 whatever the strictness; unknown ones are as it says, and are taken away,
 * but for those that `live` (NULL: there is none) has at that place, too: a file says them, and they are its own business. */
bool object_strict(json_t *object, const json_t *live, const struct shape *, enum strictness,
                   json_t *warnings, struct fault *);
/* Lists and maps that are empty and need not be there go, as upstream leaves them out. Of an object that passed object_strict. */
void object_tidy(json_t *object, const struct shape *);
