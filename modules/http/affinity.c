/* SPDX-License-Identifier: GPL-3.0-or-later
 * affinity.c - see affinity.h. Reads the request's head, changes nothing; what it finds is never trusted, only hashed.
 */
#include "modules/http/affinity.h"
#include "core/upstream.h"
#include "tenants/compiled.h"

static const char *trim(const char *at, const char *end, const char **ret_end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *ret_end = end;
    return at;
}

bool cookie_find(const char *field, size_t length, const char *name, const char **ret,
                 size_t *ret_length) {
    const char *end = field + length;
    size_t name_length = strlen(name);
    while (field < end) {
        const char *semicolon = memchr(field, ';', (size_t)(end - field)), *last;
        const char *next = semicolon ? semicolon + 1 : end;
        const char *at = trim(field, semicolon ? semicolon : end, &last);
        if ((size_t)(last - at) > name_length && at[name_length] == '=' &&
            !memcmp(at, name, name_length)) {
            at += name_length + 1;
            bool quoted = last - at >= 2 && *at == '"' && last[-1] == '"';
            *ret = at + quoted;
            *ret_length = (size_t)(last - at) - 2 * (size_t)quoted;
            return *ret_length > 0;
        }
        field = next;
    }
    return false;
}

/* HTTP/2 clients may send several fields. */
static uint64_t cookie_key(const struct message *m, const char *name) {
    struct head_field f;
    const char *value;
    size_t length;
    for (uint32_t from = m->fields; head_find(&m->head, from, "cookie", 6, &f); from = f.end)
        if (cookie_find((const char *)m->head.data + f.value_at, f.value_length, name, &value,
                        &length))
            return upstream_key(value, length);
    return 0;
}

uint64_t affinity_key(const struct message *m, const struct policy *policy, const char *peer,
                      size_t peer_length) {
    return policy->hash_cookie ? cookie_key(m, policy->hash_cookie)
                               : upstream_key(peer, peer_length);
}
