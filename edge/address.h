/* SPDX-License-Identifier: GPL-3.0-or-later
 * address.h - addresses with ports as operators write them; the rest is tenants/network.h.
 */
#pragma once
#include "tenants/network.h"

/* "203.0.113.7:443" or "[2001:db8::7]:443". */
bool endpoint_parse(const char *text, union address *ret);
const char *address_print_host(const union address *, char out[ADDRESS_TEXT_MAX]);
void address_set_port(union address *, uint16_t port);
bool address_is_any(const union address *); /* 0.0.0.0 or [::] */
socklen_t address_length(const union address *);
