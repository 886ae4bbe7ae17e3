/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod_h1.c - pods that speak HTTP/1.1: one connection for one exchange, kept for the next one.
 */
#include "modules/http/http.h"

static struct stream *pod_ask(struct exchange *ex, const struct upstream_want *want,
                              struct upstream_wait **ret_wait, int *ret_error) {
    return upstream_ask(ex->worker, ex->set, want, ret_wait, ret_error);
}

/* Before TLS, when there is any: its handshake begins when the connection is up. */
static void pod_introduce(struct stream *s, const void *data, size_t length) {
    stream_write_copy(stream_base(s), data, length);
}

static void pod_keep(struct stream *s, unsigned keep_s) {
    if (keep_s)
        upstream_ends_after(s, keep_s * 1000ll);
    upstream_keep(s);
}

const struct pod_ops pods_h1 = {.ask = pod_ask,
                                .is_reused = upstream_is_reused,
                                .upstream = upstream_of,
                                .keep = pod_keep,
                                .introduce = pod_introduce};
