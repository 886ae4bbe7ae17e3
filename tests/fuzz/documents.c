/* SPDX-License-Identifier: GPL-3.0-or-later
 * documents.c - any text as YAML documents: ranges that lie in order within it, and a change of one leaves the others' bytes.
 * link: edge/documents.c
 */
#include "edge/documents.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void document_hold(const char *text, size_t size, const struct documents *all, size_t i) {
    static const char content[] = "a: b\n";
    const struct document *d = &all->item[i];
    size_t length;
    if (d->begin > d->content_begin || d->content_begin > d->content_end ||
        d->content_end > d->end || d->end > size || (i && d->begin != all->item[i - 1].end))
        abort();
    if (d->empty)
        return;
    char *changed = document_replace(text, size, d, content, strlen(content), &length);
    size_t after = size - d->content_end;
    if (memcmp(changed, text, d->content_begin) != 0 ||
        memcmp(changed + length - after, text + d->content_end, after) != 0)
        abort();
    free(changed);
    free(document_remove(text, size, all, d, &length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct documents all;
    struct err err;
    const char *text = (const char *)data;
    if (!documents_read("x", text, size, &all, &err))
        return 0;
    for (size_t i = 0; i < all.count; i++)
        document_hold(text, size, &all, i);
    documents_free(&all);
    return 0;
}
