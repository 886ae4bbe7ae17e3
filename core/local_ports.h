/* SPDX-License-Identifier: GPL-3.0-or-later
 * local_ports.h - local ports towards one address of a pod. They alone tell connections to it apart, so a kernel can make no more than its
 * net.ipv4.ip_local_port_range has, some 28,000: for all tenants together who have pods at that address in that network.
 *
 *   network, address --> struct port_target: how many are in use, by how many tenants
 *                          '-- struct local_ports: one tenant's part, of all his services there      upstream->ports
 *
 * While several tenants share an address each may use PORTS_HEAD_ROOM times what is left, so that none takes the last. In use is what is
 * open, and for a minute what the edge ended first, as the kernel keeps that (TIME-WAIT).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct account;
struct local_ports;
struct place;
union address;

enum { PORTS_HEAD_ROOM = 8, PORTS_LEAST = 8 /* that anybody may use */ };

/* ---- control thread ---- */
/* The tenant's part, made when there is none. NULL: no memory. */
struct local_ports *local_ports_get(const struct place *, const union address *,
                                    struct account *tenant);
void local_ports_put(struct local_ports *);
void local_ports_fini(void); /* all were put */

/* ---- any worker ---- */
/* One more? What it makes of the answer is for local_ports_take. NULL: yes. */
bool local_ports_may(const struct local_ports *, int64_t now_ms);
void local_ports_take(struct local_ports *);
/* `lingers`: it was the edge that ended it, in order. */
void local_ports_give(struct local_ports *, bool lingers, int64_t now_ms);
