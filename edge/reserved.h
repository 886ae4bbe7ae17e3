/* SPDX-License-Identifier: GPL-3.0-or-later
 * reserved.h - numbers of the raw_tcp pool that the kernel may give to connections made from this machine, too. While a shut port has no listener
 * its number is free for one of those, whose answers are then dropped with the flood, and which keeps the port from being opened.
 */
#pragma once

/* How many of low..high are in `range` ("32768\t60999") and not in `reserved` ("8080,30000-31999"), both as the kernel writes them. */
unsigned reserved_lacks(unsigned low, unsigned high, const char *range, const char *reserved);
/* The same by what net.ipv4.ip_local_port_range and ip_local_reserved_ports say; 0 where they can't be read. Before the jail. */
unsigned reserved_lacks_here(unsigned low, unsigned high);
