/* SPDX-License-Identifier: GPL-3.0-or-later
 * proto.h - a body of type application/vnd.kubernetes.protobuf as the JSON object it would have been. Pure.
 *
 *   k8s\0 | runtime.Unknown {apiVersion, kind, raw}  ->  the kind's message (kube.proto)  ->  JSON
 */
#pragma once
#include "modules/kube/fault.h"
#include <stdint.h>

enum {
    PROTO_BODY_MAX = 3 << 20,    /* upstream's limit of a body */
    PROTO_MEMORY_MAX = 16 << 20, /* that a message may take while it is taken apart */
    PROTO_NODES_MAX = 200000,
};

/* False: *fault, 400 (or 413). Zeros and empty texts are absent, as JSON omits them. */
bool proto_decode(const uint8_t *body, size_t length, struct fault *, json_t **ret);
