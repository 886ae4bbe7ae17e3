/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_yaml_out.c - any JSON object as YAML: it reads back as what it was.
 * link: modules/kube/yaml_out.c
 */
#include "modules/kube/yaml_out.h"
#include "tests/unit/kube_yaml.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *object = json_loadb((const char *)data, size, 0, NULL);
    size_t length;
    char *yaml = json_is_object(object) ? yaml_out(object, &length) : NULL;
    if (yaml) {
        json_t *again = yaml_value(yaml, length);
        if (!again || !json_equal(object, again))
            abort();
        json_decref(again);
        free(yaml);
    }
    json_decref(object);
    return 0;
}
