/* SPDX-License-Identifier: GPL-3.0-or-later
 * review.h - what a token may do, and whose it is: the questions of `kubectl auth can-i`, `auth whoami` and k9s. Pure.
 *
 * A token may do everything that there is with its own tenant's, so the answer follows from kinds.h.
 */
#pragma once
#include "modules/kube/kinds.h"
#include <jansson.h>

/* The question with its answer, new. `kind`: one that is asked. */
json_t *review_of(const struct kube_kind *kind, const json_t *question, const char *user);
