/* SPDX-License-Identifier: GPL-3.0-or-later
 * network.h - addresses as text, and which of them may be dialled for a tenant. The judge of the
 * latter is
 * network_allows (compiled.h); this is what only tenants/ needs.
 */
#pragma once
#include "tenants/compiled.h"

enum { ADDRESS_TEXT_MAX = 64 };

bool address_parse(const char *text, uint16_t port, union address *ret);
bool address_same(const union address *, const union address *);
uint16_t address_port(const union address *);
/* "10.0.0.1:80", "[fd00::1]:80" */
void address_print(const union address *, char text[ADDRESS_TEXT_MAX]);
/* "10.11.0.0/16"; bits below the prefix must be zero. */
bool prefix_parse(const char *text, struct prefix *ret);
/* NULL: may be dialled. Else the reason. `own`: the edge's listeners. */
const char *network_refusal(const struct network *, const union address *own, size_t own_count,
                            const union address *);
