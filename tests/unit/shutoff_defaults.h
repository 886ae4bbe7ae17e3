/* SPDX-License-Identifier: GPL-3.0-or-later
 * shutoff_defaults.h - the rule as it is when edge.yaml says nothing (edge/conf.c).
 */
#pragma once
#include "core/shutoff.h"

static const struct shutoff_conf DEFAULTS = {
    .lag_ms = 10,
    .severe_ms = 50,
    .wait_ms = 50,
    .lane_ms = 5,
    .turn_us = 12,
    .p99_factor = 4,
    .errors = 5,
    .severe_errors = 10,
    .on = true,
    .headroom = 10,
    .step_ms = 100,
    .shut_ms = 30000,
    .shut_most_ms = 1800000,
    .probation_ms = 10000,
    .quiet_ms = 3600000,
    .relax_ms = 2000,
};
