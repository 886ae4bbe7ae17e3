/* SPDX-License-Identifier: GPL-3.0-or-later
 * view.h - pieces of the views that describe.c shows as well.
 */
#pragma once
#include "tenants/inside.h"
#include "tenants/time_json.h"

const char *entry_state(const struct entry *);
json_t *claim_json(const struct registry *, const struct claim *);
json_t *port_json(const struct entry *, const struct raw_port *);
