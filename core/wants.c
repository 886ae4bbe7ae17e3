/* SPDX-License-Identifier: GPL-3.0-or-later
 * wants.c - the workers' side of reading certificates: who waits for which. Each worker's buckets are its own.
 *
 * A worker has one want at most for a certificate, and WANTS_MOST for a tenant: who asks for more of its names at once than that is
 * turned away, and others are not.
 */
#include "core/certificates.h"
#include "core/loader.h"
#include "core/process.h"
#include "core/stored.h"
#include "core/worker.h"
#include <stdlib.h>
#include <time.h>

enum { WANTS_MOST = 1024 };

struct want_bucket {
    struct want *first;
    unsigned count;
};

static struct wants { struct want_bucket bucket[WANT_LINES]; } * wants; /* one of each worker */

bool wants_init(unsigned workers) {
    wants = calloc(workers, sizeof *wants);
    return wants;
}

static struct want_bucket *bucket_of(const struct want *w) {
    return &wants[w->worker->id].bucket[want_line(w->stored)];
}

/* ---- asking ---- */

static struct want *want_find(const struct want_bucket *b, const struct stored *s) {
    struct want *w = __atomic_load_n(&s->wants, __ATOMIC_RELAXED) ? b->first : NULL;
    while (w && w->stored != s)
        w = w->next;
    return w;
}

/* `s` was found in this turn, so it lives until its wants are counted. */
static struct want *want_new(struct worker *worker, struct want_bucket *b, struct stored *s) {
    struct want *w = b->count < WANTS_MOST ? worker_alloc(worker, sizeof *w) : NULL;
    if (!w)
        return NULL;
    *w = (struct want){.stored = s, .worker = worker, .next = b->first};
    b->first = w;
    b->count++;
    __atomic_add_fetch(&s->wants, 1, __ATOMIC_RELAXED);
    loader_want(w);
    return w;
}

enum certificate_answer certificates_ask(struct worker *worker, const char *tenant_uid,
                                         const char *name, bool expired_too,
                                         struct certificate_wait *wait,
                                         const struct identity **ret) {
    struct stored *s = stored_find(tenant_uid, name, expired_too ? 0 : time(NULL));
    if (!s)
        return CERTIFICATE_NONE;
    *ret = __atomic_load_n(&s->identity, __ATOMIC_ACQUIRE);
    if (*ret)
        return CERTIFICATE_READY;
    if (__atomic_load_n(&s->retry_at, __ATOMIC_RELAXED) > (uint32_t)time(NULL))
        return CERTIFICATE_BAD;
    struct want_bucket *b = &wants[worker->id].bucket[want_line(s)];
    struct want *w = want_find(b, s);
    if (!w && !(w = want_new(worker, b, s)))
        return CERTIFICATE_BUSY;
    wait->next = w->waiting;
    wait->link = &w->waiting;
    if (wait->next)
        wait->next->link = &wait->next;
    w->waiting = wait;
    return CERTIFICATE_WAIT;
}

void certificates_unask(struct certificate_wait *wait) {
    if (!wait->link)
        return;
    *wait->link = wait->next;
    if (wait->next)
        wait->next->link = wait->link;
    wait->link = NULL;
    wait->next = NULL;
}

/* ---- and what becomes of it ---- */

static void want_free(struct want *w) {
    struct want_bucket *b = bucket_of(w);
    struct want **link = &b->first;
    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
    b->count--;
    __atomic_sub_fetch(&w->stored->wants, 1, __ATOMIC_RELEASE);
    worker_free(w->worker, w, sizeof *w);
}

/* Whoever waits looks again, and finds it, or that it is no good, or that it is gone. */
void want_done(struct message *m) {
    struct want *w = container_of(m, struct want, message);
    struct certificate_wait *waiting = w->waiting;
    if (waiting)
        waiting->link = &waiting; /* the list is ours: asking again begins another */
    want_free(w);
    while (waiting) {
        struct certificate_wait *first = waiting;
        certificates_unask(first);
        first->ready(first);
    }
}

/* The workers have ended; what they still wanted is not coming. */
void wants_fini(void) {
    for (unsigned i = 0; wants && i < process.workers; i++)
        for (unsigned j = 0; j < WANT_LINES; j++)
            while (wants[i].bucket[j].first)
                want_free(wants[i].bucket[j].first);
    free(wants);
    wants = NULL;
}
