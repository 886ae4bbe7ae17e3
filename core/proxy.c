/* SPDX-License-Identifier: GPL-3.0-or-later
 * proxy.c - the PROXY protocol read and written, see proxy.h. Strict: what two readers could take for different addresses is bad.
 */
#include "core/proxy.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t signature[PROXY_SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t word[PROXY_WORD] = {'P', 'R', 'O', 'X', 'Y', ' '};

enum {
    V2_HEAD = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_UNIX = 0x31
};
enum { TLV_HEAD = 3, TLV_CRC32C = 0x03 };

static union address address_of(int family, const void *ip, uint16_t port_net) {
    union address a = {0};
    if (family == AF_INET) {
        a.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port_net};
        memcpy(&a.v4.sin_addr, ip, 4);
    } else if (memcmp(ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) {
        return address_of(AF_INET, (const uint8_t *)ip + 12,
                          port_net); /* mapped: lists know it as IPv4 */
    } else {
        a.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port_net};
        memcpy(&a.v6.sin6_addr, ip, 16);
    }
    return a;
}

/* ---- v1 ---- */

/* The next word of the line; `last`: it ends the line, else one space ends it. */
static bool word_next(const char **at, const char *end, bool last, char *out, size_t room) {
    const char *stop = last ? end : memchr(*at, ' ', (size_t)(end - *at));
    size_t length = stop ? (size_t)(stop - *at) : 0;
    if (!length || length >= room)
        return false;
    memcpy(out, *at, length);
    out[length] = 0;
    *at = last ? end : stop + 1;
    return !memchr(out, ' ', length);
}

/* Decimal, no zeros before it. */
static bool port_next(const char **at, const char *end, bool last, uint16_t *ret_net) {
    char text[6];
    unsigned long port = 0;
    if (!word_next(at, end, last, text, sizeof text) || (text[0] == '0' && text[1]))
        return false;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        port = port * 10 + (unsigned long)(*c - '0');
    }
    *ret_net = htons((uint16_t)port);
    return port <= 65535;
}

static bool ip_next(const char **at, const char *end, int family, uint8_t out[16]) {
    char text[INET6_ADDRSTRLEN];
    return word_next(at, end, false, text, sizeof text) && inet_pton(family, text, out) == 1;
}

static enum proxy_step v1_line(const char *at, const char *end, struct proxy_header *h) {
    uint8_t from[16], to[16];
    uint16_t from_port, to_port;
    size_t length = (size_t)(end - at);
    if (length >= 7 && !memcmp(at, "UNKNOWN", 7) && (length == 7 || at[7] == ' '))
        return PROXY_DONE; /* what follows on the line has no meaning */
    int family = length > 5 && !memcmp(at, "TCP4 ", 5)   ? AF_INET
                 : length > 5 && !memcmp(at, "TCP6 ", 5) ? AF_INET6
                                                         : 0;
    at += 5;
    if (!family || !ip_next(&at, end, family, from) || !ip_next(&at, end, family, to) ||
        !port_next(&at, end, false, &from_port) || !port_next(&at, end, true, &to_port))
        return PROXY_BAD;
    h->source = address_of(family, from, from_port);
    h->destination = address_of(family, to, to_port);
    return PROXY_DONE;
}

static enum proxy_step v1_read(const uint8_t *data, size_t length, struct proxy_header *h) {
    size_t most = length < PROXY_V1_MOST ? length : PROXY_V1_MOST;
    const uint8_t *end = memchr(data, '\n', most);
    /* A line is text: anything else is refused before its end has come. */
    for (const uint8_t *c = data; c < (end ? end : data + most); c++)
        if ((*c < 0x20 || *c > 0x7e) && !(*c == '\r' && (c + 1 == end || c + 1 == data + length)))
            return PROXY_BAD;
    if (!end)
        return length >= PROXY_V1_MOST ? PROXY_BAD : PROXY_MORE;
    if (end[-1] != '\r')
        return PROXY_BAD;
    h->length = (size_t)(end + 1 - data);
    return v1_line((const char *)data + PROXY_WORD, (const char *)end - 1, h);
}

/* ---- v2 ---- */

/* RFC 3720 appendix B.4; only for headers that carry one, so bit by bit is fast enough. */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return crc;
}

/* Of the whole header, the checksum's own bytes taken as zero. */
static bool crc_agrees(const uint8_t *data, size_t length, const uint8_t *at) {
    static const uint8_t zero[4];
    uint32_t crc = crc32c(0xffffffff, data, (size_t)(at - data));
    crc = crc32c(crc, zero, 4);
    crc = ~crc32c(crc, at + 4, (size_t)(data + length - at - 4));
    return crc == ((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
}

static bool tlvs_good(const uint8_t *data, size_t from, size_t length) {
    while (from < length) {
        if (length - from < TLV_HEAD)
            return false;
        size_t size = (size_t)data[from + 1] << 8 | data[from + 2];
        const uint8_t *value = data + from + TLV_HEAD;
        if (size > length - from - TLV_HEAD)
            return false;
        if (data[from] == TLV_CRC32C && (size != 4 || !crc_agrees(data, length, value)))
            return false;
        from += TLV_HEAD + size;
    }
    return true;
}

/* Where addresses end and TLVs begin; 0: a family or transport that is no TCP. */
static size_t v2_addresses(const uint8_t *data, size_t length, struct proxy_header *h) {
    int family = data[13] == V2_TCP4 ? AF_INET : AF_INET6;
    size_t ip = family == AF_INET ? 4 : 16, end = V2_HEAD + 2 * ip + 4;
    const uint8_t *at = data + V2_HEAD;
    uint16_t port[2];
    if ((data[13] != V2_TCP4 && data[13] != V2_TCP6) || length < end)
        return 0;
    memcpy(port, at + 2 * ip, sizeof port);
    h->source = address_of(family, at, port[0]);
    h->destination = address_of(family, at + ip, port[1]);
    return end;
}

static enum proxy_step v2_read(const uint8_t *data, size_t length, struct proxy_header *h) {
    if (length > 12 && data[12] != V2_LOCAL && data[12] != V2_PROXY)
        return PROXY_BAD;
    if (length < V2_HEAD)
        return PROXY_MORE;
    size_t whole = V2_HEAD + ((size_t)data[14] << 8 | data[15]), tlvs;
    if (whole > PROXY_V2_MOST)
        return PROXY_BAD;
    if (length < whole)
        return PROXY_MORE;
    h->length = whole;
    if (data[12] == V2_LOCAL || data[13] == 0) /* the rest has no meaning */
        return PROXY_DONE;
    if (data[13] == V2_UNIX) /* a client on the proxy's own machine, without an address of ours */
        tlvs = whole < V2_HEAD + 216 ? 0 : V2_HEAD + 216;
    else
        tlvs = v2_addresses(data, whole, h);
    return tlvs && tlvs_good(data, tlvs, whole) ? PROXY_DONE : PROXY_BAD;
}

/* ---- the whole ---- */

/* Neither 'P' nor CR begins the other, so the first byte tells. */
static bool begins(const uint8_t *data, size_t length, const uint8_t *with, size_t size) {
    return !memcmp(data, with, length < size ? length : size);
}

enum proxy_step proxy_read(const uint8_t *data, size_t length, struct proxy_header *ret) {
    *ret = (struct proxy_header){0};
    if (begins(data, length, word, sizeof word))
        return length < sizeof word ? PROXY_MORE : v1_read(data, length, ret);
    if (begins(data, length, signature, sizeof signature))
        return length < sizeof signature ? PROXY_MORE : v2_read(data, length, ret);
    return PROXY_BAD;
}

static size_t write_text(const union address *from, const union address *to, char *out) {
    char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];
    int n;
    if (from->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &from->v4.sin_addr, a, sizeof a);
        inet_ntop(AF_INET, &to->v4.sin_addr, b, sizeof b);
        n = snprintf(out, PROXY_WRITE_MOST, "PROXY TCP4 %s %s %u %u\r\n", a, b,
                     ntohs(from->v4.sin_port), ntohs(to->v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &from->v6.sin6_addr, a, sizeof a);
        inet_ntop(AF_INET6, &to->v6.sin6_addr, b, sizeof b);
        n = snprintf(out, PROXY_WRITE_MOST, "PROXY TCP6 %s %s %u %u\r\n", a, b,
                     ntohs(from->v6.sin6_port), ntohs(to->v6.sin6_port));
    }
    return (size_t)n;
}

static size_t write_binary(const union address *from, const union address *to, uint8_t *out) {
    bool v6 = from->any.sa_family == AF_INET6;
    size_t ip = v6 ? 16 : 4, length = 2 * ip + 4;
    memcpy(out, signature, sizeof signature);
    out[12] = V2_PROXY;
    out[13] = v6 ? V2_TCP6 : V2_TCP4;
    out[14] = 0;
    out[15] = (uint8_t)length;
    memcpy(out + V2_HEAD, v6 ? (const void *)&from->v6.sin6_addr : &from->v4.sin_addr, ip);
    memcpy(out + V2_HEAD + ip, v6 ? (const void *)&to->v6.sin6_addr : &to->v4.sin_addr, ip);
    memcpy(out + V2_HEAD + 2 * ip, v6 ? &from->v6.sin6_port : &from->v4.sin_port, 2);
    memcpy(out + V2_HEAD + 2 * ip + 2, v6 ? &to->v6.sin6_port : &to->v4.sin_port, 2);
    return V2_HEAD + length;
}

size_t proxy_write(unsigned version, const union address *source, const union address *destination,
                   uint8_t out[PROXY_WRITE_MOST]) {
    static const uint8_t local[4] = {V2_LOCAL};
    int family = source->any.sa_family;
    if ((family == AF_INET || family == AF_INET6) && family == destination->any.sa_family)
        return version == 1 ? write_text(source, destination, (char *)out)
                            : write_binary(source, destination, out);
    if (version == 1)
        return (size_t)snprintf((char *)out, PROXY_WRITE_MOST, "PROXY UNKNOWN\r\n");
    memcpy(out, signature, sizeof signature);
    memcpy(out + sizeof signature, local, sizeof local);
    return V2_HEAD;
}

bool proxy_watch(struct proxy_watch *w, const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length && !w->over; i++) {
        bool binary = w->seen ? w->seen & 0x80 : data[i] == signature[0];
        uint8_t at = w->seen & 0x7f;
        w->over = data[i] != (binary ? signature[at] : word[at]);
        at++;
        w->seen = (uint8_t)(at | (binary ? 0x80 : 0));
        if (!w->over && at == (binary ? PROXY_SIGNATURE : PROXY_WORD))
            return true;
    }
    return false;
}
