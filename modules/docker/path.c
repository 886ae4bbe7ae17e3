/* SPDX-License-Identifier: GPL-3.0-or-later
 * path.c - see path.h.
 *
 *   /[vMAJOR.MINOR/]SEGMENT[/SEGMENT]…[?QUERY]     segments: letters, digits, _ . - ; never . or .. or empty; nothing is decoded
 */
#include "modules/docker/path.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MOST = 4, SEGMENT_MOST = 255 };

struct segments {
    char text[SEGMENTS_MOST][SEGMENT_MOST + 1];
    size_t count;
};

static bool segment_good(const char *at, size_t length) {
    if (!length || length > SEGMENT_MOST || (length <= 2 && !strncmp(at, "..", length)))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)at[i]) && (!at[i] || !strchr("_.-", at[i])))
            return false;
    return true;
}

static bool segments_read(const char *path, size_t length, struct segments *ret) {
    const char *end = path + length;
    ret->count = 0;
    while (path < end && *path == '/' && ret->count < SEGMENTS_MOST) {
        const char *slash = memchr(path + 1, '/', (size_t)(end - path - 1));
        size_t size = (size_t)((slash ? slash : end) - path - 1);
        if (!segment_good(path + 1, size))
            return false;
        memcpy(ret->text[ret->count], path + 1, size);
        ret->text[ret->count++][size] = 0;
        path += 1 + size;
    }
    return path == end && ret->count;
}

static bool is_version(const char *segment) {
    size_t major = *segment == 'v' ? strspn(segment + 1, "0123456789") : 0;
    const char *dot = segment + 1 + major;
    size_t minor = major && *dot == '.' ? strspn(dot + 1, "0123456789") : 0;
    return minor && !dot[1 + minor] && major <= 3 && minor <= 3;
}

/* Of a URL, as RFC 3986 allows them in a query; the engine decodes it, we don't. */
static bool query_good(const char *query) {
    for (; *query; query++)
        if (!isalnum((unsigned char)*query) && !strchr("-._~%!$&'()*+,;=:@/?", *query))
            return false;
    return true;
}

static enum question question_of(char (*segment)[SEGMENT_MOST + 1], size_t count) {
    static const struct {
        const char *name;
        enum question question;
    } single[] = {{"_ping", QUESTION_PING},
                  {"version", QUESTION_VERSION},
                  {"info", QUESTION_INFO},
                  {"events", QUESTION_EVENTS}};
    for (size_t i = 0; count == 1 && i < sizeof single / sizeof *single; i++)
        if (!strcmp(segment[0], single[i].name))
            return single[i].question;
    if (count < 2 || strcmp(segment[0], "containers") != 0 ||
        strcmp(segment[count - 1], "json") != 0)
        return QUESTION_OTHER;
    return count == 2 ? QUESTION_LIST : count == 3 ? QUESTION_INSPECT : QUESTION_OTHER;
}

enum question path_read(const char *method, const char *target, struct asked_path *ret) {
    struct segments s;
    const char *mark = strchr(target, '?'), *query = mark ? mark : "";
    size_t length = mark ? (size_t)(mark - target) : strlen(target), skip;
    *ret = (struct asked_path){.question = QUESTION_OTHER};
    if (!segments_read(target, length, &s) || !query_good(query) ||
        strlen(target) >= sizeof ret->ask)
        return QUESTION_OTHER;
    skip = is_version(s.text[0]);
    enum question q = question_of(s.text + skip, s.count - skip);
    bool reads = !strcmp(method, "GET") || (!strcmp(method, "HEAD") && q == QUESTION_PING);
    if (q == QUESTION_OTHER || !reads)
        return QUESTION_OTHER;
    if (q == QUESTION_INSPECT)
        memcpy(ret->which, s.text[skip + 1], sizeof ret->which);
    size_t at = 0;
    for (size_t i = 0; i < s.count; i++)
        at += (size_t)snprintf(ret->ask + at, sizeof ret->ask - at, "/%s", s.text[i]);
    snprintf(ret->ask + at, sizeof ret->ask - at, "%s", query);
    return ret->question = q;
}

/* As the engine will read it: %XX and + are what they stand for. */
static void query_decode(const char *query, char *out) {
    for (; *query; query++) {
        char hex[3] = {0}, *end = hex;
        if (*query == '%' && query[1])
            memcpy(hex, query + 1, 2);
        long c = strtol(hex, &end, 16);
        bool coded = end == hex + 2 && c;
        *out++ = coded ? (char)c : *query == '+' ? ' ' : *query;
        query += coded ? 2 : 0;
    }
    *out = 0;
}

bool path_names_one(const struct asked_path *asked) {
    char query[sizeof asked->ask];
    query_decode(strchr(asked->ask, '?') ? strchr(asked->ask, '?') : "", query);
    /* within JSON a backslash could hide either */
    return strcasestr(query, "before") || strcasestr(query, "since") || strchr(query, '\\');
}

static bool number_read(const char *text, size_t *ret) {
    size_t digits = strspn(text + (*text == '-'), "0123456789");
    if (!digits || digits > 9 || text[(*text == '-') + digits])
        return false;
    *ret = *text == '-' ? 0 : (size_t)atol(text); /* less than none is all, as for the engine */
    return true;
}

/* One parameter of the query; *ret_value: what it is, decoded. */
static bool is_limit(const char *parameter, char *ret_value) {
    char raw[sizeof((struct asked_path *)0)->ask], key[sizeof raw], *value = raw;
    snprintf(raw, sizeof raw, "%s", parameter);
    query_decode(strsep(&value, "="), key);
    query_decode(value ? value : "", ret_value);
    return !strcmp(key, "limit");
}

/* Of several limits the first counts, as for the engine. */
bool path_limit_take(struct asked_path *asked) {
    char query[sizeof asked->ask], value[sizeof asked->ask], rest[sizeof asked->ask] = "";
    char *mark = strchr(asked->ask, '?'), *next = query;
    bool limited = false;
    size_t at = 0;
    if (!mark)
        return true;
    snprintf(query, sizeof query, "%s", mark + 1);
    if (strchr(query, ';')) /* parts parameters for some */
        return false;
    for (char *one; (one = strsep(&next, "&"));) {
        if (!is_limit(one, value)) {
            at += (size_t)snprintf(rest + at, sizeof rest - at, "&%s", one);
            continue;
        }
        if (!limited && *value && !number_read(value, &asked->most))
            return false;
        limited = true;
    }
    /* an engine shows all where there is a limit: what is said first counts */
    size_t room = sizeof asked->ask - (size_t)(mark - asked->ask);
    return (size_t)snprintf(mark, room, "?%s%s", asked->most ? "all=1" : "",
                            rest + !(asked->most || !*rest)) < room;
}
