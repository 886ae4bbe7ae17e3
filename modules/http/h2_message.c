/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_message.c - see h2_message.h. Pure.
 */
#include "modules/http/h2_message.h"
#include <strings.h>

#define IS(literal) (length == sizeof(literal) - 1 && memcmp(name, literal, length) == 0)
#define VALUE_IS(literal) (size == sizeof(literal) - 1 && memcmp(value, literal, size) == 0)

/* ---- what may stand in a pair: RFC 9113 section 8.2.1 ---- */

/* RFC 9110 section 5.6.2, without upper case */
static bool name_is_clean(const uint8_t *name, size_t length) {
    for (size_t i = 0; i < length; i++) {
        uint8_t c = name[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
            !(c && strchr("!#$%&'*+.^`|~", c)))
            return false;
    }
    return length > 0;
}

static bool value_is_clean(const uint8_t *value, size_t length) {
    if (length && (value[0] == ' ' || value[0] == '\t' || value[length - 1] == ' ' ||
                   value[length - 1] == '\t'))
        return false;
    for (size_t i = 0; i < length; i++)
        if ((value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return false;
    return true;
}

/* RFC 9113 section 8.2.2 */
static bool is_of_connection(const uint8_t *name, size_t length, const uint8_t *value,
                             size_t size) {
    if (IS("te"))
        return !field_is(value, size, "trailers", 8);
    return IS("connection") || IS("proxy-connection") || IS("keep-alive") || IS("upgrade") ||
           IS("transfer-encoding");
}

/* ---- pseudo-header fields ---- */

/* llhttp's list also has those of RTSP and ICE, which no pod takes for HTTP. */
static bool method_is_http(int method) {
    return method <= HTTP_UNLINK || method == HTTP_QUERY;
}

static bool method_find(const uint8_t *value, size_t size, uint8_t *ret) {
    for (int i = HTTP_DELETE; i <= HTTP_QUERY; i++) {
        const char *name = llhttp_method_name((llhttp_method_t)i);
        if (strlen(name) == size && memcmp(name, value, size) == 0) {
            *ret = (uint8_t)i;
            return method_is_http(i);
        }
    }
    return false;
}

static int method_field(struct block *b, const uint8_t *value, size_t size) {
    if (b->method_seen)
        return 400;
    b->method_seen = true;
    if (VALUE_IS("TRACE"))
        return 405;
    b->connect = VALUE_IS("CONNECT");
    if (VALUE_IS("GET") || b->connect) /* a WebSocket's handshake is a GET in HTTP/1 */
        b->method = HTTP_GET;
    else if (!method_find(value, size, &b->method))
        return 400;
    return 0;
}

/* Lies where the target of a request line will, so that it is copied once. */
static int path_field(struct block *b, struct message *m, const uint8_t *value, size_t size) {
    if (b->path_seen || size == 0)
        return 400;
    b->path_seen = true;
    if (size > TARGET_MAX)
        return 414;
    if (value[0] != '/' && !VALUE_IS("*"))
        return 400;
    b->path_length = (uint32_t)size;
    return head_put(&m->head, value, size) ? 0 : 503;
}

static int authority_field(struct block *b, const uint8_t *value, size_t size) {
    if (b->authority_seen || size == 0 || size > AUTHORITY_MAX || memchr(value, '@', size))
        return 400;
    b->authority_seen = true;
    b->authority_length = (uint16_t)size;
    memcpy(b->authority, value, size);
    return 0;
}

static int scheme_field(struct block *b, const uint8_t *value, size_t size) {
    if (b->scheme_seen)
        return 400;
    b->scheme_seen = true;
    return field_is(value, size, "http", 4) || field_is(value, size, "https", 5) ? 0 : 400;
}

static int protocol_field(struct block *b, const uint8_t *value, size_t size) {
    if (b->protocol_seen)
        return 400;
    b->protocol_seen = true;
    return VALUE_IS("websocket") ? 0 : 501;
}

static int status_field(struct block *b, struct message *m, const uint8_t *value, size_t size) {
    if (b->status_seen || size != 3)
        return 502;
    b->status_seen = true;
    for (size_t i = 0; i < size; i++)
        if (value[i] < '0' || value[i] > '9')
            return 502;
    m->status = (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
    return m->status < 100 || m->status == 101 ? 502 : 0; /* RFC 9113 section 8.6: no 101 */
}

static int pseudo_field(struct block *b, struct message *m, const uint8_t *name, size_t length,
                        const uint8_t *value, size_t size) {
    if (b->started || !value_is_clean(value, size))
        return 400;
    if (!m->request)
        return IS(":status") ? status_field(b, m, value, size) : 502;
    if (IS(":method"))
        return method_field(b, value, size);
    if (IS(":path"))
        return path_field(b, m, value, size);
    if (IS(":authority"))
        return authority_field(b, value, size);
    if (IS(":scheme"))
        return scheme_field(b, value, size);
    return IS(":protocol") ? protocol_field(b, value, size) : 400;
}

/* ---- start lines ---- */

/* RFC 9113 section 8.3.1, 8.5; RFC 8441 section 4 */
static int request_is_complete(const struct block *b, const struct message *m) {
    if (!b->method_seen)
        return 400;
    if (b->connect && !b->protocol_seen)
        return 405;
    if (b->protocol_seen && (!b->connect || !b->authority_seen))
        return 400;
    if (!b->path_seen || !b->scheme_seen)
        return 400;
    return m->head.data[m->start] == '*' && b->method != HTTP_OPTIONS ? 400 : 0;
}

static int request_start(struct block *b, struct message *m) {
    int status = request_is_complete(b, m);
    if (status)
        return status;
    const char *method = llhttp_method_name((llhttp_method_t)b->method);
    size_t length = strlen(method);
    if (!head_insert(&m->head, m->start, " ", 1) ||
        !head_insert(&m->head, m->start, method, length))
        return 503;
    m->method = b->method;
    m->target = m->start + (uint32_t)length + 1;
    status = request_target_done(m);
    if (status)
        return status;
    m->absolute = b->authority_seen; /* Host, if there is one, must say the same */
    return b->authority_seen && !request_host_put(m, b->authority, b->authority_length) ? 503 : 0;
}

static int response_start(struct block *b, struct message *m) {
    if (!b->status_seen)
        return 502;
    if (!head_puts(&m->head, "HTTP/1.1 ") || !head_put_number(&m->head, m->status) ||
        !head_puts(&m->head, " \r\n"))
        return 502;
    m->fields = m->head.used;
    return 0;
}

static int block_start(struct block *b, struct message *m) {
    if (b->started)
        return 0;
    b->started = true;
    int status = m->request ? request_start(b, m) : response_start(b, m);
    m->name = m->head.used;
    return status;
}

/* ---- fields ---- */

/* The field as a line of the head, judged as one that came by HTTP/1. */
static int line_put(struct message *m, const uint8_t *name, size_t length, const uint8_t *value,
                    size_t size) {
    struct head *h = &m->head;
    m->name = h->used;
    if (!head_reserve(h, length + size + 4))
        return m->request ? 503 : 502;
    head_put(h, name, length);
    head_puts(h, ": ");
    m->value = h->used;
    head_put(h, value, size);
    return message_field_end(m) ? m->refusal : 0;
}

/* RFC 9110 section 8.6: digits, once. */
static int length_field(struct block *b, struct message *m, const uint8_t *value, size_t size) {
    if (b->length_seen || size == 0 || size > 19)
        return 400;
    b->length_seen = true;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return 400;
        m->length = m->length * 10 + (value[i] - '0');
    }
    return 0;
}

/* RFC 9113 section 8.2.3: crumbs are one field for those who speak HTTP/1. */
static int cookie_field(struct block *b, struct message *m, const uint8_t *name, size_t length,
                        const uint8_t *value, size_t size) {
    if (b->cookie_end) {
        if (!head_insert(&m->head, b->cookie_end, "; ", 2) ||
            !head_insert(&m->head, b->cookie_end + 2, value, size))
            return 503;
        b->cookie_end += (uint32_t)size + 2;
        m->name = m->head.used;
        return 0;
    }
    int status = line_put(m, name, length, value, size);
    b->cookie_end = m->head.used - 2;
    return status;
}

static int plain_field(struct block *b, struct message *m, const uint8_t *name, size_t length,
                       const uint8_t *value, size_t size) {
    if (!name_is_clean(name, length) || !value_is_clean(value, size) ||
        is_of_connection(name, length, value, size))
        return 400;
    int status = block_start(b, m);
    if (status)
        return status;
    if (IS("content-length"))
        return length_field(b, m, value, size);
    if (IS("cookie") && m->request)
        return cookie_field(b, m, name, length, value, size);
    if (b->protocol_seen && IS("sec-websocket-key")) /* ours to make */
        return 0;
    return line_put(m, name, length, value, size);
}

void block_begin(struct block *b) {
    memset(b, 0, offsetof(struct block, authority));
}

void block_field(struct block *b, struct message *m, const uint8_t *name, size_t name_length,
                 const uint8_t *value, size_t value_length) {
    if (b->status)
        return;
    /* RFC 9113 section 6.5.2 counts so */
    m->raw += (uint32_t)(name_length + value_length + 32);
    if (m->raw > HEAD_MAX)
        b->status = 431;
    else if (name_length && name[0] == ':')
        b->status = (uint16_t)pseudo_field(b, m, name, name_length, value, value_length);
    else
        b->status = (uint16_t)plain_field(b, m, name, name_length, value, value_length);
    if (b->status && !m->request)
        b->status = 502;
}

/* ---- the end of a block ---- */

static int framing_find(const struct block *b, struct message *m, bool ended) {
    if (!ended)
        m->framing = b->protocol_seen ? FRAMING_NONE
                     : b->length_seen ? FRAMING_LENGTH
                                      : FRAMING_CHUNKED;
    else
        m->framing = b->length_seen ? FRAMING_LENGTH : FRAMING_NONE;
    if (b->protocol_seen)
        return ended || b->length_seen ? 400 : 0;
    return ended && m->length && (m->request || response_has_body(m)) ? 400 : 0;
}

/* RFC 8441 section 5: a handshake of HTTP/1.1 in the place of :protocol. */
static int handshake_put(struct message *m, const char *key) {
    struct head *h = &m->head;
    m->upgrade = m->upgrade_seen = true;
    m->parser.method = HTTP_CONNECT; /* what it was */
    return head_puts(h, "Upgrade: websocket\r\nSec-WebSocket-Key: ") && head_put(h, key, 24) &&
                   head_puts(h, "\r\n")
               ? 0
               : 503;
}

static int request_done(struct block *b, struct message *m, bool ended, const char *key) {
    int status = b->status ? b->status : block_start(b, m);
    if (!status)
        status = framing_find(b, m, ended);
    if (!status && b->protocol_seen)
        status = handshake_put(m, key);
    if (status)
        return status;
    m->host_seen |= m->absolute;
    return request_judge(m);
}

static int head_done(struct message *m) {
    m->complete = true;
    m->fed += m->raw;
    m->raw = 0;
    m->parser.flags = 0;
    int status = m->sink->head_done(m);
    return status == MESSAGE_PAUSE ? 0 : status;
}

int block_request_done(struct block *b, struct message *m, bool ended, const char *key) {
    m->begun = true;
    m->parser.http_major = m->parser.http_minor = 1;
    int status = request_done(b, m, ended, key);
    return status ? status : head_done(m);
}

int block_response_done(struct block *b, struct message *m, bool ended) {
    m->begun = true;
    int status = b->status ? b->status : block_start(b, m);
    if (!status)
        status = framing_find(b, m, ended);
    if (!status && m->status < 200) /* an interim response has no end and no body */
        status = ended || b->length_seen ? 502 : (m->framing = FRAMING_CLOSE, 0);
    if (!status)
        status = response_judge(m);
    return status ? 502 : head_done(m);
}

int trailer_field(struct message *m, const uint8_t *name, size_t name_length, const uint8_t *value,
                  size_t value_length) {
    m->raw += (uint32_t)(name_length + value_length + 32);
    if (m->raw > HEAD_MAX)
        return m->request ? 431 : 502;
    if (!name_is_clean(name, name_length) || !value_is_clean(value, value_length) ||
        is_of_connection(name, name_length, value, value_length))
        return m->request ? 400 : 502;
    return line_put(m, name, name_length, value, value_length);
}

/* ---- heads to pairs ---- */

static nghttp2_nv pair(const void *name, size_t length, const void *value, size_t size) {
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = length,
                        .valuelen = size};
}
#define PAIR(literal, value, size) pair((literal), sizeof(literal) - 1, (value), (size))

/* Of no meaning there, or said by pseudo-header fields. */
static bool is_left_out(const uint8_t *name, size_t length) {
    return IS("host") || IS("connection") || IS("transfer-encoding") || IS("upgrade") ||
           IS("keep-alive") || IS("proxy-connection");
}

static size_t fields_add(struct head *h, uint32_t from, uint32_t end, nghttp2_nv *out,
                         size_t count) {
    struct head_field f;
    while (from < end && h->data[from] != '\r' && head_next(h, from, &f)) {
        uint8_t *name = h->data + f.at;
        from = f.end;
        for (uint32_t i = 0; i < f.name_length; i++)
            name[i] = name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i];
        if (is_left_out(name, f.name_length))
            continue;
        if (count == PAIRS_MAX)
            return 0;
        out[count++] = pair(name, f.name_length, h->data + f.value_at, f.value_length);
    }
    return count;
}

size_t lines_to_fields(struct head *h, uint32_t from, uint32_t end, nghttp2_nv out[PAIRS_MAX]) {
    return fields_add(h, from, end, out, 0);
}

static uint32_t line_after(const struct head *h, uint32_t from, uint32_t end) {
    const uint8_t *eol = memchr(h->data + from, '\n', end - from);
    return eol ? (uint32_t)(eol + 1 - h->data) : end;
}

size_t head_to_response(struct head *h, uint32_t from, uint32_t end, nghttp2_nv out[PAIRS_MAX],
                        int *ret_status) {
    const uint8_t *digits = h->data + from + strlen("HTTP/1.1 ");
    if (end - from < strlen("HTTP/1.1 200"))
        return 0;
    *ret_status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    out[0] = PAIR(":status", digits, 3);
    return fields_add(h, line_after(h, from, end), end, out, 1);
}

size_t head_to_request(struct head *h, uint32_t from, uint32_t end, bool tls,
                       nghttp2_nv out[PAIRS_MAX]) {
    uint32_t fields = line_after(h, from, end);
    const uint8_t *method = h->data + from, *stop = h->data + fields;
    const uint8_t *target = memchr(method, ' ', (size_t)(stop - method));
    const uint8_t *rest = target ? memchr(target + 1, ' ', (size_t)(stop - target - 1)) : NULL;
    struct head_field host;
    if (!rest || !head_find(h, fields, "host", 4, &host))
        return 0;
    out[0] = PAIR(":method", method, (size_t)(target - method));
    out[1] = tls ? PAIR(":scheme", "https", 5) : PAIR(":scheme", "http", 4);
    out[2] = PAIR(":authority", h->data + host.value_at, host.value_length);
    out[3] = PAIR(":path", target + 1, (size_t)(rest - target - 1));
    return fields_add(h, fields, end, out, 4);
}
