/* SPDX-License-Identifier: GPL-3.0-or-later
 * tabs.c - Go's text/tabwriter with the settings of kubectl's describe (padding 2, filled with
 * blanks), for describe.c.
 *   lines -> cells -> for each run of lines that have the column: its width -> the next column
 * inside that run
 */
#include "tenants/tabs.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PADDING = 2, COLUMNS_MAX = 16 };

struct line {
    const char *cell[COLUMNS_MAX];
    int length[COLUMNS_MAX], width[COLUMNS_MAX];
    int cells; /* ended by a tab; cell[cells] is the rest */
};

static int glyphs(const char *text, int length) {
    int count = 0;
    for (int i = 0; i < length; i++)
        count += (text[i] & 0xc0) != 0x80;
    return count;
}

static const char *line_cut(const char *text, struct line *line) {
    const char *end = text + strcspn(text, "\n");
    for (const char *at = text;; at++) {
        const char *tab =
            line->cells < COLUMNS_MAX - 1 ? memchr(at, '\t', (size_t)(end - at)) : NULL;
        line->cell[line->cells] = at;
        line->length[line->cells] = (int)((tab ? tab : end) - at);
        if (!tab)
            break;
        line->cells++;
        at = tab;
    }
    return *end ? end + 1 : end;
}

static void columns_set(struct line *line, size_t first, size_t last, int column) {
    for (size_t i = first; i < last; i++) {
        size_t end = i;
        int width = 0;
        for (; end < last && line[end].cells > column; end++) {
            int own = glyphs(line[end].cell[column], line[end].length[column]);
            width = own > width ? own : width;
        }
        if (end == i)
            continue;
        for (size_t j = i; j < end; j++)
            line[j].width[column] = width ? width + PADDING : 0;
        if (column + 1 < COLUMNS_MAX)
            columns_set(line, i, end, column + 1);
        i = end - 1;
    }
}

static void line_print(const struct line *line, FILE *out) {
    int blanks = 0; /* printed only when something follows: no line ends in blanks */
    for (int i = 0; i <= line->cells; i++) {
        if (line->length[i])
            fprintf(out, "%*s%.*s", blanks, "", line->length[i], line->cell[i]);
        blanks = (line->length[i] ? 0 : blanks) + line->width[i] -
                 glyphs(line->cell[i], line->length[i]);
    }
    fputc('\n', out);
}

char *tabs_expand(const char *text) {
    size_t count = 0, length = 0;
    char *expanded = NULL;
    for (const char *at = text; *at; at++)
        count += *at == '\n';
    struct line *line = calloc(count + 1, sizeof *line);
    FILE *out = line ? open_memstream(&expanded, &length) : NULL;
    if (!out) {
        free(line);
        return NULL;
    }
    count = 0;
    while (*text)
        text = line_cut(text, &line[count++]);
    columns_set(line, 0, count, 0);
    for (size_t i = 0; i < count; i++)
        line_print(&line[i], out);
    free(line);
    return fclose(out) ? NULL : expanded;
}
