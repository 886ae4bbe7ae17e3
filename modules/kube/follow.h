/* SPDX-License-Identifier: GPL-3.0-or-later
 * follow.h - one tenant as this API shows it: its objects, each with its resourceVersion, and the log of their changes.
 *
 *   a request --follow_ask--> fetched from the control thread, unless that was just done --> composed, compared --> log --> watches
 *
 * A tenant nobody has asked about costs nothing. One that is asked about no more rests: of each object a hash and a version stay, so that
 * it is still of that version when it is composed again. So does whoever was asked about longest ago when all of them keep too much. The
 * API's thread alone.
 */
#pragma once
#include "core/map.h"
#include "modules/kube/blob.h"
#include "modules/kube/compose.h"
#include <stdint.h>

enum { LOG_MOST = 1000, FOLLOW_FRESH_MS = 100, RV_TEXT = 24, TIME_TEXT = 21 };

struct kept { /* an object */
    const struct kube_kind *kind;
    struct blob *object; /* with its resourceVersion; NULL: of a tenant that rests */
    uint64_t hash, version;
    uint64_t
        uid; /* its hash, and since when it is there, as they were first seen: a file may be written anew */
    char created[TIME_TEXT];
    bool written; /* a file says it; else the edge made it */
    char key[];   /* "Kind/name" */
};
struct change {
    uint64_t version;
    const struct kube_kind *kind;
    struct blob *before, *after; /* one of them may be NULL */
};
struct follow {
    struct follow *next,
        *previous; /* of those that are warm, or of those that rest: in the order they were asked for */
    char name[64], uid[64];
    bool there;         /* the tenant is */
    bool refused;       /* its files are not what serves */
    struct kept **list; /* by key: kind, then name */
    size_t count;
    size_t bytes;               /* what rest would give back */
    uint64_t version;           /* of the newest change */
    uint64_t log_from;          /* changes after this one are in the log */
    struct change *log;         /* log_room slots, a power of two */
    uint64_t first, end;        /* of serial numbers: slot = serial % log_room */
    size_t log_room, log_bytes; /* of its objects */
    char *live, *objects_text;  /* what compose was given, as text */
    uint64_t live_hash, objects_hash;
    bool fetching, touched, warm;
    int64_t fetched_ms, fresh_ms, used_ms;
    int64_t took_ms; /* of the control thread and of this one, the last look */
    int64_t since;
    struct asker *waiting, *later; /* for the fetch under way; for the one after it */
    struct watch *watches;
    unsigned heavy_lists; /* of it, under way */
};

struct asker { /* in whoever asks */
    struct asker *next;
    struct follow *follow;
    void (*ready)(struct asker *, struct follow *); /* NULL: the tenant can't be looked at now */
};
/* `ready` comes at once or later. `anew`: what was fetched a moment ago won't do. */
void follow_ask(const char *tenant, struct asker *, bool anew);
void follow_forget(struct asker *); /* does not wait any more */

/* What compose was given; the caller's. */
json_t *follow_known(const struct follow *);
struct kept *follow_find(const struct follow *, const char *kind, const char *name);
const char *follow_version(const struct follow *, char out[RV_TEXT]);
/* The serial number of the first change after `version`; false: the log does not reach back so far (410). */
bool follow_log_at(const struct follow *, uint64_t version, uint64_t *ret_serial);
static inline const struct change *follow_log(const struct follow *f, uint64_t serial) {
    return &f->log[serial & (f->log_room - 1)];
}
const char *version_text(uint64_t version, char out[RV_TEXT]);

void follow_heavy(const char *tenant, int more); /* counts heavy_lists */
void follow_touched(const char *tenant);         /* it was published anew */
void follow_beat(void);
void follow_fini(void);
struct follow_figures { /* any thread */
    uint64_t tenants, objects, changes;
};
struct follow_figures follow_figures(void);
