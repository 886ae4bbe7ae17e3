/* SPDX-License-Identifier: GPL-3.0-or-later
 * wire.c - see wire.h. Shapes of Docker 20 to 29 and of podman 4 and 5; tests/unit/docker has recorded ones.
 */
#include "modules/docker/wire.h"
#include "core/map.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char OURS[] = "kr.ingress.";
enum { LABEL_MOST = 8192, NAME_MOST = 255 };

/* ---- JSON ---- */

/* Each value costs some fifty bytes, however short it is written: "[0,0,0," would be twenty times its length. */
static bool is_modest(const char *text, size_t length) {
    size_t values = 0;
    for (size_t i = 0; i < length; i++)
        values += text[i] == ',' || text[i] == '[' || text[i] == '{';
    return values <= VALUES_MOST;
}

json_t *json_bounded(const char *text, size_t length) {
    return is_modest(text, length) ? json_loadb(text, length, 0, NULL) : NULL;
}

const char *json_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool id_good(const char *id) {
    size_t length = strspn(id, "0123456789abcdef");
    return !id[length] && length >= 12 && length < ID_ROOM;
}

/* ---- names ---- */

/* As engines allow it; anything else would be somebody's attempt at a terminal or a path. */
static bool name_good(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return length && length <= NAME_MOST;
}

static json_t *labels_of(const json_t *container) {
    json_t *inspected = json_object_get(json_object_get(container, "Config"), "Labels");
    return inspected ? inspected : json_object_get(container, "Labels");
}

static const char *name_of(struct stash *stash, const json_t *container) {
    const json_t *names = json_object_get(container, "Names");
    const char *name = json_string_value(json_array_get(names, 0)), *id;
    if (!name)
        name = json_text(container, "Name");
    name += *name == '/';
    if (name_good(name))
        return stash_text(stash, name);
    id = json_text(container, "Id");
    return stash_slice(stash, id, strlen(id) < 12 ? strlen(id) : 12);
}

/* "web" of project "shop" is not "web" of project "blog": no name has a slash. */
const char *container_group(struct stash *stash, const json_t *container) {
    const json_t *labels = labels_of(container);
    const char *stack = json_text(labels, "com.docker.swarm.service.name");
    const char *project = json_text(labels, "com.docker.compose.project");
    const char *service = json_text(labels, "com.docker.compose.service");
    if (name_good(stack))
        return stash_text(stash, stack);
    if (name_good(project) && name_good(service))
        return stash_format(stash, "%s/%s", project, service);
    return name_of(stash, container);
}

bool container_asks(const json_t *container, int port) {
    char key[40];
    snprintf(key, sizeof key, "%s%d", OURS, port);
    return json_object_get(labels_of(container), key);
}

static bool id_copy(const json_t *container, char out[ID_ROOM]) {
    const char *id = json_text(container, "Id");
    if (!id_good(id))
        return false;
    memcpy(out, id, strlen(id) + 1);
    return true;
}

/* ---- state ---- */

static bool state_runs(const char *status) {
    return !strcmp(status, "running") || !strcmp(status, "paused");
}

static const char *state_hinders(const char *status, const char *health) {
    if (!strcmp(status, "paused"))
        return "the container is paused";
    if (!strcmp(health, "starting"))
        return "its health check has not passed yet";
    return !strcmp(health, "unhealthy") ? "its health check fails" : NULL;
}

/* RFC 3339, in whatever zone; 0: it is none, or the year 1 that stands for never. */
static int64_t time_of(const char *text) {
    struct tm tm = {0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (at && *at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    if (!at || !strptime(at, "%z", &tm))
        return 0;
    long offset = tm.tm_gmtoff;
    int64_t when = timegm(&tm) - offset;
    return when > 0 ? when : 0;
}

/* ---- networks ---- */

static const json_t *networks_of(const json_t *container) {
    return json_object_get(json_object_get(container, "NetworkSettings"), "Networks");
}

static const char *mode_of(const json_t *container) {
    return json_text(json_object_get(container, "HostConfig"), "NetworkMode");
}

static void networks_take(struct stash *stash, const json_t *networks, struct container *c) {
    const char *name;
    json_t *network;
    json_object_foreach((json_t *)(uintptr_t)networks, name, network) {
        if (c->network_count == NETWORKS_MOST || !strcmp(name, "host"))
            continue;
        c->network[c->network_count++] = (struct container_network){
            .name = stash_text(stash, name),
            .address = {stash_text(stash, json_text(network, "IPAddress")),
                        stash_text(stash, json_text(network, "GlobalIPv6Address"))}};
    }
}

size_t networks_named(const json_t *container, const char *ret[NETWORKS_MOST]) {
    const char *name;
    json_t *network;
    size_t count = 0;
    if (!strcmp(mode_of(container), "host"))
        ret[count++] = "host"; /* podman has no network of that name there, Docker has */
    json_object_foreach((json_t *)(uintptr_t)networks_of(container), name, network) {
        if (count < NETWORKS_MOST && strcmp(name, "host") != 0)
            ret[count++] = name;
    }
    return count;
}

/* ---- labels ---- */

static void labels_take(struct stash *stash, const json_t *labels, struct container *c) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)labels, key, value) {
        const char *text = json_string_value(value);
        if (c->label_count == LABELS_MOST || strncmp(key, OURS, sizeof OURS - 1) != 0)
            continue;
        /* an absent or endless value is a mistake worth its event: "" is one */
        bool fits = text && strlen(text) <= LABEL_MOST && strlen(key) <= NAME_MOST;
        c->label[c->label_count++] = (struct container_label){
            stash_slice(stash, key, strnlen(key, NAME_MOST)), stash_text(stash, fits ? text : "")};
    }
}

static bool has_ours(const json_t *labels) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)labels, key, value) {
        if (!strncmp(key, OURS, sizeof OURS - 1))
            return true;
    }
    return false;
}

/* ---- services ---- */

/* It becomes part of a path. */
static bool service_id_good(const char *id) {
    size_t length = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");
    return length && !id[length] && length < ID_ROOM;
}

const char *container_service(const json_t *container) {
    const char *id = json_text(labels_of(container), "com.docker.swarm.service.id");
    return service_id_good(id) ? id : "";
}

static json_t *ours_of(const json_t *labels) {
    json_t *ours = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)labels, key, value) {
        if (!strncmp(key, OURS, sizeof OURS - 1))
            json_object_set(ours, key, value);
    }
    return ours;
}

void service_read(const json_t *service, json_t *services) {
    const char *id = json_text(service, "ID");
    const json_t *labels = json_object_get(json_object_get(service, "Spec"), "Labels");
    if (service_id_good(id))
        json_object_set_new(services, id, ours_of(labels));
}

void service_labels_add(json_t *container, const json_t *services) {
    json_t *labels = labels_of(container);
    json_object_update_missing(labels, json_object_get(services, container_service(container)));
}

/* ---- whole answers ---- */

bool container_read(struct stash *stash, const json_t *inspected, struct container *ret) {
    static const char sharing[] = "container:";
    const json_t *state = json_object_get(inspected, "State");
    const char *status = json_text(state, "Status"), *mode = mode_of(inspected);
    memset(ret, 0, sizeof *ret);
    if (!json_is_object(state) || !id_copy(inspected, ret->id))
        return false;
    ret->runs = state_runs(status);
    ret->not_ready = state_hinders(status, json_text(json_object_get(state, "Health"), "Status"));
    ret->created = time_of(json_text(inspected, "Created"));
    ret->started = time_of(json_text(state, "StartedAt"));
    ret->restarts = json_integer_value(json_object_get(inspected, "RestartCount"));
    const char *image = json_text(json_object_get(inspected, "Config"), "Image");
    ret->image = stash_slice(stash, image, strnlen(image, NAME_MOST));
    ret->name = name_of(stash, inspected);
    ret->group = container_group(stash, inspected);
    ret->host = !strcmp(mode, "host");
    if (!strncmp(mode, sharing, sizeof sharing - 1) && name_good(mode + sizeof sharing - 1))
        ret->shares = stash_text(stash, mode + sizeof sharing - 1);
    networks_take(stash, networks_of(inspected), ret);
    labels_take(stash, labels_of(inspected), ret);
    return true;
}

/* Of "Up 5 minutes (healthy)" the words that change with time are not news. */
static const char *health_words(const char *status) {
    const char *open = strchr(status, '(');
    return open ? open : "";
}

bool listed_read(const json_t *row, struct listed *ret) {
    if (!id_copy(row, ret->id))
        return false;
    ret->labelled = has_ours(labels_of(row));
    json_t *ours = ours_of(labels_of(row));
    char *networks = networks_of(row) ? json_dumps(networks_of(row), JSON_COMPACT) : NULL;
    char *labels = json_dumps(ours, JSON_COMPACT | JSON_SORT_KEYS); /* a service's may change */
    const char *words[] = {json_text(row, "State"), health_words(json_text(row, "Status")),
                           networks ? networks : "", labels ? labels : "",
                           json_string_value(json_array_get(json_object_get(row, "Names"), 0))};
    ret->digest = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t parts[2] = {ret->digest, words[i] ? hash_bytes(words[i], strlen(words[i])) : 0};
        ret->digest = hash_bytes(parts, sizeof parts);
    }
    free(networks);
    free(labels);
    json_decref(ours);
    return true;
}

/* ---- events ---- */

/* Those of podman among them; what it calls `died` it tells as `die`. "health_status: healthy" begins so. */
static bool action_matters(const char *action) {
    static const char *const actions[] = {"start",   "die",     "died",   "stop",    "kill",
                                          "pause",   "unpause", "rename", "destroy", "remove",
                                          "restart", "oom",     "update", "connect", "disconnect"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (!strcmp(action, actions[i]))
            return true;
    return !strncmp(action, "health_status", 13);
}

/* Of a network's event Docker names the container beside it, podman in its place. */
const char *event_container(const json_t *event) {
    const json_t *actor = json_object_get(event, "Actor");
    const char *type = json_text(event, "Type"), *id = json_text(actor, "ID");
    if (!strcmp(type, "container"))
        return id;
    if (strcmp(type, "network") != 0)
        return "";
    const char *beside = json_text(json_object_get(actor, "Attributes"), "container");
    return *beside ? beside : id;
}

enum happened event_read(const char *line, size_t length, char id[ID_ROOM]) {
    json_t *event = json_bounded(line, length);
    const char *which = event_container(event);
    enum happened happened = json_is_object(event) ? HAPPENED_NOTHING : HAPPENED_GARBAGE;
    if (id_good(which) && action_matters(json_text(event, "Action"))) {
        memcpy(id, which, strlen(which) + 1);
        happened = HAPPENED_CONTAINER;
    }
    if (!strcmp(json_text(event, "Type"), "service"))
        happened = HAPPENED_SERVICE;
    json_decref(event);
    return happened;
}
