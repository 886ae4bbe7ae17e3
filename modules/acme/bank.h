/* SPDX-License-Identifier: GPL-3.0-or-later
 * bank.h - keys and chains as files: STATE/certificates, 0700, each file 0600 and the process's own.
 *
 *   ID-N.key, ID-N.pem      the N-th certificate of that id; N never comes again
 *   account-HASH.key        the account's key at a directory; .next while it is being changed
 *
 * A file is whole or not there: written beside, synced, renamed. Any thread.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>

bool bank_open(const char *state_folder, struct err *);
void bank_close(void);
char *bank_path(const char *name); /* malloc'd */
bool bank_write(const char *name, const char *text, struct err *);
char *bank_read(const char *name, struct err *); /* malloc'd; NULL: *err */
bool bank_has(const char *name);                 /* also what can't be read */
bool bank_move(const char *from, const char *to, struct err *);
void bank_remove(const char *name);
/* Removes every file of certificates that `keep` does not want: what a crash or a tenant that went left over. */
void bank_sweep(bool (*keep)(void *user, const char *name), void *user);
