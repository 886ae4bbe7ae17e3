/* SPDX-License-Identifier: GPL-3.0-or-later
 * labels.c - reads one label; knows nothing of pods.
 *   key -> container port;   value -> scheme :// host / path;   a host that ends in `*` -> the
 * tenant's domain
 */
#include "tenants/labels.h"
#include "tenants/hostname.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char prefix[] = "kr.ingress.";
static const char *const schemes[] = {
    [LABEL_HTTP] = "http", [LABEL_HTTPS] = "https", [LABEL_TLS] = "tls", [LABEL_TCP] = "tcp"};
enum { LABEL_PATH_MAX = 4096 };

const char *label_scheme_name(enum label_scheme scheme) {
    return schemes[scheme];
}

bool label_is_ours(const char *key) {
    return !strncmp(key, prefix, sizeof prefix - 1);
}

bool label_next(const char **at, const char **ret_piece, size_t *ret_length) {
    static const char separators[] = ", \t\r\n";
    *at += strspn(*at, separators);
    *ret_piece = *at;
    *ret_length = strcspn(*at, separators);
    *at += *ret_length;
    return *ret_length > 0;
}

static bool port_parse(const char *key, uint16_t *ret, const char **ret_why) {
    const char *digits = key + sizeof prefix - 1;
    size_t length = strspn(digits, "0123456789");
    long port = length && length <= 5 && !digits[length] ? strtol(digits, NULL, 10) : 0;
    *ret_why = "the container port after kr.ingress. must be 1 to 65535";
    if (port < 1 || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool scheme_parse(const char **at, const char *end, enum label_scheme *ret,
                         const char **ret_why) {
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if ((size_t)(end - *at) < length + 3 || strncasecmp(*at, schemes[i], length) ||
            strncmp(*at + length, "://", 3))
            continue;
        *ret = (enum label_scheme)i;
        *at += length + 3;
        return true;
    }
    *ret_why = "the value must start with https://, http://, tls:// or tcp://";
    return false;
}

/* "nginx.*" is nginx.<domain>, "*" the domain itself, "*.*" any one label below it. */
static const char *host_expand(struct stash *stash, const char *host, const char *domain,
                               const char **ret_why) {
    size_t length = strlen(host);
    if (!length || host[length - 1] != '*')
        return host;
    *ret_why =
        "a host that ends in `*` needs the tenant to have a domain (spec.domain of its Tenant)";
    if (length > 1 && host[length - 2] != '.') {
        *ret_why = "a `*` in a host must be a label of its own";
        return NULL;
    }
    return domain && *domain ? stash_format(stash, "%.*s%s", (int)length - 1, host, domain) : NULL;
}

static bool host_parse(struct stash *stash, const char *text, size_t length, const char *domain,
                       struct label *label, const char **ret_why) {
    if (!length || length > HOSTNAME_MAX + 1) {
        *ret_why = length ? "the host is longer than 253 characters" : "the host is missing";
        return false;
    }
    if (memchr(text, '$', length)) {
        *ret_why = "variables are not replaced here: write what the host is";
        return false;
    }
    if (memchr(text, ':', length) || memchr(text, '@', length)) {
        *ret_why = "the host must be a plain name, without port or user";
        return false;
    }
    const char *why = NULL,
               *host = host_expand(stash, stash_slice(stash, text, length), domain, ret_why);
    if (!host)
        return false;
    label->host = hostname_normalise(stash, host, true, &why);
    if (!label->host)
        *ret_why = stash_format(stash, "the host `%s` %s", host, why);
    return label->host != NULL;
}

static bool path_parse(struct stash *stash, const char *text, size_t length, struct label *label,
                       const char **ret_why) {
    *ret_why = length > LABEL_PATH_MAX
                   ? "the path is longer than 4096 bytes"
                   : "the path must hold no `?`, `#`, `\\` or control character";
    if (length > LABEL_PATH_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f || strchr("?#\\", text[i]))
            return false;
    label->path = length ? stash_slice(stash, text, length) : "/";
    *ret_why =
        strstr(label->path, "//") || strstr(label->path, "/./") || strstr(label->path, "/../")
            ? "the path must hold no `//`, `/./` or `/../`"
            : NULL;
    return !*ret_why;
}

bool label_parse(struct stash *stash, const char *key, const char *piece, size_t length,
                 const char *domain, struct label *ret, const char **ret_why) {
    const char *at = piece, *end = piece + length;
    struct label label = {0};
    if (!port_parse(key, &label.port, ret_why) || !scheme_parse(&at, end, &label.scheme, ret_why))
        return false;
    const char *slash = memchr(at, '/', (size_t)(end - at)), *host_end = slash ? slash : end;
    if (!path_parse(stash, host_end, (size_t)(end - host_end), &label, ret_why))
        return false;
    bool plain = !strcmp(label.path, "/");
    if (label.scheme == LABEL_TCP) {
        *ret_why = "tcp:// takes neither host nor path";
        if (host_end != at || !plain)
            return false;
    } else if (!host_parse(stash, at, (size_t)(host_end - at), domain, &label, ret_why)) {
        return false;
    }
    if (label.scheme == LABEL_TLS && !plain) {
        *ret_why = "tls:// takes no path: the stream is not opened";
        return false;
    }
    *ret = label;
    return true;
}

bool label_origin_is_on(const char *origin, const char *object) {
    size_t n = strlen(origin), size = strlen(object);
    return n > size && origin[n - size - 1] == ' ' && !strcmp(origin + n - size, object);
}
