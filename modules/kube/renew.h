/* SPDX-License-Identifier: GPL-3.0-or-later
 * renew.h - a tenant's objects anew: the long part of following it. It reads what is kept and changes none of it, so that of a large
 * tenant it may run on a thread of its own while others are answered; follow.c makes it so.
 *
 *   texts of the control thread -> pruned, hashed: news? -> composed -> each of them found among those that were -> struct renewal
 */
#pragma once
#include "modules/kube/follow.h"

struct renewed { /* an object that there is now */
    struct kept *of;
    struct blob *object; /* NULL: as it was */
    uint64_t hash, version, uid;
    char created[TIME_TEXT];
    bool written;
    bool is_new;  /* `of` was made for it */
    bool changed; /* it is of a new version */
};
struct gone { /* one that there is no more */
    struct kept *of;
    struct blob *object; /* as it was, of a new version; NULL: its tenant rested */
    uint64_t version;
};
struct renewal {
    /* given: its list, and what it was made of, stay as they are until the renewal is taken */
    const struct follow *of;
    char *fetched_live, *fetched_objects; /* owned; NULL: the text there is */
    /* what came of it */
    bool there;   /* the tenant is */
    bool refused; /* its files are not what serves: something in them is wrong */
    bool read;    /* false: the texts are not to be read; nothing below is set */
    bool news;    /* something is not as it was; false: no items, nothing gone */
    char uid[64]; /* the tenant's */
    char *live;   /* owned: pruned */
    uint64_t live_hash, objects_hash;
    struct renewed *item; /* by key */
    struct gone *gone;
    size_t count, gone_count;
};
void renewal_make(struct renewal *); /* any thread */
void renewal_fini(struct renewal *); /* what is still in it */

/* One counter for all tenants, from the milliseconds of the clock at start: it rises over restarts, and a watch that goes on from before
 * one is told 410 and lists again. Any thread. */
uint64_t version_next(void);
uint64_t version_last(void);

/* NULL: there is none of this key. */
struct kept **kept_find(const struct follow *, const char *key);
enum { KEY_MAX = 700 };
const char *key_print(const char *kind, const char *name, char out[KEY_MAX]);
/* {"tenants", ..., "objects"} of the two texts, either of which may be NULL. */
json_t *known_json(const char *live, const char *objects);
