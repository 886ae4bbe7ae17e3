/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_validate.c - any JSON as an object of any kind: strict decoding, validation and server-side apply judge it, and none falls.
 * link: modules/kube/validate.c modules/kube/words.c modules/kube/strict.c modules/kube/fault.c modules/kube/apply.c
 * link: modules/kube/fieldset.c modules/kube/shape.c modules/kube/patch_json.c
 */
#include "modules/kube/apply.h"
#include "modules/kube/strict.h"
#include "modules/kube/validate.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void kind_judge(const json_t *any, const struct shape_kind *k) {
    static const struct author author = {"fuzz", "v1", "2026-01-01T00:00:00Z"};
    struct fault fault = {0};
    json_t *warnings = json_array(), *applied = NULL, *again = NULL, *object = json_deep_copy(any);
    json_object_set_new(object, "kind", json_string(k->kind));
    json_t *whole = json_deep_copy(object);
    if (!object_strict(whole, NULL, k->shape, STRICT_ERROR, warnings, &fault) && !fault.message)
        abort();
    json_decref(whole);
    if (object_strict(object, NULL, k->shape, STRICT_WARN, warnings, &fault) &&
        object_validate(object, object, &fault) && fault_causes(&fault))
        abort();
    if (apply_server_side(NULL, object, k->shape, &author, false, &fault, &applied) &&
        json_object_del(json_object_get(object, "metadata"), "managedFields") != 1 &&
        apply_server_side(applied, object, k->shape, &author, false, &fault, &again) &&
        !json_equal(applied, again))
        abort(); /* the same again changes nothing */
    json_t *tracked = json_deep_copy(object);
    apply_track(applied, tracked, k->shape, &author);
    json_decref(tracked);
    json_decref(object);
    json_decref(applied);
    json_decref(again);
    json_decref(warnings);
    fault_fini(&fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault fault = {0};
    json_t *object = NULL, *warnings = json_array();
    if (body_parse((const char *)data, size, STRICT_WARN, warnings, &fault, &object) &&
        json_is_object(object))
        for (const struct shape_kind *k = shape_kinds; k->kind; k++)
            kind_judge(object, k);
    json_decref(object);
    json_decref(warnings);
    fault_fini(&fault);
    return 0;
}
