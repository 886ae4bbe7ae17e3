/* SPDX-License-Identifier: GPL-3.0-or-later
 * network.c - may a pod at this address be dialled? An address is unfolded first (IPv4 inside
 * IPv6), then:
 *
 *   no host, multicast, metadata, IPv4 in disguise: never
 *   a listener of the edge: never
 *   loopback, link-local: only when a prefix of `allow` lies inside that range
 *   an address of the machine: only when `allow` names it, alone
 *   any other: inside a prefix of `allow`
 */
#include "tenants/network.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool address_parse(const char *text, uint16_t port, union address *ret) {
    union address address;
    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
    } else {
        return false;
    }
    *ret = address;
    return true;
}

uint16_t address_port(const union address *address) {
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

struct prefix address_bare(const union address *address) {
    struct prefix bare = {.family = AF_INET, .bits = 32};
    if (address->any.sa_family == AF_INET) {
        memcpy(bare.addr, &address->v4.sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        memcpy(bare.addr, address->v6.sin6_addr.s6_addr + 12, 4);
    } else {
        bare.family = AF_INET6, bare.bits = 128;
        memcpy(bare.addr, &address->v6.sin6_addr, 16);
    }
    return bare;
}

bool address_same(const union address *a, const union address *b) {
    struct prefix left = address_bare(a), right = address_bare(b);
    return address_port(a) == address_port(b) && !memcmp(&left, &right, sizeof left);
}

void address_print(const union address *address, char text[ADDRESS_TEXT_MAX]) {
    char bare[INET6_ADDRSTRLEN] = "?";
    bool six = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family,
              six ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr,
              bare, sizeof bare);
    snprintf(text, ADDRESS_TEXT_MAX, six ? "[%s]:%u" : "%s:%u", bare, address_port(address));
}

static bool bits_match(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned bytes = bits / 8, rest = bits % 8;
    return !memcmp(a, b, bytes) && (!rest || !((a[bytes] ^ b[bytes]) >> (8 - rest)));
}

static bool prefix_holds(const struct prefix *outer, const struct prefix *inner) {
    return outer->family == inner->family && outer->bits <= inner->bits &&
           bits_match(outer->addr, inner->addr, outer->bits);
}

bool prefix_contains(const struct prefix *prefix, const union address *address) {
    struct prefix bare = address_bare(address);
    return prefix_holds(prefix, &bare);
}

bool prefix_parse(const char *text, struct prefix *ret) {
    char bare[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    struct prefix prefix;
    union address address;
    if (length >= sizeof bare)
        return false;
    memcpy(bare, text, length);
    bare[length] = 0;
    if (!address_parse(bare, 0, &address) ||
        (slash &&
         (!slash[1] || strlen(slash + 1) > 3 || slash[1 + strspn(slash + 1, "0123456789")])))
        return false;
    prefix = address_bare(&address);
    unsigned bits = slash ? (unsigned)atoi(slash + 1) : prefix.bits;
    struct prefix masked = {.family = prefix.family, .bits = (uint8_t)bits};
    if (bits > prefix.bits)
        return false;
    for (unsigned i = 0; i < bits; i++)
        masked.addr[i / 8] |= prefix.addr[i / 8] & (0x80 >> i % 8);
    if (memcmp(masked.addr, prefix.addr, sizeof masked.addr))
        return false;
    *ret = masked;
    return true;
}

#define V4(a, b, c, d, n) \
    {                     \
        AF_INET, n, {     \
            a, b, c, d    \
        }                 \
    }
#define V6(n, ...)      \
    {                   \
        AF_INET6, n, {  \
            __VA_ARGS__ \
        }               \
    }

/* What clouds answer secrets on, what is no host, and IPv6 that carries an IPv4 address past the rules
 * for it: 6to4, NAT64 (RFC 6052, RFC 8215), Teredo, SIIT, and what was once called IPv4-compatible. */
static const struct prefix never[] = {
    V4(169, 254, 169, 254, 32), /* nearly everybody */
    V4(169, 254, 170, 2, 32),   /* AWS: tasks, pods, time, DNS */
    V4(169, 254, 170, 23, 32),
    V4(169, 254, 169, 123, 32),
    V4(169, 254, 169, 253, 32),
    V4(169, 254, 42, 42, 32),   /* Scaleway */
    V4(169, 254, 0, 23, 32),    /* Tencent */
    V4(100, 100, 100, 200, 32), /* Alibaba */
    V4(192, 0, 0, 192, 32),     /* Oracle */
    V4(168, 63, 129, 16, 32),   /* Azure */
    V4(0, 0, 0, 0, 8),
    V4(224, 0, 0, 0, 3),
    V6(32, 0xfd, 0x00, 0x0e, 0xc2),                                 /* AWS */
    V6(128, 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54),             /* Google */
    V6(128, 0xfd, 0x00, 0x00, 0x42, [15] = 0x42),                   /* Scaleway */
    V6(128, 0xfd, 0x00, 0xa9, 0xfe, 0xa9, 0xfe, [15] = 1),          /* Linode */
    V6(128, 0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe), /* Oracle */
    V6(128, 0xfd, 0x00, 0x01, 0x00, [12] = 0x01, 0x00, 0x02, 0x00), /* Alibaba */
    V6(128, 0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe),             /* OpenStack */
    V6(8, 0xff),                                                    /* multicast */
    V6(128, 0),                                                     /* none */
    V6(96, 0x00, 0x64, 0xff, 0x9b),                                 /* NAT64 */
    V6(48, 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01),                     /* NAT64, local */
    V6(16, 0x20, 0x02),                                             /* 6to4 */
    V6(32, 0x20, 0x01, 0x00, 0x00),                                 /* Teredo */
    V6(96, [8] = 0xff, 0xff),                                       /* SIIT */
};
/* IPv4-compatible: all of ::/96 but ::1. */
static const struct prefix compatible = V6(96, 0);
static const struct prefix loopback_six = V6(128, [15] = 1);
/* Reachable only when the operator wrote a prefix inside that range: 0.0.0.0/0 does not mean them.
 * */
static const struct prefix delicate[] = {
    V4(127, 0, 0, 0, 8),
    V4(169, 254, 0, 0, 16),
    V6(128, [15] = 1),
    V6(10, 0xfe, 0x80),
};

static bool listed(const struct prefix *list, size_t count, const struct prefix *bare,
                   const struct prefix **ret_match) {
    for (size_t i = 0; i < count; i++)
        if (prefix_holds(&list[i], bare)) {
            *ret_match = &list[i];
            return true;
        }
    return false;
}

static bool is_never(const struct prefix *bare) {
    const struct prefix *match;
    return listed(never, sizeof never / sizeof *never, bare, &match) ||
           (prefix_holds(&compatible, bare) && !prefix_holds(&loopback_six, bare));
}

static bool is_loopback(const struct prefix *bare) {
    return prefix_holds(&delicate[0], bare) || prefix_holds(&loopback_six, bare);
}

static const char *range_refusal(const struct network *network, const struct prefix *bare) {
    const struct prefix *range = NULL;
    if (is_never(bare))
        return "the address is never dialled (metadata service, multicast, no host, or IPv4 inside "
               "IPv6)";
    if (!network->allow_count)
        return "the tenant has no network.allow";
    listed(delicate, sizeof delicate / sizeof *delicate, bare, &range);
    for (size_t i = 0; i < network->allow_count; i++)
        if (prefix_holds(&network->allow[i], bare) &&
            (!range || prefix_holds(range, &network->allow[i])))
            return NULL;
    return range ? "loopback and link-local addresses need a prefix of their own in network.allow"
                 : "the address lies outside network.allow";
}

bool network_allows(const struct network *network, const union address *address) {
    struct prefix bare = address_bare(address);
    return !range_refusal(network, &bare);
}

bool network_names(const struct network *network, const union address *address) {
    struct prefix bare = address_bare(address);
    for (size_t i = 0; i < network->allow_count; i++)
        if (!memcmp(&network->allow[i], &bare, sizeof bare))
            return true;
    return false;
}

/* ---- what the edge itself is ---- */

static int prefix_order(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct prefix));
}

void own_sort(struct own *own) {
    if (own->address_count)
        qsort(own->address, own->address_count, sizeof *own->address, prefix_order);
}

bool own_has(const struct own *own, const struct prefix *bare) {
    return own->address_count &&
           bsearch(bare, own->address, own->address_count, sizeof *own->address, prefix_order);
}

static bool bare_is_any(const struct prefix *bare) {
    static const uint8_t zero[16];
    return !memcmp(bare->addr, zero, sizeof zero);
}

/* A listener on 0.0.0.0 answers on each address of the machine, one on [::] on those of both families. All of 127/8 is the
 * machine's, whatever its interfaces say. */
static bool listener_answers(const struct own_listener *l, const struct own *own,
                             const struct prefix *bare) {
    if (!bare_is_any(&l->at))
        return !memcmp(&l->at, bare, sizeof *bare);
    return (l->at.family == bare->family || l->at.family == AF_INET6) &&
           (is_loopback(bare) || own_has(own, bare));
}

bool own_listens(const struct own *own, const struct prefix *bare, uint16_t port) {
    for (size_t i = 0; i < own->listener_count; i++) {
        const struct own_listener *l = &own->listener[i];
        if (port >= l->low && port <= l->high && listener_answers(l, own, bare))
            return true;
    }
    return false;
}

/* In a namespace of its own, loopback is that namespace's; other addresses of this machine may still be reached from there, and
 * its listeners with them, but who else has such an address there is not known here. */
const char *own_refusal(const struct own *own, bool elsewhere, bool named,
                        const union address *address) {
    struct prefix bare = address_bare(address);
    bool loopback = is_loopback(&bare);
    if (elsewhere && loopback)
        return NULL;
    if (own_listens(own, &bare, address_port(address)))
        return "the address is one of the edge's own listeners";
    if (!elsewhere && !named && !loopback && own_has(own, &bare))
        return "the address is the edge's own: network.allow has to name it, alone";
    return NULL;
}

const char *network_refusal(const struct network *network, const struct own *own,
                            const union address *address) {
    struct prefix bare = address_bare(address);
    const char *refusal =
        own ? own_refusal(own, network->netns, network_names(network, address), address) : NULL;
    return refusal ? refusal : range_refusal(network, &bare);
}
