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
};
enum question path_read(const char *method, const char *target, struct asked_path *ret);
/* Does its query make a list depend on a container that it names? Whether there is one of that name would be told. */
bool path_names_one(const struct asked_path *);
