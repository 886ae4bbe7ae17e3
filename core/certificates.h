/* SPDX-License-Identifier: MIT
 * certificates.h - certificates that lie on disk, each under one tenant's UID; read when a client first asks for their name.
 *
 * The control thread puts and drops; workers look up without locks. One that nobody asks for costs its names and the paths of its
 * files. A certificate is never found under another tenant's UID.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stored_certificate {
    const char *id;          /* unique */
    const char *tenant_uid;  /* whose it is */
    const char *const *name; /* lower case; "*.rest" covers one label */
    size_t name_count;
    const char *chain_file, *key_file; /* PEM */
    int64_t not_after;                 /* Unix seconds */
};

/* Replaces the one of that id. Everything is copied; live for new handshakes on all workers when it returns, connections live on.
 * When it replaces one its files are read and must fit each other, else the old one stays: false, *err says why. A new one's are read
 * when first needed, so that 100,000 are put in a second. */
bool certificates_put(const struct stored_certificate *, struct err *);
void certificates_drop(const char *id);
/* Is there one for this name (itself or a wildcard above) that has not expired? Any thread that reads the directory. */
bool certificates_cover(const char *tenant_uid, const char *name);
size_t certificates_count(void);
/* For workers: the best one of this tenant for this name, or NULL. Good until the turn ends. */
const struct identity *certificates_find(const char *tenant_uid, const char *name);
