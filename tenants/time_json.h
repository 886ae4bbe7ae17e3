/* SPDX-License-Identifier: GPL-3.0-or-later
 * time_json.h - a time as views have it. Pure.
 */
#pragma once
#include <jansson.h>
#include <stdint.h>

json_t *time_json(int64_t seconds); /* RFC 3339, or null for 0 */
