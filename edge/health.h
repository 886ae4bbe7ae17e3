/* SPDX-License-Identifier: GPL-3.0-or-later
 * health.h - active checks of pods, for services that ask for them. Control thread only.
 */
#pragma once
#include "edge/loop.h"
#include "tenants/compiled.h"

struct health;
struct upstream;

struct health *health_new(struct loop *); /* NULL: no memory */
void health_free(struct health *);
/* What this tenant's live version asks for (NULL: it is gone) is checked from now on, the new at once. */
void health_follow(struct health *, const char *tenant, const struct tenant *);
void health_beat(struct health *); /* about every 100 ms */
/* Why the pod's latest check failed; NULL: it did not, or nobody asked. */
const char *health_reason(const struct health *, const struct upstream *);

/* ---- pure, for tests ---- */
struct health_streak {
    unsigned passes, fails; /* in a row */
};
/* One more result. True: what is known of the pod changes, to *ret_fails. The first result is believed at once. */
bool health_judge(struct health_streak *, const struct policy *, bool known, bool fails,
                  bool passed, bool *ret_fails);
