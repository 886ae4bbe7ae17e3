/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_guard.h - looks at each frame's header before nghttp2 does, and counts work.
 *
 *   bytes --guard_next--> one frame's worth of them, judged --> nghttp2
 *
 * Abuse of HTTP/2 never breaks a rule of framing: it is work that costs its sender nothing. So all that is free to send is debited to a
 * budget that refills slowly, and what a request debited comes back when its answer went out whole: whoever asks and reads the
 * answers never gets poorer, however fast. Pure: unit-tested and fuzzed alone.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_HEAD = 9,
    FRAME_MAX = 16384,        /* payload; what we say of it in SETTINGS is nothing */
    H2_BUDGET = 10000,        /* units at most, and at first */
    H2_REFILL = 200,          /* units a second */
    H2_EARN_SHIFT = 10,       /* a unit for each KiB of bodies, either way */
    H2_BLOCK_MAX = 34 * 1024, /* bytes of a header block as they come; HEAD_MAX and some */
    H2_EXPANDED_MAX =
        128 *
        1024, /* of its fields, as RFC 9113 section 6.5.2 counts them: HPACK makes 4 KiB of a byte */
    H2_CONTINUATIONS_MAX = 8, /* of one header block */
    H2_SMALL_WINDOW = 1024,   /* increments below are a game */
};

enum h2_cost {
    COST_STREAM = 10, /* a header block that begins a stream; comes back */
    COST_BLOCK_SHIFT =
        8, /* a unit for each 256 bytes of it; comes back. Of what fields come to beyond HEAD_MAX: is lost */
    COST_CONTINUATION = 5,
    COST_RESET = 20, /* RST_STREAM, whoever sends it; after a whole answer only 1 */
    COST_SETTINGS = 20,
    COST_PING = 4,
    COST_PRIORITY = 2,
    COST_EMPTY_DATA = 10,
    COST_WINDOW = 1,
    COST_SMALL_WINDOW = 5,
    COST_UNKNOWN = 2,
    COST_FIELD = 1, /* for 4 fields of a block; comes back */
    COST_WHOLE =
        8, /* a whole answer earns so much: a PING and a few WINDOW_UPDATEs come with many */
};

/* Beside what is left stands what was wasted: what nobody got an answer for, less what was earned. It is what the tenant hears of, in
 * portions of H2_TELL, so that ordinary connections are never told of; it fades much more slowly than the budget refills, so that whoever
 * stays just below that is seen, too. */
enum {
    H2_TELL = 100,
    H2_SPARED =
        500,      /* who has wasted less is left alone, also where the tenant's budget is used up */
    H2_FADE = 20, /* units that refill while one of waste fades */
};

struct h2_budget {
    int64_t at_ms;
    int32_t left;
    int32_t waste, told;
    uint32_t fading;
};
void budget_init(struct h2_budget *, int64_t now_ms);
/* False: it is used up. */
bool budget_debit(struct h2_budget *, int64_t now_ms, unsigned cost);
void budget_earn(struct h2_budget *, unsigned units);
/* What was debited for a request that runs is no waste yet; it comes back, or is lost. */
void budget_hold(struct h2_budget *, unsigned units);
void budget_return(struct h2_budget *, unsigned units);
void budget_lose(struct h2_budget *, unsigned units);
/* What the tenant has not been told of, at least `least`, or 0. It is told of then. */
unsigned budget_tell(struct h2_budget *, int32_t least);

enum h2_verdict {
    H2_GOOD,
    H2_BROKEN, /* PROTOCOL_ERROR */
    H2_CALM,   /* ENHANCE_YOUR_CALM */
};

struct h2_guard {
    struct h2_budget budget;
    uint32_t left;  /* bytes of the frame's payload that are still to come */
    int32_t last;   /* the highest stream a client has opened */
    uint32_t block; /* bytes of the header block that is coming in */
    uint8_t block_frames;
    uint8_t have;     /* bytes of the frame header in `head` */
    uint8_t head[13]; /* with 4 bytes of a WINDOW_UPDATE's payload */
    uint8_t wanted;
    bool in_block : 1; /* CONTINUATION must follow */
    bool client : 1;   /* it is the peer who opens streams: we are the server */
};
void guard_init(struct h2_guard *, int64_t now_ms, bool client);

/* How many of the bytes belong to the frame that is being read, up to its end: feed exactly those to nghttp2. `is_open`: is that stream
 * known, so that a header block on it is a trailer section? */
size_t guard_next(struct h2_guard *, const uint8_t *data, size_t length, int64_t now_ms,
                  bool (*is_open)(void *, int32_t), void *user, enum h2_verdict *ret);
