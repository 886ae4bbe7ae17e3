/* SPDX-License-Identifier: GPL-3.0-or-later
 * fields.h - Kubernetes objects as rows: what a field is called, what it is, where it goes.
 *
 * core/conf.h does the same for the operator's file; the difference is kubectl's manner: an
 * unknown field is a warning,
 * many known fields mean nothing here, and text that looks like a number is not text. Text is
 * copied into the reader's stash, once for each scalar, and the short ones once for all that say the same: the tree need not live
 * longer than the reader, and a thousand aliases of a megabyte cost a megabyte.
 */
#pragma once
#include "core/diag.h"
#include "core/stash.h"
#include "core/yaml.h"
#include "tenants/table.h"

struct spot {
    unsigned line, column;
};
struct word { /* text, and where it stands; text NULL: absent */
    const char *text;
    struct spot at;
};
struct words {
    struct word *item;
    size_t count;
};
struct word_pair {
    struct word key, value;
};
struct dict {
    struct word_pair *item;
    size_t count;
};
struct items { /* structs one after another, each starting with its struct spot */
    void *item;
    size_t count;
};
enum maybe { MAYBE_ABSENT, MAYBE_FALSE, MAYBE_TRUE };
struct port_ref { /* by number or by name; neither: absent */
    int64_t number;
    const char *name;
    struct spot at;
};

enum field_type {
    FIELD_TEXT,     /* struct word */
    FIELD_INT,      /* int64_t, min..max */
    FIELD_RATE,     /* int64_t bits per second */
    FIELD_SIZE,     /* int64_t bytes */
    FIELD_BOOL,     /* enum maybe */
    FIELD_TEXTS,    /* struct words */
    FIELD_DICT,     /* struct dict */
    FIELD_PORT_REF, /* struct port_ref */
    FIELD_OBJECT,   /* pointer to a struct, NULL when absent */
    FIELD_OBJECTS,  /* struct items */
};
struct schema;
struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    int64_t min, max, fallback; /* FIELD_INT; fallback: when absent */
    const struct schema *schema;
    const char *choices; /* FIELD_TEXT: the only values, separated by spaces */
    bool required;
};
struct schema {
    const struct field *field; /* ends with a row without name */
    size_t size;
    const char
        *tolerated; /* upstream fields that mean nothing here, separated by spaces; "*": all */
};

struct reader {
    const char *file;
    struct diags *diags;
    struct stash *stash;
    size_t decoded;     /* bytes of Secrets so far */
    struct table texts; /* short ones in the stash, each under itself; the caller's to table_fini */
};

#define reader_error(r, spot, ...) \
    diags_add((r)->diags, DIAG_ERROR, (r)->file, (spot).line, (spot).column, __VA_ARGS__)
#define reader_warning(r, spot, ...) \
    diags_add((r)->diags, DIAG_WARNING, (r)->file, (spot).line, (spot).column, __VA_ARGS__)

/* Fills `target` (zeroed, schema->size bytes). Adds what is wrong to the diags and goes on. */
void fields_read(struct reader *, const struct schema *, const struct yaml_node *, void *target);
/* A mapping of texts; `loose`: numbers and booleans are taken as written (compose). */
void dict_read(struct reader *, const char *name, const struct yaml_node *, bool loose,
               struct dict *ret);
const char *dict_get(const struct dict *, const char *key); /* NULL: not there */
/* A scalar's text, which lives as long as the stash. */
const char *reader_keep(struct reader *, const struct yaml_node *);
bool word_listed(const char *list, const char *word); /* in a list separated by spaces */
