/* SPDX-License-Identifier: GPL-3.0-or-later
 * keeper.h - which certificates there are and shall be.
 *
 *   on_tenant -> wishes -> entries (wanted) -> due -> a thread orders -> finish -> files, row, served
 *
 * An entry is one set of names of one tenant with one kind of key; its id is a digest of these. What is no longer wished for serves on until
 * all of its names that are still the tenant's are covered by others. One that is good and not due is at rest (rest.h): of it only a
 * sleeper is in memory. One lock over all entries; nobody waits for anything else while holding it.
 */
#pragma once
#include "core/diag.h"
#include "core/map.h"
#include "modules/acme/order.h"
#include "modules/acme/schedule.h"
#include "modules/acme/texts.h"
#include <pthread.h>

struct tenant;
struct followed;
struct wish_copy;

struct entry {
    struct entry *next; /* of its tenant */
    struct followed *tenant;
    char id[33];
    bool rsa;
    bool wanted;               /* by the tenant as it is now */
    bool busy;                 /* a thread has it */
    bool ordering;             /* busy with an order, not only with the question when to renew */
    bool shown;                /* an order that goes on later still shows its answers */
    bool gone;                 /* to be dropped when the thread is done */
    const char *uid, *ingress; /* taken, see texts.h */
    char **name;
    unsigned name_count, index; /* index: in the table of times */
    const char *impossible;     /* no challenge can prove it: why; NULL: one can */

    /* what is served; number 0: nothing */
    unsigned number;   /* the one under way has the next */
    unsigned failures; /* in a row */
    int64_t not_before, not_after;
    int64_t came_at;                /* 0: before the start */
    const char *issuer, *directory; /* taken; NULL: none yet. While it is busy they stay */
    char *renewal_id;               /* the same, but said */
    char *unreadable; /* its files can't be used: why; NULL: they can, as far as anybody knows */

    /* what comes next */
    struct window window;              /* suggested by the authority */
    int64_t ari_at;                    /* when to ask for it again; 0: it has none */
    int64_t attempt_at;                /* when to order */
    char *error, *problem, *waits_for; /* said */
    int64_t alarmed_at;
};

struct sleeper {         /* an entry at rest: small, there may be a hundred thousand */
    const char *ingress; /* taken */
    uint8_t id[16];
    uint32_t number : 31;
    bool wanted : 1;
    uint32_t attempt_at, ari_at, not_after; /* Unix seconds */
};
enum { SLEEPER_NUMBER_MOST = INT32_MAX };

struct followed { /* a tenant */
    char *name, *uid;
    bool known;    /* told since the start */
    uint64_t turn; /* when something of it was taken last */
    struct entry *first;
    struct sleeper *sleeper;
    size_t sleeper_count;
    bool sorted; /* its sleepers are, by their ids */
    struct wish_copy *wish;
    size_t wish_count;
};

struct keeper {
    pthread_mutex_t lock;
    const struct acme_conf *conf;
    struct map tenants;   /* name -> struct followed * */
    struct map entries;   /* id -> struct entry * */
    struct entry **entry; /* all awake, and when each is due, side by side: looked through often */
    int64_t *due;
    size_t count, room;
    int64_t sleep_due; /* no sleeper is due before; 0: none will be */
    bool waking;       /* the control thread was asked to wake who is due */
    int64_t started;
    uint64_t turns; /* taken */
    /* figures, for ever rising */
    uint64_t issued, failed, renewed;
    uint64_t directory_issued[DIRECTORIES_MOST], directory_refused[DIRECTORIES_MOST];
};
extern struct keeper keeper;

enum { KEEPER_NEVER = 0 };

/* ---- control thread ---- */
bool keeper_open(const struct acme_conf *,
                 struct err *); /* rows; what is on disk is served at once */
void keeper_close(void);
void keeper_follow(const char *name, const struct tenant *now);
/* Now and then: what became of the operator's certificates, what is no longer needed, what expires. */
void keeper_sweep(void *unused);

/* The entry as its row says, in the table; NULL: it can't be read. */
struct entry *entry_read(struct followed *, const char *id);

/* ---- a thread of the crew ---- */
struct task { /* a copy, so that the entry may change meanwhile */
    char id[33];
    bool ask_window; /* not an order: only when to renew */
    struct entry as;
    char **name;
    size_t name_count;
};
/* The entry that is due longest, taken; false: *ret_at says when the next will be (0: none). Lock held by the caller. */
bool keeper_take(int64_t now, struct task *ret, int64_t *ret_at);
void task_fini(struct task *);
/* On the control thread, see calls.h: what came of it. */
struct finish {
    const struct task *task;
    const struct order_result *result; /* or, of ask_window: */
    const struct renewal *renewal;     /* NULL: it could not be had */
    int64_t renewal_retry;
    unsigned spent; /* out: the number that was served before; 0: it still is, or there was none */
};
void keeper_finish(void *finish);
/* On any thread, once the rows are on disk: before that a crash would come back to what was spent. */
void keeper_finished(const struct finish *);

/* ---- views.c ---- */
char *keeper_view(const char *kind, const char *tenant);
char *keeper_metrics(void);
const char *entry_state(const struct entry *, int64_t now);
/* Why it is not renewed: nothing can prove it, something is waited for, or it failed; NULL: nothing hinders. */
const char *entry_hindrance(const struct entry *);
/* It serves, little of its lifetime is left, and it is hindered: that is told loudly. */
bool entry_is_late(const struct entry *, int64_t now);
