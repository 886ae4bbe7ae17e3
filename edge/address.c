/* SPDX-License-Identifier: GPL-3.0-or-later
 * address.c - see address.h. Numbers only: nothing here asks a resolver.
 */
#include "edge/address.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool port_parse(const char *text, uint16_t *ret) {
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 5 || text[digits] || strtoul(text, NULL, 10) > 65535)
        return false;
    *ret = (uint16_t)strtoul(text, NULL, 10);
    return *ret != 0;
}

bool endpoint_parse(const char *text, union address *ret) {
    char host[ADDRESS_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    uint16_t port;
    if (!colon || (size_t)(colon - text) >= sizeof host || !port_parse(colon + 1, &port))
        return false;
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - (bracketed ? 2 : 0),
             text + bracketed);
    union address a;
    if (!address_parse(host, port, &a) || (a.any.sa_family == AF_INET6) != bracketed)
        return false;
    *ret = a;
    return true;
}

const char *address_print_host(const union address *a, char out[ADDRESS_TEXT_MAX]) {
    bool v4 = a->any.sa_family == AF_INET;
    const void *bytes = v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr;
    if (!inet_ntop(a->any.sa_family, bytes, out, ADDRESS_TEXT_MAX))
        out[0] = 0;
    return out;
}

void address_set_port(union address *a, uint16_t port) {
    if (a->any.sa_family == AF_INET)
        a->v4.sin_port = htons(port);
    else
        a->v6.sin6_port = htons(port);
}

bool address_is_any(const union address *a) {
    return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
                                       : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

socklen_t address_length(const union address *a) {
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}
