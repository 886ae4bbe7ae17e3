/* SPDX-License-Identifier: GPL-3.0-or-later
 * kinds.h - the resources of this API: how they are called in paths, in objects and on kubectl's command line. Pure data.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct kube_kind {
    const char *group; /* "": the core group */
    const char *version;
    const char *kind, *plural, *singular;
    const char *short_name; /* or NULL */
    bool namespaced;
    bool
        written; /* by the tenant: it lives in a file of conf.d. Else it is what the edge says of itself */
};
extern const struct kube_kind
    kube_kinds[]; /* ends with a row without kind; a group's rows stand together */

const struct kube_kind *kind_of_resource(const char *group, const char *version,
                                         const char *plural);
/* By what stands in an object; NULL: none of ours. */
const struct kube_kind *kind_of_object(const char *api_version, const char *kind);
/* "v1", "networking.k8s.io/v1". Returns `out`. */
enum { API_VERSION_MAX = 80, RESOURCE_NAME_MAX = 128 };
const char *kind_api_version(const struct kube_kind *, char out[API_VERSION_MAX]);
/* As error messages have it: "ingresses.networking.k8s.io", "pods". Returns `out`. */
const char *kind_resource_name(const struct kube_kind *, char out[RESOURCE_NAME_MAX]);
