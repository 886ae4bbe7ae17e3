/* SPDX-License-Identifier: GPL-3.0-or-later
 * pay.h - what a tenant may ask of the API: requests, and the time that its answers take. The API's thread alone.
 */
#pragma once
#include "modules/kube/conf.h"
#include <stdbool.h>
#include <stdint.h>

void pay_open(const struct kube_conf *);
void pay_close(void);
void pay_beat(void);
/* One request. False: not now. */
bool tenant_asks(const char *tenant);
/* Nobody else has asked for a second. */
bool tenant_alone(const char *tenant);
/* All tenants are answered by few threads: who has much to be shown is shown it less often while others ask. */
void tenant_pays(const char *tenant, int64_t ms);
