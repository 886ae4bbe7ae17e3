/* SPDX-License-Identifier: GPL-3.0-or-later
 * proxy.h - `ringress docker-proxy SOCKET [ENGINE] [-n TENANT] [--all]`: a Docker API on a socket of its own.
 *
 *   client --SOCKET--> serve.c --on the list (path.c)--> asked anew over ENGINE --> shown.c: others' out, public ports in
 *                              +--not on it--> 403; with --all: tunnel.c
 */
#pragma once
#include "core/module.h"
#include "modules/docker/conf.h"
#include <stdatomic.h>

int docker_proxy(const struct module_call *);

struct proxy {
    const struct module_call *call;
    struct docker_engine engine; /* where it is, and whose its containers are */
    atomic_bool ending;
};

/* serve.c: one client, until it ends. Does not close `fd`. */
void serve(const struct proxy *, int fd);

/* tunnel.c: all of it; false: the peer does not take it. */
bool send_all(int fd, const char *data, size_t length);
/* tunnel.c: a request, and what follows it on its connection, as it is; what was read of it already is `data`, of which the first
 * `head` bytes are its head. Until both ends are done. */
void tunnel(int client, const char *engine, const char *data, size_t length, size_t head,
            bool upgrade);
