/* SPDX-License-Identifier: GPL-3.0-or-later
 * standing.h - what one tenant has proved of one name, and the rules by which that changes. docs/domains.md is the rule book.
 *
 *   pending --proved--> verified --definite no--> at-risk --72 h of it--> suspended --30 days of it--> released
 *                          ^------------proved--------'------------------------'
 *
 * An unknown changes when the next look is, and nothing else. A standing belongs to a tenant's UID, not to an Ingress: the name
 * may move from one Ingress to another, and what is left when the last one goes is a tombstone, kept while DNS points here.
 * Pure: time and verdicts come in.
 */
#pragma once
#include "tenants/heap.h"
#include "tenants/proof.h"

enum phase { PHASE_PENDING, PHASE_VERIFIED, PHASE_AT_RISK, PHASE_SUSPENDED };

enum { /* seconds */
       LOOK_FIRST_S = 5,
       LOOK_MOST_S = 4 * 3600,
       LOOK_UNKNOWN_MOST_S =
           300, /* of a name that was proved: its next look after one that brought nothing */
       TXT_REPEAT_S = 5, /* a TXT without DNSSEC counts when it stands there so much later, too */
       GIVE_UP_S = 7 * 86400,
       SUSPEND_S = 72 * 3600,
       RELEASE_S = 30 * 86400,
       RECHECK_S = 3600,
};

struct zone;
struct looker;
struct standing {
    struct standing *next; /* of the same name */
    struct heap_item due;  /* first: of its tenant's looks */
    struct zone *zone;
    struct looker *looker; /* whose */
    bool wildcard;
    enum phase phase;
    unsigned claims; /* how many Ingresses want it; 0 and not pending: a tombstone */
    bool by_txt;     /* what proved it last */
    char token[PROOF_TOKEN_LENGTH + 1]; /* by_txt: what stood there; "" when it is not known */
    bool counted;                       /* among its tenant's pending names that are looked at */
    bool capped;       /* it would be, but for the tenant's having too many: not looked at */
    bool again;        /* look once more when the look that is under way is back */
    int64_t since;     /* in this phase */
    int64_t next_look; /* 0: none */
    int64_t wait;      /* the latest pause between looks */
    int64_t txt_since; /* when the token was first seen without DNSSEC; 0: it was not */
    int64_t looked;    /* at; 0: never */
    uint64_t serial;   /* of the look that is under way; 0: none */
    char *seen;        /* owned; what stood there instead, or NULL */
};

enum outcome { OUTCOME_STAYS, OUTCOME_MOVED, OUTCOME_RELEASED };
struct verdict_on_name {
    enum fact proved;
    bool by_txt;  /* the proof hangs on a TXT */
    bool trusted; /* which DNSSEC validated */
};
/* `luck`: random, for jitter. Sets phase, since, next_look and what goes with them. */
enum outcome standing_judged(struct standing *, const struct verdict_on_name *, int64_t now,
                             int64_t recheck_s, uint64_t luck);
/* Pending, and not looked at any more: nothing proved it for GIVE_UP_S. */
bool standing_gave_up(const struct standing *);
const char *phase_name(enum phase);
/* False: no phase is called that. */
bool phase_read(const char *name, enum phase *ret);
