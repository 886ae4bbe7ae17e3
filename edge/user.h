/* SPDX-License-Identifier: GPL-3.0-or-later
 * user.h - becoming another user for good, and telling systemd how it goes.
 */
#pragma once
#include "core/diag.h"
#include <sys/types.h>

struct user {
    const char *name;
    uid_t uid;
    gid_t gid;
};

bool user_exists(const char *name, struct err *err);
/* False: *err, there is no such user, or we may not become it. */
bool user_find(const char *name, struct user *ret, struct err *err);
/* All threads, groups too. */
bool user_become(const struct user *, struct err *err);
/* A line for the service manager at $NOTIFY_SOCKET ("READY=1"); nothing without one. */
void notify_send(const char *state);
