/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard.h - who harms the others is held: the ledger's windows into the machine (core/shutoff.h), its steps to the doors (core/door.h).
 *
 *   every 100 ms: ledger ──▶ shutoff_judge ──moved──▶ door, listener, packet filter, event, log, row
 *   ringress port open|shut ──▶ row in the store ──▶ shutoff_hand ──▶ the same
 */
#pragma once
#include "core/diag.h"
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct edge;
struct guard;
struct tenant;

/* After the store is open and the pool of ports is known. False: *err. */
bool guard_start(struct edge *, struct err *);
void guard_beat(struct guard *); /* every 100 ms, after the ledger has folded */
/* Before its ports follow: this tenant is served like that now; NULL: it is gone. */
void guard_follow(struct guard *, const char *tenant, const struct tenant *now);
void guard_end(struct edge *);

/* The operator's hand. `service`: SERVICE or SERVICE:CONTAINERPORT. Ports that it was done to; 0: *err says why not. */
unsigned guard_hand(struct guard *, const char *tenant, const char *service, bool shut,
                    struct err *err);

/* Of a row of `get ports`: state, reason, until. */
void guard_port_enliven(const struct guard *, json_t *row);
/* The text of `describe port` as it is now; takes `text`, malloc'd. */
char *guard_port_describe(const struct guard *, const char *tenant, const char *service,
                          char *text);
void guard_metrics(const struct guard *, FILE *);
