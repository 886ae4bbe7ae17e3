/* SPDX-License-Identifier: GPL-3.0-or-later
 * client_hello.c - fuzz target: the ClientHello parser gives one answer to one stream, however it is cut.
 *
 *   whole  ==  byte by byte  ==  cut at a place the input chooses;  and every prefix before the answer says HELLO_MORE
 * link: modules/sni/hello.c
 */
#include "modules/sni/hello.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum hello_answer answer;
    enum tls_alert alert;
    struct hello hello;
    size_t after; /* bytes it took */
};

static void must(bool truth) {
    if (!truth)
        abort();
}

static void outcome_compare(const struct outcome *a, const struct outcome *b) {
    must(a->answer == b->answer);
    if (a->answer == HELLO_BAD)
        must(a->alert == b->alert);
    if (a->answer != HELLO_WHOLE)
        return;
    must(a->hello.version == b->hello.version && a->hello.sni_length == b->hello.sni_length);
    must(strcmp(a->hello.sni, b->hello.sni) == 0 && strlen(a->hello.sni) == a->hello.sni_length);
    must(a->hello.alpn_length == b->hello.alpn_length);
    must(memcmp(a->hello.alpn, b->hello.alpn, a->hello.alpn_length) == 0);
}

/* `step` bytes more at each call. The memory is exactly as long as what has come, so that reading on is caught. */
static struct outcome feed(const uint8_t *data, size_t size, size_t step, size_t size_max) {
    struct outcome out = {.answer = HELLO_MORE};
    struct hello_scan scan = {0};
    for (size_t have = 0; have < size && out.answer == HELLO_MORE;) {
        have = size - have < step ? size : have + step;
        uint8_t *seen = malloc(have);
        must(seen);
        memcpy(seen, data, have);
        out.answer = hello_read(&scan, seen, have, size_max, &out.hello, &out.alert);
        out.after = have;
        free(seen);
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 2 * HELLO_SIZE_MAX + 16)
        return 0;
    size_t size_max = data[size - 1] & 1 ? HELLO_SIZE_MAX : 512;
    struct outcome whole = feed(data, size, size, size_max);
    struct outcome cut = feed(data, size, 1 + data[size / 2], size_max);
    outcome_compare(&whole, &cut);
    if (size > 2048)
        return 0; /* byte by byte copies size²/2 bytes here */
    struct outcome bytes = feed(data, size, 1, size_max);
    outcome_compare(&whole, &bytes);
    if (bytes.answer == HELLO_MORE || bytes.after < 2)
        return 0;
    struct outcome before = feed(data, bytes.after - 1, bytes.after - 1, size_max);
    must(before.answer == HELLO_MORE);
    return 0;
}
