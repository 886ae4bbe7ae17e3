/* SPDX-License-Identifier: GPL-3.0-or-later
 * budget.h - how many requests may be retries: a token bucket that requests fill, so that a dead service is not hit three times
 * for each of them. One for each worker and service.
 *
 *   request: + percent/100 of a token    retry: - 1 token, refused when there is none    a second: + 1, for those with few requests
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { BUDGET_TOKEN = 1000, BUDGET_MOST = 10 * BUDGET_TOKEN, BUDGET_REFILL_MS = 1000 };

struct budget {   /* zeroed: full */
    int64_t owed; /* thousandths of a token below full */
    int64_t at_ms;
};

static inline void budget_earn(struct budget *b, int64_t percent) {
    if (b->owed) /* almost never: a service whose retries are rare costs nothing here */
        b->owed = b->owed > percent * 10 ? b->owed - percent * 10 : 0;
}

/* One retry. False: there is no token left. `percent` 0: never. */
static inline bool budget_take(struct budget *b, int64_t percent, int64_t now_ms) {
    int64_t passed = now_ms - b->at_ms;
    if (!percent)
        return false;
    if (b->owed && passed > 0) {
        int64_t earned =
            passed < BUDGET_MOST ? passed * BUDGET_TOKEN / BUDGET_REFILL_MS : BUDGET_MOST;
        b->owed = b->owed > earned ? b->owed - earned : 0;
    }
    b->at_ms = now_ms;
    if (b->owed + BUDGET_TOKEN > BUDGET_MOST)
        return false;
    b->owed += BUDGET_TOKEN;
    return true;
}
