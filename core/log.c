/* SPDX-License-Identifier: GPL-3.0-or-later
 * log.c - lines for the operator: "2026-01-31T12:00:00.123Z warning tenant acme: …".
 * One write(2) per line, so lines of several threads never mix; the descriptor is replaced in place by log_open, so no
 * lock is needed. As JSON: {"time":"…","type":"log","level":"warning","message":"…"}. Control characters are blanked: what a peer or a tenant wrote can't forge a line or move a cursor.
 */
#include "core/log.h"
#include "core/json.h"
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
static atomic_bool log_json;

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

void log_as_json(bool json) {
    atomic_store(&log_json, json);
}

static size_t stamp_print(char *line, size_t room, int level, bool json) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n =
        strftime(line, room, json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &utc);
    const char *name = names[level < LOG_ERROR ? LOG_ERROR : level > LOG_DEBUG ? LOG_DEBUG : level];
    return n + (size_t)snprintf(line + n, room - n,
                                json ? ".%03ldZ\",\"type\":\"log\",\"level\":\"%s\",\"message\":"
                                     : ".%03ldZ %s ",
                                now.tv_nsec / 1000000, name);
}

static void controls_blank(char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
}

/* The whole line, with its newline. */
static size_t line_make(char *line, size_t room, int level, bool json, const char *body,
                        size_t length) {
    size_t n = stamp_print(line, room, level, json);
    if (json) {
        char *end = json_text(line + n, LINE_MAX_BYTES, body, length);
        *end++ = '}';
        n = (size_t)(end - line);
    } else {
        memcpy(line + n, body, length);
        n += length;
    }
    line[n++] = '\n';
    return n;
}

void log_write(int level, const char *format, ...) {
    if (level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    int saved = errno;
    bool json = atomic_load_explicit(&log_json, memory_order_relaxed);
    char body[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 128];
    va_list args;
    va_start(args, format);
    int printed = vsnprintf(body, sizeof body, format, args);
    va_end(args);
    size_t length = printed < 0                     ? 0
                    : (size_t)printed < sizeof body ? (size_t)printed
                                                    : sizeof body - 1;
    controls_blank(body, length);
    length = line_make(line, sizeof line, level, json, body, length);
    if (write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, length) < 0) {
        /* nowhere left to say it */
    }
    errno = saved;
}
