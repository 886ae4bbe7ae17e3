/* SPDX-License-Identifier: MIT
 * shard.c - a request that says "X-Shard: blue" is served by the host blue.<domain> of the same tenant.
 */
#include "core/module.h"
#include "tenants/compiled.h"
#include <ctype.h>
#include <stdio.h>

static bool is_label(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]))
            return false;
    return length > 0 && length <= 63;
}

static enum verdict shard_on_request(struct conn *conn, void *state, struct request_view *request) {
    size_t length;
    const char *shard = request->header(request, "X-Shard", &length);
    const struct name_entry *entry = names_find(request->host, request->host_length);
    (void)conn, (void)state;
    if (!shard || !entry)
        return VERDICT_PASS;
    if (!is_label(shard, length)) {
        request->reject_status = 400;
        return VERDICT_REJECT;
    }
    snprintf(request->route_host, sizeof request->route_host, "%.*s.%s", (int)length, shard,
             entry->version->tenant->domain);
    return VERDICT_PASS;
}

RINGRESS_MODULE(.name = "shard", .version = "1.0", .summary = "routes by the header X-Shard",
                .listeners = LISTENER_HTTP | LISTENER_HTTPS, .on_request = shard_on_request);
