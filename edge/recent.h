/* SPDX-License-Identifier: GPL-3.0-or-later
 * recent.h - the files of tenants that are written by an API, as they were read last: who writes many objects, one after the other, has the
 * one file read that is new, not all of them (drop.h, drop_read_again), and the objects of the one file made into JSON. Of few tenants, and not for
 * long. The control thread alone.
 */
#pragma once
#include "edge/drop.h"

enum { RECENT_TENANTS = 8, RECENT_BYTES_MAX = 16 << 20, RECENT_MS = 10000 };

struct recent_rows { /* what control_get("objects") shows of a file */
    char *path, *text;
    uint64_t hash; /* of the file's text */
    time_t modified;
};

struct recent {
    struct drop_files files[RECENT_TENANTS]; /* .tenant NULL: a free place */
    int64_t used_ms[RECENT_TENANTS];
    struct recent_rows *rows[RECENT_TENANTS]; /* as many as files had when they were asked for */
    size_t row_count[RECENT_TENANTS];
};

/* NULL: it is not there. Valid until the next call. */
const struct drop_files *recent_find(const struct recent *, const char *tenant);
/* Takes the files; they take the place of what was there of the same tenant, or of whoever was put here longest ago. */
void recent_put(struct recent *, struct drop_files *, int64_t now_ms);
/* What control_get("objects") is, malloc'd, if the files of this digest are there; NULL: they are not, or there is no memory. */
char *recent_objects(struct recent *, const char *tenant, uint64_t digest);
void recent_beat(struct recent *, int64_t now_ms); /* what nobody put for RECENT_MS goes */
void recent_clear(struct recent *);
