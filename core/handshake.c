/* SPDX-License-Identifier: GPL-3.0-or-later
 * handshake.c - see handshake.h.
 *
 * While it waits its connection does not read, and no time runs against its client; one that leaves meanwhile costs no cryptography.
 * What stood for it in the line goes when its turn comes.
 */
#include "core/handshake.h"
#include "core/alert.h"
#include "core/conn.h"
#include "core/process.h"
#include "core/tls.h"
#include "core/turn.h"

enum { ALERT_RECORD = 21, ALERT_FATAL = 2, ALERT_ACCESS_DENIED = 49 };

struct handshake { /* in line */
    struct chore chore;
    struct worker *worker;
    struct conn *conn; /* NULL: closed */
    int64_t since_ns;
};

static struct account *payer_of(const struct conn *c) {
    return account_tenant(c->sock.owner.account);
}

bool conn_may_handshake(struct conn *c, const struct version *v) {
    struct worker *w = c->sock.owner.worker;
    struct account *a = v ? v->account : w->nobody;
    if (turn_chores(w, a) < HANDSHAKES_MOST)
        return true;
    ACCOUNT_ADD(a->w[w->id].handshakes_refused, 1);
    if (v && !c->version)
        sock_charge(&c->sock, a);
    return false;
}

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

static void begin(struct conn *c) {
    ACCOUNT_ADD(conn_account(c)->handshakes, 1);
    tls_start(c->tls);
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
    begin(c);
}

/* Without memory it does not wait. */
void handshake_begin(struct conn *c) {
    struct worker *w = c->sock.owner.worker;
    struct handshake *h = turn_is_busy(&w->turn) ? worker_alloc(w, sizeof *h) : NULL;
    if (h)
        *h = (struct handshake){{.run = turn_came}, w, c, w->now_ns};
    if (h && turn_put_chore(w, payer_of(c), &h->chore)) {
        c->handshake = h;
        timer_rest(&c->sock.timer);
        tls_hold(c->tls);
        return;
    }
    if (h)
        worker_free(w, h, sizeof *h);
    begin(c);
}

void handshake_forget(struct conn *c) {
    if (c->state != CONN_TLS || !c->handshake)
        return;
    c->handshake->conn = NULL;
    c->handshake = NULL;
}
