/* SPDX-License-Identifier: GPL-3.0-or-later
 * blame.c - see blame.h. The place of an error is the place of a node: the walk to it is the path.
 */
#include "modules/kube/blame.h"
#include "core/yaml.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_LENGTH = 512 };

struct spotted {
    unsigned line, column;
    const char *message;
    char path[PATH_MAX_LENGTH];
    const struct yaml_node *node; /* NULL: nothing stands there */
};

static bool is_at(const struct yaml_node *node, const struct spotted *s) {
    return node->line == s->line && node->column == s->column;
}

/* `.spec`; `[ringress/hold]` for what would not be read as one step. */
static int key_print(char *out, size_t room, const char *key, size_t at) {
    if (strpbrk(key, "./[]"))
        return snprintf(out, room, "[%s]", key);
    return snprintf(out, room, "%s%s", at ? "." : "", key);
}

/* A map begins where its first key does: what is said there is of the map, unless it names the key. */
static bool is_of_key(const struct yaml_node *map, const struct yaml_node *key,
                      const struct spotted *s) {
    char quoted[70];
    size_t n = strlen(key->text);
    snprintf(quoted, sizeof quoted, "`%.66s`", key->text);
    return is_at(key, s) && (!is_at(map, s) || strstr(s->message, quoted) ||
                             (!strncmp(s->message, key->text, n) && s->message[n] == ':'));
}

/* Leaves the path of the deepest node at the place. Where key and value both could be meant the value is: `spec:` and its map. */
static bool node_spot(const struct yaml_node *node, struct spotted *s, size_t at) {
    bool found = is_at(node, s);
    for (size_t i = 0; i < node->count; i++) {
        size_t room = sizeof s->path - at;
        const struct yaml_node *key = node->kind == YAML_MAP ? node->pair[i].key : NULL;
        const struct yaml_node *value = key ? node->pair[i].value : node->item[i];
        int n = key ? key_print(s->path + at, room, key->text, at)
                    : snprintf(s->path + at, room, "[%zu]", i);
        if ((size_t)n >= room)
            break;
        if (node_spot(value, s, at + (size_t)n))
            return true;
        if (key && is_of_key(node, key, s)) {
            s->node = value;
            return true;
        }
    }
    s->path[at] = 0;
    if (found)
        s->node = node;
    return found;
}

static const char *text_at(const struct yaml_node *map, const char *key) {
    const struct yaml_node *node = yaml_get(map, key);
    return node && node->kind == YAML_SCALAR ? node->text : "";
}

static const struct yaml_node *document_find(const struct yaml_docs *docs,
                                             const struct blamed *about) {
    for (size_t i = 0; i < docs->count; i++)
        if (!strcmp(text_at(docs->doc[i], "kind"), about->kind) &&
            !strcmp(text_at(docs->doc[i], "apiVersion"), about->api_version) &&
            !strcmp(text_at(yaml_get(docs->doc[i], "metadata"), "name"), about->name))
            return docs->doc[i];
    return NULL;
}

/* "port is missing": what is missing is below the place. */
static bool is_missing(const char *message, char name[64]) {
    size_t n = strcspn(message, " ");
    if (n >= 64 || strcmp(message + n, " is missing") != 0)
        return false;
    memcpy(name, message, n);
    name[n] = 0;
    return true;
}

/* "port: must be 1 to 65535": the path says which port. */
static const char *without_field(const char *message, const char *path) {
    size_t n = strcspn(message, ":"), length = strlen(path);
    length -= length && path[length - 1] == ']';
    bool named = message[n] == ':' && message[n + 1] == ' ' && length >= n &&
                 !strncmp(path + length - n, message, n);
    return named ? message + n + 2 : message;
}

static void cause_add(struct fault *fault, const struct spotted *s, const char *message) {
    char name[64], path[PATH_MAX_LENGTH + 66];
    if (is_missing(message, name)) {
        snprintf(path, sizeof path, "%s%s%s", s->path, *s->path ? "." : "", name);
        fault_cause(fault, "FieldValueRequired", path, "Required value");
    } else if (s->node->kind == YAML_SCALAR) {
        bool text =
            s->node->quoted || strspn(s->node->text, "0123456789-") != strlen(s->node->text);
        fault_cause(fault, "FieldValueInvalid", s->path,
                    text ? "Invalid value: \"%.200s\": %s" : "Invalid value: %.200s: %s",
                    s->node->text, without_field(message, s->path));
    } else {
        fault_cause(fault, "FieldValueInvalid", s->path, "Invalid value: %s",
                    without_field(message, s->path));
    }
}

/* The file without its folders: where conf.d lies is the operator's business. */
static const char *file_base(const char *file) {
    const char *slash = strrchr(file, '/');
    return slash ? slash + 1 : file;
}

/* The place is what kubectl shows in front, where a field would be. */
static void elsewhere_add(struct fault *fault, const struct diag *d) {
    char place[PATH_MAX_LENGTH] = "";
    if (d->line)
        snprintf(place, sizeof place, "%.480s:%u:%u", file_base(d->file), d->line, d->column);
    else if (*d->file)
        snprintf(place, sizeof place, "%.480s", file_base(d->file));
    fault_cause(fault, "FieldValueInvalid", place, "%s", d->message);
}

/* In the object: its path, else a NULL node. */
static void diag_spot(const struct diag *d, const struct blamed *about,
                      const struct yaml_node *document, struct spotted *s) {
    *s = (struct spotted){.line = d->line, .column = d->column, .message = d->message};
    if (document && d->line && !strcmp(d->file, about->file))
        node_spot(document, s, 0);
}

static void each(const struct diags *diags, const struct blamed *about, enum diag_level level,
                 struct fault *fault, json_t *warnings) {
    const struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct diags again = DIAGS_INIT;
    struct yaml_docs docs = {0};
    const struct yaml_node *document = NULL;
    if (yaml_parse(about->file, about->text, about->length, &limits, &again, &docs))
        document = document_find(&docs, about);
    for (size_t i = 0; i < diags->count; i++) {
        const struct diag *d = &diags->item[i];
        struct spotted s;
        if (d->level != level)
            continue;
        diag_spot(d, about, document, &s);
        if (warnings && s.node)
            json_array_append_new(warnings, json_sprintf("%s%s%s", s.path, *s.path ? ": " : "",
                                                         without_field(d->message, s.path)));
        else if (!warnings && s.node)
            cause_add(fault, &s, d->message);
        else if (!warnings)
            elsewhere_add(fault, d);
    }
    yaml_docs_free(&docs);
    diags_fini(&again);
}

void diags_blame(const struct diags *diags, const struct blamed *about, struct fault *fault) {
    each(diags, about, DIAG_ERROR, fault, NULL);
}

void diags_warn(const struct diags *diags, const struct blamed *about, json_t *warnings) {
    each(diags, about, DIAG_WARNING, NULL, warnings);
}
