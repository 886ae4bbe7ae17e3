/* SPDX-License-Identifier: GPL-3.0-or-later
 * endpoints.h - Services with their live ports, and where their pods are: EndpointSlices and Endpoints. Pure.
 */
#pragma once
#include "modules/kube/parts.h"

/* What upstream fills in where nothing is said. */
void service_defaults(json_t *object);
/* Defaults, nodePorts and status of written Services; Services that labels made. */
void services_enliven(struct making *);
/* Defaults and given ports, away again where the file (`original`, or NULL) did not say them. */
void service_undo(const json_t *original, const json_t *known, json_t *object);
/* For Services whose Endpoints or EndpointSlices nobody wrote. */
void endpoints_add(struct making *);
