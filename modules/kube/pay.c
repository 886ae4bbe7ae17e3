/* SPDX-License-Identifier: GPL-3.0-or-later
 * pay.c - see pay.h.
 */
#include "modules/kube/pay.h"
#include "core/map.h"
#include "modules/kube/server.h"
#include "modules/kube/tokens.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BURST = 4,      /* times requests_per_second */
    COST = 4,       /* times as much is paid for an answer as it took: a quarter of it all */
    COST_ALONE = 2, /* while nobody else asks */
    DEBT_MOST = 4,  /* bursts */
    ALONE_MS = 1000,
};

struct bucket { /* what a tenant may still ask */
    double left;
    int64_t at_ms;
};

static const struct kube_conf *conf;
static struct map buckets; /* tenant -> struct bucket */
static struct asked {
    char tenant[TENANT_NAME_MAX];
    int64_t at_ms;
} newest, other; /* who asked last, and who was the last but him */

static double burst(void) {
    return (double)conf->requests_per_second * BURST;
}

static double earned(int64_t ms) {
    return (double)ms * (double)conf->requests_per_second / 1000;
}

/* As it is now; NULL: no memory. */
static struct bucket *bucket_need(const char *tenant) {
    int64_t now = server_now_ms();
    struct bucket *b = map_get(&buckets, tenant);
    if (!b) {
        b = malloc(sizeof *b);
        if (!b || !map_put(&buckets, tenant, b)) {
            free(b);
            return NULL;
        }
        *b = (struct bucket){burst(), now};
    }
    b->left += earned(now - b->at_ms);
    b->at_ms = now;
    if (b->left > burst())
        b->left = burst();
    return b;
}

static void asked_note(const char *tenant) {
    if (strcmp(newest.tenant, tenant)) {
        other = newest;
        snprintf(newest.tenant, sizeof newest.tenant, "%s", tenant);
    }
    newest.at_ms = server_now_ms();
}

bool tenant_alone(const char *tenant) {
    const struct asked *a = strcmp(newest.tenant, tenant) ? &newest : &other;
    return !*a->tenant || server_now_ms() - a->at_ms >= ALONE_MS;
}

bool tenant_asks(const char *tenant) {
    struct bucket *b = bucket_need(tenant);
    asked_note(tenant);
    if (!b || b->left < 1)
        return false;
    b->left--;
    return true;
}

void tenant_pays(const char *tenant, int64_t ms) {
    struct bucket *b = bucket_need(tenant);
    if (!b)
        return;
    b->left -= (tenant_alone(tenant) ? COST_ALONE : COST) * earned(ms);
    if (b->left < -DEBT_MOST * burst())
        b->left = -DEBT_MOST * burst();
}

void pay_beat(void) {
    int64_t now = server_now_ms();
    for (size_t i = 0; i < buckets.room; i++) {
        const struct bucket *b = buckets.slot[i].key ? buckets.slot[i].value : NULL;
        if (!b || now - b->at_ms < 60000)
            continue;
        free(map_remove(&buckets, buckets.slot[i].key));
        return; /* slots have moved; the rest goes with the next beats */
    }
}

void pay_open(const struct kube_conf *c) {
    conf = c;
}

void pay_close(void) {
    newest = other = (struct asked){.at_ms = 0};
    map_clear(&buckets, free);
}
