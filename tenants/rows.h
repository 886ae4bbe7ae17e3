/* SPDX-License-Identifier: GPL-3.0-or-later
 * rows.h - what must survive a restart, as keys and JSON values.
 *
 *   tenant/NAME   {"uid", "since"}                       while the tenant is there
 *   good/NAME     {"folder", "sources": [{"path", "name", "text"}]}  its last valid drop (may hold
 * private keys)
 *   domain/DNS    {"tenant", "uid"}                      for ever: never given to another tenant
 *   name/DNS      {"tenant", "uid", "ingress"}           the holder of a bound name; "*.x" for a
 * wildcard
 *   port/NUMBER   {"tenant", "uid", "slot", "until"}     until 0: in use; without tenant: held
 * after a tenant that is gone
 *   claim/DNS UID {"tenant", "uid", "domain", "phase", "since", "next", "wait", "txt", "looked", "byTxt", "seen"}   a
 * standing (standing.h): written and read by standings.c
 *   log/NUMBER    {"at", "name", "tenant", "uid", "from", "to", "why"}   what happened to standings, in order; never read
 */
#pragma once
#include "tenants/inside.h"
#include <jansson.h>

enum row_kind { ROW_TENANT, ROW_GOOD, ROW_DOMAIN, ROW_NAME, ROW_PORT };
struct row { /* texts live as long as `value` */
    enum row_kind kind;
    const char *name; /* after the kind's prefix */
    const char *tenant, *uid, *ingress, *slot;
    uint16_t number;
    int64_t until;
    json_t *value;
};
/* False for a key of another version, and for a value that is not ours: whoever spoiled the store
 * must not stop the edge. */
bool row_read(const char *key, const char *value, struct row *ret);
void row_fini(struct row *);

void row_tenant(struct change *, const struct entry *, int64_t now);

struct good_drop {
    struct drop drop;
    struct source *source;
    json_t *value;
};
char *good_drop_text(const struct drop *); /* malloc'd; NULL when a file is not UTF-8 */
bool good_drop_read(const char *tenant, const char *text, struct good_drop *ret);
void good_drop_fini(struct good_drop *);
