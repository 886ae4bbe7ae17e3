/* SPDX-License-Identifier: GPL-3.0-or-later
 * yaml_json.h - a YAML tree as JSON: plain scalars as YAML 1.2's core schema has them, what was quoted is text. Pure.
 */
#pragma once
#include "core/yaml.h"
#include <jansson.h>

json_t *yaml_json(const struct yaml_node *); /* the caller's; NULL is null */
