/* SPDX-License-Identifier: GPL-3.0-or-later
 * address.c - see address.h. Numbers only: nothing here asks a resolver.
 */
#include "edge/address.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number_parse(const char *text, unsigned max, unsigned *ret) {
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 5 || text[digits] || strtoul(text, NULL, 10) > max)
        return false;
    *ret = (unsigned)strtoul(text, NULL, 10);
    return true;
}

bool address_parse_host(const char *text, union address *ret) {
    union address a = {0};
    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
    } else {
        memset(&a, 0, sizeof a);
        if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) != 1)
            return false;
        a.v6.sin6_family = AF_INET6;
    }
    *ret = a;
    return true;
}

bool address_parse(const char *text, union address *ret) {
    char host[ADDRESS_TEXT];
    const char *colon = strrchr(text, ':');
    unsigned port;
    if (!colon || (size_t)(colon - text) >= sizeof host || !number_parse(colon + 1, 65535, &port) || !port)
        return false;
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - (bracketed ? 2 : 0), text + bracketed);
    union address a;
    if (!address_parse_host(host, &a) || (a.any.sa_family == AF_INET6) != bracketed)
        return false;
    address_set_port(&a, (uint16_t)port);
    *ret = a;
    return true;
}

static bool tail_is_zero(const struct prefix *p, unsigned width) {
    for (unsigned bit = p->bits; bit < width; bit++)
        if (p->addr[bit / 8] & (0x80u >> bit % 8))
            return false;
    return true;
}

bool prefix_parse(const char *text, struct prefix *ret) {
    char host[ADDRESS_TEXT];
    const char *slash = strchrnul(text, '/');
    union address a;
    if ((size_t)(slash - text) >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(slash - text), text);
    if (!address_parse_host(host, &a))
        return false;
    bool v4 = a.any.sa_family == AF_INET;
    unsigned width = v4 ? 32 : 128, bits = width;
    if (*slash && !number_parse(slash + 1, width, &bits))
        return false;
    struct prefix p = {.family = (uint8_t)a.any.sa_family, .bits = (uint8_t)bits};
    memcpy(p.addr, v4 ? (void *)&a.v4.sin_addr : (void *)&a.v6.sin6_addr, width / 8);
    if (!tail_is_zero(&p, width))
        return false;
    *ret = p;
    return true;
}

const char *address_print_host(const union address *a, char out[ADDRESS_TEXT]) {
    bool v4 = a->any.sa_family == AF_INET;
    if (!inet_ntop(a->any.sa_family, v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr, out,
                   ADDRESS_TEXT))
        out[0] = 0;
    return out;
}

const char *address_print(const union address *a, char out[ADDRESS_TEXT]) {
    char host[ADDRESS_TEXT];
    address_print_host(a, host);
    snprintf(out, ADDRESS_TEXT, a->any.sa_family == AF_INET6 ? "[%.46s]:%u" : "%.46s:%u", host, address_port(a));
    return out;
}

uint16_t address_port(const union address *a) {
    return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
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

bool address_equal(const union address *a, const union address *b) {
    if (a->any.sa_family != b->any.sa_family || address_port(a) != address_port(b))
        return false;
    return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
                                       : !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16);
}

socklen_t address_length(const union address *a) {
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}
