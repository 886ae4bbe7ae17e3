/* SPDX-License-Identifier: GPL-3.0-or-later
 * view_objects.c - a tenant's Kubernetes objects as JSON: what its files say, not what came of it. Read-only.
 *
 *   its last good drop, read again -> YAML trees -> each document (or item of a List) that the model has
 *   an object of, whether it has been shed or not
 *
 * The trees would be most of what a tenant takes, and few are asked about at a time.
 */
#include "tenants/inside.h"
#include "tenants/rows.h"
#include "tenants/yaml_json.h"
#include <string.h>

static const char *text_at(const struct yaml_node *map, const char *key) {
    const struct yaml_node *value = yaml_get(map, key);
    return value && value->kind == YAML_SCALAR ? value->text : "";
}

/* What a model takes of the same text is all that has a list there: it takes all or nothing. */
static bool is_listed(const struct yaml_node *node) {
    for (const struct kind *k = object_kinds; k->name; k++)
        if (k->list && !strcmp(k->name, text_at(node, "kind")))
            return true;
    return false;
}

static void node_add(const char *file, const struct yaml_node *node, json_t *array) {
    const struct yaml_node *items = yaml_get(node, "items");
    if (!strcmp(text_at(node, "kind"), "List") && items && items->kind == YAML_LIST) {
        for (size_t i = 0; i < items->count; i++)
            if (items->item[i]->kind == YAML_MAP)
                node_add(file, items->item[i], array);
        return;
    }
    if (is_listed(node))
        json_array_append_new(array, json_pack("{s:s s:i s:o}", "file", file, "line",
                                               (int)node->line, "object", yaml_json(node)));
}

static void source_add(const struct drop *drop, const struct source *source, json_t *array) {
    const struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct diags diags = DIAGS_INIT;
    struct yaml_docs docs = {0};
    if (drop->folder && compose_is(source->name))
        return;
    if (yaml_parse(source->path, source->text, source->length, &limits, &diags, &docs))
        for (size_t i = 0; i < docs.count; i++)
            if (docs.doc[i]->kind == YAML_MAP)
                node_add(source->path, docs.doc[i], array);
    yaml_docs_free(&docs);
    diags_fini(&diags);
}

json_t *view_source_objects(const struct drop *drop, const struct source *source) {
    json_t *array = json_array();
    source_add(drop, source, array);
    return array;
}

bool registry_is_good(const struct registry *registry, const char *tenant) {
    const struct entry *entry = entry_find(registry, tenant);
    return entry && entry->live && entry->good_is_model && !entry->error;
}

json_t *view_objects(const struct registry *registry, const char *tenant) {
    const struct entry *entry = entry_find(registry, tenant);
    struct good_drop good;
    json_t *array = json_array();
    if (!entry || !entry->live || !entry->good_is_model ||
        !good_drop_read(tenant, entry->good, &good))
        return array;
    for (size_t i = 0; i < good.drop.source_count; i++)
        source_add(&good.drop, &good.drop.source[i], array);
    good_drop_fini(&good);
    return array;
}
