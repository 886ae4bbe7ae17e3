/* SPDX-License-Identifier: GPL-3.0-or-later
 * admin.h - the two doors to the running edge: the commands' socket, and read-only HTTP.
 *
 *   socket   one line of JSON each way: {"command": "get", "words": ["tenants"], "tenant": "acme"}
 *                                    -> {"exit": 0, "data": [...], "text": "...", "error": "..."}
 *   HTTP     GET only: /metrics /healthz /readyz /api/v1/KIND
 *
 * Only the socket may change anything; its peers are root, the process's own user, or in admin.group. Everything is bounded, and a client that
 * is slow waits alone.
 */
#pragma once
#include "edge/edge.h"
#include "edge/user.h"

enum {
    ADMIN_CLIENTS_MAX = 64,
    ADMIN_HTTP_MAX = 48, /* of them: whoever fills those leaves room for the commands */
    ADMIN_REQUEST_MAX = 64 << 10,
    ADMIN_PATIENCE_MS = 30000,
    ADMIN_WHOLE_MS = 300000, /* for one client, however it makes progress */
};

/* Binds both. False: *err, "an edge is already running at …" among them. */
bool admin_open(struct edge *, struct err *);
/* The socket is his, and of admin.group. Before the process becomes him. */
bool admin_give(struct edge *, const struct user *, struct err *);
/* The edge drains: the socket is gone, read-only HTTP is answered on, as far as `admin_serve` is called: /readyz says so. */
void admin_drain(struct edge *);
/* Answers who has asked, for at most so long. */
void admin_serve(struct edge *, int64_t ms);
/* Ends the clients and removes the socket. Those who asked to drain are told by their connection's end. */
void admin_close(struct edge *);

/* ---- requests.c ---- */
/* Answers one line of the socket; the caller owns it. */
json_t *request_answer(struct edge *, const json_t *request);

/* ---- views.c: the views of tenants/ with the live figures ---- */
/* NULL: there is no such kind. */
json_t *view_of(struct edge *, const char *kind, const char *tenant);
/* A pod that may be dialled: "ready", "ejected" or "notReady", as the workers see it now. */
struct pod_facts {
    struct upstream_figures figures;
    char why[200], until[32]; /* "": ready; "": no time is known */
};
const char *pod_state(const struct edge *, const struct upstream *, struct pod_facts *ret);

/* ---- explain.c ---- */
json_t *explain_url(struct edge *, const char *url);

/* What the tenant of that row of `get tenants` has cost and done. */
struct account_worker tenant_sum(const json_t *row);

/* ---- metrics.c ---- */
void metrics_print(struct edge *, FILE *);
void label_print(FILE *, const char *text);
void metric_head(FILE *, const char *name, const char *type,
                 const char *help); /* name: without ringress_ */

/* ---- traffic.c: the part of it about requests ---- */
void traffic_print(FILE *, json_t *tenants);
/* The `most` hosts that most requests are for. */
void popular_print(FILE *, size_t most);

/* ---- memory.c: the part of it that says where memory is ---- */
void memory_print(FILE *);
