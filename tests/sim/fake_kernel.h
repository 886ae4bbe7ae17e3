/* SPDX-License-Identifier: GPL-3.0-or-later
 * fake_kernel.h - the other end of core/ring.h and core/sys.h in tests: a seeded kernel with seeded peers.
 *
 * Everything is drawn from one seed: the order of completions, how many bytes each brings, when a peer sends, stops
 * reading, ends or resets, which race a cancellation loses, which call fails. A run is repeated exactly by its seed.
 *
 * What it refuses (the test fails there): closing a descriptor twice or while an op on it was not asked to end; sending
 * after FIN; a byte that is not the next one the sender sent; memory handed to a send that changed before its completion.
 */
#pragma once
#include "core/worker.h"

struct fake_plan { /* what the world does */
    uint64_t seed;
    unsigned clients;                    /* that will connect, in all */
    uint32_t stream_most;                /* bytes a peer sends at most */
    unsigned reset_one_in;               /* of peers; 0: none */
    unsigned refuse_one_in, mute_one_in; /* of connects: refused; never answered */
    unsigned short_one_in;               /* of sends that end early */
    unsigned end_one_in;                 /* of multishot completions that are their last */
    bool bundles;
    bool free_clock;      /* looking at the cycles takes no time */
    bool pods_never_read; /* a pod that takes nothing: backpressure must hold */
};

enum { FAKE_LISTENER = 3 };

void fake_start(const struct fake_plan *);
/* The k-th fallible call from now on fails (1 is the next); 0: none. Returns how many there have been. */
unsigned fake_fail_at(unsigned k);
/* Every client has come and its connection is over. */
bool fake_clients_done(void);
/* Everything given back: no op armed, no descriptor open but the listener. Fails the test otherwise. */
void fake_assert_clean(void);
/* For each pair of peers that both ended well: each got all the other sent, and the FIN. Returns the number of such pairs. */
unsigned fake_assert_delivered(void);
/* Bytes the clients' side has handed to the program and no pod has taken. */
uint64_t fake_backlog(void);
/* What the last ring_wait was asked to wait at most. */
int64_t fake_waited_ns(void);
unsigned fake_awaited(void); /* and for how many completions */
/* What a receive that is armed once may bring; 0: it is armed for many, or not. */
size_t fake_recv_most(const struct op *);
/* So much time passes now, while a completion is worked off. */
void fake_spend(uint64_t ns);
void fake_pass(int64_t ms); /* of the clock, asleep */
/* Pieces of memory given back since the last question; from now on each takes so long. */
unsigned fake_drops(int64_t each_ns);
unsigned fake_touches(void); /* pages that were got since the last question */
