/* SPDX-License-Identifier: GPL-3.0-or-later
 * buf.c - a worker's buffers: made in chunks when needed, lent to the kernel, handed around as slices, taken back.
 *
 *   free list --bufs_refill--> kernel (order[] is the ring's order) --bufs_received--> slices --buf_unref--> free list
 *
 * The kernel is kept at `level` buffers, few at first so that they stay in the cache; each time it runs out the level
 * doubles. What slow readers hold in queues is replaced by fresh buffers up to `most`, so holding never starves
 * others before the worker's memory for buffers is used up. What a peak made and nobody has used since is given back page
 * by page (trim.c), and is then cold: its next use finds a fresh page.
 */
#include "core/strain.h"
#include "core/worker.h"
#include <stdlib.h>
#include <string.h>

static bool bufs_grow(struct worker *w) {
    if (w->made + BUFFERS_CHUNK > w->most)
        return false;
    struct buf *b = calloc(BUFFERS_CHUNK, sizeof *b);
    uint8_t *data = b ? sys_pages_new((size_t)BUFFERS_CHUNK * BUF_SIZE) : NULL;
    if (!data) {
        free(b);
        strain_feel(w);
        return false;
    }
    w->chunk[w->made / BUFFERS_CHUNK] = b;
    for (unsigned i = BUFFERS_CHUNK; i-- > 0;) {
        b[i] = (struct buf){.id = (uint16_t)(w->made + i),
                            .used = BUF_COLD,
                            .data = data + (size_t)i * BUF_SIZE,
                            .next = w->free};
        w->free = &b[i];
    }
    ACCOUNT_ADD(w->made, BUFFERS_CHUNK);
    ACCOUNT_ADD(w->cold, BUFFERS_CHUNK);
    return true;
}

static struct buf *buf_by_id(struct worker *w, uint16_t id) {
    return &w->chunk[id / BUFFERS_CHUNK][id % BUFFERS_CHUNK];
}

static struct buf *buf_pop(struct worker *w) {
    if (!w->free && !bufs_grow(w))
        return NULL;
    struct buf *b = w->free;
    w->free = b->next;
    if (b->used == BUF_COLD)
        trim_warm(w, b);
    return b;
}

static void buf_count(struct worker *w, struct account_worker *payer, int n) {
    ACCOUNT_ADD(payer->buffers, n);
    account_list(&w->listed, payer);
}

struct buf *buf_get(struct worker *w) {
    struct buf *b = buf_pop(w);
    if (!b)
        return NULL;
    b->refs = 1;
    b->used = 0;
    b->payer = &w->payer->w[w->id];
    buf_count(w, b->payer, 1);
    ACCOUNT_ADD(w->in_use, 1);
    return b;
}

void buf_charge(struct worker *w, struct buf *b, struct account_worker *to) {
    if (!b || !to || b->payer == to)
        return;
    buf_count(w, b->payer, -1);
    buf_count(w, to, 1);
    b->payer = to;
}

void buf_unref(struct worker *w, struct buf *b) {
    if (--b->refs)
        return;
    ACCOUNT_ADD(w->in_use, -1);
    buf_count(w, b->payer, -1);
    b->used = w->trim.now;
    b->next = w->free;
    w->free = b;
}

/* The fewer are left, the fewer of them are lent: one turn's receives are not to take them all before anybody has looked at whose they
 * are. */
static unsigned level_now(const struct worker *w) {
    unsigned part = bufs_left(w) / 4;
    return w->level < part || w->level < BUFFERS_LEVEL ? w->level
           : part > BUFFERS_LEVEL                      ? part
                                                       : BUFFERS_LEVEL;
}

static void buf_lend(struct worker *w, struct buf *b) {
    b->refs = BUF_LENT;
    w->order[w->order_tail % BUFFERS_RING] = b->id;
    w->position[b->id] = w->order_tail++;
    ACCOUNT_ADD(w->provided, 1);
    ring_buffer_add(w->ring, b->data, BUF_SIZE, b->id);
}

static bool next_is_fresh(const struct worker *w) {
    return !w->free || w->free->used == BUF_COLD;
}

static void bufs_lend(struct worker *w, unsigned fresh) {
    unsigned level = level_now(w);
    while (w->provided < level && (!next_is_fresh(w) || fresh)) {
        fresh -= next_is_fresh(w);
        struct buf *b = buf_pop(w);
        if ((w->barren = !b))
            break;
        buf_lend(w, b);
    }
}

void bufs_begin(struct worker *w) {
    bufs_lend(w, BUFFERS_LEVEL);
}

void bufs_refill(struct worker *w) {
    bufs_lend(w, BUFFERS_FRESH);
}

void bufs_starved(struct worker *w) {
    w->trim.calm = 0;
    if (w->level < BUFFERS_LENT)
        w->level *= 2;
}

bool bufs_provided(const struct worker *w) {
    return w->provided > 0;
}

bool bufs_short(const struct worker *w) {
    return w->provided < BUFFERS_LEVEL && w->barren;
}

static void buf_leave_kernel(struct worker *w, struct buf *b, int refs) {
    ACCOUNT_ADD(w->provided, -1);
    ACCOUNT_ADD(w->in_use, 1);
    b->refs = refs;
}

/* In the kernel's order, which the ring's places tell only until they are used again. */
void bufs_claim(struct worker *w, uint16_t first, size_t bytes) {
    struct buf *b = buf_by_id(w, first);
    uint32_t at = w->position[first];
    for (;; bytes -= BUF_SIZE) {
        buf_leave_kernel(w, b, BUF_CLAIMED);
        b->next = NULL;
        if (bytes <= BUF_SIZE)
            return;
        b->next = buf_by_id(w, w->order[++at % BUFFERS_RING]);
        b = b->next;
    }
}

void bufs_received(struct worker *w, struct account_worker *payer, uint16_t first, size_t bytes,
                   bool (*take)(void *, struct slice), void *user) {
    bool wanted = true, claimed = buf_by_id(w, first)->refs == BUF_CLAIMED;
    uint32_t at = bytes > BUF_SIZE && !claimed ? w->position[first] : 0;
    struct buf *next;
    for (struct buf *b = buf_by_id(w, first);; b = next) {
        size_t n = bytes < BUF_SIZE ? bytes : BUF_SIZE;
        bytes -= n;
        next = !bytes ? NULL : claimed ? b->next : buf_by_id(w, w->order[++at % BUFFERS_RING]);
        if (claimed)
            b->refs = 1;
        else
            buf_leave_kernel(w, b, 1);
        b->used = (uint16_t)n;
        b->payer = payer;
        buf_count(w, payer, 1);
        struct slice s = {b, b->data, (uint32_t)n};
        if (wanted && n)
            wanted = take(user, s);
        else
            slice_drop(w, &s);
        if (!bytes)
            return;
    }
}

/* ---- queues of slices ---- */

static struct seg *seg_new(struct worker *w, struct segs *q, struct slice s) {
    struct seg *g = worker_alloc(w, sizeof *g);
    if (!g)
        return NULL;
    g->slice = s;
    if (q->last)
        q->last->next = g;
    else
        q->first = g;
    q->last = g;
    q->bytes += s.length;
    q->count++;
    return g;
}

/* Room behind the last slice that only this queue can see. Its front may be on its way out meanwhile: a send has its own
 * length, and segs_pop takes only what was sent. */
static size_t segs_room(const struct segs *q) {
    if (!q->last || !q->last->slice.buf || q->last->slice.buf->refs != 1)
        return 0;
    const struct slice *s = &q->last->slice;
    return (size_t)(s->buf->data + BUF_SIZE - (s->data + s->length));
}

static void segs_append(struct segs *q, const void *data, size_t length) {
    struct slice *s = &q->last->slice;
    memcpy(s->buf->data + (s->data - s->buf->data) + s->length, data, length);
    s->length += (uint32_t)length;
    q->bytes += length;
}

enum { SMALL = 1024 };

bool segs_add(struct worker *w, struct segs *q, struct slice s) {
    if (s.length == 0) {
        slice_drop(w, &s);
        return true;
    }
    if (s.length <= SMALL && segs_room(q) >= s.length) {
        segs_append(q, s.data, s.length);
        slice_drop(w, &s);
        return true;
    }
    if (seg_new(w, q, s))
        return true;
    slice_drop(w, &s);
    return false;
}

bool segs_add_copy(struct worker *w, struct segs *q, const void *data, size_t length) {
    const uint8_t *p = data;
    while (length) {
        size_t room = segs_room(q);
        if (!room) {
            struct buf *b = buf_get(w);
            if (!b)
                return false;
            struct slice s = {b, b->data, 0};
            if (!seg_new(w, q, s)) {
                buf_unref(w, b);
                return false;
            }
            room = BUF_SIZE;
        }
        size_t n = length < room ? length : room;
        segs_append(q, p, n);
        p += n;
        length -= n;
    }
    return true;
}

static void seg_unlink_first(struct worker *w, struct segs *q) {
    struct seg *g = q->first;
    q->first = g->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    worker_free(w, g, sizeof *g);
}

void segs_pop(struct worker *w, struct segs *q, size_t bytes) {
    q->bytes -= bytes;
    while (bytes) {
        struct slice *s = &q->first->slice;
        if (s->length > bytes) {
            s->data += bytes;
            s->length -= (uint32_t)bytes;
            return;
        }
        bytes -= s->length;
        slice_drop(w, s);
        seg_unlink_first(w, q);
    }
}

bool segs_take(struct worker *w, struct segs *q, struct slice *ret) {
    if (!q->first)
        return false;
    *ret = q->first->slice;
    q->bytes -= ret->length;
    seg_unlink_first(w, q);
    return true;
}

void segs_charge(struct worker *w, const struct segs *q, struct account_worker *to) {
    for (struct seg *g = q->first; g; g = g->next)
        buf_charge(w, g->slice.buf, to);
}

void segs_drop(struct worker *w, struct segs *q) {
    struct slice s;
    while (segs_take(w, q, &s))
        slice_drop(w, &s);
}
