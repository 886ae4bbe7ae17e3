/* SPDX-License-Identifier: GPL-3.0-or-later
 * parts.h - what the files that compose objects share.
 */
#pragma once
#include "modules/kube/compose.h"
#include "tenants/time_json.h"

struct making { /* one composition under way */
    const json_t *known;
    const char *uid;
    int64_t since;
    struct composition *out;
};

/* Takes the object. */
struct composed *compose_add(struct making *, const struct kube_kind *, json_t *object);
/* The same for one that nobody wrote: apiVersion, kind and metadata are filled in. */
void compose_made(struct making *, const char *api_version, const char *kind, json_t *object);
json_t *composed_find(const struct composition *, const char *kind, const char *name);

bool pod_is_ready(const json_t *status); /* its condition Ready */
json_t *base64_json(const char *bytes, size_t length);

/* "" where there is no text. */
static inline const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
static inline json_int_t int_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}
