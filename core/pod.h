/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod.h - the inside of upstream.h: one address of one service of one tenant, and its connections on each worker.
 *
 *   control thread: upstream_new -> (versions hold references) -> upstream_retire -> unused -> upstream_free
 *   worker:         open -> [busy] -> keep -> [idle] -> open ... ; a retired upstream keeps nothing
 */
#pragma once
#include "core/sock.h"
#include "core/upstream.h"
#include "tenants/network.h"

struct upstream_conn;

struct upstream_slot { /* one cache line: with thousands of tenants each request finds it cold */
    struct upstream_conn *idle;
    uint32_t idle_count;
    uint32_t open; /* idle and busy; written by the worker, read by the control thread */
    uint32_t busy;
    uint32_t retired;        /* the message has been worked off: nothing is kept any more */
    int64_t failed_until_ms; /* picked last until then */
    uint64_t failures;
    struct message retire;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct upstream_slot) == 64, "one line");

struct upstream {
    union address addr;
    char *key, *netns, *device;
    char name[ADDRESS_TEXT_MAX];
    struct account *account; /* a reference */
    unsigned refs;           /* control thread: versions that hold it */
    unsigned workers;
    struct upstream *next_dead;
    struct upstream_slot w[];
};

struct upstream_set {
    unsigned count;
    struct upstream *member[];
};

struct upstream *upstream_new(const char *key, const union address *, const struct network *,
                              struct account *, unsigned workers);
/* May a stream of upstream_open go on under this network? True when it is not one (another layer lies above). */
bool upstream_allowed(const struct stream *, const struct network *);
/* No version holds it any more: idle connections close now, busy ones when they are given back. */
void upstream_retire(struct upstream *, struct worker *const *workers, struct ring *from);
bool upstream_unused(
    const struct upstream *); /* after retire: nothing of it is left on any worker */
void upstream_free(struct upstream *);
/* The worker's turn to end: close what is idle there. On that worker. */
void upstream_close_idle(struct upstream *, struct worker *);
