/* SPDX-License-Identifier: GPL-3.0-or-later
 * calls.h - from a thread of the module's own to the control thread and back: the caller waits, the control thread does not.
 *
 *   thread: call_control(run) ----list----> control thread: run, run, ... one commit for all that want one ----> threads go on
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>

void calls_open(void);
/* Whoever waits is told that the edge ends. Control thread. */
void calls_close(void);
/* False: `run` was not called, or (with `commit`) what it put is not on disk; *err says why. */
bool call_control(void (*run)(void *user), void *user, bool commit, struct err *);
