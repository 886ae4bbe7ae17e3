/* SPDX-License-Identifier: GPL-3.0-or-later
 * secrets.h - files with a key that the operator names. They are read when the section is checked, before the process gives up what it
 * may: a file of root's is of use to the service user too. Read again when it is needed and can be, so that a changed one is followed.
 */
#pragma once
#include "core/diag.h"

enum { SECRET_MOST = 1024 };

/* Reads its first line and keeps it. False: it can't be read, holds nothing, or a line that is too long. */
bool secret_keep(const char *path, struct err *);
/* The line, without its end: as it is now, else as it was kept. To be wiped by the caller. Any thread. */
bool secret_line(const char *path, char out[SECRET_MOST], struct err *);
void secrets_forget(void);
