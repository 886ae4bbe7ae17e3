/* SPDX-License-Identifier: GPL-3.0-or-later
 * log.c - lines for the operator: "2026-01-31T12:00:00.123Z warning tenant acme: …".
 * One write(2) per line, so lines of several threads never mix; the descriptor is replaced in place by log_open, so no
 * lock is needed. Control characters are blanked: what a peer or a tenant wrote can't forge a line or move a cursor.
 */
#include "core/log.h"
#include "core/module.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_level = LOG_INFO;

bool log_open(const char *path, int level, struct err *err) {
    int fd = STDERR_FILENO;
    if (strcmp(path, "stderr") != 0) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return err_set(err, "cannot open log file %s: %s", path, strerror(errno));
    }
    int old = atomic_load(&log_fd);
    if (old > STDERR_FILENO && fd > STDERR_FILENO) {
        dup3(fd, old, O_CLOEXEC); /* writers in flight keep a valid descriptor */
        close(fd);
    } else {
        atomic_store(
            &log_fd,
            fd); /* an old file's descriptor stays open: a writer may still hold its number */
    }
    atomic_store(&log_level, level);
    return true;
}

static size_t stamp_print(char *line, size_t room, int level) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
    const char *name = names[level < LOG_ERROR ? LOG_ERROR : level > LOG_DEBUG ? LOG_DEBUG : level];
    return n + (size_t)snprintf(line + n, room - n, ".%03ldZ %s ", now.tv_nsec / 1000000, name);
}

static void controls_blank(char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
}

void log_write(int level, const char *format, ...) {
    if (level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    int saved = errno;
    char line[LINE_MAX_BYTES];
    size_t head = stamp_print(line, sizeof line, level);
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + head, sizeof line - head - 1, format, args);
    va_end(args);
    size_t length = head + (body < 0 ? 0 : (size_t)body);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    controls_blank(line + head, length - head);
    line[length++] = '\n';
    if (write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, length) < 0) {
        /* nowhere left to say it */
    }
    errno = saved;
}
