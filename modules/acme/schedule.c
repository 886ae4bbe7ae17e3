/* SPDX-License-Identifier: GPL-3.0-or-later
 * schedule.c - see schedule.h.
 */
#include "modules/acme/schedule.h"
#include "core/splitmix.h"

enum { RETRY_FIRST = 30, RETRY_MOST = SCHEDULE_DAY, RETRY_URGENT = SCHEDULE_HOUR };

/* In [0, span). */
static int64_t chance(uint64_t seed, int64_t span) {
    return span > 0 ? (int64_t)(splitmix_next(&seed) % (uint64_t)span) : 0;
}

/* FNV-1a. */
uint64_t seed_of(const char *text, uint64_t more) {
    uint64_t hash = 0xcbf29ce484222325u ^ splitmix_mix(more + SPLITMIX_STEP);
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return hash;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

int64_t schedule_alarm(int64_t not_before, int64_t not_after) {
    return not_after - (not_after - not_before) / 3;
}

int64_t schedule_renew(int64_t not_before, int64_t not_after, const struct window *w,
                       uint64_t seed) {
    int64_t lifetime = not_after - not_before;
    if (lifetime <= 0)
        return not_before;
    if (w && w->end) /* a window in the past means now */
        return clamp(w->start + chance(seed, w->end - w->start), not_before, not_after - 1);
    /* Up to a tenth of the last third earlier, so that what was made in one hour is not renewed in one. */
    return schedule_alarm(not_before, not_after) - chance(seed, lifetime / 30 + 1);
}

int64_t schedule_not_at_once(int64_t at, int64_t came, int64_t not_before, int64_t not_after) {
    int64_t rest = clamp((not_after - not_before) / 2, 0, SCHEDULE_HOUR);
    return at < came + rest ? came + rest : at;
}

int64_t schedule_retry(int64_t now, unsigned failures, int64_t not_before, int64_t not_after,
                       int64_t retry_at, uint64_t seed) {
    int64_t wait = RETRY_MOST;
    if (failures < 13) /* 30 s, 1 min, ... 17 h */
        wait =
            clamp((int64_t)RETRY_FIRST << (failures ? failures - 1 : 0), RETRY_FIRST, RETRY_MOST);
    /* The nearer the end, the more often, but never in a hurry that an authority would mind. */
    int64_t left = not_after - now;
    if (not_after && left < (not_after - not_before) / 3 && wait > left / 10)
        wait = clamp(left / 10, RETRY_URGENT < wait ? RETRY_URGENT : wait, wait);
    int64_t at = now + wait + chance(seed ^ failures, wait / 4 + 1);
    return at < retry_at ? retry_at + chance(seed, 60) : at;
}

int64_t schedule_ari(int64_t now, int64_t retry_after, uint64_t seed) {
    int64_t wait = clamp(retry_after ? retry_after : ARI_CHECK, SCHEDULE_MINUTE, SCHEDULE_DAY);
    return now + wait + chance(seed ^ (uint64_t)now, wait / 10 + 1);
}

size_t schedule_directory(unsigned failures, size_t count) {
    return count ? failures / 2 % count : 0;
}

/* ---- buckets ---- */

static double used_now(const struct allowance *b, int64_t capacity, int64_t window, int64_t now) {
    int64_t passed = now > b->at ? now - b->at : 0; /* a clock set back gives nothing */
    double used = b->used - (double)passed * (double)capacity / (double)window;
    return used > 0 ? used : 0;
}

bool allowance_take(struct allowance *b, int64_t capacity, int64_t reserve, int64_t window,
                    int64_t now, int64_t *ret_at) {
    double used = used_now(b, capacity, window, now);
    double over = used + 1 - (double)(capacity - reserve);
    if (over > 1e-9) {
        *ret_at = now + 1 + (int64_t)(over * (double)window / (double)capacity);
        return false;
    }
    *b = (struct allowance){.used = used + 1, .at = now};
    return true;
}

void allowance_drain(struct allowance *b, int64_t capacity, int64_t now) {
    *b = (struct allowance){.used = (double)capacity, .at = now};
}

bool allowance_is_full(const struct allowance *b, int64_t capacity, int64_t window, int64_t now) {
    return used_now(b, capacity, window, now) <= 0;
}
