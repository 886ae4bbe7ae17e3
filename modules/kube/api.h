/* SPDX-License-Identifier: GPL-3.0-or-later
 * api.h - requests to answers: who asks, what for, whether he may, and what the answer looks like. The API's thread alone.
 */
#pragma once
#include "modules/kube/conf.h"
#include "modules/kube/server.h"

extern const struct server_events api_events;
void api_open(const struct kube_conf *);
void api_close(void); /* the thread has ended */
