/* SPDX-License-Identifier: GPL-3.0-or-later
 * compose.h - what the edge knows of one tenant, as the Kubernetes objects that kubectl shows. Pure.
 *
 *   objects of its files ----------------------> the same, with defaults and live status
 *   containers of an engine -------------------> Pods
 *   routes, ports, backends, events, domain ---> Ingress default, Services of labels, EndpointSlices, Endpoints, Events
 *   (always) ----------------------------------> Namespace default, IngressClass ringress
 */
#pragma once
#include "core/map.h"
#include "modules/kube/kinds.h"
#include <jansson.h>
#include <stdint.h>

struct composed {
    const struct kube_kind *kind;
    json_t *object; /* with metadata.uid and creationTimestamp, without resourceVersion */
    bool written;   /* a file says it; else the edge made it */
    bool undated;   /* nothing says since when it is there */
};
struct composition {
    struct composed *item;
    size_t count, room;
    struct map index; /* "Kind/name" -> json_t, borrowed */
};
/* Backends that compose services made are PROJECT/SERVICE to the edge, and PROJECT.SERVICE to kubectl, which takes no slash in a name.
 * Before anything else is done with what is known. */
void known_fit(json_t *known);
/* `known`: {"tenants", "objects", "routes", "ports", "backends", "containers", "events"}, each as `get` has it (control_get). `uid`: the tenant's;
 * `since`: for what nobody wrote, Unix seconds. */
void compose(const json_t *known, const char *uid, int64_t since, struct composition *ret);
void composition_fini(struct composition *);
/* The Ingress that every tenant has. It is never another one, so it has no uid: `kubectl edit` takes a whole file that somebody
 * pastes over what it shows for the same object only if both say the same, be it nothing. */
bool is_default_ingress(const json_t *object);

/* What compose adds to an object, taken away again: what is left is the tenant's own, to be written. `original`: as its file has it;
 * NULL: none has. */
void compose_undo(const struct kube_kind *, const json_t *known, const json_t *original,
                  json_t *object);
/* And added again: what an Ingress would be shown as. */
void compose_redo(const json_t *known, json_t *ingress);
/* What an object of any other kind would be shown with, were it written as it is. */
void compose_defaults(json_t *object);
/* What comes as text is kept as base64, as the API server has it. */
void secret_fold(json_t *object);

const char *object_name(const json_t *object);
enum { UID_TEXT = 37 };
/* Always the same for the same words. */
void uid_of(const char *tenant_uid, const char *kind, const char *name, char out[UID_TEXT]);
