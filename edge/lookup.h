/* SPDX-License-Identifier: GPL-3.0-or-later
 * lookup.h - addresses of service names, asked for in the tenant's own network, again and again.
 *
 * Threads ask (libunbound, inside the tenant's network namespace); the control thread gets answers from its loop and is
 * never held up. A tenant is asked for by one thread at a time, so that a dead resolver of one tenant costs the others
 * nothing but one thread of LOOKUP_THREADS.
 */
#pragma once
#include "edge/loop.h"
#include "tenants/compiled.h"

enum {
    LOOKUP_THREADS = 8,
    LOOKUP_NAMES_MAX = 1000, /* of one tenant */
    LOOKUP_ADDRESSES_MAX = 64,
    LOOKUP_PATIENCE_MS = 5000,
    LOOKUP_GOOD_MS = 30000, /* until asked again */
    LOOKUP_BAD_MS = 5000,   /* the same after a failure; doubles up to LOOKUP_GOOD_MS */
};

struct lookups;
struct lookup_place { /* where a name is asked for; each NULL for ours */
    const char *dns, *netns, *device;
};
/* `servers`: for tenants that name no resolver; none: the system's. `answered` is called from the loop, only when the
 * addresses are others than the last time. NULL: no memory. */
typedef void lookup_answered_fn(void *user, const char *tenant, const char *name,
                                const union address *, size_t count);
struct lookups *lookups_new(struct loop *, char *const *servers, size_t server_count,
                            lookup_answered_fn *, void *user);
/* A tenant's names, anew: lookups_begin, lookups_add for each, lookups_end; those not added again are forgotten. A name that
 * is new, or is to be asked for elsewhere, is asked for now. */
void lookups_begin(struct lookups *, const char *tenant);
void lookups_add(struct lookups *, const char *tenant, const char *name,
                 const struct lookup_place *);
void lookups_end(struct lookups *, const char *tenant);
/* The tenant's network is another: what is known is forgotten, and all of its names are asked for now. */
void lookups_again(struct lookups *, const char *tenant);
/* Waits for the threads, up to LOOKUP_PATIENCE_MS. */
void lookups_free(struct lookups *);
