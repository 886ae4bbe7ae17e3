/* SPDX-License-Identifier: GPL-3.0-or-later
 * store_read.c - see store_read.h.
 */
#include "edge/store_read.h"
#include <stdlib.h>
#include <string.h>

static char *row_read(const struct store *s, const char *key) {
    sqlite3_stmt *q = NULL;
    char *value = NULL;
    if (s->db && sqlite3_prepare_v2(s->db, "SELECT value FROM row WHERE key = ?1", -1, &q, NULL) ==
                     SQLITE_OK) {
        sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(q) == SQLITE_ROW)
            value = strdup((const char *)sqlite3_column_text(q, 0));
    }
    sqlite3_finalize(q);
    return value;
}

char *store_read(const struct store *s, const char *key) {
    const json_t *waits = json_object_get(s->pending, key);
    if (waits)
        return json_is_string(waits) ? strdup(json_string_value(waits)) : NULL;
    return row_read(s, key);
}

static void rows_collect(const struct store *s, const char *prefix, json_t *all) {
    static const char sql[] = "SELECT key, value FROM row WHERE key >= ?1 AND key < ?1 || "
                              "x'f8'"; /* above every byte of UTF-8 */
    sqlite3_stmt *q = NULL;
    if (s->db && sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK) {
        sqlite3_bind_text(q, 1, prefix, -1, SQLITE_STATIC);
        while (sqlite3_step(q) == SQLITE_ROW)
            json_object_set_new_nocheck(
                all, (const char *)sqlite3_column_text(q, 0),
                json_string_nocheck((const char *)sqlite3_column_text(q, 1)));
    }
    sqlite3_finalize(q);
}

static int key_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of keys, whichever of them were only waiting. */
static void rows_tell(json_t *all, void (*row)(void *, const char *, const char *), void *user) {
    const char **keys = calloc(json_object_size(all) + 1, sizeof *keys), *key;
    size_t count = 0;
    json_t *value;
    if (!keys)
        return;
    json_object_foreach(all, key, value) {
        if (json_is_string(value))
            keys[count++] = key;
    }
    qsort(keys, count, sizeof *keys, key_compare);
    for (size_t i = 0; i < count; i++)
        row(user, keys[i], json_string_value(json_object_get(all, keys[i])));
    free(keys);
}

void store_each(const struct store *s, const char *prefix,
                void (*row)(void *, const char *, const char *), void *user) {
    json_t *all = json_object(), *value;
    const char *key;
    if (!all)
        return;
    rows_collect(s, prefix, all);
    json_object_foreach(s->pending, key, value) {
        if (!strncmp(key, prefix, strlen(prefix)))
            json_object_set(all, key, value);
    }
    rows_tell(all, row, user);
    json_decref(all);
}
