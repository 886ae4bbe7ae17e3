/* SPDX-License-Identifier: GPL-3.0-or-later
 * print.c - see print.h. Columns are as wide as their widest cell, three blanks apart, as kubectl has them.
 */
#include "edge/print.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 20, GAP = 3 };

static void controls_blank(char *text, bool keep_lines) {
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && !(keep_lines && (*text == '\n' || *text == '\t'))) ||
            *text == 0x7f)
            *text = ' ';
}

static char *list_text(const json_t *list) {
    char *text = NULL;
    size_t i, length;
    json_t *item;
    FILE *out = open_memstream(&text, &length);
    json_array_foreach((json_t *)list, i, item) {
        if (out && json_is_string(item))
            fprintf(out, "%s%s", i ? "," : "", json_string_value(item));
    }
    if (out)
        fclose(out);
    return text;
}

/* malloc'd, or NULL when there is nothing to show. */
static char *cell_text(const json_t *value) {
    char *text = NULL;
    if (json_is_string(value) && *json_string_value(value))
        text = strdup(json_string_value(value));
    else if (json_is_integer(value) &&
             asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0)
        text = NULL;
    else if (json_is_real(value) && asprintf(&text, "%.3f", json_real_value(value)) < 0)
        text = NULL;
    else if (json_is_boolean(value))
        text = strdup(json_is_true(value) ? "true" : "false");
    else if (json_is_array(value) && json_array_size(value))
        text = list_text(value);
    if (text)
        controls_blank(text, false);
    return text;
}

/* In characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width_of(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void cell_print(const char *text, size_t width, bool last) {
    size_t n = width_of(text);
    fputs(text, stdout);
    for (; !last && n < width + GAP; n++)
        putchar(' ');
}

static void widths_find(const json_t *rows, const struct column **shown, size_t count,
                        size_t *width) {
    size_t i;
    json_t *row;
    for (size_t c = 0; c < count; c++)
        width[c] = strlen(shown[c]->title);
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; c < count; c++) {
            char *text = cell_text(json_object_get(row, shown[c]->key));
            size_t n = text ? width_of(text) : 1;
            if (n > width[c])
                width[c] = n;
            free(text);
        }
    }
}

void print_table(const json_t *rows, const struct column *column, bool wide) {
    const struct column *shown[COLUMNS_MAX];
    size_t count = 0, width[COLUMNS_MAX], i;
    json_t *row;
    for (; column->title && count < COLUMNS_MAX; column++)
        if (wide || !column->wide)
            shown[count++] = column;
    widths_find(rows, shown, count, width);
    for (size_t c = 0; c < count; c++)
        cell_print(shown[c]->title, width[c], c + 1 == count);
    putchar('\n');
    json_array_foreach((json_t *)rows, i, row) {
        for (size_t c = 0; c < count; c++) {
            char *text = cell_text(json_object_get(row, shown[c]->key));
            cell_print(text ? text : "-", width[c], c + 1 == count);
            free(text);
        }
        putchar('\n');
    }
}

void print_json(const json_t *value) {
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}

void print_text(const char *text) {
    char *copy = strdup(text);
    if (!copy)
        return;
    controls_blank(copy, true);
    fputs(copy, stdout);
    free(copy);
}
