/* SPDX-License-Identifier: GPL-3.0-or-later
 * hello.c - a ClientHello out of a byte stream: first the frames, then the message.
 *
 *   [type version length | payload] [type version length | payload] …      records, RFC 8446 section 5.1
 *                          `------ handshake message ------´               may span them, at any byte
 *
 * Framing goes over every byte once and keeps its place in struct hello_scan. Only a message that is whole is parsed: in
 * place when one record holds it, else from a copy on the stack. Strict where the RFCs say MUST, since what is let through
 * here may be passed on to a pod; blind to every extension that routing does not need.
 */
#include "modules/sni/hello.h"
#include <string.h>

enum {
    RECORD_HEADER = 5,
    RECORD_HANDSHAKE = 22,
    RECORD_PAYLOAD_MAX = 1 << 14,
    MESSAGE_HEADER = 4,
    MESSAGE_CLIENT_HELLO = 1,
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    SSL_3_0 = 0x0300,
    TLS_1_2 = 0x0303,
    TLS_1_3 = 0x0304,
};

static enum hello_answer refuse(enum tls_alert *ret_alert, enum tls_alert alert) {
    *ret_alert = alert;
    return HELLO_BAD;
}

/* ---- frames ---- */

/* The first byte tells TLS from the usual visitors: an upper-case letter starts a request line, and SSL 2 had no records. */
static enum hello_answer first_byte_check(const uint8_t *data, size_t length,
                                          enum tls_alert *ret_alert) {
    if (data[0] == RECORD_HANDSHAKE)
        return HELLO_WHOLE;
    if (data[0] >= 'A' && data[0] <= 'Z')
        return HELLO_TEXT;
    if (!(data[0] & 0x80))
        return refuse(ret_alert, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (length < 3)
        return HELLO_MORE;
    bool sslv2 = data[2] == MESSAGE_CLIENT_HELLO;
    return refuse(ret_alert, sslv2 ? TLS_ALERT_PROTOCOL_VERSION : TLS_ALERT_UNEXPECTED_MESSAGE);
}

/* A record header at data[offset]: judged as soon as a byte of it is wrong, passed over once it is whole. */
static enum hello_answer record_open(struct hello_scan *scan, const uint8_t *data, size_t length,
                                     enum tls_alert *ret_alert) {
    const uint8_t *record = data + scan->offset;
    size_t have = length - scan->offset;
    if (record[0] != RECORD_HANDSHAKE)
        return refuse(ret_alert, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (have >= 2 && record[1] != 3)
        return refuse(ret_alert, TLS_ALERT_PROTOCOL_VERSION);
    if (have < RECORD_HEADER)
        return HELLO_MORE;
    uint32_t payload = (uint32_t)record[3] << 8 | record[4];
    if (payload > RECORD_PAYLOAD_MAX)
        return refuse(ret_alert, TLS_ALERT_RECORD_OVERFLOW);
    if (payload == 0)
        return refuse(ret_alert, TLS_ALERT_DECODE_ERROR);
    scan->split = scan->gathered > 0;
    scan->record_left = payload;
    scan->offset += RECORD_HEADER;
    return HELLO_WHOLE;
}

/* The message's own header, byte by byte: it says how much to wait for. */
static enum hello_answer message_header(struct hello_scan *scan, uint8_t byte, size_t size_max,
                                        enum tls_alert *ret_alert) {
    scan->header[scan->gathered++] = byte;
    scan->offset++;
    scan->record_left--;
    if (scan->header[0] != MESSAGE_CLIENT_HELLO)
        return refuse(ret_alert, TLS_ALERT_UNEXPECTED_MESSAGE);
    if (scan->gathered < MESSAGE_HEADER)
        return HELLO_MORE;
    scan->need = MESSAGE_HEADER + ((uint32_t)scan->header[1] << 16 |
                                   (uint32_t)scan->header[2] << 8 | scan->header[3]);
    if (scan->need > size_max)
        return refuse(ret_alert, TLS_ALERT_ILLEGAL_PARAMETER);
    return HELLO_MORE;
}

static void message_skip(struct hello_scan *scan, size_t length) {
    size_t step = length - scan->offset;
    if (step > scan->record_left)
        step = scan->record_left;
    if (step > scan->need - scan->gathered)
        step = scan->need - scan->gathered;
    scan->gathered += (uint32_t)step;
    scan->offset += (uint32_t)step;
    scan->record_left -= (uint32_t)step;
}

/* HELLO_WHOLE: the message has ended at scan->offset. */
static enum hello_answer frames_walk(struct hello_scan *scan, const uint8_t *data, size_t length,
                                     size_t size_max, enum tls_alert *ret_alert) {
    while (!scan->need || scan->gathered < scan->need) {
        enum hello_answer answer = HELLO_MORE;
        if (scan->offset == length)
            return HELLO_MORE;
        if (scan->offset == 0 &&
            (answer = first_byte_check(data, length, ret_alert)) != HELLO_WHOLE)
            return answer;
        if (scan->record_left == 0) {
            if ((answer = record_open(scan, data, length, ret_alert)) != HELLO_WHOLE)
                return answer;
        } else if (scan->gathered < MESSAGE_HEADER) {
            if ((answer = message_header(scan, data[scan->offset], size_max, ret_alert)) !=
                HELLO_MORE)
                return answer;
        } else {
            message_skip(scan, length);
        }
    }
    return HELLO_WHOLE;
}

/* ---- the message ---- */

struct view { /* what is left to read of a vector */
    const uint8_t *at;
    size_t left;
};

static bool take(struct view *v, size_t length, struct view *ret) {
    if (v->left < length)
        return false;
    *ret = (struct view){v->at, length};
    v->at += length;
    v->left -= length;
    return true;
}

static bool take_number(struct view *v, size_t width, uint32_t *ret) {
    struct view bytes;
    if (!take(v, width, &bytes))
        return false;
    uint32_t n = 0;
    for (size_t i = 0; i < width; i++)
        n = n << 8 | bytes.at[i];
    *ret = n;
    return true;
}

/* A vector whose length stands before it in `width` bytes; one shorter than `least` is malformed. */
static bool take_vector(struct view *v, size_t width, size_t least, struct view *ret) {
    uint32_t length;
    return take_number(v, width, &length) && length >= least && take(v, length, ret);
}

/* RFC 6066 section 3: one name of a type at most, and host_name is the only type there is. */
static bool server_name_read(struct view body, struct hello *hello) {
    struct view list, name;
    uint32_t type;
    if (!take_vector(&body, 2, 1, &list) || body.left)
        return false;
    if (!take_number(&list, 1, &type) || type != 0 || !take_vector(&list, 2, 1, &name) || list.left)
        return false;
    if (name.left > HELLO_SNI_MAX || memchr(name.at, 0, name.left))
        return false;
    memcpy(hello->sni, name.at, name.left);
    hello->sni[name.left] = 0;
    hello->sni_length = name.left;
    return true;
}

static bool alpn_read(struct view body, struct hello *hello) {
    struct view list, name;
    if (!take_vector(&body, 2, 2, &list) || body.left)
        return false;
    while (list.left) {
        if (!take_vector(&list, 1, 1, &name))
            return false;
        if (hello->alpn_length + 1 + name.left > HELLO_ALPN_MAX) {
            hello->alpn_more = true;
            continue;
        }
        memcpy(hello->alpn + hello->alpn_length, name.at - 1, name.left + 1);
        hello->alpn_length += name.left + 1;
    }
    return true;
}

/* Values above TLS 1.3 are drafts and GREASE (RFC 8701): not versions anybody can speak. */
static bool supported_versions_read(struct view body, struct hello *hello) {
    struct view list;
    uint32_t version, highest = 0;
    if (!take_vector(&body, 1, 2, &list) || body.left)
        return false;
    while (list.left) {
        if (!take_number(&list, 2, &version))
            return false;
        if (version <= TLS_1_3 && version > highest)
            highest = version;
    }
    if (highest)
        hello->version = (uint16_t)highest;
    return true;
}

static const struct extension {
    uint16_t type;
    bool (*read)(struct view, struct hello *);
} EXTENSIONS[] = {
    {EXTENSION_SERVER_NAME, server_name_read},
    {EXTENSION_ALPN, alpn_read},
    {EXTENSION_SUPPORTED_VERSIONS, supported_versions_read},
};
enum { EXTENSION_COUNT = sizeof EXTENSIONS / sizeof *EXTENSIONS };

static bool extension_read(uint32_t type, struct view body, unsigned *seen, struct hello *hello) {
    for (unsigned i = 0; i < EXTENSION_COUNT; i++) {
        if (EXTENSIONS[i].type != type)
            continue;
        bool again = *seen & 1u << i;
        *seen |= 1u << i;
        return !again && EXTENSIONS[i].read(body, hello);
    }
    return true;
}

static bool extensions_read(struct view v, struct hello *hello) {
    struct view list, body;
    uint32_t type;
    unsigned seen = 0;
    if (v.left == 0)
        return true; /* TLS 1.2 may leave them out altogether */
    if (!take_vector(&v, 2, 0, &list) || v.left)
        return false;
    while (list.left)
        if (!take_number(&list, 2, &type) || !take_vector(&list, 2, 0, &body) ||
            !extension_read(type, body, &seen, hello))
            return false;
    return true;
}

static enum hello_answer message_parse(struct view v, struct hello *ret_hello,
                                       enum tls_alert *ret_alert) {
    struct hello hello = {0};
    struct view random, session, suites, compression;
    uint32_t version;
    if (!take_number(&v, 2, &version))
        return refuse(ret_alert, TLS_ALERT_DECODE_ERROR);
    if (version <= SSL_3_0)
        return refuse(ret_alert, TLS_ALERT_PROTOCOL_VERSION);
    /* legacy_version says 1.2 at most; supported_versions says the truth */
    hello.version = (uint16_t)(version > TLS_1_2 ? TLS_1_2 : version);
    if (!take(&v, 32, &random) || !take_vector(&v, 1, 0, &session) || session.left > 32 ||
        !take_vector(&v, 2, 2, &suites) || suites.left % 2 ||
        !take_vector(&v, 1, 1, &compression) || !extensions_read(v, &hello))
        return refuse(ret_alert, TLS_ALERT_DECODE_ERROR);
    *ret_hello = hello;
    return HELLO_WHOLE;
}

/* Without the record headers: `need` bytes of payload, which frames_walk has found to be there. */
static void message_join(const uint8_t *data, uint32_t need, uint8_t *out) {
    for (uint32_t done = 0; done < need;) {
        uint32_t payload = (uint32_t)data[3] << 8 | data[4];
        uint32_t step = payload < need - done ? payload : need - done;
        memcpy(out + done, data + RECORD_HEADER, step);
        done += step;
        data += RECORD_HEADER + payload;
    }
}

static enum hello_answer message_parse_split(const uint8_t *data, uint32_t need,
                                             struct hello *ret_hello, enum tls_alert *ret_alert) {
    uint8_t message[HELLO_SIZE_MAX];
    message_join(data, need, message);
    return message_parse((struct view){message + MESSAGE_HEADER, need - MESSAGE_HEADER}, ret_hello,
                         ret_alert);
}

/* ---- both ---- */

enum hello_answer hello_read(struct hello_scan *scan, const uint8_t *data, size_t length,
                             size_t size_max, struct hello *ret_hello, enum tls_alert *ret_alert) {
    if (size_max > HELLO_SIZE_MAX)
        size_max = HELLO_SIZE_MAX;
    size_t stream_max = 2 * size_max;
    size_t seen = length < stream_max ? length : stream_max;
    enum hello_answer answer = frames_walk(scan, data, seen, size_max, ret_alert);
    if (answer == HELLO_MORE && length >= stream_max)
        return refuse(ret_alert, TLS_ALERT_ILLEGAL_PARAMETER);
    if (answer != HELLO_WHOLE)
        return answer;
    if (scan->split)
        return message_parse_split(data, scan->need, ret_hello, ret_alert);
    const uint8_t *body = data + RECORD_HEADER + MESSAGE_HEADER;
    return message_parse((struct view){body, scan->need - MESSAGE_HEADER}, ret_hello, ret_alert);
}

bool hello_offers(const struct hello *hello, const char *protocol) {
    size_t length = strlen(protocol);
    for (size_t i = 0; i < hello->alpn_length; i += 1u + hello->alpn[i])
        if (hello->alpn[i] == length && memcmp(hello->alpn + i + 1, protocol, length) == 0)
            return true;
    return false;
}

bool hello_offers_only(const struct hello *hello, const char *protocol) {
    return !hello->alpn_more && hello->alpn_length == 1 + strlen(protocol) &&
           hello_offers(hello, protocol);
}
