/* SPDX-License-Identifier: GPL-3.0-or-later
 * shown.c - see shown.h.
 *
 *   docker ps:  DOMAIN:28791->3306/tcp     DOMAIN is the tenant's, where clients connect to
 */
#include "modules/docker/shown.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AGENT_OF_ADDRESSES = 29 };

/* ---- whose ---- */

/* NULL: nobody's, or more than one's. */
static const char *owner_of(const struct docker_engine *engine, const json_t *container) {
    const char *network[NETWORKS_MOST], *owner = engine->tenant;
    size_t count = engine->tenant ? 0 : networks_named(container, network);
    for (size_t i = 0; i < count; i++) {
        const char *tenant = engine_network_tenant(engine, network[i]);
        if (tenant && owner && strcmp(owner, tenant) != 0)
            return NULL;
        owner = tenant ? tenant : owner;
    }
    return owner;
}

bool shown_is(const struct shown *s, const json_t *container) {
    const char *owner = s->tenant ? owner_of(s->engine, container) : NULL;
    return !s->tenant || (owner && !strcmp(owner, s->tenant));
}

/* ---- public ports ---- */

static const char *domain_of(const struct shown *s, const char *tenant) {
    size_t i;
    json_t *row;
    json_array_foreach((json_t *)(uintptr_t)s->tenants, i, row) {
        if (!s->by_address && !strcmp(json_text(row, "tenant"), tenant) &&
            *json_text(row, "domain"))
            return json_text(row, "domain");
    }
    return "0.0.0.0";
}

bool shown_by_address(const char *agent) {
    static const char docker[] = "Docker-Client/", library[] = "moby-client/";
    if (!strncmp(agent, docker, sizeof docker - 1))
        return atoi(agent + sizeof docker - 1) >= AGENT_OF_ADDRESSES;
    return !strncmp(agent, library, sizeof library - 1);
}

bool shown_plain(const char *agent) {
    static const char module[] = "ringress/";
    return !strncmp(agent, module, sizeof module - 1);
}

/* Calls for each raw port that was given to this container's service and that the container itself asks for. */
static void ports_each(const struct shown *s, const json_t *container,
                       void (*take)(void *user, const char *host, int inside, int outside),
                       void *user) {
    struct stash *stash = stash_new();
    const char *owner = owner_of(s->engine, container), *group = container_group(stash, container);
    size_t i;
    json_t *row;
    json_array_foreach((json_t *)(uintptr_t)s->ports, i, row) {
        int inside = (int)json_integer_value(json_object_get(row, "containerPort"));
        int outside = (int)json_integer_value(json_object_get(row, "publicPort"));
        if (owner && outside && !strcmp(json_text(row, "tenant"), owner) &&
            !strcmp(json_text(row, "service"), group) && container_asks(container, inside))
            take(user, domain_of(s, owner), inside, outside);
    }
    stash_free(stash);
}

/* One that is exposed but not published is said to be there by number alone; now there is more to say of it. */
static void exposed_remove(json_t *list, int inside) {
    for (size_t i = 0; i < json_array_size(list);) {
        const json_t *port = json_array_get(list, i);
        if (json_integer_value(json_object_get(port, "PrivatePort")) == inside &&
            !json_integer_value(json_object_get(port, "PublicPort")) &&
            !strcmp(json_text(port, "Type"), "tcp"))
            json_array_remove(list, i);
        else
            i++;
    }
}

static void row_port_add(void *user, const char *host, int inside, int outside) {
    json_t *row = user, *list = json_object_get(row, "Ports");
    if (!json_is_array(list)) {
        json_object_set_new(row, "Ports", json_array());
        list = json_object_get(row, "Ports");
    }
    exposed_remove(list, inside);
    json_array_append_new(list, json_pack("{s:s s:i s:i s:s}", "IP", host, "PrivatePort", inside,
                                          "PublicPort", outside, "Type", "tcp"));
}

/* Of equals the later one: engines list the newest first. */
static size_t oldest_of(const json_t *list) {
    size_t oldest = 0;
    for (size_t i = 1; i < json_array_size(list); i++)
        if (json_integer_value(json_object_get(json_array_get(list, i), "Created")) <=
            json_integer_value(json_object_get(json_array_get(list, oldest), "Created")))
            oldest = i;
    return oldest;
}

json_t *shown_list(const struct shown *s, const json_t *rows) {
    json_t *list = json_is_array(rows) ? json_array() : NULL, *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        if (!list || !json_is_object(row) || !shown_is(s, row))
            continue;
        ports_each(s, row, row_port_add, row);
        json_array_append(list, row);
    }
    while (s->most && json_array_size(list) > s->most)
        json_array_remove(list, oldest_of(list));
    return list;
}

static void inspected_port_add(void *user, const char *host, int inside, int outside) {
    json_t *settings = json_object_get(user, "NetworkSettings");
    json_t *ports = json_object_get(settings, "Ports");
    char key[24], number[12];
    snprintf(key, sizeof key, "%d/tcp", inside);
    snprintf(number, sizeof number, "%d", outside);
    if (!json_is_object(ports)) {
        json_object_set_new(settings, "Ports", json_object());
        ports = json_object_get(settings, "Ports");
    }
    json_t *list = json_object_get(ports, key);
    if (!json_is_array(list)) {
        json_object_set_new(ports, key, json_array());
        list = json_object_get(ports, key);
    }
    json_array_append_new(list, json_pack("{s:s s:s}", "HostIp", host, "HostPort", number));
}

void shown_inspected(const struct shown *s, json_t *inspected) {
    if (json_is_object(json_object_get(inspected, "NetworkSettings")))
        ports_each(s, inspected, inspected_port_add, inspected);
}
