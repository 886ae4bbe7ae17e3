/* SPDX-License-Identifier: GPL-3.0-or-later
 * store.c - SQLite with a write-ahead log, synced on every commit, held by one process alone.
 *
 *   row(key, value, revision)    revision: of the transaction that wrote it
 *   counter(revision)            of the last transaction
 *   PRAGMA user_version          the layout; a newer one than ours is refused, an older one is made ours
 *
 *   put, put, ... -> commit ----+
 *   transact -> commit, compare +--> BEGIN, rows at revision + 1, COMMIT -> watchers
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
    LAYOUT = 2,
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
               "CREATE TABLE counter(revision INTEGER NOT NULL);"
               "INSERT INTO counter SELECT COALESCE(MAX(revision), 0) FROM row;"
               "PRAGMA user_version = 2;"
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

/* --- writing ---------------------------------------------------------------------------------*/

struct writing { /* one transaction */
    struct store *store;
    sqlite3_stmt *set, *unset, *at;
    int64_t revision;
};

static sqlite3_stmt *prepared(struct store *s, const char *sql) {
    sqlite3_stmt *q = NULL;
    return sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK ? q : NULL;
}

/* The one number a question has for an answer; -1: none. */
static int64_t number_of(struct store *s, const char *sql) {
    sqlite3_stmt *q = prepared(s, sql);
    int64_t number = q && sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : -1;
    sqlite3_finalize(q);
    return number;
}

static bool writing_begin(struct writing *w, struct store *s, struct err *err) {
    *w = (struct writing){.store = s};
    if (!s->db)
        return failed(s, err);
    if (!run(s, "BEGIN IMMEDIATE", err))
        return false;
    w->revision = number_of(s, "UPDATE counter SET revision = revision + 1 RETURNING revision");
    w->set = prepared(s, "INSERT INTO row(key, value, revision) VALUES(?1, ?2, ?3) "
                         "ON CONFLICT(key) DO UPDATE SET value = ?2, revision = ?3");
    w->unset = prepared(s, "DELETE FROM row WHERE key = ?1");
    w->at = prepared(s, "SELECT revision FROM row WHERE key = ?1");
    return (w->revision > 0 && w->set && w->unset && w->at) || failed(s, err);
}

static bool row_write(struct writing *w, const char *key, const char *value) {
    sqlite3_stmt *q = value ? w->set : w->unset;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    if (value) {
        sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, w->revision);
    }
    bool good = sqlite3_step(q) == SQLITE_DONE;
    sqlite3_reset(q);
    return good;
}

/* Of a row that is there; STORE_ABSENT, or STORE_ANY when it can't be read. */
static int64_t row_revision(struct writing *w, const char *key) {
    sqlite3_bind_text(w->at, 1, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(w->at);
    int64_t revision = step == SQLITE_ROW    ? sqlite3_column_int64(w->at, 0)
                       : step == SQLITE_DONE ? STORE_ABSENT
                                             : STORE_ANY;
    sqlite3_reset(w->at);
    return revision;
}

/* Ends what writing_begin began, also when that failed. `good` false: *err says why already, and nothing is written. */
static bool writing_end(struct writing *w, bool good, struct err *err) {
    sqlite3_finalize(w->set);
    sqlite3_finalize(w->unset);
    sqlite3_finalize(w->at);
    if (!w->store->db)
        return false;
    good = good && run(w->store, "COMMIT", err);
    if (!good && !sqlite3_get_autocommit(w->store->db))
        sqlite3_exec(w->store->db, "ROLLBACK", NULL, NULL, NULL);
    return good;
}

/* --- watching --------------------------------------------------------------------------------*/

void store_watch(struct store *s, struct store_watch *watch) {
    watch->next = s->watches;
    s->watches = watch;
}

void store_unwatch(struct store *s, struct store_watch *watch) {
    struct store_watch **at = &s->watches;
    while (*at && *at != watch)
        at = &(*at)->next;
    if (*at)
        *at = watch->next;
}

static void changed_tell(struct store *s, const char *key, const char *value, int64_t revision) {
    for (struct store_watch *w = s->watches, *next; w; w = next) {
        next = w->next; /* it may end its watch */
        if (!strncmp(key, w->prefix, strlen(w->prefix)))
            w->changed(w->user, key, value, revision);
    }
}

/* --- what was put ----------------------------------------------------------------------------*/

static bool pending_write(struct writing *w, const json_t *pending) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)pending, key, value) {
        if (!row_write(w, key, json_string_value(value)))
            return false;
    }
    return true;
}

static void pending_done(struct store *s, int64_t revision) {
    const char *key;
    json_t *value, *done = s->pending, *next = s->watches ? json_object() : NULL;
    if (!next) {
        json_object_clear(done);
        return;
    }
    s->pending = next; /* what watchers put is of the next commit */
    json_object_foreach(done, key, value) {
        changed_tell(s, key, json_string_value(value), revision);
    }
    json_decref(done);
}

bool store_commit(struct store *s, struct err *err) {
    struct writing w;
    if (!store_pending(s))
        return true;
    bool good = writing_begin(&w, s, err);
    if (good && !pending_write(&w, s->pending))
        good = failed(s, err);
    if (!writing_end(&w, good, err))
        return false;
    pending_done(s, w.revision);
    return true;
}

/* --- compare, then write ---------------------------------------------------------------------*/

char *store_get(struct store *s, const char *key, int64_t *ret_revision) {
    const json_t *put = json_object_get(s->pending, key);
    *ret_revision = put ? STORE_UNCOMMITTED : STORE_ANY;
    if (put)
        return json_is_null(put) ? NULL : strdup(json_string_value(put));
    sqlite3_stmt *q = s->db ? prepared(s, "SELECT value, revision FROM row WHERE key = ?1") : NULL;
    if (!q)
        return NULL;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(q);
    char *value = step == SQLITE_ROW ? strdup((const char *)sqlite3_column_text(q, 0)) : NULL;
    if (value)
        *ret_revision = sqlite3_column_int64(q, 1);
    else if (step == SQLITE_DONE)
        *ret_revision = STORE_ABSENT;
    sqlite3_finalize(q);
    return value;
}

static enum store_outcome step_take(struct writing *w, const struct store_step *step) {
    int64_t at = row_revision(w, step->key);
    if (at == STORE_ANY)
        return STORE_FAILED;
    if (step->revision != STORE_ANY && step->revision != at)
        return STORE_STALE;
    if (step->what == STORE_CHECK)
        return STORE_DONE;
    return row_write(w, step->key, step->what == STORE_PUT ? step->value : NULL) ? STORE_DONE
                                                                                 : STORE_FAILED;
}

static enum store_outcome steps_take(struct writing *w, const struct store_step *step, size_t count,
                                     struct err *err) {
    enum store_outcome outcome = STORE_DONE;
    for (size_t i = 0; i < count && outcome == STORE_DONE; i++)
        outcome = step_take(w, &step[i]);
    if (outcome == STORE_FAILED)
        failed(w->store, err);
    return outcome;
}

enum store_outcome store_transact(struct store *s, const struct store_step *step, size_t count,
                                  int64_t *ret_revision, struct err *err) {
    struct writing w;
    if (!store_commit(s, err))
        return STORE_FAILED;
    enum store_outcome outcome =
        writing_begin(&w, s, err) ? steps_take(&w, step, count, err) : STORE_FAILED;
    bool good = writing_end(&w, outcome == STORE_DONE, err);
    if (!good)
        return outcome == STORE_STALE ? STORE_STALE : STORE_FAILED;
    for (size_t i = 0; i < count; i++)
        if (step[i].what != STORE_CHECK)
            changed_tell(s, step[i].key, step[i].what == STORE_PUT ? step[i].value : NULL,
                         w.revision);
    if (ret_revision)
        *ret_revision = w.revision;
    return STORE_DONE;
}

enum store_outcome store_put_if(struct store *s, const char *key, const char *value,
                                int64_t revision, int64_t *ret_revision, struct err *err) {
    struct store_step step = {key, revision, STORE_PUT, value};
    return store_transact(s, &step, 1, ret_revision, err);
}

enum store_outcome store_delete_if(struct store *s, const char *key, int64_t revision,
                                   struct err *err) {
    struct store_step step = {key, revision, STORE_DELETE, NULL};
    return store_transact(s, &step, 1, NULL, err);
}

/* --- leases ----------------------------------------------------------------------------------*/

struct lease {
    char key[256];
    int64_t revision, until, fence;
    bool own; /* `holder` has it, or had it last */
};

static bool lease_read(struct store *s, const char *name, const char *holder, struct lease *ret,
                       struct err *err) {
    *ret = (struct lease){0};
    snprintf(ret->key, sizeof ret->key, "lease/%s", name);
    if (!store_commit(s, err))
        return false;
    char *text = store_get(s, ret->key, &ret->revision);
    if (ret->revision == STORE_ANY) {
        free(text);
        return failed(s, err);
    }
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;
    const char *who = json_string_value(json_object_get(value, "holder"));
    ret->own = who && !strcmp(who, holder);
    ret->until = json_integer_value(json_object_get(value, "until"));
    ret->fence = json_integer_value(json_object_get(value, "fence"));
    json_decref(value);
    free(text);
    return true;
}

static enum store_outcome lease_write(struct store *s, const struct lease *l, const char *holder,
                                      struct err *err) {
    json_t *value = json_pack("{sssIsI}", "holder", holder, "until", (json_int_t)l->until, "fence",
                              (json_int_t)l->fence);
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    enum store_outcome outcome = text ? store_put_if(s, l->key, text, l->revision, NULL, err)
                                      : (err_set(err, "state: out of memory"), STORE_FAILED);
    free(text);
    json_decref(value);
    return outcome;
}

enum store_outcome store_lease(struct store *s, const char *name, const char *holder, int64_t now,
                               int64_t seconds, int64_t *ret_fence, struct err *err) {
    struct lease l;
    if (!lease_read(s, name, holder, &l, err))
        return STORE_FAILED;
    if (!l.own && l.until > now)
        return STORE_STALE;
    l.fence += !l.own || l.until <= now; /* whoever came between may have written */
    l.until = now + seconds;
    enum store_outcome outcome = lease_write(s, &l, holder, err);
    if (outcome == STORE_DONE)
        *ret_fence = l.fence;
    return outcome;
}

/* The row stays, so that the next holder's fence is a higher one. */
enum store_outcome store_lease_end(struct store *s, const char *name, const char *holder,
                                   struct err *err) {
    struct lease l;
    if (!lease_read(s, name, holder, &l, err))
        return STORE_FAILED;
    if (!l.own)
        return STORE_STALE;
    l.until = 0;
    return lease_write(s, &l, holder, err);
}

/* --- the rest --------------------------------------------------------------------------------*/

size_t store_pending(const struct store *s) {
    return s->pending ? json_object_size(s->pending) : 0;
}

bool store_reachable(const struct store *s) {
    return s->db;
}

void store_close(struct store *s) {
    sqlite3_close(s->db);
    json_decref(s->pending);
    free(s->file);
    *s = (struct store){0};
}
