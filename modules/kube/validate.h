/* SPDX-License-Identifier: GPL-3.0-or-later
 * validate.h - what is wrong with an object's values, as causes worded like the API server's. Pure.
 *
 * Types have been looked at before (strict.h). Whether the edge can give what is asked for is no matter of validity: those are
 * states of the object, with events. Where this edge is more generous than upstream (names with `_`, labels kr.ingress.*, an
 * Ingress of only tls.hosts), so is this.
 */
#pragma once
#include "modules/kube/fault.h"

/* Adds causes. `old` NULL: the object is new. True: there were none. */
bool object_validate(const json_t *object, const json_t *old, struct fault *);
