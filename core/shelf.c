/* SPDX-License-Identifier: GPL-3.0-or-later
 * shelf.c - see shelf.h. A clock: the hand passes over what was asked for since it came by last. Who holds more than its share
 * displaces its own only, so that nobody who has many names asked for can make all others' be read again and again.
 */
#include "core/shelf.h"
#include "core/control.h"
#include "core/identity.h"
#include "core/map.h"
#include "core/retire.h"
#include "core/stored.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SHARE = 4 }; /* a fourth */

struct place {
    struct stored *stored;
    unsigned owner;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct place *place;
static size_t most, count, hand, evictions;
static size_t held[SHELF_OWNERS];
static struct identity *off; /* taken off the shelf, for the control thread; linked by next_dead */

static unsigned owner_of(const struct stored *s) {
    const struct stored_text uid = stored_uid(s);
    return hash_bytes(uid.text, strlen(uid.text)) % SHELF_OWNERS;
}

bool shelf_init(size_t n) {
    most = n ? n : 1;
    place = calloc(most, sizeof *place);
    return place;
}

static void give_back(struct identity *identity) {
    identity->next_dead = off;
    off = identity;
}

/* What workers look up from now on has no identity; who just read it enters it in the turn that it is in. */
static void place_clear(size_t at) {
    struct stored *s = place[at].stored;
    give_back(s->identity);
    __atomic_store_n(&s->identity, NULL, __ATOMIC_RELEASE);
    held[place[at].owner]--;
    place[at] = place[--count];
    place[count] = (struct place){0};
}

/* Twice round at most: what the first round passes over it has marked as not asked for. */
static size_t victim_find(unsigned owner) {
    bool own = held[owner] > most / SHARE;
    for (size_t i = 0; i < 2 * count; i++) {
        size_t at = hand % count;
        hand = at + 1;
        if ((!own || place[at].owner == owner) && !identity_asked(place[at].stored->identity))
            return at;
    }
    return hand % count; /* all are asked for while we look */
}

bool shelf_put(struct stored *s, struct identity *taken) {
    pthread_mutex_lock(&lock);
    bool put = !s->gone && !s->identity;
    if (put) {
        unsigned owner = owner_of(s);
        if (count == most) {
            evictions++;
            place_clear(victim_find(owner));
        }
        place[count++] = (struct place){s, owner};
        held[owner]++;
        __atomic_store_n(&s->identity, taken, __ATOMIC_RELEASE);
    } else {
        give_back(taken);
    }
    pthread_mutex_unlock(&lock);
    return put;
}

void shelf_drop(struct stored *s) {
    pthread_mutex_lock(&lock);
    __atomic_store_n(&s->gone, true, __ATOMIC_RELAXED);
    for (size_t at = 0; s->identity && at < count; at++)
        if (place[at].stored == s)
            place_clear(at);
    pthread_mutex_unlock(&lock);
}

size_t shelf_count(void) {
    pthread_mutex_lock(&lock);
    size_t n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

size_t shelf_evictions(void) {
    pthread_mutex_lock(&lock);
    size_t n = evictions;
    pthread_mutex_unlock(&lock);
    return n;
}

static void identity_release(void *object) {
    identity_unref(object);
}

void shelf_reap(void) {
    pthread_mutex_lock(&lock);
    struct identity *list = off;
    off = NULL;
    pthread_mutex_unlock(&lock);
    while (list) {
        struct identity *identity = list;
        list = identity->next_dead;
        retire(identity, identity_release);
    }
}

void shelf_fini(void) {
    shelf_reap();
    free(place);
    place = NULL;
    most = count = hand = evictions = 0;
}
