/* SPDX-License-Identifier: GPL-3.0-or-later
 * route.c - host and path to a backend; SNI to a certificate. On the data path: no allocation, no
 * lock, read-only.
 *
 * A host's routes are sorted Exact first, then Prefix by falling length, so the first match is the
 * match. Many routes are
 * searched by halves: the Exact part by (length, bytes), the Prefix part once for each '/' of the
 * path, longest first.
 */
#include "tenants/compiled.h"
#include <string.h>

/* Upstream: /foo matches /foo, /foo/ and /foo/bar, never /foobar; the final '/' of the rule means
 * nothing. */
static size_t prefix_length(const struct route *route) {
    size_t length = route->path_length;
    return length && route->path[length - 1] == '/' ? length - 1 : length;
}

static bool route_matches(const struct route *route, const char *path, size_t path_length) {
    if (route->type == PATH_EXACT)
        return route->path_length == path_length && !memcmp(route->path, path, path_length);
    size_t length = prefix_length(route);
    return path_length >= length && !memcmp(route->path, path, length) &&
           (path_length == length || path[length] == '/');
}

static const struct route *scan(const struct host *host, const char *path, size_t path_length) {
    for (unsigned i = 0; i < host->route_count; i++)
        if (route_matches(&host->route[i], path, path_length))
            return &host->route[i];
    return NULL;
}

/* Of [low, high), sorted by falling length and then rising bytes: the one with exactly this text.
 * */
static const struct route *halve(const struct host *host, unsigned low, unsigned high, bool exact,
                                 const char *path, size_t length) {
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const struct route *route = &host->route[middle];
        size_t own = exact ? route->path_length : prefix_length(route);
        int order = own != length ? (own > length ? -1 : 1) : memcmp(route->path, path, length);
        if (!order)
            return route;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static unsigned exact_count(const struct host *host) {
    unsigned low = 0, high = host->route_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (host->route[middle].type == PATH_EXACT)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct route *search(const struct host *host, const char *path, size_t path_length) {
    unsigned exacts = exact_count(host);
    const struct route *found = halve(host, 0, exacts, true, path, path_length);
    for (size_t length = path_length; !found; length--) {
        if (length == path_length || path[length] == '/')
            found = halve(host, exacts, host->route_count, false, path, length);
        if (!length)
            break;
    }
    return found;
}

static const struct route *host_route(const struct host *host, const char *path,
                                      size_t path_length) {
    enum { FEW = 16 };
    return !host                      ? NULL
           : host->route_count <= FEW ? scan(host, path, path_length)
                                      : search(host, path, path_length);
}

static bool answer(struct route_answer *ret, const struct host *host, const struct route *route,
                   bool fallback) {
    if (!route && !(fallback && host && host->fallback))
        return false;
    *ret = (struct route_answer){ROUTE_FOUND, host, route, route ? route->backend : host->fallback,
                                 route ? route->gate : host->fallback_gate};
    return true;
}

/* The host's rules, then rules for any host, then the defaultBackend of the host's Ingress, then
 * any defaultBackend. */
void route_find(const struct tenant *tenant, const struct host *host, const char *path,
                size_t path_length, struct route_answer *ret) {
    const struct host *any = tenant->any;
    if (answer(ret, host, host_route(host, path, path_length), false) ||
        answer(ret, any, host_route(any, path, path_length), false) ||
        answer(ret, host, NULL, true) || answer(ret, any, NULL, true))
        return;
    bool rules = host || any;
    *ret = (struct route_answer){rules ? ROUTE_NO_RULE_FOR_PATH : ROUTE_NO_RULE_FOR_HOST,
                                 host ? host : any, NULL, NULL, NULL};
}

static bool named(const char *name, const char *sni, size_t length) {
    return !strncmp(name, sni, length) && !name[length];
}

const struct certificate *tenant_certificate(const struct tenant *tenant, const char *sni,
                                             size_t sni_length) {
    const char *dot = memchr(sni, '.', sni_length);
    const struct certificate *wildcard = NULL;
    size_t rest = dot ? sni_length - (size_t)(dot - sni) : 0;
    for (size_t i = 0; i < tenant->certificate_count; i++) {
        const struct certificate *certificate = &tenant->certificate[i];
        for (size_t j = 0; j < certificate->host_count; j++) {
            const char *host = certificate->host[j];
            if (named(host, sni, sni_length))
                return certificate;
            if (!wildcard && dot && dot > sni && host[0] == '*' && named(host + 1, dot, rest))
                wildcard = certificate;
        }
    }
    return wildcard;
}
