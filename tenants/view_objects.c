/* SPDX-License-Identifier: GPL-3.0-or-later
 * view_objects.c - a tenant's Kubernetes objects as JSON: what its files say, not what came of it. Read-only.
 *
 *   model -> its YAML trees -> each document (or item of a List) that is an object of a known kind
 */
#include "tenants/inside.h"
#include "tenants/yaml_json.h"
#include <string.h>

static const char *text_at(const struct yaml_node *map, const char *key) {
    const struct yaml_node *value = yaml_get(map, key);
    return value && value->kind == YAML_SCALAR ? value->text : "";
}

/* The model's object that this node is: of two documents with one name only one was taken. */
static const struct object *object_of(const struct model *model, const struct yaml_node *node) {
    const struct yaml_node *metadata = yaml_get(node, "metadata");
    const char *name = metadata && metadata->kind == YAML_MAP ? text_at(metadata, "name") : "";
    const struct object *object = model_find(model, text_at(node, "kind"), name);
    return object && object->at.line == node->line && object->at.column == node->column ? object
                                                                                        : NULL;
}

static void node_add(const struct model *model, const struct yaml_node *node, json_t *array) {
    const struct yaml_node *items = yaml_get(node, "items");
    if (!strcmp(text_at(node, "kind"), "List") && items && items->kind == YAML_LIST) {
        for (size_t i = 0; i < items->count; i++)
            if (items->item[i]->kind == YAML_MAP)
                node_add(model, items->item[i], array);
        return;
    }
    const struct object *object = object_of(model, node);
    if (object)
        json_array_append_new(array, json_pack("{s:s s:i s:o}", "file", object->file, "line",
                                               (int)object->at.line, "object", yaml_json(node)));
}

json_t *view_objects(const struct registry *registry, const char *tenant) {
    const struct entry *entry = entry_find(registry, tenant);
    const struct model *model = entry ? entry->model : NULL;
    json_t *array = json_array();
    for (size_t i = 0; model && i < model->doc_count; i++)
        for (size_t k = 0; k < model->docs[i].count; k++)
            if (model->docs[i].doc[k]->kind == YAML_MAP)
                node_add(model, model->docs[i].doc[k], array);
    return array;
}
