/* SPDX-License-Identifier: GPL-3.0-or-later
 * status.c - see status.h.
 */
#include "modules/kube/status.h"
#include "modules/kube/fault.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fault_about about_of(const struct kube_kind *kind, const char *name) {
    return (struct fault_about){kind ? kind->group : NULL, kind ? kind->plural : NULL, name};
}

json_t *status_failure(int code, const char *reason, const struct kube_kind *kind, const char *name,
                       const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct fault_about about = about_of(kind, name);
    return fault_status(&(struct fault){.code = code, .reason = reason, .message = text}, &about);
}

json_t *status_not_found(const struct kube_kind *kind, const char *name) {
    char resource[RESOURCE_NAME_MAX];
    return status_failure(404, "NotFound", kind, name, "%s \"%.300s\" not found",
                          kind_resource_name(kind, resource), name);
}

json_t *status_no_such_path(void) {
    return status_failure(404, "NotFound", NULL, NULL,
                          "the server could not find the requested resource");
}

json_t *status_forbidden(const struct kube_kind *kind, const char *user, const char *verb,
                         const char *namespace, const char *name) {
    char resource[RESOURCE_NAME_MAX], what[400], where[400] = " at the cluster scope";
    *what = 0;
    if (*name)
        snprintf(what, sizeof what, " \"%.300s\"", name);
    if (*namespace)
        snprintf(where, sizeof where, " in the namespace \"%.300s\"", namespace);
    return status_failure(403, "Forbidden", kind, name,
                          "%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group "
                          "\"%s\"%s",
                          kind_resource_name(kind, resource), what, user, verb, kind->plural,
                          kind->group, where);
}

json_t *status_success(const struct kube_kind *kind, const char *name, const char *uid) {
    struct fault_about about = about_of(kind, name);
    json_t *details = fault_details(&about);
    if (*uid)
        json_object_set_new(details, "uid", json_string(uid));
    return json_pack("{s:s s:s s:{} s:s s:o}", "kind", "Status", "apiVersion", "v1", "metadata",
                     "status", "Success", "details", details);
}

int status_code(const json_t *status) {
    const char *kind = json_string_value(json_object_get(status, "kind"));
    json_int_t code = json_integer_value(json_object_get(status, "code"));
    return kind && !strcmp(kind, "Status") && code ? (int)code : 200;
}
