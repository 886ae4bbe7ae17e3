/* SPDX-License-Identifier: GPL-3.0-or-later
 * target.c - see target.h.
 */
#include "modules/kube/target.h"
#include <ctype.h>
#include <string.h>

enum { SEGMENTS_MAX = 10 };

static int hex_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

/* In place; false: a bad escape, or a character that no name and no value has. */
static bool decode(char *text, bool plus_is_space) {
    char *out = text;
    for (const char *in = text; *in; in++) {
        unsigned char c = (unsigned char)*in;
        if (c == '%') {
            int high = hex_of(in[1]), low = high < 0 ? -1 : hex_of(in[2]);
            if (low < 0)
                return false;
            c = (unsigned char)(high << 4 | low);
            in += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return false;
        *out++ = (char)c;
    }
    *out = 0;
    return true;
}

static bool segments_split(char *path, char *segment[SEGMENTS_MAX], size_t *ret_count) {
    size_t count = 0;
    for (char *next = path; next;) {
        char *at = next;
        next = strchr(at, '/');
        if (next)
            *next++ = 0;
        if (!*at && !next && count) /* one slash at the end is nothing */
            break;
        if (count == SEGMENTS_MAX || !*at || !decode(at, false) || !strcmp(at, ".") ||
            !strcmp(at, ".."))
            return false;
        segment[count++] = at;
    }
    *ret_count = count;
    return true;
}

static bool query_split(struct target *t, char *text) {
    for (char *next = text; next && *next;) {
        char *key = next;
        next = strchr(key, '&');
        if (next)
            *next++ = 0;
        char *value = strchr(key, '=');
        if (value)
            *value++ = 0;
        if (!*key)
            continue;
        if (t->query_count == QUERY_MAX || !decode(key, true) || (value && !decode(value, true)))
            return false;
        t->query[t->query_count].key = key;
        t->query[t->query_count++].value = value ? value : "";
    }
    return true;
}

/* What follows the version: RESOURCE[/NAME[/SUB]], or namespaces/NAMESPACE/RESOURCE[/NAME[/SUB]]. */
static void resource_read(struct target *t, char **segment, size_t count) {
    bool in_namespace = count > 2 && !strcmp(segment[0], "namespaces") &&
                        strcmp(segment[2], "status") && strcmp(segment[2], "finalize");
    if (in_namespace) {
        t->namespace = segment[1];
        segment += 2;
        count -= 2;
    }
    t->what = count <= 3 ? TARGET_RESOURCE : TARGET_UNKNOWN;
    t->resource = segment[0];
    t->name = count > 1 ? segment[1] : "";
    t->subresource = count > 2 ? segment[2] : "";
}

static void api_read(struct target *t, char **segment, size_t count, bool groups) {
    size_t head = groups ? 2 : 1; /* group and version, or version */
    t->what = groups ? TARGET_APIS : TARGET_API;
    if (groups && count) {
        t->group = segment[0];
        t->what = TARGET_GROUP;
    }
    if (count < head)
        return;
    t->version = segment[head - 1];
    t->what = TARGET_GROUP_VERSION;
    if (count > head)
        resource_read(t, segment + head, count - head);
}

static void openapi_read(struct target *t, char **segment, size_t count) {
    if (count == 1 && !strcmp(segment[0], "v2"))
        t->what = TARGET_OPENAPI_V2;
    if (count < 1 || strcmp(segment[0], "v3"))
        return;
    if (count == 1)
        t->what = TARGET_OPENAPI_V3;
    bool groups = count > 1 && !strcmp(segment[1], "apis");
    if (count != (groups ? 4 : 3) || (!groups && strcmp(segment[1], "api")))
        return;
    t->group = groups ? segment[2] : "";
    t->version = segment[count - 1];
    t->what = TARGET_OPENAPI_V3_GROUP;
}

static void path_read(struct target *t, char **segment, size_t count) {
    const char *first = count ? segment[0] : "";
    if (!count)
        t->what = TARGET_ROOT;
    else if (!strcmp(first, "version") && count == 1)
        t->what = TARGET_VERSION;
    else if (count == 1 &&
             (!strcmp(first, "healthz") || !strcmp(first, "livez") || !strcmp(first, "readyz")))
        t->what = TARGET_HEALTH;
    else if (!strcmp(first, "api") || !strcmp(first, "apis"))
        api_read(t, segment + 1, count - 1, first[3]);
    else if (!strcmp(first, "openapi"))
        openapi_read(t, segment + 1, count - 1);
}

bool target_parse(const char *text, size_t length, struct target *ret) {
    char *segment[SEGMENTS_MAX];
    size_t count = 0;
    *ret = (struct target){
        .group = "", .version = "", .namespace = "", .resource = "", .name = "", .subresource = ""};
    if (!length || length > TARGET_MAX || text[0] != '/' || memchr(text, 0, length) ||
        memchr(text, '#', length))
        return false;
    memcpy(ret->text, text, length);
    ret->text[length] = 0;
    char *query = strchr(ret->text, '?');
    if (query)
        *query++ = 0;
    if (ret->text[1] && !segments_split(ret->text + 1, segment, &count))
        return false;
    path_read(ret, segment, count);
    return query_split(ret, query);
}

const char *target_query(const struct target *t, const char *key) {
    for (size_t i = 0; i < t->query_count; i++)
        if (!strcmp(t->query[i].key, key))
            return t->query[i].value;
    return NULL;
}

bool target_flag(const struct target *t, const char *key) {
    const char *value = target_query(t, key);
    return value && (!strcmp(value, "true") || !strcmp(value, "1"));
}
