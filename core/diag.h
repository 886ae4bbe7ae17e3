/* SPDX-License-Identifier: MIT
 * diag.h - what is wrong, and where: errors with file:line:column, all of them at once.
 *
 * Parsers and checkers of boot and configuration take a `struct diags *` and add to it; they return false when
 * they added an error. Nothing here is used on the data path (there: negative errno).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum diag_level { DIAG_WARNING, DIAG_ERROR };

struct diag {
    enum diag_level level;
    char *file;            /* owned; as the operator named it; "" when no file is to blame */
    unsigned line, column; /* from 1; 0 when unknown */
    char *message;         /* owned; one line, no final dot */
};

struct diags {
    struct diag *item; /* owned, in the order they were found */
    size_t count, room;
    size_t errors; /* of `count`, how many are DIAG_ERROR */
    bool lost;     /* memory ran out, or more than DIAGS_MAX: there are more than listed */
};

enum { DIAGS_MAX = 1000 };

#define DIAGS_INIT \
    { 0 }

/* One error, for calls that stop at their first. `text` is complete: "file:line:column: message" or "message". */
struct err {
    char text[512];
};

void diags_add(struct diags *, enum diag_level, const char *file, unsigned line, unsigned column,
               const char *format, ...) __attribute__((format(printf, 6, 7)));
void diags_fini(struct diags *);
/* "file:line:column: message\n" each; warnings say "warning: " before the message. */
void diags_print(const struct diags *, FILE *);
/* Sets err->text; always returns false, so that `return err_set(...)` reads well. */
bool err_set(struct err *, const char *format, ...) __attribute__((format(printf, 2, 3)));
