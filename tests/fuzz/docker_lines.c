/* SPDX-License-Identifier: GPL-3.0-or-later
 * docker_lines.c - an engine's stream of events, cut anyhow: what is told does not depend on the cuts, and each line is told or lost.
 * link: modules/docker/lines.c
 *
 * The first byte says how long the pieces are. A byte 255 stands for as many bytes as a line may have, so that small inputs reach the end
 * of one.
 */
#include "modules/docker/lines.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIDE = 255, WIDE_MOST = 12, INPUT_MOST = 4096 };

struct told {
    size_t length, lost;
    char *text; /* the lines, with their newlines; room for all of the input */
};

static void told_line(void *user, const char *line, size_t length) {
    struct told *t = user;
    if (!length || length > LINE_MOST || memchr(line, '\n', length))
        abort();
    memcpy(t->text + t->length, line, length);
    t->text[t->length + length] = '\n';
    t->length += length + 1;
}

static bool told_same(const struct told *a, const struct told *b) {
    return a->length == b->length && a->lost == b->lost && !memcmp(a->text, b->text, a->length);
}

static void told_lost(void *user) {
    ((struct told *)user)->lost++;
}

/* What has to come of it: looked at as a whole. */
static void expect(const char *text, size_t length, struct told *t) {
    for (const char *end = text + length, *line = text, *newline; line < end; line = newline + 1) {
        newline = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((newline ? newline : end) - line);
        if (n > LINE_MOST)
            told_lost(t);
        else if (n && newline)
            told_line(t, line, n);
        if (!newline)
            return;
    }
}

static void feed(const char *text, size_t length, size_t piece, struct told *t) {
    const struct events_taker taker = {told_line, told_lost, t};
    struct lines lines;
    if (!lines_init(&lines, &taker))
        abort();
    for (size_t at = 0; at < length; at += piece) {
        size_t n = length - at < piece ? length - at : piece;
        char *copy = malloc(n); /* of that very length, so that a byte too far is seen */
        memcpy(copy, text + at, n);
        lines_feed(&lines, copy, n);
        free(copy);
    }
    lines_fini(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t length = 0;
    size_t wide = 0;
    for (size_t i = 1; i < size; i++)
        wide += data[i] == WIDE;
    if (size < 2 || size > INPUT_MOST || wide > WIDE_MOST)
        return 0;
    char *text = malloc(size + wide * LINE_MOST);
    for (size_t i = 1; i < size; i++) {
        size_t n = data[i] == WIDE ? LINE_MOST : 1;
        memset(text + length, data[i], n);
        length += n;
    }
    struct told want = {.text = malloc(length)}, whole = {.text = malloc(length)},
                pieces = {.text = malloc(length)};
    expect(text, length, &want);
    feed(text, length, length, &whole);
    feed(text, length, (1 + (size_t)data[0]) * (length > 1024 ? 997 : 1), &pieces);
    if (!told_same(&whole, &want) || !told_same(&pieces, &want))
        abort();
    free(want.text);
    free(whole.text);
    free(pieces.text);
    free(text);
    return 0;
}
