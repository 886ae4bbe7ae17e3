/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_guard.c - see h2_guard.h. Pure.
 */
#include "modules/http/h2_guard.h"
#include <nghttp2/nghttp2.h>
#include <string.h>

enum { WINDOW_HEAD = FRAME_HEAD + 4, WASTE_MAX = 1 << 30 };

/* ---- the budget ---- */

void budget_init(struct h2_budget *b, int64_t now_ms) {
    *b = (struct h2_budget){.at_ms = now_ms, .left = H2_BUDGET};
}

static void waste_fall(struct h2_budget *b, unsigned units) {
    b->waste = units < (unsigned)b->waste ? b->waste - (int32_t)units : 0;
    if (b->told > b->waste)
        b->told = b->waste;
}

static void waste_rise(struct h2_budget *b, unsigned units) {
    b->waste += (int32_t)(units < H2_BUDGET ? units : H2_BUDGET);
    if (b->waste > WASTE_MAX)
        waste_fall(b, (unsigned)(b->waste - WASTE_MAX));
}

static void budget_refill(struct h2_budget *b, int64_t now_ms) {
    int64_t units = (now_ms - b->at_ms) * H2_REFILL / 1000;
    if (units <= 0)
        return;
    b->at_ms += units * 1000 / H2_REFILL;
    unsigned most = units < INT32_MAX ? (unsigned)units : INT32_MAX;
    b->fading += most;
    waste_fall(b, b->fading / H2_FADE);
    b->fading %= H2_FADE;
    budget_return(b, most);
}

bool budget_debit(struct h2_budget *b, int64_t now_ms, unsigned cost) {
    budget_refill(b, now_ms);
    waste_rise(b, cost);
    b->left -= (int32_t)(cost < H2_BUDGET ? cost : H2_BUDGET);
    if (b->left >= 0)
        return true;
    b->left = -1; /* whoever is over stays over, but doesn't fall without end */
    return false;
}

void budget_return(struct h2_budget *b, unsigned units) {
    b->left = units >= (unsigned)(H2_BUDGET - b->left) ? H2_BUDGET : b->left + (int32_t)units;
}

void budget_earn(struct h2_budget *b, unsigned units) {
    budget_return(b, units);
    waste_fall(b, units);
}

void budget_hold(struct h2_budget *b, unsigned units) {
    waste_fall(b, units);
}

void budget_lose(struct h2_budget *b, unsigned units) {
    waste_rise(b, units);
}

unsigned budget_tell(struct h2_budget *b, int32_t least) {
    int32_t untold = b->waste - b->told;
    if (untold < least)
        return 0;
    b->told = b->waste;
    return (unsigned)untold;
}

/* ---- frames ---- */

struct frame {
    uint32_t length;
    uint8_t type, flags;
    int32_t stream;
};

static uint32_t word(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static struct frame frame_read(const uint8_t *head) {
    return (struct frame){.length = word(head) >> 8,
                          .type = head[3],
                          .flags = head[4],
                          .stream = (int32_t)(word(head + 5) & 0x7fffffff)};
}

void guard_init(struct h2_guard *g, int64_t now_ms, bool client) {
    *g = (struct h2_guard){.wanted = FRAME_HEAD, .client = client};
    if (client) { /* its preface comes first: as the payload of a frame that was judged */
        g->have = FRAME_HEAD;
        g->left = NGHTTP2_CLIENT_MAGIC_LEN;
    }
    budget_init(&g->budget, now_ms);
}

/* RFC 9113 section 5.1.1: streams are opened in rising order; a block on a lower one that is not open opened nothing. nghttp2 1.52 takes
 * those for blocks of streams it has forgotten, and ignores them. */
static enum h2_verdict headers_judge(struct h2_guard *g, const struct frame *f,
                                     bool (*is_open)(void *, int32_t), void *user) {
    if (!g->client || is_open(user, f->stream))
        return H2_GOOD;
    if (f->stream <= g->last || f->stream % 2 == 0)
        return H2_BROKEN;
    g->last = f->stream;
    return H2_GOOD;
}

static enum h2_verdict block_grow(struct h2_guard *g, const struct frame *f) {
    g->block += f->length;
    g->in_block = !(f->flags & NGHTTP2_FLAG_END_HEADERS);
    return g->block > H2_BLOCK_MAX || g->block_frames++ > H2_CONTINUATIONS_MAX ? H2_CALM : H2_GOOD;
}

static unsigned window_cost(const struct h2_guard *g) {
    return (word(g->head + FRAME_HEAD) & 0x7fffffff) < H2_SMALL_WINDOW ? COST_SMALL_WINDOW
                                                                       : COST_WINDOW;
}

/* Of a frame that is too large nghttp2 says so. */
static unsigned bytes_cost(const struct frame *f) {
    return (f->length < FRAME_MAX ? f->length : FRAME_MAX) >> COST_BLOCK_SHIFT;
}

static unsigned frame_cost(const struct h2_guard *g, const struct frame *f) {
    switch (f->type) {
    case NGHTTP2_DATA:
        return f->length || f->flags & NGHTTP2_FLAG_END_STREAM ? 0 : COST_EMPTY_DATA;
    case NGHTTP2_HEADERS:
        return COST_STREAM + bytes_cost(f);
    case NGHTTP2_CONTINUATION:
        return COST_CONTINUATION + bytes_cost(f);
    case NGHTTP2_RST_STREAM:
        return 1; /* the rest is debited by who knows what the stream had cost */
    case NGHTTP2_SETTINGS:
        return f->flags & NGHTTP2_FLAG_ACK ? 1 : COST_SETTINGS;
    case NGHTTP2_PING:
        return f->flags & NGHTTP2_FLAG_ACK ? 1 : COST_PING;
    case NGHTTP2_PRIORITY:
        return COST_PRIORITY;
    case NGHTTP2_WINDOW_UPDATE:
        return f->length == 4 ? window_cost(g) : COST_UNKNOWN;
    default:
        return COST_UNKNOWN + bytes_cost(f);
    }
}

static enum h2_verdict frame_judge(struct h2_guard *g, const struct frame *f, int64_t now_ms,
                                   bool (*is_open)(void *, int32_t), void *user) {
    enum h2_verdict verdict = H2_GOOD;
    if (!budget_debit(&g->budget, now_ms, frame_cost(g, f)))
        return H2_CALM;
    if (g->in_block && f->type != NGHTTP2_CONTINUATION)
        return H2_BROKEN;
    if (f->type == NGHTTP2_PRIORITY && !f->stream)
        return H2_BROKEN; /* RFC 9113 section 6.3; nghttp2 passes over all of them, as it was told */
    if (f->type == NGHTTP2_HEADERS) {
        g->block = g->block_frames = 0;
        verdict = headers_judge(g, f, is_open, user);
    }
    if (verdict == H2_GOOD && (f->type == NGHTTP2_HEADERS || f->type == NGHTTP2_CONTINUATION))
        verdict = block_grow(g, f);
    return verdict;
}

/* A WINDOW_UPDATE is judged when its increment has come, too. */
static uint8_t head_wanted(const struct frame *f) {
    return f->type == NGHTTP2_WINDOW_UPDATE && f->length == 4 ? WINDOW_HEAD : FRAME_HEAD;
}

size_t guard_next(struct h2_guard *g, const uint8_t *data, size_t length, int64_t now_ms,
                  bool (*is_open)(void *, int32_t), void *user, enum h2_verdict *ret) {
    size_t at = 0;
    *ret = H2_GOOD;
    while (g->have < g->wanted && at < length) {
        g->head[g->have++] = data[at++];
        if (g->have < g->wanted)
            continue;
        struct frame f = frame_read(g->head);
        g->wanted = head_wanted(&f);
        if (g->have < g->wanted)
            continue;
        g->left = f.length - (g->wanted - FRAME_HEAD);
        *ret = frame_judge(g, &f, now_ms, is_open, user);
        if (*ret != H2_GOOD)
            return at;
    }
    if (g->have < g->wanted)
        return at;
    size_t rest = length - at < g->left ? length - at : g->left;
    g->left -= (uint32_t)rest;
    if (!g->left) {
        g->have = 0;
        g->wanted = FRAME_HEAD;
    }
    return at + rest;
}
