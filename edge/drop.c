/* SPDX-License-Identifier: GPL-3.0-or-later
 * drop.c - see drop.h. Files of a folder are read in the order of their names, so that the same files always give the
 * same messages.
 *
 * A file that has the inode, size and times that it had is what it was, if a moment had gone by between its last change and its reading:
 * the kernel's times stand still for 10 ms at most, and for up to 2 s where a file system knows seconds only. (What is written into
 * a mapping comes to neither these times nor inotify.)
 */
#include "edge/drop.h"
#include "edge/file.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FIRM_MS = 50, FIRM_OF_SECONDS_MS = 3000 };

/* What a reading knows. */
struct reading {
    const struct drop_files *was; /* NULL: nothing */
    bool marks;                   /* it is for the next one, too */
    int64_t begun_ms;
    size_t bytes;
};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcmp(text + n - m, end);
}

bool drop_reads(const char *entry) {
    return entry[0] != '.' && (ends_with(entry, ".yaml") || ends_with(entry, ".yml"));
}

bool drop_tenant_of(const char *entry, bool is_folder, char ret[256]) {
    size_t length = strlen(entry);
    if (entry[0] == '.' || length > 255)
        return false;
    if (!is_folder) {
        if (!ends_with(entry, ".yaml"))
            return false;
        length -= strlen(".yaml");
    }
    memcpy(ret, entry, length);
    ret[length] = 0;
    return true;
}

/* --- one tenant ------------------------------------------------------------------------------*/

static void digest_add(struct drop_files *f, size_t i) {
    const struct source *s = &f->source[i];
    uint64_t parts[3] = {f->digest, hash_bytes(s->path, strlen(s->path)), f->mark[i].hash};
    f->digest = hash_bytes(parts, sizeof parts);
}

/* errno stays as it is. */
static void link_blame(const char *path, struct err *err) {
    struct stat st;
    int why = errno;
    if (why == EACCES && !lstat(path, &st) && S_ISLNK(st.st_mode))
        err_set(err,
                "%s: it leads to where the edge may not read: the folder must be in `jail_read` of "
                "edge.yaml, and be the user's to read",
                path);
    errno = why;
}

static int64_t time_ms(const struct timespec *t) {
    return t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

/* Before it is read: a change in between shows next time. */
static struct drop_mark mark_of(const char *path, const struct reading *r) {
    struct stat st;
    if (!r->marks || stat(path, &st))
        return (struct drop_mark){.firm = false};
    int64_t rest = st.st_ctim.tv_nsec || st.st_mtim.tv_nsec ? FIRM_MS : FIRM_OF_SECONDS_MS;
    return (struct drop_mark){.device = st.st_dev,
                              .inode = st.st_ino,
                              .size = st.st_size,
                              .modified = st.st_mtim,
                              .changed = st.st_ctim,
                              .firm = r->begun_ms - time_ms(&st.st_ctim) > rest};
}

static bool time_same(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool mark_same(const struct drop_mark *a, const struct drop_mark *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           time_same(&a->modified, &b->modified) && time_same(&a->changed, &b->changed);
}

static int name_order(const void *name, const void *source) {
    return strcmp(name, ((const struct source *)source)->name);
}

/* The text that this file was read with, if it still is that; NULL: it is to be read. */
static char *text_again(const struct reading *r, const char *name, const struct drop_mark *now,
                        size_t *ret_length) {
    const struct drop_files *was = r->was;
    const struct source *s = was && was->source ? bsearch(name, was->source, was->drop.source_count,
                                                          sizeof *s, name_order)
                                                : NULL;
    const struct drop_mark *then = s ? &was->mark[s - was->source] : NULL;
    if (!s || !then->firm || !mark_same(then, now))
        return NULL;
    char *text = malloc(s->length + 1);
    if (!text)
        return NULL;
    memcpy(text, s->text, s->length + 1);
    *ret_length = s->length;
    return text;
}

/* For one source more. */
static bool room_make(struct drop_files *f) {
    size_t n = f->drop.source_count + 1;
    struct source *source = realloc(f->source, n * sizeof *source);
    if (source)
        f->drop.source = f->source = source;
    struct drop_mark *mark = source ? realloc(f->mark, n * sizeof *mark) : NULL;
    if (mark)
        f->mark = mark;
    return mark;
}

static bool source_add(struct drop_files *f, char *path, struct reading *r, struct err *err) {
    size_t n = f->drop.source_count, length;
    if (!path || !room_make(f)) {
        free(path);
        return err_set(err, "out of memory");
    }
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    f->mark[n] = mark_of(path, r);
    char *text = text_again(r, name, &f->mark[n], &length);
    if (!text)
        text = file_read(path, DROP_FILE_MAX, &length, err);
    if (!text) {
        link_blame(path, err);
        free(path);
        return false;
    }
    f->source[n] = (struct source){path, name, text, length};
    f->mark[n].hash = hash_bytes(text, length);
    digest_add(f, f->drop.source_count++);
    if ((r->bytes += length) > DROP_BYTES_MAX)
        return err_set(err, "%s: more than %d MiB in this folder", path, DROP_BYTES_MAX >> 20);
    return true;
}

static int entry_reads(const struct dirent *e) {
    return drop_reads(e->d_name);
}

static bool folder_read(struct drop_files *f, const char *folder, struct reading *r,
                        struct err *err) {
    struct dirent **entry;
    int n = scandir(folder, &entry, entry_reads, alphasort), why = errno;
    if (n < 0) {
        err_set(err, "%s: %s", folder, strerror(why));
        errno = why;
        return false;
    }
    bool good =
        n <= DROP_FILES_MAX || err_set(err, "%s: more than %d files", folder, DROP_FILES_MAX);
    for (int i = 0; i < n; i++) {
        errno = 0;
        if (good && !source_add(f, path_join(folder, entry[i]->d_name), r, err)) {
            good = errno == ENOENT; /* it went meanwhile: then it isn't there */
            why = errno;
        }
        free(entry[i]);
    }
    free(entry);
    errno = good ? 0 : why;
    return good;
}

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Is this folder what the edge made of that very file? */
static bool folder_replaces(const char *folder, const char *file) {
    struct err err;
    size_t length, was_length;
    char *path = path_join(folder, DROP_INSTEAD_OF);
    char *was = path ? file_read(path, DROP_FILE_MAX, &was_length, &err) : NULL;
    char *text = was ? file_read(file, DROP_FILE_MAX, &length, &err) : NULL;
    bool same = text && length == was_length && !memcmp(text, was, length);
    free(path);
    free(was);
    free(text);
    return same;
}

/* `ret_again`: what was there a moment ago is not: the edge was turning the file into a folder. */
static enum drop_found found_read(struct drop_files *f, char *file, const char *folder,
                                  struct reading *r, bool *ret_again, struct err *err) {
    struct stat st;
    bool has_file = file && !lstat(file, &st), has_folder = folder && is_folder(folder);
    *ret_again = false;
    if (has_file && has_folder && !folder_replaces(folder, file)) {
        *ret_again = lstat(file, &st) < 0;
        err_set(err, "both %s and %s/ are there: remove one of them", file, folder);
        return DROP_FAILED;
    }
    f->drop.folder = has_folder;
    if (has_folder)
        return folder_read(f, folder, r, err) ? DROP_READ : DROP_FAILED;
    if (!has_file)
        return DROP_NONE;
    char *path = strdup(file);
    errno = 0;
    if (source_add(f, path, r, err))
        return DROP_READ;
    bool gone = errno == ENOENT;
    *ret_again = gone && folder && is_folder(folder);
    return gone ? DROP_NONE : DROP_FAILED;
}

static enum drop_found tenant_read(const char *conf_d, const char *tenant, struct reading *r,
                                   struct drop_files *ret, struct err *err) {
    char *folder = path_join(conf_d, tenant), *file = NULL;
    *ret = (struct drop_files){.tenant = strdup(tenant)};
    ret->drop.tenant = ret->tenant;
    if (asprintf(&file, "%s/%s.yaml", conf_d, tenant) < 0)
        file = NULL;
    bool again = false;
    enum drop_found found = DROP_FAILED;
    errno = ENOMEM;
    if (ret->tenant)
        found = found_read(ret, file, folder, r, &again, err);
    else
        err_set(err, "out of memory");
    if (again)
        found = found_read(ret, file, folder, r, &again, err);
    int why = errno;
    if (found != DROP_READ)
        drop_free(ret);
    free(file);
    free(folder);
    errno = why;
    return found;
}

enum drop_found drop_read(const char *conf_d, const char *tenant, struct drop_files *ret,
                          struct err *err) {
    struct reading r = {.was = NULL};
    return tenant_read(conf_d, tenant, &r, ret, err);
}

enum drop_found drop_read_again(const char *conf_d, const char *tenant,
                                const struct drop_files *was, struct drop_files *ret,
                                struct err *err) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct reading r = {.was = was, .marks = true, .begun_ms = time_ms(&now)};
    return tenant_read(conf_d, tenant, &r, ret, err);
}

static bool source_copy(const struct source *from, struct source *to) {
    char *path = strdup(from->path), *text = malloc(from->length + 1);
    if (!path || !text) {
        free(path);
        free(text);
        return false;
    }
    memcpy(text, from->text, from->length + 1);
    *to = (struct source){path, path + (from->name - from->path), text, from->length};
    return true;
}

bool drop_copy(const struct drop_files *f, struct drop_files *ret) {
    size_t n = f->drop.source_count;
    *ret = (struct drop_files){.drop = f->drop,
                               .source = calloc(n + 1, sizeof *ret->source),
                               .mark = calloc(n + 1, sizeof *ret->mark),
                               .tenant = strdup(f->tenant),
                               .digest = f->digest};
    ret->drop =
        (struct drop){.tenant = ret->tenant, .folder = f->drop.folder, .source = ret->source};
    bool good = ret->source && ret->mark && ret->tenant;
    for (size_t i = 0; good && i < n; i++)
        if ((good = source_copy(&f->source[i], &ret->source[i])))
            ret->mark[ret->drop.source_count++] = f->mark[i];
    if (!good)
        drop_free(ret);
    return good;
}

void drop_free(struct drop_files *f) {
    for (size_t i = 0; i < f->drop.source_count; i++) {
        free((char *)f->source[i].path);
        free((char *)f->source[i].text);
    }
    free(f->source);
    free(f->mark);
    free(f->tenant);
    *f = (struct drop_files){0};
}

static void digest_renew(struct drop_files *f) {
    f->digest = 0;
    for (size_t i = 0; i < f->drop.source_count; i++)
        digest_add(f, i);
}

static void source_remove(struct drop_files *f, size_t at) {
    free((char *)f->source[at].path);
    free((char *)f->source[at].text);
    size_t behind = --f->drop.source_count - at;
    memmove(&f->source[at], &f->source[at + 1], behind * sizeof *f->source);
    memmove(&f->mark[at], &f->mark[at + 1], behind * sizeof *f->mark);
}

bool drop_put(struct drop_files *f, const char *conf_d, const char *name, char *text,
              size_t length) {
    size_t at = 0;
    char *path = NULL;
    while (at < f->drop.source_count && strcmp(f->source[at].name, name) < 0)
        at++;
    if (at < f->drop.source_count && !strcmp(f->source[at].name, name))
        source_remove(f, at);
    if (text) {
        if (!room_make(f) || asprintf(&path, "%s/%s/%s", conf_d, f->tenant, name) < 0) {
            free(text);
            return false;
        }
        size_t behind = f->drop.source_count++ - at;
        memmove(&f->source[at + 1], &f->source[at], behind * sizeof *f->source);
        memmove(&f->mark[at + 1], &f->mark[at], behind * sizeof *f->mark);
        f->source[at] = (struct source){path, path + strlen(path) - strlen(name), text, length};
        f->mark[at] = (struct drop_mark){.hash = hash_bytes(text, length)};
    }
    digest_renew(f);
    return true;
}

/* --- all tenants -----------------------------------------------------------------------------*/

static bool entry_is_folder(const char *conf_d, const struct dirent *e) {
    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    char *path = path_join(conf_d, e->d_name);
    bool answer = path && is_folder(path);
    free(path);
    return answer;
}

bool drop_list(const char *conf_d, struct map *names, void *mark, struct err *err) {
    char tenant[256];
    DIR *dir = opendir(conf_d);
    if (!dir)
        return err_set(err, "%s: %s", conf_d, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));)
        if (drop_tenant_of(e->d_name, entry_is_folder(conf_d, e), tenant) &&
            !map_put(names, tenant, mark)) {
            closedir(dir);
            return err_set(err, "out of memory");
        }
    closedir(dir);
    return true;
}
