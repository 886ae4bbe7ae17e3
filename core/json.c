/* SPDX-License-Identifier: GPL-3.0-or-later
 * json.c - see json.h. Runs of plain ASCII, which is nearly everything, are copied; the rest goes a character at a time.
 */
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ELLIPSIS = 3, ESCAPE_MOST = 6 };

static inline bool is_plain(uint8_t c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* RFC 3629 section 4: how many bytes the character at `s` takes; 0: it is none. */
static size_t utf8_length(const uint8_t *s, size_t length) {
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > length)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

static size_t control_escape(char *out, uint8_t c) {
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    out[0] = '\\';
    if (c == '"' || c == '\\' || (c < sizeof shorts && shorts[c])) {
        out[1] = c == '"' || c == '\\' ? (char)c : shorts[c];
        return 2;
    }
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return ESCAPE_MOST;
}

/* One character: what it is written as, into `out`, and how many bytes of the text it took. */
static size_t character_put(char *out, const uint8_t *s, size_t length, size_t *ret_taken) {
    *ret_taken = 1;
    if (is_plain(s[0])) {
        out[0] = (char)s[0];
        return 1;
    }
    if (s[0] < 0x80)
        return control_escape(out, s[0]);
    size_t n = utf8_length(s, length);
    if (!n) {
        static const char replacement[] = {'\xef', '\xbf', '\xbd'};
        memcpy(out, replacement, sizeof replacement);
        return sizeof replacement;
    }
    memcpy(out, s, n);
    *ret_taken = n;
    return n;
}

char *json_text(char *out, size_t most, const char *text, size_t length) {
    const uint8_t *s = (const uint8_t *)text, *end = s + length;
    char *last = out + 1 + most - ELLIPSIS, *full = last + ELLIPSIS;
    char *cut = out + 1; /* where the ellipsis would go */
    *out++ = '"';
    while (s < end) {
        char escaped[ESCAPE_MOST];
        size_t taken;
        while (s < end && out < last && is_plain(*s))
            *out++ = (char)*s++;
        if (out <= last)
            cut = out;
        if (s == end)
            break;
        size_t n = character_put(escaped, s, (size_t)(end - s), &taken);
        if (out + n > full) {
            memcpy(cut, "\xe2\x80\xa6", ELLIPSIS);
            out = cut + ELLIPSIS;
            break;
        }
        memcpy(out, escaped, n);
        out += n;
        s += taken;
    }
    *out++ = '"';
    return out;
}
