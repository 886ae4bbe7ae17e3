/* SPDX-License-Identifier: GPL-3.0-or-later
 * wire.h - what an engine answers, read from JSON into structs. Pure. An engine's answer is input like any other: how much of it is
 * read is bounded, wrong types are as good as absent.
 */
#pragma once
#include "core/diag.h"
#include "core/stash.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ID_ROOM = 65,          /* 64 hexadecimal digits */
    VALUES_MOST = 1 << 20, /* in one answer */
    CONTAINERS_MOST = 4096,
    NETWORKS_MOST = 16,
    LABELS_MOST = 64,
};

/* NULL: it is no JSON, or would take more memory than its length lets expect. */
json_t *json_bounded(const char *text, size_t length);
const char *json_text(const json_t *object, const char *key); /* "" where there is none */
/* A container's id: 12 to 64 hexadecimal digits. It becomes part of a path. */
bool id_good(const char *id);

/* ---- one container, from the list or from inspect ---- */

struct container_network {
    const char *name;
    const char *address[2]; /* IPv4, IPv6; "": it has none */
};
struct container_label {
    const char *key, *value;
};
struct container {
    char id[ID_ROOM];
    bool runs;                          /* paused and restarting ones do not end */
    const char *not_ready;              /* why; NULL: it is ready */
    int64_t created, started, restarts; /* Unix seconds, 0: not said; by the engine */
    const char *image;                  /* as its starter called it */
    const char *name;                   /* "web-1" */
    const char *group;  /* one for the replicas of a compose or stack service; else its name */
    const char *shares; /* id or name of the container in whose network it runs; or NULL */
    bool host;          /* it runs in the host's network */
    struct container_network network[NETWORKS_MOST];
    size_t network_count;
    struct container_label label[LABELS_MOST]; /* kr.ingress.* only */
    size_t label_count;
};
/* Of GET /containers/ID/json. False: it is none. What it points to is in the stash. */
bool container_read(struct stash *, const json_t *inspected, struct container *ret);

/* ---- rows of GET /containers/json ---- */

struct listed {
    char id[ID_ROOM];
    bool labelled;   /* some kr.ingress.* is there */
    uint64_t digest; /* of what says that it must be inspected again */
};
bool listed_read(const json_t *row, struct listed *ret);

/* ---- services of a swarm: `labels` of a service (`deploy.labels` of a stack) are no container's, but meant for each of its ---- */

/* The id of the service that a container, listed or inspected, is of; "": of none. */
const char *container_service(const json_t *container);
/* Notes in `services`, id -> labels kr.ingress.*, what GET /services/ID or a row of GET /services says. */
void service_read(const json_t *service, json_t *services);
/* Gives a container the labels of its service that it has none of its own for. */
void service_labels_add(json_t *container, const json_t *services);

/* ---- of one as listed or as inspected ---- */

/* What its raw ports belong to: one for the replicas of a compose or stack service; else its name. */
const char *container_group(struct stash *, const json_t *container);
bool container_asks(const json_t *container,
                    int port); /* by a label of its own, of whatever value */
/* Names of its networks; "host" for the host's. How many there are. */
size_t networks_named(const json_t *container, const char *ret[NETWORKS_MOST]);

/* ---- a line of GET /events ---- */

/* The container that it is about, whatever that says: an id, or no text of one; "": none. */
const char *event_container(const json_t *event);

enum happened { HAPPENED_NOTHING, HAPPENED_CONTAINER, HAPPENED_SERVICE, HAPPENED_GARBAGE };
/* HAPPENED_CONTAINER: something that may change a route, of the container `id`. */
enum happened event_read(const char *line, size_t length, char id[ID_ROOM]);
