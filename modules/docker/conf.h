/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.h - section `docker` of edge.yaml: a list of engines, and whose their containers are.
 */
#pragma once
#include "core/conf.h"

enum { ENGINES_MOST = 32 };

struct docker_engine {
    char *socket;              /* of a Docker API; ready to open after docker_conf_check */
    char *tenant;              /* whose all its containers are; NULL: */
    struct conf_list networks; /* struct conf_pair: a network, and the tenant whose it is */
    int64_t keep_ms;
};

extern const struct conf_field docker_fields[];
bool docker_conf_check(const void *conf, struct err *);

/* The i-th tenant that containers of this engine may belong to, each once; NULL: there are no more. */
const char *engine_tenant(const struct docker_engine *, size_t i);
/* Whose this network is; NULL: nobody's. Where one tenant has the engine: his. */
const char *engine_network_tenant(const struct docker_engine *, const char *network);
