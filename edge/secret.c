/* SPDX-License-Identifier: GPL-3.0-or-later
 * secret.c - see secret.h. The file is one line of hexadecimal, so that it can be kept with other secrets and put back.
 *
 *   STATE/secret         read | made: written beside, synced, renamed
 *   row `secret`         SHA-256 of it, to tell a loss from a first start
 */
#include <wolfssl/options.h>

#include "core/module.h"
#include "edge/file.h"
#include "edge/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <wolfssl/wolfcrypt/hash.h>

enum { TEXT_LENGTH = 2 * SECRET_LENGTH };

static void hex_print(const uint8_t *bytes, size_t length, char *out) {
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool hex_read(const char *text, uint8_t ret[SECRET_LENGTH]) {
    size_t digits = strspn(text, "0123456789abcdef");
    if (digits != TEXT_LENGTH || text[digits + strspn(text + digits, "\n")])
        return false;
    for (size_t i = 0; i < SECRET_LENGTH; i++)
        sscanf(text + 2 * i, "%2hhx", &ret[i]);
    return true;
}

static void secret_make(uint8_t ret[SECRET_LENGTH]) {
    if (getrandom(ret, SECRET_LENGTH, 0) != SECRET_LENGTH)
        abort(); /* blocks until the kernel has entropy; fails never for 32 bytes */
}

static void folder_sync(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static bool file_write(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good =
        !fchmod(fd, 0600) && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && !fsync(fd);
    return !close(fd) && good;
}

static bool secret_keep(const char *folder, const char *path, const uint8_t secret[SECRET_LENGTH]) {
    char text[TEXT_LENGTH + 2], *beside = path_join(folder, "secret.new");
    hex_print(secret, SECRET_LENGTH, text);
    text[TEXT_LENGTH] = '\n';
    text[TEXT_LENGTH + 1] = 0;
    bool good = beside && file_write(beside, text) && !rename(beside, path);
    int why = errno;
    explicit_bzero(text, sizeof text);
    free(beside);
    folder_sync(folder);
    errno = why;
    return good;
}

/* --- which one it was ------------------------------------------------------------------------*/

static char *fingerprint_row(const uint8_t secret[SECRET_LENGTH]) {
    uint8_t digest[32];
    char text[65], *row;
    if (wc_Sha256Hash(secret, SECRET_LENGTH, digest))
        return NULL;
    hex_print(digest, sizeof digest, text);
    return asprintf(&row, "{\"sha256\":\"%s\"}", text) < 0 ? NULL : row;
}

static void change_tell(const char *path, bool made) {
    log_write(0,
              "%s %s: every TXT token that was shown before is void. Names that were proved by one "
              "are kept while it stands in DNS, and should be given the new one (ringress describe "
              "domain NAME); names that still wait must be. Put the old file back to undo this",
              path, made ? "was lost, a new one was made" : "is not the one it was");
}

/* What the store remembers is compared and, unless it is the same, replaced. */
static void fingerprint_judge(struct store *s, const uint8_t secret[SECRET_LENGTH],
                              const char *path, bool made) {
    int64_t revision;
    char *row = fingerprint_row(secret), *known = store_get(s, "secret", &revision);
    if (row && known && strcmp(row, known) != 0)
        change_tell(path, made);
    if (row && revision != STORE_ANY && (!known || strcmp(row, known) != 0))
        store_put(s, "secret", row);
    free(row);
    free(known);
}

static void secret_for_now(uint8_t ret[SECRET_LENGTH], const char *why) {
    secret_make(ret);
    log_write(0,
              "%s; tokens for TXT proofs are made with a key of this life, and no token shown "
              "before or now is good in the next",
              why);
}

void secret_load(const char *folder, struct store *store, uint8_t ret[SECRET_LENGTH]) {
    struct err err = {"out of memory"};
    size_t length;
    char *path = path_join(folder, "secret");
    char *text = path ? file_read(path, 4096, &length, &err) : NULL;
    bool made = path && !text && errno == ENOENT;
    if (made)
        secret_make(ret);
    if (made && !secret_keep(folder, path, ret)) {
        err_set(&err, "%s can't be written: %s", path, strerror(errno));
        secret_for_now(ret, err.text);
    } else if (made || (text && hex_read(text, ret))) {
        fingerprint_judge(store, ret, path, made);
    } else {
        if (text)
            err_set(&err, "%s is not 64 hexadecimal digits", path);
        secret_for_now(ret, err.text);
    }
    if (text)
        explicit_bzero(text, length);
    free(text);
    free(path);
}
