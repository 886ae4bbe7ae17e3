/* SPDX-License-Identifier: GPL-3.0-or-later
 * status.h - the API's own words for what is not to be: Status objects as the API server writes them. Pure.
 */
#pragma once
#include "modules/kube/kinds.h"
#include <jansson.h>

/* Code and reason go together: 404 NotFound, 409 Conflict, … `kind` and `name` may be NULL. */
json_t *status_failure(int code, const char *reason, const struct kube_kind *, const char *name,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));
json_t *status_not_found(const struct kube_kind *, const char *name);
json_t *status_no_such_path(void);
/* What may not be done with a name or a namespace, there or not: always the same words. */
json_t *status_forbidden(const struct kube_kind *, const char *user, const char *verb,
                         const char *namespace, const char *name);
json_t *status_success(const struct kube_kind *, const char *name, const char *uid);
int status_code(const json_t *status); /* of a failure; 200 for all else */
