/* SPDX-License-Identifier: MIT
 * yaml.h - YAML text to a tree of nodes that know where they stand. libyaml underneath, with limits against bombs.
 *
 * Owns: the tree, in one arena per document set. Never: follows includes, runs tags, or expands an alias more than the
 * limits allow (an alias is a reference to the same node, and expanded size is counted).
 */
#pragma once
#include "core/diag.h"
#include <stdint.h>

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_pair;
struct yaml_node { /* small: a tenant's files may be 200,000 of them each */
    enum yaml_kind kind : 8;
    bool quoted : 1; /* scalar written in quotes or as a block: never a number, bool or null */
    bool kept : 1;   /* its text lies with whoever wants it when the tree is gone: fields.c */
    unsigned line, column; /* from 1 */
    unsigned count;        /* YAML_LIST, YAML_MAP; else 0 */
    union {
        /* YAML_SCALAR, YAML_NULL: NUL-terminated; a NUL inside the text is refused when parsing */
        const char *text;
        struct yaml_node **item; /* YAML_LIST */
        struct yaml_pair *pair;  /* YAML_MAP */
    };
};
struct yaml_pair {
    const struct yaml_node *key, *value; /* key: always a scalar; repeated keys were refused */
};

struct yaml_limits {
    size_t bytes, depth, nodes; /* of one text; nodes counts aliases expanded */
};
#define YAML_LIMITS_DEFAULT \
    { .bytes = 4u << 20, .depth = 64, .nodes = 200000 }

struct yaml_docs {
    size_t count;
    struct yaml_node **doc; /* roots; an empty document is left out */
    void *arena;
};

/* False when it added errors. The error for a plain scalar that starts with `*` says to quote it ("*.example.com"). */
bool yaml_parse(const char *file, const char *text, size_t length, const struct yaml_limits *,
                struct diags *, struct yaml_docs *ret_docs);
void yaml_docs_free(struct yaml_docs *);
/* The value of `key`, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* Typed readers of a scalar: false when it isn't one. */
bool yaml_int(const struct yaml_node *, int64_t *ret);
bool yaml_bool(const struct yaml_node *, bool *ret);
