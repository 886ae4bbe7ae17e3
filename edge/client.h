/* SPDX-License-Identifier: GPL-3.0-or-later
 * client.h - the commands' side of the admin socket.
 */
#pragma once
#include "edge/command.h"
#include <jansson.h>

/* Asks the running edge; the answer is the caller's. NULL: said why on stderr, *ret_exit is the code to end with.
 * `ret_fd`: keeps the connection open and hands it over; NULL: closed. */
json_t *client_ask(const struct args *, const char *command, int *ret_exit, int *ret_fd);
/* Prints an error or a text of the answer; with -o json its data. Returns the exit code. */
int client_show(const struct args *, const json_t *answer);
