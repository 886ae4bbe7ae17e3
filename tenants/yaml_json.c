/* SPDX-License-Identifier: GPL-3.0-or-later
 * yaml_json.c - see yaml_json.h.
 */
#include "tenants/yaml_json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Plain scalars as YAML 1.2's core schema has them; what was quoted is text. */
static json_t *scalar_json(const struct yaml_node *node) {
    int64_t number;
    bool truth;
    char *end;
    if (node->quoted)
        return json_string(node->text);
    if (yaml_bool(node, &truth))
        return json_boolean(truth);
    if (yaml_int(node, &number))
        return json_integer(number);
    double real = strtod(node->text, &end);
    if (*node->text && !*end && isfinite(real) && !strpbrk(node->text, "xXpPnN "))
        return json_real(real);
    return json_string(node->text);
}

static json_t *map_json(const struct yaml_node *node) {
    json_t *object = json_object();
    for (size_t i = 0; i < node->count; i++)
        json_object_set_new(object, node->pair[i].key->text, yaml_json(node->pair[i].value));
    return object;
}

static json_t *list_json(const struct yaml_node *node) {
    json_t *array = json_array();
    for (size_t i = 0; i < node->count; i++)
        json_array_append_new(array, yaml_json(node->item[i]));
    return array;
}

json_t *yaml_json(const struct yaml_node *node) {
    json_t *value = NULL;
    if (node && node->kind == YAML_MAP)
        value = map_json(node);
    else if (node && node->kind == YAML_LIST)
        value = list_json(node);
    else if (node && node->kind == YAML_SCALAR)
        value = scalar_json(node);
    return value ? value : json_null(); /* what is not UTF-8 was refused by libyaml */
}
