/* SPDX-License-Identifier: GPL-3.0-or-later
 * route.c - which backend a request goes to, or the status to refuse it with.
 *
 *   Host -> name_normalise -> (200: an authority's challenge) -> directory -> (421?) -> charge the tenant (429?) -> modules' on_request -> (308?) -> route_find -> gate (403? 413?)
 *        -> backend
 *
 * A stranger learns nothing: an unknown name, a name without rules and a path without rule are the same 404.
 */
#include "core/challenge.h"
#include "core/full.h"
#include "modules/http/http.h"
#include "tenants/path.h"
#include <arpa/inet.h>

static const char *view_header(const struct request_view *view, const char *name,
                               size_t *ret_length) {
    const struct message *m = view->request;
    char lower[128];
    size_t length = strlen(name);
    if (length >= sizeof lower)
        return NULL;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    struct head_field f;
    if (!head_find(&m->head, m->fields, lower, length, &f))
        return NULL;
    *ret_length = f.value_length;
    return (const char *)m->head.data + f.value_at;
}

/* Offers the request to the modules; they may name another host of the same tenant. */
static int modules_ask(struct exchange *ex, const struct name_entry **entry) {
    const struct message *m = &ex->request;
    const char *target = (const char *)m->head.data + m->target;
    const char *method = llhttp_method_name((llhttp_method_t)m->method);
    struct request_view view = {.size = sizeof view,
                                .method = method,
                                .method_length = strlen(method),
                                .host = ex->host,
                                .host_length = ex->host_length,
                                .path = target,
                                .path_length = m->path_length,
                                .header = view_header,
                                .request = m};
    if (m->target_length > m->path_length) {
        view.query = target + m->path_length + 1;
        view.query_length = m->target_length - m->path_length - 1;
    }
    if (conn_offer_request(ex->hc->conn, &view) == VERDICT_REJECT) {
        record_failed(ex, ACCESS_REJECTED);
        return view.reject_status >= 400 && view.reject_status <= 599 ? view.reject_status : 403;
    }
    if (!view.route_host[0])
        return 0;
    const struct name_entry *other =
        names_find(view.route_host, strnlen(view.route_host, sizeof view.route_host));
    if (!other || other->version->account != (*entry)->version->account)
        return 404;
    ex->hc->ops->charge(ex->hc,
                        other->version); /* in the midst of a change it may be the next one */
    *entry = other;
    return 0;
}

/* RFC 9110 section 15.5.20: a connection opened for one tenant's name speaks for no other tenant. */
static bool is_misdirected(const struct exchange *ex, const struct name_entry *entry) {
    if (!ex->hc->tls)
        return false;
    const char *sni = conn_sni(ex->hc->conn);
    size_t length = strlen(sni);
    if (length == 0 || (length == ex->host_length && memcmp(sni, ex->host, length) == 0))
        return false;
    const struct name_entry *served = names_find(sni, length);
    return !served || served->version->account != entry->version->account;
}

/* ---- the gate of a route ---- */

/* "192.0.2.7", "192.0.2.7:1234", "2001:db8::1", "[2001:db8::1]:1234"; anything else is an address that nobody knows. */
static union address element_address(const uint8_t *at, size_t length) {
    union address a = {0};
    char text[64];
    if (length && at[0] == '[') {
        const uint8_t *end = memchr(at, ']', length);
        length = end ? (size_t)(end - ++at) : 0;
    }
    if (length >= sizeof text)
        return a;
    memcpy(text, at, length);
    text[length] = 0;
    char *colon = strchr(text, ':');
    if (colon && !strchr(colon + 1, ':'))
        *colon = 0;
    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
        a.v4.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1)
        a.v6.sin6_family = AF_INET6;
    return a;
}

/* Who asked: the connection's other end, or, behind trusted proxies, the last address of X-Forwarded-For that is none of theirs.
 * Those before it are what the client itself may have written. */
static union address client_address(const struct exchange *ex) {
    const struct head *h = &ex->request.head;
    union address client, local, first = {0};
    struct head_field f;
    bool found = false, any = false;
    conn_addresses(ex->hc->conn, &client, &local);
    if (!ex->hc->trust)
        return client;
    for (uint32_t from = ex->request.fields; head_find(h, from, "x-forwarded-for", 15, &f);
         from = f.end) {
        const uint8_t *at = h->data + f.value_at, *end = at + f.value_length, *element;
        for (size_t size; list_next(&at, end, &element, &size); any = true) {
            union address a = element_address(element, size);
            first = any ? first : a;
            if (!edge_trusts(&a)) {
                client = a;
                found = true;
            }
        }
    }
    return any && !found ? first : client;
}

static bool client_admitted(struct exchange *ex) {
    const struct gate *gate = ex->gate;
    if (!gate || (!gate->allow_count && !gate->deny_count))
        return true;
    union address client = client_address(ex);
    if (conn_admits(ex->hc->conn, gate, &client))
        return true;
    record_refused(ex, LIMIT_SOURCE);
    return false;
}

/* The tenant's limit or the route's, whichever is smaller. A length that is known is judged here, chunks as they come. */
static bool body_admitted(struct exchange *ex, const struct tenant *tenant) {
    const struct message *m = &ex->request;
    ex->body_most =
        tenant->limits.request_size ? (uint64_t)tenant->limits.request_size : UINT64_MAX;
    if (ex->gate && ex->gate->body_size_max >= 0 &&
        (uint64_t)ex->gate->body_size_max < ex->body_most)
        ex->body_most = (uint64_t)ex->gate->body_size_max;
    if (m->framing != FRAMING_LENGTH || m->length <= ex->body_most)
        return true;
    conn_count_refusal(ex->hc->conn, LIMIT_BODY);
    record_refused(ex, LIMIT_BODY);
    return false;
}

/* What HTTP/1.1 offers to do in another protocol may be done in this one, as if nobody had asked (RFC 9110 section 7.8); a WebSocket that
 * came by HTTP/2 can't. */
static bool upgrade_forget(struct message *m) {
    if (m->parser.method == HTTP_CONNECT)
        return false;
    head_remove(&m->head, m->fields, "upgrade", 7);
    message_places_find(m);
    m->upgrade = m->upgrade_seen = false;
    m->close =
        true; /* what comes behind it may have been meant for that protocol, see may_be_early */
    return true;
}

/* ---- what a certificate authority asks, RFC 8555 section 8.3 ---- */

static bool is_plain_get(const struct exchange *ex) {
    uint8_t method = ex->request.method;
    return !ex->hc->tls && (method == HTTP_GET || method == HTTP_HEAD);
}

const char *exchange_challenge(const struct exchange *ex) {
    const struct message *m = &ex->request;
    return is_plain_get(ex) ? challenge_http(ex->host, ex->host_length,
                                             (const char *)m->head.data + m->target, m->path_length)
                            : NULL;
}

/* A pod that answers an authority itself has to do so over plain HTTP. */
static bool is_for_authority(const struct exchange *ex) {
    const struct message *m = &ex->request;
    return is_plain_get(ex) &&
           challenge_is_path((const char *)m->head.data + m->target, m->path_length);
}

/* To https goes also who comes without TLS where it is to show who he is. */
static bool redirects(const struct exchange *ex, const struct host *host) {
    if (!tls_rules_allow_plain(ex->tls_rules))
        return true;
    return host && host->redirect && !is_for_authority(ex);
}

/* Whoever is sent to https must find a certificate there; until the first one comes he is to try again. */
static int redirect_judge(struct exchange *ex, const struct version *version,
                          const struct host *host) {
    if ((host && host->passthrough) || version_has_certificate(version, ex->host, ex->host_length))
        return 308;
    record_failed(ex, ACCESS_NO_CERTIFICATE);
    return 503;
}

static int backend_find(struct exchange *ex, const struct name_entry *entry) {
    struct message *m = &ex->request;
    const char *path = (const char *)m->head.data + m->target;
    size_t length = m->path_length;
    char folded[TARGET_MAX];
    if (path[0] == '*') {
        path = "/";
    } else if (path_has_empty(path, length)) {
        length = path_fold(path, length, folded);
        path = folded;
    }
    struct route_answer answer;
    route_find(entry->version->tenant, entry->object, path, length, &answer);
    record_routed(ex, answer.route, answer.backend);
    const struct host *host = entry->object ? entry->object : answer.host;
    if (host)
        host_count(ex->worker, host);
    ex->tls_rules = tenant_tls_rules(entry->version->tenant, entry->object);
    if (!ex->hc->tls && redirects(ex, host))
        return redirect_judge(ex, entry->version, host);
    if (!conn_meets(ex->hc->conn, ex->tls_rules))
        return 421;
    if (answer.why != ROUTE_FOUND)
        return 404;
    ex->policy = &answer.backend->policy;
    ex->gate = answer.gate;
    if (!client_admitted(ex))
        return 403;
    if (!body_admitted(ex, entry->version->tenant))
        return 413;
    if (answer.backend->tls.refusal)
        return 502; /* its pods can't be judged as was asked; the tenant has an event */
    bool h2 = answer.backend->protocol == APP_H2C || answer.backend->tls.http2;
    ex->pods = h2 ? &pods_h2 : &pods_h1;
    if (ex->pods == &pods_h2 && m->upgrade && !upgrade_forget(m))
        return 501;
    ex->set = answer.backend->host_set;
    if (ex->set)
        return 0;
    record_failed(ex, ACCESS_NO_POD);
    return 503;
}

int exchange_route(struct exchange *ex) {
    struct message *m = &ex->request;
    ex->host_length =
        (uint8_t)name_normalise((const char *)m->head.data + m->host, m->host_length, ex->host);
    if (ex->host_length == 0)
        return 400;
    if (exchange_challenge(ex))
        return 200;
    const struct name_entry *entry = names_find(ex->host, ex->host_length);
    if (!entry)
        return 404;
    if (is_misdirected(ex, entry))
        return 421;
    if (!ex->hc->ops->charge(ex->hc, entry->version)) {
        m->close = true; /* it is one connection too many, and nobody's */
        record_refused(ex, conn_refusal(ex->hc->conn));
        return 429;
    }
    ex->charged = true;
    exchange_charged(ex);
    struct account_worker *account = ex->hc->ops->account(ex->hc);
    if (account)
        ACCOUNT_ADD(account->requests, 1);
    if (!conn_takes_request(ex->hc->conn)) {
        record_refused(ex, LIMIT_REQUESTS);
        return 429;
    }
    if (account && payer_holds_all(ex->worker, account)) {
        record_failed(ex, ACCESS_NO_MEMORY);
        return 503;
    }
    int status = modules_ask(ex, &entry);
    if (status)
        return status;
    m->cookie_domain = &entry->version->tenant->domain; /* read only when a pod sets cookies */
    return backend_find(ex, entry);
}
