/* SPDX-License-Identifier: GPL-3.0-or-later
 * standing.c - see standing.h: every change of phase is in this file.
 */
#include "tenants/standing.h"
#include <string.h>

static const char *const phases[] = {[PHASE_PENDING] = "pending",
                                     [PHASE_VERIFIED] = "verified",
                                     [PHASE_AT_RISK] = "at-risk",
                                     [PHASE_SUSPENDED] = "suspended"};

const char *phase_name(enum phase phase) {
    return phases[phase];
}

bool phase_read(const char *name, enum phase *ret) {
    for (size_t i = 0; name && i < sizeof phases / sizeof *phases; i++)
        if (!strcmp(name, phases[i])) {
            *ret = (enum phase)i;
            return true;
        }
    return false;
}

static enum outcome move(struct standing *s, enum phase to, int64_t now) {
    if (s->phase == to)
        return OUTCOME_STAYS;
    s->phase = to;
    s->since = now;
    return OUTCOME_MOVED;
}

/* A tenth more or less, so that names that came together are not looked at together for ever. */
static int64_t jittered(int64_t seconds, uint64_t luck) {
    int64_t tenth = seconds / 10;
    return tenth ? seconds - tenth + (int64_t)(luck % (uint64_t)(2 * tenth + 1)) : seconds;
}

static void look_after(struct standing *s, int64_t now, int64_t most, uint64_t luck) {
    s->wait = s->wait ? 2 * s->wait : LOOK_FIRST_S;
    if (s->wait > most)
        s->wait = most;
    s->next_look = now + jittered(s->wait, luck);
}

static enum outcome proved(struct standing *s, const struct verdict_on_name *verdict, int64_t now,
                           int64_t recheck_s, uint64_t luck) {
    bool repeat = s->phase == PHASE_PENDING && verdict->by_txt && !verdict->trusted;
    if (repeat && !s->txt_since)
        s->txt_since = now;
    if (repeat && now - s->txt_since < TXT_REPEAT_S) {
        s->next_look = s->txt_since + TXT_REPEAT_S;
        return OUTCOME_STAYS;
    }
    s->txt_since = 0;
    s->by_txt = verdict->by_txt;
    s->wait = 0;
    s->next_look = now + jittered(recheck_s, luck);
    return move(s, PHASE_VERIFIED, now);
}

static enum outcome not_yet(struct standing *s, int64_t now, uint64_t luck) {
    look_after(s, now, LOOK_MOST_S, luck);
    if (now - s->since >= GIVE_UP_S)
        s->next_look = 0;
    return OUTCOME_STAYS;
}

/* Nobody wants it, and DNS points here no more: once may be a server's mishap, so it has to say so at the next look's time, too. */
static bool is_forgotten(const struct standing *s, int64_t now, int64_t recheck_s) {
    return !s->claims &&
           (s->phase == PHASE_SUSPENDED ||
            (s->phase == PHASE_AT_RISK && now - s->since >= recheck_s - recheck_s / 10));
}

static enum outcome disproved(struct standing *s, int64_t now, int64_t recheck_s, uint64_t luck) {
    s->txt_since = 0;
    if (s->phase == PHASE_PENDING)
        return not_yet(s, now, luck);
    if (is_forgotten(s, now, recheck_s))
        return OUTCOME_RELEASED;
    s->wait = 0;
    s->next_look = now + jittered(recheck_s, luck);
    if (s->phase == PHASE_VERIFIED)
        return move(s, PHASE_AT_RISK, now);
    if (s->phase == PHASE_AT_RISK && now - s->since >= SUSPEND_S)
        return move(s, PHASE_SUSPENDED, now);
    return s->phase == PHASE_SUSPENDED && now - s->since >= RELEASE_S ? OUTCOME_RELEASED
                                                                      : OUTCOME_STAYS;
}

bool standing_gave_up(const struct standing *s) {
    return s->phase == PHASE_PENDING && !s->next_look && s->looked - s->since >= GIVE_UP_S;
}

enum outcome standing_judged(struct standing *s, const struct verdict_on_name *verdict, int64_t now,
                             int64_t recheck_s, uint64_t luck) {
    s->looked = now;
    if (verdict->proved == FACT_YES)
        return proved(s, verdict, now, recheck_s, luck);
    if (verdict->proved == FACT_NO)
        return disproved(s, now, recheck_s, luck);
    if (s->phase == PHASE_PENDING)
        return not_yet(s, now, luck);
    look_after(s, now, recheck_s < LOOK_UNKNOWN_MOST_S ? recheck_s : LOOK_UNKNOWN_MOST_S, luck);
    return OUTCOME_STAYS;
}
