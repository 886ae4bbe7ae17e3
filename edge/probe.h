/* SPDX-License-Identifier: GPL-3.0-or-later
 * probe.h - one question to a pod over a connection that is up: GET, in what the pod speaks, and the status it answers with.
 */
#pragma once
#include "core/trust.h"
#include <stddef.h>

struct probe;
enum { PROBE_MORE = 0, PROBE_FAILED = -1 };

/* The descriptor stays the caller's; the texts are copied. NULL: no memory. */
struct probe *probe_new(int fd, const struct speech *, const char *path, const char *host);
/* As far as it goes: the status, PROBE_MORE once the descriptor has these events, or PROBE_FAILED and why. */
int probe_run(struct probe *, short *ret_events, char *ret_why, size_t room);
void probe_free(struct probe *); /* NULL is fine */

/* 0: more is to come; negative: not HTTP/1. */
int health_status_read(const char *answer, size_t length);
