/* SPDX-License-Identifier: GPL-3.0-or-later
 * user.c - see user.h.
 */
#include "edge/user.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct passwd *user_look(const char *name, struct err *err) {
    errno = 0;
    const struct passwd *p = getpwnam(name);
    if (!p)
        err_set(err, "user %s: %s", name, errno ? strerror(errno) : "no such user");
    return p;
}

bool user_exists(const char *name, struct err *err) {
    return user_look(name, err);
}

bool user_find(const char *name, struct user *ret, struct err *err) {
    const struct passwd *p = user_look(name, err);
    if (!p)
        return false;
    if (geteuid() != 0 && geteuid() != p->pw_uid)
        return err_set(err, "user %s: only root can become another user", name);
    *ret = (struct user){name, p->pw_uid, p->pw_gid};
    return true;
}

bool user_become(const struct user *u, struct err *err) {
    if (geteuid() == u->uid)
        return true;
    if (initgroups(u->name, u->gid) || setresgid(u->gid, u->gid, u->gid) ||
        setresuid(u->uid, u->uid, u->uid))
        return err_set(err, "user %s: %s", u->name, strerror(errno));
    return true;
}

void notify_send(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path) + 1);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, length);
    close(fd);
}
