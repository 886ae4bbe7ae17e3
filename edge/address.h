/* SPDX-License-Identifier: GPL-3.0-or-later
 * address.h - addresses, ports and prefixes as operators write them, and back.
 */
#pragma once
#include "tenants/compiled.h"

enum { ADDRESS_TEXT = 64 }; /* room for "[v6 address]:port" and its NUL */

/* "203.0.113.7:443" or "[2001:db8::7]:443". */
bool address_parse(const char *text, union address *ret);
/* The same without a port, which is then 0. */
bool address_parse_host(const char *text, union address *ret);
/* "10.0.0.0/8", "2001:db8::/32" or a single address. Bits past the length must be 0. */
bool prefix_parse(const char *text, struct prefix *ret);
const char *address_print(const union address *, char out[ADDRESS_TEXT]);
const char *address_print_host(const union address *, char out[ADDRESS_TEXT]);
uint16_t address_port(const union address *);
void address_set_port(union address *, uint16_t port);
bool address_is_any(const union address *);
bool address_equal(const union address *, const union address *);
socklen_t address_length(const union address *);
