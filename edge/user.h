/* SPDX-License-Identifier: GPL-3.0-or-later
 * user.h - becoming another user for good, giving him what is his, and telling systemd how it goes.
 */
#pragma once
#include "core/diag.h"
#include <stdint.h>
#include <sys/types.h>

struct user {
    const char *name; /* NULL: who we are */
    uid_t uid;
    gid_t gid;
};

bool user_exists(const char *name, struct err *err);
/* `name` NULL: who we are. False: *err, there is no such user, or we may not become it. */
bool user_find(const char *name, struct user *ret, struct err *err);
/* A plain file or a socket is his. What is not there, a link, or a file with a second name is left alone: whoever was that
 * user before may have put it there to be given what is not his. */
void user_give(const struct user *, const char *path);
/* The same of a folder and all that lies in it, four folders deep. */
void user_give_folder(const struct user *, const char *path);
/* Groups too, keeping `capabilities` of those that are held and no others, with no way back. Before any thread is started. */
bool user_become(const struct user *, uint64_t capabilities, struct err *err);
/* A line for the service manager at $NOTIFY_SOCKET ("READY=1"); nothing without one. */
void notify_send(const char *state);
