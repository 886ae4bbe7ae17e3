/* SPDX-License-Identifier: GPL-3.0-or-later
 * compose.c - of a compose file only what makes routes: services' names, labels and static
 * addresses.
 *
 * Everything else is left alone, known or not: compose files are written for docker, and this edge
 * reads over its shoulder.
 * The merge key `<<` is followed, because compose files share labels that way.
 */
#include "tenants/network.h"
#include "tenants/objects.h"
#include <string.h>

bool compose_is(const char *name) {
    return word_listed("compose.yaml compose.yml docker-compose.yaml docker-compose.yml", name);
}

/* A map's own key, or that of a map it merges. Ends: trees are finite, an alias inside its own
 * anchor was refused. */
static const struct yaml_node *merged_get(const struct yaml_node *map, const char *key) {
    const struct yaml_node *own = yaml_get(map, key), *merge = yaml_get(map, "<<");
    if (own || !merge)
        return own && own->kind == YAML_NULL ? NULL : own;
    for (size_t i = 0; merge->kind == YAML_LIST && !own && i < merge->count; i++)
        own = merged_get(merge->item[i], key);
    return own ? own : merged_get(merge, key);
}

static bool label_known(const struct dict *labels, const char *key) {
    return dict_get(labels, key) != NULL;
}

static void label_add(struct reader *r, struct dict *labels, const struct yaml_node *at,
                      const char *key, const char *value) {
    struct spot spot = {at->line, at->column};
    if (label_known(
            labels,
            key)) /* the service's own labels come before those of deploy and of merged maps */
        return;
    labels->item = stash_room(r->stash, labels->item, labels->count, sizeof *labels->item);
    labels->item[labels->count++] = (struct word_pair){{key, spot}, {value, spot}};
}

enum { PREFIX_LENGTH = 11 }; /* of "kr.ingress.": other labels are not kept, there may be many */

static void labels_from_list(struct reader *r, const struct yaml_node *list, struct dict *labels) {
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *item = list->item[i];
        if (item->kind != YAML_SCALAR) {
            reader_error(r, ((struct spot){item->line, item->column}),
                         "labels: must be key=value texts");
            continue;
        }
        size_t length = strcspn(item->text, "=");
        if (strncmp(item->text, "kr.ingress.", PREFIX_LENGTH))
            continue;
        label_add(r, labels, item, stash_slice(r->stash, item->text, length),
                  item->text[length] ? reader_keep(r, item) + length + 1 : "");
    }
}

static void labels_from_map(struct reader *r, const struct yaml_node *map, struct dict *labels) {
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->pair[i].key, *value = map->pair[i].value;
        if (!strcmp(key->text, "<<") && value->kind == YAML_MAP)
            labels_from_map(r, value, labels);
        if (strncmp(key->text, "kr.ingress.", PREFIX_LENGTH))
            continue;
        if (value->kind == YAML_SCALAR || value->kind == YAML_NULL)
            label_add(r, labels, value, reader_keep(r, key), reader_keep(r, value));
        else
            reader_error(r, ((struct spot){value->line, value->column}), "%s: must be text",
                         key->text);
    }
}

static void labels_read(struct reader *r, const struct yaml_node *node, struct dict *labels) {
    if (!node)
        return;
    if (node->kind == YAML_LIST)
        labels_from_list(r, node, labels);
    else if (node->kind == YAML_MAP)
        labels_from_map(r, node, labels);
    else
        reader_error(r, ((struct spot){node->line, node->column}),
                     "labels: must be a mapping or a list of key=value");
}

static void address_read(struct reader *r, const struct yaml_node *network,
                         struct words *addresses) {
    static const char *const keys[] = {"ipv4_address", "ipv6_address"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct yaml_node *node = merged_get(network, keys[i]);
        union address parsed;
        if (!node)
            continue;
        struct spot at = {node->line, node->column};
        if (node->kind != YAML_SCALAR || !address_parse(node->text, 0, &parsed)) {
            reader_error(r, at, "%s: must be an IP address", keys[i]);
            continue;
        }
        addresses->item =
            stash_room(r->stash, addresses->item, addresses->count, sizeof *addresses->item);
        addresses->item[addresses->count++] = (struct word){reader_keep(r, node), at};
        return; /* one per network: its IPv6 address is the same container */
    }
}

static void service_read(struct reader *r, struct model *model, const struct yaml_node *key,
                         const struct yaml_node *value) {
    struct compose_service *service = stash_alloc(r->stash, sizeof *service);
    *service = (struct compose_service){
        .at = {key->line, key->column}, .file = r->file, .name = reader_keep(r, key)};
    if (value->kind != YAML_MAP && value->kind != YAML_NULL) {
        reader_error(r, service->at, "services.%s: must be a mapping", key->text);
        return;
    }
    if (!object_name_good(key->text) && !strchr(key->text, '_')) {
        reader_error(r, service->at, "services: `%s` cannot name a service", key->text);
        return;
    }
    labels_read(r, merged_get(value, "labels"), &service->labels);
    labels_read(r, merged_get(merged_get(value, "deploy"), "labels"), &service->labels);
    labels_check(r, &service->labels);
    const struct yaml_node *networks = merged_get(value, "networks");
    for (size_t i = 0; networks && networks->kind == YAML_MAP && i < networks->count; i++)
        address_read(r, networks->pair[i].value, &service->addresses);
    const char *index = stash_format(r->stash, "compose/%s", key->text);
    const struct compose_service *other = table_get(&model->index, index);
    if (other) {
        reader_error(r, service->at, "services.%s is here twice: first at %s:%u:%u", key->text,
                     other->file, other->at.line, other->at.column);
        return;
    }
    table_put(&model->index, index, service);
    model_list_add(r->stash, &model->compose, service);
}

void compose_read(struct reader *r, const struct yaml_node *node, struct model *model) {
    const struct yaml_node *services = yaml_get(node, "services");
    const struct yaml_node *blame = services ? services : node;
    struct spot at = {blame->line, blame->column};
    if (node->kind != YAML_MAP)
        reader_error(r, at, "a compose file must be a mapping with `services`");
    else if (services && services->kind != YAML_MAP && services->kind != YAML_NULL)
        reader_error(r, at, "services: must be a mapping");
    else if (!services)
        reader_warning(r, at, "a compose file without services");
    for (size_t i = 0; services && services->kind == YAML_MAP && i < services->count; i++)
        service_read(r, model, services->pair[i].key, services->pair[i].value);
}
