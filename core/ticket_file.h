/* SPDX-License-Identifier: GPL-3.0-or-later
 * ticket_file.h - the keys of session tickets on disk: a line each, the newest first.
 *
 *   ringress ticket keys 1
 *   1764097200 <name, 32 hexadecimal digits> <secret, 64>
 *
 * Not encrypted: whoever may read the state folder may read the keys of the certificates beside it. 0600, replaced by rename.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stdint.h>

enum { TICKET_NAME = 16, TICKET_SECRET = 32, TICKET_KEYS = 2 };

struct ticket_key {
    int64_t made; /* Unix seconds */
    uint8_t name[TICKET_NAME];
    uint8_t secret[TICKET_SECRET];
};

struct ticket_keys {
    unsigned count;
    struct ticket_key key[TICKET_KEYS];
};

/* True also when there is no such file. Keys that are `age` seconds old or come from the future are left out. False: it can't be
 * read, was open to others or is not what we write; *ret is empty. */
bool ticket_file_read(const char *path, int64_t now, int64_t age, struct ticket_keys *ret,
                      struct err *);
bool ticket_file_write(const char *path, const struct ticket_keys *, struct err *);
