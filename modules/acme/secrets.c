/* SPDX-License-Identifier: GPL-3.0-or-later
 * secrets.c - see secrets.h. The list is made before the first thread and forgotten after the last.
 */
#include "modules/acme/secrets.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct secret {
    struct secret *next;
    char line[SECRET_MOST];
    char path[];
};

static struct secret *list;

static bool line_read(const char *path, char out[SECRET_MOST], struct err *err) {
    FILE *in = fopen(path, "re");
    if (!in)
        return err_set(err, "%s can't be read: %s", path, strerror(errno));
    setvbuf(in, NULL, _IONBF, 0); /* no copy of it stays behind */
    bool read = fgets(out, SECRET_MOST, in);
    fclose(in);
    size_t length = read ? strcspn(out, "\r\n") : 0;
    if (length == 0)
        return err_set(err, "%s can't be read: its first line is empty", path);
    if (length == SECRET_MOST - 1)
        return err_set(err, "%s can't be read: its first line is longer than %d characters", path,
                       SECRET_MOST - 2);
    out[length] = 0;
    return true;
}

static struct secret *find(const char *path) {
    struct secret *s = list;
    while (s && strcmp(s->path, path))
        s = s->next;
    return s;
}

bool secret_keep(const char *path, struct err *err) {
    struct secret *s = find(path);
    if (s)
        return line_read(path, s->line, err);
    size_t size = strlen(path) + 1;
    s = calloc(1, sizeof *s + size);
    if (!s)
        return err_set(err, "out of memory");
    memcpy(s->path, path, size);
    if (!line_read(path, s->line, err)) {
        free(s);
        return false;
    }
    s->next = list;
    list = s;
    return true;
}

bool secret_line(const char *path, char out[SECRET_MOST], struct err *err) {
    if (line_read(path, out, err))
        return true;
    const struct secret *s = find(path);
    if (s)
        memcpy(out, s->line, SECRET_MOST);
    return s;
}

void secrets_forget(void) {
    while (list) {
        struct secret *s = list;
        list = s->next;
        explicit_bzero(s->line, sizeof s->line);
        free(s);
    }
}
