/* SPDX-License-Identifier: GPL-3.0-or-later
 * local_ports.c - see local_ports.h. Counted by any worker, in words of their own lines; found and freed by the control thread.
 *
 * What lingers is counted in slots of SLOT_MS: a word is the slot's number and its count, and stands for nothing once it is a round old.
 */
#include "core/local_ports.h"
#include "core/account.h"
#include "core/map.h"
#include "core/sys.h"
#include "tenants/network.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8, SLOT_MS = 8000, KEY_MOST = 160 };

struct ports_used {
    uint32_t open;
    uint64_t lingering[SLOTS]; /* number of the slot << 32 | how many */
} __attribute__((aligned(64)));

struct port_target {
    struct ports_used used;
    char key[KEY_MOST];
    unsigned most; /* ports that the network has */
    unsigned refs; /* control thread */
    uint32_t tenants;
};

struct local_ports {
    struct ports_used used;
    char key[KEY_MOST];
    unsigned refs; /* control thread */
    struct port_target *target;
};

static struct map targets, parts;

/* ---- counting ---- */

static uint32_t slot_number(int64_t now_ms) {
    return (uint32_t)(now_ms / SLOT_MS);
}

static void linger(struct ports_used *u, uint32_t number) {
    uint64_t *slot = &u->lingering[number % SLOTS], was = __atomic_load_n(slot, __ATOMIC_RELAXED);
    uint64_t next;
    do
        next = was >> 32 == number ? was + 1 : (uint64_t)number << 32 | 1;
    while (
        !__atomic_compare_exchange_n(slot, &was, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static int64_t in_use(const struct ports_used *u, int64_t now_ms) {
    uint32_t number = slot_number(now_ms);
    int64_t n = __atomic_load_n(&u->open, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&u->lingering[i], __ATOMIC_RELAXED);
        if (number - (uint32_t)(slot >> 32) < SLOTS)
            n += (uint32_t)slot;
    }
    return n;
}

static bool is_shared(const struct local_ports *p) {
    return __atomic_load_n(&p->target->tenants, __ATOMIC_RELAXED) > 1;
}

bool local_ports_may(const struct local_ports *p, int64_t now_ms) {
    unsigned most = p && is_shared(p) ? __atomic_load_n(&p->target->most, __ATOMIC_RELAXED) : 0;
    if (!most)
        return true;
    int64_t mine = in_use(&p->used, now_ms), left = most - in_use(&p->target->used, now_ms);
    return mine < PORTS_LEAST || mine <= PORTS_HEAD_ROOM * left;
}

void local_ports_take(struct local_ports *p) {
    if (!p)
        return;
    __atomic_add_fetch(&p->used.open, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&p->target->used.open, 1, __ATOMIC_RELAXED);
}

void local_ports_give(struct local_ports *p, bool lingers, int64_t now_ms) {
    if (!p)
        return;
    if (lingers && is_shared(p)) {
        linger(&p->used, slot_number(now_ms));
        linger(&p->target->used, slot_number(now_ms));
    }
    __atomic_sub_fetch(&p->used.open, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&p->target->used.open, 1, __ATOMIC_RELAXED);
}

/* ---- control thread ---- */

static void *aligned_new(size_t size) {
    void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);
    return p ? memset(p, 0, size) : NULL;
}

static void key_print(const struct place *place, const union address *a, char out[KEY_MOST]) {
    char text[ADDRESS_TEXT_MAX];
    address_print(a, text);
    snprintf(out, KEY_MOST, "%llx|%d|%s", (unsigned long long)place->space, place->device, text);
}

static void target_put(struct port_target *t) {
    if (--t->refs)
        return;
    map_remove(&targets, t->key);
    free(t);
}

static struct port_target *target_get(const struct place *place, const char *key) {
    struct port_target *t = map_get(&targets, key);
    if (!t) {
        t = aligned_new(sizeof *t);
        if (!t)
            return NULL;
        memcpy(t->key, key, KEY_MOST);
        if (!map_put(&targets, key, t)) {
            free(t);
            return NULL;
        }
    }
    __atomic_store_n(&t->most, place->ports, __ATOMIC_RELAXED);
    t->refs++;
    return t;
}

struct local_ports *local_ports_get(const struct place *place, const union address *a,
                                    struct account *tenant) {
    char target[KEY_MOST], key[KEY_MOST];
    key_print(place, a, target);
    snprintf(key, sizeof key, "%.*s|%p", KEY_MOST - 24, target, (void *)tenant);
    struct local_ports *p = map_get(&parts, key);
    if (p) {
        p->refs++;
        return p;
    }
    p = aligned_new(sizeof *p);
    if (p && !(p->target = target_get(place, target))) {
        free(p);
        return NULL;
    }
    if (!p)
        return NULL;
    p->refs = 1;
    memcpy(p->key, key, KEY_MOST);
    __atomic_add_fetch(&p->target->tenants, 1, __ATOMIC_RELAXED);
    if (map_put(&parts, key, p))
        return p;
    local_ports_put(p);
    return NULL;
}

void local_ports_put(struct local_ports *p) {
    if (!p || --p->refs)
        return;
    map_remove(&parts, p->key);
    __atomic_sub_fetch(&p->target->tenants, 1, __ATOMIC_RELAXED);
    target_put(p->target);
    free(p);
}

void local_ports_fini(void) {
    map_fini(&parts);
    map_fini(&targets);
}
