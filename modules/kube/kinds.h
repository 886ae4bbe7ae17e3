/* SPDX-License-Identifier: GPL-3.0-or-later
 * kinds.h - the resources of this API: how they are called in paths, in objects and on kubectl's command line. Pure data.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum kind_nature {
    KIND_TOLD,    /* what the edge says of itself */
    KIND_WRITTEN, /* by the tenant: it lives in a file of conf.d */
    KIND_ASKED,   /* a question about the token: answered at once, and kept nowhere */
    KIND_ABSENT, /* a cluster's, of which there never is one here; `kubectl apply --prune` looks for them all the same */
};
struct kube_kind {
    const char *group; /* "": the core group */
    const char *version;
    const char *kind, *plural, *singular;
    const char *short_name; /* or NULL */
    bool namespaced;
    enum kind_nature nature;
};
extern const struct kube_kind
    kube_kinds[]; /* ends with a row without kind; a group's rows stand together */

const struct kube_kind *kind_of_resource(const char *group, const char *version,
                                         const char *plural);
/* By what stands in an object; NULL: none of ours. */
const struct kube_kind *kind_of_object(const char *api_version, const char *kind);
/* What can be done with it, as discovery calls it; ends with NULL. */
const char *const *kind_verbs(const struct kube_kind *);
/* "v1", "networking.k8s.io/v1". Returns `out`. */
enum { API_VERSION_MAX = 80, RESOURCE_NAME_MAX = 128 };
const char *kind_api_version(const struct kube_kind *, char out[API_VERSION_MAX]);
/* As error messages have it: "ingresses.networking.k8s.io", "pods". Returns `out`. */
const char *kind_resource_name(const struct kube_kind *, char out[RESOURCE_NAME_MAX]);
