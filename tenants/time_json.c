/* SPDX-License-Identifier: GPL-3.0-or-later
 * time_json.c - see time_json.h.
 */
#include "tenants/time_json.h"
#include <time.h>

json_t *time_json(int64_t seconds) {
    char text[32];
    struct tm when;
    time_t at = (time_t)seconds;
    if (!seconds || !gmtime_r(&at, &when) ||
        !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &when))
        return json_null();
    return json_string(text);
}
