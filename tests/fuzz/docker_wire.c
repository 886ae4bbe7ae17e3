/* SPDX-License-Identifier: GPL-3.0-or-later
 * docker_wire.c - whatever an engine says, and whatever a client of docker-proxy asks.
 * link: modules/docker/wire.c modules/docker/path.c modules/docker/shown.c modules/docker/conf.c
 *
 * Each input is given to every reader. Names are names, ids are ids, a path that is passed has nothing in it that an engine could
 * take for another.
 */
#include "core/control_host.h"
#include "modules/docker/path.h"
#include "modules/docker/shown.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

char *control_path(const char *as_written) {
    return strdup(as_written);
}

static void container_try(const json_t *json) {
    struct stash *stash = stash_new();
    struct container *c = calloc(1, sizeof *c);
    const char *network[NETWORKS_MOST];
    if (container_read(stash, json, c)) {
        assert(id_good(c->id) && c->network_count <= NETWORKS_MOST &&
               c->label_count <= LABELS_MOST);
        assert(!strpbrk(c->name, "/ \x1b") && !strpbrk(c->group, " \x1b"));
        for (size_t i = 0; i < c->label_count; i++)
            assert(!strncmp(c->label[i].key, "kr.ingress.", 11) &&
                   strlen(c->label[i].value) <= 8192);
    }
    assert(networks_named(json, network) <= NETWORKS_MOST);
    free(c);
    stash_free(stash);
}

static void rows_try(json_t *json) {
    static char socket_name[] = "/s", net[] = "n", tenant[] = "t";
    static struct conf_pair home = {net, tenant};
    static const struct docker_engine engine = {.socket = socket_name, .networks = {1, &home}};
    const struct shown shown = {&engine, "t", json, json, false, 2};
    size_t i;
    json_t *row;
    json_array_foreach(json, i, row) {
        struct listed listed;
        container_try(row);
        if (listed_read(row, &listed))
            assert(id_good(listed.id));
    }
    json_t *list = shown_list(&shown, json);
    assert(json_array_size(list) <= json_array_size(json));
    json_decref(list);
    if (json_is_object(json))
        shown_inspected(&shown, json);
}

static void path_try(const char *text) {
    struct asked_path *asked = calloc(1, sizeof *asked);
    if (path_read("GET", text, asked)) {
        size_t path = strcspn(asked->ask, "?");
        assert(!strcmp(asked->ask, text) && *asked->ask == '/');
        for (size_t i = 0; i < path; i++)
            assert(asked->ask[i] != '%' && (asked->ask[i] != '/' || asked->ask[i + 1] != '/'));
        assert(!strstr(asked->ask, "/../") || strstr(asked->ask, "/../") > asked->ask + path);
    }
    free(asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char id[ID_ROOM] = "", *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    if (event_read(text, size, id) == HAPPENED_CONTAINER)
        assert(id_good(id));
    json_t *json = json_bounded(text, size);
    container_try(json);
    rows_try(json);
    json_decref(json);
    path_try(text);
    free(text);
    return 0;
}
