/* SPDX-License-Identifier: GPL-3.0-or-later
 * fields.c - reads one mapping by its rows; nested objects by theirs. Never stops at the first
 * mistake.
 */
#include "tenants/fields.h"
#include "core/conf.h"
#include <string.h>

static struct spot node_spot(const struct yaml_node *node) {
    return (struct spot){node->line, node->column};
}

bool word_listed(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; at && length && (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

const char *dict_get(const struct dict *dict, const char *key) {
    for (size_t i = 0; i < dict->count; i++)
        if (!strcmp(dict->item[i].key.text, key))
            return dict->item[i].value.text;
    return NULL;
}

enum { SHORT_TEXT = 64 }; /* what is longer is seldom said twice */

static const char *text_stored(struct reader *r, const char *text) {
    size_t length = strlen(text);
    const char *stored = length < SHORT_TEXT ? table_get_slice(&r->texts, text, length) : NULL;
    if (stored)
        return stored;
    char *copy = stash_slice(r->stash, text, length);
    if (length < SHORT_TEXT)
        table_put(&r->texts, copy, copy);
    return copy;
}

const char *reader_keep(struct reader *r, const struct yaml_node *node) {
    struct yaml_node *scalar = (struct yaml_node *)(uintptr_t)node;
    if (!scalar->kept)
        scalar->text = text_stored(r, scalar->text);
    scalar->kept = true;
    return scalar->text;
}

/* What YAML would read as a number or a truth value is not text: kubectl says so too, before it
 * becomes 1.10 -> 1.1. */
static bool plain_is_text(const struct yaml_node *node) {
    bool truth;
    if (node->quoted)
        return true;
    if (yaml_bool(node, &truth))
        return false;
    const char *text = node->text + (*node->text == '-' || *node->text == '+');
    size_t digits = strspn(text, "0123456789");
    const char *rest = text + digits;
    if (*rest == '.' && (digits || rest[1]))
        rest += 1 + strspn(rest + 1, "0123456789");
    if (rest != text && (*rest == 'e' || *rest == 'E')) {
        const char *power = rest + 1 + (rest[1] == '-' || rest[1] == '+');
        size_t length = strspn(power, "0123456789");
        rest = length ? power + length : rest;
    }
    return rest == text || *rest || !strcmp(text, ".");
}

static bool text_read(struct reader *r, const char *name, const struct yaml_node *node, bool loose,
                      struct word *ret) {
    if (node->kind == YAML_NULL && loose) {
        *ret = (struct word){"", node_spot(node)};
        return true;
    }
    if (node->kind != YAML_SCALAR) {
        reader_error(r, node_spot(node), "%s: must be text", name);
        return false;
    }
    if (!loose && !plain_is_text(node)) {
        reader_error(r, node_spot(node), "%s: must be text: quote it: \"%s\"", name, node->text);
        return false;
    }
    *ret = (struct word){reader_keep(r, node), node_spot(node)};
    return true;
}

void dict_read(struct reader *r, const char *name, const struct yaml_node *node, bool loose,
               struct dict *ret) {
    if (node->kind != YAML_MAP) {
        reader_error(r, node_spot(node), "%s: must be a mapping of texts", name);
        return;
    }
    ret->item = stash_array(r->stash, node->count + 1, sizeof *ret->item);
    for (size_t i = 0; i < node->count; i++) {
        struct word_pair *pair = &ret->item[ret->count];
        const struct yaml_node *key = node->pair[i].key;
        pair->key = (struct word){reader_keep(r, key), node_spot(key)};
        if (text_read(r, key->text, node->pair[i].value, loose, &pair->value))
            ret->count++;
    }
}

static void texts_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                       struct words *ret) {
    if (node->kind != YAML_LIST) {
        reader_error(r, node_spot(node), "%s: must be a list of texts", field->name);
        return;
    }
    ret->item = stash_array(r->stash, node->count + 1, sizeof *ret->item);
    for (size_t i = 0; i < node->count; i++)
        ret->count += text_read(r, field->name, node->item[i], false, &ret->item[ret->count]);
}

static void int_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                     int64_t *ret) {
    int64_t value;
    if (!yaml_int(node, &value))
        reader_error(r, node_spot(node), "%s: must be a whole number", field->name);
    else if ((field->min || field->max) && (value < field->min || value > field->max))
        reader_error(r, node_spot(node), "%s: must be %lld to %lld", field->name,
                     (long long)field->min, (long long)field->max);
    else
        *ret = value;
}

static void rate_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                      int64_t *ret) {
    if (node->kind != YAML_SCALAR || !conf_rate_parse(node->text, ret) || *ret <= 0)
        reader_error(r, node_spot(node), "%s: must be a rate like 64kbit, 100Mbit or 1Gbit",
                     field->name);
}

static void size_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                      int64_t *ret) {
    if (node->kind != YAML_SCALAR || !conf_size_parse(node->text, ret) || *ret <= 0)
        reader_error(r, node_spot(node), "%s: must be a size like 64Ki, 10Mi or 1Gi", field->name);
}

static void bool_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                      enum maybe *ret) {
    bool value;
    if (yaml_bool(node, &value))
        *ret = value ? MAYBE_TRUE : MAYBE_FALSE;
    else
        reader_error(r, node_spot(node), "%s: must be true or false", field->name);
}

static bool port_name_good(const char *name) {
    size_t length = strlen(name);
    return length && length <= 15 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
           strcspn(name, "abcdefghijklmnopqrstuvwxyz") < length && name[0] != '-' &&
           name[length - 1] != '-';
}

static void port_ref_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                          struct port_ref *ret) {
    ret->at = node_spot(node);
    if (yaml_int(node, &ret->number)) {
        if (ret->number >= 1 && ret->number <= 65535)
            return;
        ret->number = 0;
    } else if (node->kind == YAML_SCALAR && port_name_good(node->text)) {
        ret->name = reader_keep(r, node);
        return;
    }
    reader_error(
        r, ret->at,
        "%s: must be 1 to 65535, or a port's name (at most 15 of a-z, 0-9 and -, with a letter)",
        field->name);
}

static void words_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                       struct word *ret) {
    if (!text_read(r, field->name, node, false, ret) || !field->choices ||
        word_listed(field->choices, ret->text))
        return;
    reader_error(r, ret->at, "%s: `%s` is none of: %s", field->name, ret->text, field->choices);
}

static void objects_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                         struct items *ret) {
    if (node->kind != YAML_LIST) {
        reader_error(r, node_spot(node), "%s: must be a list", field->name);
        return;
    }
    ret->item = stash_array(r->stash, node->count + 1, field->schema->size);
    for (; ret->count < node->count; ret->count++)
        fields_read(r, field->schema, node->item[ret->count],
                    (char *)ret->item + ret->count * field->schema->size);
}

static void object_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                        void **ret) {
    *ret = stash_alloc(r->stash, field->schema->size);
    fields_read(r, field->schema, node, *ret);
}

static void field_read(struct reader *r, const struct field *field, const struct yaml_node *node,
                       void *slot) {
    switch (field->type) {
    case FIELD_TEXT:
        words_read(r, field, node, slot);
        break;
    case FIELD_INT:
        int_read(r, field, node, slot);
        break;
    case FIELD_RATE:
        rate_read(r, field, node, slot);
        break;
    case FIELD_SIZE:
        size_read(r, field, node, slot);
        break;
    case FIELD_BOOL:
        bool_read(r, field, node, slot);
        break;
    case FIELD_TEXTS:
        texts_read(r, field, node, slot);
        break;
    case FIELD_DICT:
        dict_read(r, field->name, node, false, slot);
        break;
    case FIELD_PORT_REF:
        port_ref_read(r, field, node, slot);
        break;
    case FIELD_OBJECT:
        object_read(r, field, node, slot);
        break;
    case FIELD_OBJECTS:
        objects_read(r, field, node, slot);
        break;
    }
}

static void unknown_warn(struct reader *r, const struct schema *schema,
                         const struct yaml_node *node) {
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *key = node->pair[i].key;
        const struct field *field = schema->field;
        while (field->name && strcmp(field->name, key->text))
            field++;
        if (!field->name && !word_listed(schema->tolerated, key->text))
            reader_warning(r, node_spot(key), "unknown field `%s`", key->text);
    }
}

void fields_read(struct reader *r, const struct schema *schema, const struct yaml_node *node,
                 void *target) {
    struct spot *spot = target;
    *spot = node_spot(node);
    if (node->kind != YAML_MAP) {
        reader_error(r, *spot, "a mapping (key: value) is expected here");
        return;
    }
    if (!schema->tolerated || strcmp(schema->tolerated, "*"))
        unknown_warn(r, schema, node);
    for (const struct field *field = schema->field; field->name; field++) {
        const struct yaml_node *value = yaml_get(node, field->name);
        if (value && value->kind != YAML_NULL)
            field_read(r, field, value, (char *)target + field->offset);
        else if (field->type == FIELD_INT && !field->required)
            *(int64_t *)((char *)target + field->offset) = field->fallback;
        else if (field->required)
            reader_error(r, value ? node_spot(value) : *spot, "%s is missing", field->name);
    }
}
