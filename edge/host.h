/* SPDX-License-Identifier: GPL-3.0-or-later
 * host.h - the edge's side of core/control_host.h: modules' work on the control thread.
 */
#pragma once
#include "core/control_host.h"
#include "edge/edge.h"

/* Before modules_up: whose neighbours are relative paths in a module's section. Kept, not copied. */
void host_conf_path(const char *path);
/* Modules' control_up, then every tenant that is served. False: *err. host_down in any case afterwards. */
bool host_up(struct edge *, struct err *);
void host_down(struct edge *);
/* Adds the modules' rows of `get KIND`. */
void host_view(const char *kind, const char *tenant, json_t *rows);
void host_metrics(FILE *);

/* ---- object_write.c ---- */
enum control_put object_write(struct edge *, const struct control_object *, char **ret_told);
