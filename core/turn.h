/* SPDX-License-Identifier: GPL-3.0-or-later
 * turn.h - whose completions a worker works off first: in the order they came while a turn is short, by tenant when it is not.
 *
 *   CQE -> dispatched at once                       a turn of less than TURN_SLICE_US, or one tenant's alone: nothing to share, but
 *                                                   after TURN_MOST_US it ends as well, and others may have come before the next;
 *                                                   after TURN_ALONE_US where nobody else was met for TURN_ALONE_MS
 *   CQE -> lane of its tenant -> deficit round robin by measured time -> dispatched      (drr.h)
 *
 * A turn that has lasted TURN_SLICE_US while more than one tenant has completions left is crowded: the rest is copied out of the
 * ring, so that the kernel's queue stays empty, and each tenant is given TURN_QUANTUM_US in turn. After TURN_MOST_US the turn
 * ends and what is left goes on in the next, which is crowded from its beginning.
 *
 * Time is what callbacks took, by the clock, and what the kernel took for their completions, by weights (op.h): it is spent within one
 * io_uring_enter for everybody, where no clock tells whose it is, and it is most of what a bulk transfer costs.
 *
 * Lanes: one for each tenant, one for those of whom no tenant is known yet, one for those of them who have spoken and said nothing that
 * would tell, and one for each listener's accepts. All completions of one owner are in one lane, so they keep their order. What messages
 * between threads bring is never queued. A lane that
 * is LANE_LONG puts the brake on what fills it, and so does one socket with OWNER_LONG in it on itself: multishot operations are cancelled,
 * and begin again when their last completion has been worked off; a socket then receives once at a time. So the tenant whose sockets flood a worker is read from less, the
 * others are not, and what waits is bounded by its sockets. Buffers that wait in a lane are its tenant's.
 *
 * How long is counted in the row of who waited (account.h): of a tenant's lane what others were in its way, of those whose tenant is not
 * known, and who wait behind each other, all of it.
 *
 * A turn is brief when it ends for the sake of what is to be sent: who asks for little was served, and those whose work goes on are next; or
 * something dear, or due, is, and bytes wait. Only where several tenants were met lately, and no two in a row.
 *
 * What is dear by itself (a TLS handshake) is a chore: once a turn is long, or several tenants were met lately, it waits in a second lane of its
 * tenant's, so that what is open already does not wait behind it. That lane pays for both: a tenant's chores get what its completions leave of its share. A turn
 * with a chore in it ends after TURN_SLICE_US, with one that takes so long itself after TURN_DEAR_US: there may always be another, and who comes meanwhile, whose request needs four turns, is to
 * wait for one in each of them, not for two.
 */
#pragma once
#include "core/drr.h"
#include "core/sys.h"
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct account;
struct op;
struct owner;
struct completion;
struct held;

enum {
    TURN_SLICE_US = 90,
    TURN_QUANTUM_US = 50,
    TURN_DEAR_US = 50,
    TURN_MOST_US = 100,
    TURN_ALONE_US = 1000,
    TURN_ALONE_MS = 100,
    TURN_SMALL_US = 10000, /* so long after a crowded turn what is armed stays small */
    TURN_DEAR_ONE = 256,
    TURN_DEAR_MOST = 8 * TURN_DEAR_ONE,
    LANE_LONG = 64,
    OWNER_LONG = 8,     /* of one socket */
    LANE_STRANGERS = 4, /* weight: everybody's new connections come through it */
};

struct lane {
    struct drr_line drr;
    struct account *
        account; /* a tenant's, that it keeps; nobody's, who come to a shared listener; NULL: a raw port's own accepts */
    uint64_t
        charged; /* what the account had been charged when the turn before ended its service; 0: new */
    struct lane *next_remembered; /* of those that pay for the rest of that turn */
    bool remembered;
    struct lane *next;   /* of its worker, until nothing waits anywhere */
    struct lane *chores; /* the same tenant's second lane; NULL: none */
    bool of_chores;      /* this is a second lane */
};

struct chore { /* whose memory is its maker's again when it runs */
    struct drr_item item;
    void (*run)(struct chore *);
    struct held *held; /* lull.c's: where it waits, or NULL */
};

struct turn { /* of one worker */
    struct drr drr;
    struct lane *lanes;
    struct lane *remembered; /* who was served, or waited, in the turn before */
    struct lane halting;     /* ten thousand slow heads are not to be in the way of who comes new */
    bool crowded;            /* completions are queued */
    bool in_order;           /* they never are: to measure what all this costs */
    uint64_t began, slice_end, mark; /* cycles; the last look at them */
    bool alone;                      /* it may last TURN_ALONE_US */
    bool brief, was_brief;           /* it ends, and the one before did, so that bytes are sent */
    const void *payer;               /* of the completion that was dispatched last */
    int64_t others_ns;               /* when that last was somebody else's */
    const struct account
        *tenant;          /* whose completion was dispatched last, of those whose tenant is known */
    int64_t tenants_ns;   /* when that last was another one */
    int64_t met_ns;       /* when that last was one at all */
    int64_t strangers_ns; /* when it last was of one of whom no tenant is known */
    bool several;         /* that was lately */
    uint64_t kernel;      /* weights of the completions that were worked off */
    uint64_t due;         /* of what its end is going to ask for */
    int64_t small_until_ns;
    uint64_t cycles_us; /* in a microsecond, as far as is known */
    unsigned dear;      /* what a weight takes here, in TURN_DEAR_ONE-ths of a nanosecond */
    uint64_t first_cycles, crowds; /* when it was made; turns that were crowded, read by anyone */
    int64_t first_ns;
    uint64_t waits, waited_us; /* of tenants' work, for others' */
    uint64_t waited_us_max;    /* since the ledger looked (ledger.h) */
};

void turn_init(struct worker *);
void turn_begin(struct worker *);
/* The slice is over (turn_is_long). `several`: what comes next is of more than one tenant, and is queued. True: it is one's alone, and the
 * turn was long enough: others may have come meanwhile. */
bool turn_ends(struct turn *, bool several);
/* The kernel took so long for what the last turn, a long one, had worked off: weights are nanoseconds on a machine that is nobody's guest,
 * and several times that on some that are. Learned slowly, and never less than they say. */
void turn_kernel_took(struct turn *, uint64_t ns);
/* What it may take for what this one has worked off. */
static inline int64_t turn_kernel_ns(const struct turn *t) {
    return (int64_t)(t->kernel * t->dear / TURN_DEAR_ONE);
}
static inline uint64_t turn_kernel_cycles(const struct turn *t, uint64_t weight) {
    return weight * t->dear / TURN_DEAR_ONE * t->cycles_us / 1000;
}
/* Since it began: by the clock, which says `now`, and what the kernel takes or is going to. */
static inline uint64_t turn_reaches(const struct turn *t, uint64_t now) {
    return now + turn_kernel_cycles(t, t->kernel + t->due);
}
/* Asked after each completion that was dispatched, the `count`th, with this result; looks at the clock now and then, and after what
 * brought much. */
static inline bool turn_is_long(struct turn *t, unsigned count, int32_t res) {
    enum { LOOK = 4, MUCH = 16384 };
    if (count % LOOK && res < MUCH)
        return false;
    t->mark = sys_cycles();
    return turn_reaches(t, t->mark) >= t->slice_end;
}
/* For what can go on in the next turn as well. */
static inline bool turn_is_over(const struct turn *t) {
    return turn_reaches(t, sys_cycles()) >= t->began + TURN_MOST_US * t->cycles_us;
}
/* Before a completion is dispatched or queued: where it is another's than the one before, nobody is alone. */
void turn_meets(struct turn *, const struct op *);
/* What was nobody's turns out to be this tenant's. */
void turn_meets_tenant(struct turn *, const struct account *tenant);
/* Who would be given the time: equal for all completions of one lane. */
const void *turn_payer(const struct op *);
/* Queues it; without memory it is dispatched, in its owner's order. */
void turn_put(struct turn *, struct op *, const struct completion *);
/* Has this turn lasted so long, or do so many wait, that what goes on for long had better wait for the next? */
bool turn_is_busy(const struct turn *);
/* Something dear may be begun in it at once; else it had better wait for its tenant's turn. */
bool turn_is_young(const struct turn *);
/* In line for this tenant; runs once, within a turn. False: no memory. */
bool turn_put_chore(struct worker *, struct account *tenant, struct chore *);
unsigned turn_chores(const struct worker *, const struct account *tenant); /* so many wait */
/* Works off what is queued, for as long as the turn may last. */
void turn_run(struct worker *);
/* What could be begun now had better wait for the next turn: somebody's answer is to be sent. The turn is brief then. */
bool turn_sends_first(struct worker *);
/* Nothing is to be begun in it that can wait for the next: somebody's answer is on its way. */
static inline bool turn_is_brief(const struct turn *t) {
    return t->brief;
}
/* Whatever waits is dropped with the worker; chores run, whose makers are gone. */
void turn_end(struct worker *);
static inline bool turn_waits(const struct turn *t) {
    return t->drr.count;
}
/* The lane that an owner's completions wait in whoever pays for them; it must outlive the owner. `waits`: in whose row that is counted,
 * or NULL. */
void lane_init_own(struct lane *, struct owner *, struct account *waits);
/* Before that memory ends. */
void lane_end_own(struct worker *, struct lane *);
/* Tenants wait for each other, or did a moment ago: what one of them is read and sent at a time is little. */
bool turn_is_tight(const struct worker *);
