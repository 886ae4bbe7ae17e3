/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_patch.c - any two JSON texts, one a line, as object and patch: each of the patches makes something within its bounds or
 * says why not, and leaves the object as it was.
 * link: modules/kube/patch_json.c modules/kube/patch_merge.c modules/kube/shape.c modules/kube/fault.c
 */
#include "modules/kube/patch.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void result_hold(bool good, json_t *result, struct fault *fault) {
    if (good ? !result || fault->message : result || !fault->message || !fault->code)
        abort();
    json_decref(result);
    fault_fini(fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line = memchr(data, '\n', size);
    size_t first = line ? (size_t)(line - data) : size;
    json_t *object = json_loadb((const char *)data, first, 0, NULL);
    json_t *patch = line ? json_loadb((const char *)line + 1, size - first - 1, 0, NULL) : NULL;
    if (json_is_object(object) && patch) {
        json_t *before = json_deep_copy(object);
        for (const struct shape_kind *k = shape_kinds; k->kind; k++) {
            struct fault fault = {0};
            json_t *result = NULL;
            bool good = patch_strategic(object, patch, k->shape, &fault, &result);
            result_hold(good, result, &fault);
        }
        struct fault fault = {0};
        json_t *result = NULL;
        bool good = patch_json(object, patch, &fault, &result);
        result_hold(good, result, &fault);
        result = NULL;
        good = patch_merge(object, patch, &fault, &result);
        result_hold(good, result, &fault);
        if (!json_equal(before, object))
            abort();
        json_decref(before);
    }
    json_decref(object);
    json_decref(patch);
    return 0;
}
