/* SPDX-License-Identifier: GPL-3.0-or-later
 * view_containers.c - what feeds tell of a tenant as JSON: containers that run, whoever knows of them. Read-only.
 */
#include "tenants/inside.h"
#include "tenants/time_json.h"
#include <string.h>

static json_t *labels_json(const struct dict *labels) {
    json_t *object = json_object();
    for (size_t i = 0; i < labels->count; i++)
        json_object_set_new(object, labels->item[i].key.text,
                            json_string(labels->item[i].value.text));
    return object;
}

static json_t *addresses_json(const struct fed_workload *fed) {
    json_t *array = json_array();
    for (size_t i = 0; i < fed->address_count; i++)
        json_array_append_new(array, json_string(fed->address[i]));
    return array;
}

/* Of a feed's name only the module: which socket it is at is the operator's business. What an engine says may be no UTF-8. */
static void container_view(void *array, const struct fed_workload *fed) {
    json_t *row =
        json_pack("{s:s% s:s s:s? s:o s:o s:s? s:s? s:o s:o s:I}", "feed", fed->feed,
                  strcspn(fed->feed, ":"), "name", fed->name, "notReady", fed->not_ready, "labels",
                  labels_json(&fed->labels), "addresses", addresses_json(fed), "id", fed->id,
                  "image", fed->image, "created", time_json(fed->created), "started",
                  time_json(fed->started), "restarts", (json_int_t)fed->restarts);
    if (row)
        json_array_append_new(array, row);
}

json_t *view_containers(const struct registry *registry, const char *tenant) {
    const struct entry *entry = entry_find(registry, tenant);
    json_t *array = json_array();
    if (entry && entry->compiled)
        feeds_each(registry, tenant, container_view, array);
    return array;
}
