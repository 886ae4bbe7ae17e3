/* SPDX-License-Identifier: GPL-3.0-or-later
 * update.c - see update.h.
 *
 *   message   header | zone: NAME SOA IN | update: NAME TXT class ttl data | additional: TSIG
 *   MAC over  [length and MAC of the request, for an answer] | message without TSIG | TSIG's variables (RFC 8945 section 4.3)
 *
 * The answer's bytes are whoever's: every length is checked against what is there before it is used.
 */
#include <wolfssl/options.h>

#include "modules/acme/update.h"
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/hmac.h>

enum {
    HEADER = 12,
    TYPE_SOA = 6,
    TYPE_TXT = 16,
    TYPE_TSIG = 250,
    CLASS_IN = 1,
    CLASS_NONE = 254,
    CLASS_ANY = 255,
    OPCODE_UPDATE = 5,
    FUDGE_S = 300,
    NAME_WIRE_MAX = 255,
    STRING_MAX = 255,
    UDP_MS = 2000 /* until TCP is tried */
};
static const char algorithm[] = "hmac-sha256";

/* --- writing ---------------------------------------------------------------------------------*/

struct writer {
    uint8_t *data;
    size_t length, room;
    bool failed; /* something did not fit, or is no name */
};

static void put(struct writer *w, const void *data, size_t length) {
    if (w->failed || length > w->room - w->length) {
        w->failed = true;
        return;
    }
    memcpy(w->data + w->length, data, length);
    w->length += length;
}

static void put_number(struct writer *w, uint64_t value, int bytes) {
    uint8_t big[8];
    for (int i = 0; i < bytes; i++)
        big[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    put(w, big, (size_t)bytes);
}

/* Canonical: lower case, uncompressed. */
static void put_name(struct writer *w, const char *name) {
    size_t start = w->length;
    w->failed |= !*name;
    while (*name && !w->failed) {
        size_t label = strcspn(name, ".");
        w->failed |= !label || label > 63;
        put_number(w, label, 1);
        for (size_t i = 0; i < label && !w->failed; i++)
            put_number(w, (uint64_t)tolower((unsigned char)name[i]), 1);
        name += label + (name[label] == '.');
    }
    put_number(w, 0, 1);
    w->failed |= w->length - start > NAME_WIRE_MAX;
}

static void put_text(struct writer *w, const char *text) {
    size_t left = strlen(text), strings = left / STRING_MAX + 1;
    if (left > UPDATE_TEXT_MAX) {
        w->failed = true;
        return;
    }
    if (left && left % STRING_MAX == 0)
        strings--;
    put_number(w, left + strings, 2);
    for (size_t i = 0; i < strings; i++) {
        size_t most = left < STRING_MAX ? left : STRING_MAX;
        put_number(w, most, 1);
        put(w, text, most);
        text += most;
        left -= most;
    }
}

static void put_record(struct writer *w, const struct update *u) {
    put_name(w, u->name);
    put_number(w, TYPE_TXT, 2);
    put_number(w, !u->remove ? CLASS_IN : u->text ? CLASS_NONE : CLASS_ANY, 2);
    put_number(w, u->remove ? 0 : u->ttl, 4);
    if (u->text)
        put_text(w, u->text);
    else
        put_number(w, 0, 2);
}

static void put_header(struct writer *w, uint16_t id) {
    put_number(w, id, 2);
    put_number(w, OPCODE_UPDATE << 11, 2);
    put_number(w, 1, 2); /* zone */
    put_number(w, 0, 2); /* prerequisites: none, either change may be repeated */
    put_number(w, 1, 2); /* changes */
    put_number(w, 0, 2); /* additional: the signature, once it is there */
}

/* --- signing ---------------------------------------------------------------------------------*/

struct signature { /* what a TSIG record says besides its MAC */
    uint64_t time;
    uint16_t fudge, error;
    const uint8_t *other;
    size_t other_length;
};

static bool hash_number(Hmac *hmac, uint64_t value, int bytes) {
    uint8_t big[8];
    struct writer w = {.data = big, .room = sizeof big};
    put_number(&w, value, bytes);
    return !wc_HmacUpdate(hmac, big, (word32)bytes);
}

static bool hash_name(Hmac *hmac, const char *name) {
    uint8_t wire[NAME_WIRE_MAX];
    struct writer w = {.data = wire, .room = sizeof wire};
    put_name(&w, name);
    return !w.failed && !wc_HmacUpdate(hmac, wire, (word32)w.length);
}

static bool hash_variables(Hmac *hmac, const char *key, const struct signature *s) {
    return hash_name(hmac, key) && hash_number(hmac, CLASS_ANY, 2) && hash_number(hmac, 0, 4) &&
           hash_name(hmac, algorithm) && hash_number(hmac, s->time, 6) &&
           hash_number(hmac, s->fudge, 2) && hash_number(hmac, s->error, 2) &&
           hash_number(hmac, s->other_length, 2) &&
           (!s->other_length || !wc_HmacUpdate(hmac, s->other, (word32)s->other_length));
}

/* `message` is without its TSIG, and its header does not count it. */
static bool mac_make(const struct tsig_key *key, const uint8_t *request_mac, const uint8_t *message,
                     size_t length, const struct signature *s, uint8_t ret[UPDATE_MAC_LENGTH]) {
    Hmac hmac;
    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID))
        return false;
    bool good = !wc_HmacSetKey(&hmac, WC_SHA256, key->secret, (word32)key->secret_length);
    if (good && request_mac)
        good = hash_number(&hmac, UPDATE_MAC_LENGTH, 2) &&
               !wc_HmacUpdate(&hmac, request_mac, UPDATE_MAC_LENGTH);
    good = good && !wc_HmacUpdate(&hmac, message, (word32)length) &&
           hash_variables(&hmac, key->name, s) && !wc_HmacFinal(&hmac, ret);
    wc_HmacFree(&hmac);
    return good;
}

static void put_signature(struct writer *w, const struct tsig_key *key, const struct signature *s,
                          const uint8_t mac[UPDATE_MAC_LENGTH], uint16_t id) {
    put_name(w, key->name);
    put_number(w, TYPE_TSIG, 2);
    put_number(w, CLASS_ANY, 2);
    put_number(w, 0, 4);
    put_number(w, sizeof algorithm + 1 + 16 + UPDATE_MAC_LENGTH,
               2); /* its wire form is one longer */
    put_name(w, algorithm);
    put_number(w, s->time, 6);
    put_number(w, s->fudge, 2);
    put_number(w, UPDATE_MAC_LENGTH, 2);
    put(w, mac, UPDATE_MAC_LENGTH);
    put_number(w, id, 2);
    put_number(w, 0, 2); /* error */
    put_number(w, 0, 2); /* other data */
    if (!w->failed)
        w->data[HEADER - 1] = 1;
}

size_t update_build(const struct update *u, const struct tsig_key *key, uint16_t id, uint64_t now,
                    uint8_t out[UPDATE_MESSAGE_MAX], uint8_t ret_mac[UPDATE_MAC_LENGTH]) {
    struct writer w = {.data = out, .room = UPDATE_MESSAGE_MAX};
    struct signature s = {.time = now, .fudge = FUDGE_S};
    if (!u->text && !u->remove)
        return 0;
    put_header(&w, id);
    put_name(&w, u->zone);
    put_number(&w, TYPE_SOA, 2);
    put_number(&w, CLASS_IN, 2);
    put_record(&w, u);
    if (w.failed || !mac_make(key, NULL, out, w.length, &s, ret_mac))
        return 0;
    put_signature(&w, key, &s, ret_mac, id);
    return w.failed ? 0 : w.length;
}

/* --- reading ---------------------------------------------------------------------------------*/

struct reader {
    const uint8_t *data;
    size_t length, at;
    bool failed;
};

static uint64_t get_number(struct reader *r, int bytes) {
    uint64_t value = 0;
    if (r->failed || r->length - r->at < (size_t)bytes) {
        r->failed = true;
        return 0;
    }
    for (int i = 0; i < bytes; i++)
        value = value << 8 | r->data[r->at++];
    return value;
}

static const uint8_t *get_bytes(struct reader *r, size_t length) {
    if (r->failed || r->length - r->at < length) {
        r->failed = true;
        return NULL;
    }
    r->at += length;
    return r->data + r->at - length;
}

static size_t label_take(struct reader *r, size_t label, char *name, size_t used) {
    const uint8_t *text = get_bytes(r, label);
    if (!text || used + label + 1 > UPDATE_NAME_MAX) {
        r->failed = true;
        return used;
    }
    if (used)
        name[used++] = '.';
    for (size_t i = 0; i < label; i++)
        name[used++] = (char)tolower(text[i]);
    return used;
}

/* In lower case. Compression points only backwards, so that it ends. */
static void get_name(struct reader *r, char name[UPDATE_NAME_MAX + 1]) {
    struct reader at = *r;
    size_t used = 0, end = 0, before = r->at;
    for (size_t label; (label = get_number(&at, 1)) && !at.failed;) {
        if (label < 64) {
            used = label_take(&at, label, name, used);
            continue;
        }
        size_t target = (label & 63) << 8 | get_number(&at, 1);
        at.failed |= label < 192 || target >= before;
        end = end ? end : at.at;
        before = at.at = at.failed ? at.at : target;
    }
    name[used] = 0;
    r->failed |= at.failed;
    r->at = end ? end : at.at;
}

static void skip_questions(struct reader *r, uint64_t count) {
    char name[UPDATE_NAME_MAX + 1];
    for (; count && !r->failed; count--) {
        get_name(r, name);
        get_number(r, 4);
    }
}

static void skip_records(struct reader *r, uint64_t count) {
    char name[UPDATE_NAME_MAX + 1];
    for (; count && !r->failed; count--) {
        get_name(r, name);
        get_number(r, 8);
        get_bytes(r, get_number(r, 2));
    }
}

struct answer {
    uint16_t id, flags;
    uint64_t records; /* without the last, which must be the TSIG */
    size_t unsigned_length;
    bool is_signed; /* it ends with a TSIG, good or not: */
    char key[UPDATE_NAME_MAX + 1], algorithm[UPDATE_NAME_MAX + 1];
    struct signature signature;
    const uint8_t *mac;
    size_t mac_length;
    uint16_t original_id;
};

static bool signature_read(struct reader *r, struct answer *a) {
    get_name(r, a->key);
    uint64_t type = get_number(r, 2), class = get_number(r, 2), ttl = get_number(r, 4);
    r->failed |= type != TYPE_TSIG || class != CLASS_ANY || ttl;
    size_t length = get_number(r, 2), start = r->at;
    get_name(r, a->algorithm);
    a->signature.time = get_number(r, 6);
    a->signature.fudge = (uint16_t)get_number(r, 2);
    a->mac_length = get_number(r, 2);
    a->mac = get_bytes(r, a->mac_length);
    a->original_id = (uint16_t)get_number(r, 2);
    a->signature.error = (uint16_t)get_number(r, 2);
    a->signature.other_length = get_number(r, 2);
    a->signature.other = get_bytes(r, a->signature.other_length);
    return !r->failed && r->at - start == length && r->at == r->length;
}

static bool answer_parse(const uint8_t *data, size_t length, struct answer *ret) {
    struct reader r = {.data = data, .length = length};
    *ret = (struct answer){.id = (uint16_t)get_number(&r, 2)};
    ret->flags = (uint16_t)get_number(&r, 2);
    uint64_t zones = get_number(&r, 2), records = get_number(&r, 2);
    records += get_number(&r, 2);
    uint64_t additional = get_number(&r, 2);
    if (r.failed)
        return false;
    skip_questions(&r, zones);
    skip_records(&r, records + (additional ? additional - 1 : 0));
    if (r.failed)
        return false;
    ret->records = additional ? additional - 1 : 0;
    ret->unsigned_length = r.at;
    ret->is_signed = additional && signature_read(&r, ret);
    return true;
}

/* The message as it was before it was signed: its own id, and a TSIG less. */
static bool answer_signed(const uint8_t *data, const struct answer *a, const struct tsig_key *key,
                          const uint8_t request_mac[UPDATE_MAC_LENGTH]) {
    uint8_t mac[UPDATE_MAC_LENGTH], *before = malloc(a->unsigned_length);
    if (!before)
        return false;
    memcpy(before, data, a->unsigned_length);
    struct writer w = {.data = before, .room = a->unsigned_length};
    put_number(&w, a->original_id, 2);
    w.length = HEADER - 2;
    put_number(&w, a->records, 2);
    bool good = a->mac_length == UPDATE_MAC_LENGTH && !strcmp(a->key, key->name) &&
                !strcmp(a->algorithm, algorithm) &&
                mac_make(key, request_mac, before, a->unsigned_length, &a->signature, mac);
    uint8_t differs = 0;
    for (size_t i = 0; good && i < UPDATE_MAC_LENGTH; i++)
        differs |= mac[i] ^ a->mac[i];
    free(before);
    return good && !differs;
}

static const char *code_text(unsigned code) {
    static const char *const text[] = {
        [1] = "FORMERR",  [2] = "SERVFAIL", [3] = "NXDOMAIN", [4] = "NOTIMP",   [5] = "REFUSED",
        [6] = "YXDOMAIN", [7] = "YXRRSET",  [8] = "NXRRSET",  [9] = "NOTAUTH",  [10] = "NOTZONE",
        [16] = "BADSIG",  [17] = "BADKEY",  [18] = "BADTIME", [22] = "BADTRUNC"};
    return code < sizeof text / sizeof *text && text[code] ? text[code] : "an unknown code";
}

static void why_write(const struct answer *a, char why[64]) {
    unsigned code = a->is_signed && a->signature.error ? a->signature.error : a->flags & 15u;
    snprintf(why, 64, "%s%s", code_text(code),
             code == 16   ? " (the key's secret is another one)"
             : code == 9  ? " (it has no such zone, or not for us)"
             : code == 17 ? " (the key is not known there)"
             : code == 18 ? " (the clocks differ by more than 300 s)"
                          : "");
}

/* A server without the key, or without the zone and so its keys, can't sign. What it says is no success, so it may be believed. */
static bool is_unsigned_refusal(const struct answer *a) {
    return (a->flags & 15) && (!a->is_signed || !a->mac_length);
}

enum update_answer update_read(const uint8_t *answer, size_t length, uint16_t id,
                               const struct tsig_key *key,
                               const uint8_t request_mac[UPDATE_MAC_LENGTH], uint64_t now,
                               char why[64]) {
    struct answer a;
    *why = 0;
    if (!answer_parse(answer, length, &a) || a.id != id || !(a.flags & 0x8000) ||
        (a.flags >> 11 & 15) != OPCODE_UPDATE)
        return UPDATE_FOREIGN;
    if (is_unsigned_refusal(&a)) {
        why_write(&a, why);
        return UPDATE_REFUSED;
    }
    uint64_t apart = a.signature.time > now ? a.signature.time - now : now - a.signature.time;
    if (!a.is_signed || !answer_signed(answer, &a, key, request_mac) ||
        (apart > a.signature.fudge && a.signature.error != 18))
        return UPDATE_FOREIGN;
    if (a.flags & 0x200)
        return UPDATE_TRUNCATED;
    if (!(a.flags & 15) && !a.signature.error)
        return UPDATE_DONE;
    why_write(&a, why);
    return UPDATE_REFUSED;
}

/* --- keys ------------------------------------------------------------------------------------*/

static bool key_name_take(struct tsig_key *key, const char *text, size_t length) {
    uint8_t wire[NAME_WIRE_MAX];
    struct writer w = {.data = wire, .room = sizeof wire};
    if (length && text[length - 1] == '.')
        length--;
    if (length > UPDATE_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        key->name[i] = (char)tolower((unsigned char)text[i]);
    put_name(&w, key->name);
    return !w.failed;
}

bool tsig_key_parse(const char *text, struct tsig_key *ret, struct err *err) {
    struct tsig_key key = {.secret_length = UPDATE_SECRET_MAX};
    const char *colon = strchr(text, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
    word32 length = UPDATE_SECRET_MAX;
    if (second) {
        if ((size_t)(colon - text) != sizeof algorithm - 1 ||
            strncasecmp(text, algorithm, sizeof algorithm - 1) != 0)
            return err_set(err, "TSIG key: its algorithm is not hmac-sha256");
        text = colon + 1;
        colon = second;
    }
    if (!colon || !key_name_take(&key, text, (size_t)(colon - text)))
        return err_set(err, "TSIG key: not NAME:BASE64");
    if (Base64_Decode((const byte *)colon + 1, (word32)strlen(colon + 1), key.secret, &length) ||
        !length)
        return err_set(err, "TSIG key %s: its secret is not base64 of 1 to %d bytes", key.name,
                       UPDATE_SECRET_MAX);
    key.secret_length = length;
    *ret = key;
    explicit_bzero(&key, sizeof key);
    return true;
}

/* --- sending ---------------------------------------------------------------------------------*/

struct exchange {
    const struct tsig_key *key;
    uint16_t id;
    uint8_t request[UPDATE_MESSAGE_MAX], mac[UPDATE_MAC_LENGTH];
    size_t length;
    char why[64];
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool wait_ready(int fd, short events, int64_t end) {
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = end - now_ms();
    return left > 0 && poll(&p, 1, (int)left) > 0;
}

static enum update_answer judge(struct exchange *x, const uint8_t *data, size_t length) {
    return update_read(data, length, x->id, x->key, x->mac, (uint64_t)time(NULL), x->why);
}

/* The first answer that is ours; UPDATE_FOREIGN: none came. */
static enum update_answer ask_udp(struct exchange *x, const struct addrinfo *to, int64_t end) {
    uint8_t data[4096];
    enum update_answer answer = UPDATE_FOREIGN;
    int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool sent = fd >= 0 && !connect(fd, to->ai_addr, to->ai_addrlen) &&
                send(fd, x->request, x->length, 0) == (ssize_t)x->length;
    while (sent && answer == UPDATE_FOREIGN && wait_ready(fd, POLLIN, end)) {
        ssize_t n = recv(fd, data, sizeof data, 0);
        if (n < 0 && errno != EAGAIN)
            break; /* nobody listens there */
        answer = n > 0 ? judge(x, data, (size_t)n) : answer;
    }
    if (fd >= 0)
        close(fd);
    return answer;
}

static bool move_all(int fd, uint8_t *data, size_t length, bool out, int64_t end) {
    for (size_t at = 0; at < length;) {
        if (!wait_ready(fd, out ? POLLOUT : POLLIN, end))
            return false;
        ssize_t n = out ? send(fd, data + at, length - at, MSG_NOSIGNAL)
                        : recv(fd, data + at, length - at, 0);
        if (n <= 0 && !(n < 0 && errno == EAGAIN))
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int connect_tcp(const struct addrinfo *to, int64_t end) {
    int error = 0, fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof error;
    if (fd < 0)
        return -1;
    if ((!connect(fd, to->ai_addr, to->ai_addrlen) || errno == EINPROGRESS) &&
        wait_ready(fd, POLLOUT, end) && !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) &&
        !error)
        return fd;
    close(fd);
    return -1;
}

static enum update_answer ask_tcp(struct exchange *x, const struct addrinfo *to, int64_t end) {
    uint8_t length[2] = {(uint8_t)(x->length >> 8), (uint8_t)x->length};
    enum update_answer answer = UPDATE_FOREIGN;
    int fd = connect_tcp(to, end);
    uint8_t *data = fd >= 0 ? malloc(65535) : NULL;
    if (data && move_all(fd, length, 2, true, end) &&
        move_all(fd, x->request, x->length, true, end))
        while (answer == UPDATE_FOREIGN && move_all(fd, length, 2, false, end)) {
            size_t n = (size_t)length[0] << 8 | length[1];
            if (!move_all(fd, data, n, false, end))
                break;
            answer = judge(x, data, n);
        }
    free(data);
    if (fd >= 0)
        close(fd);
    return answer;
}

static struct addrinfo *server_find(const char *server) {
    static const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    char host[256];
    const char *colon = strrchr(server, ':'), *bracket = strchr(server, ']');
    bool port =
        colon && (*server == '[' ? bracket && colon == bracket + 1 : strchr(server, ':') == colon);
    const char *start = *server == '[' ? server + 1 : server;
    size_t length = *server == '[' && bracket ? (size_t)(bracket - start)
                    : port                    ? (size_t)(colon - start)
                                              : strlen(start);
    struct addrinfo *found = NULL;
    snprintf(host, sizeof host, "%.*s", (int)length, start);
    return getaddrinfo(host, port ? colon + 1 : "53", &hints, &found) ? NULL : found;
}

static bool exchange_make(struct exchange *x, const struct update *u) {
    if (getrandom(&x->id, sizeof x->id, 0) != sizeof x->id)
        return false;
    x->length = update_build(u, x->key, x->id, (uint64_t)time(NULL), x->request, x->mac);
    return x->length;
}

bool update_send(const char *server, const struct update *u, const struct tsig_key *key,
                 struct err *err) {
    struct exchange x = {.key = key};
    int64_t end = now_ms() + UPDATE_PATIENCE_MS;
    if (!exchange_make(&x, u))
        return err_set(err, "DNS update of %s: it can't be put into a message", u->name);
    struct addrinfo *to = server_find(server);
    if (!to)
        return err_set(err, "DNS update: no server %s", server);
    enum update_answer answer = ask_udp(&x, to, now_ms() + UDP_MS);
    if (answer == UPDATE_FOREIGN || answer == UPDATE_TRUNCATED)
        answer = ask_tcp(&x, to, end);
    freeaddrinfo(to);
    if (answer == UPDATE_REFUSED)
        return err_set(err, "DNS update of %s: %s says %s", u->name, server, x.why);
    return answer == UPDATE_DONE ||
           err_set(err, "DNS update of %s: no answer from %s that its key signed", u->name, server);
}
