/* SPDX-License-Identifier: GPL-3.0-or-later
 * dns.h - one look at all that DNS may say in proof of a name (tenants/proof.h), many at once.
 *
 * libunbound asks on a thread of its own; answers come by the loop, so all of this is the control thread's and nothing locks.
 * Bounded in every direction: DNS_LOOKS_MAX looks, a handful of questions each, DNS_PATIENCE_MS for the whole look; what was
 * not answered by then is unknown. A dead server costs the names that depend on it their places for that long, and nobody else.
 */
#pragma once
#include "edge/loop.h"
#include "tenants/proof.h"

enum {
    DNS_LOOKS_MAX = 128,
    DNS_PATIENCE_MS = 8000,
};

struct dns;
struct dns_events {
    void (*seen)(void *user, const struct name_check *, const struct dns_seen *);
    void (*settled)(void *user); /* after every handful of the above */
};

/* NULL: no memory. Asking begins with the first look. */
struct dns *dns_new(struct loop *, const struct dns_events *, void *user);
/* Begins one; `seen` comes from the loop later, never from inside. Only while there is room. */
void dns_look(struct dns *, const struct name_check *);
size_t dns_room(const struct dns *);
/* Looks under way are forgotten. */
void dns_free(struct dns *);
