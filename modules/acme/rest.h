/* SPDX-License-Identifier: GPL-3.0-or-later
 * rest.h - entries at rest. Of a hundred thousand certificates nearly all are good and not due: of such a one no more stays in memory than
 * what finds its row again and says when it is due. Whatever is to be done or told of it reads its row first, and it is an entry again.
 *
 *   entry --served, nothing hinders it, not due--> sleeper --due, asked for, missed, unreadable--> row --> entry
 *
 * Control thread, the keeper's lock held, but where it says otherwise. It owns the sleepers; rows and entries are the keeper's.
 */
#pragma once
#include "modules/acme/keeper.h"

/* All of its entries that can. */
void tenant_rest(struct followed *, int64_t now);
/* Each of its sleepers, an entry from now on. One whose row can't be read sleeps on. */
void tenant_wake(struct followed *);
/* The at-th; NULL: its row can't be read. The last one takes its place. */
struct entry *sleeper_wake(struct followed *, size_t at);

/* NULL: none of this tenant has this id. Good until one goes to rest or wakes. */
struct sleeper *sleeper_of(struct followed *, const char *id);
void sleeper_id(const struct sleeper *, char out[33]);
/* It is wanted by an Ingress of this name. */
void sleeper_want(struct sleeper *, const char *ingress);
/* The tenant is told anew what it wants: none of them yet. */
void sleepers_unwant(struct followed *);
bool sleepers_all_wanted(const struct followed *);
/* What they stand for was dropped, or all ends. */
void sleepers_free(struct followed *);

/* Any thread: is it time to call sleepers_wake_due()? *ret_at says when it will be; 0: nobody sleeps who will be due. */
bool sleepers_due(int64_t now, int64_t *ret_at);
/* What is due or soon will be; a few of each tenant, and not many at a time: they wait as entries. */
void sleepers_wake_due(int64_t now);

/* The sleepers of everybody, to look ids up in while nobody wakes. */
struct roll {
    struct sleeper *all;
    size_t count;
};
struct roll roll_make(void);
const struct sleeper *roll_find(const struct roll *, const char *id);
void roll_fini(struct roll *);
