/* SPDX-License-Identifier: GPL-3.0-or-later
 * object_file.c - see object_file.h.
 *
 *   a file of a folder:   .ringress.tmp written and synced -> exchanged with FILE -> was it what the plan read? gone, else back
 *   NAME.yaml:            .NAME.new/ with everything -> renamed to NAME/, from here on it counts -> NAME.yaml goes
 */
#include "edge/object_file.h"
#include "edge/documents.h"
#include "edge/file.h"
#include "tenants/objects.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100, LOCK_REST_NS = 2000000, KEPT_MOST = 100 };

static const char beside[] = ".ringress.tmp";

/* ---- the plan ---- */

static bool is_operators(const char *file_name) {
    return !strcmp(file_name, "tenant.yaml") || compose_is(file_name);
}

static const struct source *source_find(const struct drop_files *f, const char *name) {
    for (size_t i = 0; i < f->drop.source_count; i++)
        if (!strcmp(f->source[i].name, name))
            return &f->source[i];
    return NULL;
}

/* All but the grant of a tenant that is one file; the grant goes to tenant.yaml, where alone it counts in a folder. */
static bool file_split(const struct source *s, char **ret_grant, size_t *grant_length,
                       char **ret_rest, size_t *rest_length, struct err *err) {
    struct documents d;
    if (!documents_read(s->path, s->text, s->length, &d, err))
        return false;
    FILE *grant = open_memstream(ret_grant, grant_length),
         *rest = open_memstream(ret_rest, rest_length);
    for (size_t i = 0; grant && rest && i < d.count; i++) {
        const struct document *one = &d.item[i];
        FILE *out = !strcmp(one->kind, "Tenant") ? grant : rest;
        if (ftell(out) > 0 && strncmp(s->text + one->begin, "---", 3) != 0)
            fputs("---\n", out);
        fwrite(s->text + one->begin, 1, one->end - one->begin, out);
    }
    documents_free(&d);
    bool granted = grant && !fclose(grant), rested = rest && !fclose(rest);
    return (granted && rested) || err_set(err, "out of memory");
}

/* What a folder would hold that says what the file says. */
static bool folder_plan(const struct object_place *at, struct object_plan *p, struct err *err) {
    char *grant = NULL, *rest = NULL;
    size_t grant_length, rest_length;
    const struct source *s = &p->before.source[0];
    p->after = (struct drop_files){.tenant = strdup(at->tenant)};
    p->after.drop.tenant = p->after.tenant;
    p->after.drop.folder = true;
    if (!p->after.tenant || !file_split(s, &grant, &grant_length, &rest, &rest_length, err)) {
        free(grant);
        free(rest);
        return false;
    }
    if (!grant_length) {
        free(grant);
        grant = NULL;
    }
    if (!rest_length) {
        free(rest);
        rest = NULL;
    }
    bool granted = drop_put(&p->after, at->conf_d, "tenant.yaml", grant, grant_length);
    bool rested = drop_put(&p->after, at->conf_d, "objects.yaml", rest, rest_length);
    return (granted && rested) || err_set(err, "out of memory");
}

struct found {                   /* where an object stands */
    const struct source *source; /* NULL: nowhere */
    struct documents documents;
    const struct document *document;
};

static bool has_list(const struct documents *d) {
    for (size_t i = 0; i < d->count; i++)
        if (d->item[i].list)
            return true;
    return false;
}

/* False: *err. A List may hold it: then nobody can say, and only whoever saw it, or the caller's check (two of one name), tells. */
static bool object_find(const struct object_place *at, const struct drop_files *f,
                        struct found *ret, const struct source **ret_list, struct err *err) {
    *ret = (struct found){0};
    *ret_list = NULL;
    for (size_t i = 0; i < f->drop.source_count; i++) {
        const struct source *s = &f->source[i];
        struct documents d;
        if (compose_is(s->name))
            continue;
        if (!documents_read(s->path, s->text, s->length, &d, err))
            return false;
        if (has_list(&d))
            *ret_list = s;
        const struct document *one = documents_find(&d, at->api_version, at->kind, at->name);
        if (one) {
            *ret = (struct found){s, d, one};
            return true;
        }
        documents_free(&d);
    }
    return true;
}

/* Nothing but this document, comments included, is in the file. */
static bool stands_alone(const struct found *f) {
    size_t others = 0;
    for (size_t i = 0; i < f->documents.count; i++)
        others += &f->documents.item[i] != f->document && !f->documents.item[i].empty;
    return !others;
}

/* The text of the file that changes; NULL and no error: the file goes. */
static char *text_plan(const struct found *f, const char *text, size_t length, size_t *ret_length) {
    const struct source *s = f->source;
    if (text)
        return document_replace(s->text, s->length, f->document, text, length, ret_length);
    return document_remove(s->text, s->length, &f->documents, f->document, ret_length);
}

/* `file` will hold `after` (taken); NULL: it goes. */
static bool file_plan(const struct object_place *at, struct object_plan *p, const char *file,
                      char *after, size_t length, struct err *err) {
    char *name = strdup(file); /* `file` may be a name in `after` that goes */
    bool kept = name && drop_put(&p->after, at->conf_d, name, after, length);
    if (!name)
        free(after);
    p->file = name;
    return kept || err_set(err, "out of memory");
}

static bool change_plan(const struct object_place *at, struct object_plan *p, const struct found *f,
                        const char *text, size_t length, struct err *err) {
    size_t after_length = 0;
    bool goes = !text && stands_alone(f);
    if (is_operators(f->source->name))
        return err_set(err, "%s/%s stands in %s, which only the operator writes", at->kind,
                       at->name, f->source->name);
    char *after = goes ? NULL : text_plan(f, text, length, &after_length);
    return after || goes ? file_plan(at, p, f->source->name, after, after_length, err)
                         : err_set(err, "out of memory");
}

/* A new object: a file of its own, or, where something else has that file, one document more in it. */
static bool addition_plan(const struct object_place *at, struct object_plan *p, const char *text,
                          size_t length, struct err *err) {
    const struct source *taken = source_find(&p->after, at->file_name);
    size_t after_length = length;
    char *after = taken ? document_append(taken->text, taken->length, text, length, &after_length)
                        : strndup(text, length);
    return after ? file_plan(at, p, at->file_name, after, after_length, err)
                 : err_set(err, "out of memory");
}

/* conf.d itself may be a link; what lies in it may not. */
static bool not_a_link(const char *path, struct err *err) {
    struct stat st;
    return lstat(path, &st) < 0 || !S_ISLNK(st.st_mode) ||
           err_set(err, "%s is a link: it is written where it leads to, not here", path);
}

static bool links_none(const struct object_place *at, const struct object_plan *p,
                       struct err *err) {
    char *folder = path_join(at->conf_d, at->tenant);
    bool good = folder && not_a_link(folder, err);
    for (size_t i = 0; good && i < p->before.drop.source_count; i++)
        if (!p->before.drop.folder || (p->file && !strcmp(p->before.source[i].name, p->file)))
            good = not_a_link(p->before.source[i].path, err);
    free(folder);
    return good;
}

static enum object_done both_plan(const struct object_place *at, const char *text, size_t length,
                                  struct object_plan *p, struct err *err) {
    struct found found;
    const struct source *list;
    if (!object_find(at, &p->after, &found, &list, err))
        return OBJECT_FAILED;
    bool good = true;
    p->secret &= !found.source || !p->before.drop.folder; /* who can read it could before */
    if (found.source)
        good = change_plan(at, p, &found, text, length, err);
    else if (list && (!text || at->there))
        good = err_set(err,
                       "%s: %s/%s is not there, unless in this List: only an editor changes what "
                       "is in one",
                       list->path, at->kind, at->name);
    else if (text)
        good = addition_plan(at, p, text, length, err);
    else
        return OBJECT_CHANGED;
    documents_free(&found.documents);
    return good && links_none(at, p, err) ? OBJECT_DONE : OBJECT_FAILED;
}

enum object_done object_plan(const struct object_place *at, const char *text, size_t length,
                             struct object_plan *ret, struct err *err) {
    struct object_plan p = {.conf_d = at->conf_d, .secret = at->secret};
    enum object_done done = OBJECT_FAILED;
    err->text[0] = 0;
    if (strchr(at->file_name, '/') || !drop_reads(at->file_name) || is_operators(at->file_name))
        err_set(err, "%s can't be the file of an object", at->file_name);
    else if (drop_read_again(at->conf_d, at->tenant, at->was, &p.before, err) == DROP_READ) {
        bool good = !p.before.drop.folder
                        ? folder_plan(at, &p, err)
                        : drop_copy(&p.before, &p.after) || err_set(err, "out of memory");
        done = good ? both_plan(at, text, length, &p, err) : OBJECT_FAILED;
    } else if (!*err->text)
        err_set(err, "the tenant %s has no files", at->tenant);
    if (done == OBJECT_DONE)
        *ret = p;
    else
        object_plan_fini(&p);
    return done;
}

void object_plan_fini(struct object_plan *p) {
    drop_free(&p->before);
    drop_free(&p->after);
    free(p->file);
    free(p->kept);
    *p = (struct object_plan){0};
}

/* ---- files ---- */

/* errno stays as it is. */
static bool said(struct err *err, const char *path, const char *what) {
    int why = errno;
    bool barred = why == EACCES || why == EPERM || why == EROFS;
    err_set(err, "%s: %s: %s%s", path, what, strerror(why),
            barred ? " (conf.d and the tenant's folder must be writable by the edge's user)" : "");
    errno = why;
    return false;
}

static enum object_done failed(struct err *err, const char *path, const char *what) {
    said(err, path, what);
    return OBJECT_FAILED;
}

static bool bytes_write(int fd, const char *text, size_t length) {
    while (length) {
        ssize_t n = write(fd, text, length);
        if (n <= 0)
            return false;
        text += n;
        length -= (size_t)n;
    }
    return !fsync(fd);
}

/* Who may look into a file that is made instead of another. */
struct kin {
    mode_t mode;
    gid_t group; /* -1: the maker's */
};

/* A whole file that was not there, safe on disk; nothing is left when it can't be. */
static bool file_make(int dir, const char *name, const char *text, size_t length,
                      const struct kin *kin, struct err *err) {
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kin->mode);
    if (fd < 0)
        return said(err, name, "can't be made");
    (void)!fchown(
        fd, (uid_t)-1,
        kin->group); /* where the edge's user may: before the mode, which it takes bits from */
    bool good = (!fchmod(fd, kin->mode) && bytes_write(fd, text, length)) ||
                said(err, name, "can't be written");
    if (close(fd) && good)
        good = said(err, name, "can't be written");
    if (!good)
        unlinkat(dir, name, 0);
    return good;
}

/* Is this what the file holds? */
static bool file_holds(int dir, const char *name, const struct source *wanted) {
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    bool same =
        fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (size_t)st.st_size == wanted->length;
    char *text = same ? malloc(wanted->length + 1) : NULL;
    size_t length = 0;
    for (ssize_t n = 1; text && n > 0 && length<wanted->length; length += n> 0 ? (size_t)n : 0)
        n = read(fd, text + length, wanted->length - length);
    same = text && length == wanted->length && !memcmp(text, wanted->text, length);
    free(text);
    if (fd >= 0)
        close(fd);
    return same;
}

static struct kin kin_of(int dir, const char *name, bool secret) {
    struct stat st;
    if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
        return (struct kin){st.st_mode & (secret ? 0600 : 0777), st.st_gid};
    return (struct kin){secret ? 0600 : 0644, (gid_t)-1};
}

/* ---- what lies where we write ---- */

/* The rest of a write that was cut off, or somebody's own: nobody can say, so it is not ours to remove. `folder`: of conf.d, "" for
 * itself. */
static bool aside_put(struct object_plan *p, int dir, const char *folder, const char *name,
                      struct err *err) {
    struct stat st;
    char kept[320];
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT || said(err, name, "can't be looked at");
    for (int i = 1; i <= KEPT_MOST; i++) {
        snprintf(kept, sizeof kept, "%s.kept-%d", name, i);
        if (!renameat2(dir, name, dir, kept, RENAME_NOREPLACE)) {
            free(p->kept);
            if (asprintf(&p->kept, "%s%s%s", folder, *folder ? "/" : "", kept) < 0)
                p->kept = NULL;
            return true;
        }
        if (errno != EEXIST)
            break;
    }
    return said(err, name, "is in the way, and can't be put aside");
}

/* ---- a file of a folder ---- */

static enum object_done put_back(int dir, const char *file, unsigned flags, struct err *err) {
    if (!renameat2(dir, beside, dir, file, flags))
        return OBJECT_CHANGED;
    said(err, file, "was changed by somebody else, whose text is in .ringress.tmp");
    return OBJECT_FAILED;
}

static enum object_done file_exchange(int dir, const char *file, const struct source *before,
                                      const struct source *after, bool secret, struct err *err) {
    const struct kin kin = kin_of(dir, file, secret);
    if (!file_make(dir, beside, after->text, after->length, &kin, err))
        return OBJECT_FAILED;
    if (renameat2(dir, beside, dir, file, before ? RENAME_EXCHANGE : RENAME_NOREPLACE)) {
        enum object_done done = failed(err, file, "can't be put into its place");
        if (errno == (before ? ENOENT : EEXIST))
            done = OBJECT_CHANGED;
        unlinkat(dir, beside, 0);
        return done;
    }
    if (before && !file_holds(dir, beside, before)) {
        enum object_done done = put_back(dir, file, RENAME_EXCHANGE, err);
        if (done == OBJECT_CHANGED)
            unlinkat(dir, beside, 0);
        return done;
    }
    if (before)
        unlinkat(dir, beside, 0);
    return OBJECT_DONE;
}

static enum object_done file_remove(int dir, const char *file, const struct source *before,
                                    struct err *err) {
    if (renameat2(dir, file, dir, beside, RENAME_NOREPLACE))
        return errno == ENOENT ? OBJECT_CHANGED : failed(err, file, "can't be taken away");
    if (!file_holds(dir, beside, before))
        return put_back(dir, file, RENAME_NOREPLACE, err);
    unlinkat(dir, beside, 0);
    return OBJECT_DONE;
}

static enum object_done folder_commit(struct object_plan *p, int root, struct err *err) {
    const struct source *before = source_find(&p->before, p->file),
                        *after = source_find(&p->after, p->file);
    int dir = openat(root, p->before.tenant, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? OBJECT_CHANGED : failed(err, p->before.tenant, "can't be opened");
    enum object_done done = OBJECT_CHANGED; /* it came and went while the plan was made */
    if (!aside_put(p, dir, p->before.tenant, beside, err))
        done = OBJECT_FAILED;
    else if (after)
        done = file_exchange(dir, p->file, before, after, p->secret, err);
    else if (before)
        done = file_remove(dir, p->file, before, err);
    if (done == OBJECT_DONE && fsync(dir))
        done = failed(err, p->before.tenant, "can't be synced");
    close(dir);
    return done;
}

/* ---- NAME.yaml becomes NAME/ ---- */

static void folder_remove(int root, const char *name) {
    int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(fd, e->d_name, 0);
    if (dir)
        closedir(dir);
    unlinkat(root, name, AT_REMOVEDIR);
}

static bool folder_fill(struct object_plan *p, int dir, const struct kin *kin, struct err *err) {
    const struct source *old = &p->before.source[0];
    const struct kin of_secret = {0600, kin->group};
    bool good = file_make(dir, DROP_INSTEAD_OF, old->text, old->length, kin, err);
    for (size_t i = 0; good && i < p->after.drop.source_count; i++) {
        const struct source *s = &p->after.source[i];
        bool is_new = p->file && !strcmp(s->name, p->file) && p->secret;
        good = file_make(dir, s->name, s->text, s->length, is_new ? &of_secret : kin, err);
    }
    return good && (!fsync(dir) || said(err, p->before.tenant, "can't be synced"));
}

/* The file that the folder stands for goes, if it still is that file. */
static enum object_done file_retire(struct object_plan *p, int root, const struct source *old,
                                    struct err *err) {
    char aside[300], file[300], marker[300];
    const char *tenant = p->before.tenant;
    snprintf(aside, sizeof aside, ".%s.old", tenant);
    snprintf(file, sizeof file, "%s.yaml", tenant);
    snprintf(marker, sizeof marker, "%s/" DROP_INSTEAD_OF, tenant);
    if (file_holds(root, aside, old)) /* that far it had come before it was cut off */
        unlinkat(root, aside, 0);
    if (!aside_put(p, root, "", aside, err))
        return OBJECT_FAILED;
    bool gone = renameat2(root, file, root, aside, RENAME_NOREPLACE) != 0;
    if (gone && errno != ENOENT)
        return failed(err, file, "can't be taken away");
    if (!gone && !file_holds(root, aside, old)) {
        renameat2(root, aside, root, file, RENAME_NOREPLACE);
        err_set(err, "%s was changed by somebody else while %s/ took its place: remove one of them",
                file, tenant);
        return OBJECT_FAILED;
    }
    if (!gone)
        unlinkat(root, aside, 0);
    unlinkat(root, marker, 0);
    return fsync(root) ? failed(err, tenant, "can't be synced") : OBJECT_DONE;
}

static enum object_done file_to_folder(struct object_plan *p, int root, struct err *err) {
    char made[300], file[300];
    struct stat st;
    snprintf(made, sizeof made, ".%s.new", p->before.tenant);
    snprintf(file, sizeof file, "%s.yaml", p->before.tenant);
    if (!aside_put(p, root, "", made, err))
        return OBJECT_FAILED;
    if (fstatat(root, file, &st, AT_SYMLINK_NOFOLLOW) || !file_holds(root, file, p->before.source))
        return OBJECT_CHANGED;
    const struct kin kin = {st.st_mode & 0777, st.st_gid};
    if (mkdirat(root, made, kin.mode | (kin.mode & 0444) >> 2 | 0700))
        return failed(err, made, "can't be made");
    int dir = openat(root, made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = (dir >= 0 || said(err, made, "can't be opened")) && folder_fill(p, dir, &kin, err);
    if (dir >= 0)
        close(dir);
    if (good && !renameat2(root, made, root, p->before.tenant, RENAME_NOREPLACE))
        return file_retire(p, root, p->before.source, err);
    enum object_done done = !good             ? OBJECT_FAILED
                            : errno == EEXIST ? OBJECT_CHANGED
                                              : failed(err, p->before.tenant, "can't be made");
    folder_remove(root, made);
    return done;
}

/* A file became a folder, and the end of it was cut off: both are there, and the same. */
static void leftovers_finish(struct object_plan *p, int root) {
    char file[300], marker[300];
    struct err err;
    size_t length;
    snprintf(file, sizeof file, "%s.yaml", p->before.tenant);
    snprintf(marker, sizeof marker, "%s/%s/" DROP_INSTEAD_OF, p->conf_d, p->before.tenant);
    char *was = p->before.drop.folder ? file_read(marker, DROP_FILE_MAX, &length, &err) : NULL;
    if (was) {
        const struct source old = {file, file, was, length};
        (void)file_retire(p, root, &old, &err); /* else both stay, as they are */
    }
    free(was);
}

/* Other writers are done in a moment; but anybody who may read the folder may hold the lock, for as long as he likes. */
static bool lock_take(int root) {
    const struct timespec rest = {.tv_nsec = LOCK_REST_NS};
    for (int i = 0; flock(root, LOCK_EX | LOCK_NB); i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES)
            return false;
        nanosleep(&rest, NULL);
    }
    return true;
}

enum object_done object_commit(struct object_plan *p, struct err *err) {
    enum object_done done = OBJECT_FAILED;
    int root = open(p->conf_d, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || !lock_take(root)) {
        said(err, p->conf_d, "can't be locked");
    } else {
        leftovers_finish(p, root);
        done = p->before.drop.folder ? folder_commit(p, root, err) : file_to_folder(p, root, err);
    }
    if (root >= 0)
        close(root);
    return done;
}
