/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_yaml.h - YAML read back as the JSON it was, in tests of what writes it.
 */
#pragma once
#include "core/yaml.h"
#include <jansson.h>
#include <stdlib.h>

static inline json_t *node_value(const struct yaml_node *node) {
    int64_t number;
    bool truth;
    char *end;
    json_t *value;
    switch (node->kind) {
    case YAML_MAP:
        value = json_object();
        for (size_t i = 0; i < node->count; i++)
            json_object_set_new(value, node->pair[i].key->text, node_value(node->pair[i].value));
        return value;
    case YAML_LIST:
        value = json_array();
        for (size_t i = 0; i < node->count; i++)
            json_array_append_new(value, node_value(node->item[i]));
        return value;
    case YAML_NULL:
        return json_null();
    case YAML_SCALAR:
        break;
    }
    if (!node->quoted && yaml_bool(node, &truth))
        return json_boolean(truth);
    if (!node->quoted && yaml_int(node, &number))
        return json_integer(number);
    double real = strtod(node->text, &end);
    return !node->quoted && *node->text && !*end ? json_real(real) : json_string(node->text);
}

/* NULL: not one document. */
static inline json_t *yaml_value(const char *text, size_t length) {
    const struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct diags diags = DIAGS_INIT;
    struct yaml_docs docs = {0};
    json_t *value = NULL;
    if (yaml_parse("test", text, length, &limits, &diags, &docs)) {
        value = docs.count == 1 ? node_value(docs.doc[0]) : NULL;
        yaml_docs_free(&docs);
    }
    diags_fini(&diags);
    return value;
}
