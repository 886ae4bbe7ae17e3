/* SPDX-License-Identifier: GPL-3.0-or-later
 * drop.h - what lies in conf.d for one tenant: NAME.yaml, or NAME/ with *.yaml and *.yml in it.
 *
 * Symbolic links to files and folders are followed, as conf.d is the operator's (mounted ConfigMaps are links); anything
 * but a regular file is refused. Names that start with a dot are never read: editors and rsync put theirs there.
 *
 * NAME.yaml beside NAME/ is an error, but for one: while the edge itself turns a file into a folder (object_file.c), the folder
 * holds a copy of that file, DROP_INSTEAD_OF. As long as the two are the same bytes, the folder is what is read.
 */
#pragma once
#include "core/map.h"
#include "tenants/registry.h"
#include <sys/types.h>
#include <time.h>

enum { DROP_FILE_MAX = 4 << 20, DROP_BYTES_MAX = 64 << 20, DROP_FILES_MAX = 10000 };

#define DROP_INSTEAD_OF ".instead-of"

enum drop_found {
    DROP_NONE,
    DROP_READ,
    DROP_FAILED /* the error says why, and errno; nothing to be changed */
};

struct drop_mark { /* what a file was when it was read */
    uint64_t hash; /* of its text */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
    bool
        firm; /* and if it still is, so is its text: it was not written in the moment it was read */
};

struct drop_files {
    struct drop drop;
    struct source *source;  /* owned, with its texts */
    struct drop_mark *mark; /* of each source */
    char *tenant;
    uint64_t digest; /* of names and texts: equal means unchanged */
};

enum drop_found drop_read(const char *conf_d, const char *tenant, struct drop_files *ret,
                          struct err *);
/* The same, but what `was` holds of files that nobody has touched since it is taken over, not read; and next time that can be done with
 * this one. NULL: nothing was. */
enum drop_found drop_read_again(const char *conf_d, const char *tenant,
                                const struct drop_files *was, struct drop_files *ret, struct err *);
/* False: no memory. */
bool drop_copy(const struct drop_files *, struct drop_files *ret);
void drop_free(struct drop_files *);
/* One file of a folder as it will be: takes its place among the others, or goes (`text` NULL). Takes `text`, malloc'd. False: no
 * memory. */
bool drop_put(struct drop_files *, const char *conf_d, const char *name, char *text, size_t length);

/* Is this entry of conf.d a tenant's, going by its name? Its tenant's name goes to `ret`. */
bool drop_tenant_of(const char *entry, bool is_folder, char ret[256]);
/* Is this entry of a tenant's folder read? */
bool drop_reads(const char *entry);
/* Every tenant that has something in conf.d, as keys (with `mark` as value) of `names`. False: *err. */
bool drop_list(const char *conf_d, struct map *names, void *mark, struct err *);
