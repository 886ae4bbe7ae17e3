/* SPDX-License-Identifier: GPL-3.0-or-later
 * crew.h - the threads that run orders: a bounded few, each takes what is due longest.
 */
#pragma once
#include "core/diag.h"
#include "modules/acme/conf.h"

bool crew_start(const struct acme_conf *, struct err *);
/* Asks all to end, so that the next wait or exchange of each does; then waits for them. calls_close in between. */
void crew_stop(void);
bool crew_wait(int64_t ms); /* on one of them: false when all shall end */
bool crew_ends(void);
void crew_wake(void); /* something is due earlier than they know */
