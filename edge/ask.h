/* SPDX-License-Identifier: GPL-3.0-or-later
 * ask.h - a name's addresses, asked for through one network device: what libunbound, whose sockets are its own, can't do.
 */
#pragma once
#include "tenants/compiled.h"

/* Asks the resolver at `server` (port 53; a number, no name), bound to `device`, for A and AAAA; UDP, then TCP where the answer is cut.
 * Waits at most so long. On a thread that is in the network meant. False: no answer. */
bool ask_through(const char *device, const char *server, const char *name, int64_t patience_ms,
                 union address *ret, size_t room, size_t *ret_count);
/* What an answer to this question says, added to `ret`: for tests, and for ask_through. False: it is none, or malformed, or an error
 * other than that there is no such name. */
bool ask_read(const uint8_t *answer, size_t length, const uint8_t *question, size_t question_length,
              union address *ret, size_t room, size_t *count);
