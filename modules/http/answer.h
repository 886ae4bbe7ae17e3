/* SPDX-License-Identifier: GPL-3.0-or-later
 * answer.h - the edge's own answers.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct policy;
struct error_page;

struct answer {
    int status;
    bool head_only;  /* the request was HEAD */
    bool close;      /* Connection: close */
    bool http_1_0;   /* the client speaks 1.0: keep-alive must be said */
    int retry_after; /* seconds, 0: none */
    time_t date;
    const char *location; /* 308; NULL: none */
    size_t location_length;
    const struct error_page
        *page; /* the tenant's own text, sent behind what answer_write writes; NULL: ours */
};
/* The tenant's own page for this status, or NULL. */
const struct error_page *answer_page(const struct policy *, int status);
/* Writes the whole response but a `page` into `out`; returns its length (0: it does not fit). */
size_t answer_write(const struct answer *, char *out, size_t room);
const char *answer_reason(int status);
