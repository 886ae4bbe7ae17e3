/* SPDX-License-Identifier: GPL-3.0-or-later
 * limits.h - how much may be asked of each directory: a bucket for the account's orders, one for each registered domain, kept over
 * restarts. A fourth of the account's is for renewals only: what serves must not expire because much is new. Control thread only.
 */
#pragma once
#include "modules/acme/conf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void limits_init(const struct acme_conf *, int64_t now); /* reads the rows */
void limits_fini(void);
struct order_wish {
    const char *directory;
    const char *const *name;
    size_t count;
    bool
        renewal; /* of the same names: not counted against their domains, authorities don't either */
};
/* Takes a token from each, or none. The rows are put, not committed. `take` false: could it? */
bool limits_take(const struct order_wish *, bool take, int64_t now, int64_t *ret_at);
/* The authority asked not to come before. */
void limits_block(const char *directory, int64_t until);
/* example.com of www.example.com; the name itself when there is none. */
const char *registered_domain(const char *name);
