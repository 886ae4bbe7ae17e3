/* SPDX-License-Identifier: GPL-3.0-or-later
 * upkeep.h - once an hour, on the control thread: a certificate that ends soon or was replaced, tokens that expired long ago.
 */
#pragma once
#include "modules/kube/conf.h"
#include "modules/kube/paper.h"

void upkeep_open(const struct kube_conf *, const struct paper *); /* copies */
void upkeep_close(void);
void upkeep_beat(void); /* the API's thread */
