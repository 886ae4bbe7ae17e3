/* SPDX-License-Identifier: GPL-3.0-or-later
 * ask.c - see ask.h. What RFC 1035 calls a stub resolver: the tenant's own does the work, and its word is taken for what its names mean.
 *
 *   question -> UDP, again each second --cut--> TCP -> the chain of CNAMEs is followed within the answer
 */
#include "edge/ask.h"
#include "edge/loop.h"
#include "tenants/network.h"
#include <arpa/nameser.h>
#include <errno.h>
#include <poll.h>
#include <resolv.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_PORT = 53, QUESTION_MOST = 512, ANSWER_MOST = 65535, AGAIN_MS = 1000, CHAIN_MOST = 8 };

#define MS 1000000ll

/* ---- what is asked ---- */

static int question_make(const char *name, int type, uint8_t *out) {
    int n = res_mkquery(QUERY, name, C_IN, type, NULL, 0, NULL, out, QUESTION_MOST);
    if (n < NS_HFIXEDSZ || getrandom(out, 2, 0) != 2)
        return -1;
    out[2] |= 1; /* recursion, please */
    return n;
}

/* ---- what is answered ---- */

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* The same id, and the same question but for the case of letters. */
static bool is_answer(const uint8_t *a, size_t n, const uint8_t *q, size_t question) {
    if (n < question || memcmp(a, q, 2) || !(a[2] & 0x80) || memcmp(a + 4, q + 4, 2))
        return false;
    for (size_t i = NS_HFIXEDSZ; i < question; i++)
        if (lower(a[i]) != lower(q[i]))
            return false;
    return true;
}

static void address_take(const ns_rr *rr, union address *ret, size_t room, size_t *count) {
    bool six = ns_rr_type(*rr) == ns_t_aaaa;
    if (*count == room || ns_rr_rdlen(*rr) != (six ? 16 : 4))
        return;
    union address *to = &ret[(*count)++];
    memset(to, 0, sizeof *to);
    to->any.sa_family = six ? AF_INET6 : AF_INET;
    memcpy(six ? (void *)&to->v6.sin6_addr : (void *)&to->v4.sin_addr, ns_rr_rdata(*rr),
           ns_rr_rdlen(*rr));
}

/* Records of `owner`: addresses are taken; true: it is another name, now in `owner`. */
static bool records_read(ns_msg *m, int type, char owner[NS_MAXDNAME], union address *ret,
                         size_t room, size_t *count) {
    char next[NS_MAXDNAME] = "";
    ns_rr rr;
    for (int i = 0; i < ns_msg_count(*m, ns_s_an) && !ns_parserr(m, ns_s_an, i, &rr); i++) {
        if (strcasecmp(ns_rr_name(rr), owner) || ns_rr_class(rr) != ns_c_in)
            continue;
        if ((int)ns_rr_type(rr) == type)
            address_take(&rr, ret, room, count);
        else if (ns_rr_type(rr) == ns_t_cname &&
                 ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(rr), next,
                                    sizeof next) < 0)
            return false;
    }
    memcpy(owner, next, sizeof next);
    return *next;
}

bool ask_read(const uint8_t *answer, size_t length, const uint8_t *question, size_t question_length,
              union address *ret, size_t room, size_t *count) {
    char owner[NS_MAXDNAME];
    ns_msg m;
    ns_rr rr;
    if (!is_answer(answer, length, question, question_length) ||
        ns_initparse(answer, (int)length, &m) || ns_parserr(&m, ns_s_qd, 0, &rr))
        return false;
    int rcode = ns_msg_getflag(m, ns_f_rcode), type = ns_rr_type(rr);
    if (rcode != ns_r_noerror)
        return rcode == ns_r_nxdomain;
    memcpy(owner, ns_rr_name(rr), sizeof owner);
    for (int i = 0; i < CHAIN_MOST && records_read(&m, type, owner, ret, room, count); i++)
        ;
    return true;
}

/* ---- the wire ---- */

static int wire_open(const char *device, const union address *to, int type, int64_t end_ns) {
    int fd = socket(to->any.sa_family, type | SOCK_CLOEXEC, 0);
    int64_t left = (end_ns - loop_now_ns()) / 1000;
    struct timeval patience = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    socklen_t length = to->any.sa_family == AF_INET ? sizeof to->v4 : sizeof to->v6;
    if (fd < 0 || left <= 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
        connect(fd, &to->any, length)) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static bool read_whole(int fd, uint8_t *to, size_t length, int64_t end_ns) {
    for (size_t at = 0; at < length;) {
        ssize_t n = loop_now_ns() < end_ns ? recv(fd, to + at, length - at, 0) : 0;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static ssize_t exchange_tcp(const char *device, const union address *to, const uint8_t *q,
                            size_t length, uint8_t *out, int64_t end_ns) {
    uint8_t whole[2 + QUESTION_MOST] = {(uint8_t)(length >> 8), (uint8_t)length}, head[2];
    int fd = wire_open(device, to, SOCK_STREAM, end_ns);
    if (fd < 0)
        return -1;
    memcpy(whole + 2, q, length);
    bool good = send(fd, whole, length + 2, MSG_NOSIGNAL) == (ssize_t)(length + 2) &&
                read_whole(fd, head, 2, end_ns) &&
                read_whole(fd, out, (size_t)(head[0] << 8 | head[1]), end_ns);
    close(fd);
    return good ? head[0] << 8 | head[1] : -1;
}

/* The first datagram that is an answer to this: others may be of anybody. */
static ssize_t answer_await(int fd, const uint8_t *q, size_t length, uint8_t *out, int64_t end_ns) {
    for (int64_t left; (left = (end_ns - loop_now_ns()) / MS) > 0;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        ssize_t n = recv(fd, out, ANSWER_MOST, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return -1; /* nobody listens there */
        if (n > 0 && is_answer(out, (size_t)n, q, length))
            return n;
    }
    return -1;
}

static ssize_t exchange_udp(const char *device, const union address *to, const uint8_t *q,
                            size_t length, uint8_t *out, int64_t end_ns) {
    int fd = wire_open(device, to, SOCK_DGRAM, end_ns);
    ssize_t n = -1;
    while (fd >= 0 && n < 0 && loop_now_ns() < end_ns) {
        int64_t again = loop_now_ns() + AGAIN_MS * MS;
        if (send(fd, q, length, MSG_NOSIGNAL) < 0 && errno != ECONNREFUSED)
            break;
        n = answer_await(fd, q, length, out, again < end_ns ? again : end_ns);
        if (n < 0 && loop_now_ns() < again) /* refused */
            break;
    }
    if (fd >= 0)
        close(fd);
    return n;
}

static bool ask_for(const char *device, const union address *to, const char *name, int type,
                    int64_t end_ns, union address *ret, size_t room, size_t *count) {
    uint8_t q[QUESTION_MOST], out[ANSWER_MOST];
    int length = question_make(name, type, q);
    if (length < 0)
        return false;
    ssize_t n = exchange_udp(device, to, q, (size_t)length, out, end_ns);
    if (n > 2 && out[2] & 0x02) /* cut */
        n = exchange_tcp(device, to, q, (size_t)length, out, end_ns);
    return n > 0 && ask_read(out, (size_t)n, q, (size_t)length, ret, room, count);
}

bool ask_through(const char *device, const char *server, const char *name, int64_t patience_ms,
                 union address *ret, size_t room, size_t *ret_count) {
    int64_t end = loop_now_ns() + patience_ms * MS;
    union address to;
    size_t count = 0;
    if (!address_parse(server, DNS_PORT, &to))
        return false;
    bool v4 = ask_for(device, &to, name, ns_t_a, end, ret, room, &count);
    bool v6 = v4 && ask_for(device, &to, name, ns_t_aaaa, end, ret, room, &count);
    *ret_count = count;
    return v4 && v6;
}
