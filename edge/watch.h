/* SPDX-License-Identifier: GPL-3.0-or-later
 * watch.h - tells when a tenant's files in conf.d have changed and settled. Reads no file's contents.
 *
 *   inotify event -> the tenant is dirty -> nothing of it is being written, the rest has been quiet -> settled(name)
 *
 * One watch for conf.d itself and one for each tenant that is a folder. inotify tells nothing of a file that a link leads to, so
 * those are looked at, WATCH_LOOK_MS apart, and are settled when two looks in a row agree. When a watch can't be had, `rescan` is called every
 * second instead.
 */
#pragma once
#include "core/map.h"
#include "edge/loop.h"

enum {
    WATCH_QUIET_MS = 2,   /* after a close or a rename: more of the same drop may follow */
    WATCH_FOLDER_MS = 10, /* after a folder appeared: what was written before we watched it */
    WATCH_GRACE_MS = 50,  /* after a file went: editors and rm + cp bring it back */
    WATCH_STALLED_MS =
        10000, /* a file that is being written, without a close: read it all the same */
    WATCH_RESCAN_MS = 1000,
    WATCH_LOOK_MS = 400,
};

struct watch_events {
    void (*settled)(void *user, const char *tenant);
    void (*flush)(void *user);  /* after one or more of `settled` */
    void (*rescan)(void *user); /* anything may have changed */
};

struct watch {
    struct loop *loop;
    struct loop_source source;
    struct loop_timer timer;
    const struct watch_events *events;
    void *user;
    char *folder;                            /* conf.d */
    int root_wd;                             /* -1: conf.d is not watched */
    bool partial;                            /* something is not watched: rescan now and then */
    int64_t rescan_ns;                       /* when; 0: no need */
    struct map folder_by_wd, folder_by_name; /* struct watch_folder */
    struct map links;                        /* path -> struct watch_link */
    int64_t look_ns;                         /* when to look at them; 0: there are none */
    struct map dirty;                        /* struct watch_dirty */
    struct watch_dirty *first;
};

/* Starts to watch; changes from now on are told from the loop. Never fails for good: it falls back to looking. */
void watch_init(struct watch *, struct loop *, const char *conf_d, const struct watch_events *,
                void *user);
/* Is something of this tenant being written right now? Its `settled` will come. */
bool watch_busy(const struct watch *, const char *tenant);
void watch_fini(struct watch *);
