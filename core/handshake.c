/* SPDX-License-Identifier: GPL-3.0-or-later
 * handshake.c - see handshake.h.
 *
 * While it waits nothing is made for it, and no time runs against its client; one that leaves meanwhile costs no cryptography.
 * What stood for it in the line goes when its turn comes.
 */
#include "core/handshake.h"
#include "core/alert.h"
#include "core/conn.h"
#include "core/process.h"
#include "core/turn.h"

enum { ALERT_RECORD = 21, ALERT_FATAL = 2, ALERT_ACCESS_DENIED = 49 };

struct handshake { /* in line */
    struct chore chore;
    struct worker *worker;
    struct conn *conn; /* NULL: closed */
    int64_t since_ns;
};

/* A fatal alert in a record of its own (RFC 8446 section 6), then the end. */
static void refuse(struct conn *c) {
    const uint8_t record[] = {ALERT_RECORD, 3, 3, 0, 2, ALERT_FATAL, ALERT_ACCESS_DENIED};
    char detail[ALERT_TEXT];
    ACCOUNT_ADD(conn_account(c)->handshakes_refused, 1);
    access_write_refused(
        c, &(struct access_record){.size = sizeof(struct access_record),
                                   .error = ACCESS_LIMITED,
                                   .detail = alert_text("sent", ALERT_ACCESS_DENIED, detail)});
    conn_last_words(c, record, sizeof record);
    conn_close(c, false);
}

static void turn_came(struct chore *chore) {
    struct handshake *h = container_of(chore, struct handshake, chore);
    struct worker *w = h->worker;
    struct conn *c = h->conn;
    int64_t waited_ms = (w->now_ns - h->since_ns) / 1000000;
    worker_free(w, h, sizeof *h);
    if (!c)
        return;
    c->handshake = NULL;
    conn_pays(c);
    if (waited_ms > HANDSHAKE_WAIT_MS) {
        refuse(c);
        return;
    }
    timer_set(w, &c->sock.timer, process.conf.timeouts.header);
    if (conn_is_gone(c)) /* its end has come behind its ClientHello, and waits to be worked off */
        return;
    c->shakes = true;
    conn_resume(c);
}

/* Without memory it does not wait. */
enum handshake_answer conn_may_handshake(struct conn *c) {
    struct worker *w = c->sock.owner.worker;
    struct account *a = account_tenant(c->sock.owner.account);
    if (c->handshake) /* more bytes have come */
        return HANDSHAKE_WAIT;
    if (c->shakes || turn_is_young(&w->turn))
        return HANDSHAKE_BEGIN;
    if (turn_chores(w, a) >= HANDSHAKES_MOST) {
        ACCOUNT_ADD(a->w[w->id].handshakes_refused, 1);
        return HANDSHAKE_REFUSE;
    }
    struct handshake *h = worker_alloc(w, sizeof *h);
    if (!h)
        return HANDSHAKE_BEGIN;
    *h = (struct handshake){{.run = turn_came}, w, c, w->now_ns};
    if (!turn_put_chore(w, a, &h->chore)) {
        worker_free(w, h, sizeof *h);
        return HANDSHAKE_BEGIN;
    }
    c->handshake = h;
    timer_rest(&c->sock.timer);
    return HANDSHAKE_WAIT;
}

void handshake_forget(struct conn *c) {
    if (c->state != CONN_ASK || !c->handshake)
        return;
    c->handshake->conn = NULL;
    c->handshake = NULL;
}
