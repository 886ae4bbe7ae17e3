/* SPDX-License-Identifier: GPL-3.0-or-later
 * file.c - see file.h.
 */
#include "edge/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM_LEAST = 64 };

static bool stat_good(int fd, const char *path, size_t max, size_t *ret_size, struct err *err) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s: not a regular file", path);
    if ((size_t)st.st_size > max)
        return err_set(err, "%s: larger than %zu KiB", path, max >> 10);
    *ret_size = (size_t)st.st_size;
    return true;
}

/* Reads to the end rather than the size fstat told: the file may be growing. One byte more than `max` tells. There is room for that
 * size and not much more: of many small files, pages that nothing comes into would be most of the work. */
static char *read_all(int fd, const char *path, size_t size, size_t max, size_t *ret_length,
                      struct err *err) {
    size_t room = size + ROOM_LEAST, length = 0;
    char *text = malloc(room + 1);
    for (ssize_t n; text; length += (size_t)n) {
        if (length == room) {
            char *more = realloc(text, (room *= 2) + 1);
            if (!more)
                break;
            text = more;
        }
        n = read(fd, text + length, room - length);
        if (n == 0 && length <= max) {
            text[length] = 0;
            *ret_length = length;
            return text;
        }
        if (n <= 0 || length > max) {
            err_set(err, "%s: %s", path, n < 0 ? strerror(errno) : "too large");
            free(text);
            return NULL;
        }
    }
    free(text);
    err_set(err, "%s: out of memory", path);
    return NULL;
}

char *file_read(const char *path, size_t max, size_t *ret_length, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int why = errno;
        err_set(err, "%s: %s", path, strerror(why));
        errno = why;
        return NULL;
    }
    size_t size = 0;
    errno = 0;
    char *text = stat_good(fd, path, max, &size, err)
                     ? read_all(fd, path, size, max, ret_length, err)
                     : NULL;
    int why = errno == ENOMEM ? ENOMEM : EINVAL; /* else it was there, but no good */
    close(fd);
    if (!text)
        errno = why;
    return text;
}

char *path_join(const char *folder, const char *name) {
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *path_beside(const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    char *path;
    if (name[0] == '/' || !slash)
        return strdup(name);
    return asprintf(&path, "%.*s/%s", (int)(slash - file), file, name) < 0 ? NULL : path;
}
