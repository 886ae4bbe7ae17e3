/* SPDX-License-Identifier: GPL-3.0-or-later
 * turns.h - whose turn it is. Tenants take turns, so that one with a thousand names holds nobody up; of one tenant what renews goes before
 * what is new, then what waits longest. Over the keeper's entries, its lock held.
 */
#pragma once
#include "modules/acme/keeper.h"

/* The entry of which something is to be done now; NULL: of none, *ret_at says when the next will be (0: none). */
struct entry *turn_next(int64_t now, int64_t *ret_at);
/* Whoever was served is last in line. */
void turn_taken(struct entry *);
/* The name for which another order answers tls-alpn-01 just now: a handshake tells no order's answer from another's, so they go one
 * after the other. NULL: there is none. */
const char *turn_clash(const struct entry *);
/* Would this be an order, not only the question when to renew? */
bool turn_orders(const struct entry *, int64_t now);
