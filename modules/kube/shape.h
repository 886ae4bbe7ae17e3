/* SPDX-License-Identifier: GPL-3.0-or-later
 * shape.h - what upstream's objects are made of: which fields, of which type, and how their lists merge.
 *
 * One table for all that asks: strategic merge patch (patch.c), ownership of fields (apply.c), unknown fields (validate.c). It
 * never says what a field means here: that is tenants/kinds.c.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum part_type {
    PART_TEXT,
    PART_INT,
    PART_BOOL,
    PART_PORT,  /* a number or a name */
    PART_BYTES, /* base64 */
    PART_TIME,
    PART_OBJECT, /* as `of` says */
    PART_ANY,    /* not looked into */
};
enum part_form {
    PART_ONE,
    PART_MAP,   /* from text to `type` */
    PART_LIST,  /* written as a whole */
    PART_SET,   /* of different scalars */
    PART_KEYED, /* of objects, told apart by `key` */
};
enum { PART_KEYS_MAX = 2 };

struct part_key {
    const char *name;
    const char *fallback; /* what it is when an item does not say; NULL: it must */
};
struct part {
    const char *name;
    enum part_type type;
    enum part_form form;
    const struct shape *of;
    /* PART_KEYED: the first is what strategic merge patches go by */
    struct part_key key[PART_KEYS_MAX];
    bool required;
    bool atomic; /* an object or a map that has one owner */
};
struct shape {
    const char *name;
    const struct part *part; /* ends with one without a name */
};
struct shape_kind {
    const char *api_version, *kind;
    const struct shape *shape;
};

extern const struct shape_kind shape_kinds[]; /* ends with one without a kind */

const struct shape *shape_find(const char *api_version, const char *kind); /* NULL: not known */
/* NULL: the shape (which may be NULL) has no such field. */
const struct part *shape_part(const struct shape *, const char *name);
/* What the values of this part's objects, items or map are made of: NULL when not looked into. */
const struct shape *part_shape(const struct part *);

/* An item of a PART_KEYED list by its first `keys` keys, as text that is equal only for equal keys; malloc'd. NULL: it lacks one,
 * whose name goes to *ret_lacking. */
char *part_item_key(const struct part *, const json_t *item, size_t keys, const char **ret_lacking);
/* The same keys as an object, defaults filled in: new. */
json_t *part_item_keys(const struct part *, const json_t *item);
size_t part_key_count(const struct part *);
