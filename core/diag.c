/* SPDX-License-Identifier: GPL-3.0-or-later
 * diag.c - collects what is wrong and prints it the way compilers do, so that editors can jump
 * there.
 * Bounded: after DIAGS_MAX it only counts, because a hostile file can be wrong in every byte.
 */
#include "core/diag.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool diags_grow(struct diags *diags) {
    if (diags->count < diags->room)
        return true;
    size_t room = diags->room ? diags->room * 2 : 8;
    struct diag *item = realloc(diags->item, room * sizeof *item);
    if (!item)
        return false;
    diags->item = item;
    diags->room = room;
    return true;
}

enum { MESSAGE_MAX = 1024 }; /* messages quote the file, and a hostile file has long words */

__attribute__((format(printf, 1, 0))) static char *message_format(const char *format,
                                                                  va_list list) {
    char message[MESSAGE_MAX];
    vsnprintf(message, sizeof message, format, list);
    for (char *at = message; *at; at++) /* one line, whatever a file's text carried into it */
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    return strdup(message);
}

void diags_add(struct diags *diags, enum diag_level level, const char *file, unsigned line,
               unsigned column, const char *format, ...) {
    if (level == DIAG_ERROR)
        diags->errors++;
    if (diags->count >= DIAGS_MAX || !diags_grow(diags)) {
        diags->lost = true;
        return;
    }
    va_list list;
    va_start(list, format);
    struct diag diag = {level, strdup(file ? file : ""), line, column,
                        message_format(format, list)};
    va_end(list);
    if (diag.file && diag.message) {
        diags->item[diags->count++] = diag;
        return;
    }
    free(diag.file);
    free(diag.message);
    diags->lost = true;
}

void diags_fini(struct diags *diags) {
    for (size_t i = 0; i < diags->count; i++) {
        free(diags->item[i].file);
        free(diags->item[i].message);
    }
    free(diags->item);
    *diags = (struct diags)DIAGS_INIT;
}

static void diag_print(const struct diag *diag, FILE *out) {
    if (*diag->file)
        fprintf(out, "%s:", diag->file);
    if (diag->line)
        fprintf(out, "%u:%u:", diag->line, diag->column);
    if (*diag->file || diag->line)
        fputc(' ', out);
    fprintf(out, "%s%s\n", diag->level == DIAG_WARNING ? "warning: " : "", diag->message);
}

void diags_print(const struct diags *diags, FILE *out) {
    for (size_t i = 0; i < diags->count; i++)
        diag_print(&diags->item[i], out);
    if (diags->lost)
        fprintf(out, "more was wrong than is listed: %zu errors in all\n", diags->errors);
}

bool err_set(struct err *err, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(err->text, sizeof err->text, format, list);
    va_end(list);
    return false;
}
