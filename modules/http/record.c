/* SPDX-License-Identifier: GPL-3.0-or-later
 * record.c - see record.h. While there is no access log only the counters are kept.
 */
#include "modules/http/record.h"
#include "modules/http/http.h"
#include <errno.h>

void record_begin(struct exchange *ex) {
    ex->record.begun_us = worker_now_us(ex->worker);
}

/* Who pays for it, or NULL. */
/* A plain connection that is kept still pays to the tenant of the request before, one of HTTP/2 to that of another stream: what is
 * refused before its own tenant is known is nobody's, or a stranger could write into another's counters and log. A connection of
 * HTTP/1.1 by TLS came for the tenant of its SNI. */
static bool is_strangers(const struct exchange *ex) {
    const struct http_conn *hc = ex->hc;
    bool single = !hc->ops->version;
    return !ex->charged && !(single && (hc->tls || !conn_version(hc->conn)));
}

static struct account_worker *account_of(const struct exchange *ex) {
    return is_strangers(ex) ? NULL : ex->hc->ops->account(ex->hc);
}

/* Never 0, which would mean never. */
static uint32_t since_begun(const struct exchange *ex) {
    int64_t us = worker_now_us(ex->worker) - ex->record.begun_us;
    return us < 1 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void record_routed(struct exchange *ex, const struct route *route, const struct backend *backend) {
    ex->record.routed_us = since_begun(ex);
    ex->record.route = route;
    ex->record.backend = backend;
}

void record_pod(struct exchange *ex, const struct upstream *pod) {
    struct account_worker *account = account_of(ex);
    if (ex->record.pod && account)
        ACCOUNT_ADD(account->retries, 1);
    ex->record.pod = pod;
    ex->record.error = ACCESS_NONE; /* that of the one before is made good */
}

void record_connected(struct exchange *ex) {
    ex->record.connected_us = since_begun(ex);
}

void record_first_byte(struct exchange *ex) {
    if (!ex->record.first_byte_us)
        ex->record.first_byte_us = since_begun(ex);
}

/* ---- what went wrong ---- */

void record_failed(struct exchange *ex, enum access_error error) {
    if (!ex->record.error)
        ex->record.error = (uint8_t)error;
}

void record_refused(struct exchange *ex, enum limit limit) {
    record_failed(ex, access_refusal(limit));
    ex->record.refusal = (uint8_t)(limit + 1);
}

static enum access_error error_of_pod(const struct exchange *ex, int error) {
    if (error == -ETIMEDOUT)
        return ACCESS_POD_TIMEOUT;
    if (!ex->connected)
        return error == -EPROTO ? ACCESS_POD_TLS : ACCESS_POD_REFUSED;
    return error == -EPROTO ? ACCESS_POD_MALFORMED : ACCESS_POD_BROKE;
}

void record_pod_failed(struct exchange *ex, int error) {
    struct account_worker *account = account_of(ex);
    if (!ex->connected && account)
        ACCOUNT_ADD(account->pod_failures, 1);
    record_failed(ex, error_of_pod(ex, error));
}

/* What an answer of the edge's own says, unless something said more before. */
static enum access_error error_of_status(int status) {
    switch (status) {
    case 200:
    case 308:
        return ACCESS_NONE;
    case 400:
        return ACCESS_MALFORMED;
    case 404:
        return ACCESS_NO_ROUTE;
    case 408:
        return ACCESS_CLIENT_SLOW;
    case 413:
    case 414:
    case 431:
        return ACCESS_TOO_LARGE;
    case 405:
    case 417:
    case 501:
    case 505:
        return ACCESS_UNSUPPORTED;
    case 421:
        return ACCESS_MISDIRECTED;
    case 502:
        return ACCESS_POD_BROKE;
    case 503:
        return ACCESS_NO_MEMORY; /* who has no pod has said so */
    case 504:
        return ACCESS_POD_TIMEOUT;
    default:
        return ACCESS_REJECTED;
    }
}

void record_answered(struct exchange *ex, int status, size_t bytes) {
    ex->record.status = (uint16_t)status;
    ex->record.bytes_out = bytes;
    ex->record.over = true;
    record_failed(ex, error_of_status(status));
}

/* ---- the end ---- */

static uint16_t status_of(const struct exchange *ex) {
    const struct message *m = &ex->response;
    if (ex->record.status)
        return ex->record.status;
    return m->complete && (ex->delivering || m->status == 101) ? m->status : 0;
}

static int64_t or_never(uint32_t us) {
    return us ? (int64_t)us : ACCESS_NEVER;
}

static struct access_text text_at(const struct head *h, size_t at, size_t length) {
    return (struct access_text){(const char *)h->data + at, length};
}

/* The request as it was understood: of one that was refused half-way, what was understood until then. */
static void asked_fill(const struct exchange *ex, struct access_record *r) {
    const struct message *m = &ex->request;
    const char *method = llhttp_method_name((llhttp_method_t)m->method);
    bool has_target = m->fields > m->start;
    if (ex->host_length)
        r->host = (struct access_text){ex->host, ex->host_length};
    if (!has_target)
        return;
    r->protocol = ex->hc->ops->down ? (struct access_text){"HTTP/2", 6}
                  : m->http_1_0     ? (struct access_text){"HTTP/1.0", 8}
                                    : (struct access_text){"HTTP/1.1", 8};
    r->method = (struct access_text){method, strlen(method)};
    r->path = text_at(&m->head, m->target, m->path_length);
    if (m->target_length > m->path_length)
        r->query = text_at(&m->head, m->target + m->path_length + 1,
                           m->target_length - m->path_length - 1);
}

static void routed_fill(const struct exchange *ex, struct access_record *r) {
    const struct record *own = &ex->record;
    struct head_field id;
    if (own->route) {
        r->ingress = own->route->ingress;
        r->rule = own->route->path;
    }
    if (own->backend)
        r->service = own->backend->service;
    if (own->pod)
        r->pod = upstream_name(own->pod);
    if (own->pod && head_find(&ex->request.head, ex->request.fields, "x-request-id", 12, &id))
        r->request_id = text_at(&ex->request.head, id.value_at, id.value_length);
}

/* As a line has it: NULL is whoever pays for the connection. Nobody pays for one that a tenant had no room for, but the line is that
 * tenant's. */
static const char *tenant_of(const struct exchange *ex) {
    const struct http_conn *hc = ex->hc;
    const struct version *version = hc->ops->version ? hc->ops->version(hc) : NULL;
    const struct name_entry *refuser =
        ex->record.refusal && !ex->charged ? names_find(ex->host, ex->host_length) : NULL;
    if (refuser)
        return refuser->version->tenant->name;
    if (is_strangers(ex))
        return "";
    return version ? version->tenant->name : NULL;
}

static struct access_record access_of(const struct exchange *ex, int64_t total_us) {
    const struct record *own = &ex->record;
    const struct http_conn *hc = ex->hc;
    struct access_record r = {.size = sizeof r,
                              .type = ACCESS_HTTP,
                              .error = own->error,
                              .status = status_of(ex),
                              .retries = ex->tries,
                              .client = {hc->peer, hc->peer_length},
                              .bytes_in = ex->request.fed,
                              .bytes_out = own->bytes_out + ex->down.bytes,
                              .begun_us = own->begun_us,
                              .routed_us = or_never(own->routed_us),
                              .connected_us = or_never(own->connected_us),
                              .first_byte_us = or_never(own->first_byte_us),
                              .total_us = total_us};
    r.tenant = tenant_of(ex);
    if (own->refusal)
        r.detail = limit_name(own->refusal - 1u);
    asked_fill(ex, &r);
    routed_fill(ex, &r);
    return r;
}

static void counted(struct exchange *ex, int64_t us) {
    struct account_worker *account = account_of(ex);
    if (account)
        account_answered(account, status_of(ex), (uint64_t)us);
}

void record_tunnel(struct exchange *ex, const struct slice *rest) {
    const struct hold *hold = ex->hc->hold;
    int64_t us = since_begun(ex);
    ex->record.told = true;
    counted(ex, us);
    if (!access_wanted())
        return;
    struct access_record r = access_of(ex, us);
    r.bytes_out += rest->length;
    for (uint32_t i = hold ? hold->first : 0; hold && i < hold->end; i++)
        r.bytes_in += hold->item[i].length;
    ex->hc->ops->tell_at_end(ex->hc, &r);
}

void record_expired(struct exchange *ex, bool pod_slow) {
    bool pod = pod_slow || (ex->delivering && !ex->hc->full);
    record_failed(ex, pod ? ACCESS_POD_TIMEOUT : ACCESS_CLIENT_SLOW);
}

/* A client that left, or an edge that stopped, is what ends an exchange without anybody having decided so. */
void record_end(struct exchange *ex) {
    if (ex->record.told)
        return;
    if (ex->up.failed || ex->down.failed)
        record_failed(ex, ACCESS_NO_MEMORY);
    else if (!ex->record.over)
        record_failed(ex, conn_draining(ex->hc->conn) ? ACCESS_DRAINED : ACCESS_CLIENT_GONE);
    int64_t us = since_begun(ex);
    counted(ex, us);
    if (!access_wanted())
        return;
    struct access_record r = access_of(ex, us);
    access_write(ex->hc->conn, &r);
}

_Static_assert(sizeof(struct record) <= 64, "it lies in the buffer that heads are read into");
