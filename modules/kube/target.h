/* SPDX-License-Identifier: GPL-3.0-or-later
 * target.h - the target of a request, taken apart: /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME?query. Pure.
 *
 * Each segment is decoded by itself, so an encoded slash is a letter of a name and never a separator; no name has one, so
 * nothing is found by it. What is no path of this API is refused, not mended: empty segments, `.`, `..`, bad escapes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { TARGET_MAX = 8192, QUERY_MAX = 32 };

enum target_what {
    TARGET_UNKNOWN, /* a well-formed path that is none of ours: 404 */
    TARGET_ROOT,
    TARGET_VERSION,
    TARGET_HEALTH,           /* /healthz, /livez, /readyz */
    TARGET_API,              /* /api */
    TARGET_APIS,             /* /apis */
    TARGET_GROUP,            /* /apis/GROUP */
    TARGET_GROUP_VERSION,    /* /api/v1, /apis/GROUP/VERSION */
    TARGET_OPENAPI_V2,       /* /openapi/v2 */
    TARGET_OPENAPI_V3,       /* /openapi/v3 */
    TARGET_OPENAPI_V3_GROUP, /* /openapi/v3/api/v1, /openapi/v3/apis/GROUP/VERSION */
    TARGET_RESOURCE,
};

struct target {
    enum target_what what;
    const char *group, *version; /* "" where there is none */
    const char *namespace;       /* "": all of them, or a resource without */
    const char *resource, *name; /* name "": the collection */
    const char *subresource;     /* "status", or "" */
    struct {
        const char *key, *value;
    } query[QUERY_MAX];
    size_t query_count;
    char text[TARGET_MAX + 64]; /* what the above point into */
};

/* False: no request target of this API can look like that (400). */
bool target_parse(const char *text, size_t length, struct target *ret);
/* The first value, or NULL. */
const char *target_query(const struct target *, const char *key);
bool target_flag(const struct target *, const char *key); /* "true", "1" */
