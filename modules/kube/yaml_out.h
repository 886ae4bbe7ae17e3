/* SPDX-License-Identifier: GPL-3.0-or-later
 * yaml_out.h - an object as the YAML people write: apiVersion, kind, metadata, spec; quotes only where they are needed. Pure.
 *
 * It reads back as what it was, by core/yaml.h and by every YAML 1.1 and 1.2 reader: what one of them would take for a number, a
 * truth, a date or nothing is quoted.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { YAML_OUT_DEPTH = 64, YAML_NAME_MAX = 255 };

/* One document without `---`, ending with a line feed; malloc'd. NULL: nested deeper than YAML_OUT_DEPTH, a NUL within a text, or no
 * memory. */
char *yaml_out(const json_t *object, size_t *ret_length);

/* The name of the file an object lives in: `ingress.web.yaml`. False: kind or name can't be part of a file's name, or it would be
 * longer than YAML_NAME_MAX; never one with a slash or a dot in front, and never tenant.yaml or a compose file's. */
bool yaml_file_name(const char *kind, const char *name, char ret[YAML_NAME_MAX + 1]);
