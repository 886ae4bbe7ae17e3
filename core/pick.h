/* SPDX-License-Identifier: GPL-3.0-or-later
 * pick.h - which pod of a set a request goes to: three ways, each a pure function of what the pods weigh.
 *
 *   weight:  OUT  LEAVING  EJECTED  FULL  AVOID  FAILED  | requests under way
 *            a reason against a pod is a bit above every number of requests, the graver the higher: so the lesser weight is
 *            always the better pod, whatever the reasons are, and one that has none is below PICK_LIGHT
 *
 * Inlined into their callers; `weigh` is called for as few pods as can be.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICK_FAILED (1ull << 32)  /* failed a moment ago */
#define PICK_AVOID (1ull << 40)   /* the one that this request has met already */
#define PICK_FULL (1ull << 48)    /* has all the connections it may have */
#define PICK_EJECTED (1ull << 52) /* passive ejection; still better than nobody */
#define PICK_LEAVING (1ull << 56) /* not in the newest set */
#define PICK_OUT (1ull << 60)     /* its checks fail: never */
#define PICK_LIGHT PICK_FAILED    /* below: nothing speaks against it */

enum { PICK_NONE = UINT32_MAX };

typedef uint64_t pick_weigh_fn(const void *set, unsigned index);
typedef uint64_t pick_point_fn(const void *set, unsigned index);

static inline unsigned pick_usable(uint64_t weight, unsigned index) {
    return weight & PICK_OUT ? PICK_NONE : index;
}

/* The lightest of all, the first from `start` on among equals. */
static inline unsigned pick_lightest(const void *set, unsigned count, unsigned start,
                                     pick_weigh_fn *weigh) {
    unsigned best = start % count;
    uint64_t least = weigh(set, best);
    for (unsigned i = 1; i < count; i++) {
        unsigned at = (start + i) % count;
        uint64_t weight = weigh(set, at);
        if (weight < least) {
            least = weight;
            best = at;
        }
    }
    return pick_usable(least, best);
}

/* Power of two choices: the lighter of two at random. When something speaks against that one, all are looked at. */
static inline unsigned pick_least(const void *set, unsigned count, uint64_t random,
                                  pick_weigh_fn *weigh) {
    unsigned one = (unsigned)((uint32_t)random % count);
    uint64_t weight = weigh(set, one);
    if (count == 1)
        return pick_usable(weight, one);
    unsigned two = (one + 1 + (unsigned)((random >> 32) % (count - 1))) % count;
    uint64_t other = weigh(set, two);
    if (other < weight) {
        one = two;
        weight = other;
    }
    return weight < PICK_LIGHT ? one : pick_lightest(set, count, one, weigh);
}

/* The next in turn that nothing speaks against. */
static inline unsigned pick_in_turn(const void *set, unsigned count, uint32_t *turn,
                                    pick_weigh_fn *weigh) {
    unsigned start = *turn % count;
    for (unsigned i = 0; i < count; i++) {
        unsigned at = (start + i) % count;
        if (weigh(set, at) < PICK_LIGHT) {
            *turn = at + 1;
            return at;
        }
    }
    *turn = start + 1;
    return pick_lightest(set, count, start, weigh);
}

/* A good mix of 64 bits (the finaliser of MurmurHash3). */
static inline uint64_t pick_mix(uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdull;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 33);
}

/* FNV-1a, mixed: the same in every process, so that all edges of a fleet send a client to the same pod. Never 0. */
static inline uint64_t pick_key(const void *data, size_t length) {
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < length; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    h = pick_mix(h);
    return h ? h : 1;
}

/* Rendezvous hashing: each pod draws a number from the key, the highest wins. A pod that comes or goes moves only the keys it
 * wins, 1/n of them; and while it is ejected, full or out its keys go to their second choice, each its own, not all to one
 * neighbour. */
static inline unsigned pick_by_key(const void *set, unsigned count, uint64_t key,
                                   pick_weigh_fn *weigh, pick_point_fn *point) {
    unsigned best = PICK_NONE;
    uint64_t most = 0;
    if (!count)
        return PICK_NONE;
    for (unsigned i = 0; i < count; i++) {
        uint64_t draw = pick_mix(key ^ point(set, i));
        if ((best == PICK_NONE || draw > most) && weigh(set, i) < PICK_LIGHT) {
            most = draw;
            best = i;
        }
    }
    return best != PICK_NONE ? best : pick_lightest(set, count, (unsigned)(key % count), weigh);
}
