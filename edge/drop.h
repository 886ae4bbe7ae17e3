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

enum { DROP_FILE_MAX = 4 << 20, DROP_BYTES_MAX = 64 << 20, DROP_FILES_MAX = 10000 };

#define DROP_INSTEAD_OF ".instead-of"

enum drop_found {
    DROP_NONE,
    DROP_READ,
    DROP_FAILED /* the error says why, and errno; nothing to be changed */
};

struct drop_files {
    struct drop drop;
    struct source *source; /* owned, with its texts */
    char *tenant;
    uint64_t digest; /* of names and texts: equal means unchanged */
};

enum drop_found drop_read(const char *conf_d, const char *tenant, struct drop_files *ret,
                          struct err *);
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
