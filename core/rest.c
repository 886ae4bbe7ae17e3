/* SPDX-License-Identifier: GPL-3.0-or-later
 * rest.c - one event may hold work for a thousand: requests that were pipelined, each answered at once. So whoever finds more of it asks,
 * and where others wait goes on when it is his tenant's turn again (turn.h): that is a chore of his.
 *
 *   event -> a piece of work -> conn_rest? -> no: the next piece
 *                                '-> yes: line of its tenant -> `run`, which asks again
 *
 * What stands in the line goes when its turn comes, though the connection may be gone before.
 */
#include "core/rest.h"
#include "core/conn.h"
#include "core/turn.h"

struct rest {
    struct chore chore;
    struct worker *worker;
    struct conn *conn; /* NULL: closed */
    void (*run)(struct conn *, void *user);
    void *user;
};

static void turn_came(struct chore *chore) {
    struct rest *r = container_of(chore, struct rest, chore);
    struct rest now = *r;
    worker_free(now.worker, r, sizeof *r);
    if (!now.conn)
        return;
    now.conn->rest = NULL;
    conn_pays(now.conn);
    now.run(now.conn, now.user);
}

bool conn_rest(struct conn *c, void (*run)(struct conn *, void *user), void *user) {
    struct worker *w = c->sock.owner.worker;
    if (c->state != CONN_TAKEN || c->rest || !turn_is_busy(&w->turn))
        return false;
    struct rest *r = worker_alloc(w, sizeof *r);
    if (!r)
        return false;
    *r = (struct rest){{.run = turn_came}, w, c, run, user};
    if (!turn_put_chore(w, account_tenant(c->sock.owner.account), &r->chore)) {
        worker_free(w, r, sizeof *r);
        return false;
    }
    c->rest = r;
    return true;
}

void rest_forget(struct conn *c) {
    if (c->state != CONN_TAKEN || !c->rest)
        return;
    c->rest->conn = NULL;
    c->rest = NULL;
}
