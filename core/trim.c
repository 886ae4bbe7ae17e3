/* SPDX-License-Identifier: GPL-3.0-or-later
 * trim.c - see trim.h. A buffer is one page, so each can go on its own, wherever its neighbours are:
 *
 *   in use, or lent --free--> warm --TRIM_AGE periods--> cold --used--> in use
 *
 * It stays in the free list when it goes cold; nothing else needs to know. The free list is last in, first out, so what is
 * needed from day to day is used again before it has aged. What the kernel holds can't be taken back: it may be
 * receiving into it. But it is lent fewer when it has not run out for long, and uses up what it has.
 */
#include "core/trim.h"
#include "core/worker.h"

static void trim_fire(struct timer *);

void trim_init(struct worker *w) {
    timer_init(&w->trim.timer, trim_fire);
}

void trim_warmed(struct worker *w) {
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

/* Gives back the stale buffers of a chunk, neighbours in one piece; at most `calls` pieces. Returns how many. */
static unsigned chunk_trim(struct worker *w, struct buf *chunk, unsigned age, unsigned calls) {
    unsigned done = 0;
    for (unsigned i = 0, end; i < BUFFERS_CHUNK && done < calls; i = end + 1) {
        for (end = i; end < BUFFERS_CHUNK && buf_is_stale(&chunk[end], w->trim.now, age); end++)
            chunk[end].used = BUF_COLD;
        if (end == i)
            continue;
        sys_pages_drop(chunk[i].data, (size_t)(end - i) * BUF_SIZE);
        ACCOUNT_ADD(w->cold, end - i);
        done++;
    }
    return done;
}

static void chunks_trim(struct worker *w, unsigned age, unsigned calls) {
    unsigned chunks = w->made / BUFFERS_CHUNK;
    for (unsigned i = 0; i < chunks && calls; i++) {
        calls -= chunk_trim(w, w->chunk[w->trim.at % chunks], age, calls);
        if (calls) /* else the rest of this one is next */
            w->trim.at = (w->trim.at + 1) % chunks;
    }
}

void trim_now(struct worker *w) {
    chunks_trim(w, 0, TRIM_CALLS_SHORT);
}

static void trim_fire(struct timer *t) {
    struct worker *w = container_of(t, struct worker, trim.timer);
    w->trim.now = (uint16_t)((w->trim.now + 1) % BUF_COLD);
    if (++w->trim.calm >= TRIM_CALM && w->level > BUFFERS_LEVEL) {
        w->level /= 2;
        w->trim.calm = 0;
    }
    chunks_trim(w, TRIM_AGE, TRIM_CALLS);
    if (w->made - w->cold > BUFFERS_LEVEL) /* what a worker starts with it keeps */
        timer_set(w, t, TRIM_MS);
}
