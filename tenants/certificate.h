/* SPDX-License-Identifier: GPL-3.0-or-later
 * certificate.h - what a kubernetes.io/tls Secret holds, read without trusting it.
 */
#pragma once
#include "core/stash.h"
#include <stdbool.h>
#include <stdint.h>

struct certificate_facts {
    const char *const
        *name; /* DNS names of the leaf, lower case; its common name when it has none */
    size_t name_count;
    const char *issuer; /* common name */
    int64_t not_after;  /* Unix seconds */
};

/* False: *ret_why says why the pair cannot be served (not PEM, not a certificate, key of another
 * certificate). */
bool certificate_read(struct stash *, const char *chain_pem, const char *key_pem,
                      struct certificate_facts *ret, const char **ret_why);
/* Is this PEM of certificates, one or more, and nothing else? False: *ret_why. */
bool certificates_judge(const char *pem, const char **ret_why);
