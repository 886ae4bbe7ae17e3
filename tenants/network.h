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

/* What the edge itself is on this machine. A listener on 0.0.0.0 or [::] is one here for each address
 * of the machine. */
struct own_listener {
    struct prefix at;   /* of full length, or of none: wherever it may be */
    uint16_t low, high; /* ports */
};
struct own {
    struct own_listener *listener;
    size_t listener_count;
    struct prefix
        *address; /* of its interfaces, and their broadcast addresses; of full length, sorted */
    size_t address_count;
};
void own_sort(struct own *); /* after filling `address` */
/* Is it an address of the machine; does a listener answer there? On loopback listeners on 0.0.0.0 do. */
bool own_has(const struct own *, const struct prefix *bare);
bool own_listens(const struct own *, const struct prefix *bare, uint16_t port);

/* The bare address in the form of a prefix: ::ffff:10.0.0.1 is 10.0.0.1, or it would slip past the
 * rules for IPv4. */
struct prefix address_bare(const union address *);
/* NULL: may be dialled. Else the reason. `own` NULL: only the tenant's own rules. */
const char *network_refusal(const struct network *, const struct own *, const union address *);
/* Is it only as one of the machine's own that it may not be dialled? Asked again whenever one is: what
 * is the machine's may change. `named`: network_names, so that who dials need not have the network. */
const char *own_refusal(const struct own *, bool elsewhere, bool named, const union address *);
/* Does a prefix of `allow` mean this very address? */
bool network_names(const struct network *, const union address *);
