/* SPDX-License-Identifier: GPL-3.0-or-later
 * drop.c - see drop.h. Files of a folder are read in the order of their names, so that the same files always give the
 * same messages.
 */
#include "edge/drop.h"
#include "edge/file.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static void digest_add(struct drop_files *f, const struct source *s) {
    uint64_t parts[3] = {f->digest, hash_bytes(s->path, strlen(s->path)),
                         hash_bytes(s->text, s->length)};
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

static bool source_add(struct drop_files *f, char *path, size_t *bytes, struct err *err) {
    size_t n = f->drop.source_count, length;
    struct source *more = path ? realloc(f->source, (n + 1) * sizeof *more) : NULL;
    if (!more) {
        free(path);
        return err_set(err, "out of memory");
    }
    f->source = more;
    f->drop.source = more;
    char *text = file_read(path, DROP_FILE_MAX, &length, err);
    if (!text) {
        link_blame(path, err);
        free(path);
        return false;
    }
    const char *slash = strrchr(path, '/');
    more[n] = (struct source){path, slash ? slash + 1 : path, text, length};
    f->drop.source_count++;
    digest_add(f, &more[n]);
    if ((*bytes += length) > DROP_BYTES_MAX)
        return err_set(err, "%s: more than %d MiB in this folder", path, DROP_BYTES_MAX >> 20);
    return true;
}

static int entry_reads(const struct dirent *e) {
    return drop_reads(e->d_name);
}

static bool folder_read(struct drop_files *f, const char *folder, struct err *err) {
    struct dirent **entry;
    size_t bytes = 0;
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
        if (good && !source_add(f, path_join(folder, entry[i]->d_name), &bytes, err)) {
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
                                  bool *ret_again, struct err *err) {
    struct stat st;
    size_t bytes = 0;
    bool has_file = file && !lstat(file, &st), has_folder = folder && is_folder(folder);
    *ret_again = false;
    if (has_file && has_folder && !folder_replaces(folder, file)) {
        *ret_again = lstat(file, &st) < 0;
        err_set(err, "both %s and %s/ are there: remove one of them", file, folder);
        return DROP_FAILED;
    }
    f->drop.folder = has_folder;
    if (has_folder)
        return folder_read(f, folder, err) ? DROP_READ : DROP_FAILED;
    if (!has_file)
        return DROP_NONE;
    char *path = strdup(file);
    errno = 0;
    if (source_add(f, path, &bytes, err))
        return DROP_READ;
    bool gone = errno == ENOENT;
    *ret_again = gone && folder && is_folder(folder);
    return gone ? DROP_NONE : DROP_FAILED;
}

enum drop_found drop_read(const char *conf_d, const char *tenant, struct drop_files *ret,
                          struct err *err) {
    char *folder = path_join(conf_d, tenant), *file = NULL;
    *ret = (struct drop_files){.tenant = strdup(tenant)};
    ret->drop.tenant = ret->tenant;
    if (asprintf(&file, "%s/%s.yaml", conf_d, tenant) < 0)
        file = NULL;
    bool again;
    enum drop_found found = found_read(ret, file, folder, &again, err);
    if (again)
        found = found_read(ret, file, folder, &again, err);
    int why = errno;
    if (found != DROP_READ)
        drop_free(ret);
    free(file);
    free(folder);
    errno = why;
    return found;
}

void drop_free(struct drop_files *f) {
    for (size_t i = 0; i < f->drop.source_count; i++) {
        free((char *)f->source[i].path);
        free((char *)f->source[i].text);
    }
    free(f->source);
    free(f->tenant);
    *f = (struct drop_files){0};
}

static void digest_renew(struct drop_files *f) {
    f->digest = 0;
    for (size_t i = 0; i < f->drop.source_count; i++)
        digest_add(f, &f->source[i]);
}

static void source_remove(struct drop_files *f, size_t at) {
    free((char *)f->source[at].path);
    free((char *)f->source[at].text);
    memmove(&f->source[at], &f->source[at + 1], (--f->drop.source_count - at) * sizeof *f->source);
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
        struct source *more = realloc(f->source, (f->drop.source_count + 1) * sizeof *more);
        if (!more || asprintf(&path, "%s/%s/%s", conf_d, f->tenant, name) < 0) {
            f->source = more ? more : f->source;
            f->drop.source = f->source;
            free(text);
            return false;
        }
        f->source = more;
        f->drop.source = more;
        memmove(&more[at + 1], &more[at], (f->drop.source_count++ - at) * sizeof *more);
        more[at] = (struct source){path, path + strlen(path) - strlen(name), text, length};
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
