/* SPDX-License-Identifier: GPL-3.0-or-later
 * own.h - what the edge itself is on this machine, as whoever dials reads it: one table, replaced as a whole.
 */
#pragma once
#include "tenants/network.h"

/* Takes it, with its arrays; the one before is freed after a grace period. On the control thread; at the end NULL. */
void own_publish(struct own *);
/* May no connection to a pod go there now? `elsewhere`: it is made in another namespace; `named`: see network_names. On any thread
 * that is registered with RCU, and online. */
bool own_refuses(bool elsewhere, bool named, const union address *);
