/* SPDX-License-Identifier: GPL-3.0-or-later
 * proof.h - the schedule of looks at names: the registry says what is due, DNS is asked, the registry hears what was seen.
 */
#pragma once
#include "core/diag.h"

struct edge;
struct edge_conf;
struct proofs;

/* The resolver as `dns` of edge.yaml wants it. False: it can't be used. */
bool proofs_resolver(const struct edge_conf *, struct err *);
bool proofs_start(struct edge *, struct err *);
/* Begins the looks that are due and for which there is room. After everything that may have made one due. */
void proofs_pump(struct edge *);
void proofs_end(struct edge *);
