/* SPDX-License-Identifier: GPL-3.0-or-later
 * containers.h - containers that a module like `docker` tells of, as Pods. Pure.
 */
#pragma once
#include "modules/kube/parts.h"

/* A Pod for each that no file has a Pod of the same name for. */
void containers_add(struct making *);
/* Containers and labels made it, so that it changes with these and not otherwise. */
bool is_of_labels(const json_t *object);
