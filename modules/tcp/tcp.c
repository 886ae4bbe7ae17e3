/* SPDX-License-Identifier: GPL-3.0-or-later
 * tcp.c - on the raw listeners: the port's number says whose connection this is.
 *
 *   accept --local port--> directory --> one ready pod of that service, from the first byte to the last
 *
 * A raw port has no name and no protocol of ours, so there is nobody to explain an error to: when no pod is ready the client
 * gets what it would get from the pod's own machine, a reset. Never reads a byte.
 */
#include "core/module.h"
#include "tenants/compiled.h"

static enum verdict tcp_refuse(struct conn *conn) {
    ACCOUNT_ADD(conn_account(conn)->failures, 1);
    conn_close(conn, true);
    return VERDICT_REJECT;
}

static enum verdict tcp_on_accept(struct conn *conn, void *state) {
    (void)state;
    const struct name_entry *entry = names_find_port(conn_local_port(conn));
    if (!entry)
        return VERDICT_REJECT; /* given back while this connection was waiting to be accepted */
    const struct raw_port *port = entry->object;
    conn_charge(conn, entry->version);
    if (port->state != RAW_PORT_OPEN || !port->backend || !port->backend->host_set)
        return tcp_refuse(conn);
    conn_relay(conn, entry->version, port->backend->host_set);
    return VERDICT_WAIT;
}

RINGRESS_MODULE(.name = "tcp", .version = "1",
                .summary = "raw TCP ports, each joined to the pods of one service",
                .listeners = LISTENER_RAW, .on_accept = tcp_on_accept);
