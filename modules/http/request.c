/* SPDX-License-Identifier: GPL-3.0-or-later
 * request.c - what makes a request good, and what is written behind its fields on the way to a pod.
 *
 *   "GET http://a.example/x/../y?q HTTP/1.1"  ->  "GET /y?q HTTP/1.1\r\nHost: a.example\r\n"
 *
 * Targets come out in origin form (or "*"), with the path normalised (path.h); Host is there exactly once. Framing, Connection and
 * what the edge vouches for (X-Forwarded-*, X-Request-Id) are written anew. Pure.
 */
#include "modules/http/message.h"
#include "tenants/path.h"
#include <stdio.h>
#include <strings.h>

/* ---- the target: RFC 9112 section 3.2 ---- */

/* Visible ASCII only, and no fragment. */
static bool target_is_clean(const uint8_t *target, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (target[i] <= 0x20 || target[i] >= 0x7f || target[i] == '#')
            return false;
    return true;
}

/* "http://host/path" -> "/path" in the head; the authority stands behind it, to become Host. Returns where the authority is. */
static int absolute_form(struct message *m, uint8_t *authority, size_t *ret_authority) {
    uint8_t *target = m->head.data + m->target;
    size_t scheme = strncasecmp((char *)target, "http://", 7) == 0 ? 7 : 8;
    if (m->target_length <= scheme ||
        (scheme == 8 && strncasecmp((char *)target, "https://", 8) != 0))
        return 400;
    size_t rest = m->target_length - scheme, length = 0;
    while (length < rest && target[scheme + length] != '/' && target[scheme + length] != '?')
        length++;
    if (length == 0 || length > 260 || memchr(target + scheme, '@', length))
        return 400;
    memcpy(authority, target + scheme, length);
    *ret_authority = length;
    m->absolute = true;
    m->target_length = (uint32_t)(rest - length);
    memmove(target, target + scheme + length, m->target_length);
    m->head.used = m->target + m->target_length;
    return 0;
}

/* An absolute target without a path: "/", or "*" for OPTIONS (RFC 9112 section 3.2.4). */
static bool path_complete(struct message *m) {
    uint8_t *target = m->head.data + m->target;
    if (m->target_length && target[0] == '/')
        return true;
    bool star = m->method == HTTP_OPTIONS && m->target_length == 0;
    m->target_length++;
    return head_insert(&m->head, m->target, star ? "*" : "/", 1);
}

static int path_judge(struct message *m) {
    char *target = (char *)m->head.data + m->target;
    const char *query = memchr(target, '?', m->target_length);
    size_t length = query ? (size_t)(query - target) : m->target_length;
    if (target[0] == '*') {
        m->path_length = 1;
        return m->target_length == 1 && m->method == HTTP_OPTIONS ? 0 : 400;
    }
    long normal = path_normalise(target, length);
    if (normal < 0)
        return 400;
    size_t gone = length - (size_t)normal;
    if (gone)
        memmove(target + normal, target + length, m->target_length - length);
    m->target_length -= (uint32_t)gone;
    m->head.used -= (uint32_t)gone;
    m->path_length = (uint32_t)normal;
    return 0;
}

bool request_host_put(struct message *m, const uint8_t *authority, size_t length) {
    struct head *h = &m->head;
    if (!head_puts(h, "Host: "))
        return false;
    m->host = h->used;
    m->host_length = (uint32_t)length;
    return head_put(h, authority, length) && head_puts(h, "\r\n");
}

int request_target_done(struct message *m) {
    uint8_t authority[260];
    size_t authority_length = 0;
    m->target_length = m->head.used - m->target;
    const uint8_t *target = m->head.data + m->target;
    if (!target_is_clean(target, m->target_length))
        return 400;
    if (target[0] != '/' && target[0] != '*') {
        int status = absolute_form(m, authority, &authority_length);
        if (status)
            return status;
        if (!path_complete(m))
            return 503;
    }
    int status = path_judge(m);
    if (status)
        return status;
    if (!head_puts(&m->head, " HTTP/1.1\r\n"))
        return 503;
    m->fields = m->head.used;
    return authority_length && !request_host_put(m, authority, authority_length) ? 503 : 0;
}

/* ---- fields ---- */

/* RFC 9112 section 3.2: exactly one Host; beside an absolute target it must say the same. */
static int host_field(struct message *m, const uint8_t *value, size_t length, bool *keep) {
    if (m->host_seen || length == 0)
        return 400;
    m->host_seen = true;
    if (m->absolute) {
        *keep = false;
        return m->host_length == length && strncasecmp((const char *)m->head.data + m->host,
                                                       (const char *)value, length) == 0
                   ? 0
                   : 400;
    }
    m->host = (uint32_t)(value - m->head.data);
    m->host_length = (uint32_t)length;
    return 0;
}

#define ELEMENT_IS(literal) field_is(element, size, literal, sizeof(literal) - 1)

/* One Upgrade is kept until judged. h2c and other HTTP or TLS would be a way past the router: never asked for. */
static void upgrade_field(struct message *m, const uint8_t *value, size_t length, bool *keep) {
    static const char *const refused[] = {"h2c", "http", "tls"};
    *keep = !m->upgrade_seen && length > 0;
    const uint8_t *at = value, *element;
    for (size_t size; list_next(&at, value + length, &element, &size);)
        for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
            if (size >= strlen(refused[i]) &&
                strncasecmp((const char *)element, refused[i], strlen(refused[i])) == 0)
                *keep = false;
    m->upgrade_seen |= *keep;
}

static int te_field(struct message *m, const uint8_t *value, size_t length, bool *keep) {
    const uint8_t *at = value, *element;
    *keep = false;
    for (size_t size; list_next(&at, value + length, &element, &size);)
        m->trailers_wanted |= ELEMENT_IS("trailers");
    return 0;
}

/* RFC 9110 section 10.1.1: nothing but 100-continue; of no meaning in HTTP/1.0. */
static int expect_field(struct message *m, const uint8_t *value, size_t length, bool *keep) {
    if (!field_is(value, length, "100-continue", 12))
        return 417;
    *keep = m->parser.http_minor != 0 && !m->expects;
    m->expects = *keep || m->expects;
    return 0;
}

static void forwarded_field(struct message *m, enum field field, const uint8_t *value,
                            size_t length, bool *keep) {
    bool empty = length == 0;
    *keep = m->trust && !empty;
    if (!*keep)
        return;
    if (field == FIELD_FORWARDED_FOR)
        m->forwarded_for_end = (uint32_t)(value - m->head.data + length);
    if (field == FIELD_FORWARDED)
        m->forwarded_end = (uint32_t)(value - m->head.data + length);
    m->has_proto |= field == FIELD_FORWARDED_PROTO;
    m->has_forwarded_host |= field == FIELD_FORWARDED_HOST;
    m->has_request_id |= field == FIELD_REQUEST_ID;
}

/* Lower-case hexadecimal, not all zero: an id of only zeros says that there is none. */
static bool is_id(const uint8_t *at, size_t length) {
    bool zero = true;
    for (size_t i = 0; i < length; i++) {
        if (!(at[i] >= '0' && at[i] <= '9') && !(at[i] >= 'a' && at[i] <= 'f'))
            return false;
        zero &= at[i] == '0';
    }
    return !zero;
}

static bool is_hex(const uint8_t *at) {
    return is_id(at, 2) || !memcmp(at, "00", 2);
}

/* w3.org/TR/trace-context section 3.2: version-trace-parent-flags; later versions may add to it. */
static bool traceparent_good(const uint8_t *v, size_t length) {
    enum { TRACE = 3, PARENT = 36, FLAGS = 53, WHOLE = 55 };
    if (length < WHOLE || v[TRACE - 1] != '-' || v[PARENT - 1] != '-' || v[FLAGS - 1] != '-')
        return false;
    if (!is_hex(v) || !memcmp(v, "ff", 2) || !is_id(v + TRACE, 32) || !is_id(v + PARENT, 16) ||
        !is_hex(v + FLAGS))
        return false;
    return length == WHOLE || (memcmp(v, "00", 2) && v[WHOLE] == '-');
}

/* Passed on as it came: the edge is no part of the trace. A bad one, or two, would break it for everyone behind. */
static void trace_field(struct message *m, enum field field, const uint8_t *value, size_t length,
                        bool *keep) {
    if (field == FIELD_TRACESTATE) {
        m->has_trace_state = true;
        return;
    }
    *keep = !m->has_trace && traceparent_good(value, length);
    m->bad_trace |= !*keep;
    m->has_trace |= *keep;
}

static void trace_judge(struct message *m) {
    if (!m->bad_trace && (m->has_trace || !m->has_trace_state))
        return;
    m->has_trace = false;
    if (head_remove(&m->head, m->fields, "traceparent", 11) +
        head_remove(&m->head, m->fields, "tracestate", 10))
        message_places_find(m);
}

int request_field_done(struct message *m, enum field field, const uint8_t *value, size_t length,
                       bool *ret_keep) {
    switch (field) {
    case FIELD_HOST:
        return host_field(m, value, length, ret_keep);
    case FIELD_UPGRADE:
        upgrade_field(m, value, length, ret_keep);
        return 0;
    case FIELD_TE:
        return te_field(m, value, length, ret_keep);
    case FIELD_EXPECT:
        return expect_field(m, value, length, ret_keep);
    case FIELD_CONTENT_LENGTH:
    case FIELD_HOP:
    case FIELD_KEEP_ALIVE:
        *ret_keep = false;
        return 0;
    case FIELD_FORWARDED_FOR:
    case FIELD_FORWARDED_PROTO:
    case FIELD_FORWARDED_HOST:
    case FIELD_REQUEST_ID:
    case FIELD_FORWARDED:
    case FIELD_FORWARDED_MORE:
        forwarded_field(m, field, value, length, ret_keep);
        return 0;
    case FIELD_TRACEPARENT:
    case FIELD_TRACESTATE:
        trace_field(m, field, value, length, ret_keep);
        return 0;
    default:
        return 0;
    }
}

int request_judge(struct message *m) {
    if (!m->host_seen) /* routing needs it, of HTTP/1.0 too */
        return 400;
    if ((m->parser.flags & F_TRANSFER_ENCODING) && m->framing != FRAMING_CHUNKED)
        return 400;
    /* RFC 9110 section 7.8: only in 1.1, only with Connection: upgrade. A body first would leave open what ends where. */
    bool upgrade = m->upgrade && m->upgrade_seen && !m->http_1_0 &&
                   (m->framing == FRAMING_NONE || (m->framing == FRAMING_LENGTH && m->length == 0));
    if (m->upgrade_seen && !upgrade && head_remove(&m->head, m->fields, "upgrade", 7)) {
        m->upgrade_seen = false;
        message_places_find(m);
    }
    m->upgrade = upgrade;
    trace_judge(m);
    return 0;
}

/* ---- on its way to a pod ---- */

static bool forwarded_for_put(struct message *m, const struct forwarding *f) {
    if (m->forwarded_for_end) {
        char more[64];
        int n = snprintf(more, sizeof more, ", %.*s", (int)f->peer_length, f->peer);
        return head_insert(&m->head, m->forwarded_for_end, more, (size_t)n);
    }
    return head_puts(&m->head, "X-Forwarded-For: ") &&
           head_put(&m->head, f->peer, f->peer_length) && head_puts(&m->head, "\r\n");
}

/* RFC 7239 section 4: only where a trusted proxy has begun one. */
static bool forwarded_put(struct message *m, const struct forwarding *f) {
    bool v6 = memchr(f->peer, ':', f->peer_length);
    char more[96];
    if (!m->forwarded_end)
        return true;
    int n = snprintf(more, sizeof more, ", for=%s%.*s%s;proto=%s", v6 ? "\"[" : "",
                     (int)f->peer_length, f->peer, v6 ? "]\"" : "", f->tls ? "https" : "http");
    return head_insert(&m->head, m->forwarded_end, more, (size_t)n);
}

/* What is put in moves what stands behind it: the later one first. */
static bool lists_put(struct message *m, const struct forwarding *f) {
    if (m->forwarded_end > m->forwarded_for_end)
        return forwarded_put(m, f) && forwarded_for_put(m, f);
    return forwarded_for_put(m, f) && forwarded_put(m, f);
}

static bool forwarded_host_put(struct message *m) {
    struct head *h = &m->head;
    if (!head_reserve(h, m->host_length + 32)) /* so that the source does not move under us */
        return false;
    return head_puts(h, "X-Forwarded-Host: ") && head_put(h, h->data + m->host, m->host_length) &&
           head_puts(h, "\r\n");
}

static void hex_put(char out[16], uint64_t n) {
    for (int i = 0; i < 16; i++)
        out[i] = "0123456789abcdef"[n >> 4 * i & 15];
}

static bool request_id_put(struct head *h, const uint64_t id[2]) {
    char text[34];
    hex_put(text, id[0]);
    hex_put(text + 16, id[1]);
    text[32] = '\r';
    text[33] = '\n';
    return head_puts(h, "X-Request-Id: ") && head_put(h, text, sizeof text);
}

/* Sampled: whoever asked for traces to begin here wants to see them. */
static bool traceparent_put(struct head *h, const struct forwarding *f) {
    char text[] = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n";
    hex_put(text + 3, f->trace_id[0] | 1); /* ids are never 0 */
    hex_put(text + 19, f->trace_id[1]);
    hex_put(text + 36, f->span_id | 1);
    return head_puts(h, "traceparent: ") && head_put(h, text, sizeof text - 1);
}

static bool request_framing_put(struct message *m) {
    struct head *h = &m->head;
    if (m->framing == FRAMING_CHUNKED)
        return head_puts(h, "Transfer-Encoding: chunked\r\n");
    if (m->framing == FRAMING_LENGTH)
        return head_puts(h, "Content-Length: ") && head_put_number(h, m->length) &&
               head_puts(h, "\r\n");
    return true;
}

static bool request_connection_put(struct message *m) {
    struct head *h = &m->head;
    bool ok = true;
    if (m->trailers_wanted) /* RFC 9110 section 10.1.4 */
        ok = head_puts(h, "TE: trailers\r\n");
    if (m->upgrade && m->trailers_wanted)
        return ok && head_puts(h, "Connection: upgrade, TE\r\n");
    if (m->upgrade)
        return ok && head_puts(h, "Connection: upgrade\r\n");
    return m->trailers_wanted ? ok && head_puts(h, "Connection: TE\r\n") : ok;
}

/* As ingress-nginx names them. What a trusted proxy said of its own client is not to be taken for what this one showed. */
static bool client_put(struct message *m, const struct forwarding *f) {
    struct head *h = &m->head;
    if (!f->client_asked)
        return true;
    if (m->trust && head_remove(h, m->fields, "ssl-client-verify", 17) +
                        head_remove(h, m->fields, "ssl-client-subject-dn", 21))
        message_places_find(m);
    if (!f->client_subject)
        return head_puts(h, "ssl-client-verify: NONE\r\n");
    return head_puts(h, "ssl-client-verify: SUCCESS\r\nssl-client-subject-dn: ") &&
           head_put(h, f->client_subject, strlen(f->client_subject)) && head_puts(h, "\r\n");
}

bool request_finish(struct message *m, const struct forwarding *f) {
    struct head *h = &m->head;
    if (!m->has_forwarded_host && !forwarded_host_put(m))
        return false;
    if (!m->has_proto && !(f->tls ? head_puts(h, "X-Forwarded-Proto: https\r\n")
                                  : head_puts(h, "X-Forwarded-Proto: http\r\n")))
        return false;
    if (!m->has_request_id && !request_id_put(h, f->id))
        return false;
    if (f->trace && !m->has_trace && !traceparent_put(h, f))
        return false;
    return client_put(m, f) && lists_put(m, f) && request_framing_put(m) &&
           request_connection_put(m) && head_puts(h, "\r\n");
}
