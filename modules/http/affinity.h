/* SPDX-License-Identifier: GPL-3.0-or-later
 * affinity.h - who asks, as a number: what `load-balance: hash` goes by.
 */
#pragma once
#include "modules/http/message.h"

struct policy;

/* By the policy's cookie, or by the client's address. 0: the client has no such cookie. */
uint64_t affinity_key(const struct message *request, const struct policy *, const char *peer,
                      size_t peer_length);
/* The value of a cookie among those of one Cookie field (RFC 6265 section 4.2.1), without its quotes. False: not there. */
bool cookie_find(const char *field, size_t length, const char *name, const char **ret,
                 size_t *ret_length);
