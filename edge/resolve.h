/* SPDX-License-Identifier: GPL-3.0-or-later
 * resolve.h - one question to a resolver, on a thread that may wait.
 */
#pragma once
#include "tenants/compiled.h"

enum resolve_answer { RESOLVE_FAILED, RESOLVE_GOOD /* none: there is no such name */ };

struct question {
    const char *name, *dns, *netns; /* dns, netns: NULL for ours */
    const char *device;             /* that `dns` is asked through, or NULL */
    char *const *servers;           /* used without `dns`; none: the system's */
    size_t server_count;
    int64_t patience_ms;
};

/* A and AAAA; up to `room` addresses, port 0. Moves the calling thread into the namespace and back; when it can't come
 * back, the process aborts. */
enum resolve_answer resolve(const struct question *, union address *ret, size_t room,
                            size_t *ret_count);
