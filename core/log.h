/* SPDX-License-Identifier: GPL-3.0-or-later
 * log.h - where log_write (core/module.h) writes to. Standard error at level info until log_open was called.
 */
#pragma once
#include "core/diag.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* `path`: a file to append to (made 0640), or "stderr". May be called again at any time, from the control thread: log
 * rotation. False: the old destination stays. */
bool log_open(const char *path, int level, struct err *);
/* Lines as JSON objects, for a destination that is shared with the access log: every line of it is JSON then. */
void log_as_json(bool);
