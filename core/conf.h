/* SPDX-License-Identifier: MIT
 * conf.h - configuration as rows: one walker over a YAML mapping fills a struct from a table of fields.
 *
 * A table describes one mapping; a row names a key, its type, where its value goes, its bounds and its default.
 * Every violation is reported with its position and the walk goes on, so that one run shows all mistakes.
 * A module's own section of edge.yaml is such a table; the documentation is checked against the rows.
 */
#pragma once
#include "core/diag.h"
#include <stdint.h>

enum conf_type {
    CONF_BOOL,     /* bool */
    CONF_INT,      /* int64_t, min..max */
    CONF_DURATION, /* int64_t milliseconds, min..max; written 500ms, 10s, 5m, 1h, 2d; a bare 0 is 0 */
    CONF_SIZE, /* int64_t bytes, min..max; written 4096, 16Ki, 1Mi, 1Gi (also k, M, G: powers of 1000) */
    CONF_RATE,        /* int64_t bits per second; written 1Gbit, 100Mbit, 64kbit */
    CONF_STRING,      /* char *, owned by the struct; NULL when absent and without default */
    CONF_STRING_LIST, /* struct conf_list, owned; a single scalar is a list of one */
    CONF_ENUM,        /* int: index into `values` */
    CONF_MAP,         /* nested struct at `offset`, described by `fields` */
    CONF_MAP_LIST,    /* struct conf_list of structs of `item_size`, each described by `fields` */
    CONF_PAIRS, /* struct conf_list of struct conf_pair, owned: a mapping whose keys are anybody's */
};

struct conf_pair {
    char *key, *value;
};

struct conf_list {
    size_t count;
    void *
        item; /* CONF_STRING_LIST: char *[count]; CONF_MAP_LIST: structs, one after another; CONF_PAIRS: struct conf_pair[count]; owned */
};

struct conf_field {
    const char *name;
    enum conf_type type;
    size_t offset;
    int64_t min, max;                /* both 0: unbounded */
    const char *fallback;            /* as written in YAML; NULL: zero/absent */
    const char *const *values;       /* CONF_ENUM, NULL-terminated */
    const struct conf_field *fields; /* CONF_MAP, CONF_MAP_LIST; ends with a row without name */
    size_t item_size;                /* CONF_MAP_LIST */
    bool required;
    const char *doc; /* one line for the manual */
};

#define CONF_END \
    { .name = NULL }

/* Scalars, exposed because labels and annotations use the same spelling. False and *ret untouched when malformed. */
bool conf_duration_parse(const char *text, int64_t *ret_ms);
bool conf_size_parse(const char *text, int64_t *ret_bytes);
bool conf_rate_parse(const char *text, int64_t *ret_bits_per_second);

struct yaml_node; /* core/yaml.h */

/* Fill `target` (zeroed by the caller) from the mapping `node`; NULL node: only defaults.
 * Unknown keys are errors. Returns false when it added errors to `diags`; `target` is then still safe to conf_fini. */
bool conf_fill(const struct conf_field *fields, const struct yaml_node *node, const char *file,
               void *target, struct diags *diags);
void conf_fini(const struct conf_field *fields, void *target);
