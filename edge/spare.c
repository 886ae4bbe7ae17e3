/* SPDX-License-Identifier: GPL-3.0-or-later
 * spare.c - see spare.h. Files are opened once: later the jail does not let us, and a descriptor costs nothing to read again.
 *
 *   limit            used
 *   edge.yaml        resident pages
 *   RLIMIT_AS, _DATA mapped pages, without those that the allocator keeps for itself to use again
 *   cgroup           what it is charged, without pages of files, which it can drop; version 1 and 2
 *   the machine      what the kernel says is available
 */
#include "edge/spare.h"
#include "edge/edge.h"
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PART = 8, RESERVE_LEAST = 4 << 20, RESERVE_MOST = 128 << 20, TEXT_MOST = 8192 };

static const char *const names[] = {"memory", "RLIMIT_AS", "RLIMIT_DATA", "cgroup", "machine"};

/* ---- files ---- */

static bool text_read(int fd, char text[TEXT_MOST]) {
    ssize_t n = fd < 0 ? -1 : pread(fd, text, TEXT_MOST - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* The number behind `key` at the beginning of a line; 0: no such line. */
static int64_t value_of(const char *text, const char *key) {
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL)
        if (!strncmp(line, key, length) && (line[length] == ' ' || line[length] == ':'))
            return strtoll(line + length + 1, NULL, 10);
    return 0;
}

/* "max", and what version 1 has for it, are no limit. */
static int64_t number_read(int fd) {
    char text[TEXT_MOST];
    if (!text_read(fd, text) || !strncmp(text, "max", 3))
        return INT64_MAX;
    int64_t n = strtoll(text, NULL, 10);
    return n >= INT64_MAX - (1 << 20) ? INT64_MAX : n;
}

__attribute__((format(printf, 1, 2))) static int file_open(const char *format, ...) {
    char path[PATH_MAX];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(path, sizeof path, format, list);
    va_end(list);
    return n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* ---- which cgroup limits us ---- */

static const struct version_of {
    const char *mark, *folder, *limit, *use;
} versions[] = {
    {"0::", "/sys/fs/cgroup", "memory.max", "memory.current"},
    {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
};

static void group_take(struct spare *s, const struct version_of *v, const char *folder,
                       int64_t *least) {
    int fd = file_open("%s/%s", folder, v->limit);
    int64_t limit = fd < 0 ? INT64_MAX : number_read(fd);
    if (fd < 0 || (s->limit >= 0 && limit >= *least)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (s->limit >= 0) {
        close(s->limit);
        close(s->use);
        close(s->stat);
    }
    *least = limit;
    s->limit = fd;
    s->use = file_open("%s/%s", folder, v->use);
    s->stat = file_open("%s/memory.stat", folder);
}

/* Ours, and those above it: the least of their limits holds. In a container its folder may be the one that is mounted. */
static void group_find(struct spare *s, const struct version_of *v, const char *root,
                       const char *all) {
    char folder[PATH_MAX];
    const char *at = strstr(all, v->mark);
    int64_t least = INT64_MAX;
    if (!at)
        return;
    at += strlen(v->mark);
    int top = snprintf(folder, sizeof folder, "%s%s", root, v->folder);
    int n = snprintf(folder + top, sizeof folder - (size_t)top, "%.*s", (int)strcspn(at, "\n"), at);
    if (n >= (int)sizeof folder - top)
        return;
    for (char *slash; (slash = strrchr(folder + top, '/')); *slash = 0)
        group_take(s, v, folder, &least);
    group_take(s, v, folder, &least);
}

void spare_open(struct spare *s, int64_t memory, const char *root) {
    char all[TEXT_MOST];
    *s = (struct spare){.memory = memory, .limit = -1, .use = -1, .stat = -1};
    s->statm = file_open("%s/proc/self/statm", root);
    s->meminfo = file_open("%s/proc/meminfo", root);
    int fd = file_open("%s/proc/self/cgroup", root);
    for (size_t i = 0; text_read(fd, all) && i < 2 && s->limit < 0; i++)
        group_find(s, &versions[i], root, all);
    if (fd >= 0)
        close(fd);
}

void spare_close(struct spare *s) {
    const int fds[] = {s->statm, s->meminfo, s->limit, s->use, s->stat};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* ---- what is used ---- */

struct pages {
    int64_t mapped, resident, data; /* bytes */
};

static struct pages pages_read(const struct spare *s) {
    char text[TEXT_MOST], *at = text;
    int64_t field[7] = {0}, page = sysconf(_SC_PAGESIZE);
    text_read(s->statm, text);
    for (int i = 0; i < 7; i++)
        field[i] = strtoll(at, &at, 10) * page;
    return (struct pages){field[0], field[1], field[5]};
}

static int64_t rlimit_of(int resource) {
    struct rlimit r;
    return getrlimit((typeof(RLIMIT_AS))resource, &r) || r.rlim_cur > INT64_MAX
               ? INT64_MAX
               : (int64_t)r.rlim_cur;
}

/* INT64_MAX: it does not say. */
static int64_t group_used(const struct spare *s) {
    static const char *const files[] = {"active_file", "inactive_file", "total_active_file",
                                        "total_inactive_file"};
    char text[TEXT_MOST];
    int64_t used = number_read(s->use);
    if (used == INT64_MAX || !text_read(s->stat, text))
        return used;
    size_t first = value_of(text, "total_rss") || value_of(text, files[2]) ? 2 : 0;
    return used - value_of(text, files[first]) - value_of(text, files[first + 1]);
}

static int64_t group_left(const struct spare *s, int64_t *ret_limit) {
    int64_t used = group_used(s);
    *ret_limit = number_read(s->limit);
    return *ret_limit == INT64_MAX || used == INT64_MAX ? INT64_MAX : *ret_limit - used;
}

static int64_t machine_left(const struct spare *s, int64_t *ret_limit) {
    char text[TEXT_MOST];
    if (!text_read(s->meminfo, text))
        return INT64_MAX;
    *ret_limit = value_of(text, "MemTotal") * 1024;
    return (value_of(text, "MemAvailable") + value_of(text, "SwapFree")) * 1024;
}

/* INT64_MAX: it does not limit. */
static int64_t left_of(const struct spare *s, enum spare_limit which, const struct pages *p,
                       int64_t *limit) {
    switch (which) {
    case SPARE_CONF:
        *limit = s->memory ? s->memory : INT64_MAX;
        return s->memory ? s->memory - p->resident : INT64_MAX;
    case SPARE_AS:
        *limit = rlimit_of(RLIMIT_AS);
        return *limit == INT64_MAX ? INT64_MAX : *limit - p->mapped + memory_retained();
    case SPARE_DATA:
        *limit = rlimit_of(RLIMIT_DATA);
        return *limit == INT64_MAX ? INT64_MAX : *limit - p->data + memory_retained();
    case SPARE_CGROUP:
        return group_left(s, limit);
    default:
        return machine_left(s, limit);
    }
}

/* ---- a look ---- */

static int64_t reserve_for(int64_t limit, int64_t left) {
    int64_t reserve = limit / PART;
    reserve = reserve < RESERVE_LEAST  ? RESERVE_LEAST
              : reserve > RESERVE_MOST ? RESERVE_MOST
                                       : reserve;
    if (reserve > left / 2)
        reserve = left / 2;
    return reserve > 0 ? reserve : 1;
}

struct spare_look spare_look(struct spare *s) {
    struct spare_look nearest = {.what = "", .limit = INT64_MAX, .left = INT64_MAX};
    struct pages pages = pages_read(s);
    for (int i = 0; i < SPARE_LIMITS; i++) {
        int64_t limit = INT64_MAX, left = left_of(s, (enum spare_limit)i, &pages, &limit);
        if (left == INT64_MAX)
            continue;
        if (!s->reserve[i])
            s->reserve[i] = reserve_for(limit, left);
        if (left - s->reserve[i] < nearest.left - nearest.reserve)
            nearest = (struct spare_look){names[i], limit, left, s->reserve[i], STRAIN_NONE};
    }
    nearest.strain = nearest.left < nearest.reserve / 2 ? STRAIN_DIRE
                     : nearest.left < nearest.reserve   ? STRAIN_TIGHT
                                                        : STRAIN_NONE;
    return nearest;
}
