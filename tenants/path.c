/* SPDX-License-Identifier: GPL-3.0-or-later
 * path.c - one meaning per path, see path.h.
 *
 *   "/a/%2e%2e/b%7e" --decode unreserved--> "/a/../b~" --resolve dots--> "/b~"
 *
 * Refused: bad percent-encoding, %00, overlong UTF-8 ("%c0%af"), going above the root, a dot segment beside an encoded slash or a backslash ("..%2f"), with
 * parameters ("..;x"), or in a path with empty segments ("/a//../b": servers that fold slashes first read another path).
 * Pure; works in place, for the result is never longer.
 */
#include "tenants/path.h"
#include <stdint.h>
#include <string.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 section 2.3 */
static bool is_unreserved(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Nothing to do for nearly every path: no '%', no '\', no "//", no "/." */
static bool path_is_plain(const char *path, size_t length) {
    char before = 0;
    for (size_t i = 0; i < length; before = path[i++]) {
        char c = path[i];
        if (c == '%' || c == '\\' || (before == '/' && (c == '/' || c == '.')))
            return false;
    }
    return true;
}

/* RFC 3629 section 10: the same character in more octets than it needs, "/" as %c0%af, is that character to lax decoders only. */
static bool is_overlong(int first, int second) {
    int end = first == 0xc0 || first == 0xc1 ? 0xbf
              : first == 0xe0                ? 0x9f
              : first == 0xf0                ? 0x8f
                                             : 0;
    return second >= 0x80 && second <= end;
}

static long path_decode(char *path, size_t length) {
    size_t out = 0;
    int before = 0; /* the octet encoded just before */
    for (size_t i = 0; i < length; i++) {
        if (path[i] != '%') {
            path[out++] = path[i];
            before = 0;
            continue;
        }
        int high = i + 2 < length ? hex_value(path[i + 1]) : -1;
        int low = i + 2 < length ? hex_value(path[i + 2]) : -1;
        if (high < 0 || low < 0 || (high | low) == 0)
            return -1;
        int c = high << 4 | low;
        if (is_overlong(before, c))
            return -1;
        before = c;
        if (is_unreserved(c)) {
            path[out++] = (char)c;
        } else {
            memmove(path + out, path + i, 3);
            out += 3;
        }
        i += 2;
    }
    return (long)out;
}

/* Where the segment that starts at `at` ends, for the most suspicious reader: '/', '\', %2f, %5c. */
static size_t segment_end(const char *path, size_t length, size_t at, size_t *ret_skip) {
    for (; at < length; at++) {
        *ret_skip = 1;
        if (path[at] == '/' || path[at] == '\\')
            return at;
        *ret_skip = 3;
        if (path[at] == '%' && ((path[at + 1] == '2' && (path[at + 2] | 0x20) == 'f') ||
                                (path[at + 1] == '5' && (path[at + 2] | 0x20) == 'c')))
            return at;
    }
    *ret_skip = 0;
    return length;
}

static bool is_dots(const char *segment, size_t length) {
    return (length == 1 && segment[0] == '.') ||
           (length == 2 && segment[0] == '.' && segment[1] == '.');
}

/* "..;x", and "..%3bx" for who decodes first. */
static bool is_dots_with_parameters(const char *segment, size_t length) {
    size_t dots = 0;
    while (dots < length && segment[dots] == '.')
        dots++;
    if (dots == length || !is_dots(segment, dots))
        return false;
    const char *behind = segment + dots;
    return *behind == ';' || (*behind == '%' && behind[1] == '3' && (behind[2] | 0x20) == 'b');
}

/* Could anyone resolve a dot segment here that we would not, or not so? */
static bool path_is_ambiguous(const char *path, size_t length) {
    bool dots = false, empty = false, plain_before = true;
    for (size_t at = 1, skip; at <= length; at += skip) {
        size_t end = segment_end(path, length, at, &skip);
        bool plain_after = skip == 0 || path[end] == '/';
        if (is_dots_with_parameters(path + at, end - at))
            return true;
        if (is_dots(path + at, end - at)) {
            dots = true;
            if (!plain_before || !plain_after)
                return true;
        }
        empty |= end == at && end < length;
        plain_before = plain_after;
        if (skip == 0)
            break;
        at = end;
    }
    return dots && empty;
}

/* RFC 3986 section 5.2.4; above the root is refused, not clamped. */
static long path_resolve(char *path, size_t length) {
    size_t out = 0;
    for (size_t at = 0; at < length;) { /* path[at] is '/' */
        const char *slash = memchr(path + at + 1, '/', length - at - 1);
        size_t end = slash ? (size_t)(slash - path) : length;
        size_t size = end - at - 1;
        if (!is_dots(path + at + 1, size)) {
            memmove(path + out, path + at, end - at);
            out += end - at;
        } else {
            if (size == 2) {
                if (out == 0)
                    return -1;
                while (path[--out] != '/') {
                }
            }
            if (end == length)
                path[out++] = '/'; /* "/a/." names the folder "/a/" */
        }
        at = end;
    }
    return (long)out;
}

long path_normalise(char *path, size_t length) {
    if (path_is_plain(path, length))
        return (long)length;
    long decoded = path_decode(path, length);
    if (decoded < 0 || path_is_ambiguous(path, (size_t)decoded))
        return -1;
    return path_resolve(path, (size_t)decoded);
}

bool path_has_empty(const char *path, size_t length) {
    return memmem(path, length, "//", 2) != NULL;
}

size_t path_fold(const char *path, size_t length, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        if (path[i] != '/' || n == 0 || out[n - 1] != '/')
            out[n++] = path[i];
    return n;
}
