/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_target.c - request targets of the Kubernetes API, and the selectors in them: no text breaks them, and none names more than it says.
 * link: modules/kube/target.c modules/kube/selector.c modules/kube/kinds.c modules/kube/words.c
 */
#include "modules/kube/selector.h"
#include "modules/kube/target.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void segment_judge(const struct target *t, const char *segment) {
    if (*segment && (segment < t->text || segment >= t->text + sizeof t->text))
        abort();
    if (!strcmp(segment, ".") || !strcmp(segment, ".."))
        abort();
    for (; *segment; segment++)
        if ((unsigned char)*segment < 0x20)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct target t;
    struct err err;
    if (!target_parse((const char *)data, size, &t))
        return 0;
    const char *segment[] = {t.group, t.version, t.namespace, t.resource, t.name, t.subresource};
    for (size_t i = 0; i < sizeof segment / sizeof *segment; i++)
        segment_judge(&t, segment[i]);
    if (t.what != TARGET_RESOURCE && (*t.resource || *t.name) && t.what != TARGET_UNKNOWN)
        abort();
    json_t *object =
        json_pack("{s:{s:s s:{s:s}}}", "metadata", "name", "web", "labels", "app", "web");
    for (const struct kube_kind *k = kube_kinds; k->kind; k++)
        fields_match(target_query(&t, "fieldSelector"), k, object, &err);
    labels_match(target_query(&t, "labelSelector"), object, &err);
    json_decref(object);
    return 0;
}
