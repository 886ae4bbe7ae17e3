/* SPDX-License-Identifier: GPL-3.0-or-later
 * gate.c - annotations of Ingresses and Services that say which clients may come in, with how much, and how pods hear of them.
 *
 *   ringress/allow-source-range: 10.0.0.0/8, 192.0.2.7     only these    (as ingress-nginx's whitelist-source-range)
 *   ringress/deny-source-range:  10.6.0.0/16               never these; looked at first
 *   ringress/max-body-size: 10Mi       ringress/proxy-protocol: v2       ringress/begin-trace: "true"
 *
 * A mistake rejects the drop: a list that was meant to keep people out must never be read as no list.
 */
#include "core/conf.h"
#include "tenants/network.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

enum { PREFIXES_MOST = 1000 };

const struct word *annotation_find(const struct object *object, const char *key) {
    const struct dict *all = object->metadata ? &object->metadata->annotations : NULL;
    for (size_t i = 0; all && i < all->count; i++)
        if (!strcmp(all->item[i].key.text, key))
            return &all->item[i].value;
    return NULL;
}

/* ---- lists of prefixes ---- */

/* "10.1.2.3/8" is taken as 10.0.0.0/8, as Kubernetes' own readers do, and said. */
static bool prefix_read(struct reader *r, const char *key, const struct word *at, const char *text,
                        struct prefix *ret) {
    char *bare = stash_text(r->stash, text), *slash = strchr(bare, '/'), *rest;
    union address address;
    struct prefix one;
    if (prefix_parse(text, ret))
        return true;
    if (!slash || !slash[1] || slash[1 + strspn(slash + 1, "0123456789")] || strlen(slash) > 4)
        return false;
    unsigned long bits = strtoul(slash + 1, &rest, 10);
    *slash = 0;
    if (!address_parse(bare, 0, &address) || !prefix_parse(bare, &one) || bits > one.bits)
        return false;
    for (unsigned i = (unsigned)bits; i < one.bits; i++)
        one.addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    one.bits = (uint8_t)bits;
    *ret = one;
    reader_warning(r, at->at, "%s: the bits of %s behind its prefix are ignored", key, text);
    return true;
}

static size_t prefixes_read(struct reader *r, const struct object *object, const char *key,
                            const struct prefix **ret) {
    const struct word *value = annotation_find(object, key);
    struct prefix *list = NULL;
    size_t count = 0;
    if (!value)
        return 0;
    char *text = stash_text(r->stash, value->text), *next = NULL;
    for (char *item = strtok_r(text, ", \t\r\n", &next); item;
         item = strtok_r(NULL, ", \t\r\n", &next)) {
        list = stash_room(r->stash, list, count, sizeof *list);
        if (count == PREFIXES_MOST) {
            reader_error(r, value->at, "%s: more than %d prefixes", key, PREFIXES_MOST);
            break;
        }
        if (prefix_read(r, key, value, item, &list[count]))
            count++;
        else
            reader_error(r, value->at,
                         "%s: `%.80s` is neither an address nor a prefix like "
                         "10.0.0.0/8",
                         key, item);
    }
    if (!list)
        reader_error(r, value->at, "%s: names no address", key);
    *ret = list;
    return count;
}

/* ---- the others ---- */

static int64_t body_size_read(struct reader *r, const struct object *object) {
    static const char key[] = "ringress/max-body-size";
    const struct word *value = annotation_find(object, key);
    int64_t size = -1;
    if (value && (!conf_size_parse(value->text, &size) || size <= 0))
        reader_error(r, value->at, "%s: must be a size like 64Ki, 10Mi or 1Gi", key);
    return size;
}

static uint8_t proxy_version_read(struct reader *r, const struct object *object) {
    static const char key[] = "ringress/proxy-protocol";
    const struct word *value = annotation_find(object, key);
    if (value && strcmp(value->text, "v1") && strcmp(value->text, "v2"))
        reader_error(r, value->at, "%s: must be \"v1\" or \"v2\"", key);
    return !value ? 0 : value->text[0] == 'v' && value->text[1] == '1' ? 1 : 2;
}

static bool trace_read(struct reader *r, const struct object *object) {
    static const char key[] = "ringress/begin-trace";
    const struct word *value = annotation_find(object, key);
    if (value && strcmp(value->text, "true") && strcmp(value->text, "false"))
        reader_error(r, value->at, "%s: must be \"true\" or \"false\"", key);
    return value && !strcmp(value->text, "true");
}

static void requests_needed(struct reader *r, const struct object *object) {
    static const char *const keys[] = {"ringress/max-body-size", "ringress/begin-trace"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct word *value = annotation_find(object, keys[i]);
        if (value)
            reader_error(r, value->at,
                         "%s: no request can be seen here, it needs an Ingress "
                         "without tls-passthrough",
                         keys[i]);
    }
}

/* ---- the whole ---- */

static bool says_something(const struct gate *p) {
    return p->allow_count || p->deny_count || p->body_size_max >= 0 || p->proxy_version || p->trace;
}

struct gate *gate_read(struct reader *r, const struct object *object, bool http) {
    struct gate p = {.body_size_max = -1};
    p.allow_count = prefixes_read(r, object, "ringress/allow-source-range", &p.allow);
    p.deny_count = prefixes_read(r, object, "ringress/deny-source-range", &p.deny);
    p.proxy_version = proxy_version_read(r, object);
    if (http) {
        p.body_size_max = body_size_read(r, object);
        p.trace = trace_read(r, object);
    } else {
        requests_needed(r, object);
    }
    if (!says_something(&p))
        return NULL;
    struct gate *gate = stash_alloc(r->stash, sizeof *gate);
    *gate = p;
    return gate;
}

static const struct prefix *prefixes_take(struct work *w, const struct prefix *list, size_t count) {
    struct prefix *copy = stash_array(w->stash, count + 1, sizeof *copy);
    if (count)
        memcpy(copy, list, count * sizeof *copy);
    return copy;
}

const struct gate *gate_take(struct work *w, const struct gate *from) {
    if (!from)
        return NULL;
    struct gate *gate = stash_alloc(w->stash, sizeof *gate);
    *gate = *from;
    gate->allow = prefixes_take(w, from->allow, from->allow_count);
    gate->deny = prefixes_take(w, from->deny, from->deny_count);
    w->out->tenant.limits.refuses |=
        from->allow_count || from->deny_count || from->body_size_max >= 0;
    return gate;
}

/* ---- asked by the data path ---- */

bool gate_admits(const struct gate *gate, const union address *client) {
    if (client->any.sa_family != AF_INET && client->any.sa_family != AF_INET6)
        return !gate->allow_count && !gate->deny_count;
    for (size_t i = 0; i < gate->deny_count; i++)
        if (prefix_contains(&gate->deny[i], client))
            return false;
    for (size_t i = 0; i < gate->allow_count; i++)
        if (prefix_contains(&gate->allow[i], client))
            return true;
    return !gate->allow_count;
}

bool tenant_is_limited(const struct tenant *t) {
    const struct limits *l = &t->limits;
    return l->connections || l->new_connections_per_second || l->requests_per_second ||
           l->bandwidth_bits || l->request_size || l->refuses;
}
