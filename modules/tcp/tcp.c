/* SPDX-License-Identifier: GPL-3.0-or-later
 * tcp.c - on the raw listeners: the port's number says whose connection this is.
 *
 *   accept --local port--> directory --> one ready pod of that service, from the first byte to the last
 *
 * A raw port has no name and no protocol of ours, so there is nobody to explain an error to: when no pod is ready the client
 * gets what it would get from the pod's own machine, a reset. Never reads a byte.
 */
#include "core/door.h"
#include "core/module.h"
#include "tenants/compiled.h"
#include <string.h>

struct tcp_conn {
    const struct raw_port *port; /* of the version that the connection pins */
    uint32_t ticket;             /* of the door, while its port is held */
};

static void tcp_note(struct conn *conn, const struct raw_port *port, enum access_error error) {
    access_write_at_end(conn, &(struct access_record){.size = sizeof(struct access_record),
                                                      .type = ACCESS_STREAM,
                                                      .error = (uint8_t)error,
                                                      .protocol = {"tcp", 3},
                                                      .service = port->service,
                                                      .begun_us = worker_now_us(conn_worker(conn)),
                                                      .connected_us = ACCESS_NEVER,
                                                      .first_byte_us = ACCESS_NEVER});
}

static enum verdict tcp_refuse(struct conn *conn, const struct raw_port *port) {
    account_failed(conn_account(conn), ACCESS_NO_POD);
    tcp_note(conn, port, ACCESS_NO_POD);
    conn_close(conn, true);
    return VERDICT_REJECT;
}

/* Who connects and resets leaves here: no pod hears of him. */
static enum verdict tcp_gone(struct conn *conn, const struct raw_port *port) {
    ACCOUNT_ADD(conn_account(conn)->resets, 1);
    tcp_note(conn, port, ACCESS_CLIENT_GONE);
    conn_close(conn, true);
    return VERDICT_REJECT;
}

/* Its port is held, because others were harmed by it (core/shutoff.h). */
static enum verdict tcp_turn_away(struct conn *conn, const struct version *version,
                                  const struct raw_port *port) {
    access_write_refused(conn, &(struct access_record){.size = sizeof(struct access_record),
                                                       .error = ACCESS_LIMITED,
                                                       .detail = "shutoff",
                                                       .tenant = version->tenant->name,
                                                       .service = port->service});
    conn_close(conn, true);
    return VERDICT_REJECT;
}

/* Over a limit, or from where none may come. */
static enum verdict tcp_drop(struct conn *conn, const struct version *version,
                             const struct raw_port *port) {
    enum limit limit = conn_refusal(conn);
    access_write_refused(conn, &(struct access_record){.size = sizeof(struct access_record),
                                                       .error = (uint8_t)access_refusal(limit),
                                                       .detail = limit_name(limit),
                                                       .tenant = version->tenant->name,
                                                       .service = port->service});
    conn_close(conn, true);
    return VERDICT_REJECT;
}

static bool tcp_admits(struct conn *conn, const struct gate *gate) {
    union address client, local;
    if (!gate)
        return true;
    conn_addresses(conn, &client, &local);
    conn_introduce(conn, gate->proxy_version);
    return conn_admits(conn, gate, &client);
}

static enum verdict tcp_on_accept(struct conn *conn, void *state) {
    struct tcp_conn *tcp = state;
    const struct name_entry *entry = names_find_port(conn_local_port(conn));
    if (!entry) { /* given back while this connection was waiting to be accepted */
        access_write_refused(conn, &(struct access_record){.size = sizeof(struct access_record),
                                                           .error = ACCESS_NO_ROUTE});
        return VERDICT_REJECT;
    }
    const struct raw_port *port = entry->object;
    if (!conn_enters(conn, port, &tcp->ticket))
        return tcp_turn_away(conn, entry->version, port);
    if (!conn_charge_port(conn, entry->version, port) || !tcp_admits(conn, port->gate))
        return tcp_drop(conn, entry->version, port);
    if (conn_is_gone(conn))
        return tcp_gone(conn, port);
    if (port->state != RAW_PORT_OPEN || !port->backend || !port->backend->host_set)
        return tcp_refuse(conn, port);
    tcp_note(conn, port, ACCESS_NONE);
    tcp->port = port;
    conn_relay(conn, entry->version, port->backend->host_set);
    return VERDICT_WAIT;
}

/* The number was given back, or stands for another service now. */
static enum verdict tcp_on_change(struct conn *conn, void *state, struct version *now) {
    const struct tcp_conn *tcp = state;
    const struct name_entry *entry = names_find_port(conn_local_port(conn));
    const struct raw_port *port = entry && entry->version == now ? entry->object : NULL;
    bool same = port && port->state == RAW_PORT_OPEN &&
                port->container_port == tcp->port->container_port &&
                !strcmp(port->service, tcp->port->service);
    return same ? VERDICT_PASS : VERDICT_REJECT;
}

static void tcp_on_close(struct conn *conn, void *state) {
    const struct tcp_conn *tcp = state;
    conn_leaves(conn, tcp->ticket);
}

RINGRESS_MODULE(.name = "tcp", .version = "1",
                .summary = "raw TCP ports, each joined to the pods of one service",
                .listeners = LISTENER_RAW, .conn_size = sizeof(struct tcp_conn),
                .on_accept = tcp_on_accept, .on_close = tcp_on_close, .on_change = tcp_on_change);
