/* SPDX-License-Identifier: GPL-3.0-or-later
 * workloads.c - pods, compose services and what feeds tell of as one thing: something with labels and an address.
 *
 * The pods of one set (a ReplicaSet, a StatefulSet) are one group: what owns them names it, else
 * generateName, else the pod
 * is a group of its own.
 */
#include "tenants/work.h"
#include <string.h>

static const char *pod_group(struct stash *stash, const struct pod_object *pod) {
    const struct metadata *meta = pod->head.metadata;
    if (meta->owners.count)
        return ((struct owner_ref *)meta->owners.item)[0].name.text;
    const char *base = meta->generate_name.text;
    size_t length = base ? strlen(base) : 0;
    return length > 1 ? stash_slice(stash, base, length - (base[length - 1] == '-'))
                      : pod->head.name;
}

static struct workload workload_of_pod(struct stash *stash, const struct pod_object *pod) {
    return (struct workload){
        .object = stash_format(stash, "Pod/%s", pod->head.name),
        .group = stash_text(stash, pod_group(stash, pod)),
        .file = pod->head.file,
        .at = pod->head.at,
        .labels = &pod->head.metadata->labels,
        .annotations = &pod->head.metadata->annotations,
        .pod = pod,
    };
}

static struct workload workload_of_compose(struct stash *stash,
                                           const struct compose_service *service) {
    static const struct dict none;
    return (struct workload){
        .object = stash_format(stash, "compose/%s", service->name),
        .group = stash_text(stash, service->name),
        .file = service->file,
        .at = service->at,
        .labels = &service->labels,
        .annotations = &none,
        .compose = service,
    };
}

static bool has_labels(const struct dict *dict) {
    for (size_t i = 0; i < dict->count; i++)
        if (label_is_ours(dict->item[i].key.text))
            return true;
    return false;
}

struct fed_list {
    struct stash *stash;
    struct workload *item;
    size_t count;
};

static void fed_count(void *user, const struct fed_workload *fed) {
    (void)fed;
    ++*(size_t *)user;
}

static void fed_take(void *user, const struct fed_workload *fed) {
    static const struct dict none;
    struct fed_list *list = user;
    if (has_labels(&fed->labels))
        list->item[list->count++] =
            (struct workload){.object = stash_text(list->stash, fed->object),
                              .group = stash_text(list->stash, fed->group),
                              .file = "",
                              .labels = &fed->labels,
                              .annotations = &none,
                              .fed = fed};
}

size_t workloads_list(struct stash *stash, const struct registry *registry,
                      const struct entry *entry, struct workload **ret) {
    const struct model *model = entry->model;
    size_t fed = 0, count = 0;
    feeds_each(registry, entry->name, fed_count, &fed);
    struct workload *list =
        stash_array(stash, model->pods.count + model->compose.count + fed + 1, sizeof *list);
    for (size_t i = 0; i < model->pods.count; i++) {
        const struct pod_object *pod = model->pods.item[i];
        if (has_labels(&pod->head.metadata->labels) || has_labels(&pod->head.metadata->annotations))
            list[count++] = workload_of_pod(stash, pod);
    }
    for (size_t i = 0; i < model->compose.count; i++) {
        const struct compose_service *service = model->compose.item[i];
        if (has_labels(&service->labels))
            list[count++] = workload_of_compose(stash, service);
    }
    struct fed_list all = {stash, list, count};
    feeds_each(registry, entry->name, fed_take, &all);
    *ret = list;
    return all.count;
}
