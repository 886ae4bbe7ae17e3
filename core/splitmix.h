/* SPDX-License-Identifier: MIT
 * splitmix.h - splitmix64: numbers that are well spread whatever they are made of. Nothing to keep a secret by.
 */
#pragma once
#include <stdint.h>

#define SPLITMIX_STEP 0x9e3779b97f4a7c15ull /* 2^64 over the golden ratio */

/* Each number to another, and no two to the same. */
static inline uint64_t splitmix_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* The next draw of a sequence; any seed will do. */
static inline uint64_t splitmix_next(uint64_t *state) {
    return splitmix_mix(*state += SPLITMIX_STEP);
}
