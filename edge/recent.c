/* SPDX-License-Identifier: GPL-3.0-or-later
 * recent.c - see recent.h.
 */
#include "edge/recent.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t files_bytes(const struct drop_files *f) {
    size_t sum = 0;
    for (size_t i = 0; i < f->drop.source_count; i++)
        sum += f->source[i].length;
    return sum;
}

static int place_of(const struct recent *r, const char *tenant) {
    for (int i = 0; i < RECENT_TENANTS; i++)
        if (r->files[i].tenant && !strcmp(r->files[i].tenant, tenant))
            return i;
    return -1;
}

/* A free one, or that of whoever was put here longest ago. */
static int place_make(const struct recent *r) {
    int oldest = 0;
    for (int i = 0; i < RECENT_TENANTS; i++) {
        if (!r->files[i].tenant)
            return i;
        if (r->used_ms[i] < r->used_ms[oldest])
            oldest = i;
    }
    return oldest;
}

/* ---- rows ---- */

static void rows_free(struct recent_rows *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(rows[i].path);
        free(rows[i].text);
    }
    free(rows);
}

/* Without the brackets; "": there are none. */
static char *rows_text(const struct drop *drop, const struct source *s, time_t modified) {
    json_t *list = view_source_objects(drop, s), *row;
    size_t i;
    json_array_foreach(list, i, row) {
        json_object_set_new(row, "modified", json_integer(modified));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    json_decref(list);
    if (length) {
        memmove(text, text + 1, length - 2);
        text[length - 2] = 0;
    }
    return text;
}

/* As they were made of this very text, or made now. Both lists are in the order of paths. */
static bool rows_fill(const struct drop_files *f, size_t i, struct recent_rows *was,
                      size_t was_count, size_t *at, struct recent_rows *ret) {
    const struct source *s = &f->source[i];
    const struct drop_mark *m = &f->mark[i];
    while (*at < was_count && (!was[*at].path || strcmp(was[*at].path, s->path) < 0))
        ++*at;
    struct recent_rows *old = *at < was_count ? &was[*at] : NULL;
    if (old && !strcmp(old->path, s->path) && old->hash == m->hash &&
        old->modified == m->modified.tv_sec) {
        *ret = *old;
        *old = (struct recent_rows){.path = NULL};
        return true;
    }
    *ret = (struct recent_rows){strdup(s->path), rows_text(&f->drop, s, m->modified.tv_sec),
                                m->hash, m->modified.tv_sec};
    return ret->path && ret->text;
}

static bool rows_renew(struct recent *r, int place) {
    const struct drop_files *f = &r->files[place];
    size_t count = f->drop.source_count, at = 0;
    struct recent_rows *rows = calloc(count + 1, sizeof *rows);
    bool good = rows;
    for (size_t i = 0; good && i < count; i++)
        good = rows_fill(f, i, r->rows[place], r->row_count[place], &at, &rows[i]);
    rows_free(r->rows[place], r->row_count[place]);
    if (!good) {
        rows_free(rows, rows ? count : 0);
        rows = NULL;
    }
    r->rows[place] = rows;
    r->row_count[place] = rows ? count : 0;
    return good;
}

static char *rows_joined(const struct recent_rows *rows, size_t count) {
    size_t length = 2;
    for (size_t i = 0; i < count; i++)
        length += strlen(rows[i].text) + 1;
    char *all = malloc(length + 1), *to = all;
    if (!all)
        return NULL;
    *to++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (to[-1] != '[' && *rows[i].text)
            *to++ = ',';
        to = stpcpy(to, rows[i].text);
    }
    *to++ = ']';
    *to = 0;
    return all;
}

char *recent_objects(struct recent *r, const char *tenant, uint64_t digest) {
    int i = place_of(r, tenant);
    if (i < 0 || r->files[i].digest != digest || !rows_renew(r, i))
        return NULL;
    return rows_joined(r->rows[i], r->row_count[i]);
}

/* ---- files ---- */

static void place_clear(struct recent *r, int i) {
    drop_free(&r->files[i]);
    rows_free(r->rows[i], r->row_count[i]);
    r->rows[i] = NULL;
    r->row_count[i] = 0;
}

const struct drop_files *recent_find(const struct recent *r, const char *tenant) {
    int i = place_of(r, tenant);
    return i < 0 ? NULL : &r->files[i];
}

void recent_put(struct recent *r, struct drop_files *f, int64_t now_ms) {
    int i = place_of(r, f->tenant);
    size_t bytes = files_bytes(f);
    if (bytes > RECENT_BYTES_MAX) {
        if (i >= 0)
            place_clear(r, i);
        drop_free(f);
        return;
    }
    if (i < 0)
        place_clear(r, i = place_make(r));
    else
        drop_free(&r->files[i]);
    for (int k = 0; k < RECENT_TENANTS; k++)
        bytes += files_bytes(&r->files[k]);
    if (bytes > RECENT_BYTES_MAX) /* whoever writes next begins anew */
        recent_clear(r);
    r->files[i] = *f;
    r->used_ms[i] = now_ms;
    *f = (struct drop_files){.tenant = NULL};
}

void recent_beat(struct recent *r, int64_t now_ms) {
    for (int i = 0; i < RECENT_TENANTS; i++)
        if (r->files[i].tenant && now_ms - r->used_ms[i] >= RECENT_MS)
            place_clear(r, i);
}

void recent_clear(struct recent *r) {
    for (int i = 0; i < RECENT_TENANTS; i++)
        place_clear(r, i);
}
