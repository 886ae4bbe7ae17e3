/* SPDX-License-Identifier: MIT
 * names.h - the directory: which tenant speaks for a name or a raw port. One table for the whole process.
 *
 * Writers: the control thread. Readers: workers, without locks; what names_find returns stays valid until the worker's
 * next loop turn; to keep it longer (a live request or connection), pin the version.
 */
#pragma once
#include "core/account.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct tenant; /* tenants/compiled.h */
struct place;  /* core/sys.h */
struct host;

/* One published state of one tenant. Lives until it is replaced and no worker pins it. */
struct version {
    const struct tenant *tenant;
    struct account *account;   /* outlives versions */
    uint32_t *pins;            /* one per worker, a cache line apart; written by that worker only */
    const struct place *place; /* what its network's names meant when it was published */
};

struct name_entry {
    struct version *version;
    const void *object; /* host names: struct host * or NULL; ports: struct raw_port * */
};

/* `name`: lower case, no trailing dot, at most 253 octets. Exact name, then "*." + the rest after its first label, then
 * the tenants' trees from the longest to the shortest suffix. NULL: nobody's, also when a wildcard would match: the exact name
 * can be in the directory to say just that. */
const struct name_entry *names_find(const char *name, size_t length);
const struct name_entry *names_find_port(uint16_t port);

void version_pin(struct version *, struct worker *);
void version_unpin(struct version *, struct worker *);

/* Host as it stands in a Host header or SNI -> the directory's spelling, into out[254]: lower case, port and trailing dot
 * off. Returns the length, or 0 when it can't be a host name or address (bad characters, empty labels, too long). */
size_t name_normalise(const char *host, size_t length, char out[254]);
