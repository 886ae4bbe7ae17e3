/* SPDX-License-Identifier: GPL-3.0-or-later
 * glut.c - see glut.h, full.h.
 *
 *   queue is full --full_add--> its tenant's line, the longest-full first --gluts_turn--> yield
 *                                     '-- drained: full_remove
 */
#include "core/glut.h"
#include "core/worker.h"

enum {
    HEAD_ROOM = 4,
    MOST_ROOM = 8,
    MOST_PART = 16,
    HIGH_OF_MANY = 2 * BUF_SIZE,
    LOOKS = 64, /* at tenants, each turn */
    YIELDS = 4  /* of one tenant, each turn: what a socket held comes back some turns later */
};

struct glut { /* of a tenant on one worker, while any of its queues is full */
    struct account *tenant;
    struct full *first, **last;
    struct glut *next, **link;
};

/* ---- how much is held ---- */

static int64_t held(const struct worker *w, const struct account *tenant) {
    return account_here(tenant, w->id, account_buffers);
}

enum glut_degree glut_degree(const struct worker *w, const struct account *payer) {
    unsigned left = bufs_left(w);
    if (left >= w->in_use)
        return GLUT_NONE;
    int64_t n = held(w, account_tenant(payer));
    if (n <= HEAD_ROOM * (int64_t)left)
        return GLUT_NONE;
    return n > MOST_ROOM * (int64_t)left && n > w->most / MOST_PART ? GLUT_ALL : GLUT_MUCH;
}

/* When there are next to none left, all that is waiting there: or many that hold a little each could hold all, and none of them would
 * be one to give way. */
bool glut_is_full(const struct worker *w, const struct account *payer, size_t bytes) {
    enum glut_degree degree = glut_degree(w, payer);
    return degree && (bytes >= HIGH_OF_MANY || degree == GLUT_ALL || bufs_short(w));
}

bool queue_is_much(const struct worker *w, const struct account_worker *payer, size_t bytes) {
    return glut_is_full(w, payer->account, bytes);
}

bool payer_holds_all(const struct worker *w, const struct account_worker *payer) {
    return payer->account != w->nobody && glut_degree(w, payer->account) == GLUT_ALL;
}

/* ---- the lines ---- */

static struct account_worker *row_of(const struct worker *w, const struct account_worker *payer) {
    return &account_tenant(payer->account)->w[w->id];
}

static void glut_link(struct worker *w, struct glut *g) {
    if (!w->gluts)
        w->gluts_last = &w->gluts;
    g->next = NULL;
    g->link = w->gluts_last;
    *g->link = g;
    w->gluts_last = &g->next;
    w->glut_count++;
}

static void glut_unlink(struct worker *w, struct glut *g) {
    *g->link = g->next;
    *(g->next ? &g->next->link : &w->gluts_last) = g->link;
}

static struct glut *glut_of(struct worker *w, struct account_worker *row) {
    struct glut *g = row->glut;
    if (g || !(g = worker_alloc(w, sizeof *g)))
        return g;
    g->tenant = row->account;
    g->last = &g->first;
    glut_link(w, g);
    return row->glut = g;
}

void full_add(struct worker *w, struct account_worker *payer, struct full *f) {
    struct glut *g = f->link ? NULL : glut_of(w, row_of(w, payer));
    if (!g) /* or there is no memory: then it is not one of those that give way */
        return;
    f->next = NULL;
    f->link = g->last;
    *f->link = f;
    g->last = &f->next;
}

void full_remove(struct worker *w, struct account_worker *payer, struct full *f) {
    struct account_worker *row = row_of(w, payer);
    struct glut *g = row->glut;
    if (!f->link)
        return;
    *f->link = f->next;
    *(f->next ? &f->next->link : &g->last) = f->link;
    f->link = NULL;
    if (g->first)
        return;
    row->glut = NULL;
    glut_unlink(w, g);
    worker_free(w, g, sizeof *g);
}

/* ---- giving way ---- */

static void yield_first(struct worker *w, struct account *tenant) {
    struct account_worker *row = &tenant->w[w->id];
    struct full *f = row->glut->first;
    worker_pays(w, tenant);
    full_remove(w, row, f);
    f->yield(f);
}

static bool is_too_much(const struct worker *w, const struct account *tenant) {
    return tenant->w[w->id].glut && glut_degree(w, tenant) == GLUT_ALL;
}

/* In turn, so that however many tenants there are each is looked at now and then. */
static struct account *glut_next(struct worker *w) {
    struct glut *g = w->gluts;
    if (g->next) {
        glut_unlink(w, g);
        glut_link(w, g);
    }
    return g->tenant;
}

/* Readers that have stopped could hold all there is, and then nobody on this worker would hear from anyone again: the tenant that holds
 * the most gives way. */
void gluts_turn(struct worker *w) {
    struct account *most = NULL;
    bool yielded = false;
    if (bufs_left(w) >= w->in_use)
        return;
    for (unsigned i = w->glut_count < LOOKS ? w->glut_count : LOOKS; i-- && w->gluts;) {
        struct account *tenant = glut_next(w);
        if (!most || held(w, tenant) > held(w, most))
            most = tenant;
        for (unsigned n = 0; n < YIELDS && is_too_much(w, tenant); n++) {
            yield_first(w, tenant);
            yielded = true;
        }
    }
    if (!yielded && most && bufs_short(w))
        yield_first(w, most);
    worker_pays(w, w->nobody);
}
