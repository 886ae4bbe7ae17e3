/* SPDX-License-Identifier: GPL-3.0-or-later
 * stored.c - see stored.h. 100,000 of them lie in memory and few are ever asked for, so a path is kept as what it does not share:
 *
 *   /var/lib/ringress/acme/7f3a…/chain.pem, id 7f3a…  ->  folder 1 ("/var/lib/ringress/acme/"), "\1/chain.pem"
 *
 * and an id or a UID that is 32 hexadecimal digits, plain or with the dashes of a UUID, as the 16 bytes they say.
 */
#include "core/stored.h"
#include "core/control.h"
#include "core/map.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MOST = 4096, PEM_MOST = 1 << 20, FOLDERS_MOST = 255, ID_HERE = 1 };

static char *folder[FOLDERS_MOST + 1]; /* [0]: none, the path is whole; only ever added to */

/* ---- paths ---- */

/* Where "/x/y" of ".../x/y" begins. */
static size_t tail_at(const char *path) {
    const char *last = strrchr(path, '/');
    const char *before = last ? memrchr(path, '/', (size_t)(last - path)) : NULL;
    return before ? (size_t)(before - path) : 0;
}

static uint8_t folder_of(const char *path, size_t length) {
    unsigned i = 1;
    for (; length && i <= FOLDERS_MOST && folder[i]; i++)
        if (strlen(folder[i]) == length && !memcmp(folder[i], path, length))
            return (uint8_t)i;
    if (!length || i > FOLDERS_MOST || !(folder[i] = strndup(path, length)))
        return 0;
    return (uint8_t)i;
}

/* What is kept of a path: what follows the folder, or its id if that stands in the last two parts; the id as one octet. */
static uint8_t path_fold(const char *path, const char *id, char out[PATH_MOST]) {
    const char *tail = path + tail_at(path), *here = strstr(tail, id);
    if (here)
        tail = here;
    uint8_t in = folder_of(path, (size_t)(tail - path));
    if (!in)
        tail = path;
    if (here)
        snprintf(out, PATH_MOST, "%.*s%c%s", (int)(here - tail), tail, ID_HERE, here + strlen(id));
    else
        snprintf(out, PATH_MOST, "%s", tail);
    return in;
}

static void path_unfold(uint8_t in, const char *kept, const char *id, char out[PATH_MOST]) {
    const char *begin = in ? folder[in] : "", *here = strchr(kept, ID_HERE);
    if (here)
        snprintf(out, PATH_MOST, "%s%.*s%s%s", begin, (int)(here - kept), kept, id, here + 1);
    else
        snprintf(out, PATH_MOST, "%s%s", begin, kept);
}

void stored_fini(void) {
    for (unsigned i = 1; i <= FOLDERS_MOST; i++) {
        free(folder[i]);
        folder[i] = NULL;
    }
}

/* ---- ids and UIDs ---- */

enum form { FORM_TEXT, FORM_PLAIN, FORM_DASHED, FORM_BITS = 2 };
enum { DIGITS_BYTES = 16, DASHED_LENGTH = 36, PLAIN_LENGTH = 32 };

static bool has_dash_before(enum form form, unsigned byte) {
    return form == FORM_DASHED && (byte == 4 || byte == 6 || byte == 8 || byte == 10);
}

static void digits_print(enum form form, const uint8_t *byte, char *out) {
    static const char digit[] = "0123456789abcdef";
    for (unsigned i = 0; i < DIGITS_BYTES; i++) {
        if (has_dash_before(form, i))
            *out++ = '-';
        *out++ = digit[byte[i] >> 4];
        *out++ = digit[byte[i] & 15];
    }
    *out = 0;
}

static unsigned digit_value(char c) {
    return c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0') & 15;
}

/* How it can be kept: what is read back must be what was written. */
static enum form digits_read(const char *text, uint8_t byte[DIGITS_BYTES]) {
    char again[DASHED_LENGTH + 1];
    size_t length = strlen(text);
    enum form form = length == PLAIN_LENGTH    ? FORM_PLAIN
                     : length == DASHED_LENGTH ? FORM_DASHED
                                               : FORM_TEXT;
    const char *at = text;
    for (unsigned i = 0; form && i < DIGITS_BYTES; i++, at += 2) {
        at += has_dash_before(form, i);
        byte[i] = (uint8_t)(digit_value(at[0]) << 4 | (digit_value(at[1]) & 15));
    }
    if (!form)
        return FORM_TEXT;
    digits_print(form, byte, again);
    return strcmp(again, text) ? FORM_TEXT : form;
}

static size_t kept_size(enum form form, const char *text) {
    return form ? DIGITS_BYTES : strlen(text) + 1;
}

static char *kept_put(char *to, enum form form, const char *text, const uint8_t *byte) {
    memcpy(to, form ? (const char *)byte : text, kept_size(form, text));
    return to + kept_size(form, text);
}

static enum form form_of(const struct stored *s, bool uid) {
    return s->forms >> (uid ? FORM_BITS : 0) & ((1 << FORM_BITS) - 1);
}

static struct stored_text kept_text(const struct stored *s, const char *at, bool uid) {
    struct stored_text out;
    if (form_of(s, uid))
        digits_print(form_of(s, uid), (const uint8_t *)at, out.text);
    else
        memcpy(out.text, at, strlen(at) + 1); /* judged when it came */
    return out;
}

static const char *uid_at(const struct stored *s) {
    return s->text + kept_size(form_of(s, false), s->text);
}

struct stored_text stored_id(const struct stored *s) {
    return kept_text(s, s->text, false);
}

struct stored_text stored_uid(const struct stored *s) {
    return kept_text(s, uid_at(s), true);
}

/* ---- one ---- */

static bool text_good(const char *text, size_t most) {
    size_t length = text ? strlen(text) : 0;
    return length > 0 && length <= most;
}

static bool path_good(const char *path) {
    return text_good(path, PATH_MOST - 1) && !strchr(path, ID_HERE);
}

static bool source_good(const struct stored_certificate *c, struct err *err) {
    if (!text_good(c->id, STORED_ID_MOST) || !text_good(c->tenant_uid, STORED_UID_MOST))
        return err_set(err, "certificate: no id or no UID, or too long");
    if (!path_good(c->chain_file) || !path_good(c->key_file))
        return err_set(err, "certificate %s: a path of its files is not usable", c->id);
    if (c->name_count == 0 || c->name_count > STORED_NAMES_MOST)
        return err_set(err, "certificate %s: %zu names", c->id, c->name_count);
    for (size_t i = 0; i < c->name_count; i++)
        if (!text_good(c->name[i], 253))
            return err_set(err, "certificate %s: a name is empty or too long", c->id);
    return true;
}

static char *text_put(char *to, const char *text) {
    return stpcpy(to, text) + 1;
}

struct stored *stored_new(const struct stored_certificate *c, struct err *err) {
    char chain[PATH_MOST], key[PATH_MOST];
    if (!source_good(c, err))
        return NULL;
    uint8_t chain_folder = path_fold(c->chain_file, c->id, chain);
    uint8_t key_folder = path_fold(c->key_file, c->id, key);
    uint8_t id_bytes[DIGITS_BYTES], uid_bytes[DIGITS_BYTES];
    enum form id = digits_read(c->id, id_bytes), uid = digits_read(c->tenant_uid, uid_bytes);
    size_t size = offsetof(struct stored, text) + kept_size(id, c->id) +
                  kept_size(uid, c->tenant_uid) + strlen(chain) + strlen(key) + 2;
    for (size_t i = 0; i < c->name_count; i++)
        size += strlen(c->name[i]) + 1;
    struct stored *s = malloc(size < sizeof *s ? sizeof *s : size);
    if (!s) {
        err_set(err, "certificate %s: out of memory", c->id);
        return NULL;
    }
    *s = (struct stored){
        .not_after = c->not_after < 0            ? 0
                     : c->not_after > UINT32_MAX ? UINT32_MAX
                                                 : (uint32_t)c->not_after,
        .name_count = (uint16_t)c->name_count,
        .chain_folder = chain_folder,
        .key_folder = key_folder,
        .forms = (uint8_t)(id | uid << FORM_BITS),
    };
    char *at = kept_put(kept_put(s->text, id, c->id, id_bytes), uid, c->tenant_uid, uid_bytes);
    at = text_put(text_put(at, chain), key);
    for (size_t i = 0; i < c->name_count; i++)
        at = text_put(at, c->name[i]);
    return s;
}

enum { TEXT_CHAIN, TEXT_KEY, TEXT_NAME }; /* after id and UID */

static const char *text_at(const struct stored *s, unsigned n) {
    const char *at = uid_at(s);
    at += kept_size(form_of(s, true), at);
    while (n--)
        at += strlen(at) + 1;
    return at;
}

const char *stored_name(const struct stored *s, unsigned n) {
    return text_at(s, TEXT_NAME + n);
}

bool stored_is(const struct stored *s, const char *uid, const char *name) {
    if (strcmp(stored_uid(s).text, uid))
        return false;
    const char *at = stored_name(s, 0);
    for (unsigned i = 0; i < s->name_count; i++, at += strlen(at) + 1)
        if (!strcmp(at, name))
            return true;
    return false;
}

/* No UID begins with a slash. */
uint64_t stored_id_hash(const char *id) {
    char key[STORED_ID_MOST + 2];
    int n = snprintf(key, sizeof key, "/%s", id);
    return hash_bytes(key, (size_t)n < sizeof key ? (size_t)n : sizeof key - 1);
}

uint64_t stored_name_hash(const char *uid, const char *name) {
    char key[STORED_UID_MOST + 256];
    int n = snprintf(key, sizeof key, "%s/%s", uid, name);
    return hash_bytes(key, (size_t)n < sizeof key ? (size_t)n : sizeof key - 1);
}

/* ---- its files ---- */

static bool file_fill(int fd, char *out, size_t *ret_length) {
    size_t length = 0;
    for (ssize_t n; length < PEM_MOST; length += (size_t)n) {
        n = read(fd, out + length, PEM_MOST - length);
        if (n < 0)
            return false;
        if (n == 0) {
            *ret_length = length;
            return true;
        }
    }
    errno = EFBIG;
    return false;
}

/* Into `out`, PEM_MOST + 1 bytes; a NUL inside ends it. */
static bool file_load(const char *path, char *out, struct err *err) {
    size_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    bool good = file_fill(fd, out, &length);
    int why = errno;
    close(fd);
    if (!good)
        return err_set(err, "%s: %s", path, strerror(why));
    out[length] = 0;
    return true;
}

struct identity *stored_load(const struct stored *s, struct err *err) {
    char path[PATH_MOST];
    const struct stored_text id = stored_id(s);
    struct err why;
    struct identity *identity = NULL;
    char *chain = malloc(PEM_MOST + 1), *key = malloc(PEM_MOST + 1);
    if (!chain || !key) {
        err_set(err, "certificate %s: out of memory", id.text);
    } else {
        *key = 0;
        path_unfold(s->chain_folder, text_at(s, TEXT_CHAIN), id.text, path);
        bool good = file_load(path, chain, &why);
        path_unfold(s->key_folder, text_at(s, TEXT_KEY), id.text, path);
        good = good && file_load(path, key, &why);
        identity = good ? identity_new(chain, key, &why) : NULL;
        if (!identity)
            err_set(err, "certificate %s: %.400s", id.text, why.text);
        explicit_bzero(key, strlen(key));
    }
    free(chain);
    free(key);
    return identity;
}
