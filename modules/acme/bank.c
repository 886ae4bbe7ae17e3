/* SPDX-License-Identifier: GPL-3.0-or-later
 * bank.c - everything goes through one descriptor of the folder, so that nobody can put another in its place.
 */
#include "modules/acme/bank.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 1 << 20 };

static int folder = -1;
static char *folder_path;

bool bank_open(const char *state, struct err *err) {
    struct stat st;
    if (asprintf(&folder_path, "%s/certificates", state) < 0) {
        folder_path = NULL;
        return err_set(err, "acme: out of memory");
    }
    if (mkdir(folder_path, 0700) && errno != EEXIST)
        return err_set(err, "acme: %s: %s", folder_path, strerror(errno));
    folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &st))
        return err_set(err, "acme: %s: %s", folder_path, strerror(errno));
    if (st.st_uid != geteuid())
        return err_set(err, "acme: %s belongs to user %u, not to us", folder_path, st.st_uid);
    if (st.st_mode & 077 && fchmod(folder, 0700))
        return err_set(err, "acme: %s is open to others: %s", folder_path, strerror(errno));
    return true;
}

void bank_close(void) {
    if (folder >= 0)
        close(folder);
    folder = -1;
    free(folder_path);
    folder_path = NULL;
}

char *bank_path(const char *name) {
    char *path;
    return asprintf(&path, "%s/%s", folder_path, name) < 0 ? NULL : path;
}

static bool all_written(int fd, const char *text) {
    size_t length = strlen(text);
    while (length) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        length -= (size_t)n;
    }
    return fsync(fd) == 0;
}

bool bank_write(const char *name, const char *text, struct err *err) {
    char beside[300];
    snprintf(beside, sizeof beside, "%s.part", name);
    unlinkat(folder, beside, 0);
    int fd = openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 && all_written(fd, text);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (good && (renameat(folder, beside, folder, name) || fsync(folder))) {
        why = errno;
        good = false;
    }
    if (good)
        return true;
    unlinkat(folder, beside, 0);
    return err_set(err, "%s/%s: %s", folder_path, name, strerror(why));
}

char *bank_read(const char *name, struct err *err) {
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char *text = NULL;
    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= FILE_MOST)
        text = calloc(1, (size_t)st.st_size + 1);
    if (text && read(fd, text, (size_t)st.st_size) != st.st_size) {
        free(text);
        text = NULL;
    }
    if (!text)
        err_set(err, "%s/%s: %s", folder_path, name,
                fd < 0 ? strerror(errno) : "not a file that can be read");
    if (fd >= 0)
        close(fd);
    return text;
}

bool bank_has(const char *name) {
    struct stat st;
    return !fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) || errno != ENOENT;
}

bool bank_move(const char *from, const char *to, struct err *err) {
    if (!renameat(folder, from, folder, to) && !fsync(folder))
        return true;
    return err_set(err, "%s/%s: %s", folder_path, from, strerror(errno));
}

void bank_remove(const char *name) {
    unlinkat(folder, name, 0);
}

void bank_sweep(bool (*keep)(void *, const char *), void *user) {
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *all = again < 0 ? NULL : fdopendir(again);
    for (struct dirent *one; all && (one = readdir(all));)
        if (*one->d_name != '.' && !keep(user, one->d_name))
            unlinkat(folder, one->d_name, 0);
    if (all)
        closedir(all);
}
