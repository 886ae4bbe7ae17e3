/* SPDX-License-Identifier: GPL-3.0-or-later
 * network.c - a tenant's private network as this machine has it now: the namespace and the device that its pods are reached
 * through. Neither is the edge's to make; while one is missing, only that tenant's pods are out of reach, and this says why.
 */
#include "edge/edge.h"
#include <linux/capability.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool may_enter_namespaces(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    return !syscall(SYS_capget, &head, sets) && sets[0].effective & 1u << CAP_SYS_ADMIN;
}

static bool namespace_is_there(const char *name, char why[NETWORK_WHY_MAX]) {
    char path[NETWORK_WHY_MAX];
    snprintf(path, sizeof path, "/run/netns/%s", name);
    if (access(path, F_OK))
        snprintf(why, NETWORK_WHY_MAX,
                 "network namespace `%.100s` is not there: no pod can be reached until "
                 "`ip netns add %.100s` or what else makes it has run",
                 name, name);
    else if (!may_enter_namespaces())
        snprintf(why, NETWORK_WHY_MAX,
                 "network namespace `%.100s` can't be entered: no pod can be reached; that takes "
                 "CAP_SYS_ADMIN, which this process gave up or never had",
                 name);
    else
        return true;
    return false;
}

/* A device inside a namespace is not looked for: this thread does not go there. */
bool network_is_there(const struct network *n, char why[NETWORK_WHY_MAX]) {
    if (n->netns)
        return namespace_is_there(n->netns, why);
    if (!n->device || if_nametoindex(n->device))
        return true;
    snprintf(why, NETWORK_WHY_MAX,
             "network device `%.50s` is not there: no pod can be reached until it is", n->device);
    return false;
}

void network_events_add(json_t *rows, json_t *tenants) {
    char why[NETWORK_WHY_MAX];
    json_t *row;
    size_t i;
    json_array_foreach(tenants, i, row) {
        const char *name = json_string_value(json_object_get(row, "tenant"));
        const struct version *v = name ? published(name) : NULL;
        if (v && !network_is_there(&v->tenant->network, why))
            json_array_append_new(rows,
                                  json_pack("{s:s s:s s:o s:s s:s s:n}", "tenant", name, "type",
                                            "Warning", "object", json_sprintf("Tenant %s", name),
                                            "reason", "NetworkMissing", "message", why, "since"));
    }
}
