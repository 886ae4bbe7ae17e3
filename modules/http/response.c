/* SPDX-License-Identifier: GPL-3.0-or-later
 * response.c - what makes a pod's response good, and what is written behind its fields on the way to a client.
 *
 *   pod says            client 1.1        client 1.0
 *   Content-Length: n   the same          the same
 *   chunked             chunked           until close
 *   until close         chunked           until close
 *
 * A pod is a tenant's and gets the same scrutiny as a client; what is wrong here becomes a 502. Pure.
 */
#include "modules/http/message.h"
#include <strings.h>

/* RFC 9112 section 6.3 */
bool response_has_body(const struct message *m) {
    return m->method != HTTP_HEAD && m->status >= 200 && m->status != 204 && m->status != 304;
}

static bool list_holds(const uint8_t *at, size_t length, const uint8_t *wanted, size_t size) {
    const uint8_t *end = at + length, *element;
    for (size_t n; list_next(&at, end, &element, &n);)
        if (n == size && strncasecmp((const char *)element, (const char *)wanted, n) == 0)
            return true;
    return false;
}

/* RFC 9110 section 7.8: "A server MUST NOT switch to a protocol that was not indicated by the client". */
bool response_upgrade_agrees(const struct message *m, const struct message *request) {
    struct head_field to, asked;
    if (!head_find(&m->head, m->fields, "upgrade", 7, &to) ||
        !head_find(&request->head, request->fields, "upgrade", 7, &asked))
        return false;
    const uint8_t *at = m->head.data + to.value_at, *end = at + to.value_length, *protocol;
    bool any = false;
    for (size_t size; list_next(&at, end, &protocol, &size); any = true)
        if (!list_holds(request->head.data + asked.value_at, asked.value_length, protocol, size))
            return false;
    return any;
}

/* "timeout=5": 5, at most 65535; -1: it is something else. */
static int timeout_read(const uint8_t *element, size_t size) {
    static const char name[] = {'t', 'i', 'm', 'e', 'o', 'u', 't', '='};
    int seconds = 0;
    if (size <= sizeof name || !field_is(element, sizeof name, name, sizeof name))
        return -1;
    for (size_t i = sizeof name; i < size; i++) {
        if (element[i] < '0' || element[i] > '9')
            return -1;
        seconds = seconds * 10 + (element[i] - '0');
        seconds = seconds > UINT16_MAX ? UINT16_MAX : seconds;
    }
    return seconds;
}

/* RFC 2068 section 19.7.1.1, and what servers say today: "timeout=5, max=100". A request sent when the time is about up would meet the
 * connection's end. */
static void keep_alive_field(struct message *m, const uint8_t *value, size_t length) {
    const uint8_t *at = value, *element;
    for (size_t size; list_next(&at, value + length, &element, &size);) {
        int seconds = timeout_read(element, size);
        if (seconds == 0)
            m->close = true;
        else if (seconds > 0 && (!m->keep_s || seconds < m->keep_s))
            m->keep_s = (uint16_t)seconds;
    }
}

/* Does `parent` lie strictly above `name`? */
static bool is_above(const uint8_t *parent, size_t length, const char *name) {
    size_t size = strlen(name);
    return size > length && name[size - length - 1] == '.' &&
           strncasecmp(name + size - length, (const char *)parent, length) == 0;
}

/* A cookie for a domain above the tenant's own would reach its neighbours: dropped. */
static bool cookie_is_ours(const struct message *m, const uint8_t *value, size_t length) {
    const uint8_t *end = value + length, *at = value;
    const char *domain = m->cookie_domain ? *m->cookie_domain : "";
    if (!domain[0])
        return true;
    while ((at = memchr(at, ';', (size_t)(end - at)))) {
        while (at < end && (*at == ';' || *at == ' ' || *at == '\t'))
            at++;
        const uint8_t *stop = memchr(at, ';', (size_t)(end - at));
        stop = stop ? stop : end;
        const uint8_t *equals = memchr(at, '=', (size_t)(stop - at));
        if (!equals)
            continue;
        const uint8_t *name_end = equals, *from = equals + 1;
        while (name_end > at && (name_end[-1] == ' ' || name_end[-1] == '\t'))
            name_end--;
        if (!field_is(at, (size_t)(name_end - at), "domain", 6))
            continue;
        while (from < stop && (*from == ' ' || *from == '\t' || *from == '.'))
            from++;
        while (stop > from && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '.'))
            stop--;
        if (is_above(from, (size_t)(stop - from), domain))
            return false;
    }
    return true;
}

int response_field_done(struct message *m, enum field field, const uint8_t *value, size_t length,
                        bool *ret_keep) {
    switch (field) {
    case FIELD_UPGRADE: /* kept until judged */
        *ret_keep = !m->upgrade_seen;
        m->upgrade_seen = true;
        return 0;
    case FIELD_CONTENT_LENGTH:
    case FIELD_TE:
        *ret_keep = false;
        return 0;
    case FIELD_KEEP_ALIVE:
        keep_alive_field(m, value, length);
        *ret_keep = false;
        return 0;
    case FIELD_HOP: /* Proxy-Authenticate, too: the pod is not a proxy of the client's */
        *ret_keep = false;
        return 0;
    case FIELD_SET_COOKIE:
        *ret_keep = cookie_is_ours(m, value, length);
        return 0;
    default:
        return 0;
    }
}

/* Upgrade means something in 101 and 426 only. */
int response_judge(struct message *m) {
    if ((m->parser.flags & F_TRANSFER_ENCODING) && m->framing != FRAMING_CHUNKED)
        return 502;
    /* RFC 9112 section 6.1: no framing in 1xx, no coding in 204; a length that says 0 is common there and harmless */
    if (m->status < 200 && m->framing != FRAMING_CLOSE &&
        !(m->framing == FRAMING_LENGTH && m->length == 0))
        return 502;
    if (m->status == 204 &&
        (m->framing == FRAMING_CHUNKED || (m->framing == FRAMING_LENGTH && m->length)))
        return 502;
    if (m->status == 101 && (!m->upgrade || !m->upgrade_seen))
        return 502;
    if (m->upgrade_seen && m->status != 101 && m->status != 426)
        m->upgrade_seen = head_remove(&m->head, m->fields, "upgrade", 7) == 0;
    return 0;
}

static bool length_put(struct head *h, uint64_t length) {
    return head_puts(h, "Content-Length: ") && head_put_number(h, length) && head_puts(h, "\r\n");
}

static bool response_framing_put(struct message *m, struct delivery *d, enum framing *ret_out) {
    struct head *h = &m->head;
    *ret_out = FRAMING_NONE;
    if (!response_has_body(m))
        return m->framing != FRAMING_LENGTH || m->status < 200 || m->status == 204 ||
               length_put(h, m->length);
    if (m->framing == FRAMING_LENGTH) {
        *ret_out = FRAMING_LENGTH;
        return length_put(h, m->length);
    }
    if (!d->http_1_0) {
        *ret_out = FRAMING_CHUNKED;
        return d->framed || head_puts(h, "Transfer-Encoding: chunked\r\n");
    }
    *ret_out = FRAMING_CLOSE;
    d->keep = false;
    return true;
}

static bool response_connection_put(struct message *m, const struct delivery *d) {
    struct head *h = &m->head;
    if (d->framed) /* RFC 9113 section 8.2.2: no such fields there */
        return true;
    if (m->upgrade_seen)
        return d->keep || m->status == 101 ? head_puts(h, "Connection: upgrade\r\n")
                                           : head_puts(h, "Connection: close, upgrade\r\n");
    if (m->status < 200)
        return true;
    if (!d->keep)
        return head_puts(h, "Connection: close\r\n");
    return d->http_1_0 ? head_puts(h, "Connection: keep-alive\r\n") : true;
}

bool response_finish(struct message *m, struct delivery *d, enum framing *ret_out) {
    return response_framing_put(m, d, ret_out) && response_connection_put(m, d) &&
           head_puts(&m->head, "\r\n");
}
