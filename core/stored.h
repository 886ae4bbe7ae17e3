/* SPDX-License-Identifier: GPL-3.0-or-later
 * stored.h - one stored certificate in as little memory as it takes, and how its files become an identity.
 */
#pragma once
#include "core/certificates.h"

struct identity;

struct stored {
    struct identity *identity; /* as workers see it; NULL: its files have not been read */
    uint32_t not_after;        /* Unix seconds */
    uint32_t wants;            /* workers that wait for it; it is not freed while there are any */
    uint32_t retry_at;         /* its files were no good: not read again before, Unix seconds */
    uint16_t name_count;
    uint8_t chain_folder, key_folder; /* which of the shared beginnings of paths */
    bool gone;                        /* dropped or replaced */
    uint8_t forms;                    /* how id and UID are kept */
    char text[];                      /* id, UID, chain, key, name, name, … */
};

enum { STORED_ID_MOST = 255, STORED_UID_MOST = 64, STORED_NAMES_MOST = 1000 };

/* An id or a UID as text. */
struct stored_text {
    char text[STORED_ID_MOST + 1];
};

/* For readers: of this tenant for this name, itself before the wildcard above it, the one that lasts longest; none that has expired
 * by `now` (0: any). */
struct stored *stored_find(const char *uid, const char *name, int64_t now);

struct stored *stored_new(const struct stored_certificate *, struct err *);
struct stored_text stored_id(const struct stored *);
struct stored_text stored_uid(const struct stored *);
const char *stored_name(const struct stored *, unsigned n);
bool stored_is(const struct stored *, const char *uid, const char *name);
/* Reads both files: a new identity with one reference. Any thread but a worker. NULL: *err; errno is EMFILE, ENFILE or ENOMEM when that
 * says nothing of the files. */
struct identity *stored_load(const struct stored *, struct err *);
/* Hashes of what it is found by: its id, then UID and name. */
uint64_t stored_id_hash(const char *id);
uint64_t stored_name_hash(const char *uid, const char *name);
void stored_fini(void); /* the shared beginnings of paths; no stored is left */
