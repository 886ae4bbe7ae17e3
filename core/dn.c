/* SPDX-License-Identifier: GPL-3.0-or-later
 * dn.c - see dn.h. The last component comes first; what is special in RFC 4514, and every octet that is not printable ASCII, is
 * escaped, so that no value can pretend to be another component, or a header of its own.
 *
 *   Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value string }
 */
#include "core/dn.h"
#include <stdio.h>
#include <string.h>

enum { PARTS_MOST = 32, OID = 0x06, SEQUENCE = 0x30, SET = 0x31 };
enum { UTF8 = 12, NUMERIC = 18, PRINTABLE = 19, TELETEX = 20, IA5 = 22, VISIBLE = 26 };

struct view {
    const uint8_t *at;
    size_t left;
};

struct text {
    char *out;
    size_t used, room;
    bool full;
};

/* ---- DER ---- */

/* One value with lengths of up to 65535, which is longer than any name that is taken. */
static bool take(struct view *v, uint8_t *ret_tag, struct view *ret) {
    if (v->left < 2)
        return false;
    size_t head = 2, length = v->at[1];
    *ret_tag = v->at[0];
    if (length >= 0x80) {
        size_t octets = length & 0x7f;
        if (octets < 1 || octets > 2 || v->left < 2 + octets)
            return false;
        length = octets == 1 ? v->at[2] : (size_t)(v->at[2] << 8 | v->at[3]);
        head += octets;
    }
    if (v->left - head < length)
        return false;
    *ret = (struct view){v->at + head, length};
    v->at += head + length;
    v->left -= head + length;
    return true;
}

static bool take_a(struct view *v, uint8_t tag, struct view *ret) {
    uint8_t found;
    return take(v, &found, ret) && found == tag;
}

/* ---- text ---- */

static void put(struct text *t, const char *text) {
    size_t length = strlen(text);
    if (t->full || length >= t->room - t->used) {
        t->full = true;
        return;
    }
    memcpy(t->out + t->used, text, length + 1);
    t->used += length;
}

static void put_hex(struct text *t, const char *before, uint8_t octet) {
    char hex[8];
    snprintf(hex, sizeof hex, "%s%02X", before, octet);
    put(t, hex);
}

/* RFC 4514 section 2.4 */
static void put_octet(struct text *t, uint8_t c, bool first, bool last) {
    char plain[3] = {(char)c, 0, 0};
    bool edge = (c == ' ' && (first || last)) || (c == '#' && first);
    if (c < 0x20 || c >= 0x7f) {
        put_hex(t, "\\", c);
    } else if (edge || strchr("\"+,;<>\\=", c)) {
        plain[1] = plain[0];
        plain[0] = '\\';
        put(t, plain);
    } else {
        put(t, plain);
    }
}

static const struct type {
    const char *name, *oid;
    size_t length;
} TYPES[] = {
#define TYPE(name, oid) \
    { name, oid, sizeof(oid) - 1 }
    TYPE("CN", "\x55\x04\x03"),
    TYPE("SERIALNUMBER", "\x55\x04\x05"),
    TYPE("C", "\x55\x04\x06"),
    TYPE("L", "\x55\x04\x07"),
    TYPE("ST", "\x55\x04\x08"),
    TYPE("STREET", "\x55\x04\x09"),
    TYPE("O", "\x55\x04\x0a"),
    TYPE("OU", "\x55\x04\x0b"),
    TYPE("UID", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"),
    TYPE("DC", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"),
    TYPE("emailAddress", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"),
};

/* X.690 section 8.19 */
static void put_dotted(struct text *t, const struct view *oid) {
    char number[24];
    uint64_t n = 0;
    for (size_t i = 0, begun = 0; i < oid->left; i++) {
        n = n << 7 | (oid->at[i] & 0x7f);
        if (oid->at[i] & 0x80)
            continue;
        uint64_t root = begun ? 0 : n < 80 ? n / 40 : 2;
        if (begun++)
            snprintf(number, sizeof number, ".%llu", (unsigned long long)n);
        else
            snprintf(number, sizeof number, "%llu.%llu", (unsigned long long)root,
                     (unsigned long long)(n - root * 40));
        put(t, number);
        n = 0;
    }
}

static bool is_text(uint8_t tag) {
    return tag == UTF8 || tag == NUMERIC || tag == PRINTABLE || tag == TELETEX || tag == IA5 ||
           tag == VISIBLE;
}

/* What is no plain text stands as the octets it is: "#" and its whole encoding. */
static void put_value(struct text *t, uint8_t tag, const struct view *value, const uint8_t *whole) {
    if (!is_text(tag)) {
        put(t, "#");
        for (const uint8_t *at = whole; at < value->at + value->left; at++)
            put_hex(t, "", *at);
        return;
    }
    for (size_t i = 0; i < value->left; i++)
        put_octet(t, value->at[i], i == 0, i + 1 == value->left);
}

static bool put_attribute(struct text *t, struct view attribute) {
    struct view oid, value;
    uint8_t tag;
    if (!take_a(&attribute, OID, &oid) || oid.left == 0)
        return false;
    const uint8_t *whole = attribute.at;
    if (!take(&attribute, &tag, &value) || attribute.left)
        return false;
    size_t i = 0;
    while (i < sizeof TYPES / sizeof *TYPES &&
           (TYPES[i].length != oid.left || memcmp(TYPES[i].oid, oid.at, oid.left)))
        i++;
    if (i < sizeof TYPES / sizeof *TYPES)
        put(t, TYPES[i].name);
    else
        put_dotted(t, &oid);
    put(t, "=");
    put_value(t, tag, &value, whole);
    return true;
}

static bool put_part(struct text *t, struct view part) {
    struct view attribute;
    if (!part.left)
        return false;
    for (bool more = false; part.left; more = true) {
        if (more)
            put(t, "+");
        if (!take_a(&part, SEQUENCE, &attribute) || !put_attribute(t, attribute))
            return false;
    }
    return true;
}

bool dn_print(const uint8_t *der, size_t length, char *out, size_t room) {
    struct view name = {der, length}, part[PARTS_MOST];
    struct text t = {.out = out, .room = room};
    size_t count = 0;
    if (!room)
        return false;
    *out = 0;
    for (; name.left; count++)
        if (count == PARTS_MOST || !take_a(&name, SET, &part[count]))
            return false;
    while (count--) {
        if (!put_part(&t, part[count]))
            return false;
        if (count)
            put(&t, ",");
    }
    return !t.full;
}
