/* SPDX-License-Identifier: GPL-3.0-or-later
 * file.h - whole files into memory, and paths.
 */
#pragma once
#include "core/diag.h"

/* The text of a regular file (symlinks are followed) of at most `max` bytes, NUL-terminated, malloc'd. NULL: *err says
 * "PATH: why"; errno is ENOENT when it is not there. Never blocks on FIFOs or devices. */
char *file_read(const char *path, size_t max, size_t *ret_length, struct err *);
/* `name` seen from the folder of `file`; malloc'd; NULL: no memory. Absolute names stay. */
char *path_beside(const char *file, const char *name);
char *path_join(const char *folder, const char *name);
