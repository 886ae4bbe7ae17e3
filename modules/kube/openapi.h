/* SPDX-License-Identifier: GPL-3.0-or-later
 * openapi.h - what objects are made of, for `kubectl explain` and for clients that ask whether fields are judged here. Pure.
 */
#pragma once
#include "modules/kube/target.h"
#include <jansson.h>

/* The document of TARGET_OPENAPI_V3 (the list of documents) or _V3_GROUP; NULL: there is none. */
json_t *openapi_of(const struct target *);
/* That of TARGET_OPENAPI_V2, as protobuf or as JSON: malloc'd. */
#define OPENAPI_V2_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
char *openapi_v2(bool as_json, size_t *ret_length);
