/* SPDX-License-Identifier: GPL-3.0-or-later
 * blob.c - see blob.h.
 */
#include "modules/kube/blob.h"
#include <stdlib.h>

struct blob *blob_new(const json_t *object) {
    size_t length = json_dumpb(object, NULL, 0, JSON_COMPACT);
    struct blob *b = malloc(sizeof *b + length + 1);
    if (!b)
        abort(); /* as everywhere where text is understood: what is bounded must fit */
    b->refs = 1;
    b->length = (unsigned)length;
    json_dumpb(object, b->text, length, JSON_COMPACT);
    b->text[length] = 0;
    return b;
}

struct blob *blob_ref(struct blob *b) {
    if (b)
        b->refs++;
    return b;
}

void blob_unref(struct blob *b) {
    if (b && !--b->refs)
        free(b);
}

json_t *blob_json(const struct blob *b) {
    return b ? json_loads(b->text, 0, NULL) : NULL;
}
