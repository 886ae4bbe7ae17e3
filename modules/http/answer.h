/* SPDX-License-Identifier: GPL-3.0-or-later
 * answer.h - the edge's own answers.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct answer {
    int status;
    bool head_only;  /* the request was HEAD */
    bool close;      /* Connection: close */
    bool http_1_0;   /* the client speaks 1.0: keep-alive must be said */
    int retry_after; /* seconds, 0: none */
    time_t date;
    const char *location; /* 308; NULL: none */
    size_t location_length;
};
/* Writes the whole response into `out`; returns its length (0: it does not fit). */
size_t answer_write(const struct answer *, char *out, size_t room);
const char *answer_reason(int status);
