/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.h - section `kube` of edge.yaml.
 */
#pragma once
#include "core/conf.h"

struct kube_conf {
    struct conf_list listen; /* char * */
    char *server;            /* NULL: the first of `listen` */
    struct conf_list names;  /* char *: more names of the self-made certificate */
    char *cert_file, *key_file, *ca_file;
    int64_t token_ttl_ms, connections, tenant_connections, requests_per_second, body_size;
};
extern const struct conf_field kube_fields[];
bool kube_conf_check(const void *conf, struct err *);
