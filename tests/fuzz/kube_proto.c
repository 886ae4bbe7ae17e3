/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_proto.c - any bytes as a protobuf body: an object with its apiVersion and kind, or a reason why not.
 * link: modules/kube/proto.c modules/kube/fault.c kube_proto
 */
#include "modules/kube/proto.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault fault = {0};
    json_t *object = NULL;
    bool good = proto_decode(data, size, &fault, &object);
    if (good ? !json_is_string(json_object_get(object, "kind")) : object || !fault.message)
        abort();
    json_decref(object);
    fault_fini(&fault);
    return 0;
}
