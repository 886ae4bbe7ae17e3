/* SPDX-License-Identifier: GPL-3.0-or-later
 * explain.c - who answers a URL, and why: the data path's own functions, asked on the control thread.
 *
 *   URL -> name_normalise -> names_find -> route_find -> backend -> pods
 *
 * What comes out is an object for programs with the story for people in `text`.
 */
#include "core/certificates.h"
#include "core/limit.h"
#include "edge/address.h"
#include "edge/admin.h"
#include "tenants/path.h"
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum scheme { SCHEME_HTTP, SCHEME_HTTPS, SCHEME_TLS, SCHEME_TCP, SCHEME_NONE };
static const char *const schemes[] = {"http://", "https://", "tls://", "tcp://", NULL};

struct asked {
    enum scheme scheme;
    char authority[512], path[8192];
    uint16_t port;  /* as written; 0: none */
    char host[254]; /* normalised */
    size_t host_length;
};

struct story {
    struct edge *edge;
    FILE *out;
    char *text;
    size_t length;
    json_t *object;
};

__attribute__((format(printf, 3, 4))) static void tell(struct story *s, const char *label,
                                                       const char *format, ...) {
    va_list args;
    fprintf(s->out, "%-10s", label);
    va_start(args, format);
    vfprintf(s->out, format, args);
    va_end(args);
    fputc('\n', s->out);
}

static void set_text(struct story *s, const char *key, const char *text) {
    json_t *value = text ? json_string(text) : json_null();
    json_object_set_new(s->object, key, value ? value : json_null());
}

/* The last line, and the two fields a program looks at first. */
static void conclude(struct story *s, const char *answer, int status, const char *why) {
    json_object_set_new(s->object, "answer", json_string(answer));
    json_object_set_new(s->object, "status", status ? json_integer(status) : json_null());
    set_text(s, "why", why);
    if (status)
        tell(s, "answer", "%d, %s", status, why);
    else
        tell(s, "answer", "%s", why);
}

/* --- the URL ---------------------------------------------------------------------------------*/

static uint16_t port_of(const char *authority) {
    const char *colon = strrchr(authority, ':');
    if (!colon || strchr(colon, ']') || !colon[1] || strlen(colon) > 6 ||
        colon[1 + strspn(colon + 1, "0123456789")])
        return 0;
    return (uint16_t)strtoul(colon + 1, NULL, 10);
}

static bool url_parse(const char *url, struct asked *a) {
    *a = (struct asked){.scheme = SCHEME_HTTP};
    while (schemes[a->scheme] && strncasecmp(url, schemes[a->scheme], strlen(schemes[a->scheme])))
        a->scheme++;
    if (a->scheme == SCHEME_NONE && strstr(url, "://"))
        return false;
    const char *rest = schemes[a->scheme] ? url + strlen(schemes[a->scheme]) : url;
    if (a->scheme == SCHEME_NONE)
        a->scheme = SCHEME_HTTPS; /* a bare name, as browsers take it */
    size_t length = strcspn(rest, "/?#"), path = strcspn(rest + length, "?#");
    if (length >= sizeof a->authority || path + 1 >= sizeof a->path || memchr(rest, '@', length))
        return false;
    memcpy(a->authority, rest, length);
    memcpy(a->path, path ? rest + length : "/", path ? path : 1);
    a->port = port_of(a->authority);
    if (a->scheme == SCHEME_TCP)
        return a->port;
    a->host_length = name_normalise(a->authority, length, a->host);
    return a->host_length;
}

/* --- pods ------------------------------------------------------------------------------------*/

struct usable { /* pods that may be given requests, and what is known of their service */
    unsigned ready, ejected;
    struct upstream_figures figures;
};

static void pod_tell(struct story *s, json_t *pods, const struct endpoint *p, struct usable *u) {
    char text[ADDRESS_TEXT_MAX] = "no address";
    struct pod_facts facts = {0};
    if (p->addr.any.sa_family != AF_UNSPEC)
        address_print(&p->addr, text);
    const char *state = "notReady", *reason = p->reason;
    if (p->ready && p->host_upstream) {
        state = pod_state(s->edge, p->host_upstream, &facts);
        reason = *facts.why ? facts.why : NULL;
        u->figures = facts.figures;
    }
    tell(s, json_array_size(pods) ? "" : "pods", "%s  %s%s%s%s%s", text, state, *p->pod ? "  " : "",
         p->pod, reason ? ": " : "", reason ? reason : "");
    json_array_append_new(pods, json_pack("{s:s s:s s:s s:s?}", "address", text, "pod", p->pod,
                                          "state", state, "reason", reason));
    u->ready += !strcmp(state, "ready");
    u->ejected += !strcmp(state, "ejected");
}

/* What becomes of a pod that fails, by itself and by its checks. */
static void health_tell(struct story *s, const struct policy *p) {
    if (p->eject_after)
        tell(s, "ejection",
             "after %lld failures in a row, for %lld ms, doubled each time up to %lld ms; at most "
             "%lld %% of the pods at once",
             (long long)p->eject_after, (long long)p->eject_ms, (long long)p->eject_most_ms,
             (long long)p->eject_percent);
    else
        tell(s, "ejection", "never");
    if (p->health != HEALTH_NONE)
        tell(s, "checks", "%s%s every %lld ms; out after %lld that fail, back after %lld that pass",
             p->health == HEALTH_HTTP ? "GET " : "a connection",
             p->health == HEALTH_HTTP ? p->health_path : "", (long long)p->health_ms,
             (long long)p->health_fall, (long long)p->health_rise);
}

static void retries_tell(struct story *s, const struct policy *p,
                         const struct upstream_figures *f) {
    if (p->retry_percent)
        tell(s, "retries", "at most %lld %% of the requests; %llu made, %llu refused so far",
             (long long)p->retry_percent, (unsigned long long)f->retries,
             (unsigned long long)f->retries_refused);
    else
        tell(s, "retries", "none");
    json_object_set_new(s->object, "retries", json_integer((json_int_t)f->retries));
    json_object_set_new(s->object, "retriesRefused", json_integer((json_int_t)f->retries_refused));
}

static void policy_tell(struct story *s, const struct policy *p) {
    static const char *const ways[] = {"least requests of two at random", "round robin", "hash"};
    bool cookie = p->balance == BALANCE_HASH && p->hash_cookie;
    const char *by = p->balance != BALANCE_HASH ? ""
                     : cookie                   ? " of cookie "
                                                : " of the client's address";
    tell(s, "balance", "%s%s%s", ways[p->balance], by, cookie ? p->hash_cookie : "");
    if (p->pod_connections)
        tell(s, "cap", "%lld connections to each pod, over all workers; %lld requests may wait",
             (long long)p->pod_connections, (long long)p->queue_most);
}

static struct usable backend_tell(struct story *s, const struct backend *b) {
    static const char *const protocols[] = {"http", "https", "h2c", "websocket", "tcp"};
    json_t *pods = json_array();
    set_text(s, "service", b->service);
    json_object_set_new(s->object, "port", json_integer(b->port));
    tell(s, "service", "%s:%u (%s)", b->service, b->port, protocols[b->protocol]);
    struct usable usable = {0};
    if (b->protocol == APP_HTTPS)
        tell(s, "pod tls", "HTTP/%s to server name %s, %s", b->tls.http2 ? "2" : "1.1",
             b->tls.server_name,
             b->tls.verify ? "certificates are verified" : "certificates are not verified");
    policy_tell(s, &b->policy);
    health_tell(s, &b->policy);
    for (unsigned i = 0; i < b->endpoint_count; i++)
        pod_tell(s, pods, &b->endpoint[i], &usable);
    if (!b->endpoint_count)
        tell(s, "pods", "none: %s", b->reason ? b->reason : "the service has no endpoint");
    json_object_set_new(s->object, "pods", pods);
    retries_tell(s, &b->policy, &usable.figures);
    return usable;
}

static void backend_conclude(struct story *s, const struct backend *b, const char *how,
                             int status_without) {
    char why[160], ejected[64] = "";
    struct usable u = backend_tell(s, b);
    if (u.ejected)
        snprintf(ejected, sizeof ejected, "; %u ejected, asked only when there is no other",
                 u.ejected);
    if (u.ready + u.ejected) {
        snprintf(why, sizeof why, "%s one of %u ready pod%s%s", how, u.ready,
                 u.ready == 1 ? "" : "s", ejected);
        conclude(s, "pod", 0, u.ready ? why : "every pod is ejected: one is asked all the same");
    } else {
        conclude(s, "none", status_without, "no pod is ready");
    }
}

/* --- who may come in, with how much -----------------------------------------------------------*/

static json_t *prefixes_json(const struct prefix *list, size_t count) {
    json_t *array = json_array();
    char text[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < count; i++) {
        inet_ntop(list[i].family, list[i].addr, text, sizeof text);
        json_array_append_new(array, json_sprintf("%s/%u", text, list[i].bits));
    }
    return array;
}

static void prefixes_tell(struct story *s, const char *what, const char *key,
                          const struct prefix *list, size_t count) {
    json_t *array = prefixes_json(list, count), *item;
    size_t i;
    json_array_foreach(array, i, item) {
        tell(s, i ? "" : "clients", "%s %s", i ? "" : what, json_string_value(item));
    }
    if (count)
        json_object_set(s->object, key, array);
    json_decref(array);
}

static void gate_tell(struct story *s, const struct gate *p) {
    if (!p)
        return;
    prefixes_tell(s, "never from", "deny", p->deny, p->deny_count);
    prefixes_tell(s, "only from", "allow", p->allow, p->allow_count);
    if (p->body_size_max >= 0) {
        tell(s, "body", "at most %lld bytes", (long long)p->body_size_max);
        json_object_set_new(s->object, "bodySizeMax", json_integer(p->body_size_max));
    }
    if (p->proxy_version) {
        tell(s, "pods", "hear of clients by PROXY v%u", p->proxy_version);
        json_object_set_new(s->object, "proxyProtocol", json_integer(p->proxy_version));
    }
}

static void limit_tell(struct story *s, const struct limiter *l, enum limit limit, int64_t most,
                       const char *unit) {
    uint64_t refused = limiter_refused(l, limit);
    json_t *limits = json_object_get(s->object, "limits");
    if (!most)
        return;
    tell(s, "limit", "%lld %s, %llu refused so far", (long long)most, unit,
         (unsigned long long)refused);
    json_object_set_new(
        limits, limit_name(limit),
        json_pack("{s:I s:I}", "most", (json_int_t)most, "refused", (json_int_t)refused));
}

static void limits_tell(struct story *s, const struct version *v) {
    const struct limiter *l = account_limiter(v->account);
    const struct limits *limits = &v->tenant->limits;
    char unit[64];
    if (!l)
        return;
    json_object_set_new(s->object, "limits", json_object());
    snprintf(unit, sizeof unit, "connections, %lld now",
             (long long)account_tree_sum(v->account).connections);
    limit_tell(s, l, LIMIT_CONNECTIONS, limits->connections, unit);
    limit_tell(s, l, LIMIT_NEW_CONNECTIONS, limits->new_connections_per_second,
               "new connections/s");
    limit_tell(s, l, LIMIT_REQUESTS, limits->requests_per_second, "requests/s");
    if (limits->bandwidth_bits)
        tell(s, "limit", "%lld bit/s each way", (long long)limits->bandwidth_bits);
    limit_tell(s, l, LIMIT_BODY, limits->request_size, "bytes of a request's body");
}

/* --- names -----------------------------------------------------------------------------------*/

static void unknown_tell(struct story *s, struct edge *e, const struct asked *a) {
    char *why = explain_name(e->registry, a->host);
    tell(s, "tenant", "none");
    set_text(s, "tenant", NULL);
    conclude(s, "none", a->scheme == SCHEME_HTTP ? 404 : 0,
             why ? why : "no tenant has this name: TLS alert unrecognized_name");
    free(why);
}

static void rule_tell(struct story *s, const struct route_answer *found) {
    static const char *const types[] = {"Exact", "Prefix", "ImplementationSpecific"};
    const char *host = found->host && *found->host->name ? found->host->name : "*";
    set_text(s, "rule", host);
    if (!found->route) {
        tell(s, "rule", "host %s, defaultBackend", host);
        set_text(s, "path", NULL);
        return;
    }
    tell(s, "rule", "host %s, path %s (%s), from %s", host, found->route->path,
         types[found->route->type], found->route->origin);
    set_text(s, "path", found->route->path);
    set_text(s, "pathType", types[found->route->type]);
    set_text(s, "ingress", found->route->ingress);
    set_text(s, "origin", found->route->origin);
}

static void redirect_conclude(struct story *s, const struct asked *a) {
    char why[9000];
    snprintf(why, sizeof why, "redirect to https://%s%s", a->host, a->path);
    conclude(s, "redirect", 308, why);
}

/* As modules/http does it: a host that redirects does so whatever the path. */
static bool redirects(const struct asked *a, const struct host *host,
                      const struct route_answer *found) {
    const struct host *speaks = host ? host : found->host;
    return a->scheme == SCHEME_HTTP && speaks && speaks->redirect;
}

static void route_tell(struct story *s, const struct tenant *t, const struct host *host,
                       const struct asked *a) {
    struct route_answer found;
    char path[sizeof a->path], folded[sizeof a->path];
    memcpy(path, a->path, sizeof path);
    long length = path_normalise(path, strlen(path));
    if (length < 0) {
        conclude(s, "none", 400, "the path could be read as two different ones: refused");
        return;
    }
    size_t folded_length = path_fold(path, (size_t)length, folded);
    route_find(t, host, folded, folded_length, &found);
    if (found.why == ROUTE_FOUND) {
        rule_tell(s, &found);
        gate_tell(s, found.gate);
    }
    if (redirects(a, host, &found)) {
        if (found.why == ROUTE_FOUND)
            backend_tell(s, found.backend);
        redirect_conclude(s, a);
    } else if (found.why == ROUTE_FOUND && found.backend->tls.refusal) {
        backend_tell(s, found.backend);
        conclude(s, "none", 502, found.backend->tls.refusal);
    } else if (found.why == ROUTE_FOUND) {
        backend_conclude(s, found.backend, "passed on to", 503);
    } else if (found.why == ROUTE_NO_RULE_FOR_HOST) {
        conclude(s, "none", 404, "the name is the tenant's, but no rule speaks for it");
    } else {
        set_text(s, "rule", found.host && *found.host->name ? found.host->name : "*");
        conclude(s, "none", 404,
                 host && host->passthrough
                     ? "TLS of this name is passed through; no rule is for plain HTTP"
                     : "the host has rules, none of them for this path");
    }
}

static void passthrough_tell(struct story *s, const struct host *host) {
    set_text(s, "rule", host->name);
    tell(s, "rule", "host %s, TLS passed through untouched", host->name);
    gate_tell(s, host->passthrough_gate);
    if (host->passthrough_backend)
        backend_conclude(s, host->passthrough_backend, "TLS ends at", 0);
    else
        conclude(s, "none", 0, "the rule has no backend");
}

/* In the order in which a handshake looks for one (modules/sni); false: it fails. */
static bool certificate_tell(struct story *s, const struct tenant *t, const struct asked *a) {
    const struct certificate *c = tenant_certificate(t, a->host, a->host_length);
    char name[256];
    struct err why;
    if (c && c->host_identity) {
        tell(s, "tls", "Secret %s", c->secret);
        return true;
    }
    if (c)
        tell(s, "tls", "Secret %s can't be used", c->secret);
    snprintf(name, sizeof name, "%.*s", (int)a->host_length, a->host);
    enum certificate_answer stored = certificates_look(t->uid, name, false, &why);
    if (stored == CERTIFICATE_BAD)
        tell(s, "tls", "the edge's certificate for this name can't be used: %s", why.text);
    if (stored == CERTIFICATE_READY)
        tell(s, "tls", "a certificate that the edge keeps for this name");
    else if (operator_identity(a->host, a->host_length))
        tell(s, "tls", "the operator's certificate");
    else if (stored == CERTIFICATE_NONE &&
             certificates_look(t->uid, name, true, &why) == CERTIFICATE_READY)
        tell(s, "tls", "a certificate that the edge keeps for this name, which has EXPIRED");
    else
        return false;
    return true;
}

static void name_tell(struct story *s, struct edge *e, const struct asked *a) {
    const struct name_entry *entry = names_find(a->host, a->host_length);
    set_text(s, "host", a->host);
    if (!entry) {
        unknown_tell(s, e, a);
        return;
    }
    const struct tenant *t = entry->version->tenant;
    const struct host *host = entry->object;
    tell(s, "tenant", "%s", t->name);
    set_text(s, "tenant", t->name);
    limits_tell(s, entry->version);
    if (a->scheme == SCHEME_HTTPS && !(host && host->passthrough) && !certificate_tell(s, t, a))
        conclude(s, "none", 0, "no certificate for this name: the handshake fails");
    else if (host && host->passthrough && a->scheme != SCHEME_HTTP)
        passthrough_tell(s, host);
    else if (a->scheme == SCHEME_TLS)
        conclude(s, "none", 0, "TLS of this name is not passed through; it ends at the edge");
    else
        route_tell(s, t, host, a);
}

static void port_tell(struct story *s, struct edge *e, const struct asked *a) {
    const struct name_entry *entry = names_find_port(a->port);
    const char *error = ports_error(&e->ports, a->port);
    if (!entry) {
        set_text(s, "tenant", NULL);
        conclude(s, "none", 0, "no tenant holds this raw port");
        return;
    }
    const struct raw_port *p = entry->object;
    tell(s, "tenant", "%s", entry->version->tenant->name);
    set_text(s, "tenant", entry->version->tenant->name);
    limits_tell(s, entry->version);
    gate_tell(s, p->gate);
    if (!error) {
        backend_conclude(s, p->backend, "joined to", 0);
        return;
    }
    backend_tell(s, p->backend);
    conclude(s, "none", 0, error);
}

/* --- the answer ------------------------------------------------------------------------------*/

static void story_tell(struct story *s, struct edge *e, const char *url) {
    struct asked a;
    fprintf(s->out, "%s\n", url);
    set_text(s, "url", url);
    if (!url_parse(url, &a))
        conclude(s, "none", 0, "not a URL like https://host/path, tls://host or tcp://:port");
    else if (a.scheme == SCHEME_TCP)
        port_tell(s, e, &a);
    else
        name_tell(s, e, &a);
}

json_t *explain_url(struct edge *e, const char *url) {
    struct story s = {.edge = e, .object = json_object()};
    s.out = open_memstream(&s.text, &s.length);
    if (!s.out)
        return s.object;
    story_tell(&s, e, url);
    fclose(s.out);
    set_text(&s, "text", s.text);
    free(s.text);
    return s.object;
}
