/* SPDX-License-Identifier: GPL-3.0-or-later
 * handshake.c - see handshake.h.
 *
 * While it waits nothing is made for it, and no time runs against its client; one that leaves meanwhile costs no cryptography.
 * What stood for it in the line goes when its turn comes.
 */
#include "core/handshake.h"
#include "core/alert.h"
#include "core/conn.h"
#include "core/lull.h"
#include "core/process.h"
#include "core/turn.h"
#include <string.h>

enum { ALERT_RECORD = 21, ALERT_FATAL = 2, ALERT_ACCESS_DENIED = 49 };

struct handshake { /* in line */
    struct chore chore;
    struct worker *worker;
    struct conn *conn; /* NULL: closed */
    int64_t since_ns;
    char name[]; /* that was asked for, NUL-terminated: for its line, should nothing come of it */
};

static void handshake_free(struct worker *w, struct handshake *h) {
    worker_free(w, h, sizeof *h + strlen(h->name) + 1);
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
    handshake_forget(c);
    timer_set(c->sock.owner.worker, &c->sock.timer, process.conf.timeouts.header);
    if (conn_is_gone(c)) /* its end has come behind its ClientHello, and waits to be worked off */
        return;
    c->shakes = true;
    conn_resume(c);
}

static void turn_came(struct chore *chore) {
    struct handshake *h = container_of(chore, struct handshake, chore);
    struct worker *w = h->worker;
    struct conn *c = h->conn;
    if (c) {
        conn_pays(c);
        if (w->now_ns - h->since_ns > HANDSHAKE_WAIT_MS * 1000000ll)
            refuse(c);
        else
            begin(c);
    }
    handshake_free(w, h);
}

/* Without memory it does not wait. */
enum handshake_answer conn_may_handshake(struct conn *c, const char *name) {
    struct worker *w = c->sock.owner.worker;
    struct account *a = account_tenant(c->sock.owner.account);
    if (c->handshake) /* more bytes have come */
        return HANDSHAKE_WAIT;
    if (c->shakes || turn_is_young(&w->turn))
        return HANDSHAKE_BEGIN;
    if (turn_chores(w, a) + lull_held(w, a) >= HANDSHAKES_MOST) {
        ACCOUNT_ADD(a->w[w->id].handshakes_refused, 1);
        return HANDSHAKE_REFUSE;
    }
    size_t length = strlen(name);
    struct handshake *h = worker_alloc(w, sizeof *h + length + 1);
    if (!h)
        return HANDSHAKE_BEGIN;
    *h = (struct handshake){{.run = turn_came}, w, c, w->now_ns};
    memcpy(h->name, name, length + 1);
    if (!lull_put(w, a, &h->chore)) {
        handshake_free(w, h);
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
    lull_forget(c->sock.owner.worker, &c->handshake->chore);
    c->handshake = NULL;
}

const char *handshake_name(const struct conn *c) {
    return c->state == CONN_ASK && c->handshake ? c->handshake->name : NULL;
}
