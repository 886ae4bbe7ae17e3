/* SPDX-License-Identifier: GPL-3.0-or-later
 * openapi_v2.h - paths and schemas of version 3 as the document of version 2 that kubectl before 1.27 validates by, in protobuf and as JSON. Pure.
 */
#pragma once
#include <jansson.h>

/* malloc'd; NULL: no memory. */
char *openapi_v2_encode(json_t *paths, json_t *schemas, size_t *ret_length);
/* For who asks for JSON: new. */
json_t *openapi_v2_json(const json_t *paths, const json_t *schemas);
