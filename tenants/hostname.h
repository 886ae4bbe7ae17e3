/* SPDX-License-Identifier: GPL-3.0-or-later
 * hostname.h - DNS names as text: what is one, what covers what. Policy (who may have it) is in
 * names.h.
 */
#pragma once
#include "core/stash.h"
#include <stdbool.h>

enum { HOSTNAME_MAX = 253 };

/* RFC 1123 label: what a tenant may be called. */
bool tenant_name_good(const char *);
/* Lower case, without a final dot; NULL with *ret_why set when it is no name. A leading "*."
 * passes when `wildcard`. */
const char *hostname_normalise(struct stash *, const char *text, bool wildcard,
                               const char **ret_why);
bool hostname_is_wildcard(const char *);
/* Is `host` `domain` or below it? A wildcard is below what it is a wildcard of. */
bool hostname_under(const char *host, const char *domain);
/* The same name, or `pattern` is "*.x" and `host` one label (not "*") below x. */
bool hostname_covers(const char *pattern, const char *host);
/* NULL, or what forbids anybody to claim it: a single label, a public suffix (or a wildcard right
 * above one). */
const char *hostname_refusal(const char *name);
