/* SPDX-License-Identifier: GPL-3.0-or-later
 * user.c - see user.h.
 */
#include "edge/user.h"
#include "core/module.h"
#include "edge/capability.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
    const struct passwd *p = name ? user_look(name, err) : NULL;
    if (name && !p)
        return false;
    if (p && geteuid() != 0 && geteuid() != p->pw_uid)
        return err_set(err, "user %s: only root can become another user", name);
    *ret =
        p ? (struct user){name, p->pw_uid, p->pw_gid} : (struct user){NULL, geteuid(), getegid()};
    return true;
}

/* --- giving ----------------------------------------------------------------------------------*/

enum { FOLDERS_DEEP = 4 };

/* By descriptor: what was looked at is what is given. A folder's descriptor, or -1. */
static int entry_give(const struct user *u, int folder, const char *name) {
    struct stat st;
    int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    bool known = !fstat(fd, &st), is_folder = known && S_ISDIR(st.st_mode);
    bool plain = known && (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)) && st.st_nlink == 1;
    if ((is_folder || plain) && st.st_uid != u->uid &&
        fchownat(fd, "", u->uid, u->gid, AT_EMPTY_PATH))
        log_write(1, "%s can't be given to user %s: %s", name, u->name ? u->name : "",
                  strerror(errno));
    int inside = is_folder ? openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    close(fd);
    return inside;
}

static void entries_give(const struct user *u, int folder, int deep) {
    DIR *dir = folder < 0 ? NULL : fdopendir(folder);
    if (!dir && folder >= 0)
        close(folder);
    for (struct dirent *e; dir && deep > 0 && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            entries_give(u, entry_give(u, dirfd(dir), e->d_name), deep - 1);
    if (dir)
        closedir(dir);
}

void user_give(const struct user *u, const char *path) {
    int inside = entry_give(u, AT_FDCWD, path);
    if (inside >= 0)
        close(inside);
}

/* The folder itself may be named by a link of the operator's. */
void user_give_folder(const struct user *u, const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fchown(fd, u->uid, u->gid))
        log_write(1, "%s can't be given to user %s: %s", path, u->name ? u->name : "",
                  strerror(errno));
    entries_give(u, fd, FOLDERS_DEEP);
}

/* --- becoming --------------------------------------------------------------------------------*/

static bool ids_set(const struct user *u) {
    return !(u->name ? initgroups(u->name, u->gid) : 0) && !setresgid(u->gid, u->gid, u->gid) &&
           !setresuid(u->uid, u->uid, u->uid);
}

/* Tried, not believed: each of these must fail. */
static bool way_back(const struct user *u) {
    return u->uid != 0 && (!setresuid(-1, 0, -1) || !setuid(0) || !setresgid(-1, 0, -1) ||
                           (u->name && !setgroups(0, NULL)));
}

bool user_become(const struct user *u, uint64_t capabilities, struct err *err) {
    capabilities_bound();
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (geteuid() == 0 && u->uid != 0 && !ids_set(u))
        return err_set(err, "user %s: %s", u->name, strerror(errno));
    if (!capabilities_keep(capabilities, err))
        return false;
    return !way_back(u) || err_set(err, "user %s: there is a way back to root", u->name);
}

/* --- systemd ---------------------------------------------------------------------------------*/

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
