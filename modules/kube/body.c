/* SPDX-License-Identifier: GPL-3.0-or-later
 * body.c - see body.h.
 */
#include "modules/kube/body.h"
#include "core/yaml.h"
#include "modules/kube/parts.h"
#include "modules/kube/patch.h"
#include "modules/kube/proto.h"
#include "modules/kube/words.h"
#include "tenants/yaml_json.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

enum { SUFFIX = 5 };

static const struct {
    const char *type;
    enum body_form form;
} types[] = {
    {"application/json", BODY_JSON},
    {"application/yaml", BODY_YAML},
    {"application/vnd.kubernetes.protobuf", BODY_PROTOBUF},
    {"application/merge-patch+json", BODY_MERGE},
    {"application/json-patch+json", BODY_JSON_PATCH},
    {"application/strategic-merge-patch+json", BODY_STRATEGIC},
    {"application/apply-patch+yaml", BODY_APPLY},
};

enum body_form body_form(const char *type) {
    size_t n = strcspn(type, "; ");
    if (!n)
        return BODY_JSON;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].type) == n && !strncasecmp(types[i].type, type, n))
            return types[i].form;
    return BODY_OTHER;
}

/* ---- reading ---- */

static bool yaml_read(const char *body, size_t length, struct fault *fault, json_t **ret) {
    struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct diags diags = DIAGS_INIT;
    struct yaml_docs docs;
    bool good = yaml_parse("body", body, length, &limits, &diags, &docs);
    if (!good)
        fault_set(fault, 400, "BadRequest", "the body is not YAML: %s",
                  diags.count ? diags.item[0].message : "");
    else if (docs.count != 1)
        good = fault_set(fault, 400, "BadRequest", "the body must be one document");
    else
        *ret = yaml_json(docs.doc[0]);
    if (good || diags.errors == 0)
        yaml_docs_free(&docs);
    diags_fini(&diags);
    return good;
}

bool body_read(const char *body, size_t length, enum body_form form, enum strictness strictness,
               json_t *warnings, struct fault *fault, json_t **ret) {
    size_t depth = 0;
    bool yaml = form == BODY_YAML || (form == BODY_APPLY && length && *body != '{');
    if (form == BODY_OTHER)
        return fault_set(fault, 415, "UnsupportedMediaType",
                         "the body of the request was in an unknown format - accepted media types "
                         "include: application/json, application/yaml, "
                         "application/vnd.kubernetes.protobuf");
    if (!length)
        return fault_set(fault, 400, "BadRequest", "the body is empty");
    bool good = form == BODY_PROTOBUF ? proto_decode((const uint8_t *)body, length, fault, ret)
                : yaml                ? yaml_read(body, length, fault, ret)
                                      : body_parse(body, length, strictness, warnings, fault, ret);
    if (!good)
        return false;
    tree_measure(*ret, &depth);
    if (depth <= PATCH_DEPTH)
        return true;
    json_decref(*ret);
    *ret = NULL;
    return fault_set(fault, 400, "BadRequest", "the body is nested too deep");
}

/* ---- fitting ---- */

/* Five letters as upstream has them, without vowels. */
static void name_generate(json_t *metadata) {
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    char suffix[SUFFIX + 1] = "";
    uint8_t bytes[SUFFIX];
    if (*text_of(metadata, "name") || !*text_of(metadata, "generateName") ||
        getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return;
    for (size_t i = 0; i < SUFFIX; i++)
        suffix[i] = letters[bytes[i] % (sizeof letters - 1)];
    json_object_set_new(metadata, "name",
                        json_sprintf("%.200s%s", text_of(metadata, "generateName"), suffix));
}

static bool kind_fits(json_t *object, const struct kube_kind *kind, struct fault *fault) {
    char api_version[API_VERSION_MAX];
    kind_api_version(kind, api_version);
    const char *own_version = text_of(object, "apiVersion"), *own_kind = text_of(object, "kind");
    if ((*own_version && strcmp(own_version, api_version)) ||
        (*own_kind && strcmp(own_kind, kind->kind)))
        return fault_set(fault, 400, "BadRequest",
                         "the kind of the object (%.80s, %.80s) is not that of the request's path "
                         "(%s, %s)",
                         own_version, own_kind, api_version, kind->kind);
    json_object_set_new(object, "apiVersion", json_string(api_version));
    json_object_set_new(object, "kind", json_string(kind->kind));
    return true;
}

bool body_fits(json_t *object, const struct kube_kind *kind, const struct target *t,
               struct fault *fault) {
    if (!json_is_object(object))
        return fault_set(fault, 400, "BadRequest", "the body is not an object");
    json_t *metadata = json_object_get(object, "metadata");
    if (!kind_fits(object, kind, fault))
        return false;
    if (!json_is_object(metadata)) {
        metadata = json_object();
        json_object_set_new(object, "metadata", metadata);
    }
    const char *space = text_of(metadata, "namespace");
    if (*space && strcmp(space, "default"))
        return fault_set(fault, 400, "BadRequest",
                         "the namespace of the provided object does not match the namespace sent "
                         "on the request");
    name_generate(metadata);
    const char *name = text_of(metadata, "name");
    if (!*name && *t->name)
        json_object_set_new(metadata, "name", json_string(t->name));
    else if (*t->name && strcmp(name, t->name))
        return fault_set(fault, 400, "BadRequest",
                         "the name of the object (%.260s) does not match the name on the URL "
                         "(%.260s)",
                         name, t->name);
    name = text_of(metadata, "name");
    const char *wrong = *name ? word_name(name) : NULL;
    if (!*name)
        fault_cause(fault, "FieldValueRequired", "metadata.name",
                    "Required value: name or generateName is required");
    else if (wrong)
        fault_cause(fault, "FieldValueInvalid", "metadata.name", "Invalid value: \"%.260s\": %s",
                    name, wrong);
    return *name && !wrong;
}
