/* SPDX-License-Identifier: GPL-3.0-or-later
 * sweep.c - see sweep.h.
 */
#include "core/sweep.h"
#include "core/conn.h"
#include "core/worker.h"
#include <limits.h>
#include <string.h>

/* In one turn, of all sweeps: looks are cheap, and an end takes as long as half a turn. */
enum { LOOKS = 256, ENDS = 1, HURRY_LOOKS = 2048 };

struct piece {
    unsigned looks, ends; /* at most */
    unsigned ended;
};

static bool stands(const struct sweep *s) {
    return !s->job->stands || s->job->stands(s);
}

/* What ends may let somebody else begin, who wants room: he finds no sweep to hurry, least of all this one. */
static bool meet(struct worker *w, struct sweep *s, struct conn *c) {
    bool within = w->sweeping;
    w->sweeping = true;
    bool ended = s->job->each(s, c);
    w->sweeping = within;
    return ended;
}

/* Whose connections they are pays for the way. False: it has come to its end. */
static bool sweep_goes(struct worker *w, struct sweep *s, struct piece *p) {
    if (!stands(s))
        return false;
    while (p->looks && p->ended < p->ends) {
        struct conn *c = s->at;
        if (!c) {
            if (!s->job->again || !s->job->again(s))
                return false;
            s->at = w->conns;
            p->looks--;
            continue;
        }
        s->at = c->next; /* closing frees only at the end of the turn */
        p->looks--;
        worker_pays(w, c->sock.owner.account);
        if (c->state == CONN_CLOSE || !meet(w, s, c))
            continue;
        p->ended++;
        if (!stands(s))
            return false;
    }
    return true;
}

static void sweep_free(struct worker *w, struct sweep *s) {
    for (struct sweep **link = &w->sweeps; *link; link = &(*link)->next)
        if (*link == s) {
            *link = s->next;
            break;
        }
    if (s->job->end)
        s->job->end(s, w);
    worker_free(w, s, s->job->size);
}

struct sweep *sweep_begin(struct worker *w, struct sweep *model) {
    struct sweep *s = worker_alloc(w, model->job->size), **link = &w->sweeps;
    model->at = w->conns;
    model->next = NULL;
    if (!s) {
        struct account *payer = w->payer;
        sweep_goes(w, model, &(struct piece){.looks = UINT_MAX, .ends = UINT_MAX});
        worker_pays(w, payer);
        if (model->job->end)
            model->job->end(model, w);
        return NULL;
    }
    memcpy(s, model, model->job->size);
    while (*link)
        link = &(*link)->next;
    return *link = s;
}

struct sweep *sweep_find(const struct worker *w, const struct sweep_job *job) {
    struct sweep *s = w->sweeping ? NULL : w->sweeps;
    while (s && s->job != job)
        s = s->next;
    return s;
}

unsigned sweep_hurry(struct worker *w, struct sweep *s, unsigned ends) {
    struct piece p = {.looks = HURRY_LOOKS, .ends = ends};
    struct account *payer = w->payer;
    if (!sweep_goes(w, s, &p))
        sweep_free(w, s);
    worker_pays(w, payer);
    return p.ended;
}

/* A worker that drains has until its process ends. */
int64_t sweeps_wait_ns(const struct worker *w) {
    return w->draining ? 0 : pause_wait_ns(w, &w->sweeps_pause);
}

/* The first is the last then, so that none waits for another. */
static void sweep_passes(struct worker *w, struct sweep *s) {
    struct sweep **link = &w->sweeps;
    if (!s->next)
        return;
    *link = s->next;
    while (*link)
        link = &(*link)->next;
    s->next = NULL;
    *link = s;
}

void sweeps_run(struct worker *w) {
    if (sweeps_wait_ns(w))
        return;
    struct piece p = {.looks = LOOKS, .ends = ENDS};
    struct sweep *s;
    while ((s = w->sweeps) && !sweep_goes(w, s, &p))
        sweep_free(w, s);
    if (s)
        sweep_passes(w, s);
    if (p.ended)
        pause_begin(w, &w->sweeps_pause);
    worker_pays(w, w->nobody);
}

void sweeps_leave(struct worker *w, const struct conn *c) {
    for (struct sweep *s = w->sweeps; s; s = s->next)
        if (s->at == c)
            s->at = c->next;
}

void sweeps_end(struct worker *w) {
    while (w->sweeps)
        sweep_free(w, w->sweeps);
}
