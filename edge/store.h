/* SPDX-License-Identifier: GPL-3.0-or-later
 * store.h - what must survive a restart: rows of text, in SQLite under `state`.
 *
 * Two ways in. store_put collects writes, store_commit makes them one transaction; what can't be committed is kept and tried
 * again. The others (get, put-if, delete-if, transact, lease, watch) are what a store shared by a fleet can do too: nothing is
 * overwritten that was not seen.
 *
 * A store that can't be read at start is not written in this life either: writing would replace claims and UIDs we have not
 * seen. The edge serves all the same. One thread uses a store.
 */
#pragma once
#include "core/diag.h"
#include <jansson.h>
#include <sqlite3.h>
#include <stdint.h>

typedef void store_changed_fn(void *user, const char *key, const char *value, int64_t revision);
struct store_watch { /* embedded in who watches */
    struct store_watch *next;
    const char *prefix; /* of the keys; "": all */
    store_changed_fn *
        changed; /* after a commit, once for each row in it; value NULL: deleted. May put, not commit */
    void *user;
};

struct store {
    sqlite3 *db; /* NULL: not reachable */
    char *file;
    bool held;       /* not reachable because another process has it open */
    int log_pages;   /* in the write-ahead log, to be moved into the database */
    json_t *pending; /* key -> text, or null: delete */
    struct store_watch *watches;
};

/* Makes the folder (0700) and the file (0600) when they are not there. False: *err; the store then takes writes and
 * forgets them at the end. */
bool store_open(struct store *, const char *folder, struct err *);
/* Every row, in the order of keys. */
bool store_load(struct store *, void (*row)(void *user, const char *key, const char *value),
                void *user, struct err *);
/* value NULL: delete. Nothing is on disk before store_commit. */
void store_put(struct store *, const char *key, const char *value);
/* All that was put since, in one transaction, synced. False: *err; kept for the next call. */
bool store_commit(struct store *, struct err *);

/* ---- compare, then write ----
 * A revision names one state of one row: it rises with every transaction of the whole store and is never used again, also not
 * when a row was deleted and made anew. */
enum { STORE_ABSENT = 0, STORE_ANY = -1, STORE_UNCOMMITTED = -2 };
enum store_outcome {
    STORE_DONE,   /* on disk */
    STORE_STALE,  /* a row is not at the revision it should be at: nothing was written */
    STORE_FAILED, /* *err; nothing was written */
};
struct store_step {
    const char *key;
    int64_t revision; /* where the row must be; STORE_ABSENT, STORE_ANY */
    enum { STORE_CHECK, STORE_PUT, STORE_DELETE } what;
    const char *value; /* of STORE_PUT */
};
/* malloc'd; NULL: there is no such row (revision STORE_ABSENT), or it can't be read (STORE_ANY). What was put and not
 * committed is told, as STORE_UNCOMMITTED. */
char *store_get(struct store *, const char *key, int64_t *ret_revision);
/* All steps or none, synced. What was put before is committed first. *ret_revision (may be NULL): of all rows written. */
enum store_outcome store_transact(struct store *, const struct store_step *, size_t count,
                                  int64_t *ret_revision, struct err *);
enum store_outcome store_put_if(struct store *, const char *key, const char *value,
                                int64_t revision, int64_t *ret_revision, struct err *);
enum store_outcome store_delete_if(struct store *, const char *key, int64_t revision, struct err *);

/* The lease `name` for `holder`, until `now` + `seconds`: taken, or made longer when it is his. STORE_STALE: another has it.
 * *ret_fence rises with every change of holder: who writes under a lease has it checked where he writes. */
enum store_outcome store_lease(struct store *, const char *name, const char *holder, int64_t now,
                               int64_t seconds, int64_t *ret_fence, struct err *);
enum store_outcome store_lease_end(struct store *, const char *name, const char *holder,
                                   struct err *);

void store_watch(struct store *, struct store_watch *);
void store_unwatch(struct store *, struct store_watch *);

/* Moves the log into the database when it has grown; may take a while, so call it when nothing else is to be done. A
 * commit does it only when the log has become far too large. */
void store_tidy(struct store *);
size_t store_pending(const struct store *);
bool store_reachable(const struct store *);
void store_close(struct store *);
