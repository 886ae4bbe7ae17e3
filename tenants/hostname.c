/* SPDX-License-Identifier: GPL-3.0-or-later
 * hostname.c - names are compared only after hostname_normalise, so that case, a final dot and
 * look-alikes cannot make two
 * claims of one name. IDNA: A-labels only (RFC 5890 2.3.2.1); whoever writes a U-label is told.
 */
#include "tenants/hostname.h"
#include <arpa/inet.h>
#include <libpsl.h>
#include <string.h>

static bool label_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool label_good(const char *label, size_t length) {
    if (!length || length > 63 || label[0] == '-' || label[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!label_char(label[i]))
            return false;
    return true;
}

bool tenant_name_good(const char *name) {
    return label_good(name, strlen(name));
}

bool hostname_is_wildcard(const char *name) {
    return name[0] == '*' && name[1] == '.';
}

/* Of a name already in lower case. */
static const char *fault_find(const char *name) {
    for (const char *label = name;; label++) {
        size_t length = strcspn(label, ".");
        if (!label_good(label, length))
            return "is not a DNS name (labels of a-z, 0-9 and `-`)";
        if (label[length] == 0)
            return strspn(label, "0123456789") == length
                       ? "is an IP address or ends in a number, not a DNS name"
                       : NULL;
        label += length;
    }
}

const char *hostname_normalise(struct stash *stash, const char *text, bool wildcard,
                               const char **ret_why) {
    size_t length = strnlen(text, HOSTNAME_MAX + 2);
    struct in6_addr any;
    *ret_why = NULL;
    if (length && text[length - 1] == '.')
        length--;
    if (!length)
        *ret_why = "is empty";
    else if (length > HOSTNAME_MAX)
        *ret_why = "is longer than 253 characters";
    else if (inet_pton(AF_INET6, text, &any) == 1 || text[0] == '[')
        *ret_why = "is an IP address, not a DNS name";
    for (const char *at = text; !*ret_why && at < text + length; at++)
        if (*at & 0x80)
            *ret_why = "holds letters beyond ASCII: write its A-label (xn--…)";
    if (*ret_why)
        return NULL;
    char *name = stash_lower(stash, stash_slice(stash, text, length));
    bool star = hostname_is_wildcard(name);
    if (star && !wildcard)
        *ret_why = "is a wildcard, which cannot stand here";
    else
        *ret_why = fault_find(star ? name + 2 : name);
    return *ret_why ? NULL : name;
}

bool hostname_under(const char *host, const char *domain) {
    size_t length = strlen(host), rest = strlen(domain);
    if (length < rest || strcmp(host + length - rest, domain))
        return false;
    return length == rest || host[length - rest - 1] == '.';
}

bool hostname_covers(const char *pattern, const char *host) {
    if (!strcmp(pattern, host))
        return true;
    const char *dot = strchr(host, '.');
    return hostname_is_wildcard(pattern) && !hostname_is_wildcard(host) && dot &&
           !strcmp(pattern + 2, dot + 1);
}

const char *hostname_refusal(const char *name) {
    const char *plain = hostname_is_wildcard(name) ? name + 2 : name;
    const psl_ctx_t *list = psl_builtin();
    if (!strchr(plain, '.'))
        return "a single label belongs to nobody";
    if (list && psl_is_public_suffix(list, plain))
        return "a public suffix belongs to nobody";
    return NULL;
}
