/* SPDX-License-Identifier: GPL-3.0-or-later
 * endpoints.h - Services with their live ports, and where their pods are: EndpointSlices and Endpoints. Pure.
 */
#pragma once
#include "modules/kube/parts.h"

/* Defaults, nodePorts and status of written Services; Services that labels made. */
void services_enliven(struct making *);
/* The defaults, away again. */
void service_undo(json_t *object);
/* For Services whose Endpoints or EndpointSlices nobody wrote. */
void endpoints_add(struct making *);
