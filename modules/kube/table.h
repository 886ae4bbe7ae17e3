/* SPDX-License-Identifier: GPL-3.0-or-later
 * table.h - objects as rows: what `kubectl get` prints, decided by the server as in Kubernetes. Pure.
 */
#pragma once
#include "modules/kube/kinds.h"
#include <jansson.h>
#include <stdint.h>

enum include_object { INCLUDE_METADATA, INCLUDE_NONE, INCLUDE_OBJECT };

/* A meta.k8s.io/v1 Table without rows. */
json_t *table_new(const struct kube_kind *, const char *resource_version, bool with_columns);
void table_add(json_t *table, const struct kube_kind *, json_t *object, enum include_object,
               int64_t now);
/* How old something is, as kubectl says it: "45s", "3h12m", "2d". */
enum { AGE_MAX = 32 };
const char *age_text(int64_t seconds, char out[AGE_MAX]);
