/* SPDX-License-Identifier: GPL-3.0-or-later
 * trim.c - see trim.h. A buffer is one page, so each can go on its own, wherever its neighbours are:
 *
 *   in use, or lent --free--> warm --TRIM_AGE periods--> cold --used--> in use
 *
 * It stays in the free list when it goes cold; nothing else needs to know. The free list is last in, first out, so what is
 * needed from day to day is used again before it has aged. What the kernel holds can't be taken back: it may be
 * receiving into it. But it is lent fewer when it has not run out for long, and uses up what it has.
 *
 * A buffer gets its page before anybody writes to it, and few get theirs in one turn (buf.c): where the kernel met them while it receives, a
 * burst into thousands of fresh buffers would be one long piece of its work. A page costs 0.3 us, under some hypervisors 20.
 */
#include "core/trim.h"
#include "core/worker.h"

static void trim_fire(struct timer *);

void trim_init(struct worker *w) {
    timer_init(&w->trim.timer, trim_fire);
}

void trim_warm(struct worker *w, struct buf *b) {
    sys_page_touch(b->data);
    ACCOUNT_ADD(w->cold, -1);
    if (!timer_is_set(&w->trim.timer))
        timer_set(w, &w->trim.timer, TRIM_MS);
}

static bool buf_is_stale(const struct buf *b, uint16_t now, unsigned age_least) {
    if (b->refs || b->used == BUF_COLD)
        return false;
    unsigned age = now >= b->used ? now - b->used : now + BUF_COLD - b->used;
    return age >= age_least;
}

struct trim_budget { /* of a slice: what is left */
    unsigned calls;
    int64_t until_ns;
};

static bool slice_is_over(const struct trim_budget *b) {
    return !b->calls || sys_now_ns() >= b->until_ns;
}

/* Gives back the stale buffers of a chunk, neighbours in one piece. False: the slice is over before its end. */
static bool chunk_trim(struct worker *w, struct buf *chunk, struct trim_budget *b) {
    for (unsigned i = 0, end; i < BUFFERS_CHUNK; i = end + 1) {
        for (end = i; end < BUFFERS_CHUNK && buf_is_stale(&chunk[end], w->trim.now, w->trim.age);
             end++)
            chunk[end].used = BUF_COLD;
        if (end == i)
            continue;
        sys_pages_drop(chunk[i].data, (size_t)(end - i) * BUF_SIZE);
        ACCOUNT_ADD(w->cold, end - i);
        b->calls--;
        if (slice_is_over(b))
            return false;
    }
    return true;
}

static void trim_slice(struct worker *w) {
    struct trim *t = &w->trim;
    unsigned chunks = w->made / BUFFERS_CHUNK;
    struct trim_budget b = {TRIM_CALLS, sys_now_ns() + TRIM_US * 1000LL};
    for (unsigned i = 0; i < TRIM_CHUNKS && t->left; i++) {
        if (!chunk_trim(w, w->chunk[t->at % chunks], &b))
            break; /* its rest is next */
        t->at = (t->at + 1) % chunks;
        t->left--;
    }
    if (t->left)
        timer_set(w, &t->timer, TRIM_SLICE_MS);
    else if (w->made - w->cold > BUFFERS_LEVEL) /* what a worker starts with it keeps */
        timer_set(w, &t->timer, TRIM_MS);
}

static void trim_begin(struct worker *w, unsigned age) {
    w->trim.age = age;
    w->trim.left = w->made / BUFFERS_CHUNK;
}

void trim_now(struct worker *w) {
    trim_begin(w, 0);
    trim_slice(w);
}

static void period_begin(struct worker *w) {
    struct trim *t = &w->trim;
    t->now = (uint16_t)((t->now + 1) % BUF_COLD);
    if (++t->calm >= TRIM_CALM && w->level > BUFFERS_LEVEL) {
        w->level /= 2;
        t->calm = 0;
    }
    trim_begin(w, TRIM_AGE);
}

static void trim_fire(struct timer *timer) {
    struct worker *w = container_of(timer, struct worker, trim.timer);
    if (!w->trim.left)
        period_begin(w);
    trim_slice(w);
}
