/* SPDX-License-Identifier: GPL-3.0-or-later
 * events.h - events that modules tell (core/control_host.h), kept in memory as Kubernetes keeps its own: the newest, for a while.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct events {
    json_t *list; /* oldest first */
};

enum { EVENTS_OF_TENANT = 100, EVENTS_MOST = 5000 };

/* The same event again moves to the end, with its count and time. */
void events_add(struct events *, const char *tenant, const char *object, bool warning,
                const char *reason, const char *message, int64_t now);
/* Of one tenant or (NULL) of all, appended to the rows of `get events`. */
void events_view(const struct events *, const char *tenant, json_t *rows);
/* What `describe` printed, with those about this object ("Ingress/web") at its end; takes `text`, which is malloc'd like what it
 * returns. */
char *events_describe(const struct events *, const char *tenant, const char *object, char *text);
/* The tenant is gone. */
void events_forget(struct events *, const char *tenant);
void events_fini(struct events *);
