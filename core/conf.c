/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.c - walks a table of fields and a YAML mapping side by side.
 *
 *   for each row: the key's value, or the row's fallback -> parsed by type -> checked -> stored at
 * the row's offset
 *   for each key without a row: an error
 *
 * A fallback is parsed by the same code as what people write, so a wrong default fails the first
 * test that uses it.
 */
#include "core/conf.h"
#include "core/yaml.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const char *file;
    struct diags *diags;
    const struct yaml_node *parent; /* to blame for what is missing */
};

static bool field_fill(const struct walk *, const struct conf_field *, const struct yaml_node *,
                       void *slot);

struct unit {
    const char *name;
    int64_t factor;
};

/* "12", unit: the number and then exactly one of the units. */
static bool number_parse(const char *text, const struct unit *units, int64_t *ret) {
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 18)
        return false;
    int64_t number = strtoll(text, NULL, 10), product;
    for (; units->name; units++)
        if (!strcmp(units->name, text + digits)) {
            if (__builtin_mul_overflow(number, units->factor, &product))
                return false;
            *ret = product;
            return true;
        }
    return false;
}

bool conf_duration_parse(const char *text, int64_t *ret_ms) {
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    if (!strcmp(text, "0")) {
        *ret_ms = 0;
        return true;
    }
    return number_parse(text, units, ret_ms);
}

bool conf_size_parse(const char *text, int64_t *ret_bytes) {
    static const struct unit units[] = {{"", 1},           {"k", 1000},       {"M", 1000000},
                                        {"G", 1000000000}, {"Ki", 1ll << 10}, {"Mi", 1ll << 20},
                                        {"Gi", 1ll << 30}, {NULL, 0}};
    return number_parse(text, units, ret_bytes);
}

bool conf_rate_parse(const char *text, int64_t *ret_bits_per_second) {
    static const struct unit units[] = {
        {"bit", 1},           {"kbit", 1000},          {"Mbit", 1000000},
        {"Gbit", 1000000000}, {"Tbit", 1000000000000}, {NULL, 0}};
    return number_parse(text, units, ret_bits_per_second);
}

static bool complain(const struct walk *walk, const struct yaml_node *node,
                     const struct conf_field *field, const char *expected) {
    diags_add(walk->diags, DIAG_ERROR, walk->file, node->line, node->column, "%s: %s", field->name,
              expected);
    return false;
}

static bool in_bounds(const struct walk *walk, const struct yaml_node *node,
                      const struct conf_field *field, int64_t value) {
    if ((!field->min && !field->max) || (value >= field->min && value <= field->max))
        return true;
    static const char *const unit[] = {
        [CONF_DURATION] = "ms", [CONF_SIZE] = " bytes", [CONF_RATE] = "bit"};
    const char *suffix = field->type <= CONF_RATE && unit[field->type] ? unit[field->type] : "";
    diags_add(walk->diags, DIAG_ERROR, walk->file, node->line, node->column,
              "%s: must be %lld to %lld%s", field->name, (long long)field->min,
              (long long)field->max, suffix);
    return false;
}

static bool int_fill(const struct walk *walk, const struct conf_field *field,
                     const struct yaml_node *node, int64_t *slot) {
    int64_t value = 0;
    bool good = node->kind == YAML_SCALAR;
    const char *expected = "a whole number";
    switch (field->type) {
    case CONF_DURATION:
        good = good && conf_duration_parse(node->text, &value);
        expected = "a time like 500ms, 10s, 5m, 1h or 2d";
        break;
    case CONF_SIZE:
        good = good && conf_size_parse(node->text, &value);
        expected = "a size like 4096, 16Ki, 1Mi or 1Gi";
        break;
    case CONF_RATE:
        good = good && conf_rate_parse(node->text, &value);
        expected = "a rate like 64kbit, 100Mbit or 1Gbit";
        break;
    default:
        good = yaml_int(node, &value);
    }
    if (!good)
        return complain(walk, node, field, expected);
    if (!in_bounds(walk, node, field, value))
        return false;
    *slot = value;
    return true;
}

static bool bool_fill(const struct walk *walk, const struct conf_field *field,
                      const struct yaml_node *node, bool *slot) {
    return yaml_bool(node, slot) || complain(walk, node, field, "true or false");
}

static bool string_fill(const struct walk *walk, const struct conf_field *field,
                        const struct yaml_node *node, char **slot) {
    if (node->kind != YAML_SCALAR)
        return complain(walk, node, field, "text");
    *slot = strdup(node->text);
    return *slot || complain(walk, node, field, "out of memory");
}

static bool enum_fill(const struct walk *walk, const struct conf_field *field,
                      const struct yaml_node *node, int *slot) {
    char known[256] = "one of";
    for (int i = 0; field->values[i]; i++) {
        if (node->kind == YAML_SCALAR && !strcmp(field->values[i], node->text)) {
            *slot = i;
            return true;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s %s", i ? "," : "", field->values[i]);
    }
    return complain(walk, node, field, known);
}

/* A single scalar is a list of one: `allow: 10.0.0.0/8` is what people write. */
static bool string_list_fill(const struct walk *walk, const struct conf_field *field,
                             const struct yaml_node *node, struct conf_list *list) {
    struct yaml_node *self = (struct yaml_node *)node,
                     **item = node->kind == YAML_LIST ? node->item : &self;
    size_t count = node->kind == YAML_LIST ? node->count : 1;
    bool good = true;
    if (node->kind == YAML_MAP)
        return complain(walk, node, field, "a list of texts");
    if (!count)
        return true;
    list->item = calloc(count, sizeof(char *));
    if (!list->item)
        return complain(walk, node, field, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (string_fill(walk, field, item[i], (char **)list->item + list->count))
            list->count++;
        else
            good = false;
    return good;
}

static bool map_list_fill(const struct walk *walk, const struct conf_field *field,
                          const struct yaml_node *node, struct conf_list *list) {
    bool good = true;
    if (node->kind != YAML_LIST)
        return complain(walk, node, field, "a list");
    if (!node->count)
        return true;
    list->item = calloc(node->count, field->item_size);
    if (!list->item)
        return complain(walk, node, field, "out of memory");
    for (size_t i = 0; i < node->count; i++, list->count++)
        good &= conf_fill(field->fields, node->item[i], walk->file,
                          (char *)list->item + i * field->item_size, walk->diags);
    return good;
}

static bool pairs_fill(const struct walk *walk, const struct conf_field *field,
                       const struct yaml_node *node, struct conf_list *list) {
    struct conf_pair *pair;
    bool good = true;
    if (node->kind != YAML_MAP)
        return complain(walk, node, field, "a mapping of texts");
    if (!node->count)
        return true;
    list->item = pair = calloc(node->count, sizeof *pair);
    if (!pair)
        return complain(walk, node, field, "out of memory");
    for (size_t i = 0; i < node->count; i++, list->count++) {
        good &= string_fill(walk, field, node->pair[i].key, &pair[i].key);
        good &= string_fill(walk, field, node->pair[i].value, &pair[i].value);
    }
    return good;
}

static bool field_fill(const struct walk *walk, const struct conf_field *field,
                       const struct yaml_node *node, void *slot) {
    switch (field->type) {
    case CONF_BOOL:
        return bool_fill(walk, field, node, slot);
    case CONF_STRING:
        return string_fill(walk, field, node, slot);
    case CONF_STRING_LIST:
        return string_list_fill(walk, field, node, slot);
    case CONF_ENUM:
        return enum_fill(walk, field, node, slot);
    case CONF_MAP:
        return conf_fill(field->fields, node, walk->file, slot, walk->diags);
    case CONF_MAP_LIST:
        return map_list_fill(walk, field, node, slot);
    case CONF_PAIRS:
        return pairs_fill(walk, field, node, slot);
    default:
        return int_fill(walk, field, node, slot);
    }
}

static bool fallback_fill(const struct walk *walk, const struct conf_field *field, void *slot) {
    struct yaml_docs docs;
    struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    if (field->type == CONF_MAP)
        return conf_fill(field->fields, NULL, walk->file, slot, walk->diags);
    if (!field->fallback)
        return true;
    if (!yaml_parse(walk->file, field->fallback, strlen(field->fallback), &limits, walk->diags,
                    &docs))
        return false;
    bool good = !docs.count || field_fill(walk, field, docs.doc[0], slot);
    yaml_docs_free(&docs);
    return good;
}

static bool row_fill(const struct walk *walk, const struct conf_field *field, void *target) {
    const struct yaml_node *value = yaml_get(walk->parent, field->name);
    void *slot = (char *)target + field->offset;
    if (value && value->kind != YAML_NULL)
        return field_fill(walk, field, value, slot);
    if (!field->required || !walk->parent) /* an optional section that is absent requires nothing */
        return fallback_fill(walk, field, slot);
    const struct yaml_node *blame = value ? value : walk->parent;
    diags_add(walk->diags, DIAG_ERROR, walk->file, blame->line, blame->column, "%s is missing",
              field->name);
    return false;
}

static bool keys_known(const struct walk *walk, const struct conf_field *fields) {
    bool good = true;
    for (size_t i = 0; walk->parent && i < walk->parent->count; i++) {
        const struct yaml_node *key = walk->parent->pair[i].key;
        const struct conf_field *field = fields;
        while (field->name && strcmp(field->name, key->text))
            field++;
        if (field->name)
            continue;
        diags_add(walk->diags, DIAG_ERROR, walk->file, key->line, key->column, "unknown key `%s`",
                  key->text);
        good = false;
    }
    return good;
}

bool conf_fill(const struct conf_field *fields, const struct yaml_node *node, const char *file,
               void *target, struct diags *diags) {
    if (node && node->kind == YAML_NULL)
        node = NULL;
    if (node && node->kind != YAML_MAP) {
        diags_add(diags, DIAG_ERROR, file, node->line, node->column,
                  "a mapping (key: value) is expected here");
        return false;
    }
    struct walk walk = {file, diags, node};
    bool good = keys_known(&walk, fields);
    for (const struct conf_field *field = fields; field->name; field++)
        good &= row_fill(&walk, field, target);
    return good;
}

static void list_fini(const struct conf_field *field, struct conf_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (field->type == CONF_STRING_LIST) {
            free(((char **)list->item)[i]);
        } else if (field->type == CONF_PAIRS) {
            free(((struct conf_pair *)list->item)[i].key);
            free(((struct conf_pair *)list->item)[i].value);
        } else
            conf_fini(field->fields, (char *)list->item + i * field->item_size);
    free(list->item);
    *list = (struct conf_list){0};
}

void conf_fini(const struct conf_field *fields, void *target) {
    for (const struct conf_field *field = fields; field->name; field++) {
        void *slot = (char *)target + field->offset;
        if (field->type == CONF_STRING) {
            free(*(char **)slot);
            *(char **)slot = NULL;
        } else if (field->type == CONF_STRING_LIST || field->type == CONF_MAP_LIST ||
                   field->type == CONF_PAIRS) {
            list_fini(field, slot);
        } else if (field->type == CONF_MAP) {
            conf_fini(field->fields, slot);
        }
    }
}
