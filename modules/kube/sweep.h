/* SPDX-License-Identifier: GPL-3.0-or-later
 * sweep.h - deletecollection: every object that is meant and that the tenant wrote, one write after the other. The API's thread alone.
 *
 *   the tenant as it is now -> names -> write.h, DELETE, for each -> the list of what went, or the first refusal
 *
 * What the edge made itself stays, and is not among them.
 */
#pragma once
#include "modules/kube/write.h"

struct sweep;
struct sweep_wish {
    struct write_wish
        of_one; /* kind, target, request, tenant, token; answer and user are told of the whole */
    const char *labels, *fields; /* judged already; NULL: all */
    struct sweep **slot; /* where the one under way stands, NULL again once it is answered */
};
void sweep_begin(const struct sweep_wish *); /* may be answered before it returns */
void sweep_forget(struct sweep *);           /* whoever asked is gone: what is left stays */
