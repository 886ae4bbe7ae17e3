/* SPDX-License-Identifier: GPL-3.0-or-later
 * schedule.h - when what is tried. Pure: the time is an input (Unix seconds), chance a seed, so that years run in a test's second.
 *
 *   renew    the authority's window (ARI) decides; without one, when a third of the lifetime is left, spread by jitter
 *   fail     back off per certificate, doubling; the next directory when this one refuses
 *   buckets  per account and per registered domain: we stop before the authority does
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCHEDULE_MINUTE = 60,
    SCHEDULE_HOUR = 3600,
    SCHEDULE_DAY = 86400,
    ARI_CHECK = 6 * SCHEDULE_HOUR, /* RFC 9773 section 4.3.1: when the answer does not say */
};

struct window {
    int64_t start, end; /* end 0: none is known */
};

/* When to renew. In [not_before, not_after); the same for the same seed. */
int64_t schedule_renew(int64_t not_before, int64_t not_after, const struct window *, uint64_t seed);
/* The same of one that has just come: not within the hour (the first half of a very short life), whatever an authority says or a
 * clock shows, else one that always says "now" would have us order without end. */
int64_t schedule_not_at_once(int64_t at, int64_t came, int64_t not_before, int64_t not_after);
/* From when on an expiring certificate that could not be renewed is told loudly: a third of its lifetime is left. */
int64_t schedule_alarm(int64_t not_before, int64_t not_after);
/* The time of the next attempt after `failures` in a row (>= 1). `not_after` 0: there is no certificate. `retry_at`: the authority asked
 * not to come before; 0: it did not. */
int64_t schedule_retry(int64_t now, unsigned failures, int64_t not_before, int64_t not_after,
                       int64_t retry_at, uint64_t seed);
/* When to ask for the renewal window again: Retry-After in seconds (0: none), kept between a minute and a day. */
int64_t schedule_ari(int64_t now, int64_t retry_after, uint64_t seed);

/* Which directory of `count` an attempt begins with: the first, but after two failures in a row that were the name's own the next. */
size_t schedule_directory(unsigned failures, size_t count);

/* `capacity` tokens that come back evenly over `window_s`. */
struct allowance {
    double used; /* at `at` */
    int64_t at;
};
/* True: one was taken, and `reserve` of them are left for others. False: nothing changed, *ret_at says when there will be one. */
bool allowance_take(struct allowance *, int64_t capacity, int64_t reserve, int64_t window_s,
                    int64_t now, int64_t *ret_at);
/* The authority said that there are none. */
void allowance_drain(struct allowance *, int64_t capacity, int64_t now);
/* Nothing to remember of it any more. */
bool allowance_is_full(const struct allowance *, int64_t capacity, int64_t window_s, int64_t now);

uint64_t seed_of(const char *text, uint64_t more);
