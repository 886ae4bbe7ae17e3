/* SPDX-License-Identifier: GPL-3.0-or-later
 * filter.h - packets to a shut port are dropped by the kernel (nftables), where this process may say so: CAP_NET_ADMIN in its own
 * network namespace. Else the kernel answers them with resets, as for any closed port.
 *
 * The table belongs to our netlink socket (NFT_TABLE_F_OWNER): nobody else can change it, and the kernel removes it when the socket
 * closes, however the process ends. So there are never leftovers; another live edge has a table of its own.
 */
#pragma once
#include "core/diag.h"
#include <stdint.h>

union address;
struct filter;

/* For ports of this address (any: of all). NULL: *err says why not. */
struct filter *filter_open(const union address *, struct err *);
/* False: *err, and it is as before. */
bool filter_drop(struct filter *, uint16_t port, bool drop, struct err *);
void filter_close(struct filter *);
