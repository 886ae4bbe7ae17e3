/* SPDX-License-Identifier: GPL-3.0-or-later
 * ticket_file.c - see ticket_file.h.
 */
#include "core/ticket_file.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char HEAD[] = "ringress ticket keys 1\n";
enum { TEXT_MOST = 512 };

/* ---- text ---- */

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *hex_read(const char *at, uint8_t *out, size_t length) {
    for (size_t i = 0; i < length; i++, at += 2) {
        if (digit(at[0]) < 0 || digit(at[1]) < 0)
            return NULL;
        out[i] = (uint8_t)(digit(at[0]) << 4 | digit(at[1]));
    }
    return at;
}

static char *hex_put(char *at, const uint8_t *in, size_t length) {
    for (size_t i = 0; i < length; i++)
        at += sprintf(at, "%02x", in[i]);
    return at;
}

/* Behind the line, or NULL: that is none. */
static const char *key_read(const char *at, struct ticket_key *ret) {
    char *end;
    errno = 0;
    ret->made = strtoll(at, &end, 10);
    if (errno || end == at || *end != ' ')
        return NULL;
    at = hex_read(end + 1, ret->name, sizeof ret->name);
    if (!at || *at != ' ')
        return NULL;
    at = hex_read(at + 1, ret->secret, sizeof ret->secret);
    return at && *at == '\n' ? at + 1 : NULL;
}

static bool keys_parse(const char *text, int64_t now, int64_t age, struct ticket_keys *ret) {
    struct ticket_keys keys = {0};
    struct ticket_key key;
    if (strncmp(text, HEAD, sizeof HEAD - 1))
        return false;
    for (const char *at = text + sizeof HEAD - 1; *at;) {
        at = key_read(at, &key);
        if (!at || keys.count == TICKET_KEYS)
            return false;
        if (key.made <= now && now - key.made < age)
            keys.key[keys.count++] = key;
    }
    *ret = keys;
    explicit_bzero(&keys, sizeof keys);
    explicit_bzero(&key, sizeof key);
    return true;
}

/* ---- the file ---- */

/* What others could read may be known to them. */
static bool is_private(int fd, const char *path, struct err *err) {
    struct stat st;
    if (fstat(fd, &st))
        return err_set(err, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s: not a regular file", path);
    return !(st.st_mode & 077) || err_set(err, "%s: could be read by others", path);
}

bool ticket_file_read(const char *path, int64_t now, int64_t age, struct ticket_keys *ret,
                      struct err *err) {
    char text[TEXT_MOST + 1];
    *ret = (struct ticket_keys){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT || err_set(err, "%s: %s", path, strerror(errno));
    ssize_t n = is_private(fd, path, err) ? read(fd, text, TEXT_MOST) : -2;
    if (n == -1)
        err_set(err, "%s: %s", path, strerror(errno));
    close(fd);
    if (n < 0)
        return false;
    text[n] = 0;
    bool good = keys_parse(text, now, age, ret) || err_set(err, "%s: not what we write", path);
    explicit_bzero(text, sizeof text);
    return good;
}

static size_t keys_print(const struct ticket_keys *keys, char out[TEXT_MOST]) {
    char *at = stpcpy(out, HEAD);
    for (unsigned i = 0; i < keys->count; i++) {
        at += sprintf(at, "%" PRId64 " ", keys->key[i].made);
        at = stpcpy(hex_put(at, keys->key[i].name, TICKET_NAME), " ");
        at = stpcpy(hex_put(at, keys->key[i].secret, TICKET_SECRET), "\n");
    }
    return (size_t)(at - out);
}

static bool file_make(const char *path, const char *text, size_t length) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool good = write(fd, text, length) == (ssize_t)length && !fsync(fd);
    int why = errno;
    close(fd);
    errno = why;
    return good;
}

/* The name, too, is on disk when this returns. */
static bool folder_sync(const char *path) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && !fsync(fd);
    if (fd >= 0)
        close(fd);
    return good;
}

bool ticket_file_write(const char *path, const struct ticket_keys *keys, struct err *err) {
    char text[TEXT_MOST], beside[4096];
    size_t length = keys_print(keys, text);
    snprintf(beside, sizeof beside, "%s.new", path);
    bool good = file_make(beside, text, length) && !rename(beside, path) && folder_sync(path);
    explicit_bzero(text, sizeof text);
    return good || err_set(err, "%s: %s", path, strerror(errno));
}
