/* SPDX-License-Identifier: GPL-3.0-or-later
 * openapi_v2.c - see openapi_v2.h. Numbers of fields are those of gnostic's OpenAPIv2.proto; only what kubectl looks at is written.
 *
 *   Document { swagger, info, paths: NamedPathItem { PathItem { patch } }, definitions: NamedSchema { Schema } }
 *
 * What a schema is of: a $ref; a type; or neither, which is anything.
 */
#include "modules/kube/openapi_v2.h"
#include "modules/kube/parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { /* fields, by message */
       NAMED_NAME = 1,
       NAMED_VALUE = 2,
       DOCUMENT_SWAGGER = 1,
       DOCUMENT_INFO = 2,
       DOCUMENT_PATHS = 8,
       DOCUMENT_DEFINITIONS = 9,
       INFO_TITLE = 1,
       INFO_VERSION = 2,
       PATHS_PATH = 2,
       PATH_ITEM_PATCH = 8,
       OPERATION_PARAMETERS = 8,
       OPERATION_EXTENSION = 13,
       PARAMETERS_ITEM_PARAMETER = 1,
       PARAMETER_NON_BODY = 2,
       NON_BODY_QUERY = 3,
       QUERY_NAME = 4,
       DEFINITIONS_SCHEMA = 1,
       SCHEMA_REF = 1,
       SCHEMA_FORMAT = 2,
       SCHEMA_DESCRIPTION = 4,
       SCHEMA_REQUIRED = 19,
       SCHEMA_ADDITIONAL = 21,
       SCHEMA_TYPE = 22,
       SCHEMA_ITEMS = 23,
       SCHEMA_PROPERTIES = 25,
       SCHEMA_EXTENSION = 31,
       ADDITIONAL_SCHEMA = 1,
       TYPE_VALUE = 1,
       ITEMS_SCHEMA = 1,
       PROPERTIES_SCHEMA = 1,
       ANY_YAML = 2,
};

/* ---- protobuf ---- */

struct message {
    FILE *out;
    char *text;
    size_t length;
};

static void message_begin(struct message *m) {
    m->text = NULL;
    m->out = open_memstream(&m->text, &m->length);
    if (!m->out)
        abort(); /* as everywhere where text is made: what is bounded must fit */
}

static void varint_write(FILE *out, size_t value) {
    for (; value > 127; value >>= 7)
        fputc((int)(value & 127) | 128, out);
    fputc((int)value, out);
}

static void bytes_write(FILE *out, unsigned field, const char *data, size_t length) {
    varint_write(out, field << 3 | 2);
    varint_write(out, length);
    fwrite(data, 1, length, out);
}

static void text_write(FILE *out, unsigned field, const char *text) {
    if (*text)
        bytes_write(out, field, text, strlen(text));
}

static void message_end(struct message *m, FILE *parent, unsigned field) {
    fclose(m->out);
    bytes_write(parent, field, m->text, m->length);
    free(m->text);
}

/* A message of one field of text. */
static void wrapped_write(FILE *out, unsigned field, unsigned inner, const char *text) {
    struct message m;
    message_begin(&m);
    text_write(m.out, inner, text);
    message_end(&m, out, field);
}

/* JSON is YAML. */
static void extension_write(FILE *out, unsigned field, const char *name, const json_t *value) {
    struct message m;
    char *yaml = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    message_begin(&m);
    text_write(m.out, NAMED_NAME, name);
    wrapped_write(m.out, NAMED_VALUE, ANY_YAML, yaml ? yaml : "");
    message_end(&m, out, field);
    free(yaml);
}

/* ---- schemas ---- */

static void schema_write(FILE *out, unsigned field, json_t *schema);

static void named_schemas_write(FILE *out, unsigned field, json_t *schemas) {
    const char *name;
    json_t *schema;
    json_object_foreach(schemas, name, schema) {
        struct message m;
        message_begin(&m);
        text_write(m.out, NAMED_NAME, name);
        schema_write(m.out, NAMED_VALUE, schema);
        message_end(&m, out, field);
    }
}

static void reference_write(FILE *out, const char *reference) {
    const char *name = strrchr(reference, '/');
    char text[200];
    snprintf(text, sizeof text, "#/definitions%s", name ? name : "/");
    text_write(out, SCHEMA_REF, text);
}

static void nested_write(FILE *out, unsigned field, unsigned inner, json_t *schema) {
    struct message m;
    message_begin(&m);
    schema_write(m.out, inner, schema);
    message_end(&m, out, field);
}

static void typed_write(FILE *out, json_t *schema) {
    json_t *properties = json_object_get(schema, "properties"), *required;
    size_t i;
    wrapped_write(out, SCHEMA_TYPE, TYPE_VALUE, text_of(schema, "type"));
    text_write(out, SCHEMA_FORMAT, text_of(schema, "format"));
    json_array_foreach(json_object_get(schema, "required"), i, required) {
        text_write(out, SCHEMA_REQUIRED, json_string_value(required));
    }
    if (json_object_get(schema, "additionalProperties"))
        nested_write(out, SCHEMA_ADDITIONAL, ADDITIONAL_SCHEMA,
                     json_object_get(schema, "additionalProperties"));
    if (json_object_get(schema, "items"))
        nested_write(out, SCHEMA_ITEMS, ITEMS_SCHEMA, json_object_get(schema, "items"));
    if (properties) {
        struct message m;
        message_begin(&m);
        named_schemas_write(m.out, PROPERTIES_SCHEMA, properties);
        message_end(&m, out, SCHEMA_PROPERTIES);
    }
}

static void schema_write(FILE *parent, unsigned field, json_t *schema) {
    const char *reference = text_of(json_array_get(json_object_get(schema, "allOf"), 0), "$ref"),
               *key;
    struct message m;
    json_t *value;
    message_begin(&m);
    text_write(m.out, SCHEMA_DESCRIPTION, text_of(schema, "description"));
    if (*reference)
        reference_write(m.out, reference);
    else if (json_object_get(schema,
                             "oneOf")) { /* a number or a name: version 2 has no word for it */
        wrapped_write(m.out, SCHEMA_TYPE, TYPE_VALUE, "string");
        text_write(m.out, SCHEMA_FORMAT, text_of(schema, "format"));
    } else if (!json_object_get(schema, "x-kubernetes-preserve-unknown-fields"))
        typed_write(m.out, schema);
    json_object_foreach(schema, key, value) {
        if (!strncmp(key, "x-", 2))
            extension_write(m.out, SCHEMA_EXTENSION, key, value);
    }
    message_end(&m, parent, field);
}

/* ---- paths: who asks whether there is a dry run looks for the parameters of `patch` ---- */

static void parameter_write(FILE *out, const char *name) {
    struct message item, parameter, query;
    message_begin(&item);
    message_begin(&parameter);
    message_begin(&query);
    wrapped_write(query.out, NON_BODY_QUERY, QUERY_NAME, name);
    message_end(&query, parameter.out, PARAMETER_NON_BODY);
    message_end(&parameter, item.out, PARAMETERS_ITEM_PARAMETER);
    message_end(&item, out, OPERATION_PARAMETERS);
}

static void path_write(FILE *out, const char *path, const json_t *operation) {
    static const char gvk[] = "x-kubernetes-group-version-kind";
    struct message named, item, patch;
    json_t *parameter;
    size_t i;
    message_begin(&named);
    message_begin(&item);
    message_begin(&patch);
    json_array_foreach(json_object_get(operation, "parameters"), i, parameter) {
        parameter_write(patch.out, text_of(parameter, "name"));
    }
    extension_write(patch.out, OPERATION_EXTENSION, gvk, json_object_get(operation, gvk));
    message_end(&patch, item.out, PATH_ITEM_PATCH);
    text_write(named.out, NAMED_NAME, path);
    message_end(&item, named.out, NAMED_VALUE);
    message_end(&named, out, PATHS_PATH);
}

/* ---- the document ---- */

char *openapi_v2_encode(json_t *paths, json_t *schemas, size_t *ret_length) {
    struct message document, part;
    const char *path;
    json_t *item;
    message_begin(&document);
    text_write(document.out, DOCUMENT_SWAGGER, "2.0");
    message_begin(&part);
    text_write(part.out, INFO_TITLE, "ringress");
    text_write(part.out, INFO_VERSION, "v1");
    message_end(&part, document.out, DOCUMENT_INFO);
    message_begin(&part);
    json_object_foreach(paths, path, item) {
        if (json_object_get(item, "patch"))
            path_write(part.out, path, json_object_get(item, "patch"));
    }
    message_end(&part, document.out, DOCUMENT_PATHS);
    message_begin(&part);
    named_schemas_write(part.out, DEFINITIONS_SCHEMA, schemas);
    message_end(&part, document.out, DOCUMENT_DEFINITIONS);
    fclose(document.out);
    *ret_length = document.length;
    return document.text;
}

/* ---- the same as JSON ---- */

static json_t *schema_json(const json_t *schema);

static json_t *schemas_json(const json_t *schemas) {
    json_t *all = json_object(), *schema;
    const char *name;
    json_object_foreach((json_t *)schemas, name, schema) {
        json_object_set_new(all, name, schema_json(schema));
    }
    return all;
}

static json_t *schema_json(const json_t *schema) {
    json_t *out = json_object(), *value;
    const char *key,
        *reference = text_of(json_array_get(json_object_get(schema, "allOf"), 0), "$ref");
    json_object_foreach((json_t *)schema, key, value) {
        if (!strcmp(key, "properties"))
            json_object_set_new(out, key, schemas_json(value));
        else if (!strcmp(key, "items") || !strcmp(key, "additionalProperties"))
            json_object_set_new(out, key, schema_json(value));
        else if (!strcmp(key, "oneOf")) /* a number or a name */
            json_object_set_new(out, "type", json_string("string"));
        else if (strcmp(key, "allOf") != 0)
            json_object_set(out, key, value);
    }
    if (*reference)
        json_object_set_new(out, "$ref", json_sprintf("#/definitions%s", strrchr(reference, '/')));
    return out;
}

static json_t *operation_json(const json_t *operation) {
    json_t *out = json_copy((json_t *)operation), *parameters = json_array(), *parameter;
    size_t i;
    json_array_foreach(json_object_get(operation, "parameters"), i, parameter) {
        json_array_append_new(parameters,
                              json_pack("{s:s s:s s:s}", "name", text_of(parameter, "name"), "in",
                                        "query", "type", "string"));
    }
    json_object_set_new(out, "parameters", parameters);
    json_object_set_new(out, "responses", json_pack("{s:{s:s}}", "200", "description", "OK"));
    return out;
}

json_t *openapi_v2_json(const json_t *paths, const json_t *schemas) {
    json_t *all = json_object(), *item, *operation;
    const char *path, *action;
    json_object_foreach((json_t *)paths, path, item) {
        json_t *out = json_object();
        json_object_foreach(item, action, operation) {
            json_object_set_new(out, action, operation_json(operation));
        }
        json_object_set_new(all, path, out);
    }
    return json_pack("{s:s s:{s:s s:s} s:o s:o}", "swagger", "2.0", "info", "title", "ringress",
                     "version", "v1", "paths", all, "definitions", schemas_json(schemas));
}
