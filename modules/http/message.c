/* SPDX-License-Identifier: GPL-3.0-or-later
 * message.c - llhttp's callbacks turned into types and into a new head, see message.h.
 *
 *   START --target/status line--> FIELDS --empty line--> BODY --last chunk--> TRAILERS --> done (paused)
 *
 * No lenient flag of llhttp is ever set. Where strict llhttp is still wider than we want (Transfer-Encoding lists, RTSP, HTTP/0.9,
 * characters of a reason phrase, endless chunk extensions, spaces in a request line, zeros before a size), the rules are here and in request.c, response.c.
 */
#include "modules/http/message.h"
#include <limits.h>

static struct message *message_of(llhttp_t *parser) {
    return (struct message *)parser;
}

/* Notes why, and makes llhttp stop. */
static int refuse(struct message *m, int status) {
    m->refusal = (uint16_t)status;
    return HPE_USER;
}

static int no_memory(struct message *m) {
    return refuse(m, m->request ? 503 : 502);
}

static int too_large(struct message *m, int status) {
    return refuse(m, m->request ? status : 502);
}

static int copy_in(struct message *m, const char *at, size_t length) {
    m->raw += (uint32_t)length;
    if (m->raw > HEAD_MAX)
        return too_large(m, 431);
    return head_put(&m->head, at, length) ? 0 : no_memory(m);
}

/* ---- start lines ---- */

#if LLHTTP_VERSION_MAJOR > 9 || LLHTTP_VERSION_MINOR >= 3
/* llhttp also knows RTSP/ and ICE/; their first letter tells, in any fragmentation. */
static int on_protocol(llhttp_t *parser, const char *at, size_t length) {
    struct message *m = message_of(parser);
    return length && (*at == 'R' || *at == 'I') ? refuse(m, m->request ? 400 : 502) : 0;
}
#endif

/* RFC 9112 section 3: single spaces. llhttp skips several, and the next parser may take the second for the target's first octet. */
static void word_end(struct message *m, const char *end) {
    m->word = (uint32_t)((uintptr_t)end - m->origin);
}

static bool word_follows(const struct message *m, const char *at, uint32_t between) {
    return (uint32_t)((uintptr_t)at - m->origin) == m->word + between;
}

static int on_method(llhttp_t *parser, const char *at, size_t length) {
    word_end(message_of(parser), at + length);
    return 0;
}

static int on_method_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    const char *name = llhttp_method_name((llhttp_method_t)parser->method);
    m->method = parser->method;
    if (m->method == HTTP_CONNECT || m->method == HTTP_TRACE)
        return refuse(m, 405);
    if (m->method == HTTP_PRI) /* HTTP/2 without having agreed on it */
        return refuse(m, 505);
    if (!head_put(&m->head, name, strlen(name)) || !head_puts(&m->head, " "))
        return no_memory(m);
    m->target = m->head.used;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t length) {
    struct message *m = message_of(parser);
    if (m->head.used == m->target && !word_follows(m, at, 1))
        return refuse(m, 400);
    if (m->head.used - m->target + length > TARGET_MAX)
        return refuse(m, 414);
    word_end(m, at + length);
    return copy_in(m, at, length);
}

static int begin_fields(struct message *m) {
    m->fields = m->name = m->head.used;
    return 0;
}

static int on_url_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    int status = request_target_done(m);
    if (status)
        return refuse(m, status);
    return begin_fields(m);
}

static int on_version(llhttp_t *parser, const char *at, size_t length) {
    struct message *m = message_of(parser);
    uint32_t between = (uint32_t)strlen(" HTTP/");
    (void)length;
    if (m->request && m->word && !word_follows(m, at, between))
        return refuse(m, 400);
    m->word = 0; /* the rest of the version follows */
    return 0;
}

static int status_line_begin(struct message *m) {
    m->status = m->parser.status_code;
    if (m->status < 100 || m->status > 999)
        return refuse(m, 502);
    if (!head_puts(&m->head, "HTTP/1.1 ") || !head_put_number(&m->head, m->status) ||
        !head_puts(&m->head, " "))
        return no_memory(m);
    return 0;
}

static int on_status(llhttp_t *parser, const char *at, size_t length) {
    struct message *m = message_of(parser);
    if (!m->status && status_line_begin(m))
        return HPE_USER;
    for (size_t i = 0; i < length; i++) /* RFC 9112 section 4: HTAB, SP, VCHAR, obs-text */
        if (((uint8_t)at[i] < 0x20 && at[i] != '\t') || at[i] == 0x7f)
            return refuse(m, 502);
    return copy_in(m, at, length);
}

static int on_status_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    if (!m->status && status_line_begin(m))
        return HPE_USER;
    return head_puts(&m->head, "\r\n") ? begin_fields(m) : no_memory(m);
}

/* ---- fields ---- */

static int on_header_field(llhttp_t *parser, const char *at, size_t length) {
    return copy_in(message_of(parser), at, length);
}

static int on_header_field_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    if (copy_in(m, ": ", 2))
        return HPE_USER;
    m->value = m->head.used;
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length) {
    return copy_in(message_of(parser), at, length);
}

/* The field's line in the head is [name, used); cut to `name` it never was. */
static void field_end(struct message *m, bool keep) {
    if (!keep)
        m->head.used = m->name;
    m->name = m->head.used;
}

/* RFC 9110 section 6.5.1: what frames or routes a message can't stand behind it. */
static int trailer_done(struct message *m, size_t name_length) {
    const uint8_t *name = m->head.data + m->name;
    enum field field = field_classify(name, name_length);
    if (field == FIELD_CONTENT_LENGTH || field == FIELD_TRANSFER_ENCODING)
        return refuse(m, m->request ? 400 : 502);
    field_end(m, m->keep_trailers && field_fits_trailer(name, name_length));
    return 0;
}

/* RFC 9110 section 7.6.1. The line stays in the head while it names other fields, so that those can be taken out when all are there;
 * that TE is named is no news. */
static void connection_field(struct message *m, const uint8_t *value, size_t length, bool *keep) {
    const uint8_t *at = value, *element;
    *keep = false;
    for (size_t size; list_next(&at, value + length, &element, &size);) {
        if (field_is(element, size, "close", 5))
            m->close = true;
        else if (field_is(element, size, "keep-alive", 10))
            m->keep_alive = true;
        else if (field_is(element, size, "upgrade", 7))
            m->upgrade = true;
        else if (!field_is(element, size, "te", 2))
            *keep = m->nominates = true;
    }
}

/* RFC 9112 section 6.1: nothing but one "chunked", and never in HTTP/1.0. */
static int transfer_encoding_field(struct message *m, const uint8_t *value, size_t length,
                                   bool *keep) {
    *keep = false;
    if (m->transfer_encoding || m->parser.http_minor == 0 || !field_is(value, length, "chunked", 7))
        return 400;
    m->transfer_encoding = true;
    return 0;
}

/* What frames a message is read alike in both; refused as 502 when a pod sent it. */
static int field_done(struct message *m, enum field field, const uint8_t *value, size_t length,
                      bool *keep) {
    bool disguised =
        field != FIELD_PLAIN && field_is_disguised(m->head.data + m->name, m->value - 2 - m->name);
    if (disguised && field <= FIELD_EXPECT) /* Content_Length: some pod may read it as framing */
        return 400;
    if (disguised) {
        *keep = field == FIELD_SET_COOKIE;
        return 0;
    }
    if (field == FIELD_TRANSFER_ENCODING)
        return transfer_encoding_field(m, value, length, keep);
    if (field == FIELD_CONNECTION) {
        connection_field(m, value, length, keep);
        return 0;
    }
    return m->request ? request_field_done(m, field, value, length, keep)
                      : response_field_done(m, field, value, length, keep);
}

int message_field_end(struct message *m) {
    struct head *h = &m->head;
    size_t name_length = m->value - 2 - m->name;
    size_t value_length = h->used - m->value;
    if (++m->count > FIELDS_MAX)
        return too_large(m, 431);
    if (!head_puts(h, "\r\n"))
        return no_memory(m);
    if (m->trailing)
        return trailer_done(m, name_length);
    bool keep = true;
    enum field field = field_classify(h->data + m->name, name_length);
    if (field != FIELD_PLAIN) {
        int status = field_done(m, field, h->data + m->value, value_length, &keep);
        if (status)
            return refuse(m, m->request ? status : 502);
    }
    field_end(m, keep);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    struct head *h = &m->head;
    while (h->used > m->value && (h->data[h->used - 1] == ' ' || h->data[h->used - 1] == '\t'))
        h->used--;
    return message_field_end(m);
}

static uint32_t last_value_end(const struct message *m, const char *lower, size_t length) {
    struct head_field f;
    uint32_t end = 0;
    for (uint32_t at = m->fields; head_find(&m->head, at, lower, length, &f); at = f.end)
        end = f.value_at + f.value_length;
    return end;
}

/* Lines have moved: find again what was remembered by its place. */
void message_places_find(struct message *m) {
    struct head_field f;
    if (m->host_length && head_find(&m->head, m->fields, "host", 4, &f))
        m->host = f.value_at;
    if (m->forwarded_for_end)
        m->forwarded_for_end = last_value_end(m, "x-forwarded-for", 15);
    if (m->forwarded_end)
        m->forwarded_end = last_value_end(m, "forwarded", 9);
}

static void remove_named(struct message *m, const uint8_t *name, size_t length) {
    char lower[NAMES_MAX];
    if (field_classify(name, length) != FIELD_PLAIN)
        return;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    head_remove(&m->head, m->fields, lower, length);
}

/* RFC 9110 section 7.6.1: fields that Connection names end here, unless they are ours to judge (Host, X-Forwarded-For, ...). */
static int remove_nominated(struct message *m) {
    struct head_field f;
    struct head *h = &m->head;
    while (head_find(h, m->fields, "connection", 10, &f)) {
        uint8_t names[NAMES_MAX];
        if (f.value_length > sizeof names)
            return m->request ? 431 : 502;
        memcpy(names, h->data + f.value_at, f.value_length);
        memmove(h->data + f.at, h->data + f.end, h->used - f.end);
        h->used -= f.end - f.at;
        const uint8_t *at = names, *name;
        for (size_t size; list_next(&at, names + f.value_length, &name, &size);)
            remove_named(m, name, size);
    }
    message_places_find(m);
    return 0;
}

/* HTTP/0.9 has no fields, HTTP/2 is not spoken this way. */
static int version_judge(struct message *m) {
    if (m->parser.http_major != 1)
        return m->request && m->parser.http_major > 1 ? 505 : m->request ? 400 : 502;
    m->http_1_0 = m->parser.http_minor == 0;
    return 0;
}

/* RFC 9112 section 6. llhttp has refused Content-Length beside Transfer-Encoding, repeated and malformed lengths. A length that a
 * signed number can't hold may be a negative one, or none, to who reads it next (RFC 9110 section 8.6). */
static bool framing_judge(struct message *m) {
    m->length = m->parser.content_length;
    if (m->parser.flags & F_CHUNKED)
        m->framing = FRAMING_CHUNKED;
    else if (m->parser.flags & F_CONTENT_LENGTH)
        m->framing = FRAMING_LENGTH;
    else
        m->framing = m->request ? FRAMING_NONE : FRAMING_CLOSE;
    return m->length <= INT64_MAX;
}

static int on_headers_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    int status = version_judge(m);
    if (status)
        return refuse(m, status);
    status = m->nominates ? remove_nominated(m) : 0;
    if (status)
        return refuse(m, status);
    if (!framing_judge(m))
        return refuse(m, m->request ? 400 : 502);
    status = m->request ? request_judge(m) : response_judge(m);
    if (status)
        return refuse(m, status);
    m->complete = true;
    m->raw = 0;
    parser->upgrade = 0; /* whether it is one is known when the pod has answered 101 */
    if (!m->request && !response_has_body(m))
        parser->flags |= F_SKIPBODY;
    status = m->sink->head_done(m);
    m->paused = status == MESSAGE_PAUSE;
    if (status && !m->paused)
        return refuse(m, status);
    m->sizing = m->framing == FRAMING_CHUNKED && !(parser->flags & F_SKIPBODY);
    return m->paused || m->sizing ? HPE_PAUSED : 0;
}

/* ---- body ---- */

static int on_body(llhttp_t *parser, const char *at, size_t length) {
    struct message *m = message_of(parser);
    if (length)
        m->sink->body(m, (const uint8_t *)at, length);
    return 0;
}

void message_body_end(struct message *m) {
    m->trailing = true;
    if (m->sink->body_last)
        m->sink->body_last(m);
    m->name = m->head.used;
}

static int on_chunk_header(llhttp_t *parser) {
    if (!parser->content_length)
        message_body_end(message_of(parser));
    return 0;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t length) {
    struct message *m = message_of(parser);
    (void)at;
    if (m->extensions + length > EXTENSIONS_MAX)
        return refuse(m, m->request ? 400 : 502);
    m->extensions = (uint16_t)(m->extensions + length);
    return 0;
}

/* llhttp bounds the value but not the zeros before it, and other parsers count digits: stop before each size to look at it. */
static int on_chunk_complete(llhttp_t *parser) {
    struct message *m = message_of(parser);
    m->sizing = !m->trailing; /* else it was the last */
    return m->sizing ? HPE_PAUSED : 0;
}

static bool size_is_short(struct message *m, const uint8_t *data, size_t length) {
    for (size_t i = 0; m->sizing && i < length; i++) {
        uint8_t c = data[i] | 0x20;
        if (!(data[i] >= '0' && data[i] <= '9') && !(c >= 'a' && c <= 'f')) {
            m->sizing = false;
            m->digits = 0;
        } else if (++m->digits > SIZE_DIGITS_MAX) {
            return false;
        }
    }
    return true;
}

static int on_message_complete(llhttp_t *parser) {
    message_of(parser)->sizing = false;
    return HPE_PAUSED; /* what follows is judged on its own */
}

static const llhttp_settings_t settings = {
#if LLHTTP_VERSION_MAJOR > 9 || LLHTTP_VERSION_MINOR >= 3
    .on_protocol = on_protocol,
#endif
    .on_method = on_method,
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_version = on_version,
    .on_status = on_status,
    .on_status_complete = on_status_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_message_complete,
};

void message_init(struct message *m, bool request, const struct message_sink *sink) {
    struct head head = m->head;
    memset((char *)m + sizeof m->parser, 0,
           sizeof *m - sizeof m->parser); /* llhttp clears its own */
    m->sink = sink;
    m->head = head;
    m->start = head.used;
    m->request = request;
    llhttp_init(&m->parser, request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
}

/* What one pause or the end of the data means; *ret_used: up to where. */
static llhttp_errno_t parse(struct message *m, const uint8_t *data, size_t length,
                            size_t *ret_used) {
    m->origin = (uintptr_t)data - m->fed;
    llhttp_errno_t error = llhttp_execute(&m->parser, (const char *)data, length);
    *ret_used = error == HPE_OK
                    ? length
                    : (size_t)((const uint8_t *)llhttp_get_error_pos(&m->parser) - data);
    m->fed += *ret_used;
    return error;
}

/* A pause of on_headers_complete that head_done wished for. */
static bool take_pause(struct message *m) {
    bool wished = m->paused;
    m->paused = false;
    return wished;
}

enum step message_feed(struct message *m, const uint8_t *data, size_t length, size_t *ret_used) {
    llhttp_errno_t error = HPE_OK;
    m->begun = true;
    for (size_t at = 0, used = 0;; at += used) {
        if (m->sizing && !size_is_short(m, data + at, length - at)) {
            *ret_used = at;
            break;
        }
        error = parse(m, data + at, length - at, &used);
        *ret_used = at + used;
        if (error == HPE_OK)
            return STEP_MORE;
        if (error != HPE_PAUSED)
            break;
        if (!m->paused && !m->sizing) /* of on_message_complete */
            return STEP_DONE;
        llhttp_resume(&m->parser);
        if (take_pause(m))
            return STEP_PAUSED;
    }
    if (!m->refusal)
        m->refusal = m->request ? 400 : 502;
    return STEP_BAD;
}

bool message_ends_here(const struct message *m) {
    return m->complete && m->framing == FRAMING_CLOSE;
}
