/* SPDX-License-Identifier: GPL-3.0-or-later
 * print.h - tables and texts on standard output. What tenants wrote is shown without its control characters.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>

struct column {
    const char *title, *key;
    bool wide; /* only with -o wide */
};

/* `column` ends with one without title. */
void print_table(const json_t *rows, const struct column *column, bool wide);
void print_json(const json_t *);
void print_text(const char *text);
