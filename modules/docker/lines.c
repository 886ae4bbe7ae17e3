/* SPDX-License-Identifier: GPL-3.0-or-later
 * lines.c - see lines.h.
 */
#include "modules/docker/lines.h"
#include <stdlib.h>
#include <string.h>

bool lines_init(struct lines *l, const struct events_taker *taker) {
    *l = (struct lines){.taker = *taker, .text = malloc(LINE_MOST)};
    return l->text;
}

void lines_fini(struct lines *l) {
    free(l->text);
    *l = (struct lines){0};
}

static void line_end(struct lines *l) {
    if (l->length && !l->skipping)
        l->taker.line(l->taker.user, l->text, l->length);
    l->skipping = false;
    l->length = 0;
}

static void piece_add(struct lines *l, const char *data, size_t length) {
    if (l->skipping)
        return;
    if (l->length + length > LINE_MOST) {
        l->skipping = true;
        l->taker.lost(l->taker.user);
        return;
    }
    memcpy(l->text + l->length, data, length);
    l->length += length;
}

void lines_feed(struct lines *l, const char *data, size_t length) {
    while (length) {
        const char *newline = memchr(data, '\n', length);
        size_t piece = newline ? (size_t)(newline - data) : length;
        piece_add(l, data, piece);
        if (newline)
            line_end(l);
        piece += newline != NULL;
        data += piece;
        length -= piece;
    }
}
