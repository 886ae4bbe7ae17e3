/* SPDX-License-Identifier: GPL-3.0-or-later
 * paper.h - the certificate this API is served with: the operator's, or one made by an authority of the edge's own, whose certificate
 * kubeconfigs embed.
 *
 *   STATE/kube/ca.pem, ca.key      made once, ten years
 *   STATE/kube/cert.pem, cert.key  made from these for `names`; again when the names differ or less than 30 days are left
 */
#pragma once
#include "core/diag.h"
#include "modules/kube/conf.h"
#include <stdint.h>

struct paper { /* PEM, malloc'd */
    char *chain, *key;
    char *ca; /* NULL: whom the system trusts */
};
bool paper_load(const struct kube_conf *, int64_t now, struct paper *ret, struct err *);
void paper_fini(struct paper *);
