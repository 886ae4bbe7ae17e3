/* SPDX-License-Identifier: GPL-3.0-or-later
 * strict.c - see strict.h.
 */
#include "modules/kube/strict.h"
#include "modules/kube/patch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool strictness_parse(const char *text, enum strictness *ret, struct fault *fault) {
    static const char *const names[] = {"Ignore", "Warn", "Strict"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text && *text ? text : "Warn", names[i])) {
            *ret = (enum strictness)i;
            return true;
        }
    fault_cause(fault, "FieldValueNotSupported", "fieldValidation",
                "Unsupported value: \"%.100s\": supported values: \"Ignore\", \"Strict\", \"Warn\"",
                text);
    return false;
}

/* ---- JSON ---- */

/* jansson says which key, at the end of its message: …near '"name"'. */
static void duplicate_name(const json_error_t *error, char ret[JSON_ERROR_TEXT_LENGTH]) {
    const char *near = strstr(error->text, "near '\"");
    snprintf(ret, JSON_ERROR_TEXT_LENGTH, "%s", near ? near + strlen("near '\"") : "");
    ret[strcspn(ret, "\"")] = 0;
}

bool body_parse(const char *text, size_t length, enum strictness strictness, json_t *warnings,
                struct fault *fault, json_t **ret) {
    char name[JSON_ERROR_TEXT_LENGTH];
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!value && json_error_code(&error) == json_error_duplicate_key) {
        duplicate_name(&error, name);
        if (strictness == STRICT_ERROR)
            return fault_set(fault, 400, "BadRequest",
                             "strict decoding error: duplicate field \"%s\"", name);
        value = json_loadb(text, length, 0, &error);
        if (value && strictness == STRICT_WARN)
            json_array_append_new(warnings, json_sprintf("duplicate field \"%s\"", name));
    }
    if (!value)
        return fault_set(fault, 400, "BadRequest", "the body is no JSON: line %d column %d: %s",
                         error.line, error.column,
                         json_error_code(&error) == json_error_null_character
                             ? "text with \\u0000 in it can't be kept"
                             : error.text);
    *ret = value;
    return true;
}

/* ---- fields ---- */

struct walk {
    enum strictness strictness;
    json_t *warnings;
    struct fault *fault;
    const char *api_version, *kind;
    FILE *unknown; /* the sentence of them all */
    size_t unknown_count;
};

static const char *go_type_of_json(const json_t *value) {
    return json_is_object(value)    ? "object"
           : json_is_array(value)   ? "array"
           : json_is_string(value)  ? "string"
           : json_is_boolean(value) ? "bool"
                                    : "number";
}

static bool type_fits(const struct part *part, const json_t *value) {
    switch (part->type) {
    case PART_TEXT:
    case PART_BYTES:
    case PART_TIME:
        return json_is_string(value);
    case PART_INT:
        return json_is_integer(value);
    case PART_BOOL:
        return json_is_boolean(value);
    case PART_PORT:
        return json_is_integer(value) || json_is_string(value);
    case PART_OBJECT:
        return json_is_object(value);
    case PART_ANY:
        return true;
    }
    return true;
}

/* RFC 4648 section 4, with line ends between; as Go reads it. -1: it is, else where it is not any more. */
static long base64_break(const char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = 0, padding = 0, i;
    for (i = 0; text[i]; i++) {
        if (text[i] == '\r' || text[i] == '\n')
            continue;
        bool pad = text[i] == '=' && count % 4 > 1;
        if (!pad && (padding || !strchr(digits, text[i])))
            return (long)i;
        padding += pad;
        count++;
    }
    return count % 4 ? (long)i : -1;
}

/* As Go would call it. */
static const char *go_type(const struct part *part) {
    switch (part->type) {
    case PART_INT:
        return "int32";
    case PART_BOOL:
        return "bool";
    case PART_OBJECT:
        return part->of->name;
    case PART_PORT:
        return "intstr.IntOrString";
    default:
        return "string";
    }
}

/* `plain`: the path without places in lists, as Go prints it. `prefix`: of Go's type. */
static bool unfit(struct walk *w, const struct shape *shape, const char *plain, const char *prefix,
                  const struct part *part, const json_t *value) {
    return fault_set(w->fault, 400, "BadRequest",
                     "%s in version \"%s\" cannot be handled as a %s: json: cannot unmarshal %s "
                     "into Go struct field %s.%s of type %s%s",
                     w->kind, w->api_version, w->kind, go_type_of_json(value), shape->name, plain,
                     prefix, go_type(part));
}

static void unknown_add(struct walk *w, const char *path) {
    if (w->strictness == STRICT_IGNORE || w->unknown_count >= FAULT_CAUSES_MAX)
        return;
    fprintf(w->unknown, "%sunknown field \"%s\"", w->unknown_count++ ? ", " : "", path);
    json_t *text = json_sprintf("unknown field \"%s\"", path);
    if (w->strictness == STRICT_WARN && text)
        json_array_append(w->warnings, text);
    json_decref(text);
}

static bool fields_walk(struct walk *, json_t *object, const json_t *live, const struct shape *,
                        const char *path, const char *plain);

/* One value, item of a list, or value of a map. */
static bool value_walk(struct walk *w, const struct shape *shape, const struct part *part,
                       json_t *value, const json_t *live, const char *path, const char *plain) {
    if (json_is_null(value))
        return true;
    if (!type_fits(part, value))
        return unfit(w, shape, plain, "", part, value);
    long broken = part->type == PART_BYTES ? base64_break(json_string_value(value)) : -1;
    if (broken >= 0)
        return fault_set(w->fault, 400, "BadRequest",
                         "%s in version \"%s\" cannot be handled as a %s: illegal base64 data at "
                         "input byte %ld",
                         w->kind, w->api_version, w->kind, broken);
    return !part_shape(part) || fields_walk(w, value, live, part_shape(part), path, plain);
}

static bool form_walk(struct walk *w, const struct shape *shape, const struct part *part,
                      json_t *value, const json_t *live, const char *path, const char *plain) {
    const char *key;
    json_t *item;
    bool good = true;
    size_t i;
    if (part->form == PART_ONE || json_is_null(value))
        return value_walk(w, shape, part, value, live, path, plain);
    bool map = part->form == PART_MAP;
    if (map ? !json_is_object(value) : !json_is_array(value))
        return unfit(w, shape, plain, map ? "map[string]" : "[]", part, value);
    json_object_foreach(value, key, item) {
        good = good && value_walk(w, shape, part, item, json_object_get(live, key), path, plain);
    }
    json_array_foreach(value, i, item) {
        char *place = NULL;
        if (asprintf(&place, "%s[%zu]", path, i) < 0)
            return false;
        good = good && value_walk(w, shape, part, item, json_array_get(live, i), place, plain);
        free(place);
    }
    return good;
}

static char *path_below(const char *path, const char *key) {
    char *below = NULL;
    return asprintf(&below, "%s%s%s", path, *path ? "." : "", key) < 0 ? NULL : below;
}

static bool fields_walk(struct walk *w, json_t *object, const json_t *live,
                        const struct shape *shape, const char *path, const char *plain) {
    const char *key;
    json_t *value;
    void *next;
    bool good = true;
    json_object_foreach_safe(object, next, key, value) {
        const struct part *part = shape_part(shape, key);
        const json_t *was = json_object_get(live, key);
        char *below = path_below(path, key), *plain_below = path_below(plain, key);
        if (part && below && plain_below && good)
            good = form_walk(w, shape, part, value, was, below, plain_below);
        if (!part && !was) {
            unknown_add(w, below ? below : key);
            json_object_del(object, key);
        }
        free(below);
        free(plain_below);
    }
    return good;
}

bool object_strict(json_t *object, const json_t *live, const struct shape *shape,
                   enum strictness strictness, json_t *warnings, struct fault *fault) {
    char *unknown = NULL;
    size_t length, depth;
    const char *version = json_string_value(json_object_get(object, "apiVersion"));
    const char *slash = version ? strrchr(version, '/') : NULL;
    struct walk w = {.strictness = strictness,
                     .warnings = warnings,
                     .fault = fault,
                     .kind = shape->name,
                     .api_version = slash     ? slash + 1
                                    : version ? version
                                              : ""};
    if (tree_measure(object, &depth) > PATCH_NODES || depth > PATCH_DEPTH)
        return fault_set(fault, 400, "BadRequest",
                         "the object is nested deeper than %d, or has more than %d values",
                         PATCH_DEPTH, PATCH_NODES);
    w.unknown = open_memstream(&unknown, &length);
    if (!w.unknown)
        return fault_set(fault, 500, "InternalError", "out of memory");
    bool good = fields_walk(&w, object, live, shape, "", "");
    fclose(w.unknown);
    if (good && w.unknown_count && strictness == STRICT_ERROR)
        good =
            fault_set(fault, 400, "BadRequest",
                      "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s",
                      w.kind, w.api_version, w.kind, unknown);
    free(unknown);
    return good;
}

static bool is_idle(const struct part *part, const json_t *value) {
    bool empty = json_is_array(value) ? !json_array_size(value)
                                      : json_is_object(value) && !json_object_size(value);
    return empty && part && part->form != PART_ONE && !part->required;
}

void object_tidy(json_t *object, const struct shape *shape) {
    const char *key, *inner;
    json_t *value, *item;
    void *next;
    size_t i;
    json_object_foreach_safe(object, next, key, value) {
        const struct part *part = shape_part(shape, key);
        const struct shape *of = part_shape(part);
        if (is_idle(part, value)) {
            json_object_del(object, key);
            continue;
        }
        if (!of)
            continue;
        if (part->form == PART_ONE)
            object_tidy(value, of);
        else if (part->form == PART_MAP)
            json_object_foreach(value, inner, item) {
                object_tidy(item, of);
            }
        json_array_foreach(value, i, item) {
            object_tidy(item, of);
        }
    }
}
