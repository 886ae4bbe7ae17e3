/* SPDX-License-Identifier: GPL-3.0-or-later
 * path.h - which question to a Docker API a request is. Pure. What is not understood to the last byte is no question we let through:
 * the engine is asked a path that is written anew, never the one that came.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum question {
    QUESTION_OTHER, /* not on the list */
    QUESTION_PING,
    QUESTION_VERSION,
    QUESTION_INFO,
    QUESTION_LIST,
    QUESTION_INSPECT,
    QUESTION_EVENTS,
};
struct asked_path {
    enum question question;
    char which[256]; /* QUESTION_INSPECT: an id or a name */
    char ask[4096];  /* what the engine is to be asked, with version and query */
    size_t
        most; /* QUESTION_LIST, by path_limit_take: so many of the newest, running or not; 0: all */
};
enum question path_read(const char *method, const char *target, struct asked_path *ret);
/* Does its query make a list depend on a container that it names? Whether there is one of that name would be told. */
bool path_names_one(const struct asked_path *);
/* Takes `limit` out of a list's query, to be kept to once others' containers are out of the list: an engine counts them as well, so what
 * is left would tell how many are newer. False: it can't be read as every engine would read it. */
bool path_limit_take(struct asked_path *);
