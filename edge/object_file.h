/* SPDX-License-Identifier: GPL-3.0-or-later
 * object_file.h - one object of a tenant, written into its folder of conf.d or taken out of it.
 *
 *   object_plan      the tenant's files as they would be: to be checked as any drop is
 *   object_commit    the one file that changes, on disk: whole, or as it was
 *
 * An object lives where it stands: a file of its own is written anew; in a file with others only its document changes, and comments
 * around it stay. One that is new gets a file. tenant.yaml and compose files are the operator's and are never written; no
 * link is followed; a tenant that was NAME.yaml becomes NAME/ in one step that is seen whole (drop.h).
 *
 * Nobody's work is lost: writers of the edge wait for each other (a lock on conf.d, but not for long), and a file that somebody else changed since
 * the plan is put back as it was: the answer is OBJECT_CHANGED, and the plan is to be made again. Not seen is only somebody who
 * still writes into the old file at that moment; watch_busy tells. What a write that was cut off has left may be all there is of
 * somebody's text: it is put aside, and told of.
 */
#pragma once
#include "edge/drop.h"

struct object_place {
    const char *conf_d, *tenant;
    const char *api_version, *kind, *name;
    const char *file_name; /* of a new one: KIND.NAME.yaml, as the caller has checked */
    bool there;            /* it was seen in one of the tenant's files */
    bool secret;           /* the file it comes into is 0600 */
    const struct drop_files
        *was; /* the tenant's files as they were read last; NULL: nobody knows */
};

struct object_plan {
    struct drop_files before, after; /* `after` is always a folder */
    char *file;                      /* owned; the one that changes; NULL: none does */
    const char *conf_d;
    bool secret;
    /* owned; in conf.d: what lay where object_commit writes, as a write that was cut off leaves it, and was put aside; NULL: nothing did */
    char *kept;
};

enum object_done { OBJECT_DONE, OBJECT_CHANGED, OBJECT_FAILED };

/* `text` is the object's new document; NULL: it is to go. OBJECT_CHANGED: it is to go and is not there. OBJECT_FAILED: *err. */
enum object_done object_plan(const struct object_place *, const char *text, size_t length,
                             struct object_plan *ret, struct err *);
enum object_done object_commit(struct object_plan *, struct err *);
void object_plan_fini(struct object_plan *);
