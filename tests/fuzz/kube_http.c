/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_http.c - bytes of a client of the Kubernetes API, cut at one place: what comes of them does not depend on the cut, and stays bounded.
 * link: modules/kube/http.c llhttp
 */
#include "modules/kube/http.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MOST = 100, TRACE_MAX = 64 };

struct trace { /* what came, one after the other */
    size_t count, body[TRACE_MAX], target[TRACE_MAX];
    enum http_answer last;
};

static void note(struct trace *t, const struct http *h, enum http_answer got) {
    t->last = got;
    if (got != GOT_COMPLETE || t->count == TRACE_MAX)
        return;
    if (h->request.body_length > BODY_MOST || h->request.target_length > TARGET_MAX)
        abort();
    t->body[t->count] = h->request.body_length;
    t->target[t->count++] = h->request.target_length;
}

/* False: the connection ends. */
static bool feed(struct http *h, const char *data, size_t length, struct trace *t) {
    for (size_t at = 0, taken;; at += taken) {
        enum http_answer got = http_feed(h, data + at, length - at, &taken);
        if (taken > length - at)
            abort();
        if (got == GOT_MORE)
            return true;
        note(t, h, got);
        if (got == GOT_COMPLETE)
            http_next(h);
        else if (got != GOT_HEAD)
            return false;
    }
}

static void whole(const char *data, size_t size, size_t cut, struct trace *t) {
    static struct http h;
    http_init(&h, BODY_MOST);
    *t = (struct trace){.count = 0};
    if (feed(&h, data, cut, t))
        feed(&h, data + cut, size - cut, t);
    http_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct trace a, b;
    if (!size)
        return 0;
    whole((const char *)data + 1, size - 1, 0, &a);
    whole((const char *)data + 1, size - 1, data[0] % size, &b);
    if (a.count != b.count || memcmp(a.body, b.body, sizeof a.body) ||
        memcmp(a.target, b.target, sizeof a.target))
        abort();
    return 0;
}
