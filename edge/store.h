/* SPDX-License-Identifier: GPL-3.0-or-later
 * store.h - what must survive a restart: rows of text, in SQLite under `state`.
 *
 * Writes are collected and committed together; what can't be committed is kept and tried again. A store that can't be
 * read at start is not written in this life either: writing would replace claims and UIDs we have not seen. The edge
 * serves all the same.
 */
#pragma once
#include "core/diag.h"
#include <jansson.h>
#include <sqlite3.h>

struct store {
    sqlite3 *db; /* NULL: not reachable */
    char *file;
    bool held;       /* not reachable because another process has it open */
    int log_pages;   /* in the write-ahead log, to be moved into the database */
    json_t *pending; /* key -> text, or null: delete */
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
/* Moves the log into the database when it has grown; may take a while, so call it when nothing else is to be done. A
 * commit does it only when the log has become far too large. */
void store_tidy(struct store *);
size_t store_pending(const struct store *);
bool store_reachable(const struct store *);
/* After privileges are dropped the files must be ours still. */
void store_chown(const struct store *, unsigned uid, unsigned gid);
void store_close(struct store *);
