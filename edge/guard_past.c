/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard_past.c - see guard_past.h.
 *
 *   "OFFENCES AT UNTIL WHY"   AT: when that was written; UNTIL: 0: it is not shut, or until it is opened by hand
 *   "OFFENCES AT"             as earlier builds wrote it
 */
#include "edge/guard_past.h"
#include <stdio.h>

void past_print(const struct shutoff_unit *u, int64_t now_ms, int64_t wall, char out[PAST_TEXT]) {
    bool shut = u->state == SHUTOFF_SHUT && u->until_ms;
    int64_t until = shut ? wall + (u->until_ms - now_ms + 999) / 1000 : 0;
    snprintf(out, PAST_TEXT, "%u %lld %lld %s", u->offences, (long long)wall, (long long)until,
             shut ? u->why : "");
}

/* Of those that went by since; a clock that was set back has none. */
static unsigned offences_left(unsigned offences, int64_t since, int64_t wall, int64_t quiet_ms) {
    int64_t quiet = wall > since ? (wall - since) * 1000 / quiet_ms : 0;
    return quiet < offences ? offences - (unsigned)quiet : 0;
}

/* Nobody is shut for longer than he could have been, wherever the clock was set to meanwhile. */
static int64_t shut_left_ms(int64_t until, int64_t wall, const struct shutoff_conf *conf) {
    int64_t most = conf->shut_most_ms + conf->shut_most_ms / 5;
    int64_t left = until > wall ? (until - wall) * 1000 : 0;
    return left < most ? left : most;
}

bool past_read(const char *text, const struct shutoff_conf *conf, int64_t wall,
               struct shutoff_past *ret) {
    unsigned offences;
    long long at, until = 0;
    int why = 0;
    if (sscanf(text, "%u %lld %lld %n", &offences, &at, &until, &why) < 2)
        return false;
    *ret = (struct shutoff_past){
        .offences = offences_left(offences, until > at ? until : at, wall, conf->quiet_ms),
        .shut_ms = shut_left_ms(until, wall, conf),
        .why = text + why,
    };
    return ret->offences || ret->shut_ms;
}
