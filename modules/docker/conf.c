/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.c - see conf.h. Whose a container is says the operator here, by engine or by network; never the container.
 */
#include "modules/docker/conf.h"
#include "core/control_host.h"
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define AT(member) offsetof(struct docker_engine, member)

const struct conf_field docker_fields[] = {
    {.name = "socket",
     .type = CONF_STRING,
     .offset = AT(socket),
     .required = true,
     .doc =
         "Unix socket of a Docker API: an engine's, podman's, or one of `ringress docker-proxy`"},
    {.name = "tenant",
     .type = CONF_STRING,
     .offset = AT(tenant),
     .doc = "whose all containers of that engine are; or:"},
    {.name = "networks",
     .type = CONF_PAIRS,
     .offset = AT(networks),
     .doc = "`NETWORK: TENANT`: a container is the tenant's whose network it is on; `host` is the "
            "network of `docker run --network host`"},
    {.name = "keep",
     .type = CONF_DURATION,
     .offset = AT(keep_ms),
     .max = 30ll * 86400000,
     .fallback = "10m",
     .doc = "how long containers are taken to run on when the engine does not answer any more; "
            "then their routes answer 503"},
    CONF_END,
};

static bool is_first(const struct docker_engine *e, size_t i) {
    const struct conf_pair *pair = e->networks.item;
    for (size_t k = 0; k < i; k++)
        if (!strcmp(pair[k].value, pair[i].value))
            return false;
    return true;
}

const char *engine_tenant(const struct docker_engine *e, size_t i) {
    const struct conf_pair *pair = e->networks.item;
    if (e->tenant)
        return i ? NULL : e->tenant;
    for (size_t k = 0; k < e->networks.count; k++)
        if (is_first(e, k) && !i--)
            return pair[k].value;
    return NULL;
}

const char *engine_network_tenant(const struct docker_engine *e, const char *network) {
    const struct conf_pair *pair = e->networks.item;
    for (size_t k = 0; !e->tenant && k < e->networks.count; k++)
        if (!strcmp(pair[k].key, network))
            return pair[k].value;
    return e->tenant;
}

/* ---- judging ---- */

static bool socket_judge(struct docker_engine *e, struct err *err) {
    char *whole = control_path(e->socket);
    if (!whole)
        return err_set(err, "out of memory");
    free(e->socket);
    e->socket = whole;
    if (strpbrk(whole, "\"\\\n")) /* it stands in metrics */
        return err_set(err, "docker.socket: no quotes, backslashes or newlines, please");
    return strlen(whole) < sizeof((struct sockaddr_un *)0)->sun_path ||
           err_set(err, "docker.socket: %s is longer than a socket's path may be", whole);
}

static bool engine_judge(struct docker_engine *e, struct err *err) {
    if (!socket_judge(e, err))
        return false;
    if (!e->tenant != !e->networks.count)
        return true;
    return err_set(err, "docker: %s needs either `tenant` or `networks`", e->socket);
}

bool docker_conf_check(const void *conf, struct err *err) {
    const struct conf_list *list = conf;
    struct docker_engine *engine = list->item;
    if (list->count > ENGINES_MOST)
        return err_set(err, "docker: %d engines at most", ENGINES_MOST);
    for (size_t i = 0; i < list->count; i++) {
        if (!engine_judge(&engine[i], err))
            return false;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(engine[k].socket, engine[i].socket))
                return err_set(err, "docker: %s is there twice", engine[i].socket);
    }
    return true;
}
