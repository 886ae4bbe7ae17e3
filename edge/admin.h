/* SPDX-License-Identifier: GPL-3.0-or-later
 * admin.h - the two doors to the running edge: the commands' socket, and read-only HTTP.
 *
 *   socket   one line of JSON each way: {"command": "get", "words": ["tenants"], "tenant": "acme"}
 *                                    -> {"exit": 0, "data": [...], "text": "...", "error": "..."}
 *   HTTP     GET only: /metrics /healthz /readyz /api/v1/KIND
 *
 * Only the socket may change anything; its peers are root or the process's own user. Everything is bounded, and a client that
 * is slow waits alone.
 */
#pragma once
#include "edge/edge.h"

enum {
    ADMIN_CLIENTS_MAX = 64,
    ADMIN_REQUEST_MAX = 64 << 10,
    ADMIN_PATIENCE_MS = 30000,
};

/* Binds both. False: *err, "an edge is already running at …" among them. */
bool admin_open(struct edge *, struct err *);
/* No new clients: the socket is gone, another edge may start. */
void admin_shut(struct edge *);
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

/* ---- metrics.c ---- */
void metrics_print(struct edge *, FILE *);

/* ---- memory.c: the part of it that says where memory is ---- */
void memory_print(FILE *);
