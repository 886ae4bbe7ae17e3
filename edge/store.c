/* SPDX-License-Identifier: GPL-3.0-or-later
 * store.c - SQLite with a write-ahead log, synced on every commit, held by one process alone.
 *
 *   row(key, value, revision)    revision rises by one with every write of that row
 *   PRAGMA user_version          the layout; a newer one than ours is refused
 */
#include "edge/store.h"
#include "edge/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LAYOUT = 1,
    BUSY_MS = 1000,
    TIDY_PAGES = 1000,   /* of 4 KiB in the log: worth moving when there is time */
    HURRY_PAGES = 32000, /* moved whatever else is to be done */
};

static bool failed(struct store *s, struct err *err) {
    int code = s->db ? sqlite3_errcode(s->db) & 0xff : SQLITE_OK;
    s->held = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    return err_set(err, "state %s: %s", s->file, s->db ? sqlite3_errmsg(s->db) : "not open");
}

static bool run(struct store *s, const char *sql, struct err *err) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(s, err);
}

static int layout_of(struct store *s) {
    sqlite3_stmt *q;
    int layout = -1;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        layout = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return layout;
}

static bool layout_make(struct store *s, struct err *err) {
    int layout = layout_of(s);
    if (layout < 0)
        return failed(s, err);
    if (layout > LAYOUT)
        return err_set(err, "state %s: layout %d is newer than this build's %d", s->file, layout,
                       LAYOUT);
    return layout == LAYOUT ||
           run(s,
               "BEGIN IMMEDIATE;"
               "CREATE TABLE IF NOT EXISTS row(key TEXT PRIMARY KEY, value TEXT NOT NULL,"
               " revision INTEGER NOT NULL) WITHOUT ROWID;"
               "PRAGMA user_version = 1;"
               "COMMIT",
               err);
}

/* Made here with its mode, so that SQLite never makes it with a wider one. */
static bool file_make(const struct store *s, const char *folder, struct err *err) {
    if (mkdir(folder, 0700) && errno != EEXIST)
        return err_set(err, "state %s: %s", folder, strerror(errno));
    int fd = open(s->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, "state %s: %s", s->file, strerror(errno));
    fchmod(fd, 0600);
    close(fd);
    return true;
}

static int committed(void *user, sqlite3 *db, const char *name, int pages) {
    struct store *s = user;
    (void)name;
    s->log_pages = pages;
    if (pages > HURRY_PAGES)
        store_tidy(s);
    (void)db;
    return SQLITE_OK;
}

void store_tidy(struct store *s) {
    if (s->db && s->log_pages > TIDY_PAGES &&
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
        s->log_pages = 0;
}

static bool db_open(struct store *s, struct err *err) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(s->file, &s->db, flags, NULL) != SQLITE_OK)
        return failed(s, err);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_wal_hook(s->db, committed, s); /* instead of SQLite's own moments */
    return run(s,
               "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
               "PRAGMA synchronous = FULL",
               err) &&
           layout_make(s, err);
}

bool store_open(struct store *s, const char *folder, struct err *err) {
    *s = (struct store){.file = path_join(folder, "ringress.db"), .pending = json_object()};
    if (!s->file || !s->pending)
        return err_set(err, "state: out of memory");
    if (file_make(s, folder, err) && db_open(s, err))
        return true;
    sqlite3_close(s->db);
    s->db = NULL;
    return false;
}

bool store_load(struct store *s, void (*row)(void *, const char *, const char *), void *user,
                struct err *err) {
    sqlite3_stmt *q;
    int step;
    if (!s->db || sqlite3_prepare_v2(s->db, "SELECT key, value FROM row ORDER BY key", -1, &q,
                                     NULL) != SQLITE_OK)
        return failed(s, err);
    while ((step = sqlite3_step(q)) == SQLITE_ROW)
        row(user, (const char *)sqlite3_column_text(q, 0), (const char *)sqlite3_column_text(q, 1));
    bool good = step == SQLITE_DONE || failed(s, err);
    sqlite3_finalize(q);
    if (!good) { /* what we have not seen we must not write over */
        sqlite3_close(s->db);
        s->db = NULL;
    }
    return good;
}

void store_put(struct store *s, const char *key, const char *value) {
    if (s->pending)
        json_object_set_new_nocheck(s->pending, key,
                                    value ? json_string_nocheck(value) : json_null());
}

static bool row_write(struct store *s, sqlite3_stmt *q, const char *key, const char *value) {
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    if (value)
        sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
    bool good = sqlite3_step(q) == SQLITE_DONE;
    sqlite3_reset(q);
    (void)s;
    return good;
}

static bool pending_write(struct store *s) {
    static const char put[] = "INSERT INTO row(key, value, revision) VALUES(?1, ?2, 1) "
                              "ON CONFLICT(key) DO UPDATE SET value = ?2, revision = revision + 1";
    sqlite3_stmt *set = NULL, *unset = NULL;
    bool good =
        sqlite3_prepare_v2(s->db, put, -1, &set, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(s->db, "DELETE FROM row WHERE key = ?1", -1, &unset, NULL) == SQLITE_OK;
    const char *key;
    json_t *value;
    json_object_foreach(s->pending, key, value) {
        good =
            good && row_write(s, json_is_null(value) ? unset : set, key, json_string_value(value));
    }
    sqlite3_finalize(set);
    sqlite3_finalize(unset);
    return good;
}

bool store_commit(struct store *s, struct err *err) {
    if (!store_pending(s))
        return true;
    if (!s->db)
        return failed(s, err);
    if (!run(s, "BEGIN IMMEDIATE", err))
        return false;
    if (pending_write(s) && run(s, "COMMIT", err)) {
        json_object_clear(s->pending);
        return true;
    }
    failed(s, err);
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

size_t store_pending(const struct store *s) {
    return s->pending ? json_object_size(s->pending) : 0;
}

bool store_reachable(const struct store *s) {
    return s->db;
}

void store_chown(const struct store *s, unsigned uid, unsigned gid) {
    static const char *const suffix[] = {"", "-wal", "-shm"};
    char *slash = s->file ? strrchr(s->file, '/') : NULL, name[4096];
    for (size_t i = 0; slash && i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", s->file, suffix[i]);
        if (lchown(name, uid, gid) && errno != ENOENT)
            return;
    }
    snprintf(name, sizeof name, "%.*s", slash ? (int)(slash - s->file) : 0, s->file ? s->file : "");
    if (slash && lchown(name, uid, gid))
        return; /* then it can't make its log anew: said when a commit fails */
}

void store_close(struct store *s) {
    sqlite3_close(s->db);
    json_decref(s->pending);
    free(s->file);
    *s = (struct store){0};
}
