/* SPDX-License-Identifier: GPL-3.0-or-later
 * proxy.c - any bytes as the beginning of a connection: a header that is read says the same however it was cut, survives being
 * written and read again, and the watch for headers where none may be sees it as well.
 */
#include "core/proxy.h"
#include "tenants/network.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

/* Reads of a growing beginning: MORE until the very byte that decides, and then for ever the same. */
static void cuts_agree(const uint8_t *data, size_t size, enum proxy_step whole,
                       const struct proxy_header *h) {
    size_t most = size < 400 ? size : 400;
    bool decided = false;
    for (size_t n = 1; n <= most; n++) {
        struct proxy_header cut;
        enum proxy_step step = proxy_read(data, n, &cut);
        decided |= step != PROXY_MORE;
        must(!decided || step == whole);
        must(step != PROXY_DONE || (cut.length == h->length && n >= cut.length));
    }
}

static void survives(const struct proxy_header *h) {
    for (unsigned version = 1; version <= 2 && h->source.any.sa_family; version++) {
        uint8_t out[PROXY_WRITE_MOST];
        struct proxy_header again;
        bool same_family = h->source.any.sa_family == h->destination.any.sa_family;
        size_t length = proxy_write(version, &h->source, &h->destination, out);
        must(length && length <= PROXY_WRITE_MOST);
        must(proxy_read(out, length, &again) == PROXY_DONE && again.length == length);
        must(!same_family || (address_same(&again.source, &h->source) &&
                              address_same(&again.destination, &h->destination)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proxy_header h;
    struct proxy_watch w = {0};
    if (!size)
        return 0;
    enum proxy_step step = proxy_read(data, size, &h);
    must(step == PROXY_DONE ? h.length && h.length <= size && h.length <= PROXY_V2_MOST : true);
    cuts_agree(data, size, step, &h);
    bool seen = proxy_watch(&w, data, size);
    must(step != PROXY_DONE || seen);
    if (step == PROXY_DONE)
        survives(&h);
    return 0;
}
