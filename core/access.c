/* SPDX-License-Identifier: GPL-3.0-or-later
 * access.c - lines of the access log about a connection: those that a module writes, and those of joined streams, which are kept as
 * a flow until their end.
 */
#include "core/access_log.h"
#include "core/conn.h"
#include "core/flow.h"
#include "tenants/compiled.h"
#include <errno.h>
#include <string.h>

/* The record as we know it, whatever the module was built with. */
static struct access_record record_copy(const struct access_record *from) {
    struct access_record r = {0};
    memcpy(&r, from, from->size < sizeof r ? from->size : sizeof r);
    return r;
}

static struct access_text text_of(const char *text) {
    return (struct access_text){text, strlen(text)};
}

static const char *record_tenant(const struct conn *c, const struct access_record *r) {
    if (r->tenant)
        return r->tenant[0] ? r->tenant : NULL;
    return c->version ? c->version->tenant->name : NULL;
}

/* What is not agreed on yet is no version. */
static bool is_shaking(const struct conn *c) {
    return c->tls && c->stream == &c->sock.stream;
}

void access_write(struct conn *c, const struct access_record *record) {
    struct worker *w = c->sock.owner.worker;
    if (!access_wanted())
        return;
    struct access_record r = record_copy(record);
    char peer[46];
    struct access_facts facts = {.port = c->local_port,
                                 .tenant = record_tenant(c, &r),
                                 .tls = is_shaking(c) ? NULL : conn_tls_version(c),
                                 .now_us = worker_now_us(w)};
    if (!r.sni.text && *conn_sni(c))
        r.sni = text_of(conn_sni(c));
    if (!r.client.text)
        r.client = text_of(conn_peer(c, peer));
    access_log_put(w->id, &facts, &r);
}

void access_write_refused(struct conn *c, const struct access_record *record) {
    struct access_record r = record_copy(record);
    if (c->told || !access_wanted())
        return;
    c->told = true;
    r.type = ACCESS_REFUSED;
    r.begun_us = worker_now_us(c->sock.owner.worker);
    r.routed_us = r.connected_us = r.first_byte_us = ACCESS_NEVER;
    if (!r.protocol.text && c->kind != LISTENER_HTTP)
        r.protocol = text_of(c->kind == LISTENER_HTTPS ? "tls" : "tcp");
    if (!r.bytes_in)
        r.bytes_in = c->peek.bytes;
    access_write(c, &r);
}

enum access_error access_no_pod(int error) {
    switch (error) {
    case -EBUSY:
    case -ETIMEDOUT:
        return ACCESS_POD_BUSY;
    case -ENOMEM:
    case -ENOBUFS:
        return ACCESS_NO_MEMORY;
    case -EMFILE:
    case -ENFILE:
        return ACCESS_NO_DESCRIPTOR;
    default:
        return ACCESS_NO_POD;
    }
}

/* ---- flows ---- */

static void text_move(char **to, struct access_text *t) {
    if (!t->text)
        return;
    memcpy(*to, t->text, t->length);
    t->text = *to;
    *to += t->length;
}

static void string_move(char **to, const char **s) {
    struct access_text t = {*s, *s ? strlen(*s) + 1 : 0};
    text_move(to, &t);
    *s = t.text;
}

#define TEXTS(X, r) \
    X(r.client) X(r.host) X(r.method) X(r.path) X(r.query) X(r.protocol) X(r.sni) X(r.request_id)
#define STRINGS(X, r) X(r.ingress) X(r.rule) X(r.service) X(r.pod) X(r.tenant) X(r.detail)

static size_t texts_size(const struct access_record *record) {
    const struct access_record r = *record;
    size_t size = 0;
#define X(member) size += (member).text ? (member).length : 0;
    TEXTS(X, r)
#undef X
#define X(member) size += (member) ? strlen(member) + 1 : 0;
    STRINGS(X, r)
#undef X
    return size;
}

static void texts_move(struct flow *f) {
    char *to = f->text;
#define X(member) text_move(&to, &(member));
    TEXTS(X, f->record)
#undef X
#define X(member) string_move(&to, &(member));
    STRINGS(X, f->record)
#undef X
}

static struct flow *flow_new(struct conn *c, const struct access_record *record) {
    char peer[46];
    if (!access_wanted())
        return NULL;
    struct access_record r = record_copy(record);
    if (!r.client.text)
        r.client = text_of(conn_peer(c, peer));
    size_t size = sizeof(struct flow) + texts_size(&r);
    struct flow *f = worker_alloc(c->sock.owner.worker, size);
    if (!f)
        return NULL;
    *f = (struct flow){.record = r, .size = size, .owed = true};
    texts_move(f);
    return f;
}

void access_write_at_end(struct conn *c, const struct access_record *record) {
    if (!c->flow)
        c->flow = flow_new(c, record);
}

struct flow *flow_of(struct conn *c) {
    access_write_at_end(c, &(struct access_record){.size = sizeof(struct access_record),
                                                   .type = ACCESS_STREAM,
                                                   .begun_us = worker_now_us(c->sock.owner.worker),
                                                   .routed_us = 0,
                                                   .connected_us = ACCESS_NEVER,
                                                   .first_byte_us = ACCESS_NEVER,
                                                   .total_us = ACCESS_NEVER});
    return c->flow;
}

void flow_connected(struct conn *c, const struct upstream *up) {
    struct flow *f = flow_of(c);
    if (!f)
        return;
    f->pod = up;
    if (f->record.connected_us < 0)
        f->record.connected_us = worker_now_us(c->sock.owner.worker) - f->record.begun_us;
}

void flow_retried(struct conn *c) {
    if (c->flow)
        c->flow->record.retries++;
}

void flow_failed(struct conn *c, enum access_error error) {
    if (c->flow)
        c->flow->record.error = error;
}

static enum access_error error_of(const struct conn *c, const struct flow *f) {
    if (f->record.error)
        return f->record.error;
    if (f->tally.near_broke)
        return ACCESS_CLIENT_GONE;
    if (f->tally.far_broke)
        return ACCESS_POD_BROKE;
    if (f->tally.over)
        return ACCESS_NONE;
    const struct worker *w = c->sock.owner.worker;
    return w->draining || w->stopping ? ACCESS_DRAINED : ACCESS_CLIENT_GONE;
}

static void flow_tell(struct conn *c, struct flow *f) {
    struct worker *w = c->sock.owner.worker;
    f->owed = false;
    f->record.bytes_in += f->tally.in;
    f->record.bytes_out += f->tally.out;
    if (f->tally.first_us && f->record.first_byte_us < 0)
        f->record.first_byte_us = f->tally.first_us - f->record.begun_us;
    f->record.total_us = worker_now_us(w) - f->record.begun_us;
    f->record.error = (uint8_t)error_of(c, f);
    if (f->pod)
        f->record.pod = upstream_name(f->pod);
    access_write(c, &f->record);
}

void flow_end(struct conn *c) {
    if (c->flow && c->flow->owed)
        flow_tell(c, c->flow);
}

void flow_free(struct conn *c) {
    if (c->flow)
        worker_free(c->sock.owner.worker, c->flow, c->flow->size);
    c->flow = NULL;
}

/* ---- flows of streams that share a connection ---- */

struct flow *access_begin(struct conn *c, const struct access_record *record,
                          struct relay_tally **ret_tally) {
    struct flow *f = flow_new(c, record);
    if (f)
        *ret_tally = &f->tally;
    return f;
}

void access_end(struct conn *c, struct flow *f) {
    flow_tell(c, f);
    worker_free(c->sock.owner.worker, f, f->size);
}
