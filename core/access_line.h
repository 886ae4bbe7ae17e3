/* SPDX-License-Identifier: GPL-3.0-or-later
 * access_line.h - one line of the access log, made of a record and of what the host knows. Pure but for the clock.
 */
#pragma once
#include "core/access.h"
#include <stdbool.h>

/* No longer than what a pipe takes whole, so that lines of several writers never mix there (PIPE_BUF). */
enum { ACCESS_LINE_MAX = 4096 };

/* Monotonic to calendar: looked at once a second; the text of a second is made once. One per thread. */
struct access_clock {
    int64_t wall_us; /* what to add to monotonic microseconds */
    int64_t checked_us, second;
    char stamp[20]; /* "2026-01-31T12:00:00" */
};

struct access_facts {
    unsigned worker;
    uint16_t port;
    bool query;         /* written; else null */
    const char *tenant; /* or NULL */
    const char *tls;    /* "TLSv1.3", or "" */
    int64_t now_us;     /* monotonic */
};

/* Returns the length, with the newline. */
size_t access_line(char out[ACCESS_LINE_MAX], struct access_clock *, const struct access_facts *,
                   const struct access_record *);
const char *access_error_word(unsigned error); /* NULL: none */
